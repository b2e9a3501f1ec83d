//! Counters of a server, as Prometheus text.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

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
const BOUNDS: [u64; 12] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 10_000_000,
];

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

    fn get(&self) -> u64 {
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

    /// The counters in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        let mut out = String::with_capacity(4096);
        head(
            &mut out,
            "restis_requests_total",
            "counter",
            "Requests by kind and status.",
        );
        for kind in Kind::ALL {
            for (class, count) in CLASSES.iter().zip(&self.requests[kind as usize]) {
                let count = count.load(Ordering::Relaxed);
                let _ = writeln!(
                    out,
                    "restis_requests_total{{kind=\"{}\",status=\"{class}\"}} {count}",
                    kind.name()
                );
            }
        }
        self.histogram(&mut out);
        let counters = [
            (
                "restis_commands_total",
                "Commands executed.",
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
        ];
        for (name, help, counter) in counters {
            head(&mut out, name, "counter", help);
            let _ = writeln!(out, "{name} {}", counter.get());
        }
        let gauges = [
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
        ];
        for (name, help, gauge) in gauges {
            head(&mut out, name, "gauge", help);
            let _ = writeln!(out, "{name} {}", gauge.get());
        }
        out
    }

    fn histogram(&self, out: &mut String) {
        const NAME: &str = "restis_request_seconds";
        head(
            out,
            NAME,
            "histogram",
            "Time from a request's head to its answer.",
        );
        let mut total = 0;
        for (bound, count) in BOUNDS.iter().zip(&self.latency) {
            total += count.load(Ordering::Relaxed);
            let seconds = *bound as f64 / 1e6;
            let _ = writeln!(out, "{NAME}_bucket{{le=\"{seconds}\"}} {total}");
        }
        total += self.latency[BOUNDS.len()].load(Ordering::Relaxed);
        let sum = self.latency_micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(out, "{NAME}_bucket{{le=\"+Inf\"}} {total}");
        let _ = writeln!(out, "{NAME}_sum {sum}\n{NAME}_count {total}");
    }
}

/// Writes the two comment lines before a metric.
pub(crate) fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let text = metrics.render();
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
