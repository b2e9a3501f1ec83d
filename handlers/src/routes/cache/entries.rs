//! `/api/cache/entries/{key}`: one entry.

use super::{EntryBody, allowed, key, limited, ms, stored_key};
use crate::{
    ApiJson, ApiPath, ApiQuery, AppState,
    auth::{Caller, Scope},
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
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::{IntoParams, ToSchema};

/// Whose entries are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Owner {
    /// The organisation, for tokens that are bound to some.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

/// A value to store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryRequest {
    /// Any JSON, 256 KiB at most.
    value: Value,
    /// How long it is fresh, in seconds; 60 when absent.
    #[schema(minimum = 1, maximum = 86_400)]
    fresh_seconds: Option<u64>,
    /// How much longer it is served as a stale one, in seconds; 0 when absent.
    #[schema(minimum = 0, maximum = 86_400)]
    stale_seconds: Option<u64>,
    /// Up to 16 names, by which it can be invalidated with others.
    #[schema(max_items = 16)]
    tags: Option<Vec<String>>,
}

problems!(
    ReadProblems:
    403 "The token lacks `cache:read` or the organisation",
    404 "Nothing is cached under this key",
    429 "The caller has read too much: the policy `cache`"
);

/// Gives what is cached under a key, fresh or stale.
#[utoipa::path(get, path = "/api/cache/entries/{key}", tag = "cache", security(("service_token" = [])),
    params(("key" = String, Path, description = "The key, 1 to 512 bytes"), Owner),
    responses(
        (status = 200, description = "The value, with `ETag`, `Age`, `Cache-Control` and `Cache-Status`", body = EntryBody),
        (status = 304, description = "It is the one of `If-None-Match`"),
        ReadProblems, ServiceProblems, QueryProblems,
    ))]
pub(super) async fn read(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    ApiPath(name): ApiPath,
    ApiQuery(owner): ApiQuery<Owner>,
) -> Result<Response> {
    let organisation = owner.organisation.as_deref();
    allowed(&caller, Scope::CacheRead, organisation)?;
    let key = key(organisation, &name)?;
    limited(&state, &caller, organisation, 1).await?;
    let found = state.cache().get(&key).await?;
    let Some(cached) = found else {
        let mut response = Problem::not_found("nothing is cached under this key").into_response();
        let status = HeaderValue::from_static("restis; fwd=miss");
        response.headers_mut().insert("cache-status", status);
        return Ok(response);
    };
    let stale_seconds = ms(cached.stale_for()).div_ceil(1000);
    let body = EntryBody::new(cached);
    let etag = etag(&body.value)?;
    let (age, left) = (body.age_ms / 1000, body.fresh_ms / 1000);
    // It counts from when the value was stored, as `Age` does.
    let max_age = if body.stale { 0 } else { age + left };
    let head = [
        (header::ETAG.as_str(), etag.clone()),
        (header::AGE.as_str(), age.to_string()),
        (
            header::CACHE_CONTROL.as_str(),
            format!("private, max-age={max_age}"),
        ),
        ("cache-status", cache_status(left, stale_seconds)),
    ];
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, Json(body)).into_response())
}

/// How long it stays fresh, or since when it has not been: less than nothing.
fn cache_status(left: u64, stale: u64) -> String {
    match (left, stale) {
        (0, 1..) => format!("restis; hit; ttl=-{stale}"),
        _ => format!("restis; hit; ttl={left}"),
    }
}

/// A weak tag: a hash of the value, beside which the answer tells its age.
fn etag(value: &Value) -> Result<String> {
    let text = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
    let digest = Sha256::digest(&text);
    Ok(format!("W/\"{}\"", hex::encode(&digest[..16])))
}

/// Whether `If-None-Match` names the value.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter();
    let tags = named.filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

/// A tag without its weakness, as `If-None-Match` compares.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

problems!(
    WriteProblems:
    403 "The token lacks `cache:write` or the organisation",
    429 "The caller has written too much: the policy `cache`"
);

/// Stores a value under a key; loads of others that run meanwhile do not replace it.
#[utoipa::path(put, path = "/api/cache/entries/{key}", tag = "cache", security(("service_token" = [])),
    params(("key" = String, Path, description = "The key, 1 to 512 bytes"), Owner),
    request_body = EntryRequest,
    responses(
        (status = 204, description = "It is stored"),
        WriteProblems, ServiceProblems, JsonProblems, QueryProblems,
    ))]
pub(super) async fn write(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(name): ApiPath,
    ApiQuery(owner): ApiQuery<Owner>,
    ApiJson(body): ApiJson<EntryRequest>,
) -> Result<StatusCode> {
    let organisation = owner.organisation.as_deref();
    allowed(&caller, Scope::CacheWrite, organisation)?;
    let tags = body.tags.as_deref();
    let lifetime = (body.fresh_seconds, body.stale_seconds);
    let key = stored_key(organisation, &name, &body.value, tags, lifetime)?;
    limited(&state, &caller, organisation, 1).await?;
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
pub(super) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(name): ApiPath,
    ApiQuery(owner): ApiQuery<Owner>,
) -> Result<StatusCode> {
    let organisation = owner.organisation.as_deref();
    allowed(&caller, Scope::CacheWrite, organisation)?;
    let key = key(organisation, &name)?;
    limited(&state, &caller, organisation, 1).await?;
    state.cache().delete(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}
