//! Dead letters: what nobody could process, and giving it another chance.

use super::{Event, Events, work::stored};
use crate::{Error, FromReply, Reply, Result, Script};

static REDRIVE: Script = Script::new(include_str!("lua/redrive.lua")).key_locking();

/// An event nobody could process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its id in the list.
    pub id: String,
    /// The subscriber that gave up.
    pub subscriber: String,
    /// `poison`, `exhausted` or what the subscriber said.
    pub reason: String,
    /// How often it was handed out.
    pub attempts: u32,
    /// Failures: unix milliseconds and message, a line each, the newest last.
    pub tries: String,
    /// Epoch and offset in its history.
    pub position: String,
    /// The history it comes from.
    pub history: String,
    /// The event.
    pub event: Event,
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
        self.redis
            .command("XRANGE")
            .arg(self.keys.dead_letters())
            .arg(from)
            .arg("+")
            .arg("COUNT")
            .arg(limit.clamp(1, 500))
            .query()
            .await
    }

    /// One dead letter.
    ///
    /// # Errors
    /// The store's error, or `InvalidInput` for the id.
    pub async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>> {
        if !is_stream_id(id) {
            return Err(Error::invalid_input("not the id of a dead letter"));
        }
        let mut found: Vec<DeadLetter> = self
            .redis
            .command("XRANGE")
            .args([self.keys.dead_letters().as_str(), id, id])
            .query()
            .await?;
        Ok(found.pop())
    }

    /// Moves dead letters back to their subscribers' work; says how many.
    ///
    /// Each id is moved at most once, however often this is called.
    ///
    /// # Errors
    /// The store's error; calling again is safe.
    pub async fn redrive(&self, letters: &[DeadLetter]) -> Result<u64> {
        let mut subscribers: Vec<&str> = letters.iter().map(|l| l.subscriber.as_str()).collect();
        subscribers.sort_unstable();
        subscribers.dedup();
        let mut moved = 0;
        for subscriber in subscribers {
            let ids = letters.iter().filter(|l| l.subscriber == subscriber);
            moved += REDRIVE
                .key(self.keys.dead_letters())
                .key(self.keys.work(subscriber))
                .arg(subscriber)
                .args(ids.map(|l| l.id.as_str()))
                .run::<u64>(&self.redis)
                .await?;
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
        self.redis
            .command("XDEL")
            .arg(self.keys.dead_letters())
            .args(ids)
            .query()
            .await
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// The store's error.
    pub async fn dead_letter_count(&self) -> Result<u64> {
        self.redis
            .command("XLEN")
            .arg(self.keys.dead_letters())
            .query()
            .await
    }
}

fn is_stream_id(id: &str) -> bool {
    let number = |n: &str| (1..=20).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
    id.split_once('-')
        .is_some_and(|(ms, seq)| number(ms) && number(seq))
}

impl FromReply for DeadLetter {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (id, mut fields): (String, std::collections::BTreeMap<String, String>) =
            FromReply::from_reply(reply)?;
        let mut take = |name: &str| fields.remove(name).unwrap_or_default();
        Ok(Self {
            id,
            subscriber: take("s"),
            reason: take("r"),
            attempts: take("n").parse().unwrap_or(0),
            tries: take("t"),
            position: take("o"),
            history: take("h"),
            event: stored(take("d").as_bytes())?,
        })
    }
}
