//! What happened by the hour: events by type, dead letters by type, how long publishing took.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use super::{Events, keys::unless_lost, store::HOUR_MS};
use crate::{Result, prelude::*};

/// Steps of a doubling: a percentile is known to a fifth.
const STEPS: f64 = 4.0;
const MOST_BUCKETS: usize = 8;

/// How long calls took, in buckets that grow by a fifth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies(BTreeMap<u8, u64>);

impl Latencies {
    fn add(&mut self, took: Duration) {
        let us = took.as_micros().max(1) as f64;
        *self.0.entry((us.log2() * STEPS) as u8).or_default() += 1;
    }

    /// Adds those of another hour.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, n) in &other.0 {
            *self.0.entry(*bucket).or_default() += n;
        }
    }

    /// How many calls.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The time that a share of the calls did not exceed, such as 0.99; `None` without calls.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.0.iter().find(|(_, n)| {
            seen += **n;
            seen >= wanted
        });
        bucket.map(|(at, _)| {
            let us = ((f64::from(*at) + 1.0) / STEPS).exp2();
            Duration::from_micros(us as u64)
        })
    }
}

/// Latencies of this process that are not stored yet.
///
/// They travel with the next call that publishes: the numbers of all instances meet without a
/// request of their own.
#[derive(Debug, Default)]
pub(super) struct UnreportedLatencies(Mutex<Latencies>);

impl UnreportedLatencies {
    pub(super) fn add(&self, took: Duration) {
        self.lock().add(took);
    }

    /// Some of them as `BUCKET:COUNT` by blanks.
    pub(super) fn take(&self) -> String {
        let mut all = self.lock();
        let mut text = String::new();
        for _ in 0..MOST_BUCKETS {
            let Some((bucket, count)) = all.0.pop_first() else {
                break;
            };
            // Writing to a String cannot fail.
            let _ = write!(text, "{bucket}:{count} ");
        }
        text
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Latencies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One hour of one history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HourStats {
    /// When it began, unix milliseconds.
    pub hour_ms: u64,
    /// Events by type.
    pub published: BTreeMap<String, u64>,
    /// Events that were there already.
    pub duplicates: u64,
    /// How long calls that publish took, of every process.
    pub latency: Latencies,
    /// Dead letters by type, of every history of the environment.
    pub failed: BTreeMap<String, u64>,
    /// Counts that cannot be read.
    pub unreadable: u64,
}

/// The fields that are counts of something; the others are counted.
fn counts(fields: BTreeMap<Bytes, Bytes>, unreadable: &mut u64) -> Vec<(String, u64)> {
    let count = |(name, n): &(Bytes, Bytes)| {
        let n = str::from_utf8(n).ok()?.parse().ok()?;
        Some((str::from_utf8(name).ok()?.to_owned(), n))
    };
    let all = fields.len();
    let read: Vec<_> = fields.into_iter().filter_map(|pair| count(&pair)).collect();
    *unreadable += (all - read.len()) as u64;
    read
}

impl Events {
    /// What happened in the hour that contains a unix time; kept for 8 days.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn hour(&self, at_ms: u64) -> Result<HourStats> {
        let hour_ms = at_ms / HOUR_MS * HOUR_MS;
        let (stats, failures) = (self.keys.stats(hour_ms), self.keys.failures(hour_ms));
        let (all, failed) = futures_util::future::join(
            self.redis.hgetall(stats).into_future(),
            self.redis.hgetall(failures).into_future(),
        )
        .await;
        let mut hour = HourStats {
            hour_ms,
            ..HourStats::default()
        };
        let failed = counts(unless_lost(failed)?, &mut hour.unreadable);
        hour.failed = failed.into_iter().collect();
        for (field, n) in counts(unless_lost(all)?, &mut hour.unreadable) {
            match field.strip_prefix('#') {
                None => {
                    hour.published.insert(field, n);
                }
                Some("duplicates") => hour.duplicates = n,
                Some(bucket) => {
                    if let Ok(bucket) = bucket.parse() {
                        hour.latency.0.insert(bucket, n);
                    }
                }
            }
        }
        Ok(hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_known_to_a_fifth_and_nothing_is_reported_twice() {
        let unreported = UnreportedLatencies::default();
        for ms in 1..=100 {
            unreported.add(Duration::from_millis(ms));
        }
        let mut told = Latencies::default();
        loop {
            let text = unreported.take();
            if text.is_empty() {
                break;
            }
            assert!(text.split_whitespace().count() <= MOST_BUCKETS);
            for pair in text.split_whitespace() {
                let (bucket, n) = pair.split_once(':').unwrap_or_default();
                let before = told
                    .0
                    .insert(bucket.parse().unwrap_or(0), n.parse().unwrap_or(0));
                assert_eq!(before, None);
            }
        }
        assert_eq!(told.count(), 100);
        for (share, ms) in [(0.5, 50.0), (0.99, 99.0), (0.0, 1.0), (1.0, 100.0)] {
            let found = told.quantile(share).unwrap_or_default().as_secs_f64() * 1000.0;
            assert!(found >= ms && found <= ms * 1.2, "{share}: {found}");
        }
        assert_eq!(Latencies::default().quantile(0.5), None);
    }
}
