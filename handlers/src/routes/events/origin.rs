//! What an event takes over from the request that brought it.

use crate::{
    AppState,
    context::{RequestId, TraceParent},
};
use axum::extract::FromRequestParts;
use http::request::Parts;
use restis::{Delivery, Error, ErrorKind, events::Event, identity::join};
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

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    join([name]).replace('/', "%2F")
}

/// Puts an event's source below that of who sent it, unless it is there: nobody speaks for others.
pub(super) fn put_below(event: &mut Event, own: &str) -> restis::Result<()> {
    let dots = |part: &str| matches!(&*part.to_ascii_lowercase().replace("%2e", "."), "." | "..");
    if event.source.split(['/', '?', '#', '\\']).any(dots) {
        let why = "`source` has no segments `.` and `..`";
        return Err(Error::new(ErrorKind::InvalidInput, Delivery::NotSent, why));
    }
    let below = event.source.strip_prefix(own);
    if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Ok(());
    }
    event.source = match event.source.as_str() {
        "/" => own.to_owned(),
        path if path.starts_with('/') => format!("{own}{path}"),
        other => format!("{own}/{other}"),
    };
    Ok(())
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
