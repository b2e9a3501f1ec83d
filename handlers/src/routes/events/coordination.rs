//! `POST /api/events/coordination`: a hint to every process that listens right now.

use super::{events_of, history::switched_off};
use crate::{
    AppState,
    auth::{Caller, Scope},
    extract::ApiJson,
    problem::{
        Problem, Result,
        responses::{JsonProblems, ServiceProblems},
    },
};
use axum::{Json, extract::State};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

const MOST_BYTES: usize = 8192;

/// Who was told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Told {
    /// Processes that listened; on a database with replicas only those at the same one.
    processes: i64,
}

problems!(
    HintProblems:
    400 "It is not JSON, or too large",
    403 "The token lacks `events:publish` or is bound to organisations"
);

/// Sends a hint, any JSON of up to 8 KB, to those who listen at this moment; nothing keeps it.
///
/// For what is true elsewhere, such as "the configuration changed". Services hear it by
/// `GET /api/events/stream?type=coordination` as messages `hint`, and read the truth anew after `resumed`.
#[utoipa::path(post, path = "/api/events/coordination", tag = "events", security(("service_token" = [])),
    request_body(content = Value, content_type = "application/json"),
    responses(
        (status = 202, description = "It was sent", body = Told),
        HintProblems, ServiceProblems, JsonProblems,
    ))]
pub(super) async fn hint(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(hint): ApiJson<Value>,
) -> Result<(StatusCode, Json<Told>)> {
    let events = events_of(&state, &caller, Scope::EventsPublish, None)?;
    if !state.config().redis_events {
        return Err(switched_off());
    }
    let hint = hint.to_string();
    if hint.len() > MOST_BYTES {
        return Err(Problem::invalid("a hint has at most 8192 bytes"));
    }
    let processes = events.hint(&hint).await?;
    Ok((StatusCode::ACCEPTED, Json(Told { processes })))
}
