//! How fast something grows.

use std::collections::VecDeque;

/// What the rate is taken over, in milliseconds.
const OVER_MS: u64 = 10_000;
/// Time between two samples.
const SAMPLE_MS: u64 = 1_000;

/// Samples of a counter.
#[derive(Debug, Default)]
pub(super) struct Rate {
    samples: VecDeque<(u64, u64)>,
}

impl Rate {
    /// Notes the count before it grows.
    pub(super) fn sample(&mut self, now_ms: u64, count: u64) {
        let last = self.samples.back().map(|(at, _)| *at);
        if last.is_none_or(|last| now_ms.abs_diff(last) >= SAMPLE_MS) {
            self.samples.push_back((now_ms, count));
            self.forget(now_ms);
        }
    }

    /// Keeps one sample that is too old, which the rate begins with.
    fn forget(&mut self, now_ms: u64) {
        let begin = now_ms.saturating_sub(OVER_MS);
        while self.samples.get(1).is_some_and(|(at, _)| *at <= begin) {
            self.samples.pop_front();
        }
    }

    /// How much the count grew in a second; over at least one second.
    pub(super) fn per_second(&self, now_ms: u64, count: u64) -> f64 {
        let begin = now_ms.saturating_sub(OVER_MS);
        let first = self.samples.iter().rev().find(|(at, _)| *at <= begin);
        let Some((at, before)) = first.or(self.samples.front()) else {
            return 0.0;
        };
        // What lies before the samples is not known: it counts as an even growth.
        let over = now_ms.saturating_sub(*at).max(SAMPLE_MS);
        count.saturating_sub(*before) as f64 * 1e3 / over as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(0, 0), 0.0);
        let mut count = 0;
        for ms in (0..30_000).step_by(10) {
            rate.sample(1_000_000 + ms, count);
            count += 1;
        }
        assert_eq!(rate.per_second(1_030_000, count).round(), 100.0);
        // Nothing came for long.
        assert!(rate.per_second(1_130_000, count) < 10.0);
    }
}
