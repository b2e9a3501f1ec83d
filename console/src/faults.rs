//! The faults that the server injects, as the pages set them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use restis_server::FaultPlan;
use serde::{Deserialize, Serialize};

use crate::Console;

/// A plan in the words of `--fault`.
#[derive(Deserialize, Serialize)]
pub(crate) struct Faults {
    plan: String,
}

fn refused(status: StatusCode, text: &str) -> Response {
    (status, Json(serde_json::json!({ "error": text }))).into_response()
}

/// What is injected now; `None` where the pages may not set it.
pub(crate) fn plan(console: &Console) -> Option<String> {
    let plan = console.sets_faults.then(|| console.connector.faults())?;
    Some(plan.to_string())
}

/// `GET /console/api/faults`: what is injected now.
pub(crate) async fn show(State(console): State<Arc<Console>>) -> Response {
    match plan(&console) {
        Some(plan) => ([(CACHE_CONTROL, "no-store")], Json(Faults { plan })).into_response(),
        None => refused(
            StatusCode::NOT_FOUND,
            "Only restis dev injects faults from here.",
        ),
    }
}

/// `PUT /console/api/faults`: injects these from now on.
pub(crate) async fn set(
    State(console): State<Arc<Console>>,
    Json(Faults { plan }): Json<Faults>,
) -> Response {
    match plan.parse::<FaultPlan>() {
        Ok(plan) if console.sets_faults => console.connector.set_faults(plan),
        Ok(_) => {}
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error),
    }
    show(State(console)).await
}

/// `DELETE /console/api/faults`: injects none from now on.
pub(crate) async fn clear(State(console): State<Arc<Console>>) -> Response {
    if console.sets_faults {
        console.connector.set_faults(FaultPlan::default());
    }
    show(State(console)).await
}
