//! Typed replies of `XINFO`.

use bytes::Bytes;

use super::{replies::Fields, stream_types::StreamEntry};
use crate::{FromReply, Reply, Result};

/// `XINFO STREAM`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamInfo<T> {
    /// Entries.
    pub length: u64,
    /// Groups.
    pub groups: u64,
    /// The last id that was given out.
    pub last_generated_id: String,
    /// Entries ever added.
    pub entries_added: Option<u64>,
    /// The first entry.
    pub first_entry: Option<StreamEntry<T>>,
    /// The last entry.
    pub last_entry: Option<StreamEntry<T>>,
    /// Every other field.
    pub rest: Fields,
}

impl<T: FromReply> FromReply for StreamInfo<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut fields = Fields::from_reply(reply)?;
        Ok(Self {
            length: fields.need("length")?,
            groups: fields.need("groups")?,
            last_generated_id: fields.need("last-generated-id")?,
            entries_added: fields.take("entries-added")?,
            first_entry: fields.take("first-entry")?,
            last_entry: fields.take("last-entry")?,
            rest: fields,
        })
    }
}

/// `XINFO STREAM … FULL`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FullStreamInfo<T> {
    /// Entries.
    pub length: u64,
    /// The last id that was given out.
    pub last_generated_id: String,
    /// Entries ever added.
    pub entries_added: Option<u64>,
    /// The first entries, oldest first, up to the limit.
    pub entries: Vec<StreamEntry<T>>,
    /// The groups.
    pub groups: Vec<FullGroupInfo>,
    /// Every other field.
    pub rest: Fields,
}

impl<T: FromReply> FromReply for FullStreamInfo<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut fields = Fields::from_reply(reply)?;
        Ok(Self {
            length: fields.need("length")?,
            last_generated_id: fields.need("last-generated-id")?,
            entries_added: fields.take("entries-added")?,
            entries: fields.need("entries")?,
            groups: fields.need("groups")?,
            rest: fields,
        })
    }
}

/// One group of `XINFO STREAM … FULL`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FullGroupInfo {
    /// The group's name.
    pub name: Bytes,
    /// The last id delivered.
    pub last_delivered_id: String,
    /// Entries read, where the server knows it.
    pub entries_read: Option<u64>,
    /// Entries not yet delivered, where the server knows it.
    pub lag: Option<u64>,
    /// How many entries are delivered and not acknowledged.
    pub pending_count: u64,
    /// The first of them, up to the limit.
    pub pending: Vec<FullPending>,
    /// The consumers.
    pub consumers: Vec<FullConsumerInfo>,
}

impl FromReply for FullGroupInfo {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut fields = Fields::from_reply(reply)?;
        let pending: Vec<(String, Bytes, u64, u64)> = fields.need("pending")?;
        let pending = pending.into_iter().map(FullPending::of).collect();
        Ok(Self {
            name: fields.need("name")?,
            last_delivered_id: fields.need("last-delivered-id")?,
            entries_read: fields.take("entries-read")?,
            lag: fields.take("lag")?,
            pending_count: fields.need("pel-count")?,
            pending,
            consumers: fields.need("consumers")?,
        })
    }
}

/// One consumer of `XINFO STREAM … FULL`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FullConsumerInfo {
    /// The consumer's name.
    pub name: Bytes,
    /// When it last asked, in unix milliseconds.
    pub seen_at_ms: u64,
    /// When it last got something, in unix milliseconds; -1 never; `None` before Redis 7.2.
    pub active_at_ms: Option<i64>,
    /// How many entries it has and did not acknowledge.
    pub pending_count: u64,
    /// The first of them, up to the limit.
    pub pending: Vec<FullPending>,
}

impl FromReply for FullConsumerInfo {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut fields = Fields::from_reply(reply)?;
        let name: Bytes = fields.need("name")?;
        let pending: Vec<(String, u64, u64)> = fields.need("pending")?;
        let own = |(id, at, deliveries)| FullPending::of((id, name.clone(), at, deliveries));
        let pending = pending.into_iter().map(own).collect();
        Ok(Self {
            seen_at_ms: fields.need("seen-time")?,
            active_at_ms: fields.take("active-time")?,
            pending_count: fields.need("pel-count")?,
            pending,
            name,
        })
    }
}

/// One pending entry of `XINFO STREAM … FULL`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FullPending {
    /// The entry's id.
    pub id: String,
    /// Who has it.
    pub consumer: Bytes,
    /// Its last delivery, in unix milliseconds.
    pub delivered_at_ms: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

impl FullPending {
    fn of((id, consumer, delivered_at_ms, deliveries): (String, Bytes, u64, u64)) -> Self {
        Self {
            id,
            consumer,
            delivered_at_ms,
            deliveries,
        }
    }
}

/// One group of `XINFO GROUPS`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// The group's name.
    pub name: Bytes,
    /// Its consumers.
    pub consumers: u64,
    /// Entries delivered and not acknowledged.
    pub pending: u64,
    /// The last id delivered.
    pub last_delivered_id: String,
    /// Entries read, where the server knows it.
    pub entries_read: Option<u64>,
    /// Entries not yet delivered, where the server knows it.
    pub lag: Option<u64>,
}

impl FromReply for GroupInfo {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut fields = Fields::from_reply(reply)?;
        Ok(Self {
            name: fields.need("name")?,
            consumers: fields.need("consumers")?,
            pending: fields.need("pending")?,
            last_delivered_id: fields.need("last-delivered-id")?,
            entries_read: fields.take("entries-read")?,
            lag: fields.take("lag")?,
        })
    }
}

/// One consumer of `XINFO CONSUMERS`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// The consumer's name.
    pub name: Bytes,
    /// Entries it has and did not acknowledge.
    pub pending: u64,
    /// Milliseconds since it last asked.
    pub idle_ms: u64,
    /// Milliseconds since it last got something.
    pub inactive_ms: Option<i64>,
}

impl FromReply for ConsumerInfo {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut fields = Fields::from_reply(reply)?;
        Ok(Self {
            name: fields.need("name")?,
            pending: fields.need("pending")?,
            idle_ms: fields.need("idle")?,
            inactive_ms: fields.take("inactive")?,
        })
    }
}
