//! Typed options and replies of the stream commands.

use super::{
    options::{flag, word_and},
    replies::{Fields, array},
};
use crate::{Args, Error, FromReply, Pairs, Reply, Result, ToArg};

/// One entry: its id and its fields in order. A trimmed entry still pending has no fields.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamEntry<V> {
    /// `milliseconds-sequence`.
    pub id: String,
    /// Fields in the order they were added.
    pub fields: Vec<(String, V)>,
}

impl<V: FromReply> FromReply for StreamEntry<V> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (id, fields) = <(String, Option<Pairs<String, V>>)>::from_reply(reply)?;
        Ok(Self {
            id,
            fields: fields.map(|f| f.0).unwrap_or_default(),
        })
    }
}

/// What was read of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRead<V> {
    /// The stream's key.
    pub key: String,
    /// Its entries, oldest first.
    pub entries: Vec<StreamEntry<V>>,
}

impl<V: FromReply> FromReply for StreamRead<V> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (key, entries) = <(String, Vec<StreamEntry<V>>)>::from_reply(reply)?;
        Ok(Self { key, entries })
    }
}

/// How references in groups are treated when entries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefPolicy {
    /// Groups keep their references: `KEEPREF`.
    Keep,
    /// References go as well: `DELREF`.
    Delete,
    /// Only entries that every group has acknowledged go: `ACKED`.
    Acked,
}

impl ToArg for RefPolicy {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Keep => "KEEPREF",
            Self::Delete => "DELREF",
            Self::Acked => "ACKED",
        }
        .write(a);
    }
}

/// What a stream is trimmed to.
#[derive(Debug, Clone)]
#[must_use]
pub struct StreamTrim {
    strategy: &'static str,
    threshold: String,
    approximate: bool,
    limit: Option<u64>,
    references: Option<RefPolicy>,
}

impl StreamTrim {
    /// Keeps the newest `count` entries, exactly.
    pub fn max_len(count: u64) -> Self {
        Self {
            strategy: "MAXLEN",
            threshold: count.to_string(),
            approximate: false,
            limit: None,
            references: None,
        }
    }
    /// Keeps entries from an id on, exactly.
    pub fn min_id(id: impl Into<String>) -> Self {
        Self {
            strategy: "MINID",
            threshold: id.into(),
            approximate: false,
            limit: None,
            references: None,
        }
    }
    /// Lets the server keep a few more where that is cheaper: `~`.
    pub fn approximate(mut self) -> Self {
        self.approximate = true;
        self
    }
    /// Removes at most this many entries at once; only with [`approximate`](Self::approximate).
    pub fn limit(mut self, count: u64) -> Self {
        self.limit = Some(count);
        self
    }
    /// How references in groups are treated.
    pub fn references(mut self, policy: RefPolicy) -> Self {
        self.references = Some(policy);
        self
    }
    fn write_threshold(&self, a: &mut Args) {
        word_and(self.strategy, if self.approximate { "~" } else { "=" }, a);
        self.threshold.write(a);
        if let Some(limit) = self.limit {
            word_and("LIMIT", limit, a);
        }
    }
    /// As `XTRIM` wants it: the policy last.
    pub(super) fn write(&self, a: &mut Args) {
        self.write_threshold(a);
        if let Some(policy) = self.references {
            policy.write(a);
        }
    }
}

/// Options of [`StreamCommands::xadd_with`](super::StreamCommands::xadd_with).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct XAddOptions {
    no_mkstream: bool,
    references: Option<RefPolicy>,
    trim: Option<StreamTrim>,
}

impl XAddOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds nothing when the stream does not exist: `NOMKSTREAM`.
    pub fn nomkstream(mut self) -> Self {
        self.no_mkstream = true;
        self
    }
    /// How references in groups are treated when entries go; before that of the trim.
    pub fn references(mut self, policy: RefPolicy) -> Self {
        self.references = Some(policy);
        self
    }
    /// Trims the stream in the same step.
    pub fn trim(mut self, trim: StreamTrim) -> Self {
        self.trim = Some(trim);
        self
    }
    pub(super) fn write(&self, a: &mut Args) {
        flag(self.no_mkstream, "NOMKSTREAM", a);
        let trim = self.trim.as_ref();
        if let Some(policy) = self.references.or(trim.and_then(|t| t.references)) {
            policy.write(a);
        }
        if let Some(trim) = trim {
            trim.write_threshold(a);
        }
    }
}

/// Options of `XGROUP CREATE` and `XGROUP SETID`.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct XGroupOptions {
    mkstream: bool,
    entries_read: Option<i64>,
}

impl XGroupOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Makes the stream when it does not exist: `MKSTREAM`; nothing in `SETID`.
    pub fn mkstream(mut self) -> Self {
        self.mkstream = true;
        self
    }
    /// How many entries the group counts as read, for its lag; -1 for unknown: `ENTRIESREAD`.
    pub fn entries_read(mut self, count: i64) -> Self {
        self.entries_read = Some(count);
        self
    }
    pub(super) fn write_create(self, a: &mut Args) {
        flag(self.mkstream, "MKSTREAM", a);
        self.write_setid(a);
    }
    pub(super) fn write_setid(self, a: &mut Args) {
        if let Some(count) = self.entries_read {
            word_and("ENTRIESREAD", count, a);
        }
    }
}

/// Options of `XCLAIM`.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct XClaimOptions {
    idle_ms: Option<u64>,
    time_ms: Option<u64>,
    retry_count: Option<u64>,
    force: bool,
    last_id: Option<String>,
}

impl XClaimOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Sets the idle time, in milliseconds.
    pub fn idle_ms(mut self, ms: u64) -> Self {
        self.idle_ms = Some(ms);
        self
    }
    /// Sets the last delivery, in unix milliseconds.
    pub fn time_ms(mut self, ms: u64) -> Self {
        self.time_ms = Some(ms);
        self
    }
    /// Sets the delivery count.
    pub fn retry_count(mut self, count: u64) -> Self {
        self.retry_count = Some(count);
        self
    }
    /// Claims entries that nobody has yet.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }
    /// Sets the group's last delivered id.
    pub fn last_id(mut self, id: impl Into<String>) -> Self {
        self.last_id = Some(id.into());
        self
    }
    pub(super) fn write(&self, a: &mut Args) {
        for (word, value) in [
            ("IDLE", self.idle_ms),
            ("TIME", self.time_ms),
            ("RETRYCOUNT", self.retry_count),
        ] {
            if let Some(value) = value {
                word_and(word, value, a);
            }
        }
        flag(self.force, "FORCE", a);
        if let Some(id) = &self.last_id {
            word_and("LASTID", id, a);
        }
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
    /// Pending ids whose entries are gone.
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
    pub consumers: Vec<(String, u64)>,
}

impl FromReply for PendingSummary {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (count, min, max, consumers) = <(
            u64,
            Option<String>,
            Option<String>,
            Option<Pairs<String, u64>>,
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
    pub consumer: String,
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

/// `XINFO STREAM`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamInfo<V> {
    /// Entries.
    pub length: u64,
    /// Groups; `None` in the full form, which lists them in `rest`.
    pub groups: Option<u64>,
    /// The last id that was given out.
    pub last_generated_id: String,
    /// Entries ever added.
    pub entries_added: Option<u64>,
    /// The first entry.
    pub first_entry: Option<StreamEntry<V>>,
    /// The last entry.
    pub last_entry: Option<StreamEntry<V>>,
    /// Every other field, such as `entries` and `groups` of the full form.
    pub rest: Fields,
}

impl<V: FromReply> FromReply for StreamInfo<V> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let mut fields = Fields::from_reply(reply)?;
        let length = fields.need("length")?;
        let last_generated_id = fields.need("last-generated-id")?;
        let entries_added = fields.take("entries-added")?;
        let first_entry = fields.take("first-entry")?;
        let last_entry = fields.take("last-entry")?;
        let groups = match fields.take::<Reply>("groups")? {
            Some(full @ Reply::Array(_)) => {
                fields.put("groups", full);
                None
            }
            Some(count) => Some(u64::from_reply(count).map_err(|e| e.at_field(b"groups"))?),
            None => None,
        };
        Ok(Self {
            length,
            groups,
            last_generated_id,
            entries_added,
            first_entry,
            last_entry,
            rest: fields,
        })
    }
}

/// One group of `XINFO GROUPS`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// The group's name.
    pub name: String,
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
    pub name: String,
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
