//! Reading the history: by cursor, by time, with proof that nothing is missing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Deserialize;

use super::{Cursor, Event, Events, TypeFilter, cursor::Tag, event::random_id, publish::millis};
use crate::{Error, Result};

script_call! {
    ReadHistory<'a> = "lua/own.lua" "lua/history.lua".key_locking()
    keys { history_key, meta_key }
    args {
        after: u64,
        // Of the event at that offset; may be empty, as the times may.
        after_tag: &'a str,
        most_events: u32, since: &'a str, upto_ms: &'a str, most_bytes: usize,
    }
}
script_call! {
    Begin<'a> = "lua/own.lua" "lua/begin.lua".key_locking()
    keys { history_key, meta_key }
    args { new_epoch: &'a str, meta_ttl_ms: u64 }
}

/// How long a history's epoch and last offset outlive its events.
pub(super) const OUTLIVES: Duration = Duration::from_secs(30 * 86_400);

/// Events of one page.
const LARGEST_PAGE: u32 = 500;
/// Bytes of one page's events; Upstash answers with 10 MB at most.
const PAGE_BYTES: usize = 4 << 20;

/// A stored event and its position.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its position.
    pub cursor: Cursor,
    /// When it was received, unix milliseconds by the store's clock; rises with the offset.
    pub received_ms: u64,
    /// The event.
    pub event: Event,
}

impl Stored {
    /// Reads what publishing announces on the channels of [`Events::live_pattern`].
    ///
    /// # Errors
    /// `Decode` when the payload is something else.
    pub fn from_announcement(payload: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Announcement {
            epoch: String,
            offset: u64,
            at: u64,
            event: Event,
        }
        let told: Announcement = serde_json::from_slice(payload)
            .map_err(|_| Error::decode("an announced event is malformed"))?;
        let event = told.event.if_readable()?;
        Ok(Self {
            cursor: Cursor {
                epoch: told.epoch.into(),
                offset: told.offset,
                tag: Some(Tag::of(&event)),
            },
            received_ms: told.at,
            event,
        })
    }
}

/// Why a reader must start over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// The history was lost and a new one began.
    EpochChanged,
    /// Events after the cursor are no longer kept.
    Trimmed,
    /// The cursor is ahead of the history, or its event is not the one there.
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
    /// Places of this page that hold no event that can be read, whatever the query; oldest first.
    pub unreadable: Vec<Cursor>,
    /// Where the next page begins.
    pub cursor: Cursor,
    /// Whether more events follow.
    pub has_more: bool,
    /// The reader must load its state again and go on from `cursor`.
    pub reset: Option<Reset>,
}

/// What to read.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct HistoryQuery {
    after: Option<Cursor>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
    limit: Option<u32>,
    bytes: Option<usize>,
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
    /// Received at this time or later, unix milliseconds.
    pub fn since_ms(mut self, ms: u64) -> Self {
        self.since_ms = Some(ms);
        self
    }
    /// Received before this time, unix milliseconds.
    pub fn until_ms(mut self, ms: u64) -> Self {
        self.until_ms = Some(ms);
        self
    }
    /// Reads at most this many, 1 to 500; 100 by default. With a filter, or where events are large, fewer may be given.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }
    /// Ends a page before its events have more bytes, unless it would be empty; 4 MB by default.
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
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
    fn covers(&self, received_ms: u64) -> bool {
        self.since_ms.is_none_or(|since| received_ms >= since)
            && self.until_ms.is_none_or(|until| received_ms < until)
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

/// Epoch, last offset and its tag, first kept offset, last offset in range, whether the tag fits, places, events.
type Read = (String, u64, String, u64, u64, bool, String, Bytes);

impl Events {
    /// Reads one page of history; a cursor that is too old or of another history gets a reset,
    /// never a silent gap. What cannot be read is passed over and told.
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
        let mut read = self.read(query, limit).await?;
        if read.0.is_empty() {
            // Nothing was published, or everything was lost: a reader needs a place all the same.
            self.begin().await?;
            read = self.read(query, limit).await?;
        }
        page(query, read)
    }

    async fn read(&self, query: &HistoryQuery, limit: u32) -> Result<Read> {
        let time = |ms: Option<u64>| ms.map(|ms| ms.to_string()).unwrap_or_default();
        let after = query.after.as_ref();
        let call = ReadHistory {
            history_key: &self.keys.history(),
            meta_key: &self.keys.meta(),
            after: after.map_or(0, Cursor::offset),
            after_tag: &after.map(Cursor::tag_text).unwrap_or_default(),
            most_events: limit,
            since: &time(query.since_ms),
            upto_ms: &time(query.until_ms),
            most_bytes: query.bytes.unwrap_or(PAGE_BYTES).min(PAGE_BYTES),
        };
        call.call().idempotent().run(&self.redis).await
    }

    /// The place of the newest event, where a new reader goes on from; a history that is empty
    /// begins, so that what is published next is after it.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn begin(&self) -> Result<Cursor> {
        let (epoch, offset, tag): (String, u64, String) = Begin {
            history_key: &self.keys.history(),
            meta_key: &self.keys.meta(),
            new_epoch: &random_id()?,
            meta_ttl_ms: millis(self.config.retention + OUTLIVES),
        }
        .call()
        .idempotent()
        .run(&self.redis)
        .await?;
        Ok(Cursor {
            epoch: epoch.into(),
            offset,
            tag: Tag::parse(&tag),
        })
    }
}

fn page(query: &HistoryQuery, read: Read) -> Result<HistoryPage> {
    let (epoch, top, top_tag, first, upto, same, places, events) = read;
    let epoch: Arc<str> = epoch.into();
    let at = |offset, tag: &str| Cursor {
        epoch: Arc::clone(&epoch),
        offset,
        tag: Tag::parse(tag),
    };
    let reset = query
        .after
        .as_ref()
        .and_then(|cursor| reset_of(cursor, &epoch, top, first, same));
    if reset.is_some() {
        return Ok(HistoryPage {
            events: Vec::new(),
            unreadable: Vec::new(),
            cursor: at(top, &top_tag),
            has_more: false,
            reset,
        });
    }
    // Without entries the reader stays where it is, or stands at the end of the range.
    let mut last = match &query.after {
        Some(after) if after.offset >= upto => after.clone(),
        _ if upto == top || first == 0 => at(top, &top_tag),
        _ => at(upto, ""),
    };
    let mut places = places.split(',');
    let mut lines = events.split(|byte| *byte == b'\n');
    let (mut events, mut unreadable) = (Vec::new(), Vec::new());
    while let (Some(id), Some(tag), Some(ms)) = (places.next(), places.next(), places.next()) {
        let line = lines
            .next()
            .ok_or_else(|| Error::decode("the history gave fewer events than places"))?;
        let offset = id.split('-').next().and_then(|n| n.parse().ok());
        let offset = offset.ok_or_else(|| Error::decode("a stored event has no offset"))?;
        last = at(offset, tag);
        match Event::from_stored(line) {
            Ok(event) => {
                let stored = Stored {
                    cursor: last.clone(),
                    received_ms: ms.parse().unwrap_or(0),
                    event,
                };
                if query.wants(&stored.event) && query.covers(stored.received_ms) {
                    events.push(stored);
                }
            }
            Err(_) => unreadable.push(last.clone()),
        }
    }
    Ok(HistoryPage {
        events,
        unreadable,
        has_more: last.offset < upto,
        cursor: last,
        reset: None,
    })
}

fn reset_of(cursor: &Cursor, epoch: &str, top: u64, first: u64, same: bool) -> Option<Reset> {
    if &*cursor.epoch != epoch {
        return Some(Reset::EpochChanged);
    }
    if cursor.offset > top || !same {
        return Some(Reset::UnknownCursor);
    }
    // `first` is 0 when nothing is kept: then only a reader at the very end has missed nothing.
    let oldest_complete = if first == 0 { top } else { first - 1 };
    (cursor.offset < oldest_complete).then_some(Reset::Trimmed)
}
