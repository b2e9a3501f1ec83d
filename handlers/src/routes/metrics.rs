//! `GET /api/metrics`: what this instance has counted, for Prometheus.

use crate::{
    AppState,
    auth::{Caller, Scope},
    problem::Result,
};
use axum::{extract::State, response::IntoResponse};
use http::header;

group!(metrics);

problems!(
    MetricsProblems:
    401 "No accepted service token",
    403 "The token lacks `metrics`, or is bound to organisations"
);

/// Gives the counters and latencies of this instance in the text format of Prometheus.
///
/// Every instance counts for itself, from its start.
#[utoipa::path(get, path = "/api/metrics", tag = "health", security(("service_token" = [])),
    responses(
        (status = 200, description = "The numbers", body = String, content_type = "text/plain"),
        MetricsProblems,
    ))]
async fn metrics(State(state): State<AppState>, caller: Caller) -> Result<impl IntoResponse> {
    caller.require(Scope::Metrics)?;
    caller.require_unrestricted()?;
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, state.redis().metrics().prometheus()))
}
