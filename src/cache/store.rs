//! The handle: settings, clock, names in the store.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{
    away::Queue, config::CacheConfig, keyspace::Lifetime, load::Outcome, memory::Memory,
    single_flight::SingleFlight, value::Limits,
};
use crate::{Clock, Redis, Result, SystemClock, transport::time};

/// A cache in Redis.
///
/// A cheap handle; clones share everything. See the [module](super) for the rules it keeps.
#[derive(Clone)]
pub struct Cache(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) redis: Redis,
    pub(super) config: CacheConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) defer: Option<Defer>,
    pub(super) loads: Arc<SingleFlight<Outcome>>,
    pub(super) memory: Memory,
    /// Hits of this process that are not counted yet: the metrics' lock would cost more than the read.
    pub(super) local_hits: AtomicU64,
    pub(super) local_misses: AtomicU64,
    pub(super) queue: Queue,
    /// Whether the store lacks `MSETEX`.
    pub(super) sets_one_by_one: AtomicBool,
    /// Until when loaders that failed are not asked again.
    failed: Mutex<HashMap<Arc<str>, Duration>>,
}

/// Takes over a load that goes on after its reader has been answered.
pub(super) type Defer = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// Most loaders whose failure is remembered.
const MAX_FAILED: usize = 1024;

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Cache`].
#[must_use = "a builder does nothing until `build`"]
pub struct CacheBuilder {
    redis: Redis,
    config: CacheConfig,
    clock: Arc<dyn Clock>,
    defer: Option<Defer>,
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl CacheBuilder {
    /// Takes the time from another clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Hands loads of stale values to a function, such as one that calls `tokio::spawn` or the
    /// platform's `wait_until`, and answers their readers at once.
    ///
    /// Without it a reader that finds a stale value loads before it is answered: right where a process
    /// is frozen once its response is sent.
    ///
    /// ```no_run
    /// # fn example(redis: restis::Redis) -> restis::Result<()> {
    /// use restis::cache::{Cache, CacheConfig};
    ///
    /// let cache = Cache::builder(redis, CacheConfig::new())
    ///     .defer(|load| drop(tokio::spawn(load)))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn defer(mut self, run: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        self.defer = Some(Arc::new(run));
        self
    }

    /// Checks the settings; sends nothing.
    ///
    /// # Errors
    /// `Config` that lists every contradiction.
    pub fn build(self) -> Result<Cache> {
        self.config.check()?;
        Ok(Cache(Arc::new(Inner {
            redis: self.redis,
            memory: Memory::new(self.config.memory_bytes),
            local_hits: AtomicU64::default(),
            local_misses: AtomicU64::default(),
            queue: Queue::new(self.config.max_queued),
            sets_one_by_one: AtomicBool::default(),
            config: self.config,
            clock: self.clock,
            defer: self.defer,
            loads: Arc::default(),
            failed: Mutex::default(),
        })))
    }
}

impl Cache {
    /// A cache over a client, with the settings of [`CacheConfig::default`].
    ///
    /// # Errors
    /// `Config` never with these settings.
    pub fn new(redis: Redis) -> Result<Self> {
        Self::builder(redis, CacheConfig::default()).build()
    }

    /// Starts from a client and settings.
    pub fn builder(redis: Redis, config: CacheConfig) -> CacheBuilder {
        CacheBuilder {
            redis,
            config,
            clock: Arc::new(SystemClock::new()),
            defer: None,
        }
    }

    /// The settings.
    pub fn config(&self) -> &CacheConfig {
        &self.0.config
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// The name of a key or marker in the store.
    pub(super) fn stored(&self, name: &str) -> String {
        format!("{}{name}", self.0.config.prefix)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.0.config.max_value_bytes,
            compress_above: self.0.config.compress_above,
        }
    }

    pub(super) fn marker_ttl_ms(&self) -> u64 {
        millis(self.0.config.marker_ttl())
    }

    /// A lifetime, cut to the longest that markers outlive, and by its jitter.
    pub(super) fn cut(&self, lifetime: Lifetime) -> Lifetime {
        let most = self.0.config.max_lifetime;
        let cut = f64::from(lifetime.jitter) / 100.0 * time::random();
        let fresh = lifetime.fresh.mul_f64(1.0 - cut).min(most);
        let further = most.saturating_sub(fresh);
        Lifetime {
            fresh,
            stale: lifetime.stale.min(further),
            on_error: lifetime.on_error.min(further),
            jitter: 0,
        }
    }

    /// Does not ask the loader of a key for a while.
    pub(super) fn throttle(&self, key: &str) {
        let now = self.0.clock.monotonic();
        let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= MAX_FAILED {
            failed.retain(|_, until| *until > now);
        }
        if failed.len() < MAX_FAILED {
            failed.insert(key.into(), now + self.0.config.error_pause);
        }
    }

    pub(super) fn is_throttled(&self, key: &str) -> bool {
        let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = failed.get(key) else {
            return false;
        };
        let still = *until > self.0.clock.monotonic();
        if !still {
            failed.remove(key);
        }
        still
    }

    pub(super) fn count(&self, name: &'static str, n: u64) {
        if n > 0 {
            self.0.redis.metrics().count(name, n);
        }
    }
}

/// Whole milliseconds of a time of any length.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
