//! What a limiter is made of.

use std::{sync::Arc, time::Duration};

use super::{
    block_cache::BlockCache,
    feed::DenyFeed,
    limit::{Kind, Limit},
    limiter::{Inner, RateLimiter},
    local::Local,
    policy::{ClockSource, FailurePolicy, Policy},
    reservation::Reservations,
};
use crate::{Clock, Redis, SystemClock};

/// Identifiers that this process remembers.
const REMEMBERED: usize = 10_000;

/// Builds a [`RateLimiter`].
#[derive(Debug)]
#[must_use]
pub struct RateLimiterBuilder(Inner);

impl RateLimiterBuilder {
    /// Adds a limit to the same decision: all take the cost, or none does.
    pub fn and(mut self, limit: Limit) -> Self {
        self.0.policy.limits.push(limit);
        self
    }
    /// The start of every key; `@upstash/ratelimit` by default.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.0.policy.prefix = Some(prefix.into());
        self
    }
    /// Writes identifiers as `{identifier}`, so that a Redis Cluster keeps the keys of each together.
    ///
    /// A sliding window or several limits need it there, as their keys are decided on at once; they
    /// are then not those of other clients. With lists or dynamic limits, which are for all
    /// identifiers, put the braces into the prefix instead.
    pub fn hash_tags(mut self) -> Self {
        self.0.policy.hash_tags = true;
        self
    }
    /// Where decisions take the time from.
    pub fn clock_source(mut self, source: ClockSource) -> Self {
        self.0.policy.clock = source;
        self
    }
    /// The clock of [`ClockSource::Client`] and of the block cache.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.0.clock = Arc::new(clock);
        self
    }
    /// What happens while the store does not answer.
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.0.policy.on_failure = policy;
        self
    }
    /// How long the store may take before the failure policy decides.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.policy.timeout = Some(timeout);
        self
    }
    /// Honours limits set in the store, for all and for one identifier.
    pub fn dynamic_limits(mut self) -> Self {
        self.0.policy.dynamic = true;
        self
    }
    /// Looks callers up in the deny and allow lists, in the same round trip.
    pub fn protection(mut self) -> Self {
        self.0.policy.protection = true;
        self
    }
    /// Where [`refresh_deny_list`](RateLimiter::refresh_deny_list) gets addresses to deny; turns
    /// [`protection`](Self::protection) on.
    pub fn deny_feed(mut self, feed: DenyFeed) -> Self {
        self.0.policy.deny_list = Some(feed);
        self
    }
    /// Counts and reports refusals, but lets every request go on.
    pub fn shadow(mut self) -> Self {
        self.0.policy.shadow = true;
        self
    }
    /// Makes [`RateLimiter::record`] write analytics.
    pub fn analytics(mut self) -> Self {
        self.0.policy.analytics = true;
        self
    }
    /// How many blocked identifiers are remembered; 10,000 by default, 0 for none.
    ///
    /// With lists or dynamic limits, which another process may change, for a second at a time.
    pub fn block_cache(mut self, capacity: usize) -> Self {
        self.0.blocks = BlockCache::new(capacity);
        self
    }
    /// Takes so many permits of an identifier in one request and hands them out without asking.
    ///
    /// For identifiers that ask often, and for one limit: with several, or one per group, nothing is
    /// taken ahead. The limit is never exceeded, in a window or period exactly; up to `permits - 1` of
    /// each process may stay unused when it ends, unless they are
    /// [given back](RateLimiter::give_back). Lists and dynamic limits are looked up when the store is
    /// asked. 0 and 1 take nothing ahead.
    pub fn take_ahead(mut self, permits: u64) -> Self {
        self.0.policy.take_ahead = permits;
        self
    }
    /// Builds the limiter.
    pub fn build(self) -> RateLimiter {
        let mut inner = self.0;
        let policy = &mut inner.policy;
        policy.protection |= policy.deny_list.is_some();
        let one = policy.limits.len() == 1 && !policy.limits.iter().any(Limit::is_per_group);
        inner.reservations = (one && policy.take_ahead > 1)
            .then(|| Reservations::new(policy.take_ahead, REMEMBERED));
        Limit::number_shared_keys(&mut policy.limits);
        inner.can_meet = Limit::can_meet(&policy.limits);
        if let Some(limit) = policy.limits.first() {
            let keys = 1 + u8::from(limit.kind == Kind::Sliding);
            inner.window = format!("{} {} {keys} ", limit.amount, limit.window_ms);
        }
        if let Some(prefix) = &policy.prefix {
            inner.prefix.clone_from(prefix);
        }
        RateLimiter(Arc::new(inner))
    }
}

impl RateLimiter {
    /// Starts with one limit; [`and`](RateLimiterBuilder::and) adds more.
    pub fn builder(redis: Redis, limit: Limit) -> RateLimiterBuilder {
        Self::with_policy(redis, Policy::new([limit]))
    }

    /// Starts with all settings of a policy, such as one that was read from JSON. Without a limit
    /// it allows everything.
    pub fn with_policy(redis: Redis, policy: Policy) -> RateLimiterBuilder {
        RateLimiterBuilder(Inner {
            redis,
            policy,
            window: String::new(),
            can_meet: false,
            prefix: "@upstash/ratelimit".into(),
            clock: Arc::new(SystemClock::new()),
            blocks: BlockCache::new(REMEMBERED),
            local: Local::new(REMEMBERED),
            reservations: None,
        })
    }
}
