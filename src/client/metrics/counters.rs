//! What a client did: counters and latency histograms, cheap enough to be always on.
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    flush::Flusher,
    rate::Rate,
    snapshot::{CommandStats, Snapshot, Timing},
};
#[cfg(all(feature = "otel", not(target_family = "wasm")))]
use crate::client::otel::CallObserver;
use crate::{
    client::{batch::breaker::BreakerState, variables::Environment},
    protocol::{
        command::Args,
        command_table::{self, TABLE},
        error::{Error, ErrorKind, Result},
        reply::{FromReply, Reply},
        response_meta::ResponseMeta,
    },
    transport::{
        TransportResponse,
        clock::{Clock as _, SystemClock},
    },
};

/// Upper bounds of the latency buckets but the last one, in microseconds. Thresholds of alerts are among
/// them, so that a percentile is on the right side of them.
pub(super) const BOUNDS_US: [u64; 20] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    750_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    60_000_000,
    120_000_000,
];
pub(super) const BUCKETS: usize = BOUNDS_US.len() + 1;

/// The counters of a client; clones count together.
#[derive(Clone, Default)]
pub struct Metrics(pub(super) Arc<Inner>);

pub(super) struct Inner {
    /// One cell a known command, made when it is first used, and one for all others.
    commands: Box<[OnceLock<Box<Cell>>]>,
    errors: [AtomicU64; ErrorKind::ALL.len()],
    requests: AtomicU64,
    retries: AtomicU64,
    batched: AtomicU64,
    batch_sizes: [AtomicU64; 11],
    request_bytes: AtomicU64,
    reply_bytes: AtomicU64,
    breaker: AtomicU8,
    breaker_opened: AtomicU64,
    /// Unix milliseconds, and in the last byte which of `ErrorKind::ALL`; 0 before the first.
    last_error: AtomicU64,
    in_flight: AtomicU64,
    connections_failed: AtomicU64,
    /// The last request could not be sent or was cut off.
    cut_off: AtomicBool,
    reconnections: AtomicU64,
    rate: Mutex<Rate>,
    other: Mutex<BTreeMap<&'static str, u64>>,
    timings: Mutex<BTreeMap<&'static str, Timing>>,
    flusher: OnceLock<Flusher>,
    #[cfg(all(feature = "otel", not(target_family = "wasm")))]
    pub(super) observer: OnceLock<Arc<CallObserver>>,
}

#[derive(Default)]
struct Cell {
    /// In the order of `ErrorKind::ALL`.
    errors: [AtomicU64; ErrorKind::ALL.len()],
    total_us: AtomicU64,
    /// Every command is in one of them: their sum is the count.
    latency: [AtomicU64; BUCKETS],
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            commands: (0..=TABLE.len()).map(|_| OnceLock::new()).collect(),
            errors: std::array::from_fn(|_| AtomicU64::new(0)),
            requests: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            batched: AtomicU64::new(0),
            batch_sizes: std::array::from_fn(|_| AtomicU64::new(0)),
            request_bytes: AtomicU64::new(0),
            reply_bytes: AtomicU64::new(0),
            breaker: AtomicU8::new(0),
            breaker_opened: AtomicU64::new(0),
            last_error: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            connections_failed: AtomicU64::new(0),
            cut_off: AtomicBool::new(false),
            reconnections: AtomicU64::new(0),
            rate: Mutex::default(),
            other: Mutex::default(),
            timings: Mutex::default(),
            flusher: OnceLock::new(),
            #[cfg(all(feature = "otel", not(target_family = "wasm")))]
            observer: OnceLock::new(),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("requests", &self.0.requests)
            .finish_non_exhaustive()
    }
}

fn add(to: &AtomicU64, n: u64) {
    to.fetch_add(n, Ordering::Relaxed);
}

fn get(from: &AtomicU64) -> u64 {
    from.load(Ordering::Relaxed)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request that is in flight until this drops.
#[derive(Debug)]
pub(crate) struct InFlight<'m>(&'m AtomicU64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The bucket of so many microseconds.
pub(super) fn bucket_of(us: u64) -> usize {
    BOUNDS_US.partition_point(|bound| *bound < us)
}

/// Upper bound of a bucket, in microseconds; that of the last one is only to have one.
pub(super) fn upper_us(bucket: usize) -> u64 {
    BOUNDS_US.get(bucket).copied().unwrap_or(600_000_000)
}

/// Those that occurred.
fn by_kind(errors: &[AtomicU64; ErrorKind::ALL.len()]) -> Vec<(ErrorKind, u64)> {
    let errors = ErrorKind::ALL.into_iter().zip(errors.iter().map(get));
    errors.filter(|(_, n)| *n > 0).collect()
}

impl Metrics {
    /// All zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to a counter of a building block, such as `ratelimit_refused`.
    ///
    /// The name becomes part of a Prometheus name: lower case, digits, underscores.
    pub fn count(&self, name: &'static str, n: u64) {
        let mut other = lock(&self.0.other);
        *other.entry(name).or_default() += n;
    }

    /// Adds to a histogram of a building block, such as `cache_load`.
    ///
    /// The name becomes part of a Prometheus name, with `_seconds` behind it.
    pub fn observe(&self, name: &'static str, took: Duration) {
        let mut timings = lock(&self.0.timings);
        timings.entry(name).or_default().add(took);
    }

    pub(crate) fn command(&self, index: usize, waited: Duration, result: &Result<Reply>) {
        let Some(cell) = self.0.commands.get(index) else {
            return;
        };
        let cell = cell.get_or_init(Box::default);
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        add(&cell.total_us, us);
        if let Some(bucket) = cell.latency.get(bucket_of(us)) {
            add(bucket, 1);
        }
        let kind = match result {
            Err(e) => e.kind(),
            Ok(Reply::Error(e)) => ErrorKind::of_server_error(e),
            Ok(_) => return,
        };
        self.error(cell, kind);
    }

    /// A call that failed before it was sent, or after its answer had come.
    #[cold]
    pub(crate) fn failed(&self, index: usize, kind: ErrorKind) {
        if let Some(cell) = self.0.commands.get(index) {
            self.error(cell.get_or_init(Box::default), kind);
        }
    }

    fn error(&self, cell: &Cell, kind: ErrorKind) {
        let Some(at) = ErrorKind::ALL.iter().position(|k| *k == kind) else {
            return;
        };
        add(&cell.errors[at], 1);
        add(&self.0.errors[at], 1);
        // Neither is why something fails: the one follows from errors, the other mends itself.
        if !matches!(kind, ErrorKind::CircuitOpen | ErrorKind::NoScript) {
            let last = SystemClock::new().now_ms() << 8 | at as u64;
            self.0.last_error.store(last, Ordering::Relaxed);
        }
    }

    /// Decodes the reply of a command; its result was counted before.
    pub(crate) fn decode<T: FromReply>(
        &self,
        name: &str,
        meta: ResponseMeta,
        result: Result<Reply>,
    ) -> Result<T> {
        let result = result.and_then(|reply| {
            let counted = matches!(reply, Reply::Error(_));
            T::from_reply(reply).inspect_err(|e| {
                if !counted {
                    self.failed(command_table::index_of(name.as_bytes()), e.kind());
                }
            })
        });
        result.map_err(|e| e.in_command(name).with_meta(meta))
    }

    /// The time of day by the system's clock, in unix milliseconds.
    pub(super) fn now_ms() -> u64 {
        SystemClock::new().now_ms()
    }

    /// Writes the counters into the store, for [`Redis::metrics_of_all_instances`].
    ///
    /// For instances that may end at any time. At most once in `every` one command (`EVAL`) is added
    /// to a batch that is sent anyway; it writes totals, so that sending it twice is harmless. No
    /// request is made for it. Instances of one environment count together, under the keys
    /// `{metrics:ENVIRONMENT}:…`. The first call counts.
    ///
    /// [`Redis::metrics_of_all_instances`]: crate::Redis::metrics_of_all_instances
    pub fn flush(&self, environment: Environment, every: Duration) {
        let prefix = format!("metrics:{}", environment.name());
        let _ = self.0.flusher.set(Flusher::new(prefix, every));
    }

    /// Whether the counters are written into the store.
    pub fn is_flushed(&self) -> bool {
        self.flusher().is_some()
    }

    pub(crate) fn flusher(&self) -> Option<&Flusher> {
        self.0.flusher.get()
    }

    /// The command that writes the counters, if it is time for it.
    pub(crate) fn flush_due(&self) -> Option<Args> {
        let flusher = self.flusher()?;
        flusher.due(Self::now_ms(), || self.snapshot().totals())
    }

    /// Counts a request while it is in flight.
    pub(crate) fn begin_request(&self) -> InFlight<'_> {
        let inner = &*self.0;
        add(&inner.in_flight, 1);
        lock(&inner.rate).sample(Self::now_ms(), get(&inner.batched));
        InFlight(&inner.in_flight)
    }

    /// Counts how a request ended, as far as its connection goes.
    fn connection(&self, error: Option<ErrorKind>) {
        match error {
            None => {
                if self.0.cut_off.swap(false, Ordering::Relaxed) {
                    add(&self.0.reconnections, 1);
                }
            }
            Some(kind @ (ErrorKind::Connect | ErrorKind::Interrupted)) => {
                self.0.cut_off.store(true, Ordering::Relaxed);
                let failed = u64::from(kind == ErrorKind::Connect);
                add(&self.0.connections_failed, failed);
            }
            Some(_) => {}
        }
    }

    pub(crate) fn request(&self, commands: usize, answer: Result<&TransportResponse, &Error>) {
        self.connection(answer.err().map(Error::kind));
        add(&self.0.requests, 1);
        add(&self.0.batched, commands as u64);
        let bits = (usize::BITS - commands.saturating_sub(1).leading_zeros()) as usize;
        add(&self.0.batch_sizes[bits.min(10)], 1);
        if let Ok(answer) = answer {
            add(&self.0.request_bytes, answer.request_bytes as u64);
            add(&self.0.reply_bytes, answer.reply_bytes as u64);
        }
    }

    pub(crate) fn retry(&self) {
        add(&self.0.retries, 1);
    }

    pub(crate) fn breaker(&self, state: BreakerState) {
        let number = match state {
            BreakerState::Closed => 0,
            BreakerState::Open => {
                add(&self.0.breaker_opened, 1);
                1
            }
            BreakerState::Probing => 2,
        };
        self.0.breaker.store(number, Ordering::Relaxed);
    }

    /// The numbers of this moment.
    pub fn snapshot(&self) -> Snapshot {
        let inner = &*self.0;
        let now_ms = Self::now_ms();
        let names = TABLE.iter().map(|p| p.name).chain(["other"]);
        let commands = names.zip(&inner.commands).filter_map(|(name, cell)| {
            let cell = cell.get()?;
            let buckets: Vec<u64> = cell.latency.iter().map(get).collect();
            let stats = CommandStats {
                count: buckets.iter().sum(),
                errors: cell.errors.iter().map(get).sum(),
                errors_by_kind: by_kind(&cell.errors),
                total: Duration::from_micros(get(&cell.total_us)),
                buckets,
            };
            Some((name, stats))
        });
        Snapshot {
            commands: commands.collect(),
            errors: by_kind(&inner.errors),
            requests: get(&inner.requests),
            retries: get(&inner.retries),
            batched_commands: get(&inner.batched),
            batch_sizes: inner.batch_sizes.iter().map(get).collect(),
            request_bytes: get(&inner.request_bytes),
            reply_bytes: get(&inner.reply_bytes),
            breaker: match inner.breaker.load(Ordering::Relaxed) {
                1 => BreakerState::Open,
                2 => BreakerState::Probing,
                _ => BreakerState::Closed,
            },
            breaker_opened: get(&inner.breaker_opened),
            last_error: match get(&inner.last_error) {
                0 => None,
                last => {
                    let kind = ErrorKind::ALL.get((last & 0xff) as usize);
                    kind.map(|kind| (*kind, last >> 8))
                }
            },
            in_flight: get(&inner.in_flight),
            connections_failed: get(&inner.connections_failed),
            reconnections: get(&inner.reconnections),
            ops_per_second: lock(&inner.rate).per_second(now_ms, get(&inner.batched)),
            counters: lock(&inner.other)
                .iter()
                .map(|(name, n)| (Cow::Borrowed(*name), *n))
                .collect(),
            timings: lock(&inner.timings)
                .iter()
                .map(|(name, timing)| (Cow::Borrowed(*name), timing.clone()))
                .collect(),
        }
    }

    /// The numbers in the text format of Prometheus.
    pub fn prometheus(&self) -> String {
        self.snapshot().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_lands_in_its_bucket_and_quantiles_bound_it() {
        let metrics = Metrics::new();
        for us in [50, 100, 200, 5_000] {
            metrics.command(0, Duration::from_micros(us), &Ok(Reply::Nil));
        }
        let snapshot = metrics.snapshot();
        let stats = snapshot
            .commands
            .values()
            .next()
            .cloned()
            .unwrap_or_default();
        assert_eq!((stats.count, stats.errors), (4, 0));
        assert_eq!(&stats.buckets[..2], &[2, 1]);
        assert_eq!(stats.quantile(0.5), Duration::from_micros(100));
        assert_eq!(stats.quantile(1.0), Duration::from_millis(5));
    }

    #[test]
    fn the_text_has_every_family_once() {
        let metrics = Metrics::new();
        metrics.command(0, Duration::ZERO, &Err(Error::decode("x")));
        metrics.count("ratelimit_refused", 3);
        metrics.observe("cache_load", Duration::from_millis(3));
        let text = metrics.prometheus();
        assert!(text.contains("restis_errors_total{kind=\"decode\"} 1\n"));
        assert!(text.contains("redis_ratelimit_blocked_total 3\n"));
        assert!(text.contains("restis_cache_load_seconds_bucket{le=\"0.005\"} 1\n"));
        assert!(text.contains("restis_cache_load_seconds_sum 0.003\n"));
        assert!(text.contains("restis_breaker_state{state=\"closed\"} 1\n"));
        let mut types: Vec<_> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
        types.sort_unstable();
        assert!(types.windows(2).all(|w| w[0] != w[1]), "{text}");
    }
}
