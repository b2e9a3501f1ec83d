//! Every metric: its name, what it is, its unit and what it tells.
//!
//! One table: the texts, the JSON, the OpenTelemetry export and `docs/reference/METRICS.md` take
//! names and help from here.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows, and starts at zero with the process.
    Counter,
    /// It rises and falls.
    Gauge,
    /// How often which size was measured.
    Histogram,
}

impl MetricKind {
    /// The type in Prometheus' text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name in JSON, such as `redis.hit_rate`.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// `seconds`, `bytes`, or nothing.
    pub unit: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

impl Metric {
    /// The name in the text formats: `.` becomes `_`, the unit and `_total` follow.
    pub fn text_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        if !self.unit.is_empty() && !name.ends_with(self.unit) {
            name.push('_');
            name.push_str(self.unit);
        }
        if self.kind == MetricKind::Counter {
            name.push_str("_total");
        }
        name
    }
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        unit,
        labels: &[],
        help,
    }
}

const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric {
        kind: MetricKind::Counter,
        ..gauge(name, unit, help)
    }
}

const fn histogram(name: &'static str, unit: &'static str, help: &'static str) -> Metric {
    Metric {
        kind: MetricKind::Histogram,
        ..gauge(name, unit, help)
    }
}

const fn by(labels: &'static [&'static str], metric: Metric) -> Metric {
    Metric { labels, ..metric }
}

/// Every metric that a client, its building blocks and the functions give.
pub const METRICS: &[Metric] = &[
    gauge(
        "redis.up",
        "",
        "Whether the store answered INFO: 1 or 0. Asked of the store.",
    ),
    gauge(
        "redis.connection.active",
        "",
        "Requests in flight now, each on a connection of its own.",
    ),
    counter(
        "redis.connection.failed",
        "",
        "Requests for which no connection could be made.",
    ),
    counter(
        "redis.reconnections",
        "",
        "Requests that were answered after one could not be sent or was cut off.",
    ),
    histogram(
        "redis.command.duration",
        "seconds",
        "Time of a command from submission to result, retries included.",
    ),
    gauge(
        "redis.ops_per_second",
        "",
        "Commands a second that were sent, over the last ten seconds.",
    ),
    gauge(
        "redis.hit_rate",
        "",
        "Share of reads of keys that found one, from 0 to 1, since the store began. Asked of the store.",
    ),
    gauge(
        "redis.memory.used",
        "bytes",
        "Memory that the store uses. Asked of the store.",
    ),
    gauge(
        "redis.memory.max",
        "bytes",
        "Limit of the store's memory; absent without one. Asked of the store.",
    ),
    gauge(
        "redis.memory.fragmentation",
        "",
        "Memory that the store holds to memory that it uses. Asked of the store.",
    ),
    counter(
        "redis.keys.expired",
        "",
        "Keys that expired since the store began. Asked of the store.",
    ),
    gauge(
        "redis.sessions.active",
        "",
        "Live sessions of all instances, as SESSION_COUNT counts them. Asked of the store.",
    ),
    counter("redis.sessions.created", "", "Sessions that were created."),
    counter(
        "redis.sessions.expired",
        "",
        "Sessions that were presented after their time was over.",
    ),
    counter(
        "redis.ratelimit.blocked",
        "",
        "Requests that a rate limit refused.",
    ),
    counter(
        "redis.ratelimit.allowed",
        "",
        "Requests that a rate limit allowed.",
    ),
    by(
        &["command"],
        histogram(
            "restis_command",
            "seconds",
            "Time of a command from submission to result, by command.",
        ),
    ),
    by(
        &["command", "kind"],
        counter(
            "restis_command_failures",
            "",
            "Commands that failed, by command and kind of error.",
        ),
    ),
    by(
        &["kind"],
        counter(
            "restis_errors",
            "",
            "Commands that failed, by kind of error.",
        ),
    ),
    histogram("restis_batch_commands", "", "Commands of one request."),
    counter("restis_retries", "", "Requests that were sent again."),
    counter(
        "restis_request_bytes",
        "",
        "Bytes of request bodies that were answered.",
    ),
    counter("restis_reply_bytes", "", "Bytes of reply bodies."),
    counter(
        "restis_breaker_opened",
        "",
        "How often the circuit breaker opened.",
    ),
    by(
        &["state"],
        gauge(
            "restis_breaker_state",
            "",
            "What the circuit breaker lets through: 1 at its state.",
        ),
    ),
    gauge(
        "restis_instances",
        "",
        "Instances whose counters are in the sums. With `view=all`.",
    ),
    gauge(
        "restis_cache_hit_rate",
        "",
        "Share of reads of the cache that found a value, stale ones included, from 0 to 1.",
    ),
];

/// Counters of the building blocks, as `Metrics::count` names them, and what they tell.
///
/// In the formats they are `restis_NAME_total`.
pub const COUNTERS: &[(&str, &str)] = &[
    (
        "cache_away_hits",
        "Values of a store that was away, served from the process.",
    ),
    (
        "cache_coalesced",
        "Reads that waited for the load of another.",
    ),
    (
        "cache_dropped_loads",
        "Loads that nobody waited for any more.",
    ),
    ("cache_early_refreshes", "Loads before the value was stale."),
    (
        "cache_expirations",
        "Invalidations that leave stale values.",
    ),
    ("cache_hints", "Hints of other processes that were heard."),
    ("cache_hits", "Reads that found a fresh value in the store."),
    (
        "cache_leases_lost",
        "Reads that found another process loading.",
    ),
    ("cache_leases_won", "Reads that load for all processes."),
    ("cache_load_errors", "Loads that failed."),
    ("cache_load_timeouts", "Loads that took too long."),
    ("cache_loads", "Loads."),
    (
        "cache_local_hits",
        "Reads that found a value in the process.",
    ),
    (
        "cache_local_misses",
        "Reads that found no value in the process.",
    ),
    ("cache_misses", "Reads that found nothing."),
    ("cache_puts", "Values that were stored."),
    (
        "cache_queued_invalidations",
        "Invalidations that wait for the store.",
    ),
    ("cache_read_bytes", "Bytes of values that were read."),
    ("cache_removals", "Invalidations that leave nothing."),
    (
        "cache_slow_loads",
        "Reads that served a stale value, since the load was slow.",
    ),
    ("cache_stale_hits", "Reads that found a stale value."),
    (
        "cache_store_errors",
        "Errors of the store that the cache bore.",
    ),
    ("cache_trips", "Round trips to the store."),
    ("cache_unreadable", "Entries that could not be read."),
    ("cache_unwritable", "Values that could not be written."),
    (
        "cache_voided_loads",
        "Loads that an invalidation made void.",
    ),
    ("cache_written_bytes", "Bytes of values that were written."),
    ("events_indeterminate", "Events that may be stored or not."),
    ("events_local_only", "Events that only this instance told."),
    ("events_published", "Events that were stored."),
    ("events_received", "Pieces of work that were taken."),
    ("events_refused", "Events that were refused."),
    ("events_work_lost", "Work whose event is gone."),
    ("events_work_poisoned", "Work that failed too often."),
    ("events_work_unreadable", "Work that could not be read."),
    (
        "ratelimit_local",
        "Limits that were decided without the store.",
    ),
    (
        "ratelimit_unavailable",
        "Limits that the store did not decide.",
    ),
    (
        "sessions_conflict",
        "Changes of a session that another had changed.",
    ),
    ("sessions_cross_site", "Requests of another site."),
    (
        "sessions_device_changed",
        "Sessions used from another device.",
    ),
    (
        "sessions_evicted",
        "Sessions that newer ones replaced at the limit.",
    ),
    ("sessions_forged", "Tokens that were never given out."),
    ("sessions_gone", "Changes of a session that is no more."),
    (
        "sessions_limit_reached",
        "Logins refused at the limit of sessions.",
    ),
    ("sessions_repeated", "Logins that were sent again."),
    ("sessions_replaced", "Sessions that a login replaced."),
    (
        "sessions_replayed",
        "Login assertions that were sent again.",
    ),
    ("sessions_reused", "Superseded tokens that were presented."),
    ("sessions_revoked", "Sessions that were ended."),
    ("sessions_rotated", "Sessions that got a new token."),
    (
        "sessions_stale_login",
        "Logins that began before a sign-out.",
    ),
    ("sessions_unknown", "Tokens of sessions that are no more."),
];

/// Histograms of the building blocks, as `Metrics::observe` names them.
///
/// In the text formats they are `restis_NAME_seconds`.
pub const TIMINGS: &[(&str, &str)] = &[
    ("cache_load", "Time of a load."),
    ("events_deliver", "Time of an attempt to deliver work."),
    ("events_publish", "Time of storing events."),
    ("events_receive", "Time of taking work."),
];

/// Counters that have a name of their own in [`METRICS`].
pub(super) const NAMED: &[(&str, &str)] = &[
    ("ratelimit_allowed", "redis.ratelimit.allowed"),
    ("ratelimit_refused", "redis.ratelimit.blocked"),
    ("sessions_created", "redis.sessions.created"),
    ("sessions_expired", "redis.sessions.expired"),
];

/// The metric with this name.
pub(super) fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}
