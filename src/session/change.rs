//! Changing the values of a session, field by field.

use super::{EventKind, Session, Sessions, codec, codec::check_name, error, state::field};
use crate::{Error, FromReply, Reply, Result};
use http::HeaderMap;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::fmt;

script_call! {
    Update<'a> = "lua/update.lua"
    keys { session_key }
    args {
        // -1 for any.
        version: String,
        most_fields: u32, set_count: usize, increment_count: usize
    }
}
script_call! {
    Take<'a> = "lua/take.lua"
    keys { session_key }
    args {}
}

/// The most changes in one update.
const MAX_CHANGES: usize = 256;

/// Changes to some fields; the others stay as they are, whoever writes them.
///
/// Its `Debug` shows names, no values.
#[derive(Clone, Default)]
#[must_use = "nothing happens before `Sessions::update`"]
pub struct Changes {
    sets: Vec<(String, String)>,
    flashes: Vec<(String, String)>,
    increments: Vec<(String, i64)>,
    removals: Vec<String>,
    version: Option<u64>,
    problem: Option<Error>,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |list: &[(String, String)]| -> Vec<String> {
            list.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("Changes")
            .field("sets", &names(&self.sets))
            .field("flashes", &names(&self.flashes))
            .field("increments", &self.increments)
            .field("removals", &self.removals)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Changes {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What turns one structure into the other: changed fields are set, missing and null ones removed.
    pub fn between<T: Serialize + ?Sized>(before: &T, after: &T) -> Self {
        let objects = (serde_json::to_value(before), serde_json::to_value(after));
        let (Ok(Value::Object(before)), Ok(Value::Object(after))) = objects else {
            return Self::new().failed(error::invalid("session data must be a structure"));
        };
        let mut changes = Self::new();
        for (name, value) in &after {
            if before.get(name) == Some(value) {
                continue;
            }
            changes = match value {
                Value::Null => changes.remove(name),
                value => changes.set(name, value),
            };
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            changes = changes.remove(name);
        }
        changes
    }

    /// What a JSON merge patch makes of a session: null removes, an object is merged, anything else sets.
    ///
    /// A patch with an object in it is for the version of the session that it was merged with. Source:
    /// <https://www.rfc-editor.org/rfc/rfc7396>.
    ///
    /// # Errors
    /// When a value that is merged does not open.
    pub fn merge_patch(session: &Session, patch: &Map<String, Value>) -> Result<Self> {
        let mut changes = Self::new();
        for (name, value) in patch {
            changes = match value {
                Value::Null => changes.remove(name),
                Value::Object(members) => {
                    let mut merged = session.get::<Value>(name)?.unwrap_or_default();
                    merge(&mut merged, members);
                    changes.set(name, &merged).if_version(session.version())
                }
                value => changes.set(name, value),
            };
        }
        Ok(changes)
    }

    fn failed(mut self, problem: Error) -> Self {
        self.problem.get_or_insert(problem);
        self
    }

    /// Sets a field.
    pub fn set<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        match codec::to_json(value) {
            Ok(json) => self.sets.push((name.to_owned(), json)),
            Err(e) => self = self.failed(e),
        }
        self
    }

    /// Removes a field.
    pub fn remove(mut self, name: &str) -> Self {
        self.removals.push(name.to_owned());
        self
    }

    /// Adds to a counter. Counters have names of their own and are never sealed.
    pub fn increment(mut self, name: &str, by: i64) -> Self {
        self.increments.push((name.to_owned(), by));
        self
    }

    /// Leaves a value that is read once; see [`Sessions::take_flash`].
    pub fn flash<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        match codec::to_json(value) {
            Ok(json) => self.flashes.push((name.to_owned(), json)),
            Err(e) => self = self.failed(e),
        }
        self
    }

    /// Changes nothing unless the session still has this version.
    pub fn if_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// These changes after the ones so far.
    pub fn then(mut self, later: Self) -> Self {
        let settled = |name: &str| {
            later.removals.iter().any(|n| n == name) || later.sets.iter().any(|(n, _)| n == name)
        };
        self.sets.retain(|(name, _)| !settled(name));
        self.removals.retain(|name| !settled(name));
        self.increments
            .retain(|(name, _)| !later.removals.contains(name));
        self.flashes
            .retain(|(name, _)| !later.flashes.iter().any(|(n, _)| n == name));
        self.sets.extend(later.sets);
        self.flashes.extend(later.flashes);
        self.increments.extend(later.increments);
        self.removals.extend(later.removals);
        self.version = later.version.or(self.version);
        self.problem = self.problem.or(later.problem);
        self
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
            && self.flashes.is_empty()
            && self.increments.is_empty()
            && self.removals.is_empty()
    }

    fn check(&self) -> Result<()> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let names = self
            .sets
            .iter()
            .map(|(n, _)| n)
            .chain(self.flashes.iter().map(|(n, _)| n));
        for name in names
            .chain(self.increments.iter().map(|(n, _)| n))
            .chain(&self.removals)
        {
            check_name(name)?;
        }
        if self.sets.len() + self.flashes.len() + self.increments.len() + self.removals.len()
            > MAX_CHANGES
        {
            return Err(error::too_large("more than 256 changes in one update"));
        }
        Ok(())
    }
}

/// Merges the members of a patch into a value; what is no object is replaced by one.
fn merge(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(object.remove(name)),
            Value::Object(members) => merge(object.entry(name).or_insert(Value::Null), members),
            value => drop(object.insert(name.clone(), value.clone())),
        }
    }
}

/// What came of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Updated {
    /// Done.
    Done {
        /// The new version.
        version: u64,
        /// The counters that were changed, with their new values.
        counters: Vec<(String, i64)>,
    },
    /// Nothing changed: the session has another version than asked for.
    Conflict {
        /// The version it has.
        version: u64,
    },
    /// Nothing changed: the session is gone. It stays gone.
    Gone,
    /// Nothing changed: the session would have more fields than allowed.
    Full,
    /// Nothing changed: a counter would leave the range of 64 bits.
    Overflow,
}

enum ChangeReply<T> {
    Ok(T),
    Moved {
        successor: String,
        grace_end_ms: u64,
    },
    Other(String, Option<u64>),
}

fn answer<T>(
    reply: Reply,
    done: impl FnOnce(&mut dyn FnMut() -> Reply) -> Result<T>,
) -> Result<ChangeReply<T>> {
    let mut items = reply.into_array()?.into_iter();
    let mut next = || items.next().unwrap_or(Reply::Nil);
    let word = String::from_reply(next())?;
    Ok(match word.as_str() {
        "OK" => ChangeReply::Ok(done(&mut next)?),
        "MOVED" => {
            let successor = String::from_reply(next())?;
            ChangeReply::Moved {
                successor,
                grace_end_ms: Option::from_reply(next())?.unwrap_or(0),
            }
        }
        _ => ChangeReply::Other(word, Option::from_reply(next())?),
    })
}

impl Sessions {
    /// How many fields a session may have.
    pub fn max_fields(&self) -> u32 {
        self.0.config.max_fields
    }

    /// Changes fields of a session that exists: one request.
    ///
    /// Never brings a session back: after sign-out the answer is [`Updated::Gone`]. The snapshot
    /// follows its own change. A request that comes late during the grace of a renewed identifier
    /// takes one more.
    ///
    /// # Errors
    /// `InvalidInput` and `TooLarge` for values out of bounds; otherwise when the store does not answer.
    pub async fn update(&self, session: &mut Session, changes: &Changes) -> Result<Updated> {
        changes.check()?;
        if changes.is_empty() {
            return Ok(Updated::Done {
                version: session.version(),
                counters: Vec::new(),
            });
        }
        for _ in 0..2 {
            match self.send_update(session, changes).await? {
                ChangeReply::Ok((version, values)) => {
                    session.core.version = version;
                    return Ok(Updated::Done {
                        version,
                        counters: self.apply(session, changes, &values)?,
                    });
                }
                ChangeReply::Moved {
                    successor,
                    grace_end_ms,
                } => {
                    let (token, sid) = (&session.token, session.sid);
                    let next = self
                        .follow(token, sid, &successor, grace_end_ms, session.subject())
                        .await?;
                    let Ok(next) = next else { break };
                    let Some(sid) = self.sid(&next) else { break };
                    session.token = next;
                    session.sid = sid;
                    session.new_cookie = true;
                }
                ChangeReply::Other(word, version) => match word.as_str() {
                    "CONFLICT" => {
                        self.emit(EventKind::Conflict, Some(session), "update");
                        return Ok(Updated::Conflict {
                            version: version.unwrap_or(0),
                        });
                    }
                    "FULL" => return Ok(Updated::Full),
                    "OVERFLOW" => return Ok(Updated::Overflow),
                    _ => break,
                },
            }
        }
        self.emit(EventKind::Gone, Some(session), "update");
        Ok(Updated::Gone)
    }

    async fn send_update(
        &self,
        session: &Session,
        changes: &Changes,
    ) -> Result<ChangeReply<(u64, Vec<i64>)>> {
        let inner = &self.0;
        let mut sets = Vec::with_capacity(2 * (changes.sets.len() + changes.flashes.len()));
        for (prefix, list) in [
            (field::DATA, &changes.sets),
            (field::FLASH, &changes.flashes),
        ] {
            for (name, json) in list {
                sets.push(format!("{prefix}{name}"));
                sets.push(inner.codec.write(session.owner(), name, json)?);
            }
        }
        let increments = changes.increments.iter();
        let removals = changes.removals.iter();
        let call = Update {
            session_key: &inner.keys.session(session.token.tag, session.sid),
            version: changes
                .version
                .map_or_else(|| "-1".to_owned(), |v| v.to_string()),
            // The core facts have room of their own.
            most_fields: inner.config.max_fields + 16,
            set_count: sets.len() / 2,
            increment_count: increments.len(),
        };
        let reply: Reply = call
            .call()
            .args(sets)
            .args(
                increments
                    .flat_map(|(name, by)| [format!("{}{name}", field::COUNTER), by.to_string()]),
            )
            .args(removals.flat_map(|name| {
                [
                    format!("{}{name}", field::DATA),
                    format!("{}{name}", field::COUNTER),
                ]
            }))
            .run(&inner.redis)
            .await?;
        answer(reply, |next| {
            Ok((u64::from_reply(next())?, Vec::from_reply(next())?))
        })
    }

    /// Lets the snapshot follow the change.
    fn apply(
        &self,
        session: &mut Session,
        changes: &Changes,
        values: &[i64],
    ) -> Result<Vec<(String, i64)>> {
        for (prefix, list) in [
            (field::DATA, &changes.sets),
            (field::FLASH, &changes.flashes),
        ] {
            for (name, json) in list {
                let stored = self.0.codec.write(session.owner(), name, json)?;
                session.set_stored(format!("{prefix}{name}"), Some(stored));
            }
        }
        let mut counters = Vec::with_capacity(values.len());
        for ((name, _), value) in changes.increments.iter().zip(values) {
            session.set_stored(format!("{}{name}", field::COUNTER), Some(value.to_string()));
            counters.push((name.clone(), *value));
        }
        for name in &changes.removals {
            session.set_stored(format!("{}{name}", field::DATA), None);
            session.set_stored(format!("{}{name}", field::COUNTER), None);
        }
        Ok(counters)
    }

    /// Reads a flash value and removes it: of parallel requests one gets it. No request without one.
    ///
    /// A prefetch (`Sec-Purpose`, `Purpose`, `Next-Router-Prefetch`) gets nothing and removes nothing:
    /// nobody would see it.
    ///
    /// # Errors
    /// `Decode` when it is not of this type; otherwise when the store does not answer.
    pub async fn take_flash<T: DeserializeOwned>(
        &self,
        session: &mut Session,
        name: &str,
        headers: &HeaderMap,
    ) -> Result<Option<T>> {
        if is_prefetch(headers) || !session.flashes().any(|f| f == name) {
            return Ok(None);
        }
        let stored_name = format!("{}{name}", field::FLASH);
        for _ in 0..2 {
            let key = self.0.keys.session(session.token.tag, session.sid);
            let reply: Reply = Take { session_key: &key }
                .call()
                .arg(&stored_name)
                .run(&self.0.redis)
                .await?;
            match answer(reply, |next| Vec::<String>::from_reply(next()))? {
                ChangeReply::Ok(values) => {
                    session.set_stored(stored_name, None);
                    let Some(stored) = values.into_iter().next().filter(|v| !v.is_empty()) else {
                        return Ok(None);
                    };
                    let json = session.codec().read(session.owner(), name, &stored)?;
                    return codec::from_json(&json).map(Some);
                }
                ChangeReply::Moved {
                    successor,
                    grace_end_ms,
                } => {
                    let (token, sid) = (&session.token, session.sid);
                    let next = self
                        .follow(token, sid, &successor, grace_end_ms, session.subject())
                        .await?;
                    let Some((token, sid)) = next.ok().and_then(|t| self.sid(&t).map(|s| (t, s)))
                    else {
                        break;
                    };
                    (session.token, session.sid, session.new_cookie) = (token, sid, true);
                }
                ChangeReply::Other(..) => break,
            }
        }
        self.emit(EventKind::Gone, Some(session), "flash");
        Ok(None)
    }

    /// Loads the session again, e.g. after a conflict.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn reload(&self, session: &Session) -> Result<Option<Session>> {
        Ok(self.peek(&session.token).await?.session())
    }
}

/// Whether a browser or framework fetches ahead of the user.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    let says_so = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.to_ascii_lowercase().contains("prefetch"))
    };
    says_so("sec-purpose") || says_so("purpose") || headers.contains_key("next-router-prefetch")
}
