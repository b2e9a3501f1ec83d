//! Reservations: permits taken from the store before they are needed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{decision::LimitState, generations::Generations};

/// Permits that the store has already counted and this process may still hand out.
#[derive(Debug)]
pub(super) struct Reservations {
    permits: u64,
    held: Mutex<Generations<Reservation>>,
}

/// What is held for one identifier.
#[derive(Debug, Clone, Copy, Default)]
struct Reservation {
    permits: u64,
    /// What the store had left beside them.
    beyond: u64,
    limit: u64,
    /// The window's end by the clock that decided, which tells it from others.
    reset_ms: u64,
    /// The same by this machine's clock.
    ends_ms: u64,
}

impl Reservations {
    /// Takes so many at a time, for as many identifiers as there is room.
    pub(super) fn new(permits: u64, capacity: usize) -> Self {
        Self {
            permits,
            held: Mutex::new(Generations::new(capacity)),
        }
    }

    fn held(&self) -> MutexGuard<'_, Generations<Reservation>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many to ask the store for.
    pub(super) fn wanted(&self, cost: u64) -> u64 {
        self.permits.max(cost)
    }

    /// Hands out what is held, if it is enough and its window lasts.
    pub(super) fn take(&self, identifier: &str, cost: u64, now_ms: u64) -> Option<LimitState> {
        let mut all = self.held();
        let held = all.get(identifier)?;
        if held.ends_ms <= now_ms {
            all.remove(identifier);
            return None;
        }
        held.permits = held.permits.checked_sub(cost)?;
        Some(LimitState {
            limit: held.limit,
            remaining: held.beyond + held.permits,
            reset_ms: held.ends_ms,
            exceeded: false,
        })
    }

    /// How much is held and still counts.
    pub(super) fn held_by(&self, identifier: &str, now_ms: u64) -> u64 {
        let mut all = self.held();
        let live = all.get(identifier).filter(|held| held.ends_ms > now_ms);
        live.map_or(0, |held| held.permits)
    }

    /// Keeps what was taken beyond the cost, and says what is left in all.
    pub(super) fn keep(
        &self,
        identifier: &str,
        permits: u64,
        store: &LimitState,
        ends_ms: u64,
    ) -> u64 {
        let mut all = self.held();
        let held = all.get_or_insert(identifier, Reservation::default);
        let still = if held.reset_ms == store.reset_ms {
            held.permits
        } else {
            0
        };
        *held = Reservation {
            permits: still + permits,
            beyond: store.remaining,
            limit: store.limit,
            reset_ms: store.reset_ms,
            ends_ms,
        };
        held.beyond + held.permits
    }

    /// Gives up what is held for one identifier.
    pub(super) fn forget(&self, identifier: &str) {
        self.held().remove(identifier);
    }

    /// Gives up everything: who holds how much that still counts.
    pub(super) fn take_all(&self, now_ms: u64) -> Vec<(Box<str>, u64)> {
        let all = self.held().take_all();
        let live = all
            .into_iter()
            .filter(|(_, held)| held.ends_ms > now_ms && held.permits > 0);
        live.map(|(identifier, held)| (identifier, held.permits))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(remaining: u64) -> LimitState {
        LimitState {
            limit: 10,
            remaining,
            reset_ms: 100,
            exceeded: false,
        }
    }

    #[test]
    fn what_is_held_is_handed_out_once_and_ends_with_its_window() {
        let reservations = Reservations::new(3, 8);
        assert_eq!(reservations.take("a", 1, 0), None);
        assert_eq!(reservations.keep("a", 2, &store(7), 100), 9);
        assert_eq!(reservations.take("a", 3, 0), None);
        assert_eq!(reservations.take("a", 1, 0), Some(store(8)));
        assert_eq!(
            (
                reservations.held_by("a", 99),
                reservations.held_by("a", 100)
            ),
            (1, 0)
        );
        assert_eq!(reservations.take("a", 1, 99), Some(store(7)));
        assert_eq!(reservations.take("a", 1, 99), None);
        reservations.keep("a", 2, &store(4), 100);
        assert_eq!(reservations.take("a", 1, 100), None);
    }

    #[test]
    fn what_is_left_is_given_back_once() {
        let reservations = Reservations::new(3, 8);
        reservations.keep("a", 2, &store(7), 100);
        reservations.keep("b", 1, &store(7), 100);
        reservations.forget("b");
        assert_eq!(reservations.take_all(99), [("a".into(), 2)]);
        assert!(reservations.take_all(99).is_empty());
    }
}
