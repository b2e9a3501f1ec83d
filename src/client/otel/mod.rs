//! Export to OpenTelemetry: spans and metrics by OTLP over HTTP.
//!
//! [`Telemetry`] is off unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set. It records what the clients that
//! it watches do, by the [semantic conventions](https://opentelemetry.io/docs/specs/semconv/): a span
//! and a measurement of `db.client.operation.duration` for each call, a span and a measurement of
//! `messaging.client.operation.duration` or `messaging.process.duration` for events, and the metrics
//! of [`metrics`](crate::metrics). Attributes are constants of this crate, numbers, routes and the
//! address of the store: never a key, a value or a token.
//!
//! Nothing runs by itself: who owns the process calls [`Telemetry::flush`], or gives its work to
//! [`Telemetry::run_beside`].
//!
//! ```
//! use restis::{otel::Telemetry, variables::{Variables, get}};
//! use std::time::Duration;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let mut vars = Variables::new(&get);
//! if let Some(telemetry) = Telemetry::from_vars(&mut vars) {
//!     let redis = restis::Redis::builder("https://example.upstash.io", "TOKEN").build()?;
//!     telemetry.watch(&redis);
//!     telemetry.flush(Duration::from_millis(200)).await;
//! }
//! # Ok::<(), restis::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod call;
mod config;
mod context;
mod encode;
mod export;
mod message;
mod operation;
mod record;
mod request;

pub(crate) use call::{CallObserver, CallSpan};
pub use config::TelemetryConfig;
pub use export::Telemetry;
pub(crate) use operation::Operation;
pub use request::{RequestOutcome, RequestSpan};
