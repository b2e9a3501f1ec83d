//! How an engine is set up.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which of two servers a database follows where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// Upstash, as its REST API answers.
    #[default]
    Upstash,
    /// Redis, as it answers over its own protocol.
    Redis,
}

/// What happens to a write when the memory limit is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eviction {
    /// Writes that need memory are refused.
    #[default]
    NoEviction,
    /// Random keys go.
    AllKeysRandom,
    /// Random keys with an expiry go; without any, writes are refused.
    VolatileRandom,
    /// Random keys with an expiry go first, then random keys; as on Upstash.
    OptimisticVolatile,
}

impl Eviction {
    const ALL: [Self; 4] = [
        Self::NoEviction,
        Self::AllKeysRandom,
        Self::VolatileRandom,
        Self::OptimisticVolatile,
    ];

    /// As `maxmemory-policy` names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoEviction => "noeviction",
            Self::AllKeysRandom => "allkeys-random",
            Self::VolatileRandom => "volatile-random",
            Self::OptimisticVolatile => "optimistic-volatile",
        }
    }
}

impl FromStr for Eviction {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|eviction| eviction.name() == text)
            .ok_or("expected noeviction, allkeys-random, volatile-random or optimistic-volatile")
    }
}

/// The source of time: the duration since the Unix epoch.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::from_fn(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
        })
    }

    /// A clock of the caller's making, for tests.
    pub fn from_fn(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that reads Unix milliseconds from a shared number.
    pub fn manual(millis: Arc<AtomicU64>) -> Self {
        Self::from_fn(move || Duration::from_millis(millis.load(Ordering::Relaxed)))
    }

    /// The time since the Unix epoch.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How an engine is set up.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The most memory data may take, in bytes (an estimate); `None`: no limit.
    pub memory_limit: Option<usize>,
    /// What happens when the limit is reached.
    pub eviction: Eviction,
    /// The source of time.
    pub clock: Clock,
    /// The longest a script may run; `None`: five seconds.
    pub script_time_limit: Option<Duration>,
    /// The database's name among others; tokens of its users carry it.
    pub name: String,
    /// Whether there is DEBUG, and CONFIG SET takes settings that change nothing: for Redis' tests.
    pub debug_commands: bool,
}

impl Options {
    /// Limits memory to this many bytes.
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Chooses what happens when the limit is reached.
    #[must_use]
    pub fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// Stops scripts that run longer than this.
    #[must_use]
    pub fn script_time_limit(mut self, limit: Duration) -> Self {
        self.script_time_limit = Some(limit);
        self
    }

    /// Names the database; names of databases that one server serves differ.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Offers DEBUG, and lets CONFIG SET take settings that change nothing, for Redis' own tests.
    #[must_use]
    pub fn debug_commands(mut self, offered: bool) -> Self {
        self.debug_commands = offered;
        self
    }

    /// Sets the source of time.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}
