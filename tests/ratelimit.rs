//! Rate limiting against the embedded store and, where there is one, a real Redis.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use proptest::prelude::*;
use restis::{
    ErrorKind, Redis,
    prelude::*,
    ratelimit::{
        Calendar, DenyFeed, FailurePolicy, LeaseLimiter, Limit, RateLimitRequest, RateLimiter,
        RateLimiterBuilder, Reason,
    },
    testing::ManualClock,
};

/// A moment at the start of a second, minute and hour.
const START: u64 = 1_800_000_000_000;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn builder(limit: Limit) -> (RateLimiterBuilder, ManualClock, Redis) {
    let clock = ManualClock::new(START);
    let redis = support::engine();
    (
        RateLimiter::builder(redis.clone(), limit)
            .clock(clock.clone())
            .block_cache(0),
        clock,
        redis,
    )
}

fn limiter(limit: Limit) -> (RateLimiter, ManualClock) {
    let (builder, clock, _) = builder(limit);
    (builder.build(), clock)
}

#[tokio::test]
async fn a_fixed_window_allows_its_limit_and_then_waits_for_the_next() {
    let (limiter, clock) = limiter(Limit::fixed_window(3, secs(10)).unwrap());
    clock.advance(secs(4));
    for left in [2, 1, 0] {
        let decision = limiter.limit("a").await.unwrap();
        assert!(decision.is_allowed());
        assert_eq!(
            (decision.limit(), decision.remaining(), decision.reset_ms()),
            (3, left, START + 10_000)
        );
    }
    let refused = limiter.limit("a").await.unwrap();
    assert!(!refused.is_allowed());
    assert_eq!(refused.retry_after(), Some(secs(6)));
    assert!(limiter.limit("b").await.unwrap().is_allowed());
    clock.advance(secs(6));
    assert!(limiter.limit("a").await.unwrap().is_allowed());
}

#[tokio::test]
async fn a_refused_request_consumes_nothing_and_weights_never_overshoot() {
    for limit in [
        Limit::fixed_window(10, secs(10)).unwrap(),
        Limit::sliding_window(10, secs(10)).unwrap(),
        Limit::token_bucket(1, secs(10), 10).unwrap(),
        Limit::gcra(10, secs(10), 10).unwrap(),
        Limit::calendar(10, Calendar::DAY).unwrap(),
    ] {
        let (limiter, _) = limiter(limit);
        assert!(
            limiter
                .decide(RateLimitRequest::new("a").cost(9))
                .await
                .unwrap()
                .is_allowed()
        );
        let refused = limiter
            .decide(RateLimitRequest::new("a").cost(5))
            .await
            .unwrap();
        assert!(!refused.is_allowed(), "{limit:?}");
        assert_eq!(refused.remaining(), 1, "{limit:?}");
        assert!(limiter.limit("a").await.unwrap().is_allowed(), "{limit:?}");
        assert!(!limiter.limit("a").await.unwrap().is_allowed(), "{limit:?}");
        let never = limiter
            .decide(RateLimitRequest::new("b").cost(11))
            .await
            .unwrap();
        assert!(
            !never.is_allowed() && never.retry_after().is_none(),
            "{limit:?}"
        );
    }
}

#[tokio::test]
async fn waiting_exactly_as_told_is_enough_and_less_is_not() {
    for limit in [
        Limit::fixed_window(5, secs(10)).unwrap(),
        Limit::sliding_window(5, secs(10)).unwrap(),
        Limit::token_bucket(2, secs(3), 5).unwrap(),
        Limit::gcra(5, secs(10), 5).unwrap(),
        Limit::gcra(7, secs(10), 5).unwrap(),
    ] {
        for cost in [1, 3, 5] {
            let (limiter, clock) = limiter(limit);
            clock.advance(Duration::from_millis(1234));
            let mut used = 0;
            while limiter.limit("a").await.unwrap().is_allowed() {
                used += 1;
                clock.advance(Duration::from_millis(11));
                assert!(used < 50);
            }
            let refused = limiter
                .decide(RateLimitRequest::new("a").cost(cost))
                .await
                .unwrap();
            let wait = refused.retry_after().unwrap();
            clock.advance(wait.checked_sub(Duration::from_millis(2)).unwrap());
            assert!(
                !limiter
                    .decide(RateLimitRequest::new("a").cost(cost))
                    .await
                    .unwrap()
                    .is_allowed(),
                "{limit:?} {cost} early"
            );
            clock.advance(Duration::from_millis(2));
            assert!(
                limiter
                    .decide(RateLimitRequest::new("a").cost(cost))
                    .await
                    .unwrap()
                    .is_allowed(),
                "{limit:?} {cost} {wait:?}"
            );
        }
    }
}

#[tokio::test]
async fn several_limits_take_all_or_nothing() {
    let (builder, clock, _) = builder(Limit::fixed_window(2, secs(1)).unwrap());
    let limiter = builder
        .and(Limit::fixed_window(3, secs(60)).unwrap())
        .build();
    assert!(limiter.limit("a").await.unwrap().is_allowed());
    assert!(limiter.limit("a").await.unwrap().is_allowed());
    let refused = limiter.limit("a").await.unwrap();
    assert_eq!(
        refused
            .limits()
            .iter()
            .map(|s| s.remaining)
            .collect::<Vec<_>>(),
        [0, 1]
    );
    clock.advance(secs(1));
    let last = limiter.limit("a").await.unwrap();
    assert!(last.is_allowed());
    assert_eq!(
        last.limits()
            .iter()
            .map(|s| s.remaining)
            .collect::<Vec<_>>(),
        [1, 0]
    );
    let refused = limiter.limit("a").await.unwrap();
    assert_eq!(refused.retry_after(), Some(secs(59)));
    assert_eq!(
        refused
            .limits()
            .iter()
            .map(|s| s.remaining)
            .collect::<Vec<_>>(),
        [1, 0]
    );
}

#[tokio::test]
async fn peeking_takes_nothing_and_refunds_give_back_no_more_than_was_taken() {
    for limit in [
        Limit::fixed_window(5, secs(10)).unwrap(),
        Limit::sliding_window(5, secs(10)).unwrap(),
        Limit::token_bucket(1, secs(10), 5).unwrap(),
        Limit::gcra(5, secs(10), 5).unwrap(),
    ] {
        let (limiter, _) = limiter(limit);
        for _ in 0..3 {
            assert_eq!(limiter.peek("a").await.unwrap().remaining(), 5, "{limit:?}");
        }
        let _ = limiter
            .decide(RateLimitRequest::new("a").cost(4))
            .await
            .unwrap();
        assert_eq!(
            limiter.refund("a", 1).await.unwrap().remaining(),
            2,
            "{limit:?}"
        );
        assert_eq!(
            limiter.refund("a", 100).await.unwrap().remaining(),
            5,
            "{limit:?}"
        );
        assert_eq!(limiter.peek("a").await.unwrap().remaining(), 5, "{limit:?}");
    }
}

#[tokio::test]
async fn resetting_one_identifier_leaves_its_neighbours() {
    let (limiter, _) = limiter(Limit::sliding_window(1, secs(10)).unwrap());
    for id in ["*", "a", "a:b"] {
        assert!(limiter.limit(id).await.unwrap().is_allowed());
    }
    limiter.reset("*").await.unwrap();
    limiter.reset("a").await.unwrap();
    assert!(limiter.limit("*").await.unwrap().is_allowed());
    assert!(limiter.limit("a").await.unwrap().is_allowed());
    assert!(!limiter.limit("a:b").await.unwrap().is_allowed());
}

#[tokio::test]
async fn keys_and_values_are_those_of_the_javascript_client() {
    let clock = ManualClock::new(START);
    let redis = support::engine();
    let b = START / 10_000;
    let with = |limit| {
        RateLimiter::builder(redis.clone(), limit)
            .clock(clock.clone())
            .build()
    };
    let _ = with(Limit::fixed_window(10, secs(10)).unwrap())
        .decide(RateLimitRequest::new("f").cost(3))
        .await
        .unwrap();
    assert_eq!(
        redis
            .get::<String>(format!("@upstash/ratelimit:f:{b}"))
            .await
            .unwrap()
            .as_deref(),
        Some("3")
    );
    let _ = with(Limit::sliding_window(10, secs(10)).unwrap())
        .limit("s")
        .await
        .unwrap();
    assert_eq!(
        redis
            .get::<i64>(format!("@upstash/ratelimit:s:{b}"))
            .await
            .unwrap(),
        Some(1)
    );
    let ttl = redis
        .pttl(format!("@upstash/ratelimit:s:{b}"))
        .await
        .unwrap();
    assert!((20_000..=21_000).contains(&ttl), "{ttl}");
    let _ = with(Limit::token_bucket(1, secs(10), 10).unwrap())
        .limit("t")
        .await
        .unwrap();
    let bucket: Vec<String> = redis
        .hmget("@upstash/ratelimit:t", ["refilledAt", "tokens"])
        .await
        .unwrap()
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(bucket, [START.to_string(), "9".to_owned()]);
}

#[tokio::test]
async fn values_that_old_clients_left_are_understood() {
    let clock = ManualClock::new(START);
    let redis = support::engine();
    let with = |limit| {
        RateLimiter::builder(redis.clone(), limit)
            .clock(clock.clone())
            .block_cache(0)
            .build()
    };
    let key = |id: &str| format!("@upstash/ratelimit:{id}:{}", START / 10_000);
    let fixed = with(Limit::fixed_window(10, secs(10)).unwrap());
    redis.set(key("over"), 25).await.unwrap();
    assert_eq!(fixed.limit("over").await.unwrap().remaining(), 0);
    let left: Option<i64> = redis.get(key("over")).await.unwrap();
    assert_eq!(left, Some(25), "a refusal takes nothing");
    redis.set(key("fraction"), "12.5").await.unwrap();
    let refused = fixed.limit("fraction").await.unwrap();
    assert!(!refused.is_allowed(), "{refused:?}");
    let query = RateLimitRequest::new("new").cost(11);
    assert!(!fixed.decide(query).await.unwrap().is_allowed());
    assert_eq!(redis.exists([key("new")]).await.unwrap(), 0);
    redis.set(key("under"), -2).await.unwrap();
    assert_eq!(fixed.limit("under").await.unwrap().remaining(), 11);
    assert!(
        redis.pttl(key("under")).await.unwrap() > 0,
        "a key without expiry is healed"
    );
    let bucket = with(Limit::token_bucket(5, secs(10), 10).unwrap());
    redis
        .hset(
            "@upstash/ratelimit:neg",
            [("refilledAt", START.to_string()), ("tokens", "-3".into())],
        )
        .await
        .unwrap();
    let refused = bucket.limit("neg").await.unwrap();
    assert!(!refused.is_allowed());
    clock.advance(refused.retry_after().unwrap());
    assert!(bucket.limit("neg").await.unwrap().is_allowed());
    redis
        .hset(
            "@upstash/ratelimit:frac",
            [("refilledAt", clock_ms(&clock)), ("tokens", "1.5".into())],
        )
        .await
        .unwrap();
    assert!(bucket.limit("frac").await.unwrap().is_allowed());
    assert!(!bucket.limit("frac").await.unwrap().is_allowed());
}

fn clock_ms(clock: &ManualClock) -> String {
    restis::Clock::now_ms(clock).to_string()
}

#[tokio::test]
async fn a_blocked_client_costs_no_request_until_its_deadline() {
    let (redis, counts) = support::counting();
    let clock = ManualClock::new(START);
    let limiter = RateLimiter::builder(redis, Limit::fixed_window(1, secs(10)).unwrap())
        .clock(clock.clone())
        .build();
    assert!(limiter.limit("a").await.unwrap().is_allowed());
    let refused = limiter.limit("a").await.unwrap();
    assert!(!refused.is_allowed());
    counts.reset();
    for _ in 0..100 {
        let decision = limiter.limit("a").await.unwrap();
        assert_eq!(decision.reason(), Reason::CacheBlock);
        assert_eq!(decision.retry_after(), Some(secs(10)));
        assert_eq!(decision.limits(), refused.limits());
    }
    assert_eq!(counts.requests(), 0);
    clock.advance(secs(10));
    assert!(limiter.limit("a").await.unwrap().is_allowed());
    assert_eq!(counts.requests(), 1);
}

#[tokio::test]
async fn one_decision_is_one_request_and_many_are_one_too() {
    let (redis, counts) = support::counting();
    let limiter = RateLimiter::builder(redis, Limit::sliding_window(5, secs(10)).unwrap())
        .and(Limit::fixed_window(100, secs(60)).unwrap())
        .dynamic_limits()
        .protection()
        .build();
    let _ = limiter.limit("warm").await.unwrap();
    counts.reset();
    let _ = limiter.limit("a").await.unwrap();
    assert_eq!((counts.requests(), counts.commands()), (1, 1));
    counts.reset();
    let ids: Vec<String> = (0..20).map(|i| format!("id{i}")).collect();
    let queries: Vec<RateLimitRequest<'_>> =
        ids.iter().map(|id| RateLimitRequest::new(id)).collect();
    let decisions = limiter.limit_many(&queries).await;
    assert!(decisions.iter().all(|d| d.as_ref().unwrap().is_allowed()));
    assert_eq!((counts.requests(), counts.commands()), (1, 1));
}

#[tokio::test]
async fn concurrent_decisions_are_one_command_and_one_by_one_in_it() {
    for limit in [
        Limit::fixed_window(3, secs(10)),
        Limit::sliding_window(3, secs(10)),
        Limit::token_bucket(1, secs(10), 3),
        Limit::gcra(3, secs(10), 3),
        Limit::calendar(3, Calendar::DAY),
    ] {
        let (redis, counts) = support::counting();
        let limiter = RateLimiter::builder(redis.clone(), limit.clone().unwrap())
            .clock(ManualClock::new(START))
            .build();
        let _ = limiter.limit("warm").await.unwrap();
        counts.reset();
        // The same identifier five times among others: three fit, in the order of asking.
        let ids = ["a", "x", "a", "a", "y", "a", "a"];
        let decisions = futures_util::future::join_all(ids.map(|id| limiter.limit(id))).await;
        let allowed: Vec<bool> = decisions
            .iter()
            .map(|d| d.as_ref().unwrap().is_allowed())
            .collect();
        assert_eq!(
            allowed,
            [true, true, true, true, true, false, false],
            "{limit:?}"
        );
        assert_eq!((counts.requests(), counts.commands()), (1, 1), "{limit:?}");
        // Other commands stay where they are.
        counts.reset();
        let (first, set, second) =
            tokio::join!(limiter.limit("u"), redis.set("k", 1), limiter.limit("u"));
        set.unwrap();
        assert_eq!(
            (first.unwrap().remaining(), second.unwrap().remaining()),
            (2, 1)
        );
        assert_eq!((counts.requests(), counts.commands()), (1, 3), "{limit:?}");
    }
}

#[tokio::test]
async fn an_identifier_whose_key_is_taken_fails_alone() {
    let (redis, counts) = support::counting();
    let window = Limit::fixed_window(3, secs(10)).unwrap();
    for (prefix, dynamic) in [("window", false), ("general", true)] {
        let mut builder = RateLimiter::builder(redis.clone(), window).prefix(prefix);
        if dynamic {
            builder = builder.dynamic_limits();
        }
        let limiter = builder.clock(ManualClock::new(START)).build();
        redis
            .rpush(format!("{prefix}:bad:{}", START / 10_000), ["x"])
            .await
            .unwrap();
        let _ = limiter.limit("warm").await.unwrap();
        counts.reset();
        let ids = ["a", "bad", "b"];
        let [a, bad, b] = ids.map(|id| limiter.limit(id));
        let (a, bad, b) = tokio::join!(a, bad, b);
        assert_eq!((a.unwrap().remaining(), b.unwrap().remaining()), (2, 2));
        assert_eq!(bad.unwrap_err().kind(), ErrorKind::WrongType);
        assert_eq!((counts.requests(), counts.commands()), (1, 1));
    }
}

#[tokio::test]
async fn as_much_as_there_is_can_be_taken() {
    for limit in [
        Limit::fixed_window(10, secs(10)).unwrap(),
        Limit::sliding_window(10, secs(10)).unwrap(),
        Limit::token_bucket(1, secs(10), 10).unwrap(),
        Limit::gcra(10, secs(10), 10).unwrap(),
        Limit::calendar(10, Calendar::DAY).unwrap(),
    ] {
        let (limiter, _) = limiter(limit);
        let taken = async |most| {
            let decision = limiter
                .decide(RateLimitRequest::new("a").up_to(most))
                .await
                .unwrap();
            (
                decision.taken(),
                decision.remaining(),
                decision.is_allowed(),
            )
        };
        assert_eq!(taken(7).await, (7, 3, true), "{limit:?}");
        assert_eq!(taken(7).await, (3, 0, true), "{limit:?}");
        assert_eq!(taken(7).await, (0, 0, false), "{limit:?}");
    }
    let (builder, _, _) = builder(Limit::fixed_window(10, secs(10)).unwrap());
    let limiter = builder
        .and(Limit::fixed_window(4, secs(60)).unwrap())
        .build();
    let decision = limiter
        .decide(RateLimitRequest::new("a").up_to(7))
        .await
        .unwrap();
    assert_eq!(decision.taken(), 4, "the tightest limit decides");
    let left: Vec<u64> = decision.limits().iter().map(|s| s.remaining).collect();
    assert_eq!(left, [6, 0]);
}

#[tokio::test]
async fn gcra_tells_when_all_is_back_after_the_decision() {
    let (limiter, _) = limiter(Limit::gcra(10, secs(1), 20).unwrap());
    let reset = async |cost| {
        let decision = limiter
            .decide(RateLimitRequest::new("a").cost(cost))
            .await
            .unwrap();
        decision.reset_ms() - START
    };
    assert_eq!(reset(1).await, 100);
    assert_eq!(reset(19).await, 2000);
    assert_eq!(reset(1).await, 2000, "refused");
    assert_eq!(
        limiter.refund("a", 5).await.unwrap().reset_ms() - START,
        1500
    );
}

#[tokio::test]
async fn a_group_shares_its_limits_in_the_same_decision() {
    let (redis, counts) = support::counting();
    let build = |redis: &Redis, policy| {
        RateLimiter::builder(redis.clone(), Limit::fixed_window(2, secs(10)).unwrap())
            .and(Limit::gcra(3, secs(60), 3).unwrap().per_group())
            .clock(ManualClock::new(START))
            .on_failure(policy)
            .build()
    };
    let away = Redis::builder("http://127.0.0.1:9", "TOKEN").max_retries(0);
    let away = build(&away.build().unwrap(), FailurePolicy::Local);
    let store = build(&redis, FailurePolicy::Error);
    let _ = store
        .peek(RateLimitRequest::new("x").group("warm"))
        .await
        .unwrap();
    counts.reset();
    // The store and a process without it decide alike.
    for (user, group, allowed, left) in [
        ("a", "acme", true, [1, 2]),
        ("b", "acme", true, [1, 1]),
        ("a", "acme", true, [0, 0]),
        ("a", "acme", false, [0, 0]),
        ("c", "acme", false, [2, 0]),
        ("c", "other", true, [1, 2]),
    ] {
        let query = RateLimitRequest::new(user).group(group);
        for limiter in [&store, &away] {
            let decision = limiter.decide(query).await.unwrap();
            let remaining: Vec<u64> = decision.limits().iter().map(|s| s.remaining).collect();
            assert_eq!(
                (decision.is_allowed(), &remaining[..]),
                (allowed, &left[..]),
                "{user} of {group}"
            );
        }
    }
    assert_eq!((counts.requests(), counts.commands()), (6, 6));
    store.reset("a").await.unwrap();
    let refunded = store
        .refund(RateLimitRequest::new("b").group("acme"), 1)
        .await
        .unwrap();
    assert_eq!(refunded.limits()[1].remaining, 1, "the group's too");
    assert!(
        store
            .decide(RateLimitRequest::new("a").group("acme"))
            .await
            .unwrap()
            .is_allowed()
    );
    let nobody = store.limit("a").await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn hash_tags_keep_the_keys_of_an_identifier_together() {
    let (builder, _, redis) = builder(Limit::sliding_window(3, secs(10)).unwrap());
    let limiter = builder.hash_tags().build();
    assert!(limiter.limit("a").await.unwrap().is_allowed());
    assert!(limiter.limit("a}{b").await.unwrap().is_allowed());
    let mut keys: Vec<String> = redis.keys("*").await.unwrap();
    keys.sort();
    let b = START / 10_000;
    assert_eq!(keys[1], format!("@upstash/ratelimit:{{a}}:{b}"));
    assert!(keys[0].starts_with("@upstash/ratelimit:{#") && keys[0].ends_with(&format!("}}:{b}")));
    limiter.reset("a").await.unwrap();
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 3);
}

/// The clock of Tokio, which a paused runtime moves by itself.
#[derive(Debug)]
struct TokioClock(tokio::time::Instant);

impl restis::Clock for TokioClock {
    fn now_ms(&self) -> u64 {
        START + u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_a_permit_or_with_the_patience() {
    let start = tokio::time::Instant::now();
    let limiter =
        RateLimiter::builder(support::engine(), Limit::fixed_window(1, secs(10)).unwrap())
            .protection()
            .clock(TokioClock(start))
            .build();
    let wait = async |id, patience| {
        let before = tokio::time::Instant::now();
        let decision = limiter
            .wait(RateLimitRequest::new(id), secs(patience))
            .await
            .unwrap();
        (decision.is_allowed(), before.elapsed())
    };
    assert_eq!(wait("a", 60).await, (true, secs(0)));
    let (allowed, waited) = wait("a", 60).await;
    assert!(
        allowed && waited >= secs(10) && waited <= Duration::from_millis(10_260),
        "{waited:?}"
    );
    assert_eq!(wait("a", 2).await, (false, secs(0)), "it would be too late");
    limiter.deny(&["mallory"]).await.unwrap();
    assert_eq!(wait("mallory", 60).await, (false, secs(0)));
}

#[tokio::test]
async fn addresses_of_a_feed_are_denied_and_replaced() {
    let (builder, _, redis) = builder(Limit::fixed_window(9, secs(10)).unwrap());
    let limiter = builder.protection().build();
    limiter.deny(&["203.0.113.77", "mallory"]).await.unwrap();
    let reason = async |ip: &str| {
        let query = RateLimitRequest::new("a").ip(ip.parse().unwrap());
        limiter.decide(query).await.unwrap().reason()
    };
    let first = ["198.51.100.0/24", "203.0.113.77"];
    limiter
        .replace_denied_addresses(&first, secs(3600))
        .await
        .unwrap();
    assert_eq!(reason("198.51.100.9").await, Reason::DenyList);
    assert_eq!(
        redis
            .get::<String>("@upstash/ratelimit:ipDenyListStatus")
            .await
            .unwrap()
            .as_deref(),
        Some("valid")
    );
    assert!(
        (3590..=3600).contains(
            &redis
                .ttl("@upstash/ratelimit:ipDenyListStatus")
                .await
                .unwrap()
        )
    );
    limiter
        .replace_denied_addresses(&["192.0.2.1"], secs(3600))
        .await
        .unwrap();
    assert_eq!(reason("198.51.100.9").await, Reason::Limit);
    assert_eq!(reason("192.0.2.1").await, Reason::DenyList);
    assert_eq!(
        reason("203.0.113.77").await,
        Reason::DenyList,
        "denied by hand"
    );
    let mut all: Vec<String> = redis
        .smembers("@upstash/ratelimit:denyList:all")
        .await
        .unwrap();
    all.sort();
    assert_eq!(all, ["192.0.2.1", "203.0.113.77", "mallory"]);
    let wrong = limiter
        .replace_denied_addresses(&["nobody"], secs(1))
        .await
        .unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn limits_change_at_run_time_for_all_and_for_one() {
    let (builder, _, redis) = builder(Limit::fixed_window(2, secs(10)).unwrap());
    let limiter = builder.dynamic_limits().block_cache(100).build();
    limiter.set_dynamic_limit(Some(1)).await.unwrap();
    assert_eq!(
        redis
            .get::<String>("@upstash/ratelimit:dynamic:global")
            .await
            .unwrap()
            .as_deref(),
        Some("1")
    );
    assert!(limiter.limit("a").await.unwrap().is_allowed());
    assert!(!limiter.limit("a").await.unwrap().is_allowed());
    limiter.set_dynamic_limit_of("a", Some(3)).await.unwrap();
    assert_eq!(limiter.limit("a").await.unwrap().remaining(), 1);
    limiter.set_dynamic_limit_of("a", None).await.unwrap();
    limiter.set_dynamic_limit(None).await.unwrap();
    assert_eq!(limiter.limit("b").await.unwrap().limit(), 2);
    assert_eq!(limiter.dynamic_limit().await.unwrap(), None);
}

#[tokio::test]
async fn lists_decide_before_the_limits_and_consume_nothing() {
    let (builder, _, _) = builder(Limit::fixed_window(1, secs(10)).unwrap());
    let limiter = builder.protection().build();
    limiter.deny(&["203.0.113.0/24", "mallory"]).await.unwrap();
    limiter.allow(&["203.0.113.9"]).await.unwrap();
    let from = |ip: &str| RateLimitRequest::new("a").ip(ip.parse().unwrap());
    let denied = limiter.decide(from("203.0.113.77")).await.unwrap();
    assert_eq!(
        (denied.is_allowed(), denied.reason(), denied.listed()),
        (false, Reason::DenyList, Some("203.0.113.0/24"))
    );
    let allowed = limiter.decide(from("203.0.113.9")).await.unwrap();
    assert_eq!(
        (allowed.is_allowed(), allowed.reason()),
        (true, Reason::AllowList)
    );
    assert_eq!(
        limiter.limit("mallory").await.unwrap().reason(),
        Reason::DenyList
    );
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 1);
    limiter.unlist(&["mallory"]).await.unwrap();
    assert!(limiter.limit("mallory").await.unwrap().is_allowed());
}

#[tokio::test]
async fn shadow_mode_reports_refusals_and_lets_them_go_on() {
    let (builder, _, _) = builder(Limit::fixed_window(1, secs(10)).unwrap());
    let limiter = builder.shadow().build();
    let _ = limiter.limit("a").await.unwrap();
    let decision = limiter.limit("a").await.unwrap();
    assert!(decision.is_allowed() && decision.is_shadowed());
}

#[tokio::test]
async fn the_failure_policy_decides_while_the_store_is_away() {
    let away = || {
        Redis::builder("http://127.0.0.1:9", "TOKEN")
            .max_retries(0)
            .build()
            .unwrap()
    };
    let limit = Limit::fixed_window(1, secs(10)).unwrap();
    let with = |policy| {
        RateLimiter::builder(away(), limit)
            .on_failure(policy)
            .build()
    };
    let open = with(FailurePolicy::Open).limit("a").await.unwrap();
    assert_eq!(
        (open.is_allowed(), open.reason()),
        (true, Reason::Unavailable)
    );
    let closed = with(FailurePolicy::Closed).limit("a").await.unwrap();
    assert!(!closed.is_allowed() && closed.retry_after().is_some());
    let error = with(FailurePolicy::Error).limit("a").await.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!(
        with(FailurePolicy::Open)
            .limit("")
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn leases_limit_how_many_run_at_once_and_expire() {
    let clock = ManualClock::new(START);
    let leases = LeaseLimiter::new(support::engine(), 2, secs(30))
        .unwrap()
        .clock(clock.clone());
    let first = leases.acquire("job").await.unwrap().unwrap();
    let second = leases.acquire("job").await.unwrap().unwrap();
    assert_eq!(leases.acquire("job").await.unwrap(), None);
    assert!(leases.release(&first).await.unwrap());
    assert!(!leases.release(&first).await.unwrap());
    let third = leases.acquire("job").await.unwrap().unwrap();
    clock.advance(secs(20));
    assert!(leases.renew(&second).await.unwrap());
    clock.advance(secs(11));
    assert!(!leases.renew(&third).await.unwrap(), "expired");
    assert!(leases.acquire("job").await.unwrap().is_some());
    assert_eq!(
        leases.acquire("job").await.unwrap(),
        None,
        "the renewed one still counts"
    );
}

#[tokio::test]
async fn usage_counts_what_was_allowed_and_refused_by_hour() {
    let (builder, _, redis) = builder(Limit::fixed_window(1, secs(10)).unwrap());
    let limiter = builder.analytics().build();
    for _ in 0..3 {
        let decision = limiter.limit("a").await.unwrap();
        limiter
            .record(RateLimitRequest::new("a").country("DE"), &decision)
            .await
            .unwrap();
    }
    let key = format!("@upstash/ratelimit:events:{START}");
    let members: Vec<String> = redis.zrange(&key, ZRange::by_rank(0, -1)).await.unwrap();
    assert!(
        members.contains(&r#"{"identifier":"a","success":true,"country":"DE"}"#.to_owned()),
        "{members:?}"
    );
    assert!(redis.ttl(&key).await.unwrap() > 0);
    let usage = limiter.usage(2).await.unwrap();
    let hour = usage.hours[1];
    assert_eq!((hour.allowed, hour.refused, hour.denied), (1, 2, 0));
    assert_eq!(usage.most_refused, [("a".to_owned(), 2)]);
}

#[tokio::test]
async fn usage_counts_every_identifier_of_an_hour_or_says_that_it_does_not() {
    let (builder, _, redis) = builder(Limit::fixed_window(1, secs(10)).unwrap());
    let limiter = builder.analytics().build();
    let key = format!("@upstash/ratelimit:events:{START}");
    let mut added = 0;
    for (total, counted, truncated) in [(2500, 2500, false), (10_500, 10_000, true)] {
        let members = (added..total).map(|n| {
            let member = format!(r#"{{"identifier":"id{n}","success":false}}"#);
            (1.0, member)
        });
        redis.zadd(&key, members).await.unwrap();
        added = total;
        let usage = limiter.usage(2).await.unwrap();
        let hour = usage.hours[1];
        assert_eq!((hour.refused, hour.truncated), (counted, truncated));
        assert!(!usage.hours[0].truncated);
    }
}

#[tokio::test]
async fn permits_taken_ahead_cost_no_request_and_never_exceed_the_limit() {
    let (builder, clock, redis) = builder(Limit::fixed_window(10, secs(10)).unwrap());
    let limiter = builder.take_ahead(4).build();
    let other = RateLimiter::builder(redis.clone(), limiter.limits()[0])
        .clock(clock.clone())
        .block_cache(0)
        .take_ahead(4)
        .build();
    let requests = || redis.metrics().snapshot().batched_commands;
    let first = limiter.limit("a").await.unwrap();
    assert_eq!((first.remaining(), first.reason()), (9, Reason::Limit));
    let before = requests();
    for left in [8, 7, 6] {
        let decision = limiter.limit("a").await.unwrap();
        assert_eq!(
            (decision.remaining(), decision.reason()),
            (left, Reason::Reserved)
        );
        assert_eq!(decision.reset_ms(), START + 10_000);
    }
    assert_eq!(requests(), before);
    // Two processes that both take ahead: ten in all, the last two one by one.
    let mut allowed = 4;
    for _ in 0..20 {
        for limiter in [&limiter, &other] {
            allowed += u32::from(limiter.limit("a").await.unwrap().is_allowed());
        }
    }
    assert_eq!(allowed, 10);
    // What is held ends with its window.
    clock.advance(secs(10));
    assert_eq!(limiter.limit("a").await.unwrap().reason(), Reason::Limit);
    assert_eq!(limiter.give_back().await.unwrap(), 3);
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 9);
    assert_eq!(limiter.give_back().await.unwrap(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn in_a_cluster_identifiers_are_asked_for_one_by_one() {
    let Some(cluster) = support::local_redis::LocalRedis::start_cluster().await else {
        return;
    };
    let (redis, counts) = support::counting_over(cluster.transport());
    let limiter = RateLimiter::builder(redis.clone(), Limit::sliding_window(9, secs(10)).unwrap())
        .clock(ManualClock::new(START))
        .hash_tags()
        .build();
    assert!(limiter.limit("warm").await.unwrap().is_allowed());
    let ids = ["a", "b", "a", "c", "a"];
    for (requests, commands) in [(2, 6), (1, 5)] {
        counts.reset();
        let decisions = futures_util::future::join_all(ids.map(|id| limiter.limit(id))).await;
        assert!(decisions.iter().all(Result::is_ok), "{decisions:?}");
        assert_eq!((counts.requests(), counts.commands()), (requests, commands));
    }
    assert_eq!(limiter.peek("a").await.unwrap().remaining(), 3);
    assert_eq!(limiter.peek("b").await.unwrap().remaining(), 7);
    // Without tags the two keys of one identifier lie apart.
    let apart = RateLimiter::builder(redis, Limit::sliding_window(2, secs(10)).unwrap()).build();
    assert_eq!(
        apart.limit("a").await.unwrap_err().code(),
        Some("CROSSSLOT")
    );
}

#[tokio::test]
async fn a_deny_list_is_fetched_by_one_process_of_all() {
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};
    let source = MockServer::start().await;
    let list = ResponseTemplate::new(200).set_body_string("# bad\n198.51.100.0/24\t7\nnonsense\n");
    Mock::given(path("/list.txt"))
        .respond_with(list)
        .expect(1)
        .mount(&source)
        .await;
    let empty = ResponseTemplate::new(200).set_body_string("# nobody\n");
    Mock::given(path("/empty.txt"))
        .respond_with(empty)
        .expect(1)
        .mount(&source)
        .await;
    let redis = support::engine();
    let process = |list: &str| {
        let feed = DenyFeed::new(&format!("{}/{list}", source.uri())).unwrap();
        RateLimiter::builder(redis.clone(), Limit::fixed_window(9, secs(10)).unwrap())
            .clock(ManualClock::new(START))
            .deny_feed(feed)
            .build()
    };
    let (first, second) = (process("list.txt"), process("list.txt"));
    assert!(first.refresh_deny_list().await.unwrap());
    assert!(!second.refresh_deny_list().await.unwrap());
    assert!(!first.refresh_deny_list().await.unwrap());
    let query = RateLimitRequest::new("a").ip("198.51.100.9".parse().unwrap());
    assert_eq!(
        second.decide(query).await.unwrap().listed(),
        Some("198.51.100.0/24")
    );
    // The next day: what is empty or gone changes nothing.
    for gone in ["empty.txt", "gone.txt"] {
        redis
            .del(["@upstash/ratelimit:ipDenyListStatus"])
            .await
            .unwrap();
        let error = process(gone).refresh_deny_list().await.unwrap_err();
        let told = (error.kind(), error.status());
        match gone {
            "gone.txt" => assert_eq!(told, (ErrorKind::Gateway, Some(404))),
            _ => assert_eq!(told, (ErrorKind::Protocol, None)),
        }
        assert_eq!(
            second.decide(query).await.unwrap().reason(),
            Reason::DenyList
        );
    }
}

/// 64 tasks ask for each of fifty identifiers, with costs of 1 and 2; each gets 60 and no more.
async fn race(redis: Redis, name: &str, limit: Limit) {
    const IDENTIFIERS: usize = 50;
    let limiter = RateLimiter::builder(redis, limit)
        .prefix(name)
        .clock(ManualClock::new(START))
        .build();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64 {
        let limiter = limiter.clone();
        tasks.spawn(async move {
            let mut allowed = [0_u64; IDENTIFIERS];
            for i in 0..IDENTIFIERS {
                let id = (task * 7 + i) % IDENTIFIERS;
                let cost = 1 + (task as u64 + i as u64) % 2;
                let query = format!("id{id}");
                let decision = limiter
                    .decide(RateLimitRequest::new(&query).cost(cost))
                    .await
                    .unwrap();
                if decision.is_allowed() {
                    allowed[id] += cost;
                }
            }
            allowed
        });
    }
    let mut totals = [0; IDENTIFIERS];
    while let Some(allowed) = tasks.join_next().await {
        for (total, n) in totals.iter_mut().zip(allowed.unwrap()) {
            *total += n;
        }
    }
    // Where a cost of 2 met the last permit, and no cost of 1 came after it.
    for (id, total) in totals.iter_mut().enumerate() {
        *total += u64::from(
            limiter
                .limit(&format!("id{id}"))
                .await
                .unwrap()
                .is_allowed(),
        );
    }
    assert_eq!(totals, [60; IDENTIFIERS], "{name}");
}

async fn race_all(redis: Redis) {
    for (name, limit) in [
        ("fixed", Limit::fixed_window(60, secs(60))),
        ("sliding", Limit::sliding_window(60, secs(60))),
        ("bucket", Limit::token_bucket(10, secs(60), 60)),
        ("gcra", Limit::gcra(10, secs(60), 60)),
        ("calendar", Limit::calendar(60, Calendar::DAY)),
    ] {
        race(redis.clone(), name, limit.unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_tasks_get_exactly_the_limit() {
    race_all(support::engine()).await;
    let served = support::servers::Rest::engine();
    race_all(served.client()).await;
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_tasks_get_exactly_the_limit_on_a_real_redis() {
    let Some(served) = support::servers::Rest::redis() else {
        return;
    };
    race_all(served.client()).await;
    served.stop();
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Take(u64),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        prop_oneof![3 => (1..6_u64).prop_map(Step::Take), 2 => (0..7_000_u64).prop_map(Step::Wait)];
    proptest::collection::vec(step, 1..60)
}

/// What was taken, with its time in milliseconds.
async fn play(limit: Limit, steps: &[Step]) -> Vec<(u64, u64)> {
    let (limiter, clock) = limiter(limit);
    let mut taken = Vec::new();
    for step in steps {
        match *step {
            Step::Take(cost) => {
                let before = limiter.peek("a").await.unwrap();
                let decision = limiter
                    .decide(RateLimitRequest::new("a").cost(cost))
                    .await
                    .unwrap();
                if decision.is_allowed() {
                    taken.push((restis::Clock::now_ms(&clock), cost));
                } else {
                    assert_eq!(
                        limiter.peek("a").await.unwrap(),
                        before,
                        "a refusal changes nothing"
                    );
                }
            }
            Step::Wait(ms) => clock.advance(Duration::from_millis(ms)),
        }
    }
    taken
}

fn most_in_any(window: u64, taken: &[(u64, u64)]) -> u64 {
    let sum = |from: u64| {
        taken
            .iter()
            .filter(|(t, _)| (from..from + window).contains(t))
            .map(|(_, n)| n)
            .sum::<u64>()
    };
    taken.iter().map(|(t, _)| sum(*t)).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_window_ever_admits_more_than_its_bound(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Windows of 10 s, limit 10: the bounds that the documentation states.
        let window = 10_000;
        let fixed = runtime.block_on(play(Limit::fixed_window(10, secs(10)).unwrap(), &steps));
        for aligned in fixed.chunk_by(|a, b| a.0 / window == b.0 / window) {
            prop_assert!(aligned.iter().map(|(_, n)| n).sum::<u64>() <= 10);
        }
        prop_assert!(most_in_any(window, &fixed) <= 20);
        let sliding = runtime.block_on(play(Limit::sliding_window(10, secs(10)).unwrap(), &steps));
        prop_assert!(most_in_any(window, &sliding) <= 20);
        let bucket = runtime.block_on(play(Limit::token_bucket(10, secs(10), 10).unwrap(), &steps));
        prop_assert!(most_in_any(window, &bucket) <= 20);
        // GCRA with burst b admits at most b + rate·t in any time t.
        let gcra = runtime.block_on(play(Limit::gcra(10, secs(10), 4).unwrap(), &steps));
        for time in [1, 1000, 3500, window, 3 * window] {
            prop_assert!(most_in_any(time, &gcra) <= 4 + time / 1000);
        }
        // Days instead of seconds.
        let slow = steps.iter().map(|step| match *step {
            Step::Wait(ms) => Step::Wait(ms * 5000),
            take @ Step::Take(_) => take,
        });
        let slow: Vec<Step> = slow.collect();
        let days = Limit::calendar(10, Calendar::DAY.at_offset(-300).unwrap());
        let days = runtime.block_on(play(days.unwrap(), &slow));
        // Five hours behind UTC.
        let day = |at: u64| (at - 5 * 3_600_000) / 86_400_000;
        for one in days.chunk_by(|a, b| day(a.0) == day(b.0)) {
            prop_assert!(one.iter().map(|(_, n)| n).sum::<u64>() <= 10);
        }
    }

    #[test]
    fn what_is_taken_and_given_back_adds_up(
        steps in proptest::collection::vec((0..3_u8, 1..8_u64), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for limit in [
            Limit::fixed_window(10, secs(10)),
            Limit::sliding_window(10, secs(10)),
            Limit::token_bucket(10, secs(10), 10),
            Limit::gcra(10, secs(10), 10),
            Limit::calendar(10, Calendar::DAY),
        ] {
            let (limiter, _) = limiter(limit.unwrap());
            let mut used = 0;
            for (what, n) in &steps {
                let decision = runtime.block_on(async {
                    match what {
                        0 => limiter.decide(RateLimitRequest::new("a").cost(*n)).await,
                        1 => limiter.decide(RateLimitRequest::new("a").up_to(*n)).await,
                        _ => limiter.refund("a", *n).await,
                    }
                });
                let decision = decision.unwrap();
                let taken = match what {
                    0 if used + n <= 10 => *n,
                    1 => (*n).min(10 - used),
                    _ => 0,
                };
                prop_assert_eq!(decision.taken(), taken);
                used = if *what == 2 { used.saturating_sub(*n) } else { used + taken };
                prop_assert_eq!(decision.remaining(), 10 - used);
            }
        }
    }

    #[test]
    fn many_at_once_are_decided_like_one_after_another(
        asked in proptest::collection::vec((0..4_usize, 1..5_u64), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ids = ["a", "b", "c", "d"];
        for limit in [
            Limit::fixed_window(7, secs(10)),
            Limit::sliding_window(7, secs(10)),
            Limit::token_bucket(7, secs(10), 7),
            Limit::gcra(7, secs(10), 7),
        ] {
            let (together, _) = limiter(limit.clone().unwrap());
            let (apart, _) = limiter(limit.unwrap());
            let queries: Vec<RateLimitRequest<'_>> =
                asked.iter().map(|(id, cost)| RateLimitRequest::new(ids[*id]).cost(*cost)).collect();
            let together = runtime.block_on(together.limit_many(&queries));
            for (query, decision) in queries.iter().zip(together) {
                let alone = runtime.block_on(apart.decide(*query)).unwrap();
                prop_assert_eq!(decision.unwrap(), alone);
            }
        }
    }

    #[test]
    fn one_window_alone_decides_like_one_among_others(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for limit in [Limit::fixed_window(4, secs(10)), Limit::sliding_window(4, secs(10))] {
            let (alone, clock, _) = builder(limit.clone().unwrap());
            let (general, _, _) = builder(limit.unwrap());
            let alone = alone.build();
            let general = general.clock(clock.clone()).dynamic_limits().build();
            for step in &steps {
                match *step {
                    Step::Take(cost) => runtime.block_on(async {
                        let query = RateLimitRequest::new("a").cost(cost);
                        let decisions = (alone.decide(query).await, general.decide(query).await);
                        assert_eq!(decisions.0.unwrap(), decisions.1.unwrap());
                    }),
                    Step::Wait(ms) => clock.advance(Duration::from_millis(ms)),
                }
            }
        }
    }

    #[test]
    fn without_a_store_a_process_counts_as_the_store_would(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let away = Redis::builder("http://127.0.0.1:9", "TOKEN").max_retries(0).build().unwrap();
        for limits in [
            vec![Limit::fixed_window(4, secs(10))],
            vec![Limit::sliding_window(4, secs(10))],
            vec![Limit::token_bucket(2, secs(3), 5)],
            vec![Limit::gcra(4, secs(10), 3)],
            vec![Limit::gcra(7, secs(10), 5)],
            vec![Limit::calendar(6, Calendar::DAY)],
            vec![Limit::fixed_window(3, secs(2)), Limit::sliding_window(9, secs(20))],
        ] {
            let limits: Vec<Limit> = limits.into_iter().map(Result::unwrap).collect();
            let (store, clock, _) = builder(limits[0]);
            let local = RateLimiter::builder(away.clone(), limits[0]).clock(clock.clone());
            let add = |builder: RateLimiterBuilder| {
                limits[1..].iter().fold(builder, |builder, limit| builder.and(*limit)).build()
            };
            let (store, local) = (add(store), add(local.on_failure(FailurePolicy::Local)));
            for step in &steps {
                match *step {
                    Step::Take(cost) => runtime.block_on(async {
                        let query = RateLimitRequest::new("a").cost(cost);
                        let store = store.decide(query).await.unwrap();
                        let local = local.decide(query).await.unwrap();
                        assert_eq!(local.reason(), Reason::Local);
                        assert_eq!(local.is_allowed(), store.is_allowed());
                        assert_eq!(local.limits(), store.limits());
                        assert_eq!(local.retry_after(), store.retry_after());
                    }),
                    Step::Wait(ms) => clock.advance(Duration::from_millis(ms)),
                }
            }
        }
    }
}
