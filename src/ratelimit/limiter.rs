//! The limiter: decides in the store with one call and remembers refusals.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    block_cache::{Block, BlockCache, Mark},
    decision::{Decision, LimitState, Reason},
    identifier::{apart, group_part, key_part, organisation_part, tagged},
    limit::{Kind, Limit},
    local::Local,
    policy::{ClockSource, FailurePolicy, Policy},
    request::RateLimitRequest,
    reservation::Reservations,
    store::Operation,
};
use crate::{
    Clock, Error, Redis, Result,
    commands::{GenericCommands as _, ServerCommands as _},
    identity,
};

/// How long a block is known where a list or a limit in the store can lift it.
const SHORT_MS: u64 = 1000;

/// Limits requests; cheap to clone, clones share the block cache.
#[derive(Debug, Clone)]
pub struct RateLimiter(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) redis: Redis,
    pub(super) policy: Policy,
    /// The first limit as [`window_call`](RateLimiter::window_call) writes it.
    pub(super) window: String,
    /// Whether keys of different identifiers can be the same.
    pub(super) can_meet: bool,
    pub(super) prefix: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) blocks: BlockCache,
    pub(super) local: Local,
    pub(super) reservations: Option<Reservations>,
}

/// The parts of the keys in which a request is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyParts<'a> {
    id: &'a str,
    group: &'a str,
}

impl<'a> KeyParts<'a> {
    fn new(id: &'a str, group: &'a str) -> Self {
        Self { id, group }
    }

    fn alone(id: &'a str) -> Self {
        Self { id, group: "" }
    }

    /// The name under which the block cache keeps a refusal.
    fn block_name(self) -> Cow<'a, str> {
        if self.group.is_empty() {
            Cow::Borrowed(self.id)
        } else {
            let (length, group, id) = (self.group.len(), self.group, self.id);
            Cow::Owned(format!("{length} {group} {id}"))
        }
    }

    /// The part for this limit: of the group or of the identifier.
    pub(super) fn of(self, limit: &Limit) -> &'a str {
        if limit.per_group { self.group } else { self.id }
    }
}

impl RateLimiter {
    /// Takes one.
    ///
    /// # Errors
    /// An invalid identifier; with [`FailurePolicy::Error`] whatever the client returns.
    pub async fn limit(&self, identifier: &str) -> Result<Decision> {
        self.decide(RateLimitRequest::new(identifier)).await
    }

    /// Takes the cost of a request.
    ///
    /// # Errors
    /// As [`limit`](Self::limit).
    pub async fn decide(&self, request: RateLimitRequest<'_>) -> Result<Decision> {
        let key = self.part_of(&request)?;
        let group = self.group(&request)?;
        let parts = KeyParts::new(&key, &group);
        let now = self.0.clock.now_ms();
        let name = self.block_name(parts, &request);
        let mark = self.0.blocks.mark(&key, &group);
        if let Some(block) = self.0.blocks.find(&name, request.cost, now, mark) {
            let decision = Decision {
                allowed: false,
                shadowed: self.0.policy.shadow,
                reason: Reason::CacheBlock,
                taken: 0,
                now_ms: now,
                retry_at_ms: block.retry_at_ms,
                states: block.states,
                listed: None,
            };
            return Ok(self.finish(&name, request.cost, mark, decision));
        }
        let asked = if let Some(reservations) = &self.0.reservations {
            if let Some(state) = reservations.take(&key, request.cost, now) {
                let decision = self.reserved(state, request.cost, now);
                return Ok(self.finish(&name, request.cost, mark, decision));
            }
            self.reserve(reservations, &key, &request, now).await
        } else {
            let operation = Operation::Take(request.cost, request.most);
            self.decide_in_store(parts, operation, Some(&request), now)
                .await
        };
        match asked {
            Ok(decision) => Ok(self.finish(&name, request.cost, mark, decision)),
            Err(error) => self.without_store(parts, &request, error, now),
        }
    }

    /// Takes more than the cost, as far as there is.
    async fn reserve(
        &self,
        reservations: &Reservations,
        key: &str,
        request: &RateLimitRequest<'_>,
        now: u64,
    ) -> Result<Decision> {
        let operation = Operation::Take(request.cost, reservations.wanted(request.most));
        let mut decision = self
            .decide_in_store(KeyParts::alone(key), operation, Some(request), now)
            .await?;
        if let [state] = &mut decision.states[..]
            && decision.taken > request.most
        {
            let store = *state;
            // By this machine's clock, and not later: the time of asking is before that of deciding.
            let ends_ms = match self.0.policy.clock {
                ClockSource::Client => store.reset_ms,
                ClockSource::Server => (now + store.reset_ms).saturating_sub(decision.now_ms),
            };
            state.remaining =
                reservations.keep(key, decision.taken - request.most, &store, ends_ms);
            decision.taken = request.most;
        }
        Ok(decision)
    }

    fn reserved(&self, state: LimitState, taken: u64, now_ms: u64) -> Decision {
        Decision {
            allowed: true,
            shadowed: self.0.policy.shadow,
            reason: Reason::Reserved,
            taken,
            now_ms,
            retry_at_ms: None,
            states: smallvec::smallvec![state],
            listed: None,
        }
    }

    /// Gives back what was taken ahead, as before a process ends; how much that was.
    ///
    /// # Errors
    /// Whatever the client returns; what was not given back is counted until its window ends.
    pub async fn give_back(&self) -> Result<u64> {
        let Some(reservations) = &self.0.reservations else {
            return Ok(0);
        };
        let now = self.0.clock.now_ms();
        let held = reservations.take_all(now);
        let refunds = held.iter().map(|(key, permits)| {
            self.decide_in_store(KeyParts::alone(key), Operation::Refund(*permits), None, now)
        });
        let refunds = futures_util::future::join_all(refunds).await;
        self.0.blocks.lift_all();
        for refunded in refunds {
            let _ = refunded?;
        }
        Ok(held.iter().map(|(_, permits)| permits).sum())
    }

    /// Decides for several identifiers in one request.
    ///
    /// # Errors
    /// As [`limit`](Self::limit), each request for itself.
    pub async fn limit_many(&self, requests: &[RateLimitRequest<'_>]) -> Vec<Result<Decision>> {
        // The client merges what is awaited at the same time.
        futures_util::future::join_all(requests.iter().map(|q| self.decide(*q))).await
    }

    /// What a request of cost 1 would get, lists and permits taken ahead included; takes nothing.
    ///
    /// # Errors
    /// As [`limit`](Self::limit).
    pub async fn peek<'q>(&self, request: impl Into<RateLimitRequest<'q>>) -> Result<Decision> {
        let request = request.into().cost(1);
        let (key, group) = (self.part_of(&request)?, self.group(&request)?);
        let parts = KeyParts::new(&key, &group);
        let now = self.0.clock.now_ms();
        let mut decision = match self
            .decide_in_store(parts, Operation::Peek, Some(&request), now)
            .await
        {
            Ok(decision) => decision,
            // Judges a cost of 1 and takes 0.
            Err(error) => {
                return self.without_store(
                    parts,
                    &RateLimitRequest { most: 0, ..request },
                    error,
                    now,
                );
            }
        };
        let held = self
            .0
            .reservations
            .as_ref()
            .map_or(0, |a| a.held_by(&key, now));
        if held > 0 && decision.reason == Reason::Limit {
            (decision.allowed, decision.retry_at_ms) = (true, None);
            for state in &mut decision.states {
                state.remaining += held;
                state.exceeded = false;
            }
        }
        Ok(decision)
    }

    /// Gives back what was taken, never more than is counted now.
    ///
    /// # Errors
    /// As [`limit`](Self::limit).
    pub async fn refund<'q>(
        &self,
        request: impl Into<RateLimitRequest<'q>>,
        cost: u64,
    ) -> Result<Decision> {
        let request = request.into();
        let (key, group) = (self.part_of(&request)?, self.group(&request)?);
        let parts = KeyParts::new(&key, &group);
        let now = self.0.clock.now_ms();
        let refunded = self
            .decide_in_store(parts, Operation::Refund(cost), None, now)
            .await;
        if self.0.policy.protection {
            self.0.blocks.lift_all();
        } else {
            self.0.blocks.lift(&key, &group);
        }
        refunded
    }

    /// Forgets what an identifier has used: deletes its few keys, without a scan. What its group has
    /// used stays. With [`ClockSource::Server`] windows and periods take a second request, for the server's time.
    ///
    /// # Errors
    /// An invalid identifier, or whatever the client returns.
    pub async fn reset<'q>(&self, identifier: impl Into<RateLimitRequest<'q>>) -> Result<()> {
        let key = self.part_of(&identifier.into())?;
        let forgotten = self.forget(&key).await;
        if let Some(reservations) = &self.0.reservations {
            reservations.forget(&key);
        }
        self.lift(&key);
        forgotten
    }

    async fn forget(&self, key: &str) -> Result<()> {
        let own = || self.0.policy.limits.iter().filter(|limit| !limit.per_group);
        let timed = |limit: &Limit| !matches!(limit.kind, Kind::Bucket | Kind::Gcra);
        let now = if self.0.policy.clock == ClockSource::Server && own().any(timed) {
            let (seconds, micros) = self.0.redis.time().await?;
            seconds * 1000 + u64::from(micros) / 1000
        } else {
            self.0.clock.now_ms()
        };
        let mut keys = Vec::with_capacity(self.0.policy.limits.len() * 2);
        for limit in own() {
            self.counters(limit, key, now, false, &mut keys);
        }
        if !keys.is_empty() {
            self.0.redis.del(keys).await?;
        }
        Ok(())
    }

    /// The limits, in the order in which they were given.
    pub fn limits(&self) -> &[Limit] {
        &self.0.policy.limits
    }

    /// The part of a key that stands for an identifier.
    pub(super) fn part<'i>(&self, identifier: &'i str) -> Result<Cow<'i, str>> {
        let part = self.own_part(identifier)?;
        Ok(if self.0.policy.hash_tags {
            Cow::Owned(tagged(&part))
        } else {
            part
        })
    }

    /// The part of a key that stands for the identifier of a request, in its organisation.
    fn part_of<'i>(&self, request: &RateLimitRequest<'i>) -> Result<Cow<'i, str>> {
        let Some(organisation) = request.organisation else {
            return self.part(request.identifier);
        };
        let part = organisation_part(organisation, request.identifier)?;
        Ok(Cow::Owned(if self.0.policy.hash_tags {
            tagged(&part)
        } else {
            part
        }))
    }

    /// The name under which the block cache keeps a refusal; with lists it holds all that they look at.
    fn block_name<'i>(&self, parts: KeyParts<'i>, request: &RateLimitRequest<'_>) -> Cow<'i, str> {
        if !self.0.policy.protection {
            return parts.block_name();
        }
        let ip = request.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let (agent, country) = (request.user_agent, request.country);
        let others = [agent.unwrap_or_default(), country.unwrap_or_default()];
        Cow::Owned(identity::join(
            [&parts.block_name(), &*ip].into_iter().chain(others),
        ))
    }

    fn own_part<'i>(&self, name: &'i str) -> Result<Cow<'i, str>> {
        let part = key_part(name)?;
        Ok(if self.0.can_meet { apart(part) } else { part })
    }

    /// Forgets that an identifier is blocked, in any group.
    pub(super) fn lift(&self, key: &str) {
        if self.has_groups() || self.0.policy.protection {
            self.0.blocks.lift_all();
        } else {
            self.0.blocks.lift(key, "");
        }
    }

    /// Whether lists are looked up.
    pub fn has_lists(&self) -> bool {
        self.0.policy.protection
    }

    /// The decision about a caller that no list can be asked about.
    #[cfg(feature = "tower")]
    pub(crate) fn denied(&self) -> Decision {
        Decision {
            allowed: false,
            shadowed: self.0.policy.shadow,
            reason: Reason::DenyList,
            taken: 0,
            now_ms: self.0.clock.now_ms(),
            retry_at_ms: None,
            states: smallvec::SmallVec::new(),
            listed: None,
        }
    }

    fn has_groups(&self) -> bool {
        self.0.policy.limits.iter().any(Limit::is_per_group)
    }

    /// The part that stands for the group; empty where no limit asks for it.
    fn group(&self, request: &RateLimitRequest<'_>) -> Result<String> {
        if !self.has_groups() {
            return Ok(String::new());
        }
        let group = request
            .group
            .or(request.organisation)
            .ok_or_else(|| Error::invalid_input("a limit per group needs the request's group"))?;
        self.group_part(group)
    }

    pub(super) fn group_part(&self, group: &str) -> Result<String> {
        let part = group_part(&self.own_part(group)?);
        Ok(if self.0.policy.hash_tags {
            tagged(&part)
        } else {
            part
        })
    }

    fn finish(&self, id: &str, cost: u64, mark: Mark, decision: Decision) -> Decision {
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
            let here = |at_ms: u64| match self.0.policy.clock {
                ClockSource::Client => at_ms,
                ClockSource::Server => (now + at_ms).saturating_sub(decision.now_ms),
            };
            let mut states = decision.states.clone();
            states
                .iter_mut()
                .for_each(|s| s.reset_ms = here(s.reset_ms));
            let until_ms = here(until);
            let elsewhere = self.0.policy.protection || self.0.policy.dynamic;
            let block = Block {
                until_ms,
                known_until_ms: until_ms.min(if elsewhere { now + SHORT_MS } else { u64::MAX }),
                cost,
                mark,
                states,
            };
            self.0.blocks.block(id, block, now);
        }
        decision
    }

    fn without_store(
        &self,
        parts: KeyParts<'_>,
        request: &RateLimitRequest<'_>,
        error: Error,
        now_ms: u64,
    ) -> Result<Decision> {
        let allowed = match self.0.policy.on_failure {
            FailurePolicy::Error => return Err(error),
            FailurePolicy::Open => true,
            FailurePolicy::Closed => false,
            FailurePolicy::Local => return Ok(self.decide_locally(parts, request, &error, now_ms)),
        };
        tracing::warn!(%error, allowed, "the store did not decide");
        self.0.redis.metrics().count("ratelimit_unavailable", 1);
        Ok(Decision {
            allowed,
            shadowed: self.0.policy.shadow,
            reason: Reason::Unavailable,
            taken: 0,
            now_ms,
            retry_at_ms: (!allowed).then(|| {
                let wait = error.retry_after().unwrap_or(Duration::from_secs(1));
                now_ms + u64::try_from(wait.as_millis()).unwrap_or(1000)
            }),
            states: smallvec::SmallVec::new(),
            listed: None,
        })
    }

    fn decide_locally(
        &self,
        parts: KeyParts<'_>,
        request: &RateLimitRequest<'_>,
        error: &Error,
        now_ms: u64,
    ) -> Decision {
        let costs = (request.cost, request.most);
        let outcome = self
            .0
            .local
            .take(&self.0.policy.limits, parts, costs, now_ms);
        tracing::warn!(%error, outcome.allowed, "decided without the store");
        self.0.redis.metrics().count("ratelimit_local", 1);
        Decision {
            allowed: outcome.allowed,
            shadowed: self.0.policy.shadow,
            reason: Reason::Local,
            taken: outcome.taken,
            now_ms,
            retry_at_ms: outcome.retry_at_ms,
            states: outcome.states,
            listed: None,
        }
    }
}
