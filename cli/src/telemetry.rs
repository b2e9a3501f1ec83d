//! Exports the metrics of the server by OTLP.

use std::thread::JoinHandle;

use restis::metrics::{Families, MetricFamily, MetricKind};
use restis::otel::Telemetry;
use restis::variables::{Variables, get};
use restis_server::{MetricValue, MetricsReader, Running};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Telemetry as the standard variables ask for it.
pub(crate) fn from_env() -> Result<Option<Telemetry>, Failure> {
    let mut vars = Variables::new(&get);
    let telemetry = Telemetry::from_vars(&mut vars);
    match vars.into_problems() {
        problems if problems.is_empty() => Ok(telemetry),
        problems => Err(Failure::usage(problems.join("\n"))),
    }
}

/// Exports on a thread of its own until it is stopped.
pub(crate) struct Exporter {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Exporter {
    /// Exports the metrics of a server.
    pub(crate) fn start(telemetry: Telemetry, running: &Running) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("no event loop for telemetry: {error}")))?;
        let reader = running.metrics();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let until_stopped = async {
                    // A dropped sender means the same as a sent one.
                    let _ = stopped.await;
                };
                let families = async || families(&reader).await;
                telemetry.run_beside(until_stopped, families).await;
            });
        });
        Ok(Self { stop, thread })
    }

    /// Exports what is left; the server must still run.
    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
        // It has told what went wrong.
        let _ = self.thread.join();
    }
}

/// The numbers of the server. Percentiles are left out: collectors take histograms.
async fn families(reader: &MetricsReader) -> Families {
    let mut families = Families::default();
    for of_server in reader.read().await {
        let kind = match of_server.kind {
            restis_server::MetricKind::Counter => MetricKind::Counter,
            restis_server::MetricKind::Histogram => MetricKind::Histogram,
            restis_server::MetricKind::Summary => continue,
            _ => MetricKind::Gauge,
        };
        let mut family = MetricFamily::new(of_server.name, kind, of_server.help);
        for (labels, value) in of_server.samples {
            match value {
                MetricValue::Number(number) => family.number(labels, number),
                MetricValue::Histogram { buckets, sum } => family.histogram(labels, buckets, sum),
                _ => {}
            }
        }
        families.push(family);
    }
    families
}
