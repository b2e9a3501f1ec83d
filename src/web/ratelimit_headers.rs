//! Response headers that tell a client about its limits.
//!
//! `RateLimit-Policy` and `RateLimit` follow
//! [draft-ietf-httpapi-ratelimit-headers-10](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::ratelimit::{Decision, Limit};

/// Which headers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderStyle {
    /// `RateLimit-Policy` and `RateLimit`.
    pub standard: bool,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` (unix seconds).
    pub legacy: bool,
}

impl Default for HeaderStyle {
    fn default() -> Self {
        Self {
            standard: true,
            legacy: true,
        }
    }
}

/// The largest integer of a structured field.
const MOST: u64 = 999_999_999_999_999;

/// The names of a policy's limits: its own, numbered where there are several.
///
/// A name keeps its letters, digits, `-` and `_`.
fn names(policy: &str, limits: usize) -> impl Iterator<Item = String> {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let policy: String = policy.chars().filter(plain).collect();
    (1..=limits).map(move |number| match limits {
        1 => policy.clone(),
        _ => format!("{policy}-{number}"),
    })
}

/// The names of the limits that are the reason for a refusal, as [`write()`] calls them.
pub fn violated(policy: &str, decision: &Decision) -> Vec<String> {
    let states = decision.limits();
    let named = names(policy, states.len()).zip(states);
    named
        .filter_map(|(name, state)| state.exceeded.then_some(name))
        .collect()
}

/// Adds the headers of a decision; `policy` names the limits.
pub fn write(
    headers: &mut HeaderMap,
    policy: &str,
    limits: &[Limit],
    decision: &Decision,
    style: HeaderStyle,
) {
    let now = decision.decided_at_ms();
    let retry_at_ms = decision.retry_after().map_or(u64::MAX, |after| {
        now + u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
    });
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let states = decision.limits();
    if style.standard && !states.is_empty() {
        let (mut quotas, mut left) = (String::new(), String::new());
        let named = names(policy, states.len()).zip(limits.iter().zip(states));
        for (name, (limit, state)) in named {
            let comma = if quotas.is_empty() { "" } else { ", " };
            let (quota, remaining) = (state.limit.min(MOST), state.remaining.min(MOST));
            let window = limit.refill_ms().div_ceil(1000).min(MOST);
            let _ = write!(quotas, "{comma}\"{name}\";q={quota};w={window}");
            // There is more at the latest when a refused request fits.
            let more_ms = limit.more_at_ms(state).min(retry_at_ms);
            let seconds = more_ms.saturating_sub(now).div_ceil(1000);
            let _ = write!(left, "{comma}\"{name}\";r={remaining};t={seconds}");
        }
        put("ratelimit-policy", quotas);
        put("ratelimit", left);
    }
    if style.legacy && !states.is_empty() {
        put("x-ratelimit-limit", decision.limit().to_string());
        put("x-ratelimit-remaining", decision.remaining().to_string());
        put(
            "x-ratelimit-reset",
            decision.reset_ms().div_ceil(1000).to_string(),
        );
    }
    // Shadow mode lets a refused request go on: its answer is no reason to wait.
    if let Some(after) = decision.retry_after().filter(|_| !decision.is_allowed()) {
        let seconds = u64::try_from(after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use super::*;
    use crate::ratelimit::{LimitState, Reason};

    fn decision(allowed: bool, states: &[LimitState], retry_at_ms: Option<u64>) -> Decision {
        Decision {
            allowed,
            shadowed: false,
            reason: Reason::Limit,
            taken: u64::from(allowed),
            now_ms: 1_000_000,
            retry_at_ms,
            states: states.into(),
            listed: None,
        }
    }

    fn state(limit: u64, remaining: u64, reset_ms: u64, exceeded: bool) -> LimitState {
        LimitState {
            limit,
            remaining,
            reset_ms,
            exceeded,
        }
    }

    fn written(limits: &[Limit], decision: &Decision) -> HeaderMap {
        let mut headers = HeaderMap::new();
        write(
            &mut headers,
            "a \"b\"é",
            limits,
            decision,
            HeaderStyle::default(),
        );
        headers
    }

    #[test]
    fn several_limits_are_lists_of_named_items() {
        let limits = [
            Limit::fixed_window(10, Duration::from_millis(1500)).unwrap(),
            Limit::fixed_window(1 << 52, Duration::from_secs(60)).unwrap(),
        ];
        let states = [
            state(10, 0, 1_000_400, true),
            state(1 << 52, 1 << 51, 1_060_000, false),
        ];
        let refused = decision(false, &states, Some(1_000_400));
        let headers = written(&limits, &refused);
        assert_eq!(
            headers["ratelimit-policy"],
            "\"ab-1\";q=10;w=2, \"ab-2\";q=999999999999999;w=60"
        );
        assert_eq!(
            headers["ratelimit"],
            "\"ab-1\";r=0;t=1, \"ab-2\";r=999999999999999;t=1"
        );
        assert_eq!(headers["x-ratelimit-reset"], "1001");
        assert_eq!(headers["retry-after"], "1");
        assert_eq!(violated("ab", &refused), ["ab-1"]);
    }

    #[test]
    fn a_client_is_never_told_to_come_before_there_is_more() {
        // A sliding window has room again before it ends; GCRA long before it is full.
        let sliding = Limit::sliding_window(10, Duration::from_secs(60)).unwrap();
        let refused = decision(false, &[state(10, 0, 1_050_000, true)], Some(1_007_000));
        let headers = written(&[sliding], &refused);
        assert_eq!(headers["ratelimit"], "\"ab\";r=0;t=7");
        assert_eq!(headers["retry-after"], "7");
        let gcra = Limit::gcra(60, Duration::from_secs(60), 10).unwrap();
        let allowed = decision(true, &[state(10, 7, 1_002_500, false)], None);
        assert_eq!(written(&[gcra], &allowed)["ratelimit"], "\"ab\";r=7;t=1");
        let full = decision(true, &[state(10, 10, 1_000_000, false)], None);
        assert_eq!(written(&[gcra], &full)["ratelimit"], "\"ab\";r=10;t=0");
    }

    #[test]
    fn who_may_go_on_in_shadow_mode_is_not_told_to_wait() {
        let limit = Limit::fixed_window(10, Duration::from_secs(60)).unwrap();
        let mut refused = decision(false, &[state(10, 0, 1_050_000, true)], Some(1_050_000));
        refused.shadowed = true;
        assert!(!written(&[limit], &refused).contains_key("retry-after"));
    }

    #[test]
    fn a_quota_comes_back_in_its_window() {
        let second = Duration::from_secs(1);
        for (limit, policy) in [
            (Limit::gcra(10, second, 25), "\"ab\";q=25;w=3"),
            (Limit::token_bucket(10, second, 25), "\"ab\";q=25;w=3"),
            (Limit::fixed_window(25, second), "\"ab\";q=25;w=1"),
        ] {
            let allowed = decision(true, &[state(25, 24, 1_000_100, false)], None);
            let headers = written(&[limit.unwrap()], &allowed);
            assert_eq!(headers["ratelimit-policy"], policy);
        }
    }

    #[test]
    fn each_family_of_headers_can_be_left_out() {
        let limit = Limit::fixed_window(10, Duration::from_secs(60)).unwrap();
        let allowed = decision(true, &[state(10, 9, 1_050_000, false)], None);
        for (standard, legacy) in [(true, false), (false, true), (false, false)] {
            let mut headers = HeaderMap::new();
            let style = HeaderStyle { standard, legacy };
            write(&mut headers, "a", &[limit], &allowed, style);
            assert_eq!(headers.contains_key("ratelimit"), standard);
            assert_eq!(headers.contains_key("ratelimit-policy"), standard);
            assert_eq!(headers.contains_key("x-ratelimit-limit"), legacy);
        }
    }
}
