//! What a new session starts with.

use super::user::{OwnedUser, User};
use super::{Device, Secrets, Session, Token, codec, error};
use crate::{Error, Result, identity};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt, time::Duration};

/// The most bytes of a user's or organisation's id.
pub const MAX_ID_BYTES: usize = 128;

/// A user's epoch before a login; see [`Sessions::begin_login`](super::Sessions::begin_login).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginEpoch(pub(crate) String);

impl LoginEpoch {
    /// The epoch as text, to carry it through a login form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an epoch from text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| Self(text.to_owned()))
    }
}

/// What a new session starts with.
///
/// Its `Debug` shows no value and no key.
#[derive(Clone, Default)]
#[must_use = "nothing happens before `Sessions::create`"]
pub struct NewSession {
    pub(super) user: Option<String>,
    pub(super) organisation: Option<String>,
    pub(super) methods: Vec<String>,
    pub(super) device: Device,
    pub(super) idle: Option<Duration>,
    pub(super) absolute: Option<Duration>,
    pub(super) values: BTreeMap<String, String>,
    pub(super) replaced: Option<(Token, Option<OwnedUser>)>,
    pub(super) epoch: Option<LoginEpoch>,
    pub(super) repeat_key: Option<String>,
    /// Whose key it is.
    pub(super) requested_by: String,
    /// What the key is for.
    pub(super) fingerprint: String,
    /// Whether the key is good for one login only.
    pub(super) once: bool,
    problem: Option<Error>,
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession")
            .field("user", &self.user)
            .field("organisation", &self.organisation)
            .field("values", &self.values.keys())
            .finish_non_exhaustive()
    }
}

impl NewSession {
    /// A session of a visitor who has not signed in.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// A session of a user that the caller has authenticated.
    pub fn user(id: impl Into<String>) -> Self {
        Self {
            user: Some(id.into()),
            ..Self::default()
        }
    }

    /// Sets the organisation.
    pub fn organisation(mut self, id: impl Into<String>) -> Self {
        self.organisation = Some(id.into());
        self
    }

    /// Says by which methods the user was verified, e.g. `pwd`, `otp` (RFC 8176).
    pub fn authenticated_by(
        mut self,
        methods: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.methods = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the device facts.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Overrides the idle time, e.g. for "remember me".
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Overrides the absolute lifetime; not longer than the configured one.
    pub fn absolute(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    /// Sets one value.
    pub fn set<T: Serialize + ?Sized>(mut self, name: impl Into<String>, value: &T) -> Self {
        match codec::to_json(value) {
            Ok(json) => {
                self.values.insert(name.into(), json);
            }
            Err(e) => self.problem = self.problem.or(Some(e)),
        }
        self
    }

    /// Sets every field of a structure as one value each.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        match serde_json::to_value(data) {
            Ok(serde_json::Value::Object(object)) => {
                self.values.extend(
                    object
                        .into_iter()
                        .map(|(name, value)| (name, value.to_string())),
                );
            }
            _ => {
                self.problem = self
                    .problem
                    .or_else(|| Some(error::invalid("session data must be a structure")));
            }
        }
        self
    }

    /// Ends the session that the same browser presents, in the same step.
    pub fn replace(mut self, session: &Session) -> Self {
        self.replaced = Some((session.token.clone(), session.subject().map(User::to_owned)));
        self
    }

    /// Ends the session of a token that was not loaded.
    pub fn replace_token(mut self, token: &Token) -> Self {
        self.replaced = Some((token.clone(), None));
        self
    }

    /// Turns an anonymous session into this one: ends it and keeps the named values, no others.
    ///
    /// Nothing is kept of a visitor of another organisation.
    pub fn upgrade<'a>(
        mut self,
        anonymous: &Session,
        keep: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let moves = anonymous.organisation().is_none()
            || anonymous.organisation() == self.organisation.as_deref();
        for name in keep.into_iter().filter(|_| moves) {
            match anonymous.json(name) {
                Ok(Some(json)) => {
                    self.values.insert(name.to_owned(), json);
                }
                Ok(None) => {}
                Err(e) => self.problem = self.problem.or(Some(e)),
            }
        }
        self.replace(anonymous)
    }

    /// Refuses the login if "sign out everywhere" happened since [`Sessions::begin_login`](super::Sessions::begin_login).
    pub fn epoch(mut self, epoch: LoginEpoch) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Recognises a repeated login by its idempotency key for a minute: it gets the first session.
    ///
    /// The key is one of the user, its organisation and [`requested_by`](Self::requested_by).
    pub fn repeat_key(mut self, key: impl Into<String>) -> Self {
        self.repeat_key = Some(key.into());
        self
    }

    /// Says who asks for the login: another one's equal key is another key.
    pub fn requested_by(mut self, principal: impl Into<String>) -> Self {
        self.requested_by = principal.into();
        self
    }

    /// Refuses a repeat of the key with another payload ([`Creation::KeyReused`]).
    ///
    /// [`Creation::KeyReused`]: super::Creation::KeyReused
    pub fn fingerprint(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.fingerprint = URL_SAFE_NO_PAD.encode(Sha256::digest(payload));
        self
    }

    /// Refuses the login if its key was used within the last two minutes: for credentials that are good once.
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.once = true;
        self.repeat_key(key)
    }

    /// Whose session it will be.
    pub(super) fn subject(&self) -> Option<User<'_>> {
        let user = User::new(self.user.as_deref()?);
        Some(user.organisation(self.organisation.as_deref()))
    }

    /// Names the repeated login among those of its owner.
    pub(super) fn marker(&self) -> Option<String> {
        let key = self.repeat_key.as_deref()?;
        let kind = if self.once { "once" } else { "repeat" };
        Some(Secrets::login_marker(
            self.subject()?,
            &[kind, &self.requested_by, key],
        ))
    }

    pub(super) fn check(&mut self) -> Result<()> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        for id in [&self.user, &self.organisation].into_iter().flatten() {
            check_id(id)?;
        }
        if self
            .methods
            .iter()
            .any(|m| m.is_empty() || m.len() > 16 || !m.bytes().all(|b| b.is_ascii_graphic()))
            || self.methods.len() > 3
        {
            return Err(error::invalid(
                "at most three authentication methods of 1 to 16 graphic characters",
            ));
        }
        if self
            .repeat_key
            .as_ref()
            .is_some_and(|k| k.is_empty() || k.len() > 256)
        {
            return Err(error::invalid(
                "an idempotency key must have 1 to 256 bytes",
            ));
        }
        if [self.idle, self.absolute]
            .into_iter()
            .flatten()
            .any(|d| d < Duration::from_secs(1))
        {
            return Err(error::invalid("a session must live 1 s or more"));
        }
        Ok(())
    }
}

pub(crate) fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(error::invalid("an id must have 1 to 128 bytes"));
    }
    if !identity::is_path_segment(id) {
        return Err(error::invalid(
            "an id must not be blank or have `.` or `..` between slashes",
        ));
    }
    Ok(())
}
