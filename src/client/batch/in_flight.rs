//! How many requests are in flight at most, chosen from the round trips that are observed.
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Enough where a round trip is short: more would only make batches smaller.
const MIN: usize = 4;
/// Until the first response.
const INITIAL: usize = 16;
/// A call waits about this long for a request that may take it along.
const WAIT: Duration = Duration::from_micros(500);
/// The shortest round trip is forgotten after one to two times as many.
const WINDOW: u32 = 64;

/// A limit of requests in flight.
///
/// While a request is away, further calls gather. Over a long distance they would wait for round
/// trips of others, so there one request may leave every [`WAIT`] of a round trip. The shortest
/// recent round trip counts: one that is long because the server is busy must not add load.
#[derive(Debug)]
pub(crate) struct InFlightLimit {
    max: usize,
    limit: AtomicUsize,
    shortest: Mutex<Shortest>,
}

#[derive(Debug, Default)]
struct Shortest {
    current: Option<Duration>,
    previous: Option<Duration>,
    observed: u32,
}

impl InFlightLimit {
    /// Never more than `max`, at least one.
    pub(super) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self {
            max,
            limit: AtomicUsize::new(INITIAL.min(max)),
            shortest: Mutex::default(),
        }
    }

    /// How many requests may be in flight now.
    pub(super) fn get(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Notes how long a response took.
    pub(super) fn observe(&self, round_trip: Duration) {
        let mut shortest = self.shortest.lock().unwrap_or_else(PoisonError::into_inner);
        if shortest.observed == WINDOW {
            *shortest = Shortest {
                previous: shortest.current,
                ..Shortest::default()
            };
        }
        shortest.observed += 1;
        let current = shortest.current.map_or(round_trip, |d| d.min(round_trip));
        shortest.current = Some(current);
        let shortest = shortest.previous.map_or(current, |d| d.min(current));
        let wanted = usize::try_from(shortest.as_micros() / WAIT.as_micros());
        let wanted = wanted.unwrap_or(usize::MAX).max(MIN);
        self.limit.store(wanted.min(self.max), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_after(max: usize, round_trips: &[u64]) -> usize {
        let limit = InFlightLimit::new(max);
        for us in round_trips {
            limit.observe(Duration::from_micros(*us));
        }
        limit.get()
    }

    #[test]
    fn the_limit_follows_the_round_trip_within_its_bounds() {
        assert_eq!(limit_after(64, &[]), 16);
        assert_eq!(limit_after(64, &[150]), 4);
        assert_eq!(limit_after(64, &[10_000]), 20);
        assert_eq!(limit_after(64, &[30_000]), 60);
        assert_eq!(limit_after(64, &[u64::MAX]), 64);
        // A limit of the caller is never exceeded.
        assert_eq!(limit_after(2, &[]), 2);
        assert_eq!(limit_after(2, &[30_000]), 2);
        assert_eq!(limit_after(0, &[30_000]), 1);
    }

    #[test]
    fn a_busy_server_does_not_raise_the_limit_and_a_longer_way_does() {
        let mut round_trips = vec![1_000];
        round_trips.extend([40_000; 64]);
        assert_eq!(limit_after(64, &round_trips), 4);
        round_trips.extend([40_000; 64]);
        assert_eq!(limit_after(64, &round_trips), 64);
    }
}
