//! Listing and counting sessions.

use super::{
    Authentication, Keys, Session, Sessions, Sid, User, config::Counting, new_session::check_id,
    revoke::users_in, state::field,
};
use crate::{ErrorKind, Result};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};

script_call! {
    Sweep<'a> = "lua/sweep.lua"
    keys { count_key }
    args { now: u64, most: u32 }
}

/// The most sessions that a list shows.
const MAX_LISTED: usize = 1000;
/// What a list shows of a session.
const SHOWN: [&str; 9] = [
    field::PUBLIC_ID,
    field::CREATED,
    field::USED,
    field::END,
    field::IDLE,
    field::ORGANISATION,
    field::LABEL,
    field::NETWORK,
    field::AUTH,
];

/// One entry of a user's list of sessions: neither token nor stored identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The id to revoke it by.
    pub public_id: String,
    /// Whether it is the session that asks.
    pub current: bool,
    /// When it was created, milliseconds since 1970.
    pub created_ms: u64,
    /// When it was last extended, milliseconds since 1970.
    pub used_ms: u64,
    /// When it ends without further use, milliseconds since 1970.
    pub expires_ms: u64,
    /// The organisation.
    pub organisation: Option<String>,
    /// The device's label.
    pub device: Option<String>,
    /// The network it was created from.
    pub network: Option<String>,
    /// How and when the user signed in.
    pub authentication: Authentication,
    pub(crate) sid: Sid,
}

/// How many sessions are live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Active {
    /// Counted one by one.
    Exact(u64),
    /// About ±1 %, with those that ended early.
    Estimate(u64),
    /// Counting is off.
    Unknown,
}

impl Sessions {
    /// The user's live sessions, last used first: two requests.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list<'u>(
        &self,
        user: impl Into<User<'u>>,
        current: Option<&Session>,
    ) -> Result<Vec<SessionInfo>> {
        let mut entries = self.entries(user.into()).await?;
        for entry in &mut entries {
            entry.current = current.is_some_and(|c| c.public_id() == entry.public_id);
        }
        entries.sort_by_key(|e| std::cmp::Reverse(e.used_ms));
        Ok(entries)
    }

    /// The live sessions of a user's id in every organisation, last used first: three requests.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list_everywhere(&self, user: &str) -> Result<Vec<SessionInfo>> {
        check_id(user)?;
        let key = self.0.keys.user(user.into()).organisations;
        let live = self.members(&key, self.now_ms());
        let organisations = live.await?;
        let lists = users_in(user, &organisations).map(|user| self.entries(user));
        let lists = futures_util::future::try_join_all(lists).await?;
        let mut entries: Vec<_> = lists.into_iter().flatten().collect();
        entries.sort_by_key(|e| std::cmp::Reverse(e.used_ms));
        entries.truncate(MAX_LISTED);
        Ok(entries)
    }

    /// What an index by expiry holds that has not expired.
    async fn members(&self, key: &str, now_ms: u64) -> Result<Vec<String>> {
        let (now, most) = (now_ms.to_string(), MAX_LISTED.to_string());
        let query = self.0.redis.command("ZRANGEBYSCORE");
        let query = query.args([key, &now, "+inf", "LIMIT", "0", &most]);
        let members: Vec<Bytes> = query.query().await?;
        // What is no text was written by another program.
        let texts = members.into_iter().map(|m| String::from_utf8(m.into()));
        Ok(texts.filter_map(std::result::Result::ok).collect())
    }

    pub(crate) async fn entries(&self, user: User<'_>) -> Result<Vec<SessionInfo>> {
        user.check()?;
        let inner = &self.0;
        let now = self.now_ms();
        let tag = inner.keys.tag(Some(user.id()));
        let sids = self.members(&inner.keys.user(user).index, now).await?;
        // Members that are no identifiers, and sessions that cannot be read, are passed over.
        let sids: Vec<Sid> = sids.iter().filter_map(|s| Sid::parse(s)).collect();
        if sids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = inner.redis.pipeline();
        let handles: Vec<_> = sids
            .iter()
            .map(|sid| {
                let command = command!("HMGET")
                    .arg(inner.keys.session(tag, *sid))
                    .args(SHOWN);
                pipeline.add::<Vec<Option<Bytes>>>(command)
            })
            .collect();
        let mut replies = pipeline.exec().await?;
        let (mut entries, mut dead) = (Vec::new(), Vec::new());
        for (sid, handle) in sids.into_iter().zip(handles) {
            let values = match replies.take(handle) {
                Err(error) if error.kind() == ErrorKind::WrongType => continue,
                read => read?,
            };
            match info(sid, values, inner.config.lifetimes.idle) {
                Some(entry) if now < entry.expires_ms => entries.push(entry),
                _ => dead.push(sid),
            }
        }
        // Entries of sessions that the store dropped by itself, e.g. under memory pressure.
        if !dead.is_empty() {
            self.end(Some(user), tag, dead).await?;
        }
        Ok(entries)
    }

    /// How many live sessions the user has: one request.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn count<'u>(&self, user: impl Into<User<'u>>) -> Result<u64> {
        let user = user.into();
        user.check()?;
        let index = self.0.keys.user(user).index;
        let from = format!("({}", self.now_ms());
        self.0
            .redis
            .command("ZCOUNT")
            .args([index.as_str(), &from, "+inf"])
            .query()
            .await
    }

    /// How many sessions are live: one request.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn active(&self) -> Result<Active> {
        let inner = &self.0;
        let now = self.now_ms();
        match inner.config.counts() {
            Counting::Off => Ok(Active::Unknown),
            Counting::Estimate => {
                let last = now / 3_600_000;
                let hours = inner
                    .config
                    .lifetimes
                    .idle
                    .as_secs()
                    .div_ceil(3600)
                    .min(31 * 24);
                let names =
                    (last.saturating_sub(hours)..=last).map(|hour| inner.keys.used_in(hour));
                Ok(Active::Estimate(
                    inner.redis.command("PFCOUNT").args(names).query().await?,
                ))
            }
            Counting::Exact => {
                let mut pipeline = inner.redis.pipeline();
                let handles: Vec<_> = (0..Keys::COUNTS)
                    .map(|shard| {
                        let from = format!("({now}");
                        let key = inner.keys.count_at(shard);
                        pipeline.add::<u64>(command!("ZCOUNT").args([key.as_str(), &from, "+inf"]))
                    })
                    .collect();
                let mut replies = pipeline.exec().await?;
                let mut sum = 0;
                for handle in handles {
                    sum += replies.take(handle)?;
                }
                Ok(Active::Exact(sum))
            }
        }
    }

    /// Removes ended sessions from the exact count, at most `most` for each of its 16 parts; one request.
    ///
    /// Returns how many it removed: sessions that expired without anybody looking. Run it every few minutes;
    /// logins remove a few as well.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn sweep(&self, most: u32) -> Result<u64> {
        let inner = &self.0;
        if inner.config.counts() != Counting::Exact {
            return Ok(0);
        }
        let mut pipeline = inner.redis.pipeline();
        let now = self.now_ms();
        let handles: Vec<_> = (0..Keys::COUNTS)
            .map(|shard| {
                let call = Sweep {
                    count_key: &inner.keys.count_at(shard),
                    now,
                    most: most.clamp(1, 5000),
                };
                call.call().queue::<u64>(&mut pipeline)
            })
            .collect();
        let mut replies = pipeline.exec().await?;
        let mut removed = 0;
        for handle in handles {
            removed += replies.take(handle)?;
        }
        Ok(removed)
    }
}

fn info(sid: Sid, values: Vec<Option<Bytes>>, idle: Duration) -> Option<SessionInfo> {
    let mut fields: BTreeMap<&str, String> = SHOWN
        .into_iter()
        .zip(values)
        .filter_map(|(name, value)| Some((name, String::from_utf8(value?.into()).ok()?)))
        .collect();
    let number = |name: &str| fields.get(name).and_then(|v| v.parse::<u64>().ok());
    let (created_ms, used_ms, end_ms) = (
        number(field::CREATED)?,
        number(field::USED)?,
        number(field::END)?,
    );
    let idle_ms = number(field::IDLE).unwrap_or(idle.as_millis() as u64);
    Some(SessionInfo {
        public_id: fields.remove(field::PUBLIC_ID)?,
        current: false,
        created_ms,
        used_ms,
        expires_ms: end_ms.min(used_ms.saturating_add(idle_ms)),
        organisation: fields.remove(field::ORGANISATION),
        device: fields.remove(field::LABEL),
        network: fields.remove(field::NETWORK),
        authentication: fields
            .remove(field::AUTH)
            .map(|a| Authentication::parse(&a))
            .unwrap_or_default(),
        sid,
    })
}
