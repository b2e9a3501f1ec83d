//! What is measured besides the counters: the spans of OpenTelemetry, with the feature `otel`.

use std::{future::poll_fn, pin::pin};

use super::Metrics;
#[cfg(all(feature = "otel", not(target_family = "wasm")))]
use crate::client::otel::{CallObserver, CallSpan, Operation, Telemetry};
use crate::{
    client::batch::Results,
    protocol::command::Args,
    transport::{Mode, time::Instant},
};

/// A call that is awaited; nothing unless telemetry watches the client.
#[derive(Debug, Default)]
pub(crate) struct ObservedCall {
    #[cfg(all(feature = "otel", not(target_family = "wasm")))]
    span: Option<CallSpan>,
}

#[cfg(not(all(feature = "otel", not(target_family = "wasm"))))]
#[expect(
    clippy::unused_self,
    reason = "without the feature there is nothing to do"
)]
impl ObservedCall {
    pub(crate) fn begin(_: &Metrics, _: Mode, _: &[Args]) -> Self {
        Self::default()
    }

    pub(crate) fn end(&mut self, _: &Results) {}
}

#[cfg(all(feature = "otel", not(target_family = "wasm")))]
impl ObservedCall {
    /// Begins within the span of the task.
    pub(crate) fn begin(metrics: &Metrics, mode: Mode, commands: &[Args]) -> Self {
        let observer = metrics.0.observer.get();
        Self {
            span: observer.map(|observer| CallSpan::begin(observer, mode, commands)),
        }
    }

    /// Records how the call ended; one that is abandoned before is not recorded.
    pub(crate) fn end(&mut self, results: &Results) {
        if let Some(span) = self.span.take() {
            span.end(results);
        }
    }
}

/// An operation that runs; nothing unless telemetry watches the client.
#[derive(Debug, Default)]
struct ObservedOperation {
    #[cfg(all(feature = "otel", not(target_family = "wasm")))]
    span: Option<Operation>,
}

#[cfg(not(all(feature = "otel", not(target_family = "wasm"))))]
#[expect(
    clippy::unused_self,
    reason = "without the feature there is nothing to do"
)]
impl ObservedOperation {
    fn begin(_: &Metrics, _: &'static str) -> Self {
        Self::default()
    }

    fn within<R>(&self, step: impl FnOnce() -> R) -> R {
        step()
    }

    fn end(self, _: Option<&'static str>) {}
}

#[cfg(all(feature = "otel", not(target_family = "wasm")))]
impl ObservedOperation {
    fn begin(metrics: &Metrics, name: &'static str) -> Self {
        let observer = metrics.0.observer.get();
        Self {
            span: observer.and_then(|observer| Operation::begin(&observer.telemetry, name)),
        }
    }

    /// Runs a step of it: calls that begin meanwhile are below its span.
    fn within<R>(&self, step: impl FnOnce() -> R) -> R {
        match &self.span {
            Some(span) => span.within(step),
            None => step(),
        }
    }

    fn end(self, error_type: Option<&'static str>) {
        if let Some(span) = self.span {
            span.end(error_type);
        }
    }
}

impl Metrics {
    /// Runs an operation of a building block and observes its time, as [`observe`](Self::observe)
    /// does; with the feature `otel` calls of clients within it are below its span.
    ///
    /// `error_type` names what failed, if it did: a constant such as [`ErrorKind::as_str`].
    ///
    /// [`ErrorKind::as_str`]: crate::ErrorKind::as_str
    pub async fn measure<T>(
        &self,
        name: &'static str,
        operation: impl Future<Output = T>,
        error_type: impl FnOnce(&T) -> Option<&'static str>,
    ) -> T {
        let begun = Instant::now();
        let observed = ObservedOperation::begin(self, name);
        let mut operation = pin!(operation);
        let result = poll_fn(|cx| observed.within(|| operation.as_mut().poll(cx))).await;
        self.observe(name, Instant::now().saturating_duration_since(begun));
        observed.end(error_type(&result));
        result
    }

    /// Records calls and operations in telemetry; the first one counts.
    #[cfg(all(feature = "otel", not(target_family = "wasm")))]
    pub(crate) fn observe_calls(&self, telemetry: &Telemetry, server: Option<(&str, u16)>) {
        let _ = self.0.observer.set(std::sync::Arc::new(CallObserver {
            telemetry: telemetry.clone(),
            server: server.map(|(host, port)| (host.into(), port)),
        }));
    }

    /// The same counters, as long as a client has them.
    #[cfg(all(feature = "otel", not(target_family = "wasm")))]
    pub(crate) fn downgrade(&self) -> WeakMetrics {
        WeakMetrics(std::sync::Arc::downgrade(&self.0))
    }
}

/// The counters of a client that may be gone.
#[cfg(all(feature = "otel", not(target_family = "wasm")))]
pub(crate) struct WeakMetrics(std::sync::Weak<super::counters::Inner>);

#[cfg(all(feature = "otel", not(target_family = "wasm")))]
impl WeakMetrics {
    pub(crate) fn upgrade(&self) -> Option<Metrics> {
        self.0.upgrade().map(Metrics)
    }
}
