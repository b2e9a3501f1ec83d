//! Options of the stream commands.

use super::options::{flag, word_and};
use crate::{Args, ToArg};

/// How references in groups are treated when entries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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

#[derive(Debug, Clone)]
struct Producer {
    name: Vec<u8>,
    message_id: Option<Vec<u8>>,
}

/// Options of [`StreamCommands::xadd_with`](super::StreamCommands::xadd_with).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct XAddOptions {
    no_mkstream: bool,
    producer: Option<Producer>,
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
    /// Names the message, so that it is added once however often it is sent: `IDMP`.
    ///
    /// A repeat gets the id of the first entry. The server knows the newest ids of each producer for
    /// a while, 100 for 100 seconds unless [`xcfgset`](super::StreamCommands::xcfgset) changed that;
    /// within it the client retries the command by itself. The entry's id must be `*`.
    /// Source: <https://redis.io/docs/latest/develop/data-types/streams/idempotency/> (Redis 8.6).
    ///
    /// ```
    /// # use restis::prelude::*;
    /// # async fn pay(redis: &Redis) -> restis::Result<()> {
    /// let once = XAddOptions::new().idempotent("till-7", "receipt-1234");
    /// let id = redis.xadd_with("payments", &once, "*", [("amount", "100")]).await?;
    /// # let _ = id; Ok(()) }
    /// ```
    pub fn idempotent(
        mut self,
        producer: impl Into<Vec<u8>>,
        message_id: impl Into<Vec<u8>>,
    ) -> Self {
        self.producer = Some(Producer {
            name: producer.into(),
            message_id: Some(message_id.into()),
        });
        self
    }
    /// As [`idempotent`](Self::idempotent), known by the message's fields and values: `IDMPAUTO`.
    pub fn idempotent_by_fields(mut self, producer: impl Into<Vec<u8>>) -> Self {
        self.producer = Some(Producer {
            name: producer.into(),
            message_id: None,
        });
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
        match &self.producer {
            Some(Producer {
                name,
                message_id: Some(id),
            }) => {
                word_and("IDMP", name, a);
                id.write(a);
            }
            Some(Producer { name, .. }) => word_and("IDMPAUTO", name, a),
            None => {}
        }
        if let Some(trim) = trim {
            trim.write_threshold(a);
        }
    }
}

/// What a stream remembers of its producers, for
/// [`StreamCommands::xcfgset`](super::StreamCommands::xcfgset). What is not named stays.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct XCfgSetOptions {
    duration_s: Option<u32>,
    max_size: Option<u32>,
}

impl XCfgSetOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Seconds that a message's id is known, 1 to 86,400: `IDMP-DURATION`.
    pub fn duration_s(mut self, seconds: u32) -> Self {
        self.duration_s = Some(seconds);
        self
    }
    /// Ids that are known of each producer, 1 to 10,000: `IDMP-MAXSIZE`.
    pub fn max_size(mut self, ids: u32) -> Self {
        self.max_size = Some(ids);
        self
    }
    pub(super) fn write(self, a: &mut Args) {
        if let Some(seconds) = self.duration_s {
            word_and("IDMP-DURATION", seconds, a);
        }
        if let Some(ids) = self.max_size {
            word_and("IDMP-MAXSIZE", ids, a);
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

/// Options of `XAUTOCLAIM`.
#[derive(Debug, Clone)]
#[must_use]
pub struct XAutoClaimOptions {
    min_idle_ms: u64,
    start: String,
    count: Option<u64>,
}

impl XAutoClaimOptions {
    /// Claims entries that are idle for at least so many milliseconds, from the first one on.
    pub fn new(min_idle_ms: u64) -> Self {
        Self {
            min_idle_ms,
            start: "0-0".to_owned(),
            count: None,
        }
    }
    /// Begins at an id: [`AutoClaim::next`](super::AutoClaim) of the last call.
    pub fn start(mut self, id: impl Into<String>) -> Self {
        self.start = id.into();
        self
    }
    /// Looks at about so many entries; 100 by default.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
    pub(super) fn write(&self, a: &mut Args) {
        self.min_idle_ms.write(a);
        self.start.write(a);
        if let Some(count) = self.count {
            word_and("COUNT", count, a);
        }
    }
}

/// Options of `XCLAIM`.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct XClaimOptions {
    /// The least idle time and the ids.
    required: Args,
    idle_ms: Option<u64>,
    time_ms: Option<u64>,
    retry_count: Option<u64>,
    force: bool,
    last_id: Option<String>,
}

impl XClaimOptions {
    /// Claims those of the entries that are idle for so many milliseconds.
    pub fn new(min_idle_ms: u64, entries: impl IntoIterator<Item: ToArg>) -> Self {
        let mut required = Args::default();
        min_idle_ms.write(&mut required);
        entries.into_iter().for_each(|id| id.write(&mut required));
        Self {
            required,
            ..Self::default()
        }
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
    /// Claims entries that have no consumer yet.
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
        self.required.iter().for_each(|required| a.push(required));
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

/// Options of [`StreamCommands::xpending_range`](super::StreamCommands::xpending_range).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct XPendingOptions {
    min_idle_ms: Option<u64>,
    consumer: Option<Vec<u8>>,
}

impl XPendingOptions {
    /// Entries of every consumer.
    pub fn new() -> Self {
        Self::default()
    }
    /// Only entries that were last delivered at least this many milliseconds ago: `IDLE`.
    pub fn min_idle_ms(mut self, ms: u64) -> Self {
        self.min_idle_ms = Some(ms);
        self
    }
    /// Only entries of one consumer.
    pub fn consumer(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.consumer = Some(name.into());
        self
    }
    pub(super) fn write(&self, (start, end, count): (impl ToArg, impl ToArg, u64), a: &mut Args) {
        if let Some(idle) = self.min_idle_ms {
            word_and("IDLE", idle, a);
        }
        start.write(a);
        end.write(a);
        count.write(a);
        if let Some(consumer) = &self.consumer {
            consumer.write(a);
        }
    }
}

/// What giving entries back does to their numbers of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum XNackMode {
    /// Does not count the last delivery: `SILENT`.
    Silent,
    /// Counts the last delivery: `FAIL`.
    Fail,
    /// Sets the number of deliveries to the largest one, to mark an entry that cannot be processed: `FATAL`.
    Fatal,
}

impl ToArg for XNackMode {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Silent => "SILENT",
            Self::Fail => "FAIL",
            Self::Fatal => "FATAL",
        }
        .write(a);
    }
}

/// Options of [`StreamCommands::xnack`](super::StreamCommands::xnack).
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct XNackOptions {
    deliveries: Option<u64>,
    force: bool,
}

impl XNackOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Sets the number of deliveries, whatever the mode is: `RETRYCOUNT`.
    pub fn retry_count(mut self, count: u64) -> Self {
        self.deliveries = Some(count);
        self
    }
    /// Makes entries pending that are not: `FORCE`.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }
    pub(super) fn write(&self, a: &mut Args) {
        if let Some(count) = self.deliveries {
            word_and("RETRYCOUNT", count, a);
        }
        flag(self.force, "FORCE", a);
    }
}
