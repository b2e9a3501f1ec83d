//! Ending sessions: one, all of a user, all but this one.

use super::{EventKind, Session, Sessions, Sid, Token, new_session::check_id, token::Tag};
use crate::{FromReply, Reply, Result, Script};
use std::collections::{BTreeSet, HashSet};

static REVOKE: Script = Script::new(include_str!("lua/revoke.lua"));
static EPOCH: Script = Script::new(include_str!("lua/epoch.lua"));

/// Sessions ended in one request.
const CHUNK: usize = 500;
/// Renewals that an ending follows.
const MAX_ROUNDS: usize = 16;

#[derive(Debug, Default)]
struct Ended {
    live: Vec<Sid>,
    successors: Vec<Sid>,
    users: Vec<String>,
}

impl FromReply for Ended {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (live, successors, users) =
            <(Vec<String>, Vec<String>, Vec<String>)>::from_reply(reply)?;
        let sids = |list: Vec<String>| list.iter().filter_map(|s| Sid::parse(s)).collect();
        Ok(Self {
            live: sids(live),
            successors: sids(successors),
            users,
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
            .end(session.user(), session.token.tag, vec![session.sid])
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
        let user = first.users.first().cloned();
        let mut ended = first.live.len();
        let rest: Vec<Sid> = first
            .successors
            .into_iter()
            .chain(user.as_ref().map(|_| sid))
            .collect();
        if !rest.is_empty() {
            ended += self.end(user.as_deref(), token.tag, rest).await?.len();
        }
        if ended > 0 {
            self.emit_for(EventKind::Revoked, user.as_deref(), Some(sid), "logout");
        }
        Ok(ended > 0)
    }

    /// Ends every session of a user, also logins that are on their way: two requests.
    ///
    /// # Errors
    /// When the store does not answer: call again, some sessions may live on.
    pub async fn revoke_all(&self, user: &str) -> Result<u64> {
        self.revoke_except(user, None).await
    }

    /// Ends every session of the user but this one: two requests.
    ///
    /// # Errors
    /// When the store does not answer: call again, some sessions may live on.
    pub async fn revoke_others(&self, current: &Session) -> Result<u64> {
        match current.user() {
            Some(user) => self.revoke_except(user, Some(current)).await,
            None => Ok(0),
        }
    }

    async fn revoke_except(&self, user: &str, kept: Option<&Session>) -> Result<u64> {
        check_id(user)?;
        let inner = &self.0;
        let keys = inner.keys.user(user);
        let kept_key = kept.map_or_else(
            || keys.epoch.clone(),
            |s| inner.keys.session(s.token.tag, s.sid),
        );
        let (_, sids): (String, Vec<String>) = EPOCH
            .key(&keys.epoch)
            .key(&keys.index)
            .key(kept_key)
            .arg(self.now_ms())
            .arg(inner.config.lifetimes.absolute.as_millis() as u64)
            .arg(kept.map_or("", |s| s.sid.as_str()))
            .idempotent()
            .run(&inner.redis)
            .await?;
        let sids = sids.iter().filter_map(|s| Sid::parse(s)).collect();
        let ended = self
            .end(Some(user), inner.keys.tag(Some(user)), sids)
            .await?;
        for sid in &ended {
            self.emit_for(EventKind::Revoked, Some(user), Some(*sid), "revoke all");
        }
        Ok(ended.len() as u64)
    }

    /// Ends one of a user's sessions by its public id: three requests.
    ///
    /// `false` if the user has no such session; do not tell whether somebody else has.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn revoke(&self, user: &str, public_id: &str) -> Result<bool> {
        let Some(found) = self
            .entries(user)
            .await?
            .into_iter()
            .find(|e| e.public_id == public_id)
        else {
            return Ok(false);
        };
        let ended = self
            .end(Some(user), self.0.keys.tag(Some(user)), vec![found.sid])
            .await?;
        for sid in &ended {
            self.emit_for(EventKind::Revoked, Some(user), Some(*sid), "revoke");
        }
        Ok(!ended.is_empty())
    }

    /// Deletes sessions and their index entries, and whatever they were renewed into.
    pub(crate) async fn end(
        &self,
        user: Option<&str>,
        tag: Option<Tag>,
        sids: Vec<Sid>,
    ) -> Result<Vec<Sid>> {
        let mut ended = Vec::new();
        let mut seen: HashSet<Sid> = HashSet::new();
        let mut left = sids;
        for _ in 0..MAX_ROUNDS {
            left.retain(|sid| seen.insert(*sid));
            if left.is_empty() {
                break;
            }
            let mut next = Vec::new();
            for chunk in left.chunks(CHUNK) {
                let answer = self.send_revoke(user, tag, chunk).await?;
                ended.extend(answer.live);
                next.extend(answer.successors);
            }
            left = next;
        }
        Ok(ended)
    }

    async fn send_revoke(
        &self,
        user: Option<&str>,
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
        let mut call = REVOKE.key(index).key(set);
        for (sid, name) in sids.iter().zip(&names) {
            call = call.key(name).key(self.count_key(*sid, now, name));
        }
        let flags = if user.is_some() {
            self.flags()
        } else {
            self.flags().replace('s', "")
        };
        call.arg(flags)
            .args(sids.iter().map(Sid::as_str))
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
        let mut users: BTreeSet<String> = BTreeSet::new();
        names.retain(|name| self.0.keys.is_session(name));
        if !names.is_empty() {
            let mut pipeline = self.0.redis.pipeline();
            let facts: Vec<_> = names
                .iter()
                .map(|key| {
                    let facts = command!("HMGET").arg(key).args(["u", "v"]);
                    pipeline.add::<(Option<String>, Option<String>)>(facts)
                })
                .collect();
            let gone = pipeline.add::<u64>(command!("UNLINK").args(&names));
            let mut replies = pipeline.exec().await?;
            for handle in facts {
                let (user, version) = replies.take(handle)?;
                users.extend(user.filter(|u| !u.is_empty()));
                // Traces of renewed identifiers go too, but are no sessions.
                ended += u64::from(version.is_some());
            }
            replies.take(gone)?;
        }
        for user in &users {
            self.entries(user).await?;
        }
        if ended > 0 {
            self.emit_for(EventKind::Revoked, None, None, "revoke everyone");
        }
        Ok(((next != "0").then_some(next), ended))
    }
}
