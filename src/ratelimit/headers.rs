//! Response headers that tell a client about its limits.
//!
//! `RateLimit-Policy` and `RateLimit` follow
//! [draft-ietf-httpapi-ratelimit-headers-10](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Decision, Limit};

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

/// Adds the headers of a decision; `policy` names the limits, in letters, digits, `-` and `_`.
pub fn write(
    headers: &mut HeaderMap,
    policy: &str,
    limits: &[Limit],
    decision: &Decision,
    style: HeaderStyle,
) {
    let policy: String = policy
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();
    let seconds = |at_ms: u64| {
        at_ms
            .saturating_sub(decision.decided_at_ms())
            .div_ceil(1000)
    };
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let states = decision.limits();
    if style.standard && !states.is_empty() {
        let (mut quotas, mut left) = (String::new(), String::new());
        for (i, (limit, state)) in limits.iter().zip(states).enumerate() {
            let name = if states.len() == 1 {
                policy.clone()
            } else {
                format!("{policy}-{}", i + 1)
            };
            let comma = if i == 0 { "" } else { ", " };
            let window = limit.window().as_millis().div_ceil(1000);
            let _ = write!(quotas, "{comma}\"{name}\";q={};w={window}", state.limit);
            let _ = write!(
                left,
                "{comma}\"{name}\";r={};t={}",
                state.remaining,
                seconds(state.reset_ms)
            );
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
    if let Some(after) = decision.retry_after() {
        let seconds = u64::try_from(after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
}
