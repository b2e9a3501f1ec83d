//! Typed replies of the stream commands.

use bytes::Bytes;

use super::replies::array;
use crate::{Error, FromReply, Pairs, Reply, Result};

/// One entry: its id and its fields.
///
/// `T` is what the fields become: [`Pairs`](crate::Pairs), in the order they were added, a map, or
/// a [`HashRecord`](crate::HashRecord). An entry that is gone but still pending has no fields:
/// `None` where `T` is an [`Option`], else empty.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamEntry<T> {
    /// `milliseconds-sequence`.
    pub id: String,
    /// The fields.
    pub fields: T,
}

impl<T: FromReply> FromReply for StreamEntry<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (id, fields) = <(String, Reply)>::from_reply(reply)?;
        let fields = match fields {
            Reply::Nil => {
                T::from_reply(Reply::Nil).or_else(|_| T::from_reply(Reply::Array(Vec::new())))
            }
            fields => T::from_reply(fields),
        };
        Ok(Self {
            id,
            fields: fields.map_err(|e| e.at(1))?,
        })
    }
}

/// What was read of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRead<K, T> {
    /// The stream's key.
    pub key: K,
    /// Its entries, oldest first.
    pub entries: Vec<StreamEntry<T>>,
}

impl<K: FromReply, T: FromReply> FromReply for StreamRead<K, T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (key, entries) = FromReply::from_reply(reply)?;
        Ok(Self { key, entries })
    }
}

/// What `XAUTOCLAIM` claimed, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoClaim<E> {
    /// Where the next call starts; `0-0` when the whole list was seen.
    pub next: String,
    /// The claimed entries, or ids with `JUSTID`.
    pub claimed: Vec<E>,
    /// Pending ids of entries that were deleted.
    pub deleted: Vec<String>,
}

impl<E: FromReply> FromReply for AutoClaim<E> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut parts = array(reply, "a claim")?.into_iter();
        let (Some(next), Some(claimed)) = (parts.next(), parts.next()) else {
            return Err(Error::decode("expected a claim of three parts"));
        };
        // Redis 6.2 sends no third part.
        let deleted = parts.next().map_or(Ok(Vec::new()), Vec::from_reply);
        Ok(Self {
            next: String::from_reply(next).map_err(|e| e.at(0))?,
            claimed: Vec::from_reply(claimed).map_err(|e| e.at(1))?,
            deleted: deleted.map_err(|e| e.at(2))?,
        })
    }
}

/// Summary of a group's pending entries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingSummary {
    /// How many entries are pending.
    pub count: u64,
    /// The smallest and greatest pending id.
    pub range: Option<(String, String)>,
    /// Pending entries of each consumer.
    pub consumers: Vec<(Bytes, u64)>,
}

impl FromReply for PendingSummary {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (count, min, max, consumers) = <(
            u64,
            Option<String>,
            Option<String>,
            Option<Pairs<Bytes, u64>>,
        )>::from_reply(reply)?;
        Ok(Self {
            count,
            range: min.zip(max),
            consumers: consumers.map(|c| c.0).unwrap_or_default(),
        })
    }
}

/// One pending entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// The entry's id.
    pub id: String,
    /// Who has it.
    pub consumer: Bytes,
    /// Milliseconds since its last delivery.
    pub idle_ms: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

impl FromReply for Pending {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (id, consumer, idle_ms, deliveries) = FromReply::from_reply(reply)?;
        Ok(Self {
            id,
            consumer,
            idle_ms,
            deliveries,
        })
    }
}
