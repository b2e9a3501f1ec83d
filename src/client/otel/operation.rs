//! The spans of building blocks, by the conventions for messaging.

use super::{
    context::SpanContext,
    export::Telemetry,
    record::{Attributes, Ended, OpenSpan, SpanKind},
};

/// An operation that the conventions have a name for.
#[derive(Debug)]
pub(super) struct Messaging {
    /// The name in [`TIMINGS`](crate::metrics::TIMINGS).
    timing: &'static str,
    kind: SpanKind,
    operation: &'static str,
    operation_type: &'static str,
    metric: &'static str,
}

static MESSAGING: [Messaging; 3] = [
    Messaging {
        timing: "events_publish",
        kind: SpanKind::Producer,
        operation: "publish",
        operation_type: "send",
        metric: "messaging.client.operation.duration",
    },
    Messaging {
        timing: "events_receive",
        kind: SpanKind::Client,
        operation: "receive",
        operation_type: "receive",
        metric: "messaging.client.operation.duration",
    },
    Messaging {
        timing: "events_deliver",
        kind: SpanKind::Consumer,
        operation: "deliver",
        operation_type: "process",
        metric: "messaging.process.duration",
    },
];

/// Counters of messages: the counter's name, the metric and the operation.
pub(super) const MESSAGES: [(&str, &str, &str); 2] = [
    (
        "events_published",
        "messaging.client.sent.messages",
        "publish",
    ),
    (
        "events_received",
        "messaging.client.consumed.messages",
        "receive",
    ),
];

/// All events are one destination: an organisation is no name for one.
pub(super) const DESTINATION: &str = "events";

/// An operation that runs.
#[derive(Debug)]
pub(crate) struct Operation {
    telemetry: Telemetry,
    span: OpenSpan,
    messaging: &'static Messaging,
}

impl Operation {
    /// Begins the span of a timing; `None` when the conventions do not know it.
    pub(crate) fn begin(telemetry: &Telemetry, timing: &str) -> Option<Self> {
        let messaging = MESSAGING.iter().find(|known| known.timing == timing)?;
        Some(Self {
            telemetry: telemetry.clone(),
            span: OpenSpan::begin(messaging.kind, SpanContext::current()),
            messaging,
        })
    }

    /// Runs a step of the operation within its span.
    pub(crate) fn within<R>(&self, step: impl FnOnce() -> R) -> R {
        self.span.context.within(step)
    }

    /// Ends the span, and measures it.
    pub(crate) fn end(self, error: Option<&'static str>) {
        let Messaging {
            operation,
            operation_type,
            metric,
            ..
        } = self.messaging;
        let mut attributes: Attributes = vec![
            ("messaging.system", "redis".into()),
            ("messaging.operation.name", (*operation).into()),
            ("messaging.operation.type", (*operation_type).into()),
            ("messaging.destination.name", DESTINATION.into()),
        ];
        attributes.extend(error.map(|error| ("error.type", error.into())));
        let ended = Ended {
            name: format!("{operation} {DESTINATION}"),
            metric,
            attributes,
            detail: Vec::new(),
            failed: error.is_some(),
        };
        self.span.end(&mut self.telemetry.record(), ended);
    }
}
