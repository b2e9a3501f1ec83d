//! The outcome of one request.

use std::time::Duration;

use smallvec::SmallVec;

/// Why a decision is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The limits decided.
    Limit,
    /// A refusal that this process remembers; no request to the store was made.
    CacheBlock,
    /// A permit that was reserved before; no request to the store was made.
    Reserved,
    /// A deny list names the caller.
    DenyList,
    /// An allow list names the caller; nothing was counted.
    AllowList,
    /// The store did not answer; the failure policy decided.
    Unavailable,
    /// The store did not answer; the limits were counted in this process.
    Local,
}

/// One limit at the moment of the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitState {
    /// What may be used in full, dynamic limits applied.
    pub limit: u64,
    /// What is left after this decision.
    pub remaining: u64,
    /// Unix milliseconds: the next window, refill, or (GCRA) when it is full again.
    pub reset_ms: u64,
    /// Whether this limit is a reason for the refusal.
    pub exceeded: bool,
}

/// Whether a request may go on, and what is left. A refusal is not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    pub(crate) allowed: bool,
    pub(crate) shadowed: bool,
    pub(crate) reason: Reason,
    pub(crate) taken: u64,
    pub(crate) now_ms: u64,
    /// `None`: the same cost never fits.
    pub(crate) retry_at_ms: Option<u64>,
    pub(crate) states: SmallVec<[LimitState; 1]>,
    pub(crate) listed: Option<String>,
}

impl Decision {
    /// Whether the request may go on; always in shadow mode.
    pub fn is_allowed(&self) -> bool {
        self.allowed || self.shadowed
    }

    /// Whether shadow mode lets a request go on that would have been refused.
    pub fn is_shadowed(&self) -> bool {
        self.shadowed && !self.allowed
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// How much was taken: the cost, or what there was with [`up_to`](super::RateLimitRequest::up_to).
    ///
    /// 0 for a refusal, and where a list or [`FailurePolicy::Open`](super::FailurePolicy::Open) decided.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Each limit, in the order in which they were given; empty when none was asked.
    pub fn limits(&self) -> &[LimitState] {
        &self.states
    }

    /// The limit with the least left, if limits were asked.
    pub fn tightest(&self) -> Option<LimitState> {
        self.states.iter().copied().min_by_key(|s| s.remaining)
    }

    /// What the tightest limit allows in full; 0 when none was asked.
    pub fn limit(&self) -> u64 {
        self.tightest().map_or(0, |s| s.limit)
    }

    /// What the tightest limit has left; 0 when none was asked.
    pub fn remaining(&self) -> u64 {
        self.tightest().map_or(0, |s| s.remaining)
    }

    /// When the tightest limit resets, in unix milliseconds; 0 when none was asked.
    pub fn reset_ms(&self) -> u64 {
        self.tightest().map_or(0, |s| s.reset_ms)
    }

    /// How long to wait until the same cost fits, if nothing else is used meanwhile.
    ///
    /// `None` when it was allowed, or when it never fits because it is above a limit.
    pub fn retry_after(&self) -> Option<Duration> {
        if self.allowed {
            return None;
        }
        self.retry_at_ms
            .map(|at| Duration::from_millis(at.saturating_sub(self.now_ms)))
    }

    /// The member of a list that decided.
    pub fn listed(&self) -> Option<&str> {
        self.listed.as_deref()
    }

    /// The time that decided, in unix milliseconds.
    pub fn decided_at_ms(&self) -> u64 {
        self.now_ms
    }
}
