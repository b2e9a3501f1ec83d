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
    ratelimit::{
        Calendar, ClockSource, Decision, FailurePolicy, Limit, RateLimitRequest, RateLimiter,
    },
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
            let taken = limiter.decide(RateLimitRequest::new(&id).cost(5)).await.unwrap();
            assert!(taken.is_allowed());
            for cost in [6, EXACT - 1, EXACT, EXACT + 1, 1 << 60, u64::MAX] {
                let refused = limiter.decide(RateLimitRequest::new(&id).cost(cost)).await.unwrap();
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
            let decision = limiter.decide(RateLimitRequest::new("a").cost(cost)).await.unwrap();
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
        let queries = ids.map(RateLimitRequest::new);
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
        let queries = ["a", "fraction", "hash", "b"].map(RateLimitRequest::new);
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
                let query = RateLimitRequest::new(&hostile).group(&hostile);
                assert!(limiter.decide(query).await.unwrap().is_allowed(), "{name}");
            }
            let bob = limiter.decide(RateLimitRequest::new("bob").group("bob")).await.unwrap();
            assert_eq!((bob.is_allowed(), bob.remaining()), (true, 4), "{name}");
        }
        // Where no keys can meet, they stay those of other clients.
        let (alone, _) = limiter(&redis, bucket);
        assert!(alone.limit("bob:1").await.unwrap().is_allowed());
        assert_eq!(redis.exists(["@upstash/ratelimit:bob:1"]).await.unwrap(), 1);
    }

    async fn gcra_hands_out_its_whole_burst_and_then_one_a_step(redis) {
        let away = Redis::builder("http://127.0.0.1:9", "TOKEN").max_retries(0);
        let away = away.build().unwrap();
        for (amount, window, burst) in [
            (6, 1000, 6),
            (6, 2500, 6),
            (7, 3000, 40),
            (60, 1000, 10),
            (7, 1000, 40),
            (3, 1000, 1),
            (3, 10_000, 100),
            (997, 60_000, 50),
            (1_000_000, 1000, 30),
            (7, 3, 20),
            (1, 86_400_000, 2),
            (999_983, 86_400_000, 30),
        ] {
            let case = format!("{amount} in {window} ms, burst {burst}");
            let limit = Limit::gcra(amount, Duration::from_millis(window), burst).unwrap();
            // The store's keys end by its own clock: only where a step outlasts the test.
            let stores = [&away, &redis];
            for store in &stores[..if window / amount > 400 { 2 } else { 1 }] {
                let clock = ManualClock::new(START);
                let gcra = RateLimiter::builder((*store).clone(), limit)
                    .clock(clock.clone())
                    .prefix("burst")
                    .block_cache(0)
                    .on_failure(FailurePolicy::Local)
                    .build();
                clock.advance(Duration::from_millis(123));
                for left in (0..burst).rev() {
                    let decision = gcra.limit("a").await.unwrap();
                    assert_eq!((decision.is_allowed(), decision.remaining()), (true, left), "{case}");
                }
                let refused = gcra.limit("a").await.unwrap();
                let step = Duration::from_millis(window.div_ceil(amount));
                assert_eq!((refused.is_allowed(), refused.retry_after()), (false, Some(step)), "{case}");
                // In a whole window all of its amount, as far as the burst holds it.
                clock.advance(Duration::from_millis(window));
                let back = amount.min(burst);
                assert_eq!(gcra.peek("a").await.unwrap().remaining(), back, "{case}");
                let decision = gcra.decide(RateLimitRequest::new("a").cost(back)).await.unwrap();
                assert_eq!((decision.is_allowed(), decision.remaining()), (true, 0), "{case}");
                let refunded = gcra.refund("a", burst).await;
                if let Ok(refunded) = refunded {
                    assert_eq!(refunded.remaining(), burst, "{case}");
                }
            }
        }
    }

    async fn a_gcra_of_an_older_version_goes_on(redis) {
        let limit = Limit::gcra(6, secs(1), 6).unwrap();
        let (limiter, _) = limiter(&redis, limit);
        let key = "@upstash/ratelimit:gcra:1000:6:a";
        // Four of six were taken, rounded to three digits.
        redis.set(key, "1800000000666.667").await.unwrap();
        for left in [1, 0] {
            assert_eq!(limiter.limit("a").await.unwrap().remaining(), left);
        }
        assert!(!limiter.limit("a").await.unwrap().is_allowed());
        for text in ["", "abc", "nan", "-5", "1e99"] {
            redis.set(key, text).await.unwrap();
            assert_eq!(limiter.limit("a").await.unwrap().remaining(), 5, "{text}");
        }
    }

    async fn a_limit_of_zero_refuses_and_one_that_is_none_is_passed_over(redis) {
        for limit in [
            Limit::fixed_window(5, secs(10)),
            Limit::sliding_window(5, secs(10)),
            Limit::token_bucket(1, secs(10), 5),
            Limit::gcra(5, secs(10), 5),
        ] {
            let limit = limit.unwrap();
            let limiter = RateLimiter::builder(redis.clone(), limit)
                .clock(ManualClock::new(START))
                .prefix(format!("{limit:?}"))
                .block_cache(0)
                .dynamic_limits()
                .build();
            assert!(limiter.set_dynamic_limit(Some(EXACT)).await.is_err());
            limiter.set_dynamic_limit(Some(0)).await.unwrap();
            let refused = limiter.limit("a").await.unwrap();
            assert_eq!((refused.is_allowed(), refused.retry_after()), (false, None), "{limit:?}");
            assert_eq!((refused.limit(), refused.remaining()), (0, 0), "{limit:?}");
            assert!(!limiter.peek("a").await.unwrap().is_allowed(), "{limit:?}");
            for none in ["inf", "nan", "-1", "1e300", "9007199254740992", "many"] {
                let global = format!("{limit:?}:dynamic:global");
                redis.set(global, none).await.unwrap();
                let decision = limiter.peek("a").await.unwrap();
                assert_eq!((decision.limit(), decision.remaining()), (5, 5), "{limit:?} {none}");
            }
        }
    }

    async fn a_counter_that_is_no_integer_fails_before_anything_is_taken(redis) {
        let minute = START / 60_000;
        for (number, second) in [
            Limit::fixed_window(9, secs(60)),
            Limit::sliding_window(9, secs(60)),
        ]
        .into_iter()
        .enumerate()
        {
            let prefix = format!("broken{number}");
            let limiter = RateLimiter::builder(redis.clone(), Limit::fixed_window(5, secs(10)).unwrap())
                .and(second.unwrap())
                .prefix(&prefix)
                .clock(ManualClock::new(START))
                .block_cache(0)
                .build();
            for text in ["1.5", "abc", "", "01", "nan"] {
                let key = format!("{prefix}:a:{minute}");
                redis.set(&key, text).await.unwrap();
                let error = limiter.limit("a").await.unwrap_err().to_string();
                assert!(error.contains("not an integer"), "{error}");
                let first: Option<i64> = redis
                    .get(format!("{prefix}:a:{}", START / 10_000))
                    .await
                    .unwrap();
                assert_eq!(first, None, "{text}");
                let neighbour = limiter.limit_many(&[RateLimitRequest::new("a"), RateLimitRequest::new("b")]).await;
                assert!(neighbour[0].is_err() && neighbour[1].is_ok(), "{text}");
                limiter.reset("b").await.unwrap();
            }
        }
    }

    async fn a_limit_that_takes_ages_to_refill_is_charged_like_any_other(redis) {
        let month = secs(30 * 86_400);
        for (prefix, slow) in [
            ("bucket", Limit::token_bucket(1, month, EXACT - 1)),
            ("gcra", Limit::gcra(1, month, 1 << 21)),
        ] {
            let slow = slow.unwrap();
            let limiter = RateLimiter::builder(redis.clone(), slow)
                .prefix(prefix)
                .clock(ManualClock::new(START))
                .build();
            let all = slow.amount();
            let half = RateLimitRequest::new("a").cost(all / 2 + 1);
            assert!(limiter.decide(half).await.unwrap().is_allowed(), "{prefix}");
            assert!(!limiter.decide(half).await.unwrap().is_allowed(), "{prefix}");
        }
    }
}
