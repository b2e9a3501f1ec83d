//! Every key that sessions write; docs/reference/KEYS.md lists them.

use super::{
    token::{Sid, Tag},
    user::User,
};
use crate::identity;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Names keys; `cluster` puts everything of one user into one slot.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    namespace: String,
    cluster: bool,
    set: bool,
}

/// The keys of one user.
#[derive(Debug, Clone)]
pub(crate) struct UserKeys {
    pub(crate) index: String,
    /// The index as a plain set for other readers; the index again when there is none.
    pub(crate) set: String,
    pub(crate) epoch: String,
    pub(crate) devices: String,
    /// The epoch of the user's id in every organisation.
    pub(crate) everywhere: String,
    /// The organisations in which the user's id has sessions.
    pub(crate) organisations: String,
    base: String,
}

impl UserKeys {
    pub(crate) fn login(&self, marker: &str) -> String {
        format!("{}:login:{marker}", self.base)
    }
}

impl Keys {
    /// `prefix` is what comes before `session:`; a prefix that ends with `session:` means the same.
    pub(crate) fn new(prefix: &str, cluster: bool, set: bool) -> Self {
        let namespace = prefix.strip_suffix("session:").unwrap_or(prefix);
        Self {
            namespace: namespace.to_owned(),
            cluster,
            set,
        }
    }

    /// The slot tag of a user; `None` when everything may live anywhere.
    pub(crate) fn tag(&self, user: Option<&str>) -> Option<Tag> {
        let user = user.filter(|_| self.cluster)?;
        let digest = Sha256::new()
            .chain_update(b"restis slot ")
            .chain_update(user)
            .finalize();
        let mut tag = [0; 12];
        // 9 bytes are exactly 12 characters.
        let _ = URL_SAFE_NO_PAD.encode_slice(&digest[..9], &mut tag);
        Some(tag)
    }

    pub(crate) fn session(&self, tag: Option<Tag>, sid: Sid) -> String {
        match tag.as_ref().and_then(|t| std::str::from_utf8(t).ok()) {
            Some(tag) => format!("{}session:{{{tag}}}:{}", self.namespace, sid.as_str()),
            None => format!("{}session:{}", self.namespace, sid.as_str()),
        }
    }

    pub(crate) fn user(&self, user: User<'_>) -> UserKeys {
        let tag = self.tag(Some(user.id()));
        let tag = tag.as_ref().and_then(|t| std::str::from_utf8(t).ok());
        let tag = tag.map_or(String::new(), |tag| format!("{{{tag}}}:"));
        let of_all = format!(
            "{}user:{tag}{}",
            self.namespace,
            identity::join([user.id()])
        );
        let base = match user.organisation_id() {
            Some(organisation) => {
                let who = identity::join([organisation, user.id()]);
                format!("{}org:{tag}{who}", self.namespace)
            }
            None => of_all.clone(),
        };
        let sessions = format!("{base}:sessions");
        let (index, set) = match self.set {
            true => (format!("{sessions}:by-expiry"), sessions),
            false => (sessions.clone(), sessions),
        };
        UserKeys {
            index,
            set,
            epoch: format!("{base}:epoch"),
            devices: format!("{base}:devices"),
            everywhere: format!("{of_all}:everywhere"),
            organisations: format!("{of_all}:organisations"),
            base,
        }
    }

    /// How many counts there are.
    pub(crate) const COUNTS: u8 = 16;

    /// The exact count that a session belongs to.
    pub(crate) fn count(&self, sid: Sid) -> String {
        let first = sid.as_str().bytes().next().unwrap_or_default();
        self.count_at(first % Self::COUNTS)
    }

    pub(crate) fn count_at(&self, shard: u8) -> String {
        format!("{}session:live:{shard:x}", self.namespace)
    }

    /// The estimate of sessions used in one hour.
    pub(crate) fn used_in(&self, hour: u64) -> String {
        format!("{}session:used:{hour}", self.namespace)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.cluster
    }

    pub(crate) fn has_set(&self) -> bool {
        self.set
    }
}

impl Keys {
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether a key found by pattern holds a session, not a count.
    pub(crate) fn is_session(&self, key: &str) -> bool {
        let Some(rest) = key
            .strip_prefix(&self.namespace)
            .and_then(|r| r.strip_prefix("session:"))
        else {
            return false;
        };
        let sid = match rest.strip_prefix('{') {
            Some(tagged) => tagged.split_once("}:").map_or("", |(_, sid)| sid),
            None => rest,
        };
        Sid::parse(sid).is_some()
    }
}
