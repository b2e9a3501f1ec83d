//! Decisions that are known beforehand hold for every implementation of an algorithm: the Rust
//! functions that count in the process, and the scripts on the engine and on a real Redis.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use restis::{
    Redis,
    ratelimit::{FailurePolicy, Policy, RateLimitRequest, RateLimiter, RateLimiterBuilder, Reason},
    testing::ManualClock,
};
use serde::Deserialize;

/// 2027-01-15 08:00:00 UTC, a multiple of 4,000 seconds. Times of the vectors count from it.
const START: u64 = 1_800_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    /// Where the expectation comes from.
    source: String,
    policy: serde_json::Value,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// When the request comes.
    at: u64,
    cost: u64,
    allowed: bool,
    /// What is left; not said where several limits decide.
    remaining: Option<u64>,
    reset: Option<u64>,
    /// When a refused cost fits; absent when it never does.
    fits: Option<u64>,
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("ratelimit_vectors.json")).unwrap();
    assert!(vectors.iter().all(|v| !v.source.is_empty()));
    assert!(vectors.len() >= 6);
    vectors
}

async fn play(redis: &Redis, way: &str, build: impl Fn(RateLimiterBuilder) -> RateLimiterBuilder) {
    for (index, vector) in vectors().into_iter().enumerate() {
        let Vector {
            name,
            policy,
            steps,
            ..
        } = vector;
        let policy: Policy = serde_json::from_value(policy).unwrap();
        let clock = ManualClock::new(START);
        let limiter = RateLimiter::with_policy(redis.clone(), policy)
            .prefix(format!("{way}:{index}"))
            .clock(clock.clone())
            .block_cache(0);
        let limiter = build(limiter).build();
        let mut now = 0;
        for (n, step) in steps.iter().enumerate() {
            clock.advance(Duration::from_millis(step.at - now));
            now = step.at;
            let decision = limiter
                .decide(RateLimitRequest::new("a").cost(step.cost))
                .await;
            let decision = decision.unwrap();
            let at = format!("{way}: {name}, step {n}: {decision:?}");
            assert_eq!(decision.reason() == Reason::Local, way == "local", "{at}");
            assert_eq!(decision.is_allowed(), step.allowed, "{at}");
            assert_eq!(
                decision.taken(),
                u64::from(step.allowed) * step.cost,
                "{at}"
            );
            if let Some(remaining) = step.remaining {
                assert_eq!(decision.remaining(), remaining, "{at}");
            }
            if let Some(reset) = step.reset {
                assert_eq!(decision.reset_ms(), START + reset, "{at}");
            }
            let wait = step.fits.map(|fits| Duration::from_millis(fits - now));
            assert_eq!(decision.retry_after(), wait, "{at}");
        }
    }
}

#[tokio::test]
async fn the_functions_of_this_process_decide_as_known() {
    // Nothing listens on port 1.
    let redis = Redis::builder("http://127.0.0.1:1", "TOKEN").max_retries(0);
    let redis = redis.build().unwrap();
    play(&redis, "local", |b| b.on_failure(FailurePolicy::Local)).await;
}

#[tokio::test]
async fn the_scripts_decide_as_known_on_the_engine() {
    let redis = support::engine();
    play(&redis, "short", |b| b).await;
    // Limits that may be set in the store need the script for every case.
    play(&redis, "full", RateLimiterBuilder::dynamic_limits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_decide_as_known_on_a_real_redis() {
    if let Some(served) = support::servers::Rest::redis() {
        let redis = served.client();
        play(&redis, "short", |b| b).await;
        play(&redis, "full", RateLimiterBuilder::dynamic_limits).await;
        served.stop();
    }
}
