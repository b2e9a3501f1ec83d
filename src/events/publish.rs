//! Publishing: one script call for the events that are published at the same time.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};

use super::{
    Cursor, DedupKey, Event, Events, Outcome, Published, Status, cursor::Tag, event::random_id,
    keys::check_scope, store::HOUR_MS, subscribers::Subscribers,
};
use crate::{Args, Error, FromReply, Reply, Result, script::ScriptCall};

script_call! {
    /// Without a producer its key is the history's and its epoch is empty.
    Publish<'a> = "lua/own.lua" "lua/publish.lua".key_locking()
    keys { history_key, meta_key, stats_key, subscribers_key, producer_key }
    args {
        most_events: u64, retention_ms: u64, dedup_ms: u64, channel_prefix: &'a str,
        known_version: &'a str, producer_epoch: &'a str, stream_count: usize,
    }
}

/// Events of one batch.
const MOST_IN_BATCH: usize = 100;
/// Numbers that Lua holds exactly.
const LARGEST_NUMBER: u64 = 1 << 53;

/// A client that numbers its events, such as a mobile app with an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    client: String,
    epoch: u64,
}

impl Producer {
    /// A client and its epoch: a number that grows with each new outbox, such as its unix time.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) unless the client has 1 to 64
    /// letters, digits, `-` and `_`, and the epoch is below 2^53.
    pub fn new(client: impl Into<String>, epoch: u64) -> Result<Self> {
        let client = client.into();
        if check_scope(&client).is_err() || epoch >= LARGEST_NUMBER {
            return Err(Error::invalid_input(
                "a client has 1 to 64 letters, digits, `-` and `_`, and an epoch below 2^53",
            ));
        }
        Ok(Self { client, epoch })
    }
}

/// What became of one event of an outbox.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Verdict {
    /// It is stored.
    New(Cursor),
    /// It was handled before; delete it from the outbox.
    Duplicate,
    /// It is refused for good and its number is used up; delete it from the outbox.
    Rejected(Error),
    /// Earlier numbers are missing; send from `expected` on.
    Gap {
        /// The number that must come next.
        expected: u64,
    },
    /// A newer outbox of the client is known; this one must stop.
    Fenced {
        /// The epoch that is known.
        epoch: u64,
    },
}

/// One event as the script takes it.
struct Draft {
    kind: String,
    body: String,
    tag: String,
    fingerprint: String,
    dedup: Option<String>,
    number: u64,
}

impl Events {
    /// Publishes one event; those that are published at the same time leave in one call, in the
    /// order in which they were. Without an idempotency key it is not repeated after it may have happened.
    ///
    /// # Errors
    /// An invalid or too large event, or whatever the client returns.
    pub async fn publish(&self, event: &Event) -> Result<Published> {
        self.one(event, None).await
    }

    /// Publishes one event once, however often it is sent with this key within the window.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and for a bad key.
    pub async fn publish_once<'k>(
        &self,
        event: &Event,
        key: impl Into<DedupKey<'k>>,
    ) -> Result<Published> {
        self.one(event, Some(key.into())).await
    }

    async fn one(&self, event: &Event, key: Option<DedupKey<'_>>) -> Result<Published> {
        let drafts = [self.draft(event, key, 0)?];
        let verdicts = self.send(&drafts, None, Calls::Joined).await?;
        let verdict = verdicts.into_iter().next();
        verdict.map(outcome).ok_or_else(too_few_verdicts)
    }

    /// Publishes up to 100 events in one request, each with its idempotency key if it has one.
    ///
    /// Either the request fails, or every event has its verdict.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_batch(
        &self,
        events: &[(&Event, Option<DedupKey<'_>>)],
    ) -> Result<Vec<Outcome>> {
        let drafts = events
            .iter()
            .map(|(event, key)| self.draft(event, *key, 0))
            .collect::<Result<Vec<_>>>()?;
        let verdicts = self.send(&drafts, None, Calls::Alone).await?;
        Ok(verdicts.into_iter().map(outcome).collect())
    }

    /// Publishes a part of a client's outbox, in the order of its numbers from `first` on.
    ///
    /// Safe to send again: numbers that were handled are duplicates. An event that is refused for
    /// good uses its number up, so that it does not hold up those behind it.
    ///
    /// # Errors
    /// No event is known to be handled: the store is away or refuses. Send the same again.
    pub async fn publish_outbox(
        &self,
        producer: &Producer,
        first: u64,
        events: Vec<Result<Event>>,
    ) -> Result<Vec<Verdict>> {
        if first == 0 || first >= LARGEST_NUMBER {
            return Err(Error::invalid_input("numbers begin with 1"));
        }
        let mut drafts = Vec::with_capacity(events.len());
        let mut refused = Vec::with_capacity(events.len());
        for (number, event) in (first..).zip(events) {
            let draft = event.and_then(|event| self.draft(&event, Some(DedupKey::Event), number));
            match draft {
                Ok(draft) => {
                    drafts.push(draft);
                    refused.push(None);
                }
                Err(error) => {
                    drafts.push(Draft {
                        kind: String::new(),
                        body: String::new(),
                        tag: String::new(),
                        fingerprint: String::new(),
                        dedup: None,
                        number,
                    });
                    refused.push(Some(error));
                }
            }
        }
        let verdicts = self.send(&drafts, Some(producer), Calls::Alone).await?;
        let pairs = verdicts.into_iter().zip(refused);
        Ok(pairs
            .map(|(verdict, refused)| match (verdict.status, refused) {
                (1, _) => Verdict::New(verdict.cursor()),
                (4, _) => Verdict::Gap {
                    expected: verdict.value,
                },
                (5, _) => Verdict::Fenced {
                    epoch: verdict.value,
                },
                (_, Some(error)) => Verdict::Rejected(error),
                (3, None) => Verdict::Rejected(Error::invalid_input(
                    "the id was used for another event of this source",
                )),
                _ => Verdict::Duplicate,
            })
            .collect())
    }

    /// Tells every process that listens at this moment; nothing keeps the message.
    ///
    /// For hints whose truth lives elsewhere, such as "the configuration changed".
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn hint(&self, message: &str) -> Result<i64> {
        self.redis
            .command("PUBLISH")
            .arg(self.keys.coordination())
            .arg(message)
            .query()
            .await
    }

    /// Listens to the hints of other processes.
    pub fn hints(&self) -> crate::client::pubsub::Subscription {
        self.redis.subscribe([self.keys.coordination()])
    }

    fn draft(&self, event: &Event, key: Option<DedupKey<'_>>, number: u64) -> Result<Draft> {
        let body = event.to_stored()?;
        if let Some(DedupKey::Key(key) | DedupKey::Place(key, _)) = key
            && !(1..=256).contains(&key.len())
        {
            return Err(Error::invalid_input(
                "an idempotency key has 1 to 256 bytes",
            ));
        }
        Ok(Draft {
            kind: event.kind.clone(),
            body,
            tag: Tag::of(event).to_string(),
            fingerprint: key.map_or(String::new(), |_| fingerprint(event)),
            dedup: key.map(|key| self.keys.dedup(key, event)),
            number,
        })
    }

    async fn send(
        &self,
        drafts: &[Draft],
        producer: Option<&Producer>,
        calls: Calls,
    ) -> Result<Vec<EventVerdict>> {
        if drafts.is_empty() || drafts.len() > MOST_IN_BATCH {
            return Err(Error::invalid_input(format!(
                "a batch has 1 to {MOST_IN_BATCH} events"
            )));
        }
        let metrics = self.redis.metrics();
        let stored = self.store(drafts, producer, calls);
        let failed = |stored: &Result<_>| stored.as_ref().err().map(|e| e.kind().as_str());
        metrics.measure("events_publish", stored, failed).await
    }

    async fn store(
        &self,
        drafts: &[Draft],
        producer: Option<&Producer>,
        calls: Calls,
    ) -> Result<Vec<EventVerdict>> {
        let epoch = random_id()?;
        let (start, unreported) = (self.clock.monotonic(), self.unreported.take());
        // Who gets work is part of the call; the script refuses an old list and tells the new one.
        for _ in 0..5 {
            let subscribers = self.known_subscribers();
            let mut call = self.call(drafts, producer, &subscribers);
            let items = match calls {
                Calls::Joined => call.item(),
                Calls::Alone => &mut call.args,
            };
            for (at, draft) in drafts.iter().enumerate() {
                let unreported = if at == 0 { &*unreported } else { "" };
                draft.write(&subscribers, (&epoch, unreported), items);
            }
            let replies = match calls {
                Calls::Joined => vec![call.run(&self.redis).await?],
                Calls::Alone => call.run(&self.redis).await?,
            };
            if replies.len() != drafts.len() {
                return Err(too_few_verdicts());
            }
            let mut verdicts = Vec::with_capacity(replies.len());
            for reply in replies {
                match reply {
                    PublishReply::Verdict(verdict) => verdicts.push(verdict),
                    PublishReply::Subscribers(fresh) => self.learn_subscribers(fresh),
                    PublishReply::OtherSubscribers => {}
                }
            }
            if verdicts.len() == drafts.len() {
                let took = self.clock.monotonic().saturating_sub(start);
                self.unreported.add(took);
                let new = verdicts.iter().filter(|v| v.status == 1).count() as u64;
                self.redis.metrics().count("events_published", new);
                return Ok(verdicts);
            }
        }
        Err(Error::protocol("the subscribers change all the time"))
    }

    /// The keys and the arguments that all events share.
    fn call(
        &self,
        drafts: &[Draft],
        producer: Option<&Producer>,
        subscribers: &Subscribers,
    ) -> ScriptCall<'static> {
        let history = self.keys.history();
        let streams = subscribers.names().map(|name| self.keys.work(name));
        let dedup = drafts.iter().map(|d| d.dedup.as_ref().unwrap_or(&history));
        let call = Publish {
            history_key: &history,
            meta_key: &self.keys.meta(),
            stats_key: &self.keys.stats(self.clock.now_ms() / HOUR_MS * HOUR_MS),
            subscribers_key: &self.keys.subscribers(),
            producer_key: &producer.map_or(history.clone(), |p| self.keys.producer(&p.client)),
            most_events: self.config.max_events,
            retention_ms: millis(self.config.retention),
            dedup_ms: millis(self.config.dedup_window),
            channel_prefix: &self.keys.channel_prefix(),
            known_version: subscribers.version(),
            producer_epoch: &producer.map_or(String::new(), |p| p.epoch.to_string()),
            stream_count: subscribers.names().count(),
        };
        let call = call.call().keys(streams).own_keys().keys(dedup);
        if producer.is_some() || drafts.iter().all(|d| d.dedup.is_some()) {
            call.idempotent()
        } else {
            call
        }
    }
}

/// Whether a call may become one with those of other publishers.
#[derive(Clone, Copy)]
enum Calls {
    Joined,
    Alone,
}

impl Draft {
    /// Writes what the script takes for one event.
    fn write(&self, subscribers: &Subscribers, (epoch, unreported): (&str, &str), out: &mut Args) {
        let mut work = String::new();
        for at in subscribers.places(&self.kind) {
            // Writing to a String cannot fail.
            let _ = write!(work, "{} ", at + 1);
        }
        out.add(&self.kind)
            .add(&self.body)
            .add(&self.tag)
            .add(&self.fingerprint)
            .add(self.number)
            .add(&work)
            .add(epoch)
            .add(unreported);
    }
}

/// What became of one event.
struct EventVerdict {
    epoch: Arc<str>,
    status: i64,
    /// An offset, the number that must come next, or the epoch of a newer outbox.
    value: u64,
    tag: Option<Tag>,
}

impl EventVerdict {
    fn cursor(self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            offset: self.value,
            tag: self.tag,
        }
    }
}

fn outcome(verdict: EventVerdict) -> Outcome {
    Outcome {
        status: match verdict.status {
            1 => Status::New,
            2 => Status::Duplicate,
            _ => Status::Mismatch,
        },
        cursor: verdict.cursor(),
    }
}

fn too_few_verdicts() -> Error {
    Error::protocol("the script gave too few verdicts")
}

/// The reply for one event.
enum PublishReply {
    Verdict(EventVerdict),
    /// The call named old subscribers; these are the present ones.
    Subscribers(Subscribers),
    /// The same; the reply for the first event has the present ones.
    OtherSubscribers,
}

impl FromReply for PublishReply {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut items = reply.into_array()?.into_iter();
        let mut next = || {
            items
                .next()
                .ok_or_else(|| Error::protocol("a verdict is cut"))
        };
        let epoch = String::from_reply(next()?)?;
        let second = next()?;
        if !epoch.is_empty() {
            return Ok(Self::Verdict(EventVerdict {
                epoch: epoch.into(),
                status: i64::from_reply(second)?,
                value: u64::from_reply(next()?)?,
                tag: Tag::parse(&String::from_reply(next()?)?),
            }));
        }
        let version = String::from_reply(second)?;
        next().map_or(Ok(Self::OtherSubscribers), |fields| {
            Subscribers::read(version, fields).map(Self::Subscribers)
        })
    }
}

/// What two sends with one key must agree on: everything but id and time, which a retry may renew.
fn fingerprint(event: &Event) -> String {
    let mut hash = Sha256::new();
    let data = event
        .data
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    for part in [
        &event.kind,
        &event.source,
        event.subject.as_deref().unwrap_or(""),
        event.data_base64.as_deref().unwrap_or(&data),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..16])
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX >> 12)
        .max(1)
}
