//! The settings of a limiter as one value, also in JSON.

use std::time::Duration;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};

use super::{calendar::Calendar, feed::DenyFeed, limit::Limit};
use crate::variables::{Unit, parse_duration};

/// Most limits of one policy in JSON.
const MAX_LIMITS: usize = 16;

/// Where a decision takes the time from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ClockSource {
    /// The machine that asks, as in JavaScript.
    #[default]
    Client,
    /// The server; its script computes key names and locks the whole database on Upstash.
    ///
    /// Redis knows no calendar: a day or month takes a second request where the machine that asks is
    /// in another.
    Server,
}

/// What happens while the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The caller gets the error and decides.
    #[default]
    Error,
    /// Requests go on.
    Open,
    /// Requests are refused.
    Closed,
    /// The limits are counted in this process: each process allows the whole of them.
    Local,
}

/// The limits of a decision and how it is made.
///
/// [`RateLimiter::with_policy`](super::RateLimiter::with_policy) makes a limiter of it. In JSON
/// every member but the limits may be left out, and one limit may stand without the list:
///
/// ```
/// use restis::ratelimit::{FailurePolicy, Policy};
///
/// # fn main() -> serde_json::Result<()> {
/// let policy: Policy = serde_json::from_str(
///     r#"{"algorithm":"sliding-window","limit":10,"window":"10s","on_failure":"open"}"#,
/// )?;
/// assert_eq!((policy.limits.len(), policy.on_failure), (1, FailurePolicy::Open));
/// let policy: Policy = serde_json::from_str(
///     r#"{"limits":[{"algorithm":"gcra","limit":10,"period":"1s","burst":20},
///                   {"algorithm":"calendar","limit":10000,"period":"day"}]}"#,
/// )?;
/// assert_eq!(policy.limits.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Policy {
    /// The limits of one decision: all take the cost, or none does. In JSON 1 to 16.
    #[serde(flatten, deserialize_with = "limits")]
    pub limits: Vec<Limit>,
    /// The start of every key; `None` for `@upstash/ratelimit`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// What happens while the store does not answer.
    #[serde(default)]
    pub on_failure: FailurePolicy,
    /// How long the store may take before the failure policy decides; `None` for the client's
    /// timeout. In JSON a time such as `"250ms"`; a bare number counts seconds.
    #[serde(default, deserialize_with = "timeout")]
    pub timeout: Option<Duration>,
    /// Where decisions take the time from.
    #[serde(default)]
    pub clock: ClockSource,
    /// Counts and reports refusals, but lets every request go on.
    #[serde(default)]
    pub shadow: bool,
    /// Makes [`RateLimiter::record`](super::RateLimiter::record) write analytics.
    #[serde(default)]
    pub analytics: bool,
    /// Looks callers up in the deny and allow lists, in the same round trip.
    #[serde(default)]
    pub protection: bool,
    /// Where a list of addresses to deny comes from; turns `protection` on. In JSON its address.
    #[serde(default)]
    pub deny_list: Option<DenyFeed>,
    /// Honours limits set in the store, for all and for one identifier.
    #[serde(default)]
    pub dynamic: bool,
    /// Takes so many permits of an identifier in one request; 0 and 1 take nothing ahead.
    #[serde(default)]
    pub take_ahead: u64,
    /// Writes identifiers as `{identifier}`, for a Redis Cluster.
    #[serde(default)]
    pub hash_tags: bool,
}

impl Policy {
    /// A policy of these limits, with every other setting at its default.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Self {
        Self {
            limits: limits.into_iter().collect(),
            prefix: None,
            on_failure: FailurePolicy::default(),
            timeout: None,
            clock: ClockSource::default(),
            shadow: false,
            analytics: false,
            protection: false,
            deny_list: None,
            dynamic: false,
            take_ahead: 0,
            hash_tags: false,
        }
    }
}

/// What no other member takes: the list, or the members of one limit.
fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Limit>, D::Error> {
    let mut map = Map::deserialize(deserializer)?;
    let mut limits: Vec<Limit> = match map.remove("limits") {
        None => Vec::new(),
        Some(list) => read(list).map_err(D::Error::custom)?,
    };
    if !map.is_empty() {
        limits.push(read(map.into()).map_err(D::Error::custom)?);
    }
    if limits.is_empty() || limits.len() > MAX_LIMITS {
        return Err(D::Error::custom(format_args!(
            "give one limit, or up to {MAX_LIMITS} in `limits`"
        )));
    }
    Ok(limits)
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let time = text.as_deref().map(time).transpose();
    time.map_err(D::Error::custom)
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text, Unit::Seconds)
        .ok_or_else(|| format!("`{text}` is not a time such as 500ms, 1.5s, 1m, 2h, 1d or 1w"))
}

#[derive(Deserialize)]
#[serde(tag = "algorithm", rename_all = "kebab-case", deny_unknown_fields)]
enum Algorithm {
    FixedWindow {
        limit: u64,
        window: String,
    },
    SlidingWindow {
        limit: u64,
        window: String,
    },
    TokenBucket {
        refill: u64,
        interval: String,
        capacity: u64,
    },
    Gcra {
        limit: u64,
        period: String,
        burst: u64,
    },
    Calendar {
        limit: u64,
        period: Period,
        utc_offset_minutes: Option<i16>,
        time_zone: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Period {
    Day,
    Month,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Per {
    #[default]
    Identifier,
    Organisation,
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Map::deserialize(deserializer)?;
        let per = map.remove("per").map(read::<Per>).transpose();
        let per = per.map_err(|error| D::Error::custom(format_args!("`per`: {error}")))?;
        let algorithm = read::<Algorithm>(map.into());
        let limit = algorithm.and_then(Algorithm::limit);
        let limit = limit.map_err(D::Error::custom)?;
        Ok(match per.unwrap_or_default() {
            Per::Identifier => limit,
            Per::Organisation => limit.per_group(),
        })
    }
}

impl Algorithm {
    fn limit(self) -> Result<Limit, String> {
        let limit = match self {
            Self::FixedWindow { limit, window } => Limit::fixed_window(limit, time(&window)?),
            Self::SlidingWindow { limit, window } => Limit::sliding_window(limit, time(&window)?),
            Self::TokenBucket {
                refill,
                interval,
                capacity,
            } => Limit::token_bucket(refill, time(&interval)?, capacity),
            Self::Gcra {
                limit,
                period,
                burst,
            } => Limit::gcra(limit, time(&period)?, burst),
            Self::Calendar {
                limit,
                period,
                utc_offset_minutes,
                time_zone,
            } => {
                let calendar = match period {
                    Period::Day => Calendar::DAY,
                    Period::Month => Calendar::MONTH,
                };
                let calendar = match (utc_offset_minutes, time_zone) {
                    (None, None) => Ok(calendar),
                    (Some(minutes), None) => calendar.at_offset(minutes),
                    (None, Some(zone)) => calendar.in_zone(&zone),
                    (Some(_), Some(_)) => {
                        return Err("give `utc_offset_minutes` or `time_zone`, not both".into());
                    }
                };
                calendar.and_then(|calendar| Limit::calendar(limit, calendar))
            }
        };
        limit.map_err(|error| error.to_string())
    }
}
