//! Ending sessions: one, all of a user, all but this one.

use super::{
    EventKind, Session, Sessions, Sid, Token,
    new_session::check_id,
    token::Tag,
    user::{OwnedUser, User},
};
use crate::{FromReply, Reply, Result};
use std::collections::{BTreeMap, BTreeSet, HashSet};

script_call! {
    Revoke<'a> = "lua/revoke.lua"
    keys { index_key, set_key }
    args {
        // s set, x exact count.
        flags: &'a str,
    }
}
script_call! {
    /// Without a session to keep, its key is the epoch's and its sid is empty.
    MoveEpoch<'a> = "lua/epoch.lua"
    keys { epoch_key, index_key, kept_key }
    args { now: u64, ttl_ms: u64, kept_sid: &'a str }
}

/// Sessions ended in one request.
const CHUNK: usize = 500;
/// Renewals that an ending follows.
const MAX_ROUNDS: usize = 16;

#[derive(Debug, Default)]
struct Ended {
    live: Vec<Sid>,
    /// What identifiers that had been renewed lead to.
    successors: Vec<(Option<OwnedUser>, Sid)>,
    users: Vec<OwnedUser>,
}

impl FromReply for Ended {
    fn from_reply(reply: Reply) -> Result<Self> {
        type Lists = (Vec<String>, Vec<String>, Vec<String>, Vec<String>);
        let (live, successors, users, heirs) = Lists::from_reply(reply)?;
        let heirs = heirs
            .chunks(2)
            .map(|pair| OwnedUser::from_pairs(pair).next());
        let successors = heirs.zip(&successors);
        Ok(Self {
            live: live.iter().filter_map(|s| Sid::parse(s)).collect(),
            successors: successors
                .filter_map(|(user, sid)| Some((user, Sid::parse(sid)?)))
                .collect(),
            users: OwnedUser::from_pairs(&users).collect(),
        })
    }
}

impl Sessions {
    /// Signs out: ends the session in one request. Idempotent.
    ///
    /// If the identifier was renewed meanwhile, its successor ends too.
    ///
    /// # Errors
    /// When the store does not answer: the session may live on, tell the user.
    pub async fn logout(&self, session: &Session) -> Result<bool> {
        let ended = self
            .end(session.subject(), session.token.tag, vec![session.sid])
            .await?;
        if !ended.is_empty() {
            self.emit(EventKind::Revoked, Some(session), "logout");
        }
        Ok(!ended.is_empty())
    }

    /// Signs out by token alone: two requests, because the index entry is found through the session.
    ///
    /// # Errors
    /// When the store does not answer: the session may live on, tell the user.
    pub async fn logout_token(&self, token: &Token) -> Result<bool> {
        let Some(sid) = self.sid(token) else {
            return Ok(false);
        };
        let first = self.send_revoke(None, token.tag, &[sid]).await?;
        let mut ended = first.live.len();
        let user = first.users.into_iter().next();
        if let Some(user) = &user {
            ended += self
                .end(Some(user.borrow()), token.tag, vec![sid])
                .await?
                .len();
        }
        for (heir, sid) in first.successors {
            let heir = heir.as_ref().map(OwnedUser::borrow);
            ended += self.end(heir, token.tag, vec![sid]).await?.len();
        }
        let user = user.as_ref().map(|user| user.borrow().id());
        if ended > 0 {
            self.emit_for(EventKind::Revoked, user, Some(sid), "logout");
        }
        Ok(ended > 0)
    }

    /// Ends every session of a user, also logins that are on their way: two requests.
    ///
    /// # Errors
    /// When the store does not answer: call again, some sessions may live on.
    pub async fn revoke_all<'u>(&self, user: impl Into<User<'u>>) -> Result<u64> {
        self.revoke_except(user.into(), None).await
    }

    /// Ends every session of a user's id in every organisation, also logins that are on their way.
    ///
    /// # Errors
    /// When the store does not answer: call again, some sessions may live on.
    pub async fn revoke_everywhere(&self, user: &str) -> Result<u64> {
        check_id(user)?;
        let keys = self.0.keys.user(user.into());
        let organisations = self
            .move_epoch(&keys.everywhere, &keys.organisations, None)
            .await?;
        let users = users_in(user, &organisations);
        let revoked = users.map(|user| self.revoke_except(user, None));
        let revoked = futures_util::future::try_join_all(revoked).await?;
        Ok(revoked.iter().sum())
    }

    /// Ends every session of the user but this one: two requests.
    ///
    /// # Errors
    /// When the store does not answer: call again, some sessions may live on.
    pub async fn revoke_others(&self, current: &Session) -> Result<u64> {
        match current.subject() {
            Some(user) => self.revoke_except(user, Some(current)).await,
            None => Ok(0),
        }
    }

    /// Moves an epoch and returns what the index lists, but for a session that is kept.
    async fn move_epoch(
        &self,
        epoch: &str,
        index: &str,
        kept: Option<&Session>,
    ) -> Result<Vec<String>> {
        let inner = &self.0;
        let kept_key = kept.map(|s| inner.keys.session(s.token.tag, s.sid));
        let call = MoveEpoch {
            epoch_key: epoch,
            index_key: index,
            kept_key: kept_key.as_deref().unwrap_or(epoch),
            now: self.now_ms(),
            ttl_ms: inner.config.lifetimes.absolute.as_millis() as u64,
            kept_sid: kept.map_or("", |s| s.sid.as_str()),
        };
        let (_, listed): (String, Vec<String>) = call.call().idempotent().run(&inner.redis).await?;
        Ok(listed)
    }

    async fn revoke_except(&self, user: User<'_>, kept: Option<&Session>) -> Result<u64> {
        user.check()?;
        let keys = self.0.keys.user(user);
        let sids = self.move_epoch(&keys.epoch, &keys.index, kept).await?;
        let sids = sids.iter().filter_map(|s| Sid::parse(s)).collect();
        let tag = self.0.keys.tag(Some(user.id()));
        let ended = self.end(Some(user), tag, sids).await?;
        for sid in &ended {
            self.emit_for(
                EventKind::Revoked,
                Some(user.id()),
                Some(*sid),
                "revoke all",
            );
        }
        Ok(ended.len() as u64)
    }

    /// Ends one of a user's sessions by its public id: three requests.
    ///
    /// `false` if the user has no such session; do not tell whether somebody else has.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn revoke<'u>(&self, user: impl Into<User<'u>>, public_id: &str) -> Result<bool> {
        let user = user.into();
        let entries = self.entries(user).await?;
        let Some(found) = entries.into_iter().find(|e| e.public_id == public_id) else {
            return Ok(false);
        };
        let tag = self.0.keys.tag(Some(user.id()));
        let ended = self.end(Some(user), tag, vec![found.sid]).await?;
        for sid in &ended {
            self.emit_for(EventKind::Revoked, Some(user.id()), Some(*sid), "revoke");
        }
        Ok(!ended.is_empty())
    }

    /// Ends one of the sessions of a user's id, in whatever organisation, by its public id: four requests.
    ///
    /// `false` if the id has no such session.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn revoke_anywhere(&self, user: &str, public_id: &str) -> Result<bool> {
        let listed = self.list_everywhere(user).await?;
        let Some(found) = listed.into_iter().find(|e| e.public_id == public_id) else {
            return Ok(false);
        };
        let owner = User::new(user).organisation(found.organisation.as_deref());
        let tag = self.0.keys.tag(Some(user));
        let ended = self.end(Some(owner), tag, vec![found.sid]).await?;
        for sid in &ended {
            self.emit_for(EventKind::Revoked, Some(user), Some(*sid), "revoke");
        }
        Ok(!ended.is_empty())
    }

    /// Deletes sessions and their index entries, and whatever they were renewed into.
    pub(crate) async fn end(
        &self,
        user: Option<User<'_>>,
        tag: Option<Tag>,
        sids: Vec<Sid>,
    ) -> Result<Vec<Sid>> {
        let mut ended = Vec::new();
        let mut seen: HashSet<Sid> = HashSet::new();
        let mut left = BTreeMap::from([(user.map(User::to_owned), sids)]);
        for _ in 0..MAX_ROUNDS {
            let mut next: BTreeMap<_, Vec<Sid>> = BTreeMap::new();
            for (user, mut sids) in left {
                sids.retain(|sid| seen.insert(*sid));
                let user = user.as_ref().map(OwnedUser::borrow);
                for chunk in sids.chunks(CHUNK) {
                    let answer = self.send_revoke(user, tag, chunk).await?;
                    ended.extend(answer.live);
                    for (heir, sid) in answer.successors {
                        next.entry(heir).or_default().push(sid);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            left = next;
        }
        Ok(ended)
    }

    async fn send_revoke(
        &self,
        user: Option<User<'_>>,
        tag: Option<Tag>,
        sids: &[Sid],
    ) -> Result<Ended> {
        let inner = &self.0;
        let now = self.now_ms();
        let names: Vec<String> = sids
            .iter()
            .map(|sid| inner.keys.session(tag, *sid))
            .collect();
        let Some(first) = names.first() else {
            return Ok(Ended::default());
        };
        let user_keys = user.map(|u| inner.keys.user(u));
        let index = user_keys.as_ref().map_or(first, |k| &k.index);
        let set = user_keys.as_ref().map_or(first, |k| &k.set);
        let flags = if user.is_some() {
            self.flags()
        } else {
            self.flags().replace('s', "")
        };
        let call = Revoke {
            index_key: index,
            set_key: set,
            flags: &flags,
        };
        let mut call = call.call();
        for (sid, name) in sids.iter().zip(&names) {
            call = call.key(name).key(self.count_key(*sid, now, name));
        }
        call.args(sids.iter().map(Sid::as_str))
            .idempotent()
            .run(&inner.redis)
            .await
    }

    /// Ends sessions of everybody, one page of the keyspace for each call; start with cursor `"0"`.
    ///
    /// Returns the next cursor (`None` at the end) and how many ended. To end all at once, change the
    /// secrets: no old cookie is accepted from then on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn revoke_everyone(&self, cursor: &str) -> Result<(Option<String>, u64)> {
        type Facts = (Option<String>, Option<String>, Option<String>);
        let pattern = format!("{}session:*", self.0.keys.namespace());
        let scan = self
            .0
            .redis
            .command("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(1000);
        let (next, mut names): (String, Vec<String>) = scan.query().await?;
        let mut ended = 0;
        let mut users: BTreeSet<OwnedUser> = BTreeSet::new();
        names.retain(|name| self.0.keys.is_session(name));
        if !names.is_empty() {
            let mut pipeline = self.0.redis.pipeline();
            let facts: Vec<_> = names
                .iter()
                .map(|key| {
                    let facts = command!("HMGET").arg(key).args(["u", "o", "v"]);
                    pipeline.add::<Facts>(facts)
                })
                .collect();
            let gone = pipeline.add::<u64>(command!("UNLINK").args(&names));
            let mut replies = pipeline.exec().await?;
            for handle in facts {
                let (user, organisation, version) = replies.take(handle)?;
                users.extend(OwnedUser::from_fields(user, organisation));
                // Traces of renewed identifiers go too, but are no sessions.
                ended += u64::from(version.is_some());
            }
            replies.take(gone)?;
        }
        for user in &users {
            self.entries(user.borrow()).await?;
        }
        if ended > 0 {
            self.emit_for(EventKind::Revoked, None, None, "revoke everyone");
        }
        Ok(((next != "0").then_some(next), ended))
    }
}

/// A user's id in each organisation of a list, in which an empty name is none.
pub(super) fn users_in<'a>(
    user: &'a str,
    organisations: &'a [String],
) -> impl Iterator<Item = User<'a>> {
    let each = organisations.iter().map(String::as_str);
    each.map(move |name| User::new(user).organisation(Some(name).filter(|name| !name.is_empty())))
}
