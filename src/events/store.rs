//! One environment's events, and reading them.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use bytes::Bytes;

use super::{
    Cursor, Environment,
    cursor::Tag,
    keys::{Keys, check_scope, unless_lost},
    stats::UnreportedLatencies,
    subscribers::Subscribers,
};
use crate::{Clock, Redis, Result, SystemClock, commands::HashCommands as _};

pub(super) const HOUR_MS: u64 = 3_600_000;

/// How much history is kept, and for how long repeats are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsConfig {
    /// Events kept in a history; about, the server trims whole nodes. 10,000 by default.
    pub max_events: u64,
    /// How long an event is kept at least; it goes with one of the next to be published. 24 hours by default.
    pub retention: Duration,
    /// Idempotency keys are known this long. 24 hours by default.
    pub dedup_window: Duration,
}

impl Default for EventsConfig {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            max_events: 10_000,
            retention: day,
            dedup_window: day,
        }
    }
}

/// Publishes and reads the events of one environment; cheap to clone.
#[derive(Debug, Clone)]
pub struct Events {
    pub(super) redis: Redis,
    environment: Environment,
    organisation: Option<Arc<str>>,
    pub(super) keys: Keys,
    pub(super) config: EventsConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) subscribers: Arc<RwLock<Subscribers>>,
    pub(super) unreported: Arc<UnreportedLatencies>,
}

/// What publishing one event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is stored.
    New,
    /// It was stored before under the same key; nothing changed.
    Duplicate,
    /// The key was used for another event; nothing changed.
    Mismatch,
}

/// One event's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What happened.
    pub status: Status,
    /// Where the event is, or the one that has the key.
    pub cursor: Cursor,
}

/// A published event's position; [`Outcome`] of a single event.
pub type Published = Outcome;

impl Events {
    /// Events of an environment, shared by all organisations.
    pub fn new(redis: Redis, environment: Environment) -> Self {
        Self {
            redis,
            environment,
            organisation: None,
            keys: Keys::new(environment, None),
            config: EventsConfig::default(),
            clock: Arc::new(SystemClock::new()),
            subscribers: Arc::default(),
            unreported: Arc::default(),
        }
    }

    /// Sets retention and deduplication.
    #[must_use]
    pub fn config(mut self, config: EventsConfig) -> Self {
        self.config = config;
        self
    }

    /// Retention and deduplication.
    pub fn settings(&self) -> EventsConfig {
        self.config
    }

    /// Takes the hours of the counts from a clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The events of one organisation: a history of its own.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a bad name.
    pub fn of_organisation(&self, organisation: &str) -> Result<Self> {
        check_scope(organisation)?;
        Ok(Self {
            organisation: Some(organisation.into()),
            keys: self.keys.of_organisation(self.environment, organisation),
            ..self.clone()
        })
    }

    /// The same histories for one publisher: repeats are known among its own events only.
    ///
    /// Its outboxes are apart from those of others, too. The kind tells names apart that mean
    /// different things, such as `token` and `grant`.
    #[must_use]
    pub fn of_principal(&self, kind: &str, name: &str) -> Self {
        Self {
            keys: self.keys.of_principal(kind, name),
            ..self.clone()
        }
    }

    /// The environment.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The organisation, if the events are of one.
    pub fn organisation(&self) -> Option<&str> {
        self.organisation.as_deref()
    }

    /// The pattern of the channels on which events are announced.
    pub fn live_pattern(&self) -> String {
        format!("{}*", self.keys.channel_prefix())
    }

    /// The client.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// The place of the newest event; `None` while nothing was ever published.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn end(&self) -> Result<Option<Cursor>> {
        let meta = self
            .redis
            .hmget(self.keys.meta(), ["epoch", "offset", "tag"])
            .await;
        let meta: Vec<Option<Bytes>> = unless_lost(meta)?;
        let mut meta = meta.into_iter().map(Option::unwrap_or_default);
        let mut part = || meta.next().and_then(|p| String::from_utf8(p.into()).ok());
        let (Some(epoch), Some(offset), tag) = (part(), part(), part()) else {
            return Ok(None);
        };
        // What was never written, or by another program, is no place.
        let place = format!("{epoch}.{offset}").parse::<Cursor>().ok();
        let tag = tag.and_then(|tag| Tag::parse(&tag));
        Ok(place.map(|place| Cursor { tag, ..place }))
    }
}
