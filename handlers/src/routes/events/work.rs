//! `/api/events/work`: one tick that delivers what waits for webhook endpoints.

use crate::{
    AppState,
    auth::{Caller, Scope},
    problem::Result,
};
use axum::{Json, extract::State, response::IntoResponse};
use http::header;
use restis::{events::Delivered, transport::time::Instant};
use serde::Serialize;
use utoipa::ToSchema;

/// What one tick did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tick {
    /// In the order of `EVENTS_WEBHOOKS`.
    endpoints: Vec<EndpointTick>,
}

#[derive(Debug, Serialize, ToSchema)]
struct EndpointTick {
    /// The endpoint's name.
    name: String,
    /// Events that the receiver accepted.
    delivered: u64,
    /// Events to be tried again later.
    retried: u64,
    /// Events given up: see the dead letters.
    dead: u64,
    /// The endpoint failed too often and is left alone for this long, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_ms: Option<u64>,
    /// The store did not answer; what it had handed out comes again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
}

problems!(
    TickProblems:
    401 "No accepted service token",
    403 "The token lacks `events:admin` or is bound to organisations",
    500 "The HTTP client cannot be set up",
    503 "The store does not answer; asking again is safe"
);

/// Delivers what waits for the endpoints of `EVENTS_WEBHOOKS`, for most of `REQUEST_TIMEOUT`.
///
/// A function has no background: a scheduler calls this, such as every minute. Calls may overlap. The first one makes
/// the endpoints known: events are kept for them from then on. `GET` is for schedulers that know nothing else, such as
/// those of Vercel.
#[utoipa::path(method(get, post), path = "/api/events/work", tag = "events", security(("service_token" = [])),
    responses(
        (status = 200, description = "What was done", body = Tick),
        TickProblems,
    ))]
pub(super) async fn tick(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<impl IntoResponse> {
    caller.require(Scope::EventsAdmin)?;
    caller.require_unrestricted()?;
    let until = Instant::now() + state.config().request_timeout.mul_f64(0.8);
    let hooks = &state.config().webhooks.outgoing;
    let mut endpoints = Vec::with_capacity(hooks.len());
    if !hooks.is_empty() {
        let client = state.webhook_client()?;
        // Side by side: one slow receiver must not hold up the others.
        let each = hooks
            .iter()
            .map(|hook| state.events().deliver(hook, client, until));
        let results = futures_util::future::join_all(each).await;
        let mut failure = None;
        for (hook, result) in hooks.iter().zip(results) {
            let (done, interrupted) = match result {
                Ok(done) => (done, false),
                Err(error) => {
                    tracing::warn!(%error, endpoint = hook.name(), "a tick is interrupted");
                    failure = Some(error);
                    (Delivered::default(), true)
                }
            };
            endpoints.push(EndpointTick {
                name: hook.name().to_owned(),
                delivered: done.delivered,
                retried: done.retried,
                dead: done.dead,
                paused_ms: done.paused.map(|wait| wait.as_millis() as u64),
                interrupted,
            });
        }
        if let Some(error) = failure.filter(|_| endpoints.iter().all(|e| e.interrupted)) {
            return Err(error.into());
        }
    }
    Ok((
        [(header::CACHE_CONTROL, "no-store")],
        Json(Tick { endpoints }),
    ))
}
