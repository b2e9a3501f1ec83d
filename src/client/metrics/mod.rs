//! What a client did, in the forms that monitoring reads.
//!
//! [`Redis::metrics`](crate::Redis::metrics) counts; [`Metrics::snapshot`] is the numbers of a moment,
//! [`Snapshot::families`] gives them the names of the registry ([`METRICS`], [`COUNTERS`]), and
//! [`Families::render`] writes them as Prometheus text, OpenMetrics or JSON. [`alerts`] is what they
//! should not be.
//!
//! ```
//! use restis::metrics::MetricsFormat;
//!
//! let redis = restis::Redis::builder("https://example.upstash.io", "TOKEN").build()?;
//! let families = redis.metrics().snapshot().families();
//! let text = families.render(MetricsFormat::OpenMetrics);
//! assert!(text.contains("redis_connection_failed_total 0"));
//! # Ok::<(), restis::Error>(())
//! ```

mod alert_store;
pub mod alerts;
mod call;
mod collect;
mod counters;
mod families;
mod flush;
mod format;
mod rate;
mod registry;
mod report;
mod snapshot;
mod totals;

pub use alert_store::StoredAlerts;
pub(crate) use call::ObservedCall;
pub use counters::Metrics;
pub use families::{Families, MetricFamily};
pub(crate) use flush::Flusher;
pub use format::MetricsFormat;
pub use registry::{COUNTERS, METRICS, Metric, MetricKind, TIMINGS};
pub use snapshot::{CommandStats, Snapshot, Timing};
#[cfg(all(feature = "otel", not(target_family = "wasm")))]
pub(crate) use {call::WeakMetrics, families::Value, report::seconds};
