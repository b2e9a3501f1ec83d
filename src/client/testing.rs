//! Helpers for tests of code that uses this crate.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::transport::clock::Clock;

/// A client of a new, empty store in this process.
#[cfg(feature = "embedded")]
pub fn redis() -> crate::Redis {
    crate::Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()))
}

/// A clock that moves only when told; clones share the time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Times>);

#[derive(Debug)]
struct Times {
    unix_us: AtomicU64,
    monotonic_us: AtomicU64,
}

impl ManualClock {
    /// Starts at a Unix time in milliseconds.
    pub fn new(unix_ms: u64) -> Self {
        let times = Times {
            unix_us: AtomicU64::new(unix_ms * 1000),
            monotonic_us: AtomicU64::new(0),
        };
        Self(Arc::new(times))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let us = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.0.unix_us.fetch_add(us, Ordering::SeqCst);
        self.0.monotonic_us.fetch_add(us, Ordering::SeqCst);
    }

    /// Sets the wall clock alone, also backwards.
    pub fn set_unix_ms(&self, unix_ms: u64) {
        self.0.unix_us.store(unix_ms * 1000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.unix_us.load(Ordering::SeqCst) / 1000
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.monotonic_us.load(Ordering::SeqCst))
    }
}
