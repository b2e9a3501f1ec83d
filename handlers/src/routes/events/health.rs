//! `GET /api/events/health`.

use crate::{
    AppState,
    auth::{Caller, Scope},
    problem::{ProblemDocument, Result},
};
use axum::{Json, extract::State, response::IntoResponse};
use http::{StatusCode, header};
use restis::events::HistoryQuery;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use utoipa::ToSchema;

/// What the events look like right now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventsHealth {
    /// `ok`, `unavailable` or `local` (the history is switched off).
    status: &'static str,
    /// `development`, `staging` or `production`.
    environment: &'static str,
    /// Whether published events are stored.
    durable: bool,
    /// Time of one read of the history, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    /// The newest event's place in the shared history.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// Events of this hour by type; only for a service token with `events:read` for every organisation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    this_hour: BTreeMap<String, u64>,
}

/// Says whether events can be published and read.
#[utoipa::path(get, path = "/api/events/health", tag = "events", security((), ("service_token" = [])),
    responses(
        (status = 200, description = "Events can be published and read", body = EventsHealth),
        (status = 401, description = "A service token was sent and is not accepted", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = EventsHealth),
    ))]
pub(super) async fn health(
    State(state): State<AppState>,
    caller: Option<Caller>,
) -> Result<impl IntoResponse> {
    let environment = state.events().environment().name();
    let mut health = EventsHealth {
        status: "local",
        environment,
        durable: false,
        latency_ms: None,
        cursor: None,
        this_hour: BTreeMap::new(),
    };
    let mut code = StatusCode::OK;
    if state.config().redis_events {
        let start = Instant::now();
        let events = state.events();
        let may_count = caller.is_some_and(|c| c.has(Scope::EventsRead) && c.is_unrestricted());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as u64);
        let query = HistoryQuery::new().limit(1);
        // Both travel in one request.
        let (page, counts) = tokio::join!(events.history(&query), async {
            if may_count {
                events.counts(now).await.unwrap_or_default()
            } else {
                BTreeMap::new()
            }
        });
        match page {
            Ok(page) => {
                health.status = "ok";
                health.durable = true;
                health.latency_ms = Some(start.elapsed().as_secs_f64() * 1000.0);
                health.cursor = page.cursor.map(|c| c.to_string());
                health.this_hour = counts;
            }
            Err(error) => {
                tracing::warn!(%error, "events health");
                health.status = "unavailable";
                code = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
    }
    Ok((code, [(header::CACHE_CONTROL, "no-store")], Json(health)))
}
