//! Settings of a cache.

use std::time::Duration;

use crate::{Error, Result};

/// What a marker outlives beyond the longest value and load: a store that takes this long to answer.
const MARKER_SLACK: Duration = Duration::from_secs(60);

/// Settings of a [`Cache`](super::Cache).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CacheConfig {
    /// What all keys begin with; `cache:` by default, without braces.
    pub prefix: String,
    /// Whether the store is a Redis Cluster: reads are then split by slot. Off by default.
    pub cluster: bool,
    /// Whether the store may evict keys. A marker that is missing is then a miss, and markers are
    /// created before a load, so that a lost one is noticed. Off by default.
    pub evicts: bool,
    /// The longest that a value is kept, stale or not; a day by default. Longer lifetimes are cut.
    ///
    /// Markers live longer than that. Shortening it while values of before are kept needs a
    /// [`clear`](super::Cache::clear).
    pub max_lifetime: Duration,
    /// The longest load whose value is stored; a minute by default.
    pub max_load: Duration,
    /// How long a loader may take; 30 s by default. Without a Tokio runtime it is not limited.
    pub load_timeout: Duration,
    /// How long a reader that has an old value waits for a load; as long as it takes by default.
    ///
    /// The load goes on where loads are [deferred](super::CacheBuilder::defer), else it is dropped.
    pub stale_after: Option<Duration>,
    /// How long a loader that failed is not asked again while an old value can be served; 5 s by
    /// default.
    pub error_pause: Duration,
    /// How eagerly values are loaded before they end, a factor of the time that their load takes; 1 by
    /// default, 0 for never.
    pub early_refresh: f64,
    /// The most bytes of values in this process; 32 MiB by default, 16 MiB on WebAssembly, where an
    /// isolate has 128 MB for everything; 0 for none. Only keyspaces that are
    /// [local](super::Keyspace::local) use it.
    pub memory_bytes: u64,
    /// The most invalidations that wait for a store that does not answer; 0 by default: they fail.
    pub max_queued: usize,
    /// Whether invalidations and puts are told to processes that
    /// [follow](super::Cache::follow_hints) them; off by default. A put is then one command more.
    pub hints: bool,
    /// The most bytes of a value before compression; 1 MiB by default.
    pub max_value_bytes: usize,
    /// Values of more bytes are compressed; 1 KiB by default.
    pub compress_above: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            prefix: "cache:".to_owned(),
            cluster: false,
            evicts: false,
            max_lifetime: Duration::from_secs(86_400),
            max_load: Duration::from_secs(60),
            load_timeout: Duration::from_secs(30),
            stale_after: None,
            error_pause: Duration::from_secs(5),
            early_refresh: 1.0,
            memory_bytes: if cfg!(target_family = "wasm") { 16 } else { 32 } * 1024 * 1024,
            max_queued: 0,
            hints: false,
            max_value_bytes: 1024 * 1024,
            compress_above: 1024,
        }
    }
}

impl CacheConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        if self.prefix.len() > 200 || self.prefix.contains(['{', '}']) {
            problems.push("a prefix has at most 200 bytes and no braces");
        }
        if self.max_lifetime.as_millis() == 0
            || self.max_lifetime > Duration::from_secs(366 * 86_400)
        {
            problems.push("the longest lifetime is 1 ms to 366 days");
        }
        if self.max_load.as_millis() == 0 || self.max_load > Duration::from_secs(3600) {
            problems.push("the longest load is 1 ms to an hour");
        }
        if self.max_value_bytes == 0 || self.max_value_bytes > 64 * 1024 * 1024 {
            problems.push("a value has 1 byte to 64 MiB");
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::config(format!(
            "cache configuration: {}",
            problems.join("; ")
        )))
    }

    /// How long a marker lives: beyond every value whose load began before it.
    pub(super) fn marker_ttl(&self) -> Duration {
        self.max_lifetime + self.max_load + MARKER_SLACK
    }
}
