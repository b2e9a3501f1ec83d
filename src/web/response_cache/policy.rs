//! What may be stored and for how long: the rules of RFC 9111, without I/O.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode, header, request::Parts};

use super::directives::{Directives, delta_seconds, list};
use crate::cache::Lifetime;

/// Final statuses that are understood (RFC 9111, 3); others are never stored.
const UNDERSTOOD: [u16; 13] = [
    200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501,
];

/// What a request says of caching.
#[derive(Debug)]
pub(super) struct Wishes {
    /// Nothing of it may be stored, or answered from the store.
    pub(super) bypass: bool,
    /// An answer from the store will not do.
    pub(super) anew: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<Duration>,
    pub(super) min_fresh: Duration,
    /// It carries credentials, so that its answer may be for its user alone.
    pub(super) credentials: bool,
}

impl Wishes {
    pub(super) fn of(request: &Parts) -> Self {
        let headers = &request.headers;
        let directives = Directives::of(headers);
        let pragma = directives.is_empty()
            && list(headers, &header::PRAGMA)
                .iter()
                .any(|one| one.eq_ignore_ascii_case("no-cache"));
        let max_age = directives.seconds("max-age");
        Self {
            bypass: directives.has("no-store")
                || headers.contains_key(header::RANGE)
                || headers.contains_key(header::UPGRADE)
                || headers.contains_key(header::IF_MATCH)
                || headers.contains_key(header::IF_UNMODIFIED_SINCE),
            anew: directives.has("no-cache") || pragma || max_age == Some(Duration::ZERO),
            only_if_cached: directives.has("only-if-cached"),
            max_age,
            min_fresh: directives.seconds("min-fresh").unwrap_or_default(),
            credentials: headers.contains_key(header::AUTHORIZATION)
                || headers.contains_key(header::COOKIE),
        }
    }
}

/// How a response may be stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storable {
    pub(super) lifetime: Lifetime,
    /// How old it was already.
    pub(super) age: Duration,
    /// The request headers that it depends on, in lower case and order.
    pub(super) vary: Vec<String>,
}

/// Whether and how a response may be stored.
///
/// `owned` is for a cache of one user's responses; `default` how long what says nothing is fresh.
pub(super) fn storable(
    status: StatusCode,
    headers: &HeaderMap,
    credentials: bool,
    owned: bool,
    default: Option<Duration>,
    now_ms: u64,
) -> Option<Storable> {
    let directives = Directives::of(headers);
    let has = |name| directives.has(name);
    let prohibited = has("no-store")
        || has("no-cache")
        || (has("private") && !owned)
        // It names somebody.
        || headers.contains_key(header::SET_COOKIE)
        || headers.contains_key(header::CONTENT_RANGE);
    if prohibited || !UNDERSTOOD.contains(&status.as_u16()) {
        return None;
    }
    // RFC 9111, 3.5.
    let may_be_shared = owned || has("public") || has("s-maxage") || has("must-revalidate");
    if credentials && !may_be_shared {
        return None;
    }
    let vary = vary(headers)?;
    let age = headers.get(header::AGE);
    let age = age.map_or(Some(0), |age| delta_seconds(age.to_str().ok()?.trim()));
    let age = Duration::from_secs(age?);
    let fresh = freshness(&directives, headers, owned, now_ms).or(default)?;
    let fresh = fresh.checked_sub(age).filter(|left| !left.is_zero())?;
    let revalidates =
        has("must-revalidate") || (!owned && (has("proxy-revalidate") || has("s-maxage")));
    let further = |name| match revalidates {
        true => Duration::ZERO,
        false => directives.seconds(name).unwrap_or_default(),
    };
    Some(Storable {
        lifetime: Lifetime::new(fresh)
            .stale(further("stale-while-revalidate"))
            .on_error(further("stale-if-error")),
        age,
        vary,
    })
}

/// RFC 9111, 4.2.1; nothing is guessed.
fn freshness(
    directives: &Directives,
    headers: &HeaderMap,
    owned: bool,
    now_ms: u64,
) -> Option<Duration> {
    let shared = directives.seconds("s-maxage").filter(|_| !owned);
    if let Some(time) = shared.or_else(|| directives.seconds("max-age")) {
        return Some(time);
    }
    let date = |name| {
        let value = headers.get(name)?.to_str().ok()?;
        httpdate::parse_http_date(value).ok()
    };
    headers.get(header::EXPIRES)?;
    let now = UNIX_EPOCH + Duration::from_millis(now_ms);
    let from: SystemTime = date(header::DATE).unwrap_or(now);
    // A date that cannot be read, such as `0`, is in the past.
    let until = date(header::EXPIRES).unwrap_or(from);
    Some(until.duration_since(from).unwrap_or_default())
}

/// The names in `Vary`; `None` for `*`, which nothing matches.
fn vary(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut names = list(headers, &header::VARY);
    if headers
        .get_all(header::VARY)
        .iter()
        .any(|value| value.to_str().is_err())
    {
        return None;
    }
    for name in &mut names {
        name.make_ascii_lowercase();
    }
    names.sort_unstable();
    names.dedup();
    let matches = names.len() <= MAX_VARY && !names.iter().any(|name| name == "*");
    matches.then_some(names)
}

/// Most headers that a response depends on.
const MAX_VARY: usize = 16;

/// Whether a request that has no `If-None-Match` of its own is answered by 304 (RFC 9110, 13.1).
pub(super) fn is_not_modified(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    if request.contains_key(header::IF_NONE_MATCH) {
        let tag = stored.get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let named = list(request, &header::IF_NONE_MATCH);
        return named
            .iter()
            .any(|one| one == "*" || tag.is_some_and(|tag| opaque(one) == opaque(tag)));
    }
    let date = |headers: &HeaderMap, name| {
        let value = headers.get(name)?.to_str().ok()?;
        httpdate::parse_http_date(value).ok()
    };
    let since = date(request, header::IF_MODIFIED_SINCE);
    let modified = date(stored, header::LAST_MODIFIED);
    since
        .zip(modified)
        .is_some_and(|(since, modified)| modified <= since)
}
