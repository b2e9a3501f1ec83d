//! `/api/cache/mget`, `/invalidate` and `/warm`: many entries at once.

use super::{
    EntryBody, MAX_KEYS, ORGANISATION, SHARED, allowed,
    entries::WriteProblems,
    keys, limited, tags,
    warm::{WarmBody, WarmEntry, store, values},
};
use crate::{
    ApiJson, AppState,
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
use futures_util::future::{try_join, try_join_all};
use http::{StatusCode, header};
use restis::cache::{Cache, Key, TagKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Several keys.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysRequest {
    /// 1 to 100 keys.
    #[schema(min_items = 1, max_items = 100)]
    keys: Vec<String>,
    /// The organisation, for tokens that are bound to some.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

/// What is cached of several keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntriesBody {
    /// In the order of the keys.
    entries: Vec<FoundBody>,
}

/// What is cached under one key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FoundBody {
    /// The key.
    key: String,
    /// Absent where nothing is cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<EntryBody>,
}

/// What is not to be served any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InvalidateRequest {
    /// Up to 100 keys.
    #[schema(min_items = 1, max_items = 100)]
    keys: Option<Vec<String>>,
    /// Up to 100 tags; without keys and tags every entry of the organisation is meant.
    #[schema(min_items = 1, max_items = 100)]
    tags: Option<Vec<String>>,
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

/// Values to have in the cache before they are asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WarmRequest {
    /// 1 to 100 entries.
    #[schema(min_items = 1, max_items = 100)]
    entries: Vec<WarmEntry>,
    /// Whether entries that are fresh are replaced too; they are kept when absent.
    replace: Option<bool>,
    /// The organisation, for tokens that are bound to some.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

problems!(
    MgetProblems:
    403 "The token lacks `cache:read` or the organisation",
    429 "The caller has read too much: the policy `cache`"
);

/// Gives what is cached under several keys, by one read of the store.
#[utoipa::path(post, path = "/api/cache/mget", tag = "cache", security(("service_token" = [])),
    request_body = KeysRequest,
    responses(
        (status = 200, description = "The entries by key", body = EntriesBody),
        MgetProblems, ServiceProblems, JsonProblems, QueryProblems,
    ))]
pub(super) async fn mget(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<KeysRequest>,
) -> Result<Response> {
    let organisation = body.organisation.as_deref();
    allowed(&caller, Scope::CacheRead, organisation)?;
    let keys = keys(organisation, &body.keys)?;
    limited(&state, &caller, organisation, keys.len()).await?;
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

/// Invalidates keys and tags by one command each, or all entries of an organisation by one command.
#[utoipa::path(post, path = "/api/cache/invalidate", tag = "cache", security(("service_token" = [])),
    request_body = InvalidateRequest,
    responses(
        (status = 204, description = "They are served no more, or as stale ones"),
        WriteProblems, ServiceProblems, JsonProblems, QueryProblems,
    ))]
pub(super) async fn invalidate(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<InvalidateRequest>,
) -> Result<StatusCode> {
    let organisation = body.organisation.as_deref();
    allowed(&caller, Scope::CacheWrite, organisation)?;
    let (cache, mode) = (state.cache(), body.mode.unwrap_or_default());
    let named = body.keys.as_deref();
    let keys = named.map_or(Ok(Vec::new()), |names| keys(organisation, names))?;
    let tag_names = body.tags.as_deref().unwrap_or_default();
    let tags = tags(organisation, tag_names, MAX_KEYS)?;
    if body.tags.is_some() && tags.is_empty() {
        return Err(Problem::invalid("`tags` has 1 to 100 tags"));
    }
    let count = (keys.len() + tags.len()).max(1);
    limited(&state, &caller, organisation, count).await?;
    if named.is_some() || !tags.is_empty() {
        // They leave in one request.
        let keys = keys.iter().map(|key| invalidate_key(cache, key, mode));
        let tags = tags.iter().map(|tag| invalidate_tag(cache, tag, mode));
        try_join(try_join_all(keys), try_join_all(tags)).await?;
    } else if let Some(organisation) = organisation {
        invalidate_tag(cache, &ORGANISATION.of((organisation,)), mode).await?;
    } else {
        match mode {
            Mode::Remove => cache.clear(&SHARED).await?,
            Mode::Expire => cache.expire_all(&SHARED).await?,
        };
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn invalidate_key(cache: &Cache, key: &Key<Value>, mode: Mode) -> restis::Result<()> {
    match mode {
        Mode::Remove => cache.delete(key).await.map(drop),
        Mode::Expire => cache.expire(key).await.map(drop),
    }
}

async fn invalidate_tag(cache: &Cache, tag: &TagKey, mode: Mode) -> restis::Result<()> {
    match mode {
        Mode::Remove => cache.remove_tag(tag).await.map(drop),
        Mode::Expire => cache.expire_tag(tag).await.map(drop),
    }
}

/// Stores many values before they are asked for, those that are missing or stale.
///
/// What is invalidated or written meanwhile is not undone. With `replace` all are stored.
#[utoipa::path(post, path = "/api/cache/warm", tag = "cache", security(("service_token" = [])),
    request_body = WarmRequest,
    responses(
        (status = 200, description = "How many were stored", body = WarmBody),
        WriteProblems, ServiceProblems, JsonProblems, QueryProblems,
    ))]
pub(super) async fn warm(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<WarmRequest>,
) -> Result<Response> {
    let organisation = body.organisation.as_deref();
    allowed(&caller, Scope::CacheWrite, organisation)?;
    let values = values(organisation, body.entries)?;
    limited(&state, &caller, organisation, values.len()).await?;
    let body = store(state.cache(), &values, body.replace.unwrap_or_default()).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
