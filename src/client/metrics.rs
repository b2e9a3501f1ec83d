//! What a client did: counters and latency histograms, cheap enough to be always on.
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    client::batch::breaker::BreakerState,
    protocol::{
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

/// Latency buckets: below 128 µs, 256 µs, … 67 s, and the rest.
const BUCKETS: usize = 21;
const FIRST_BUCKET_BITS: u32 = 7;

/// The counters of a client; clones count together.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Inner>);

struct Inner {
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
    other: std::sync::Mutex<BTreeMap<&'static str, u64>>,
    timings: std::sync::Mutex<BTreeMap<&'static str, Timing>>,
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
            other: std::sync::Mutex::default(),
            timings: std::sync::Mutex::default(),
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
        let timing = timings.entry(name).or_default();
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        timing.total = timing.total.saturating_add(took);
        timing.count += 1;
        timing.buckets.resize(BUCKETS, 0);
        if let Some(bucket) = timing.buckets.get_mut(bucket_of(us)) {
            *bucket += 1;
        }
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

    pub(crate) fn request(&self, commands: usize, answer: Result<&TransportResponse, &Error>) {
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
            counters: lock(&inner.other).clone(),
            timings: lock(&inner.timings).clone(),
        }
    }

    /// The numbers in the text format of Prometheus.
    pub fn prometheus(&self) -> String {
        self.snapshot().to_string()
    }
}

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
    pub counters: BTreeMap<&'static str, u64>,
    /// Times of building blocks.
    pub timings: BTreeMap<&'static str, Timing>,
}

/// How long something took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// How often.
    pub count: u64,
    /// All of them together.
    pub total: Duration,
    /// Those below 128 µs, below 256 µs, and so on.
    pub buckets: Vec<u64>,
}

impl Timing {
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
    /// Calls below 128 µs, below 256 µs, and so on.
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

/// The bucket of so many microseconds.
fn bucket_of(us: u64) -> usize {
    let bits = u64::BITS - us.leading_zeros();
    let bucket = bits.saturating_sub(FIRST_BUCKET_BITS) as usize;
    bucket.min(BUCKETS - 1)
}

/// Upper bound of a bucket.
const fn upper_us(bucket: usize) -> u64 {
    1 << (FIRST_BUCKET_BITS as usize + bucket)
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("# TYPE restis_command_seconds histogram\n")?;
        for (name, stats) in &self.commands {
            let label = format!("command=\"{}\"", name.to_ascii_lowercase());
            let (count, buckets) = (stats.count, &stats.buckets);
            write_histogram(f, "command", &label, count, stats.total, buckets)?;
        }
        for (name, timing) in &self.timings {
            writeln!(f, "# TYPE restis_{name}_seconds histogram")?;
            let (count, buckets) = (timing.count, &timing.buckets);
            write_histogram(f, name, "", count, timing.total, buckets)?;
        }
        f.write_str("# TYPE restis_command_failures_total counter\n")?;
        for (name, stats) in self.commands.iter().filter(|(_, s)| s.errors > 0) {
            let name = name.to_ascii_lowercase();
            for (kind, n) in &stats.errors_by_kind {
                let kind = kind.as_str();
                writeln!(
                    f,
                    "restis_command_failures_total{{command=\"{name}\",kind=\"{kind}\"}} {n}"
                )?;
            }
        }
        f.write_str("# TYPE restis_errors_total counter\n")?;
        for (kind, n) in &self.errors {
            writeln!(f, "restis_errors_total{{kind=\"{}\"}} {n}", kind.as_str())?;
        }
        f.write_str("# TYPE restis_batch_commands histogram\n")?;
        let mut below = 0;
        for (i, n) in self.batch_sizes.iter().enumerate().take(10) {
            below += n;
            writeln!(
                f,
                "restis_batch_commands_bucket{{le=\"{}\"}} {below}",
                1_u32 << i
            )?;
        }
        writeln!(
            f,
            "restis_batch_commands_bucket{{le=\"+Inf\"}} {}\n\
             restis_batch_commands_sum {}\n\
             restis_batch_commands_count {}",
            self.requests, self.batched_commands, self.requests
        )?;
        let mut counters = String::new();
        for (name, n) in [
            ("retries", self.retries),
            ("request_bytes", self.request_bytes),
            ("reply_bytes", self.reply_bytes),
            ("breaker_opened", self.breaker_opened),
        ]
        .into_iter()
        .chain(self.counters.iter().map(|(name, n)| (*name, *n)))
        {
            writeln!(
                counters,
                "# TYPE restis_{name}_total counter\nrestis_{name}_total {n}"
            )?;
        }
        f.write_str(&counters)?;
        f.write_str("# TYPE restis_breaker_state gauge\n")?;
        for state in [
            BreakerState::Closed,
            BreakerState::Open,
            BreakerState::Probing,
        ] {
            let on = u8::from(state == self.breaker);
            writeln!(
                f,
                "restis_breaker_state{{state=\"{}\"}} {on}",
                state.as_str()
            )?;
        }
        Ok(())
    }
}

/// The lines of one histogram.
fn write_histogram(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    label: &str,
    count: u64,
    total: Duration,
    buckets: &[u64],
) -> fmt::Result {
    let comma = if label.is_empty() { "" } else { "," };
    let braced = match label {
        "" => String::new(),
        label => format!("{{{label}}}"),
    };
    let mut below = 0;
    for (i, n) in buckets.iter().enumerate().take(BUCKETS - 1) {
        below += n;
        // Every second bound is enough for a graph.
        if i % 2 == 1 {
            let le = upper_us(i) as f64 / 1e6;
            writeln!(
                f,
                "restis_{name}_seconds_bucket{{{label}{comma}le=\"{le}\"}} {below}"
            )?;
        }
    }
    let sum = total.as_secs_f64();
    writeln!(
        f,
        "restis_{name}_seconds_bucket{{{label}{comma}le=\"+Inf\"}} {count}\n\
         restis_{name}_seconds_sum{braced} {sum}\n\
         restis_{name}_seconds_count{braced} {count}"
    )
}

fn lock<T>(of: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        assert_eq!(stats.quantile(0.5), Duration::from_micros(128));
        assert_eq!(stats.quantile(1.0), Duration::from_micros(8192));
    }

    #[test]
    fn the_text_has_every_family_once() {
        let metrics = Metrics::new();
        metrics.command(0, Duration::ZERO, &Err(Error::decode("x")));
        metrics.count("ratelimit_refused", 3);
        metrics.observe("cache_load", Duration::from_millis(3));
        let text = metrics.prometheus();
        assert!(text.contains("restis_errors_total{kind=\"decode\"} 1\n"));
        assert!(text.contains("restis_ratelimit_refused_total 3\n"));
        assert!(text.contains("restis_cache_load_seconds_bucket{le=\"0.004096\"} 1\n"));
        assert!(text.contains("restis_cache_load_seconds_sum 0.003\n"));
        assert!(text.contains("restis_breaker_state{state=\"closed\"} 1\n"));
        let mut types: Vec<_> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
        types.sort_unstable();
        assert!(types.windows(2).all(|w| w[0] != w[1]), "{text}");
    }
}
