//! Filling the cache: what `/api/cache/warm` and `restis cache warm` store.

use super::{MAX_KEYS, ORGANISATION, stored_key};
use crate::problem::{Problem, Result};
use restis::cache::{Cache, Invalidated, Key};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One value to store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmEntry {
    /// 1 to 512 bytes, each key once.
    key: String,
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

/// What became of the entries.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct WarmBody {
    /// How many were stored.
    pub stored: usize,
    /// How many were not: something fresh was there, or they were invalidated meanwhile.
    pub kept: usize,
}

type Values = Vec<(Key<Value>, Value)>;

/// The keys and values of entries.
///
/// # Errors
/// What is wrong with one of them.
pub(super) fn values(organisation: Option<&str>, entries: Vec<WarmEntry>) -> Result<Values> {
    if !(1..=MAX_KEYS).contains(&entries.len()) {
        return Err(Problem::invalid("`entries` has 1 to 100 entries"));
    }
    let each = entries.into_iter().map(|entry| {
        let lifetime = (entry.fresh_seconds, entry.stale_seconds);
        let tags = entry.tags.as_deref();
        let key = stored_key(organisation, &entry.key, &entry.value, tags, lifetime)?;
        Ok((key, entry.value))
    });
    let values: Values = each.collect::<Result<_>>()?;
    let mut names: Vec<_> = values.iter().map(|(key, _)| key.name()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(Problem::invalid("`entries` has each key once"));
    }
    Ok(values)
}

/// Stores those that are missing or stale, or all.
pub(super) async fn store(
    cache: &Cache,
    values: &[(Key<Value>, Value)],
    replace: bool,
) -> Result<WarmBody> {
    let stored = if replace {
        cache.put_many(values).await?;
        values.len()
    } else {
        cache.put_missing(values).await?
    };
    Ok(WarmBody {
        stored,
        kept: values.len() - stored.min(values.len()),
    })
}

/// Stores entries as `POST /api/cache/warm` does.
///
/// # Errors
/// What is wrong with one of them, or that the store did not answer.
pub async fn warm(
    cache: &Cache,
    organisation: Option<&str>,
    entries: Vec<WarmEntry>,
    replace: bool,
) -> Result<WarmBody> {
    crate::extract::organisation(organisation)?;
    store(cache, &values(organisation, entries)?, replace).await
}

/// Removes all entries of an organisation, as `POST /api/cache/invalidate` does.
///
/// # Errors
/// That the name is none, or that the store did not answer.
pub async fn clear(cache: &Cache, organisation: &str) -> Result<Invalidated> {
    crate::extract::organisation(Some(organisation))?;
    Ok(cache.remove_tag(&ORGANISATION.of((organisation,))).await?)
}
