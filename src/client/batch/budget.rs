//! The retry budget: retries never multiply the load of a failing server.
use std::sync::atomic::{AtomicU32, Ordering};

/// A retry costs five shares and a request brings one: at most 20 % more requests.
const COST: u32 = 5;
/// What a client that has sent little may spend: ten retries.
const RESERVE: u32 = 10 * COST;
/// A long quiet time does not save up for a storm.
const MOST: u32 = 100 * COST;

#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(RESERVE))
    }

    /// Notes a first attempt.
    pub(crate) fn earn(&self) {
        let add = |n: u32| (n < MOST).then_some(n + 1);
        // Full is fine.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Whether one more retry is affordable.
    pub(crate) fn spend(&self) -> bool {
        let pay = |n: u32| n.checked_sub(COST);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_stay_below_a_fifth_of_the_requests() {
        let budget = Budget::new();
        let retries = (0..10_000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        let retries = retries.count();
        assert!((2_000..=2_010).contains(&retries), "{retries}");
    }
}
