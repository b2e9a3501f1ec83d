//! What a server and its databases have done.
//!
//! `counters` is what every thread adds to, `families` is what one scrape gathers, `format` writes it
//! in the three forms. Names that start with `redis_` are those of redis_exporter, so that its
//! dashboards and rules work; `info` derives them from INFO. An encoder of its own, since the kept
//! crates write one form only and have no place for numbers that a Redis behind the server counts.

mod counters;
mod exporter;
mod families;
mod format;
mod info;
mod process;
mod reader;
mod scrape;

pub(crate) use counters::{Gauge, Kind, Metrics, Traffic};
pub use families::{Family as MetricFamily, MetricKind, Value as MetricValue};
pub(crate) use format::Form;
pub use reader::MetricsReader;
pub(crate) use reader::reader;
pub(crate) use scrape::scrape;
