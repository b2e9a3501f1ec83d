//! The span of a request that this process answers.

use std::{future::poll_fn, pin::pin};

use super::{
    context::SpanContext,
    export::Telemetry,
    record::{Attributes, Ended, OpenSpan, SpanKind, Text},
};

const METHODS: [&str; 8] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE",
];

/// A request that is being answered.
#[derive(Debug)]
pub struct RequestSpan {
    telemetry: Telemetry,
    span: OpenSpan,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy)]
pub struct RequestOutcome<'a> {
    method: &'a str,
    route: Option<&'a str>,
    scheme: &'static str,
    status: u16,
}

impl<'a> RequestOutcome<'a> {
    /// The method of a request over `https`, and the status of its answer.
    pub fn new(method: &'a str, status: u16) -> Self {
        Self {
            method,
            route: None,
            scheme: "https",
            status,
        }
    }

    /// The pattern of the route, such as `/api/session/{id}`; never the path itself.
    #[must_use]
    pub fn route(mut self, pattern: Option<&'a str>) -> Self {
        self.route = pattern;
        self
    }

    /// The request came over plain HTTP.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.scheme = "http";
        self
    }
}

impl Telemetry {
    /// Begins the span of a request, below the caller's span if `traceparent` names one.
    pub fn request(&self, traceparent: Option<&str>) -> RequestSpan {
        let parent = traceparent.and_then(SpanContext::from_traceparent);
        RequestSpan {
            telemetry: self.clone(),
            span: OpenSpan::begin(SpanKind::Server, parent),
        }
    }
}

impl RequestSpan {
    /// Runs a future within the span: calls of its clients are below it.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| self.span.context.within(|| future.as_mut().poll(cx))).await
    }

    /// Ends the span, and counts it in `http.server.request.duration`.
    pub fn end(self, outcome: RequestOutcome<'_>) {
        let known = METHODS.into_iter().find(|known| *known == outcome.method);
        let failed = outcome.status >= 500;
        let mut attributes: Attributes = vec![
            ("http.request.method", known.unwrap_or("_OTHER").into()),
            ("url.scheme", outcome.scheme.into()),
            (
                "http.response.status_code",
                Text::Number(outcome.status.into()),
            ),
        ];
        let method = known.unwrap_or("HTTP");
        let name = match outcome.route {
            Some(route) => {
                attributes.push(("http.route", Text::Shared(route.into())));
                format!("{method} {route}")
            }
            None => method.to_owned(),
        };
        if failed {
            let status = outcome.status.to_string();
            attributes.push(("error.type", Text::Shared(status.into())));
        }
        let ended = Ended {
            name,
            metric: "http.server.request.duration",
            attributes,
            detail: Vec::new(),
            failed,
        };
        self.span.end(&mut self.telemetry.record(), ended);
    }
}
