//! Limiting how many run at once: leases that expire.

use std::{sync::Arc, time::Duration};

use super::{ClockSource, identifier::key_part};
use crate::{Clock, Error, Redis, Result, SystemClock};

script_call! {
    LeaseCall<'a> = "lua/lease.lua".key_locking()
    keys { leases_key }
    args {
        // 0 takes the server's clock.
        now_ms: u64,
        // `acquire`, `renew` or `release`.
        operation: &'a str,
        id: &'a str, limit: u64, ttl_ms: u64,
    }
}

/// Limits how many leases an identifier holds at the same time; cheap to clone.
#[derive(Debug, Clone)]
pub struct LeaseLimiter {
    redis: Redis,
    prefix: Arc<str>,
    limit: u64,
    ttl_ms: u64,
    source: ClockSource,
    clock: Arc<dyn Clock>,
}

/// One held lease; give it back with [`LeaseLimiter::release`], or it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    key: String,
    id: String,
}

impl LeaseLimiter {
    /// At most `limit` leases at once, each for at most `ttl` unless renewed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a limit of 0 or a time under a millisecond.
    pub fn new(redis: Redis, limit: u64, ttl: Duration) -> Result<Self> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if limit == 0 || ttl_ms == 0 || ttl_ms > 1 << 53 {
            return Err(Error::invalid_input(
                "a lease limit is at least 1 and a time at least one millisecond",
            ));
        }
        let clock = Arc::new(SystemClock::new());
        Ok(Self {
            redis,
            prefix: "@upstash/ratelimit".into(),
            limit,
            ttl_ms,
            source: ClockSource::Server,
            clock,
        })
    }

    /// The start of every key.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Takes the time from a clock of this machine; the server's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self.source = ClockSource::Client;
        self
    }

    /// Takes a lease; `None` when all are held.
    ///
    /// # Errors
    /// An invalid identifier, no randomness, or whatever the client returns.
    pub async fn acquire(&self, identifier: &str) -> Result<Option<Lease>> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| Error::no_randomness())?;
        let lease = Lease {
            key: format!("{}:lease:{}", self.prefix, key_part(identifier)?),
            id: hex::encode(bytes),
        };
        Ok(self.call("acquire", &lease).await?.then_some(lease))
    }

    /// Holds a lease for another full time; `false` when it is lost.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn renew(&self, lease: &Lease) -> Result<bool> {
        self.call("renew", lease).await
    }

    /// Gives a lease back; `false` when it had expired.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn release(&self, lease: &Lease) -> Result<bool> {
        self.call("release", lease).await
    }

    async fn call(&self, operation: &str, lease: &Lease) -> Result<bool> {
        let now = match self.source {
            ClockSource::Client => self.clock.now_ms(),
            ClockSource::Server => 0,
        };
        // The id makes a repeated call harmless.
        let call = LeaseCall {
            leases_key: &lease.key,
            now_ms: now,
            operation,
            id: &lease.id,
            limit: self.limit,
            ttl_ms: self.ttl_ms,
        };
        let (held, _, _): (i64, i64, i64) = call.call().idempotent().run(&self.redis).await?;
        Ok(held == 1)
    }
}
