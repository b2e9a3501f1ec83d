//! One environment's events, and reading them.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use super::{
    Cursor, Environment, Event, TypeFilter,
    keys::{Keys, check_scope},
    subscribers::Subscribers,
};
use crate::{
    Clock, Error, Redis, Result, Script, SystemClock,
    commands::{HashCommands as _, StreamEntry},
};

static HISTORY: Script = Script::new(include_str!("lua/history.lua")).key_locking();

pub(super) const HOUR_MS: u64 = 3_600_000;
/// Events of one page.
const LARGEST_PAGE: u32 = 500;

/// How much history is kept, and for how long repeats are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventsConfig {
    /// Events kept in a history; about, the server trims whole nodes. 10,000 by default.
    pub max_events: u64,
    /// A history without new events is kept this long. 24 hours by default.
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

/// A stored event and its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its position.
    pub cursor: Cursor,
    /// The event.
    pub event: Event,
}

/// Why a reader must start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// The history was lost and began anew.
    EpochChanged,
    /// Events after the cursor are no longer kept.
    Trimmed,
    /// The cursor is ahead of the history.
    UnknownCursor,
}

impl Reset {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::EpochChanged => "epoch_changed",
            Self::Trimmed => "trimmed",
            Self::UnknownCursor => "unknown_cursor",
        }
    }
}

/// One page of history.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The events that fit the query, oldest first.
    pub events: Vec<Stored>,
    /// Where the next page begins; `None` while nothing was ever published.
    pub cursor: Option<Cursor>,
    /// Whether more events follow.
    pub has_more: bool,
    /// The reader must load its state anew and go on from `cursor`.
    pub reset: Option<Reset>,
}

/// What to read.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct HistoryQuery {
    after: Option<Cursor>,
    limit: Option<u32>,
    kind: Option<String>,
    correlation: Option<String>,
    among: TypeFilter,
}

impl HistoryQuery {
    /// From the oldest event that is kept.
    pub fn new() -> Self {
        Self::default()
    }
    /// After a position.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }
    /// Reads at most this many, 1 to 500; 100 by default. With a filter fewer may be given.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }
    /// Only events of a type, or of types that begin with it when it ends in `.`.
    pub fn of_type(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }
    /// Only events with this correlation id.
    pub fn correlated(mut self, id: impl Into<String>) -> Self {
        self.correlation = Some(id.into());
        self
    }
    /// Only types that pass a filter too, such as a grant's.
    pub fn among(mut self, types: TypeFilter) -> Self {
        self.among = types;
        self
    }
    /// Whether an event fits the query.
    pub fn wants(&self, event: &Event) -> bool {
        if !self.among.matches(&event.kind) {
            return false;
        }
        let kind = self.kind.as_deref().is_none_or(|kind| {
            event.kind == kind || (kind.ends_with('.') && event.kind.starts_with(kind))
        });
        kind && self
            .correlation
            .as_deref()
            .is_none_or(|id| event.correlation_id() == Some(id))
    }
}

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
        }
    }

    /// Sets retention and deduplication.
    #[must_use]
    pub fn config(mut self, config: EventsConfig) -> Self {
        self.config = config;
        self
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
            keys: Keys::new(self.environment, Some(organisation)),
            ..self.clone()
        })
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

    /// Reads one page of history; a cursor that is too old gets a reset, never a silent gap.
    ///
    /// # Errors
    /// A limit out of range, or whatever the client returns.
    pub async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let limit = query.limit.unwrap_or(100);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            return Err(Error::invalid_input(format!(
                "a page has 1 to {LARGEST_PAGE} events"
            )));
        }
        let from = query.after.as_ref().map_or(0, Cursor::offset);
        let call = HISTORY
            .key(self.keys.history())
            .key(self.keys.meta())
            .arg(from)
            .arg(limit)
            .idempotent();
        let (epoch, top, first, entries): (String, u64, u64, Vec<StreamEntry<String>>) =
            call.run(&self.redis).await?;
        let at = |offset| {
            Some(Cursor {
                epoch: epoch.clone(),
                offset,
            })
        };
        if epoch.is_empty() {
            // Nothing was published, or everything was lost: a reader that had a place must know.
            let reset = query.after.as_ref().map(|_| Reset::EpochChanged);
            return Ok(HistoryPage {
                events: Vec::new(),
                cursor: None,
                has_more: false,
                reset,
            });
        }
        let reset = query
            .after
            .as_ref()
            .and_then(|cursor| reset_of(cursor, &epoch, top, first));
        if reset.is_some() {
            return Ok(HistoryPage {
                events: Vec::new(),
                cursor: at(top),
                has_more: false,
                reset,
            });
        }
        let mut last = from.max(first.saturating_sub(1));
        if first == 0 {
            last = top;
        }
        let mut events = Vec::new();
        for entry in entries {
            let offset = entry.id.split('-').next().and_then(|n| n.parse().ok());
            let (Some(offset), Some((_, body))) = (offset, entry.fields.into_iter().next()) else {
                return Err(Error::decode("a history entry has no offset or body"));
            };
            last = offset;
            let event: Event = serde_json::from_str(&body)
                .map_err(|e| Error::decode(format!("a stored event: {e}")))?;
            if query.wants(&event) {
                events.push(Stored {
                    cursor: Cursor {
                        epoch: epoch.clone(),
                        offset,
                    },
                    event,
                });
            }
        }
        Ok(HistoryPage {
            events,
            has_more: last < top,
            cursor: at(last),
            reset: None,
        })
    }

    /// The place of the newest event; `None` while nothing was ever published.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn end(&self) -> Result<Option<Cursor>> {
        let meta: Vec<Option<String>> = self
            .redis
            .hmget(self.keys.meta(), ["epoch", "offset"])
            .await?;
        let mut meta = meta.into_iter().flatten();
        let (Some(epoch), Some(offset)) = (meta.next(), meta.next()) else {
            return Ok(None);
        };
        format!("{epoch}.{offset}").parse().map(Some)
    }

    /// How many events of each type were published in the hour that contains a unix time.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn counts(&self, at_ms: u64) -> Result<BTreeMap<String, u64>> {
        self.redis
            .hgetall(self.keys.stats(at_ms / HOUR_MS * HOUR_MS))
            .await
    }
}

fn reset_of(cursor: &Cursor, epoch: &str, top: u64, first: u64) -> Option<Reset> {
    if cursor.epoch != epoch {
        return Some(Reset::EpochChanged);
    }
    if cursor.offset > top {
        return Some(Reset::UnknownCursor);
    }
    // `first` is 0 when nothing is kept: then only a reader at the very end has missed nothing.
    let oldest_complete = if first == 0 { top } else { first - 1 };
    (cursor.offset < oldest_complete).then_some(Reset::Trimmed)
}
