//! Dead letters: what nobody could process, and giving it another chance.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Event, Events,
    keys::{check_scope, unless_lost},
};
use crate::{Error, FromReply, Reply, Result};

script_call! {
    Redrive<'a> = "lua/own.lua" "lua/redrive.lua".key_locking()
    keys { dead_key, work_key }
    args { subscriber: &'a str }
}

/// An event that a subscriber could not process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its id in the list.
    pub id: String,
    /// The subscriber that gave up.
    pub subscriber: String,
    /// `poison`, `exhausted`, `unreadable` or what the subscriber said.
    pub reason: String,
    /// How often it was handed out.
    pub attempts: u32,
    /// Failures: unix milliseconds and message, a line each, the newest last.
    pub tries: String,
    /// Epoch and offset in its history.
    pub position: String,
    /// The history it comes from.
    pub history: String,
    /// The event; `None` when it cannot be read.
    pub event: Option<Event>,
}

impl Events {
    /// Dead letters, oldest first, after an id.
    ///
    /// # Errors
    /// The store's error.
    pub async fn dead_letters(&self, after: Option<&str>, limit: u64) -> Result<Vec<DeadLetter>> {
        let from = match after {
            Some(id) if is_stream_id(id) => format!("({id}"),
            Some(_) => return Err(Error::invalid_input("not the id of a dead letter")),
            None => "-".into(),
        };
        let letters = self
            .redis
            .command("XRANGE")
            .arg(self.keys.dead_letters())
            .arg(from)
            .arg("+")
            .arg("COUNT")
            .arg(limit.clamp(1, 500))
            .query()
            .await;
        unless_lost(letters)
    }

    /// One dead letter.
    ///
    /// # Errors
    /// The store's error, or `InvalidInput` for the id.
    pub async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>> {
        if !is_stream_id(id) {
            return Err(Error::invalid_input("not the id of a dead letter"));
        }
        let found = self
            .redis
            .command("XRANGE")
            .args([self.keys.dead_letters().as_str(), id, id])
            .query()
            .await;
        let mut found: Vec<DeadLetter> = unless_lost(found)?;
        Ok(found.pop())
    }

    /// Moves dead letters back to their subscribers' work; says how many.
    ///
    /// Each id is moved at most once, however often this is called; those that cannot be read stay.
    ///
    /// # Errors
    /// The store's error; calling again is safe.
    pub async fn redrive(&self, letters: &[DeadLetter]) -> Result<u64> {
        let readable = letters.iter().filter(|letter| letter.event.is_some());
        let known = readable.filter(|letter| check_scope(&letter.subscriber).is_ok());
        let letters: Vec<&DeadLetter> = known.collect();
        let mut subscribers: Vec<&str> = letters.iter().map(|l| l.subscriber.as_str()).collect();
        subscribers.sort_unstable();
        subscribers.dedup();
        let mut moved = 0;
        for subscriber in subscribers {
            let ids = letters.iter().filter(|l| l.subscriber == subscriber);
            let call = Redrive {
                dead_key: &self.keys.dead_letters(),
                work_key: &self.keys.work(subscriber),
                subscriber,
            };
            let call = call.call().args(ids.map(|l| l.id.as_str()));
            moved += call.run::<u64>(&self.redis).await?;
        }
        Ok(moved)
    }

    /// Deletes dead letters; says how many were there.
    ///
    /// # Errors
    /// The store's error, or `InvalidInput` for an id.
    pub async fn purge(&self, ids: &[String]) -> Result<u64> {
        if ids.is_empty() {
            return Ok(0);
        }
        if !ids.iter().all(|id| is_stream_id(id)) {
            return Err(Error::invalid_input("not the id of a dead letter"));
        }
        let count = self
            .redis
            .command("XDEL")
            .arg(self.keys.dead_letters())
            .args(ids)
            .query()
            .await;
        unless_lost(count)
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// The store's error.
    pub async fn dead_letter_count(&self) -> Result<u64> {
        let count = self
            .redis
            .command("XLEN")
            .arg(self.keys.dead_letters())
            .query()
            .await;
        unless_lost(count)
    }
}

fn is_stream_id(id: &str) -> bool {
    let number = |n: &str| (1..=20).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
    id.split_once('-')
        .is_some_and(|(ms, seq)| number(ms) && number(seq))
}

impl FromReply for DeadLetter {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (id, mut fields): (String, BTreeMap<Bytes, Bytes>) = FromReply::from_reply(reply)?;
        let event = fields.get("d".as_bytes()).map(|d| Event::from_stored(d));
        let mut take = |name: &str| {
            let text = fields.remove(name.as_bytes()).unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        };
        Ok(Self {
            id,
            subscriber: take("s"),
            reason: take("r"),
            attempts: take("n").parse().unwrap_or(0),
            tries: take("t"),
            position: take("o"),
            history: take("h"),
            event: event.and_then(Result::ok),
        })
    }
}
