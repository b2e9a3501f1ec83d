//! `/api/cache`: entries of organisations, invalidation, warm-up, numbers.

mod bulk;
mod entries;
mod metrics;
mod warm;

use crate::{
    AppState,
    auth::{Caller, Scope},
    extract,
    policies::CACHE_POLICY,
    problem::{Problem, Result},
};
use http::StatusCode;
use restis::{
    cache::{Cached, Key, Keyspace, Lifetime, Source, Tag, TagKey},
    ratelimit::{Limit, RateLimitRequest},
    web::Refusal,
};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

pub use warm::{WarmBody, WarmEntry, clear, warm};

group!(
    entries::read,
    entries::write,
    entries::delete,
    bulk::mget,
    bulk::invalidate,
    bulk::warm,
    metrics::metrics,
    metrics::redis_metrics,
);

/// Entries of an organisation, and those of none.
const ENTRIES: Keyspace<(String, String), Value> =
    Keyspace::new("entries:{organisation}:{key}").tag("entries:{organisation}");
const SHARED: Keyspace<(String,), Value> = Keyspace::new("shared:{key}");
const ORGANISATION: Tag<(String,)> = Tag::new("entries:{organisation}");
/// Tags that callers chose.
const TAGGED: Tag<(String, String)> = Tag::new("tagged:{organisation}:{tag}");
const SHARED_TAGGED: Tag<(String,)> = Tag::new("shared-tagged:{tag}");

const MAX_KEY_BYTES: usize = 512;
const MAX_KEYS: usize = 100;
const MAX_TAG_BYTES: usize = 200;
const MAX_TAGS: usize = 16;
const MAX_VALUE_BYTES: usize = 256 * 1024;
const MAX_SECONDS: u64 = 86_400;

/// A cached value.
#[derive(Debug, Serialize, ToSchema)]
struct EntryBody {
    /// The value.
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
        Self {
            stale: cached.source() == Source::Stale,
            age_ms: ms(cached.age()),
            fresh_ms: ms(cached.fresh_for()),
            value: cached.into_value(),
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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

fn tags(organisation: Option<&str>, tags: &[String], most: usize) -> Result<Vec<TagKey>> {
    let is_valid = |tag: &String| (1..=MAX_TAG_BYTES).contains(&tag.len());
    if tags.len() > most || !tags.iter().all(is_valid) {
        return Err(Problem::invalid(format!(
            "`tags` has {most} tags at most, of 1 to 200 bytes"
        )));
    }
    let tag = |tag: &String| match organisation {
        Some(organisation) => TAGGED.of((organisation, tag.as_str())),
        None => SHARED_TAGGED.of((tag.as_str(),)),
    };
    Ok(tags.iter().map(tag).collect())
}

/// The key of a value to store, with the tags and the lifetime that it was given.
fn stored_key(
    organisation: Option<&str>,
    name: &str,
    value: &Value,
    tag_names: Option<&[String]>,
    seconds: (Option<u64>, Option<u64>),
) -> Result<Key<Value>> {
    let (fresh, stale) = (seconds.0.unwrap_or(60), seconds.1.unwrap_or(0));
    if !(1..=MAX_SECONDS).contains(&fresh) || stale > MAX_SECONDS {
        return Err(Problem::invalid(
            "`fresh_seconds` is from 1 to 86400, `stale_seconds` from 0",
        ));
    }
    let bytes = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(Problem::too_large().detail("`value` has at most 262144 bytes"));
    }
    let lifetime = Lifetime::new(Duration::from_secs(fresh)).stale(Duration::from_secs(stale));
    let key = key(organisation, name)?.lives(lifetime);
    let tags = tags(organisation, tag_names.unwrap_or_default(), MAX_TAGS)?;
    Ok(tags.iter().fold(key, Key::tagged))
}

fn allowed(caller: &Caller, scope: Scope, organisation: Option<&str>) -> Result<()> {
    caller.require(scope)?;
    caller.require_organisation(organisation)?;
    extract::organisation(organisation)
}

/// Takes the cost of a request from the limit of its caller and organisation.
///
/// While the limit cannot be asked for, nobody is refused: the cache itself then fails.
async fn limited(
    state: &AppState,
    caller: &Caller,
    organisation: Option<&str>,
    keys: usize,
) -> Result<()> {
    let Some(limiter) = state.limiters().get(CACHE_POLICY) else {
        return Ok(());
    };
    let query = RateLimitRequest::new(caller.name()).cost(keys as u64);
    let query = match organisation {
        Some(organisation) => query.organisation(organisation),
        None if limiter.limits().iter().any(Limit::is_per_group) => {
            return Err(Problem::invalid(
                "the policy `cache` has a limit per organisation: name the `organisation`",
            ));
        }
        None => query,
    };
    match limiter.decide(query).await {
        Ok(decision) => match Refusal::of_decision(CACHE_POLICY, &decision) {
            Some(refusal) if refusal.status() == StatusCode::SERVICE_UNAVAILABLE => {
                Err(Problem::unavailable())
            }
            Some(refusal) => Err(Problem::from(refusal)),
            None => Ok(()),
        },
        Err(error) => {
            tracing::warn!(%error, "the limit of the cache does not count");
            Ok(())
        }
    }
}
