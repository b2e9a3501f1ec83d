//! `GET /api/metrics/alerts`: evaluates the alerts and tells an endpoint what changed.

use super::{View, gather};
use crate::{
    AppState,
    auth::{Caller, Scope},
    problem::{Problem, Result},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use restis::{
    events::{Event, WebhookOutcome},
    metrics::alerts::{self, AlertChange, AlertMemory, AlertState, AlertStatus, Severity},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// How the alerts stand.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertsBody {
    /// `firing` when one of them fires, else `ok`.
    status: &'static str,
    /// `all` when the instances keep their counters in the store, else `instance`.
    view: &'static str,
    /// All of them.
    alerts: Vec<AlertBody>,
}

/// How one alert stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertBody {
    /// Its name.
    name: &'static str,
    /// `critical` or `warning`.
    #[schema(value_type = String)]
    severity: Severity,
    /// `ok`, `pending` (bad for less than it has to be), `firing`, or `unknown` without a figure.
    #[schema(value_type = String)]
    status: AlertStatus,
    /// What was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// What it was compared with.
    threshold: f64,
    /// Since when it fires, in unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
    /// What is wrong when it fires.
    summary: &'static str,
    /// What to do first.
    remedy: &'static str,
}

impl From<AlertState> for AlertBody {
    fn from(state: AlertState) -> Self {
        Self {
            name: state.alert.name,
            severity: state.alert.severity,
            status: state.status,
            value: state.value,
            threshold: state.alert.bad.threshold(),
            since_ms: state.since_ms,
            summary: state.alert.summary,
            remedy: state.alert.remedy,
        }
    }
}

problems!(
    AlertsProblems:
    401 "No accepted service token",
    403 "The token lacks `metrics`, or is bound to organisations"
);

/// Evaluates the alerts; the endpoint of `METRICS_ALERT_WEBHOOK` is told what fires and clears.
///
/// Something has to ask, such as a cron job every minute.
#[utoipa::path(get, path = "/api/metrics/alerts", tag = "health", security(("service_token" = [])),
    responses(
        (status = 200, description = "How they stand", body = AlertsBody),
        AlertsProblems,
    ))]
pub(super) async fn alerts(State(state): State<AppState>, caller: Caller) -> Result<Response> {
    caller.require(Scope::Metrics)?;
    caller.require_unrestricted()?;
    let (view, states) = evaluate(&state).await?;
    let fires = |state: &AlertState| state.status == AlertStatus::Firing;
    let body = AlertsBody {
        status: match states.iter().any(fires) {
            true => "firing",
            false => "ok",
        },
        view: view.name(),
        alerts: states.into_iter().map(AlertBody::from).collect(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// Evaluates the alerts as `GET /api/metrics/alerts` does, and tells the endpoint what changed.
///
/// # Errors
/// When the HTTP client of the endpoint cannot be made.
pub async fn evaluate_alerts(state: &AppState) -> Result<Vec<AlertState>> {
    Ok(evaluate(state).await?.1)
}

/// Evaluates with the memory of all instances, or of this one where the store has none.
async fn evaluate(state: &AppState) -> Result<(View, Vec<AlertState>)> {
    let redis = state.redis();
    if redis.metrics().is_flushed()
        && let Ok((mut memory, before)) = redis.load_alerts().await
        && let Ok(families) = gather(state, View::All).await
    {
        let states = alerts::evaluate(&families, &mut memory, state.now_ms());
        deliver(state, &mut memory).await?;
        // Another evaluation was first: its memory counts, and its messages have the same ids.
        let saved = redis.save_alerts(&memory, &before).await;
        if let Err(error) = saved {
            tracing::warn!(%error, "the state of alerts was not kept");
        }
        return Ok((View::All, states));
    }
    let families = gather(state, View::Instance).await?;
    let mut memory = state.alert_memory().lock().await;
    let states = alerts::evaluate(&families, &mut memory, state.now_ms());
    deliver(state, &mut memory).await?;
    Ok((View::Instance, states))
}

/// Delivers the changes to the endpoint; what it does not accept is sent again at the next evaluation.
async fn deliver(state: &AppState, memory: &mut AlertMemory) -> Result<()> {
    for change in memory.undelivered() {
        let Some(endpoint) = &state.config().alert_endpoint else {
            memory.mark_delivered(&change);
            continue;
        };
        let client = state.webhook_client()?;
        let event = message(&change)?;
        match endpoint
            .deliver(client, &event, state.now_ms() / 1000)
            .await
        {
            WebhookOutcome::Delivered => memory.mark_delivered(&change),
            WebhookOutcome::Gone(why) => {
                tracing::error!(
                    alert = change.alert.name,
                    why,
                    "the endpoint refuses alerts for good"
                );
                memory.mark_delivered(&change);
            }
            WebhookOutcome::Retry { why, .. } => {
                tracing::warn!(
                    alert = change.alert.name,
                    why,
                    "an alert could not be delivered"
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// An event of its own id: whoever gets it twice knows it.
fn message(change: &AlertChange) -> Result<Event> {
    let (alert, word) = (change.alert, if change.fires { "fired" } else { "cleared" });
    let data = json!({
        "alert": alert.name,
        "severity": alert.severity,
        "status": word,
        "since_ms": change.since_ms,
        "threshold": alert.bad.threshold(),
        "summary": alert.summary,
        "remedy": alert.remedy,
    });
    let kind = format!("restis.alert.{word}");
    let event = Event::new(kind, "/metrics/alerts", data);
    let mut event = event.map_err(|_| Problem::internal())?;
    event.id = format!("{}-{word}-{}", alert.name, change.since_ms);
    Ok(event)
}
