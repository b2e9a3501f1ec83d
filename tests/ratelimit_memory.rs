//! What a process remembers between decisions: blocks, permits taken ahead, counts without a store.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use restis::{
    Redis,
    ratelimit::{
        Calendar, ClockSource, FailurePolicy, Limit, RateLimitRequest, RateLimiter,
        RateLimiterBuilder, Reason,
    },
    testing::ManualClock,
};

/// A moment at the start of a second, minute and hour.
const START: u64 = 1_800_000_000_000;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn builder(redis: &Redis, limit: Limit) -> (RateLimiterBuilder, ManualClock) {
    let clock = ManualClock::new(START);
    let builder = RateLimiter::builder(redis.clone(), limit).clock(clock.clone());
    (builder, clock)
}

#[tokio::test]
async fn a_larger_cost_is_told_its_own_time_while_a_smaller_one_is_blocked() {
    let (redis, counts) = support::counting();
    let (builder, _) = builder(&redis, Limit::token_bucket(1, secs(10), 5).unwrap());
    let limiter = builder.build();
    let wait = async |cost| {
        let decision = limiter
            .decide(RateLimitRequest::new("a").cost(cost))
            .await
            .unwrap();
        (decision.reason(), decision.retry_after())
    };
    assert_eq!(wait(5).await, (Reason::Limit, None));
    assert_eq!(wait(1).await, (Reason::Limit, Some(secs(10))));
    assert_eq!(wait(3).await, (Reason::Limit, Some(secs(30))));
    counts.reset();
    assert_eq!(wait(1).await, (Reason::CacheBlock, Some(secs(10))));
    assert_eq!(wait(6).await, (Reason::CacheBlock, None), "it never fits");
    assert_eq!(counts.requests(), 0);
}

#[tokio::test]
async fn a_list_entry_lifts_a_block_at_once_here_and_soon_elsewhere() {
    let redis = support::engine();
    let limit = Limit::fixed_window(1, secs(3600)).unwrap();
    let (here, clock) = builder(&redis, limit);
    let here = here.protection().build();
    let elsewhere = RateLimiter::builder(redis, limit).protection();
    let elsewhere = elsewhere.clock(clock.clone()).build();
    for limiter in [&here, &here, &elsewhere] {
        let _ = limiter.limit("a").await.unwrap();
    }
    for limiter in [&here, &elsewhere] {
        let blocked = limiter.limit("a").await.unwrap();
        assert_eq!(blocked.reason(), Reason::CacheBlock);
        assert_eq!(blocked.retry_after(), Some(secs(3600)));
    }
    here.allow(&["a"]).await.unwrap();
    let reason = async |limiter: &RateLimiter| limiter.limit("a").await.unwrap().reason();
    assert_eq!(reason(&here).await, Reason::AllowList);
    clock.advance(secs(1));
    assert_eq!(reason(&elsewhere).await, Reason::AllowList);
    here.unlist(&["a"]).await.unwrap();
    assert_eq!(reason(&here).await, Reason::Limit);
}

#[tokio::test]
async fn a_refusal_on_its_way_does_not_outlive_a_reset_or_refund() {
    let (builder, _) = builder(
        &support::engine(),
        Limit::fixed_window(1, secs(3600)).unwrap(),
    );
    let limiter = builder.build();
    let _ = limiter.limit("a").await.unwrap();
    let (refused, reset) = tokio::join!(limiter.limit("a"), limiter.reset("a"));
    reset.unwrap();
    assert!(!refused.unwrap().is_allowed());
    assert!(limiter.limit("a").await.unwrap().is_allowed());
    let (refused, refunded) = tokio::join!(limiter.limit("a"), limiter.refund("a", 1));
    assert!(!refused.unwrap().is_allowed() && refunded.unwrap().is_allowed());
    assert!(limiter.limit("a").await.unwrap().is_allowed());
}

#[tokio::test]
async fn a_refund_lifts_the_blocks_of_the_whole_group() {
    let limit = Limit::fixed_window(1, secs(3600)).unwrap().per_group();
    let (builder, _) = builder(&support::engine(), limit);
    let limiter = builder.build();
    let allowed = async |id| {
        let query = RateLimitRequest::new(id).group("acme");
        limiter.decide(query).await.unwrap().is_allowed()
    };
    assert!(allowed("a").await);
    assert!(!allowed("b").await);
    let _ = limiter
        .refund(RateLimitRequest::new("a").group("acme"), 1)
        .await;
    assert!(allowed("b").await);
}

#[tokio::test]
async fn peeking_sees_what_the_next_request_would_get() {
    let redis = support::engine();
    let limit = Limit::fixed_window(5, secs(3600)).unwrap();
    let (ahead, _) = builder(&redis, limit);
    let ahead = ahead.take_ahead(5).build();
    for left in [4, 3] {
        assert_eq!(ahead.limit("a").await.unwrap().remaining(), left);
        let peeked = ahead.peek("a").await.unwrap();
        assert_eq!((peeked.is_allowed(), peeked.remaining()), (true, left));
        assert!(!peeked.limits()[0].exceeded && peeked.retry_after().is_none());
    }
    let (listed, _) = builder(&redis, limit);
    let listed = listed.protection().build();
    listed.deny(&["mallory"]).await.unwrap();
    listed.allow(&["203.0.113.0/24"]).await.unwrap();
    let peek = async |query| listed.peek(query).await.unwrap().reason();
    assert_eq!(
        peek(RateLimitRequest::new("mallory")).await,
        Reason::DenyList
    );
    let friend = RateLimitRequest::new("a").ip("203.0.113.9".parse().unwrap());
    assert_eq!(peek(friend).await, Reason::AllowList);
    assert_eq!(peek(RateLimitRequest::new("a")).await, Reason::Limit);
}

#[tokio::test]
async fn peeking_without_a_store_judges_and_takes_nothing() {
    let away = Redis::builder("http://127.0.0.1:9", "TOKEN").max_retries(0);
    let away = away.build().unwrap();
    for limit in [
        Limit::fixed_window(2, secs(10)),
        Limit::sliding_window(2, secs(10)),
        Limit::token_bucket(1, secs(10), 2),
        Limit::gcra(2, secs(10), 2),
    ] {
        let (builder, _) = builder(&away, limit.clone().unwrap());
        let limiter = builder.on_failure(FailurePolicy::Local).build();
        for left in [2, 1, 0] {
            for _ in 0..2 {
                let peeked = limiter.peek("a").await.unwrap();
                assert_eq!((peeked.is_allowed(), peeked.remaining()), (left > 0, left));
            }
            let taken = limiter.limit("a").await.unwrap();
            assert_eq!(taken.is_allowed(), left > 0, "{limit:?}");
        }
    }
}

/// The client's clock is far from the server's.
#[tokio::test]
async fn with_the_servers_clock_this_machines_time_does_not_matter() {
    let redis = support::engine();
    for limit in [
        Limit::fixed_window(2, secs(3600)),
        Limit::sliding_window(2, secs(3600)),
        Limit::calendar(2, Calendar::DAY),
        Limit::calendar(2, Calendar::MONTH),
    ] {
        let (limiter, _) = builder(&redis, limit.unwrap());
        let limiter = limiter.clock_source(ClockSource::Server).build();
        for round in 0..2 {
            assert_eq!(limiter.limit("a").await.unwrap().remaining(), 1, "{round}");
            let peeked = limiter.peek("a").await.unwrap();
            assert!(peeked.reset_ms() > peeked.decided_at_ms());
            limiter.reset("a").await.unwrap();
        }
    }
    let (ahead, clock) = builder(&redis, Limit::fixed_window(9, secs(3600)).unwrap());
    let ahead = ahead
        .clock_source(ClockSource::Server)
        .take_ahead(3)
        .build();
    for reason in [
        Reason::Limit,
        Reason::Reserved,
        Reason::Reserved,
        Reason::Limit,
    ] {
        let decision = ahead.limit("b").await.unwrap();
        assert_eq!(decision.reason(), reason);
        let left = decision.reset_ms() - decision.decided_at_ms();
        assert!(left <= 3_600_000, "{left}");
    }
    // What is held ends with the server's window, by the time that passes here.
    clock.advance(secs(3600));
    assert_eq!(ahead.limit("b").await.unwrap().reason(), Reason::Limit);
}
