//! Named rate limit policies from configuration.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use restis::{
    Clock, Redis,
    ratelimit::{FailurePolicy, Limit, Policy, RateLimiter},
    variables::{Unit, Variables},
    web::ratelimit_headers::HeaderStyle,
};

/// The name of the policy that is used when none is asked for.
pub const DEFAULT_POLICY: &str = "default";
/// The name of the policy that limits the routes of the cache, by caller and organisation.
pub(crate) const CACHE_POLICY: &str = "cache";
const MAX_POLICIES: usize = 1000;

/// Rate limit policies by name; always has [`DEFAULT_POLICY`], and `cache` for the routes of the cache.
#[derive(Debug, Clone)]
pub struct PolicySet {
    policies: BTreeMap<String, Policy>,
    headers: HeaderStyle,
}

impl Default for PolicySet {
    /// 100 requests in a sliding minute, and 60,000 keys of the cache in a minute.
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        let default = Policy::new(Limit::sliding_window(100, minute));
        let mut cache = Policy::new(Limit::fixed_window(60_000, minute));
        // One command in a hundred keys.
        cache.take_ahead = 100;
        cache.on_failure = FailurePolicy::Open;
        cache.timeout = Some(Duration::from_millis(250));
        Self {
            policies: BTreeMap::from([
                (DEFAULT_POLICY.to_owned(), default),
                (CACHE_POLICY.to_owned(), cache),
            ]),
            headers: HeaderStyle::default(),
        }
    }
}

impl PolicySet {
    /// Replaces or adds a policy of these limits.
    #[must_use]
    pub fn with(mut self, name: &str, limits: Vec<Limit>) -> Self {
        self.policies.insert(name.to_owned(), Policy::new(limits));
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
        let policies: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(json).map_err(|e| format!("not an object of policies: {e}"))?;
        if policies.len() > MAX_POLICIES {
            return Err(format!("at most {MAX_POLICIES} policies"));
        }
        for (name, policy) in policies {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                return Err(format!(
                    "policy `{name}`: a name has 1 to 64 letters, digits, `-` and `_`"
                ));
            }
            let policy =
                serde_json::from_value(policy).map_err(|e| format!("policy `{name}`: {e}"))?;
            self.policies.insert(name, policy);
        }
        Ok(())
    }

    /// Reads `RATE_LIMIT_WINDOW`, `RATE_LIMIT_MAX_REQUESTS`, `RATE_LIMIT_POLICIES`,
    /// `RATE_LIMIT_POLICIES_FILE` and `RATE_LIMIT_HEADERS`; adds what is wrong to `problems`.
    pub(crate) fn from_vars(vars: &mut Variables<'_>) -> Self {
        let mut set = Self::default();
        let range = Duration::from_millis(1)..=Duration::from_millis((1 << 53) - 1);
        let window = vars.duration("RATE_LIMIT_WINDOW", Unit::Seconds, range);
        let most = vars.number("RATE_LIMIT_MAX_REQUESTS", 1..=(1 << 53) - 1);
        let window = window.unwrap_or(Duration::from_secs(60));
        if let Ok(limit) = Limit::sliding_window(most.unwrap_or(100), window) {
            set = set.with(DEFAULT_POLICY, vec![limit]);
        }
        vars.parsed("RATE_LIMIT_POLICIES_FILE", |path| {
            let json = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
            set.add_json(&json)
        });
        vars.parsed("RATE_LIMIT_POLICIES", |json| set.add_json(json));
        let styles = [
            ("both", (true, true)),
            ("standard", (true, false)),
            ("legacy", (false, true)),
            ("none", (false, false)),
        ];
        let style = vars.one_of("RATE_LIMIT_HEADERS", &styles);
        let (standard, legacy) = style.unwrap_or((true, true));
        set.with_headers(HeaderStyle { standard, legacy })
    }

    /// The limiters over a client; keys are `ratelimit:POLICY:IDENTIFIER…` unless a policy has its own prefix.
    pub(crate) fn limiters(
        &self,
        redis: &Redis,
        clock: &Arc<dyn Clock>,
    ) -> BTreeMap<String, RateLimiter> {
        let build = |(name, policy): (&String, &Policy)| {
            let mut policy = policy.clone();
            let prefix = || format!("ratelimit:{name}");
            policy.prefix.get_or_insert_with(prefix);
            let limiter = RateLimiter::with_policy(redis.clone(), policy)
                .clock(Arc::clone(clock))
                .build();
            (name.clone(), limiter)
        };
        self.policies.iter().map(build).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[cfg(feature = "time-zones")]
    #[test]
    fn the_documented_policies_are_read() {
        let text = include_str!("../../docs/reference/CONFIG.md");
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
        assert_eq!(set.policies.len(), 4);
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
