//! Counters of a server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

use super::families::{Families, MetricKind, Value};

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    Pipeline,
    Transaction,
    Stream,
    Other,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Command,
        Self::Pipeline,
        Self::Transaction,
        Self::Stream,
        Self::Other,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Pipeline => "pipeline",
            Self::Transaction => "transaction",
            Self::Stream => "stream",
            Self::Other => "other",
        }
    }
}

const CLASSES: [&str; 5] = ["2xx", "400", "401", "4xx", "5xx"];
/// Upper bounds of the latency histogram in microseconds.
const BOUNDS: [u64; 15] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 10_000_000,
];

/// What went in and out of one database.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
}

/// Counters that every thread of a server adds to.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: [[AtomicU64; CLASSES.len()]; Kind::ALL.len()],
    latency: [AtomicU64; BOUNDS.len() + 1],
    latency_micros: AtomicU64,
    pub(crate) commands: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) connections: Counter,
    /// Connections refused since there were too many.
    pub(crate) rejected: Counter,
    pub(crate) connections_open: Gauge,
    pub(crate) streams_open: Gauge,
    pub(crate) stream_events: Counter,
    pub(crate) faults: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of things that exist now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// Counts one more; returns how many there were before.
    pub(crate) fn rise(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn fall(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    pub(crate) fn request(&self, kind: Kind, status: StatusCode, took: Duration) {
        let class = match status.as_u16() {
            200..=399 => 0,
            400 => 1,
            401 => 2,
            402..=499 => 3,
            _ => 4,
        };
        self.requests[kind as usize][class].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.latency[bucket].fetch_add(1, Ordering::Relaxed);
        self.latency_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Adds the counters to a scrape.
    pub(super) fn add_to(&self, families: &mut Families) {
        for kind in Kind::ALL {
            for (class, count) in CLASSES.iter().zip(&self.requests[kind as usize]) {
                families.counter(
                    "restis_requests_total",
                    "Requests by kind and status.",
                    vec![
                        ("kind", kind.name().to_owned()),
                        ("status", (*class).to_owned()),
                    ],
                    count.load(Ordering::Relaxed) as f64,
                );
            }
        }
        families.add(
            (
                MetricKind::Histogram,
                "restis_request_seconds",
                "Time from a request's head to its answer.",
            ),
            Vec::new(),
            self.latency(),
        );
        for (name, help, counter) in [
            (
                "restis_commands_total",
                "Commands received.",
                &self.commands,
            ),
            (
                "restis_request_bytes_total",
                "Bytes of request bodies.",
                &self.bytes_in,
            ),
            (
                "restis_response_bytes_total",
                "Bytes of response bodies.",
                &self.bytes_out,
            ),
            (
                "restis_connections_total",
                "Connections accepted.",
                &self.connections,
            ),
            (
                "restis_stream_events_total",
                "Events sent to subscribers.",
                &self.stream_events,
            ),
            ("restis_faults_total", "Faults injected.", &self.faults),
            (
                "redis_connections_received_total",
                "Connections accepted.",
                &self.connections,
            ),
            (
                "redis_rejected_connections_total",
                "Connections refused, since there are too many.",
                &self.rejected,
            ),
        ] {
            families.counter(name, help, Vec::new(), counter.get() as f64);
        }
        for (name, help, gauge) in [
            (
                "restis_connections_open",
                "Connections open now.",
                &self.connections_open,
            ),
            (
                "restis_streams_open",
                "Event streams open now.",
                &self.streams_open,
            ),
        ] {
            families.gauge(name, help, Vec::new(), gauge.get() as f64);
        }
    }

    fn latency(&self) -> Value {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6);
        let counts = self.latency.iter().map(|n| n.load(Ordering::Relaxed));
        Value::Histogram {
            buckets: bounds.chain([f64::INFINITY]).zip(counts).collect(),
            sum: self.latency_micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Form;

    #[test]
    fn counts_by_kind_and_status() {
        let metrics = Metrics::default();
        metrics.request(Kind::Pipeline, StatusCode::OK, Duration::from_micros(60));
        metrics.request(
            Kind::Command,
            StatusCode::UNAUTHORIZED,
            Duration::from_secs(60),
        );
        metrics.commands.add(3);
        let mut families = Families::default();
        metrics.add_to(&mut families);
        let text = Form::Prometheus.render(&families);
        for line in [
            "restis_requests_total{kind=\"pipeline\",status=\"2xx\"} 1",
            "restis_requests_total{kind=\"command\",status=\"401\"} 1",
            "restis_request_seconds_bucket{le=\"0.0001\"} 1",
            "restis_request_seconds_bucket{le=\"10\"} 1",
            "restis_request_seconds_bucket{le=\"+Inf\"} 2",
            "restis_commands_total 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
