//! Work: at-least-once processing with retries and dead letters.
use std::time::Duration;

use bytes::Bytes;

use super::{Event, Events, keys::check_scope, publish::millis, store::HOUR_MS};
use crate::{Error, FromReply, Reply, Result};

const FAILURES_TTL_MS: u64 = 8 * 86_400_000;
/// A receiver may ask for a pause of this length.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);
/// Dead letters that are kept, about.
const MOST_DEAD_LETTERS: u64 = 10_000;
/// How often one call asks again while nothing but unreadable work comes.
const MOST_ROUNDS: usize = 100;

script_call! {
    Receive<'a> = "lua/own.lua" "lua/receive.lua".key_locking()
    keys { work_key, retry_key, tries_key, dead_key, failures_key }
    args {
        subscriber: &'a str, consumer: &'a str, lease_ms: u64, wanted: u32, max_deliveries: u32,
        most_dead: u64, failures_ttl_ms: u64,
    }
}
script_call! {
    SettleWork<'a> = "lua/own.lua" "lua/settle.lua".key_locking()
    keys { work_key, retry_key, tries_key, dead_key, failures_key }
    args {
        subscriber: &'a str, consumer: &'a str, id: &'a str, verb: &'a str, delay_ms: u64,
        reason: &'a str, problem: &'a str, most_dead: u64, failures_ttl_ms: u64,
    }
}

/// A consumer of one subscriber's work.
#[derive(Debug, Clone)]
pub struct Worker {
    events: Events,
    subscriber: String,
    consumer: String,
    lease: Duration,
    max_deliveries: u32,
}

/// One piece of work, leased to this consumer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Work {
    /// Its id in the work stream.
    pub id: String,
    /// The event.
    pub event: Event,
    /// How often it was handed out, this time included.
    pub deliveries: u32,
    /// Failures so far: unix milliseconds and message, a line each.
    pub tries: String,
    /// Whose event: the history it comes from.
    pub history: String,
}

/// How a piece of work ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Settle {
    /// Processed.
    Done,
    /// Failed; again after a backoff, dead after the last delivery.
    Retry(String),
    /// As `Retry`, but not before this time has passed, at most a day.
    Later(Duration, String),
    /// Failed for good: a reason and a message.
    Dead(String, String),
}

impl Events {
    /// A consumer of a registered subscriber's work.
    ///
    /// Use a stable consumer name. The lease is the time a piece of work may take before another
    /// consumer gets it.
    ///
    /// # Errors
    /// `InvalidInput` for the names.
    pub fn worker(&self, subscriber: &str, consumer: &str) -> Result<Worker> {
        check_scope(subscriber)?;
        check_scope(consumer)?;
        Ok(Worker {
            events: self.clone(),
            subscriber: subscriber.to_owned(),
            consumer: consumer.to_owned(),
            lease: Duration::from_secs(30),
            max_deliveries: 8,
        })
    }
}

impl Worker {
    /// Sets how long a piece of work may take; 30 s by default.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how often a piece of work is handed out at most; 8 by default.
    #[must_use]
    pub fn max_deliveries(mut self, deliveries: u32) -> Self {
        self.max_deliveries = deliveries.max(1);
        self
    }

    pub(super) fn most_deliveries(&self) -> u32 {
        self.max_deliveries
    }

    /// Takes up to `count` pieces of work: due retries, stalled ones, new ones. Does not wait.
    ///
    /// Work that cannot be read goes to the dead letters as `unreadable`.
    ///
    /// # Errors
    /// The store's error.
    pub async fn receive(&self, count: u32) -> Result<Vec<Work>> {
        self.receive_readable(count).await.map(|(work, _)| work)
    }

    /// The work, and how many pieces of it could not be read.
    pub(super) async fn receive_readable(&self, count: u32) -> Result<(Vec<Work>, u64)> {
        let mut unreadable = 0;
        for _ in 0..MOST_ROUNDS {
            let received = self.receive_once(count);
            let metrics = self.events.redis.metrics();
            let failed = |received: &Result<_>| received.as_ref().err().map(|e| e.kind().as_str());
            let received = metrics.measure("events_receive", received, failed);
            let (work, dead) = received.await?;
            unreadable += dead;
            if !work.is_empty() || dead == 0 {
                return Ok((work, unreadable));
            }
        }
        Ok((Vec::new(), unreadable))
    }

    async fn receive_once(&self, count: u32) -> Result<(Vec<Work>, u64)> {
        let keys = &self.events.keys;
        let (lost, poisoned, mut unreadable, handed): (u64, u64, u64, Vec<Handed>) = Receive {
            work_key: &keys.work(&self.subscriber),
            retry_key: &keys.retry(&self.subscriber),
            tries_key: &keys.tries(&self.subscriber),
            dead_key: &keys.dead_letters(),
            failures_key: &keys.failures(self.events.clock.now_ms() / HOUR_MS * HOUR_MS),
            subscriber: &self.subscriber,
            consumer: &self.consumer,
            lease_ms: millis(self.lease),
            wanted: count.clamp(1, 100),
            max_deliveries: self.max_deliveries,
            most_dead: MOST_DEAD_LETTERS,
            failures_ttl_ms: FAILURES_TTL_MS,
        }
        .call()
        .run(&self.events.redis)
        .await?;
        let mut work = Vec::with_capacity(handed.len());
        for piece in handed {
            match Event::from_stored(&piece.event) {
                Ok(event) => work.push(Work {
                    id: piece.id,
                    event,
                    deliveries: piece.deliveries,
                    tries: piece.tries,
                    history: piece.history,
                }),
                Err(error) => {
                    let dead = Settle::Dead("unreadable".into(), error.to_string());
                    self.settle_id(&piece.id, piece.deliveries, dead).await?;
                    unreadable += 1;
                }
            }
        }
        let metrics = self.events.redis.metrics();
        for (name, n) in [
            ("events_received", work.len() as u64),
            ("events_work_lost", lost),
            ("events_work_poisoned", poisoned),
            ("events_work_unreadable", unreadable),
        ] {
            if n > 0 {
                metrics.count(name, n);
            }
        }
        Ok((work, unreadable))
    }

    /// Settles a piece of work; false when another consumer has taken it over.
    ///
    /// # Errors
    /// The store's error; settling again is safe.
    pub async fn settle(&self, work: &Work, outcome: Settle) -> Result<bool> {
        self.settle_id(&work.id, work.deliveries, outcome).await
    }

    async fn settle_id(&self, id: &str, deliveries: u32, outcome: Settle) -> Result<bool> {
        let keys = &self.events.keys;
        let (verb, delay, reason, error) = match outcome {
            Settle::Done => ("done", 0, String::new(), String::new()),
            Settle::Retry(error) | Settle::Later(_, error) if deliveries >= self.max_deliveries => {
                ("dead", 0, "exhausted".to_owned(), error)
            }
            Settle::Retry(error) => ("retry", backoff_ms(deliveries)?, String::new(), error),
            Settle::Later(least, error) => {
                let least = millis(least.min(LONGEST_PAUSE));
                let delay = backoff_ms(deliveries)?.max(least);
                ("retry", delay, String::new(), error)
            }
            Settle::Dead(reason, error) => ("dead", 0, one_line(&reason, 64), error),
        };
        let call = SettleWork {
            work_key: &keys.work(&self.subscriber),
            retry_key: &keys.retry(&self.subscriber),
            tries_key: &keys.tries(&self.subscriber),
            dead_key: &keys.dead_letters(),
            failures_key: &keys.failures(self.events.clock.now_ms() / HOUR_MS * HOUR_MS),
            subscriber: &self.subscriber,
            consumer: &self.consumer,
            id,
            verb,
            delay_ms: delay,
            reason: &reason,
            problem: &one_line(&error, 256),
            most_dead: MOST_DEAD_LETTERS,
            failures_ttl_ms: FAILURES_TTL_MS,
        };
        call.call().run(&self.events.redis).await
    }

    /// Takes work and runs the handler on each piece, one after the other; says how many.
    ///
    /// # Errors
    /// The store's error. What was not settled is handed out again after the lease.
    pub async fn run_once<F, R>(&self, count: u32, mut handler: F) -> Result<usize>
    where
        F: FnMut(Work) -> R,
        R: Future<Output = Settle>,
    {
        let work = self.receive(count).await?;
        let taken = work.len();
        for piece in work {
            let outcome = handler(piece.clone()).await;
            self.settle(&piece, outcome).await?;
        }
        Ok(taken)
    }
}

fn one_line(text: &str, most: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect()
}

/// Full jitter below 1 s · 2ⁿ, at most 15 minutes.
pub(super) fn backoff_ms(deliveries: u32) -> Result<u64> {
    let ceiling = (1000_u64 << deliveries.saturating_sub(1).min(20)).min(900_000);
    let draw = u64::from(u16::from_be_bytes(random_bytes()?));
    Ok((ceiling * draw / u64::from(u16::MAX)).max(1))
}

/// A piece of work as the script gives it; its event may be anything.
struct Handed {
    id: String,
    event: Bytes,
    deliveries: u32,
    tries: String,
    history: String,
}

impl FromReply for Handed {
    fn from_reply(reply: Reply) -> Result<Self> {
        type Parts = (String, Bytes, Bytes, Bytes, u32, Bytes);
        let (id, event, _position, history, deliveries, tries): Parts =
            FromReply::from_reply(reply)?;
        let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self {
            id,
            event,
            deliveries,
            tries: text(tries),
            history: text(history),
        })
    }
}

fn random_bytes() -> Result<[u8; 2]> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(|_| Error::no_randomness())?;
    Ok(bytes)
}
