//! `/api/metrics`: what this instance or all of them have counted, and alerts.

pub(crate) mod alerts;

use crate::{
    ApiQuery, AppState,
    auth::{Caller, Scope},
    problem::{Problem, Result, responses::QueryProblems},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use restis::{
    metrics::{Families, MetricsFormat},
    prelude::ServerCommands as _,
    session::Active,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

group!(self::metrics, alerts::alerts);

/// How and of whom.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// How the numbers are written; as `Accept` prefers when absent.
    #[param(inline)]
    format: Option<Form>,
    /// Whose counters: `instance` when absent.
    #[param(inline)]
    view: Option<View>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Form {
    Prometheus,
    OpenMetrics,
    Json,
}

/// Every metric by its name.
#[derive(Debug, Serialize, ToSchema)]
struct MetricsBody {
    /// Whose counters: `instance` or `all`.
    view: String,
    /// Names such as `redis.hit_rate`.
    metrics: BTreeMap<String, MetricBody>,
}

/// One metric.
#[derive(Debug, Serialize, ToSchema)]
struct MetricBody {
    /// `counter`, `gauge` or `histogram`.
    r#type: String,
    /// `seconds`, `bytes` or empty.
    unit: String,
    /// What it tells.
    help: String,
    /// Its values, one for each set of labels.
    samples: Vec<SampleBody>,
}

/// A value, or of a histogram how much was measured and how large it was.
#[derive(Debug, Serialize, ToSchema)]
struct SampleBody {
    /// Names and values of labels.
    labels: BTreeMap<String, String>,
    value: Option<f64>,
    count: Option<u64>,
    sum: Option<f64>,
    /// Half of them were at most so large; null without any.
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

/// Whose counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum View {
    /// Of the instance that answers.
    Instance,
    /// Of all instances together.
    All,
}

impl View {
    fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::All => "all",
        }
    }
}

problems!(
    MetricsProblems:
    401 "No accepted service token",
    403 "The token lacks `metrics`, or is bound to organisations",
    503 "Counters of all instances were asked for, and the store does not answer"
);

/// Gives counters and latencies in a form that monitoring reads, and what the store tells of itself.
///
/// Counters are those of the instance since its start, or with `view=all` those of all instances
/// that keep theirs in the store (`METRICS_FLUSH_SECONDS`).
#[utoipa::path(get, path = "/api/metrics", tag = "health", security(("service_token" = [])),
    params(Wanted),
    responses(
        (status = 200, description = "The numbers", content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
            (MetricsBody = "application/json"),
        )),
        MetricsProblems, QueryProblems,
    ))]
async fn metrics(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> Result<Response> {
    caller.require(Scope::Metrics)?;
    caller.require_unrestricted()?;
    let format = match wanted.format {
        Some(Form::Prometheus) => MetricsFormat::Prometheus,
        Some(Form::OpenMetrics) => MetricsFormat::OpenMetrics,
        Some(Form::Json) => MetricsFormat::Json,
        None => {
            let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
            MetricsFormat::accepted(accept.unwrap_or_default())
        }
    };
    let view = wanted.view.unwrap_or(View::Instance);
    let families = gather(&state, view).await?;
    let head = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
    ];
    Ok((head, families.render(format)).into_response())
}

/// The numbers of a view, and what the store tells of itself.
async fn gather(state: &AppState, view: View) -> Result<Families> {
    let redis = state.redis();
    let families = match view {
        View::Instance => redis.metrics().snapshot().families(),
        View::All if !redis.metrics().is_flushed() => {
            let why = "there are no counters of all instances: set METRICS_FLUSH_SECONDS";
            return Err(Problem::invalid(why));
        }
        View::All => {
            let (snapshot, instances) = redis.metrics_of_all_instances().await?;
            snapshot.families().with_instances(instances)
        }
    };
    let families = families.about("view", view.name());
    let active = async {
        match state.sessions() {
            Some(sessions) => sessions.active().await.ok(),
            None => None,
        }
    };
    // They leave in one request.
    let info = redis.info().into_future();
    let (info, active) = futures_util::future::join(info, active).await;
    let families = match info {
        Ok(info) => families.with_store(|name| {
            let mut sections = info.sections();
            sections.find_map(|section| info.get(section, name)?.parse().ok())
        }),
        Err(_) => families.without_store(),
    };
    Ok(match active {
        Some(Active::Exact(n) | Active::Estimate(n)) => families.with_sessions(n),
        _ => families,
    })
}
