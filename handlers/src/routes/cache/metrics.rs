//! `/api/cache/metrics`: the store, and what this instance has done with it.

use crate::{
    AppState,
    auth::{Caller, Scope},
    problem::Result,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use restis::{metrics::Snapshot, prelude::ServerCommands as _};
use serde::Serialize;
use utoipa::ToSchema;

/// The store, and what this instance has done with it; what the store does not tell is null.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct CacheMetricsBody {
    /// Whether the store answers.
    connected: bool,
    memory: MemoryBody,
    keys: KeysBody,
    operations: OperationsBody,
    /// The share of reads of this instance that found a value, stale ones included.
    hit_rate: Option<f64>,
    /// The share of reads of this instance that found a stale value.
    stale_rate: Option<f64>,
    /// How long the loads of this instance took; null without any.
    load_time: Option<LoadTimeBody>,
}

/// Times of loads, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
struct LoadTimeBody {
    /// How many there were, failed ones included.
    count: u64,
    mean_ms: f64,
    /// Half of them took at most so long.
    p50_ms: f64,
    /// Of a hundred, one took longer.
    p99_ms: f64,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct MemoryBody {
    /// Bytes.
    used: Option<u64>,
    /// Bytes.
    peak: Option<u64>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct KeysBody {
    /// How many there are.
    total: Option<u64>,
    /// How many have expired since the store began.
    expired: Option<u64>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OperationsBody {
    /// Since the store began.
    total: Option<u64>,
    /// At the moment.
    per_second: Option<u64>,
}

problems!(
    MetricsProblems:
    401 "No accepted service token",
    403 "The token lacks `metrics`, or is bound to organisations"
);

/// Tells how the store is and how many reads of this instance were hits.
#[utoipa::path(get, path = "/api/cache/metrics", tag = "cache", security(("service_token" = [])),
    responses(
        (status = 200, description = "The numbers", body = CacheMetricsBody),
        MetricsProblems,
    ))]
pub(super) async fn metrics(State(state): State<AppState>, caller: Caller) -> Result<Response> {
    answer(&state, &caller).await
}

/// The same, where monitors of Redis caches look for it.
#[utoipa::path(get, path = "/cache/redis/metrics", tag = "cache", security(("service_token" = [])),
    responses(
        (status = 200, description = "The numbers", body = CacheMetricsBody),
        MetricsProblems,
    ))]
pub(super) async fn redis_metrics(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Response> {
    answer(&state, &caller).await
}

async fn answer(state: &AppState, caller: &Caller) -> Result<Response> {
    caller.require(Scope::Metrics)?;
    caller.require_unrestricted()?;
    let redis = state.redis();
    // They leave in one request.
    let (size, info) = (redis.dbsize().into_future(), redis.info().into_future());
    let (size, info) = futures_util::future::join(size, info).await;
    let mut body = CacheMetricsBody {
        connected: size.is_ok() || info.is_ok(),
        ..CacheMetricsBody::default()
    };
    body.keys.total = size.ok().and_then(|size| u64::try_from(size).ok());
    if let Ok(info) = info {
        let number = |section, name| info.get(section, name)?.parse().ok();
        body.memory.used = number("Memory", "used_memory");
        body.memory.peak = number("Memory", "used_memory_peak");
        body.keys.expired = number("Stats", "expired_keys");
        body.operations.total = number("Stats", "total_commands_processed");
        body.operations.per_second = number("Stats", "instantaneous_ops_per_sec");
    }
    body.count(&redis.metrics().snapshot());
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((headers, Json(body)).into_response())
}

impl CacheMetricsBody {
    /// What this instance did.
    fn count(&mut self, snapshot: &Snapshot) {
        let count = |name| snapshot.counters.get(name).copied().unwrap_or_default();
        let fresh = count("cache_hits") + count("cache_local_hits");
        let stale = count("cache_stale_hits");
        let all = fresh + stale + count("cache_misses");
        if all > 0 {
            self.hit_rate = Some((fresh + stale) as f64 / all as f64);
            self.stale_rate = Some(stale as f64 / all as f64);
        }
        let loads = snapshot.timings.get("cache_load");
        self.load_time = loads.filter(|loads| loads.count > 0).map(|loads| {
            let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
            LoadTimeBody {
                count: loads.count,
                mean_ms: ms(loads.total) / loads.count as f64,
                p50_ms: ms(loads.quantile(0.5)),
                p99_ms: ms(loads.quantile(0.99)),
            }
        });
    }
}
