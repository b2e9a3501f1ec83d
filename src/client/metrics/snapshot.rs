//! The numbers of a client at one moment.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use super::counters::{BUCKETS, bucket_of, upper_us};
use crate::{client::batch::breaker::BreakerState, protocol::error::ErrorKind};

/// The numbers of one moment; its `Display` is the text format of Prometheus.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// By command name; `other` are commands without a method.
    pub commands: BTreeMap<&'static str, CommandStats>,
    /// Failed commands by kind of error, also unsent ones and replies that did not fit.
    pub errors: Vec<(ErrorKind, u64)>,
    /// Requests, retries included.
    pub requests: u64,
    /// Retries.
    pub retries: u64,
    /// Commands in all requests.
    pub batched_commands: u64,
    /// Requests with 1, 2, 3–4, 5–8, … more than 512 commands.
    pub batch_sizes: Vec<u64>,
    /// Bytes of request bodies that were answered.
    pub request_bytes: u64,
    /// Bytes of reply bodies.
    pub reply_bytes: u64,
    /// What the circuit breaker lets through.
    pub breaker: BreakerState,
    /// How often the circuit breaker opened.
    pub breaker_opened: u64,
    /// The last error of a command and when, unix milliseconds; an open circuit is none.
    pub last_error: Option<(ErrorKind, u64)>,
    /// Counters of building blocks.
    pub counters: BTreeMap<Cow<'static, str>, u64>,
    /// Times of building blocks.
    pub timings: BTreeMap<Cow<'static, str>, Timing>,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests for which no connection could be made.
    pub connections_failed: u64,
    /// Requests that were answered after one could not be sent or was cut off.
    pub reconnections: u64,
    /// Commands a second that were sent, over the last ten seconds.
    pub ops_per_second: f64,
}

/// How long something took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// How often.
    pub count: u64,
    /// All of them together.
    pub total: Duration,
    /// Those of at most 100 µs, 250 µs, 500 µs, 1 ms, 2.5 ms, … 120 s, and longer ones.
    pub buckets: Vec<u64>,
}

impl Timing {
    /// Counts one more.
    pub(crate) fn add(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.total = self.total.saturating_add(took);
        self.count += 1;
        self.buckets.resize(BUCKETS, 0);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(us)) {
            *bucket += 1;
        }
    }

    /// An upper bound of the time of this share of them, e.g. 0.99.
    pub fn quantile(&self, share: f64) -> Duration {
        quantile(self.count, &self.buckets, share)
    }
}

/// The numbers of one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandStats {
    /// Calls that ended, without those that failed unsent.
    pub count: u64,
    /// Calls that failed, also unsent or because their reply did not fit.
    pub errors: u64,
    /// Failed commands by kind of error.
    pub errors_by_kind: Vec<(ErrorKind, u64)>,
    /// Time of all calls together, from submission to result.
    pub total: Duration,
    /// Calls of at most 100 µs, 250 µs, 500 µs, 1 ms, 2.5 ms, … 120 s, and longer ones.
    pub buckets: Vec<u64>,
}

impl CommandStats {
    /// An upper bound of the latency of this share of the calls, e.g. 0.99.
    pub fn quantile(&self, share: f64) -> Duration {
        quantile(self.count, &self.buckets, share)
    }
}

fn quantile(count: u64, buckets: &[u64], share: f64) -> Duration {
    let wanted = (count as f64 * share).ceil() as u64;
    let mut seen = 0;
    for (i, n) in buckets.iter().enumerate() {
        seen += n;
        if seen >= wanted {
            return Duration::from_micros(upper_us(i));
        }
    }
    Duration::MAX
}

impl CommandStats {
    /// Adds the calls of another command.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.errors += other.errors;
        self.total += other.total;
        let len = self.buckets.len().max(other.buckets.len());
        self.buckets.resize(len, 0);
        for (to, from) in self.buckets.iter_mut().zip(&other.buckets) {
            *to += from;
        }
    }
}

impl Snapshot {
    /// Keeps what is of this moment and forgets all that only grows.
    pub(super) fn forget_totals(&mut self) {
        *self = Self {
            breaker: self.breaker,
            last_error: self.last_error,
            in_flight: self.in_flight,
            ops_per_second: self.ops_per_second,
            ..Self::default()
        };
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.families(), f)
    }
}
