//! What old clients, other clients and hostile callers leave in the store, and amounts at the edge.
//!
//! Against the embedded store and, where there is one, a real Redis.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use restis::{
    Redis,
    prelude::*,
    ratelimit::{Calendar, ClockSource, Decision, Limit, Query, RateLimiter},
    testing::ManualClock,
};

/// A moment at the start of a second, minute and hour.
const START: u64 = 1_800_000_000_000;
const EXACT: u64 = 1 << 53;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn limiter(redis: &Redis, limit: Limit) -> (RateLimiter, ManualClock) {
    let clock = ManualClock::new(START);
    let builder = RateLimiter::builder(redis.clone(), limit).clock(clock.clone());
    (builder.block_cache(0).build(), clock)
}

fn counter(id: &str) -> String {
    format!("@upstash/ratelimit:{id}:{}", START / 10_000)
}

/// Runs a test on the embedded store, and on a real Redis where there is one.
macro_rules! on_every_store {
    ($(async fn $name:ident($redis:ident) $body:block)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                async fn run($redis: Redis) $body
                run(support::engine()).await;
                if let Some(served) = support::servers::Rest::redis() {
                    run(served.client()).await;
                    served.stop();
                }
            }
        )*
    };
}

on_every_store! {
    async fn no_cost_lifts_a_limit(redis) {
        for limit in [Limit::fixed_window(5, secs(10)), Limit::sliding_window(5, secs(10))] {
            let limit = limit.unwrap();
            let (limiter, _) = limiter(&redis, limit);
            let id = format!("{limit:?}").replace([' ', ':'], "");
            let taken = limiter.decide(Query::new(&id).cost(5)).await.unwrap();
            assert!(taken.is_allowed());
            for cost in [6, EXACT - 1, EXACT, EXACT + 1, 1 << 60, u64::MAX] {
                let refused = limiter.decide(Query::new(&id).cost(cost)).await.unwrap();
                assert!(!refused.is_allowed(), "{cost}");
                assert_eq!((refused.remaining(), refused.retry_after()), (0, None), "{cost}");
                let count: Option<i64> = redis.get(counter(&id)).await.unwrap();
                assert_eq!(count, Some(5), "{limit:?} {cost}");
            }
        }
    }

    async fn the_largest_limit_is_exact(redis) {
        let most = EXACT - 1;
        let (limiter, _) = limiter(&redis, Limit::fixed_window(most, secs(10)).unwrap());
        for (cost, allowed, left) in [
            (most - 4, true, 4),
            (most, false, 4),
            (5, false, 4),
            (3, true, 1),
            (2, false, 1),
            (1, true, 0),
            (1, false, 0),
        ] {
            let decision = limiter.decide(Query::new("a").cost(cost)).await.unwrap();
            assert_eq!((decision.is_allowed(), decision.remaining()), (allowed, left), "{cost}");
        }
    }

    async fn a_window_before_that_is_no_number_counts_as_none(redis) {
        let (limiter, _) = limiter(&redis, Limit::sliding_window(5, secs(10)).unwrap());
        let ids = ["empty", "plain", "text", "hash"];
        let before = |id: &str| format!("@upstash/ratelimit:{id}:{}", START / 10_000 - 1);
        redis.set(before("empty"), "").await.unwrap();
        redis.set(before("text"), "abc").await.unwrap();
        redis.hset(before("hash"), [("a", "b")]).await.unwrap();
        let queries = ids.map(Query::new);
        for left in [4, 3] {
            for decision in limiter.limit_many(&queries).await {
                assert_eq!(decision.unwrap().remaining(), left);
            }
        }
    }

    async fn a_counter_without_expiry_gets_one(redis) {
        let (limiter, clock) = limiter(&redis, Limit::fixed_window(100, secs(10)).unwrap());
        // As many decisions as a slow client makes in a window, one a millisecond.
        redis.set(counter("some"), 40).await.unwrap();
        for _ in 0..16 {
            assert!(limiter.limit("some").await.unwrap().is_allowed());
            clock.advance(Duration::from_millis(1));
        }
        assert!(redis.pttl(counter("some")).await.unwrap() > 0);
        let count: Option<i64> = redis.get(counter("some")).await.unwrap();
        assert_eq!(count, Some(56));
        for (id, count) in [("full", 100), ("over", 120), ("negative", -3)] {
            redis.set(counter(id), count).await.unwrap();
            let _ = limiter.limit(id).await.unwrap();
            assert!(redis.pttl(counter(id)).await.unwrap() > 0, "{id}");
        }
    }

    async fn what_cannot_be_counted_fails_alone_and_with_a_text(redis) {
        let (limiter, _) = limiter(&redis, Limit::fixed_window(5, secs(10)).unwrap());
        redis.set(counter("fraction"), "1.5").await.unwrap();
        redis.hset(counter("hash"), [("a", "b")]).await.unwrap();
        let queries = ["a", "fraction", "hash", "b"].map(Query::new);
        let decisions = limiter.limit_many(&queries).await;
        let [a, fraction, hash, b] = &decisions[..] else { unreachable!() };
        assert!(a.as_ref().unwrap().is_allowed() && b.as_ref().unwrap().is_allowed());
        let fraction = fraction.as_ref().unwrap_err().to_string();
        assert!(fraction.contains("not an integer"), "{fraction}");
        assert_eq!(hash.as_ref().unwrap_err().kind(), restis::ErrorKind::WrongType);
    }

    async fn limits_of_one_decision_never_count_in_the_same_key(redis) {
        let hour = secs(3600);
        let pairs = [
            [Limit::token_bucket(1, hour, 5), Limit::token_bucket(1, secs(7200), 8)],
            [Limit::fixed_window(5, hour), Limit::sliding_window(8, hour)],
            [Limit::sliding_window(5, hour), Limit::fixed_window(8, hour)],
            [Limit::fixed_window(5, hour), Limit::fixed_window(8, hour)],
            [Limit::sliding_window(5, hour), Limit::sliding_window(8, hour)],
            [Limit::gcra(5, hour, 5), Limit::gcra(5, hour, 8)],
            [
                Limit::calendar(5, Calendar::DAY),
                Limit::calendar(8, Calendar::DAY.at_offset(60).unwrap()),
            ],
        ];
        for (number, pair) in pairs.into_iter().enumerate() {
            let [first, second] = pair.map(Result::unwrap);
            for source in [ClockSource::Client, ClockSource::Server] {
                let prefix = format!("{number}{source:?}");
                let build = |limit| {
                    RateLimiter::builder(redis.clone(), limit)
                        .prefix(&prefix)
                        .clock_source(source)
                        .block_cache(0)
                };
                let both = build(first).and(second).build();
                let left = |decision: Decision| {
                    let states: Vec<u64> = decision.limits().iter().map(|s| s.remaining).collect();
                    (decision.is_allowed(), states)
                };
                for taken in 1..=5 {
                    let decision = both.limit("a").await.unwrap();
                    assert_eq!(left(decision), (true, vec![5 - taken, 8 - taken]), "{prefix}");
                }
                let refused = both.limit("a").await.unwrap();
                assert_eq!(left(refused), (false, vec![0, 3]), "{prefix}");
                let first = build(first).build();
                assert_eq!(first.peek("a").await.unwrap().remaining(), 0, "{prefix}");
                let refunded = both.refund("a", 2).await.unwrap();
                assert_eq!(left(refunded), (true, vec![2, 5]), "{prefix}");
                both.reset("a").await.unwrap();
                assert_eq!(left(both.peek("a").await.unwrap()), (true, vec![5, 8]), "{prefix}");
            }
        }
    }

    async fn no_identifier_writes_the_counter_of_another(redis) {
        let bucket = Limit::token_bucket(1, secs(10), 5).unwrap();
        let day = Calendar::DAY;
        for (name, other) in [
            ("fixed", Limit::fixed_window(5, secs(10)).unwrap()),
            ("sliding", Limit::sliding_window(5, secs(10)).unwrap()),
            ("day", Limit::calendar(5, day).unwrap()),
            ("group", Limit::fixed_window(5, secs(10)).unwrap().per_group()),
        ] {
            let bucket = if other.is_per_group() { bucket.per_group() } else { bucket };
            let limiter = RateLimiter::builder(redis.clone(), bucket)
                .and(other)
                .prefix(name)
                .clock(ManualClock::new(START))
                .build();
            // 2027-01-15 is the day of `START`.
            for end in [(START / 10_000).to_string(), "2027-01-15".to_owned()] {
                let hostile = format!("bob:{end}");
                let query = Query::new(&hostile).group(&hostile);
                assert!(limiter.decide(query).await.unwrap().is_allowed(), "{name}");
            }
            let bob = limiter.decide(Query::new("bob").group("bob")).await.unwrap();
            assert_eq!((bob.is_allowed(), bob.remaining()), (true, 4), "{name}");
        }
        // Where no keys can meet, they stay those of other clients.
        let (alone, _) = limiter(&redis, bucket);
        assert!(alone.limit("bob:1").await.unwrap().is_allowed());
        assert_eq!(redis.exists(["@upstash/ratelimit:bob:1"]).await.unwrap(), 1);
    }
}
