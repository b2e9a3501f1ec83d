//! What ran on a database: calls, time and failures of each command.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// Parts of each power of two that a duration is told apart by.
const PARTS_BITS: u32 = 3;
/// Durations up to 2^37 ns, two minutes.
const BUCKETS: usize = 280;
/// Error codes that are counted one by one: scripts can make up others.
const CODES: usize = 128;
/// Milliseconds between two samples of the rate.
const SAMPLE_MS: u64 = 100;
/// Samples that the rate is taken over.
const SAMPLES: usize = 16;

/// Calls of one command.
#[derive(Debug)]
pub(crate) struct CommandStats {
    pub(crate) calls: u64,
    pub(crate) time: Duration,
    /// Refused before it ran: arity, permissions, memory.
    pub(crate) rejected: u64,
    /// Ran and answered an error.
    pub(crate) failed: u64,
    buckets: Box<[u64]>,
}

impl Default for CommandStats {
    fn default() -> Self {
        Self {
            calls: 0,
            time: Duration::ZERO,
            rejected: 0,
            failed: 0,
            buckets: vec![0; BUCKETS].into(),
        }
    }
}

fn bucket(nanos: u64) -> usize {
    let bits = u64::BITS - nanos.leading_zeros();
    let shift = bits.saturating_sub(PARTS_BITS + 1);
    let index = ((shift as usize) << PARTS_BITS) + (nanos >> shift) as usize;
    index.min(BUCKETS - 1)
}

/// The largest duration of a bucket, in nanoseconds.
fn upper(bucket: usize) -> u64 {
    let parts = 1 << PARTS_BITS;
    let shift = (bucket / parts).saturating_sub(1);
    let first = (bucket - shift * parts) as u64;
    ((first + 1) << shift) - 1
}

impl CommandStats {
    fn ran(&mut self, took: Duration) {
        self.calls += 1;
        self.time += took;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.buckets.get_mut(bucket(nanos)) {
            *count += 1;
        }
    }

    /// The duration that this share of the calls does not exceed, by at most an eighth too long.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.calls as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper(index));
            }
        }
        Duration::ZERO
    }
}

/// What a database has done since it started.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Commands run, those of scripts included.
    pub(crate) processed: u64,
    by_command: HashMap<&'static str, CommandStats, foldhash::fast::RandomState>,
    by_code: BTreeMap<String, u64>,
    pub(crate) error_replies: u64,
    rate: VecDeque<(u64, u64)>,
}

impl Stats {
    /// Counts a command that ran.
    pub(crate) fn ran(&mut self, name: &'static str, took: Duration, failed: bool) {
        let stats = self.by_command.entry(name).or_default();
        stats.ran(took);
        stats.failed += u64::from(failed);
    }

    /// Counts a command that was refused.
    pub(crate) fn rejected(&mut self, name: &'static str) {
        self.by_command.entry(name).or_default().rejected += 1;
    }

    /// Counts an error reply by its first word.
    pub(crate) fn error(&mut self, code: &str) {
        self.error_replies += 1;
        if let Some(count) = self.by_code.get_mut(code) {
            *count += 1;
        } else if self.by_code.len() < CODES && code.len() <= 64 {
            self.by_code.insert(code.to_owned(), 1);
        }
    }

    /// Notes how many commands have run by now, for the rate.
    pub(crate) fn sample(&mut self, now_ms: u64) {
        let due = self.rate.back();
        if due.is_none_or(|(at, _)| now_ms.abs_diff(*at) >= SAMPLE_MS) {
            if self.rate.len() == SAMPLES {
                self.rate.pop_front();
            }
            self.rate.push_back((now_ms, self.processed));
        }
    }

    /// Commands a second, over the last second and a half.
    pub(crate) fn per_second(&self, now_ms: u64) -> u64 {
        let recent = now_ms.saturating_sub(SAMPLE_MS * SAMPLES as u64);
        let first = self
            .rate
            .iter()
            .find(|(at, _)| (recent..now_ms).contains(at));
        first.map_or(0, |(at, processed)| {
            (self.processed - processed) * 1000 / (now_ms - at).max(1)
        })
    }

    /// The commands that were called, by name.
    pub(crate) fn commands(&self) -> Vec<(&'static str, &CommandStats)> {
        let mut all: Vec<_> = self.by_command.iter().map(|(n, s)| (*n, s)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }

    /// How often each error was answered, by its first word.
    pub(crate) fn errors(&self) -> impl Iterator<Item = (&str, u64)> {
        self.by_code.iter().map(|(code, n)| (code.as_str(), *n))
    }

    /// Sets everything to zero.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_are_an_eighth_wide() {
        for nanos in [0, 1, 7, 8, 15, 16, 17, 1_000, 123_456_789, 60_000_000_000] {
            let at = bucket(nanos);
            assert!(nanos <= upper(at), "{nanos}");
            assert!(at == 0 || upper(at - 1) < nanos, "{nanos}");
            assert!(upper(at) <= nanos + nanos / 8, "{nanos}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_calls() {
        let mut stats = CommandStats::default();
        for micros in 1..=100 {
            stats.ran(Duration::from_micros(micros));
        }
        let half = stats.quantile(0.5).as_secs_f64() * 1e6;
        let most = stats.quantile(0.99).as_secs_f64() * 1e6;
        assert!((50.0..56.5).contains(&half), "{half}");
        assert!((99.0..112.0).contains(&most), "{most}");
    }

    #[test]
    fn the_rate_is_that_of_the_last_moments() {
        let mut stats = Stats::default();
        for ms in 0..=2_000 {
            stats.sample(10_000 + ms);
            stats.processed += 1;
        }
        assert_eq!(stats.per_second(12_001), 1_000);
        assert_eq!(stats.per_second(20_000), 0);
    }
}
