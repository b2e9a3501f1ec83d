//! The circuit breaker: after repeated failures calls fail at once for a while.
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    client::metrics::Metrics,
    protocol::error::{Delivery, Error, ErrorKind, Result},
    transport::time::{self, Instant},
};

/// A probe that has not ended by then is lost, as with an event that its host cancelled.
const PROBE: Duration = Duration::from_secs(30);

/// When the breaker opens and for how long.
#[derive(Debug, Clone)]
pub(crate) struct BreakerPolicy {
    /// Consecutive failures that open it; 0 switches it off.
    pub(crate) failures: u32,
    /// Shortest time it stays open; half as much is added at random.
    pub(crate) open_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(1),
        }
    }
}

/// What the breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum BreakerState {
    /// Everything.
    #[default]
    Closed,
    /// Nothing.
    Open,
    /// One request, to see whether the server is back.
    Probing,
}

impl BreakerState {
    /// Stable lower-case name, used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Probing => "probing",
        }
    }
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing { until: Instant },
}

#[derive(Debug)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    state: Mutex<State>,
    metrics: Metrics,
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy, metrics: Metrics) -> Self {
        Self {
            policy,
            state: Mutex::new(State::Closed { failures: 0 }),
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request through or refuses it.
    pub(crate) fn admit(&self) -> Result<Permit<'_>> {
        if self.policy.failures == 0 {
            return Ok(Permit {
                breaker: self,
                probe: false,
                settled: false,
            });
        }
        let mut state = self.lock();
        let probe = match &*state {
            State::Closed { .. } => false,
            State::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if left > Duration::ZERO {
                    return Err(refused(Some(left)));
                }
                true
            }
            State::Probing { until } if *until > Instant::now() => return Err(refused(None)),
            State::Probing { .. } => true,
        };
        if probe {
            let until = time::after(Instant::now(), PROBE);
            *state = State::Probing { until };
            self.metrics.breaker(BreakerState::Probing);
        }
        Ok(Permit {
            breaker: self,
            probe,
            settled: false,
        })
    }

    /// Whether it would refuse a request now.
    pub(crate) fn refuses(&self) -> bool {
        match &*self.lock() {
            State::Closed { .. } => false,
            State::Open { until } | State::Probing { until } => *until > Instant::now(),
        }
    }

    fn success(&self) {
        let mut state = self.lock();
        if !matches!(*state, State::Closed { failures: 0 }) {
            *state = State::Closed { failures: 0 };
            self.metrics.breaker(BreakerState::Closed);
        }
    }

    fn failure(&self, probe: bool) {
        if self.policy.failures == 0 {
            return;
        }
        let mut state = self.lock();
        let open = match &mut *state {
            State::Closed { failures } => {
                *failures += 1;
                *failures >= self.policy.failures
            }
            State::Probing { .. } => probe,
            // A request that left before it opened.
            State::Open { .. } => false,
        };
        if open {
            let period = self.policy.open_for.mul_f64(1.0 + time::random() / 2.0);
            *state = State::Open {
                until: time::after(Instant::now(), period),
            };
            self.metrics.breaker(BreakerState::Open);
            tracing::warn!(open_ms = period.as_millis() as u64, "circuit breaker opens");
        }
    }

    fn give_up_probe(&self) {
        let mut state = self.lock();
        if matches!(*state, State::Probing { .. }) {
            *state = State::Open {
                until: Instant::now(),
            };
            self.metrics.breaker(BreakerState::Open);
        }
    }
}

fn refused(left: Option<Duration>) -> Error {
    Error::new(
        ErrorKind::CircuitOpen,
        Delivery::NotSent,
        "too many failures in a row",
    )
    .with_retry_after(left)
}

/// One admitted request; says how it went.
#[derive(Debug)]
pub(crate) struct Permit<'b> {
    breaker: &'b Breaker,
    probe: bool,
    settled: bool,
}

impl Permit<'_> {
    /// The server answered.
    pub(crate) fn success(mut self) {
        self.settled = true;
        self.breaker.success();
    }

    /// It did not.
    pub(crate) fn failure(mut self) {
        self.settled = true;
        self.breaker.failure(self.probe);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Cancelled: nothing was learned, and the next call may probe.
        if !self.settled && self.probe {
            self.breaker.give_up_probe();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(
            BreakerPolicy {
                failures: 3,
                open_for: Duration::from_secs(1),
            },
            Metrics::new(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_consecutive_failures_and_probes_once() {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.admit().unwrap().failure();
        }
        let refused = breaker.admit().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::CircuitOpen);
        assert_eq!(refused.delivery(), Delivery::NotSent);
        assert!(refused.retry_after().unwrap() <= Duration::from_millis(1500));
        tokio::time::advance(Duration::from_millis(1501)).await;
        let probe = breaker.admit().unwrap();
        assert!(breaker.admit().is_err(), "only one probe at a time");
        probe.success();
        breaker.admit().unwrap().success();
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_opens_again() {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.admit().unwrap().failure();
        }
        tokio::time::advance(Duration::from_millis(1501)).await;
        breaker.admit().unwrap().failure();
        assert!(breaker.admit().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_lets_the_next_call_probe() {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.admit().unwrap().failure();
        }
        tokio::time::advance(Duration::from_millis(1501)).await;
        drop(breaker.admit().unwrap());
        breaker.admit().unwrap().success();
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_lost_is_replaced() {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.admit().unwrap().failure();
        }
        tokio::time::advance(Duration::from_millis(1501)).await;
        let lost = breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
        tokio::time::advance(PROBE).await;
        breaker.admit().unwrap().success();
        drop(lost);
        breaker.admit().unwrap().success();
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let breaker = breaker();
        for _ in 0..10 {
            breaker.admit().unwrap().failure();
            breaker.admit().unwrap().failure();
            breaker.admit().unwrap().success();
        }
    }
}
