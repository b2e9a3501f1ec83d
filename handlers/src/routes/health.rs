//! `GET /api/health`: is the function up, and does the store answer.

use crate::AppState;
use axum::{Json, extract::State, response::IntoResponse};
use http::{StatusCode, header};
use restis::{prelude::*, transport::time::Instant};
use serde::Serialize;
use std::time::Duration;

group!(health);

/// What the function and its store look like right now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `ok` or `unavailable`.
    status: &'static str,
    /// Time of one round trip to the store, in milliseconds; absent when it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_latency_ms: Option<f64>,
    /// The version of the functions.
    version: &'static str,
}

/// Says whether the store answers.
#[utoipa::path(get, path = "/api/health", tag = "health", responses(
    (status = 200, description = "The store answers", body = Health),
    (status = 503, description = "The store does not answer", body = Health),
))]
async fn health(State(state): State<AppState>) -> impl IntoResponse {
    let start = Instant::now();
    let answer = state.redis().ping().timeout(Duration::from_secs(2)).await;
    let store_latency_ms = answer
        .is_ok()
        .then(|| start.elapsed().as_secs_f64() * 1000.0);
    let (code, status) = match answer {
        Ok(_) => (StatusCode::OK, "ok"),
        Err(error) => {
            tracing::warn!(%error, "health check");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    };
    let body = Health {
        status,
        store_latency_ms,
        version: env!("CARGO_PKG_VERSION"),
    };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(body))
}
