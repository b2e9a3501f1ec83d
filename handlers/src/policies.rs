//! Named rate limit policies from configuration.

use std::{collections::BTreeMap, time::Duration};

use restis::{
    Redis,
    ratelimit::{Calendar, ClockSource, DenyFeed, FailurePolicy, Limit, RateLimiter},
    web::ratelimit_headers::HeaderStyle,
};
use serde::Deserialize;

/// The name of the policy that is used when none is asked for.
pub const DEFAULT_POLICY: &str = "default";
const MOST_POLICIES: usize = 1000;

/// Rate limit policies by name; always has [`DEFAULT_POLICY`].
#[derive(Debug, Clone)]
pub struct PolicySet {
    policies: BTreeMap<String, Policy>,
    headers: HeaderStyle,
}

#[derive(Debug, Clone)]
struct Policy {
    limits: Vec<Limit>,
    prefix: Option<String>,
    on_failure: FailurePolicy,
    shadow: bool,
    analytics: bool,
    protection: bool,
    dynamic: bool,
    take_ahead: u64,
    hash_tags: bool,
    deny_list: Option<String>,
    clock: ClockSource,
    timeout: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyText {
    #[serde(default)]
    limits: Vec<serde_json::Map<String, serde_json::Value>>,
    prefix: Option<String>,
    #[serde(default)]
    on_failure: OnFailure,
    #[serde(default)]
    shadow: bool,
    #[serde(default)]
    analytics: bool,
    #[serde(default)]
    protection: bool,
    #[serde(default)]
    dynamic: bool,
    #[serde(default)]
    take_ahead: u64,
    #[serde(default)]
    hash_tags: bool,
    deny_list: Option<String>,
    #[serde(default)]
    clock: ClockText,
    timeout: Option<String>,
}

impl PolicyText {
    /// A policy of one limit may name the limit's fields beside its own.
    fn read(mut map: serde_json::Map<String, serde_json::Value>) -> serde_json::Result<Self> {
        let own = [
            "limits",
            "prefix",
            "on_failure",
            "shadow",
            "analytics",
            "protection",
            "dynamic",
            "take_ahead",
            "hash_tags",
            "deny_list",
            "clock",
            "timeout",
        ];
        let one: serde_json::Map<_, _> = map
            .iter()
            .filter(|(name, _)| !own.contains(&name.as_str()))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        map.retain(|name, _| own.contains(&name.as_str()));
        let mut policy: Self = serde_json::from_value(map.into())?;
        if !one.is_empty() {
            policy.limits.push(one);
        }
        Ok(policy)
    }
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum OnFailure {
    #[default]
    Error,
    Open,
    Closed,
    Local,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum ClockText {
    #[default]
    Client,
    Server,
}

#[derive(Deserialize)]
#[serde(tag = "algorithm", rename_all = "kebab-case", deny_unknown_fields)]
enum LimitText {
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

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Period {
    Day,
    Month,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Per {
    Identifier,
    Organisation,
}

impl LimitText {
    fn read(mut map: serde_json::Map<String, serde_json::Value>) -> Result<Limit, String> {
        let per = map.remove("per").unwrap_or("identifier".into());
        let per: Per = serde_json::from_value(per).map_err(|e| format!("`per`: {e}"))?;
        let text: Self = serde_json::from_value(map.into()).map_err(|e| e.to_string())?;
        let limit = text.limit()?;
        Ok(match per {
            Per::Identifier => limit,
            Per::Organisation => limit.per_group(),
        })
    }

    fn limit(&self) -> Result<Limit, String> {
        let limit = match self {
            Self::FixedWindow { limit, window } => Limit::fixed_window(*limit, duration(window)?),
            Self::SlidingWindow { limit, window } => {
                Limit::sliding_window(*limit, duration(window)?)
            }
            Self::TokenBucket {
                refill,
                interval,
                capacity,
            } => Limit::token_bucket(*refill, duration(interval)?, *capacity),
            Self::Gcra {
                limit,
                period,
                burst,
            } => Limit::gcra(*limit, duration(period)?, *burst),
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
                    (Some(minutes), None) => calendar.at_offset(*minutes),
                    (None, Some(zone)) => calendar.in_zone(zone),
                    (Some(_), Some(_)) => {
                        return Err("give `utc_offset_minutes` or `time_zone`, not both".into());
                    }
                };
                calendar.and_then(|c| Limit::calendar(*limit, c))
            }
        };
        limit.map_err(|e| e.to_string())
    }
}

/// A time such as `500ms`, `1.5s`, `1m`, `2h`, `1d`, `1w`; a bare number counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("`{text}` is not a time such as 500ms, 1.5s, 1m, 2h, 1d or 1w");
    let ms: u64 = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(wrong()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let part_digits = u32::try_from(part.len()).unwrap_or(u32::MAX);
    let scale = 10_u64.checked_pow(part_digits).ok_or_else(wrong)?;
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let part: u64 = part.parse().map_err(|_| wrong())?;
    // Parts of a millisecond are rounded, as `@upstash/ratelimit` does.
    let part = part.checked_mul(ms).ok_or_else(wrong)?;
    whole
        .checked_mul(ms)
        .and_then(|whole| whole.checked_add((part + scale / 2) / scale))
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

impl Default for PolicySet {
    /// One policy: 100 requests in a sliding minute.
    fn default() -> Self {
        let limit = Limit::sliding_window(100, Duration::from_secs(60));
        let policy = Policy::of(limit.into_iter().collect());
        Self {
            policies: BTreeMap::from([(DEFAULT_POLICY.to_owned(), policy)]),
            headers: HeaderStyle::default(),
        }
    }
}

impl Policy {
    fn of(limits: Vec<Limit>) -> Self {
        Self {
            limits,
            prefix: None,
            on_failure: FailurePolicy::Error,
            shadow: false,
            analytics: false,
            protection: false,
            dynamic: false,
            take_ahead: 0,
            hash_tags: false,
            deny_list: None,
            clock: ClockSource::Client,
            timeout: None,
        }
    }
}

impl PolicySet {
    /// Replaces or adds a policy of these limits.
    #[must_use]
    pub fn with(mut self, name: &str, limits: Vec<Limit>) -> Self {
        self.policies.insert(name.to_owned(), Policy::of(limits));
        self
    }

    /// Which headers decisions are told by.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderStyle) -> Self {
        self.headers = headers;
        self
    }

    pub(crate) fn headers(&self) -> HeaderStyle {
        self.headers
    }

    /// Adds policies from JSON by name.
    ///
    /// # Errors
    /// Says which policy is wrong and why.
    pub fn add_json(&mut self, json: &str) -> Result<(), String> {
        let texts: BTreeMap<String, serde_json::Map<String, serde_json::Value>> =
            serde_json::from_str(json).map_err(|e| format!("not an object of policies: {e}"))?;
        if texts.len() > MOST_POLICIES {
            return Err(format!("at most {MOST_POLICIES} policies"));
        }
        for (name, text) in texts {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                return Err(format!(
                    "policy `{name}`: a name has 1 to 64 letters, digits, `-` and `_`"
                ));
            }
            let text = PolicyText::read(text).map_err(|e| format!("policy `{name}`: {e}"))?;
            let limits: Vec<Limit> = text
                .limits
                .into_iter()
                .map(LimitText::read)
                .collect::<Result<_, _>>()
                .map_err(|e| format!("policy `{name}`: {e}"))?;
            if limits.is_empty() || limits.len() > 16 {
                return Err(format!(
                    "policy `{name}`: give one limit, or up to 16 in `limits`"
                ));
            }
            let on_failure = match text.on_failure {
                OnFailure::Error => FailurePolicy::Error,
                OnFailure::Open => FailurePolicy::Open,
                OnFailure::Closed => FailurePolicy::Closed,
                OnFailure::Local => FailurePolicy::Local,
            };
            if let Some(list) = &text.deny_list {
                DenyFeed::new(list).map_err(|e| format!("policy `{name}`: {e}"))?;
            }
            let timeout = text.timeout.as_deref().map(duration).transpose();
            let policy = Policy {
                limits,
                prefix: text.prefix,
                on_failure,
                shadow: text.shadow,
                analytics: text.analytics,
                protection: text.protection,
                dynamic: text.dynamic,
                take_ahead: text.take_ahead,
                hash_tags: text.hash_tags,
                deny_list: text.deny_list,
                clock: match text.clock {
                    ClockText::Client => ClockSource::Client,
                    ClockText::Server => ClockSource::Server,
                },
                timeout: timeout.map_err(|e| format!("policy `{name}`: {e}"))?,
            };
            self.policies.insert(name, policy);
        }
        Ok(())
    }

    /// Reads `RATE_LIMIT_WINDOW`, `RATE_LIMIT_MAX_REQUESTS`, `RATE_LIMIT_POLICIES`,
    /// `RATE_LIMIT_POLICIES_FILE` and `RATE_LIMIT_HEADERS`; adds what is wrong to `problems`.
    pub(crate) fn from_vars(
        var: impl Fn(&str) -> Option<String>,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut set = Self::default();
        let window =
            var("RATE_LIMIT_WINDOW").map_or(Ok(Duration::from_secs(60)), |text| duration(&text));
        let most = var("RATE_LIMIT_MAX_REQUESTS").map_or(Ok(100), |text| text.parse::<u64>());
        match (window, most) {
            (Ok(window), Ok(most)) => match Limit::sliding_window(most, window) {
                Ok(limit) => set = set.with(DEFAULT_POLICY, vec![limit]),
                Err(error) => problems.push(format!(
                    "RATE_LIMIT_WINDOW, RATE_LIMIT_MAX_REQUESTS: {error}"
                )),
            },
            (window, most) => {
                problems.extend(window.err().map(|e| format!("RATE_LIMIT_WINDOW: {e}")));
                problems.extend(
                    most.err()
                        .map(|_| "RATE_LIMIT_MAX_REQUESTS: use a whole number".to_owned()),
                );
            }
        }
        if let Some(path) = var("RATE_LIMIT_POLICIES_FILE") {
            let read = std::fs::read_to_string(&path).map_err(|e| e.to_string());
            if let Err(error) = read.and_then(|json| set.add_json(&json)) {
                problems.push(format!("RATE_LIMIT_POLICIES_FILE: {error}"));
            }
        }
        if let Some(json) = var("RATE_LIMIT_POLICIES")
            && let Err(error) = set.add_json(&json)
        {
            problems.push(format!("RATE_LIMIT_POLICIES: {error}"));
        }
        let (standard, legacy) = match var("RATE_LIMIT_HEADERS").as_deref() {
            None | Some("both") => (true, true),
            Some("standard") => (true, false),
            Some("legacy") => (false, true),
            Some("none") => (false, false),
            Some(_) => {
                problems.push("RATE_LIMIT_HEADERS: use both, standard, legacy or none".to_owned());
                (true, true)
            }
        };
        set.with_headers(HeaderStyle { standard, legacy })
    }

    /// The limiters over a client; keys are `ratelimit:POLICY:IDENTIFIER…` unless a policy has its own prefix.
    pub(crate) fn limiters(&self, redis: &Redis) -> BTreeMap<String, RateLimiter> {
        let build = |(name, policy): (&String, &Policy)| {
            let (first, others) = policy.limits.split_first()?;
            let mut builder = RateLimiter::builder(redis.clone(), *first)
                .prefix(
                    policy
                        .prefix
                        .clone()
                        .unwrap_or_else(|| format!("ratelimit:{name}")),
                )
                .on_failure(policy.on_failure)
                .clock_source(policy.clock)
                .take_ahead(policy.take_ahead);
            for limit in others {
                builder = builder.and(*limit);
            }
            if policy.shadow {
                builder = builder.shadow();
            }
            if policy.analytics {
                builder = builder.analytics();
            }
            if policy.protection {
                builder = builder.protection();
            }
            if policy.dynamic {
                builder = builder.dynamic_limits();
            }
            if let Some(timeout) = policy.timeout {
                builder = builder.timeout(timeout);
            }
            if policy.hash_tags {
                builder = builder.hash_tags();
            }
            if let Some(Ok(feed)) = policy.deny_list.as_deref().map(DenyFeed::new) {
                builder = builder.deny_feed(feed);
            }
            Some((name.clone(), builder.build()))
        };
        self.policies.iter().filter_map(build).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1 m", 60_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("2w", 1_209_600_000),
            ("1.5s", 1500),
            ("0.25 m", 15_000),
            ("0.4ms", 0),
            ("0.5ms", 1),
            ("7", 7000),
        ] {
            assert_eq!(duration(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in [
            "",
            "s",
            "-1s",
            ".5s",
            "1.s",
            "1.2.3s",
            "1y",
            "0.00000000000000000001s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[cfg(feature = "time-zones")]
    #[test]
    fn the_documented_policies_are_read() {
        let text = include_str!("../../docs/CONFIG.md");
        let (_, text) = text.split_once("## Rate limits").unwrap();
        let (_, text) = text.split_once("```json").unwrap();
        let (json, _) = text.split_once("```").unwrap();
        let mut set = PolicySet::default();
        set.add_json(json).unwrap();
        assert!(set.policies["plan"].limits[1].is_per_group());
    }

    #[test]
    fn policies_are_read_and_wrong_ones_are_named() {
        let mut set = PolicySet::default();
        set.add_json(
            r#"{"login":{"algorithm":"fixed-window","limit":5,"window":"1m","on_failure":"closed","take_ahead":2,
                         "timeout":"250ms","clock":"server"},
                "api":{"limits":[{"algorithm":"gcra","limit":10,"period":"1s","burst":20},
                                 {"algorithm":"calendar","limit":10000,"period":"day","utc_offset_minutes":60}]}}"#,
        )
        .unwrap();
        assert_eq!(set.policies.len(), 3);
        assert_eq!(set.policies["api"].limits.len(), 2);
        for (json, part) in [
            (
                r#"{"a b":{"algorithm":"fixed-window","limit":5,"window":"1m"}}"#,
                "`a b`",
            ),
            (
                r#"{"x":{"algorithm":"fixed-window","limit":0,"window":"1m"}}"#,
                "`x`",
            ),
            (
                r#"{"x":{"algorithm":"fixed-window","limit":1,"window":"soon"}}"#,
                "`soon`",
            ),
            (r#"{"x":{}}"#, "give one limit"),
            (
                r#"{"x":{"algorithm":"fixed-window","limit":1,"window":"1m","per":"planet"}}"#,
                "`per`",
            ),
            (
                r#"{"x":{"algorithm":"fixed-window","limit":1,"window":"1m","timeout":"never"}}"#,
                "`never`",
            ),
            (
                r#"{"x":{"algorithm":"fixed-window","limit":1,"window":"1m","deny_list":"file:///x"}}"#,
                "deny list",
            ),
            (
                r#"{"x":{"algorithm":"calendar","limit":1,"period":"day","time_zone":"Mars/Olympus"}}"#,
                "Mars/Olympus",
            ),
            (
                r#"{"x":{"algorithm":"calendar","limit":1,"period":"day","time_zone":"UTC","utc_offset_minutes":0}}"#,
                "not both",
            ),
            ("[]", "not an object"),
        ] {
            let error = set.add_json(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
