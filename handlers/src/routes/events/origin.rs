//! What an event takes over from the request that brought it.

use crate::{
    AppState,
    context::{RequestId, TraceParent},
};
use axum::extract::FromRequestParts;
use http::request::Parts;
use restis::events::Event;
use std::convert::Infallible;

const LONGEST: usize = 256;

/// The request's correlation id and trace.
#[derive(Debug)]
pub(super) struct Origin {
    correlation: Option<String>,
    trace: Option<String>,
}

impl FromRequestParts<AppState> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let TraceParent(trace) = TraceParent::from_request_parts(parts, state).await?;
        let given = parts.headers.get("x-correlation-id");
        let given = given.and_then(|value| value.to_str().ok());
        let given = given.filter(|id| (1..=LONGEST).contains(&id.len()));
        // The request's id is in the answer and in logs.
        let request = parts.extensions.get().map(RequestId::as_str);
        Ok(Self {
            correlation: given.or(request).map(str::to_owned),
            trace,
        })
    }
}

impl Origin {
    /// Sets `correlationid` and `traceparent` where the event has none.
    pub(super) fn mark(&self, mut event: Event) -> Event {
        for (name, value) in [
            ("correlationid", &self.correlation),
            ("traceparent", &self.trace),
        ] {
            if let Some(value) = value
                .as_ref()
                .filter(|_| !event.extensions.contains_key(name))
            {
                event = event.with_extension(name, value);
            }
        }
        event
    }
}
