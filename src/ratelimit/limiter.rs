//! The limiter: asks the store once and remembers refusals.

use std::{sync::Arc, time::Duration};

use super::{
    advance::{Advance, Spent},
    analytics::{self, Usage},
    block_cache::BlockCache,
    decision::{Decision, LimitState, Reason},
    identifier::key_part,
    limit::Limit,
    lists,
    local::Local,
    query::Query,
};
use crate::{
    Clock, Error, Redis, Result, SystemClock,
    commands::{GenericCommands as _, SetCommands as _, StringCommands as _},
};

/// Identifiers that this process remembers.
const REMEMBERED: usize = 10_000;

/// Where a decision takes the time from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClockSource {
    /// The machine that asks, as in JavaScript.
    #[default]
    Client,
    /// The server; its script computes key names and locks the whole database on Upstash.
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

/// Limits requests; cheap to clone, clones share the block cache.
#[derive(Debug, Clone)]
pub struct RateLimiter(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) redis: Redis,
    pub(super) limits: Vec<Limit>,
    pub(super) prefix: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) source: ClockSource,
    pub(super) policy: FailurePolicy,
    pub(super) timeout: Option<Duration>,
    pub(super) dynamic: bool,
    pub(super) protection: bool,
    pub(super) shadow: bool,
    pub(super) analytics: bool,
    pub(super) blocks: BlockCache,
    pub(super) local: Local,
    pub(super) ahead: Option<Advance>,
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
    pub fn block_cache(mut self, capacity: usize) -> Self {
        self.0.blocks = BlockCache::new(capacity);
        self
    }
    /// Takes so many permits of an identifier in one request and hands them out without asking.
    ///
    /// For identifiers that ask often, and for one limit: with several nothing is taken ahead. The
    /// limit is never exceeded, in a window or period exactly; up to `permits - 1` of each process
    /// may stay unused when it ends, unless they are [given back](RateLimiter::give_back). Lists and
    /// dynamic limits are looked up when the store is asked. 0 and 1 take nothing ahead.
    pub fn take_ahead(mut self, permits: u64) -> Self {
        self.0.ahead = (permits > 1).then(|| Advance::new(permits, REMEMBERED));
        self
    }
    /// Builds the limiter.
    pub fn build(mut self) -> RateLimiter {
        if self.0.limits.len() > 1 {
            self.0.ahead = None;
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
            prefix: "@upstash/ratelimit".into(),
            clock: Arc::new(SystemClock::new()),
            source: ClockSource::Client,
            policy: FailurePolicy::Error,
            timeout: None,
            dynamic: false,
            protection: false,
            shadow: false,
            analytics: false,
            blocks: BlockCache::new(REMEMBERED),
            local: Local::new(REMEMBERED),
            ahead: None,
        })
    }

    /// Takes one.
    ///
    /// # Errors
    /// An invalid identifier; with [`FailurePolicy::Error`] whatever the client returns.
    pub async fn limit(&self, identifier: &str) -> Result<Decision> {
        self.decide(Query::new(identifier)).await
    }

    /// Takes the cost of a question.
    ///
    /// # Errors
    /// As [`limit`](Self::limit).
    pub async fn decide(&self, query: Query<'_>) -> Result<Decision> {
        let key = key_part(query.identifier)?;
        let now = self.0.clock.now_ms();
        if let Some(until) = self.0.blocks.blocked_until(&key, query.cost, now) {
            return Ok(self.finish(
                &key,
                query.cost,
                Decision {
                    allowed: false,
                    shadowed: self.0.shadow,
                    reason: Reason::CacheBlock,
                    now_ms: now,
                    retry_at_ms: Some(until),
                    states: self
                        .0
                        .limits
                        .iter()
                        .map(|l| LimitState {
                            limit: l.amount(),
                            remaining: 0,
                            reset_ms: until,
                        })
                        .collect(),
                    listed: None,
                },
            ));
        }
        let asked = match &self.0.ahead {
            Some(ahead) => {
                if let Some(spent) = ahead.spend(&key, query.cost, now) {
                    return Ok(self.finish(&key, query.cost, self.spent(&spent, now)));
                }
                self.ask_ahead(ahead, &key, &query, now).await
            }
            None => self.take(&key, query.cost, &query, now).await,
        };
        match asked {
            Ok(decision) => Ok(self.finish(&key, query.cost, decision)),
            Err(error) => self.without_store(&key, query.cost, error, now),
        }
    }

    async fn take(&self, key: &str, cost: u64, query: &Query<'_>, now: u64) -> Result<Decision> {
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        self.ask(key, cost, true, Some(query), now).await
    }

    /// Takes more than the cost, or else the cost alone.
    async fn ask_ahead(
        &self,
        ahead: &Advance,
        key: &str,
        query: &Query<'_>,
        now: u64,
    ) -> Result<Decision> {
        let wanted = ahead.wanted(query.cost);
        let mut decision = self.take(key, wanted, query, now).await?;
        if wanted == query.cost || decision.reason != Reason::Limit {
            return Ok(decision);
        }
        if !decision.allowed {
            return self.take(key, query.cost, query, now).await;
        }
        if let [state] = &mut decision.states[..] {
            let store = Spent {
                limit: state.limit,
                remaining: state.remaining,
                reset_ms: state.reset_ms,
            };
            state.remaining = ahead.keep(key, wanted - query.cost, &store);
        }
        Ok(decision)
    }

    fn spent(&self, spent: &Spent, now_ms: u64) -> Decision {
        Decision {
            allowed: true,
            shadowed: self.0.shadow,
            reason: Reason::Ahead,
            now_ms,
            retry_at_ms: None,
            states: smallvec::smallvec![LimitState {
                limit: spent.limit,
                remaining: spent.remaining,
                reset_ms: spent.reset_ms,
            }],
            listed: None,
        }
    }

    /// Gives back what was taken ahead, as before a process ends; how much that was.
    ///
    /// # Errors
    /// Whatever the client returns; what was not given back is counted until its window ends.
    pub async fn give_back(&self) -> Result<u64> {
        let Some(ahead) = &self.0.ahead else {
            return Ok(0);
        };
        let now = self.0.clock.now_ms();
        let held = ahead.take_all(now);
        let refunds = held.iter().map(|(key, permits)| {
            let permits = i64::try_from(*permits).unwrap_or(i64::MAX);
            self.ask(key, -permits, true, None, now)
        });
        for refunded in futures_util::future::join_all(refunds).await {
            let _ = refunded?;
        }
        Ok(held.iter().map(|(_, permits)| permits).sum())
    }

    /// Decides for several identifiers in one request.
    ///
    /// # Errors
    /// As [`limit`](Self::limit), each question for itself.
    pub async fn limit_many(&self, queries: &[Query<'_>]) -> Vec<Result<Decision>> {
        // The client merges what is awaited at the same time.
        futures_util::future::join_all(queries.iter().map(|q| self.decide(*q))).await
    }

    /// What a request of cost 1 would get; takes nothing.
    ///
    /// # Errors
    /// As [`limit`](Self::limit).
    pub async fn peek(&self, identifier: &str) -> Result<Decision> {
        let key = key_part(identifier)?;
        let now = self.0.clock.now_ms();
        match self.ask(&key, 0, false, None, now).await {
            Ok(decision) => Ok(decision),
            Err(error) => self.without_store(&key, 0, error, now),
        }
    }

    /// Gives back what was taken, never more than is counted now.
    ///
    /// # Errors
    /// As [`limit`](Self::limit).
    pub async fn refund(&self, identifier: &str, cost: u64) -> Result<Decision> {
        let key = key_part(identifier)?;
        self.0.blocks.lift(&key);
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        self.ask(&key, -cost, true, None, self.0.clock.now_ms())
            .await
    }

    /// Forgets what an identifier has used: deletes its few keys, without a scan.
    ///
    /// # Errors
    /// An invalid identifier, or whatever the client returns.
    pub async fn reset(&self, identifier: &str) -> Result<()> {
        let key = key_part(identifier)?;
        self.0.blocks.lift(&key);
        if let Some(ahead) = &self.0.ahead {
            ahead.forget(&key);
        }
        let now = self.0.clock.now_ms();
        let mut keys = Vec::with_capacity(self.0.limits.len() * 2);
        for limit in &self.0.limits {
            self.counters(limit, &key, now, false, &mut keys);
        }
        self.0.redis.del(keys).await?;
        Ok(())
    }

    /// Sets what every identifier may use, `None` for the limiter's own; one limit only.
    ///
    /// # Errors
    /// Without [`dynamic_limits`](RateLimiterBuilder::dynamic_limits), or whatever the client returns.
    pub async fn set_dynamic_limit(&self, limit: Option<u64>) -> Result<()> {
        self.set_override(format!("{}:dynamic:global", self.0.prefix), limit)
            .await?;
        self.0.blocks.lift_all();
        Ok(())
    }

    /// Sets what one identifier may use; wins over the one for all.
    ///
    /// # Errors
    /// As [`set_dynamic_limit`](Self::set_dynamic_limit).
    pub async fn set_dynamic_limit_of(&self, identifier: &str, limit: Option<u64>) -> Result<()> {
        let key = key_part(identifier)?;
        self.set_override(format!("{}:dynamic:of:{key}", self.0.prefix), limit)
            .await?;
        self.0.blocks.lift(&key);
        Ok(())
    }

    async fn set_override(&self, key: String, limit: Option<u64>) -> Result<()> {
        if !self.0.dynamic {
            return Err(Error::invalid_input(
                "build the limiter with dynamic_limits() first",
            ));
        }
        match limit {
            Some(limit) => self.0.redis.set(key, limit).await,
            None => self.0.redis.del([key]).await.map(drop),
        }
    }

    /// The limit for every identifier that is set in the store.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn dynamic_limit(&self) -> Result<Option<u64>> {
        self.0
            .redis
            .get(format!("{}:dynamic:global", self.0.prefix))
            .await
    }

    /// Adds identifiers, addresses, networks, user agents or country codes to the deny list.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn deny<S: AsRef<str>>(&self, members: &[S]) -> Result<i64> {
        self.0
            .redis
            .sadd(
                lists::deny_key(&self.0.prefix),
                members.iter().map(AsRef::as_ref),
            )
            .await
    }

    /// Adds members to the allow list, which wins over the deny list and the limits.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn allow<S: AsRef<str>>(&self, members: &[S]) -> Result<i64> {
        self.0
            .redis
            .sadd(
                lists::allow_key(&self.0.prefix),
                members.iter().map(AsRef::as_ref),
            )
            .await
    }

    /// Removes members from both lists.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn unlist<S: AsRef<str>>(&self, members: &[S]) -> Result<()> {
        let members = || members.iter().map(AsRef::as_ref);
        let mut pipeline = self.0.redis.pipeline();
        let denied = pipeline.srem(lists::deny_key(&self.0.prefix), members());
        let allowed = pipeline.srem(lists::allow_key(&self.0.prefix), members());
        let mut replies = pipeline.exec().await?;
        replies.take(denied)?;
        replies.take(allowed)?;
        Ok(())
    }

    /// Writes one decision to the analytics; await it after the answer, or beside other commands.
    ///
    /// Does nothing unless [`analytics`](RateLimiterBuilder::analytics) is on.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn record(&self, query: Query<'_>, decision: &Decision) -> Result<()> {
        if !self.0.analytics {
            return Ok(());
        }
        analytics::record(
            &self.0.redis,
            &self.0.prefix,
            query.identifier,
            query.country,
            decision,
        )
        .await
    }

    /// What was allowed, refused and denied in the last hours.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn usage(&self, hours: u32) -> Result<Usage> {
        analytics::usage(&self.0.redis, &self.0.prefix, self.0.clock.now_ms(), hours).await
    }

    /// The limits, in the order in which they were given.
    pub fn limits(&self) -> &[Limit] {
        &self.0.limits
    }

    fn finish(&self, id: &str, cost: u64, decision: Decision) -> Decision {
        let metrics = self.0.redis.metrics();
        metrics.count(
            if decision.allowed {
                "ratelimit_allowed"
            } else {
                "ratelimit_refused"
            },
            1,
        );
        if let (Reason::Limit, false, Some(until)) =
            (decision.reason, decision.allowed, decision.retry_at_ms)
        {
            // The cache works with this machine's clock, also where the server's decided.
            let now = self.0.clock.now_ms();
            self.0
                .blocks
                .block(id, cost, now + until.saturating_sub(decision.now_ms), now);
        }
        decision
    }

    fn without_store(&self, id: &str, cost: u64, error: Error, now_ms: u64) -> Result<Decision> {
        let allowed = match self.0.policy {
            FailurePolicy::Error => return Err(error),
            FailurePolicy::Open => true,
            FailurePolicy::Closed => false,
            FailurePolicy::Local => return Ok(self.locally(id, cost, &error, now_ms)),
        };
        tracing::warn!(%error, allowed, "the store did not decide");
        self.0.redis.metrics().count("ratelimit_unavailable", 1);
        Ok(Decision {
            allowed,
            shadowed: self.0.shadow,
            reason: Reason::Unavailable,
            now_ms,
            retry_at_ms: (!allowed).then(|| {
                let wait = error.retry_after().unwrap_or(Duration::from_secs(1));
                now_ms + u64::try_from(wait.as_millis()).unwrap_or(1000)
            }),
            states: smallvec::SmallVec::new(),
            listed: None,
        })
    }

    fn locally(&self, id: &str, cost: u64, error: &Error, now_ms: u64) -> Decision {
        let outcome = self.0.local.take(&self.0.limits, id, cost, now_ms);
        tracing::warn!(%error, outcome.allowed, "decided without the store");
        self.0.redis.metrics().count("ratelimit_local", 1);
        Decision {
            allowed: outcome.allowed,
            shadowed: self.0.shadow,
            reason: Reason::Local,
            now_ms,
            retry_at_ms: outcome.retry_at_ms,
            states: outcome.states,
            listed: None,
        }
    }
}
