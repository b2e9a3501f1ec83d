//! `/api/cache`: entries of organisations, invalidation, numbers.

use crate::{
    ApiJson, ApiPath, ApiQuery, AppState,
    auth::{Caller, Scope},
    extract,
    problem::{
        Problem, Result,
        responses::{JsonProblems, QueryProblems, ServiceProblems},
    },
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use restis::{
    cache::{Cache, Cached, Key, Keyspace, Lifetime, Source, Tag},
    prelude::ServerCommands as _,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, time::Duration};
use utoipa::{IntoParams, ToSchema};

group!(read, write, delete, mget, invalidate, metrics);

/// Entries of an organisation, and those of none.
const ENTRIES: Keyspace<(String, String), Value> =
    Keyspace::new("entries:{organisation}:{key}").tag("entries:{organisation}");
const SHARED: Keyspace<(String,), Value> = Keyspace::new("shared:{key}");
const ORGANISATION: Tag<(String,)> = Tag::new("entries:{organisation}");

const MAX_KEY_BYTES: usize = 512;
const MAX_KEYS: usize = 100;
const MAX_VALUE_BYTES: usize = 256 * 1024;
const MAX_SECONDS: u64 = 86_400;

/// Whose entries are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Owner {
    /// The organisation, for tokens that are bound to some.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

/// A value to store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EntryRequest {
    /// Any JSON, 256 KiB at most.
    #[schema(value_type = Object)]
    value: Value,
    /// How long it is fresh, in seconds; 60 when absent.
    #[schema(minimum = 1, maximum = 86_400)]
    fresh_seconds: Option<u64>,
    /// How much longer it is served as a stale one, in seconds; 0 when absent.
    #[schema(minimum = 0, maximum = 86_400)]
    stale_seconds: Option<u64>,
}

/// A cached value.
#[derive(Debug, Serialize, ToSchema)]
struct EntryBody {
    /// The value.
    #[schema(value_type = Object)]
    value: Value,
    /// Whether it is served beyond its fresh time.
    stale: bool,
    /// Milliseconds since it was stored.
    age_ms: u64,
    /// Milliseconds for which it stays fresh.
    fresh_ms: u64,
}

impl EntryBody {
    fn new(cached: Cached<Value>) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            stale: cached.source() == Source::Stale,
            age_ms: ms(cached.age()),
            fresh_ms: ms(cached.fresh_for()),
            value: cached.into_value(),
        }
    }
}

/// Several keys.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeysRequest {
    /// 1 to 100 keys.
    #[schema(min_items = 1, max_items = 100)]
    keys: Vec<String>,
    /// The organisation, for tokens that are bound to some.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

/// What is cached of several keys.
#[derive(Debug, Serialize, ToSchema)]
struct EntriesBody {
    /// In the order of the keys.
    entries: Vec<FoundBody>,
}

/// What is cached under one key.
#[derive(Debug, Serialize, ToSchema)]
struct FoundBody {
    /// The key.
    key: String,
    /// Absent where nothing is cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryBody>,
}

/// What is not to be served any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvalidateRequest {
    /// Up to 100 keys; every entry of the organisation when absent.
    #[schema(min_items = 1, max_items = 100)]
    keys: Option<Vec<String>>,
    /// `remove` (when absent) serves them never again, `expire` as stale ones while they may be.
    mode: Option<Mode>,
    /// The organisation, for tokens that are bound to some.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Remove,
    Expire,
}

fn key(organisation: Option<&str>, key: &str) -> Result<Key<Value>> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(Problem::invalid("a key has 1 to 512 bytes"));
    }
    Ok(match organisation {
        Some(organisation) => ENTRIES.key((organisation, key)),
        None => SHARED.key((key,)),
    })
}

fn keys(organisation: Option<&str>, keys: &[String]) -> Result<Vec<Key<Value>>> {
    if !(1..=MAX_KEYS).contains(&keys.len()) {
        return Err(Problem::invalid("`keys` has 1 to 100 keys"));
    }
    keys.iter().map(|name| key(organisation, name)).collect()
}

fn allowed(caller: &Caller, scope: Scope, organisation: Option<&str>) -> Result<()> {
    caller.require(scope)?;
    caller.require_organisation(organisation)?;
    extract::organisation(organisation)
}

problems!(
    ReadProblems:
    403 "The token lacks `cache:read` or the organisation",
    404 "Nothing is cached under this key"
);

/// Gives what is cached under a key, fresh or stale.
#[utoipa::path(get, path = "/api/cache/entries/{key}", tag = "cache", security(("service_token" = [])),
    params(("key" = String, Path, description = "The key, 1 to 512 bytes"), Owner),
    responses(
        (status = 200, description = "The value, with `ETag`, `Age`, `Cache-Control` and `Cache-Status`", body = EntryBody),
        (status = 304, description = "It is the one of `If-None-Match`"),
        ReadProblems, ServiceProblems, QueryProblems,
    ))]
async fn read(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    ApiPath(name): ApiPath,
    ApiQuery(owner): ApiQuery<Owner>,
) -> Result<Response> {
    let organisation = owner.organisation.as_deref();
    allowed(&caller, Scope::CacheRead, organisation)?;
    let found = state.cache().get(&key(organisation, &name)?).await?;
    let Some(cached) = found else {
        let mut response = Problem::not_found("nothing is cached under this key").into_response();
        let status = HeaderValue::from_static("restis; fwd=miss");
        response.headers_mut().insert("cache-status", status);
        return Ok(response);
    };
    let body = EntryBody::new(cached);
    let etag = etag(&body.value)?;
    let (age, left) = (body.age_ms / 1000, body.fresh_ms / 1000);
    let head = [
        (header::ETAG.as_str(), etag.clone()),
        (header::AGE.as_str(), age.to_string()),
        (
            header::CACHE_CONTROL.as_str(),
            format!("private, max-age={left}"),
        ),
        ("cache-status", format!("restis; hit; ttl={left}")),
    ];
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, Json(body)).into_response())
}

/// A hash of the value as text.
fn etag(value: &Value) -> Result<String> {
    let text = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
    let mut etag = String::from("\"");
    for byte in Sha256::digest(&text).iter().take(16) {
        // Writing to a `String` does not fail.
        let _ = write!(etag, "{byte:02x}");
    }
    Ok(etag + "\"")
}

/// Whether `If-None-Match` names the value.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter();
    let tags = named.filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

problems!(
    WriteProblems: 403 "The token lacks `cache:write` or the organisation"
);

/// Stores a value under a key; loads of others that run meanwhile do not replace it.
#[utoipa::path(put, path = "/api/cache/entries/{key}", tag = "cache", security(("service_token" = [])),
    params(("key" = String, Path, description = "The key, 1 to 512 bytes"), Owner),
    request_body = EntryRequest,
    responses(
        (status = 204, description = "It is stored"),
        WriteProblems, ServiceProblems, JsonProblems, QueryProblems,
    ))]
async fn write(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(name): ApiPath,
    ApiQuery(owner): ApiQuery<Owner>,
    ApiJson(body): ApiJson<EntryRequest>,
) -> Result<StatusCode> {
    let organisation = owner.organisation.as_deref();
    allowed(&caller, Scope::CacheWrite, organisation)?;
    let (fresh, stale) = (
        body.fresh_seconds.unwrap_or(60),
        body.stale_seconds.unwrap_or(0),
    );
    if !(1..=MAX_SECONDS).contains(&fresh) || stale > MAX_SECONDS {
        return Err(Problem::invalid(
            "`fresh_seconds` is from 1 to 86400, `stale_seconds` from 0",
        ));
    }
    let bytes = serde_json::to_vec(&body.value).map_err(|_| Problem::internal())?;
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(Problem::too_large().detail("`value` has at most 262144 bytes"));
    }
    let lifetime = Lifetime::new(Duration::from_secs(fresh)).stale(Duration::from_secs(stale));
    let key = key(organisation, &name)?.lives(lifetime);
    state.cache().put(&key, &body.value).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes what is cached under a key.
#[utoipa::path(delete, path = "/api/cache/entries/{key}", tag = "cache", security(("service_token" = [])),
    params(("key" = String, Path, description = "The key, 1 to 512 bytes"), Owner),
    responses(
        (status = 204, description = "It is served no more"),
        WriteProblems, ServiceProblems, QueryProblems,
    ))]
async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(name): ApiPath,
    ApiQuery(owner): ApiQuery<Owner>,
) -> Result<StatusCode> {
    let organisation = owner.organisation.as_deref();
    allowed(&caller, Scope::CacheWrite, organisation)?;
    state.cache().delete(&key(organisation, &name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

problems!(
    MgetProblems: 403 "The token lacks `cache:read` or the organisation"
);

/// Gives what is cached under several keys, by one read of the store.
#[utoipa::path(post, path = "/api/cache/mget", tag = "cache", security(("service_token" = [])),
    request_body = KeysRequest,
    responses(
        (status = 200, description = "The entries by key", body = EntriesBody),
        MgetProblems, ServiceProblems, JsonProblems, QueryProblems,
    ))]
async fn mget(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<KeysRequest>,
) -> Result<Response> {
    let organisation = body.organisation.as_deref();
    allowed(&caller, Scope::CacheRead, organisation)?;
    let keys = keys(organisation, &body.keys)?;
    let found = state.cache().get_many(&keys).await?;
    let found = body.keys.into_iter().zip(found);
    let entries = found.map(|(key, found)| FoundBody {
        key,
        entry: found.map(EntryBody::new),
    });
    let entries = entries.collect();
    let fresh = (header::CACHE_CONTROL, "no-store");
    Ok(([fresh], Json(EntriesBody { entries })).into_response())
}

/// Invalidates some keys, or all entries of an organisation by one command.
#[utoipa::path(post, path = "/api/cache/invalidate", tag = "cache", security(("service_token" = [])),
    request_body = InvalidateRequest,
    responses(
        (status = 204, description = "They are served no more, or as stale ones"),
        WriteProblems, ServiceProblems, JsonProblems, QueryProblems,
    ))]
async fn invalidate(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<InvalidateRequest>,
) -> Result<StatusCode> {
    let organisation = body.organisation.as_deref();
    allowed(&caller, Scope::CacheWrite, organisation)?;
    let (cache, mode) = (state.cache(), body.mode.unwrap_or_default());
    match (&body.keys, organisation) {
        (Some(names), _) => {
            let keys = keys(organisation, names)?;
            // They leave in one request.
            let each = keys.iter().map(|key| invalidate_one(cache, key, mode));
            futures_util::future::try_join_all(each).await?;
        }
        (None, Some(organisation)) => {
            let tag = ORGANISATION.of((organisation,));
            match mode {
                Mode::Remove => cache.remove_tag(&tag).await?,
                Mode::Expire => cache.expire_tag(&tag).await?,
            };
        }
        (None, None) => {
            match mode {
                Mode::Remove => cache.clear(&SHARED).await?,
                Mode::Expire => cache.expire_all(&SHARED).await?,
            };
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn invalidate_one(cache: &Cache, key: &Key<Value>, mode: Mode) -> restis::Result<()> {
    match mode {
        Mode::Remove => cache.delete(key).await.map(drop),
        Mode::Expire => cache.expire(key).await.map(drop),
    }
}

/// The store, and what this instance has done with it; what the store does not tell is null.
#[derive(Debug, Default, Serialize, ToSchema)]
struct CacheMetricsBody {
    /// Whether the store answers.
    connected: bool,
    memory: MemoryBody,
    keys: KeysBody,
    operations: OperationsBody,
    /// The share of reads of this instance that found a value, stale ones included.
    hit_rate: Option<f64>,
    /// The share of reads of this instance that found a stale value.
    stale_rate: Option<f64>,
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
async fn metrics(State(state): State<AppState>, caller: Caller) -> Result<Response> {
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
    let counters = redis.metrics().snapshot().counters;
    let count = |name| counters.get(name).copied().unwrap_or_default();
    let (fresh, stale) = (
        count("cache_hits") + count("cache_local_hits"),
        count("cache_stale_hits"),
    );
    let all = fresh + stale + count("cache_misses");
    if all > 0 {
        body.hit_rate = Some((fresh + stale) as f64 / all as f64);
        body.stale_rate = Some(stale as f64 / all as f64);
    }
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((headers, Json(body)).into_response())
}
