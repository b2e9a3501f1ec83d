//! What a limiter is made of.

use std::{sync::Arc, time::Duration};

use super::{
    advance::Advance,
    block_cache::BlockCache,
    feed::DenyFeed,
    limit::{Kind, Limit},
    limiter::{Inner, RateLimiter},
    local::Local,
};
use crate::{Clock, Redis, SystemClock};

/// Identifiers that this process remembers.
const REMEMBERED: usize = 10_000;

/// Where a decision takes the time from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockSource {
    /// The machine that asks, as in JavaScript.
    #[default]
    Client,
    /// The server; its script computes key names and locks the whole database on Upstash.
    ///
    /// Redis knows no calendar: a day or month takes a second request where the machine that asks is
    /// in another.
    Server,
}

/// What happens while the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The caller gets the error and decides.
    #[default]
    Error,
    /// Requests go on.
    Open,
    /// Requests are refused.
    Closed,
    /// The limits are counted in this process: each process allows the whole of them.
    Local,
}

/// Builds a [`RateLimiter`].
#[derive(Debug)]
#[must_use]
pub struct RateLimiterBuilder(Inner);

impl RateLimiterBuilder {
    /// Adds a limit to the same decision: all take the cost, or none does.
    pub fn and(mut self, limit: Limit) -> Self {
        self.0.limits.push(limit);
        self
    }
    /// The start of every key; `@upstash/ratelimit` by default.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.0.prefix = prefix.into();
        self
    }
    /// Writes identifiers as `{identifier}`, so that a Redis Cluster keeps the keys of each together.
    ///
    /// A sliding window or several limits need it there, as their keys are decided on at once; they
    /// are then not those of other clients. With lists or dynamic limits, which are for all
    /// identifiers, put the braces into the prefix instead.
    pub fn hash_tags(mut self) -> Self {
        self.0.hash_tags = true;
        self
    }
    /// Where decisions take the time from.
    pub fn clock_source(mut self, source: ClockSource) -> Self {
        self.0.source = source;
        self
    }
    /// The clock of [`ClockSource::Client`] and of the block cache.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.0.clock = Arc::new(clock);
        self
    }
    /// What happens while the store does not answer.
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.0.policy = policy;
        self
    }
    /// How long the store may take before the failure policy decides.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = Some(timeout);
        self
    }
    /// Honours limits set in the store, for all and for one identifier.
    pub fn dynamic_limits(mut self) -> Self {
        self.0.dynamic = true;
        self
    }
    /// Looks callers up in the deny and allow lists, in the same round trip.
    pub fn protection(mut self) -> Self {
        self.0.protection = true;
        self
    }
    /// Where [`refresh_deny_list`](RateLimiter::refresh_deny_list) gets addresses to deny; turns
    /// [`protection`](Self::protection) on.
    pub fn deny_feed(mut self, feed: DenyFeed) -> Self {
        self.0.feed = Some(feed);
        self.protection()
    }
    /// Counts and reports refusals, but lets every request go on.
    pub fn shadow(mut self) -> Self {
        self.0.shadow = true;
        self
    }
    /// Makes [`RateLimiter::record`] write analytics.
    pub fn analytics(mut self) -> Self {
        self.0.analytics = true;
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
        self.0.ahead = (permits > 1).then(|| Advance::new(permits, REMEMBERED));
        self
    }
    /// Builds the limiter.
    pub fn build(mut self) -> RateLimiter {
        if self.0.limits.len() > 1 || self.0.limits.iter().any(Limit::is_per_group) {
            self.0.ahead = None;
        }
        Limit::tell_apart(&mut self.0.limits);
        self.0.can_meet = Limit::can_meet(&self.0.limits);
        if let Some(limit) = self.0.limits.first() {
            let keys = 1 + u8::from(limit.kind == Kind::Sliding);
            self.0.window = format!("{} {} {keys} ", limit.amount, limit.window_ms);
        }
        RateLimiter(Arc::new(self.0))
    }
}

impl RateLimiter {
    /// Starts with one limit; [`and`](RateLimiterBuilder::and) adds more.
    pub fn builder(redis: Redis, limit: Limit) -> RateLimiterBuilder {
        RateLimiterBuilder(Inner {
            redis,
            limits: vec![limit],
            window: String::new(),
            can_meet: false,
            prefix: "@upstash/ratelimit".into(),
            hash_tags: false,
            clock: Arc::new(SystemClock::new()),
            source: ClockSource::Client,
            policy: FailurePolicy::Error,
            timeout: None,
            dynamic: false,
            protection: false,
            feed: None,
            shadow: false,
            analytics: false,
            blocks: BlockCache::new(REMEMBERED),
            local: Local::new(REMEMBERED),
            ahead: None,
        })
    }
}
