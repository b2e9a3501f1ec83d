//! JavaScript's `@upstash/ratelimit` and ours share one limit, in turns, on the same server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use restis::{
    Redis,
    prelude::*,
    ratelimit::{Limit, RateLimitRequest, RateLimiter, RateLimiterBuilder, Reason},
};
use serde_json::{Value, json};

/// The official limiter in a Node process.
struct JavaScript {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl JavaScript {
    /// `None` without Node or the packages, which is a failure under CI.
    fn start(url: &str) -> Option<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        let ready = directory.join("node_modules/@upstash/ratelimit").exists();
        let child = Command::new("node")
            .arg("ratelimit.mjs")
            .current_dir(&directory)
            .env("UPSTASH_REDIS_REST_URL", url)
            .env("UPSTASH_REDIS_REST_TOKEN", "TOKEN")
            .env("UPSTASH_DISABLE_TELEMETRY", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        match child {
            Ok(mut child) if ready => {
                let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
                Some(Self {
                    child,
                    input,
                    output: BufReader::new(output),
                })
            }
            other => {
                if let Ok(mut child) = other {
                    let _ = child.kill();
                    let _ = child.wait();
                }
                assert!(
                    std::env::var_os("CI").is_none(),
                    "node or tests/node/node_modules is missing"
                );
                None
            }
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.input, "{question}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer["error"].is_null(), "{question}: {answer}");
        answer
    }
}

impl Drop for JavaScript {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// A server, JavaScript and a client of it; `None` without Node.
fn both() -> Option<(restis_server::Running, JavaScript, Redis)> {
    let server = restis_server::Server::builder()
        .token("TOKEN")
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap();
    let js = JavaScript::start(server.url())?;
    let redis = Redis::builder(server.url(), "TOKEN").build().unwrap();
    Some((server, js, redis))
}

fn builder(redis: &Redis, limit: Limit) -> RateLimiterBuilder {
    RateLimiter::builder(redis.clone(), limit).block_cache(0)
}

fn algorithms() -> [(&'static str, Limit); 3] {
    [
        ("fixed", Limit::fixed_window(10, DAY).unwrap()),
        ("sliding", Limit::sliding_window(10, DAY).unwrap()),
        ("bucket", Limit::token_bucket(1, DAY, 10).unwrap()),
    ]
}

#[tokio::test]
async fn javascript_and_rust_take_from_one_limit_in_turns() {
    let Some((_server, mut js, redis)) = both() else {
        return;
    };
    for (name, limit) in algorithms() {
        let ours = builder(&redis, limit).build();
        let id = format!("{name} Ünï:côde*");
        let mut left = 10;
        for (rust, rate) in [(true, 1), (false, 1), (true, 3), (false, 2)] {
            left -= rate;
            if rust {
                let decision = ours
                    .decide(RateLimitRequest::new(&id).cost(rate))
                    .await
                    .unwrap();
                assert_eq!(
                    (decision.is_allowed(), decision.remaining()),
                    (true, left),
                    "{name}"
                );
            } else {
                let answer = js.ask(&json!({ "algorithm": name, "id": id, "rate": rate }));
                assert_eq!(
                    (&answer["success"], &answer["remaining"]),
                    (&json!(true), &json!(left)),
                    "{name}"
                );
                let peeked = ours.peek(&id).await.unwrap();
                assert_eq!(answer["reset"], json!(peeked.reset_ms()), "{name}");
            }
        }
        assert_eq!(
            js.ask(&json!({ "algorithm": name, "id": id, "peek": true }))["remaining"],
            json!(left),
            "{name}"
        );
        // Refunds of either side count for both.
        assert_eq!(ours.refund(&id, 2).await.unwrap().remaining(), 5, "{name}");
        assert_eq!(
            js.ask(&json!({ "algorithm": name, "id": id, "rate": -1 }))["remaining"],
            json!(6),
            "{name}"
        );
        assert_eq!(ours.peek(&id).await.unwrap().remaining(), 6, "{name}");
        // Ours refuses without taking; JavaScript then takes the rest.
        assert!(
            !ours
                .decide(RateLimitRequest::new(&id).cost(7))
                .await
                .unwrap()
                .is_allowed(),
            "{name}"
        );
        assert_eq!(
            js.ask(&json!({ "algorithm": name, "id": id, "rate": 6 }))["remaining"],
            json!(0),
            "{name}"
        );
        assert!(!ours.limit(&id).await.unwrap().is_allowed(), "{name}");
        ours.reset(&id).await.unwrap();
        assert_eq!(
            js.ask(&json!({ "algorithm": name, "id": id, "rate": 1 }))["remaining"],
            json!(9),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_cached_window_of_javascript_is_a_fixed_window() {
    let Some((_server, mut js, redis)) = both() else {
        return;
    };
    let window = Limit::fixed_window(10, DAY).unwrap();
    let ours = builder(&redis, window).build();
    let ahead = builder(&redis, window).take_ahead(3).build();
    let theirs = json!({ "algorithm": "cached", "id": "c", "rate": 2 });
    assert_eq!(js.ask(&theirs)["success"], json!(true));
    assert_eq!(ours.limit("c").await.unwrap().remaining(), 7);
    assert_eq!(js.ask(&theirs)["success"], json!(true));
    assert_eq!(ours.peek("c").await.unwrap().remaining(), 5);
    // Three are taken, one is handed out.
    assert_eq!(ahead.limit("c").await.unwrap().remaining(), 4);
    let fixed = json!({ "algorithm": "fixed", "id": "c", "peek": true });
    assert_eq!(js.ask(&fixed)["remaining"], json!(2));
    assert_eq!(ahead.give_back().await.unwrap(), 2);
    assert_eq!(js.ask(&fixed)["remaining"], json!(4));
    // Theirs never expires; ours mends it.
    let keys: Vec<String> = redis.keys("*:c:*").await.unwrap();
    assert!(redis.pttl(&keys[0]).await.unwrap() > 0, "{keys:?}");
}

#[tokio::test]
async fn a_limit_that_one_side_sets_holds_for_both() {
    let Some((_server, mut js, redis)) = both() else {
        return;
    };
    for (name, limit) in algorithms() {
        let dynamic = format!("dynamic-{name}");
        let ours = builder(&redis, limit)
            .prefix(&*dynamic)
            .dynamic_limits()
            .build();
        let theirs = json!({ "algorithm": dynamic, "id": "a", "rate": 1 });
        js.ask(&json!({ "algorithm": dynamic, "setDynamic": 3 }));
        assert_eq!(ours.dynamic_limit().await.unwrap(), Some(3), "{name}");
        assert_eq!(ours.limit("a").await.unwrap().limit(), 3, "{name}");
        assert_eq!(js.ask(&theirs)["limit"], json!(3), "{name}");
        assert!(ours.limit("a").await.unwrap().is_allowed(), "{name}");
        assert_eq!(js.ask(&theirs)["success"], json!(false), "{name}");
        ours.set_dynamic_limit(Some(20)).await.unwrap();
        let later = json!({ "algorithm": dynamic, "id": "b", "rate": 1 });
        assert_eq!(js.ask(&later)["limit"], json!(20), "{name}");
        js.ask(&json!({ "algorithm": dynamic, "setDynamic": false }));
        assert_eq!(ours.limit("c").await.unwrap().limit(), 10, "{name}");
    }
}

#[tokio::test]
async fn who_is_denied_by_one_side_is_denied_by_both() {
    let Some((_server, mut js, redis)) = both() else {
        return;
    };
    let window = Limit::fixed_window(10, DAY).unwrap();
    let ours = builder(&redis, window)
        .prefix("denying")
        .protection()
        .build();
    // While this list is valid JavaScript fetches none.
    ours.replace_denied_addresses(&["192.0.2.66"], DAY)
        .await
        .unwrap();
    ours.deny(&["mallory"]).await.unwrap();
    for (question, denied) in [
        (
            json!({ "algorithm": "denying", "id": "mallory" }),
            "mallory",
        ),
        (
            json!({ "algorithm": "denying", "id": "a", "ip": "192.0.2.66" }),
            "192.0.2.66",
        ),
    ] {
        let answer = js.ask(&question);
        assert_eq!(answer["reason"], json!("denyList"));
        assert_eq!(answer["deniedValue"], json!(denied));
    }
    redis.sadd("denying:denyList:all", ["XX"]).await.unwrap();
    let query = RateLimitRequest::new("a")
        .country("XX")
        .ip("192.0.2.66".parse().unwrap());
    let decision = ours.decide(query).await.unwrap();
    assert_eq!(
        (decision.reason(), decision.listed()),
        (Reason::DenyList, Some("XX"))
    );
    let status: Option<String> = redis.get("denying:ipDenyListStatus").await.unwrap();
    assert_eq!(status.as_deref(), Some("valid"));
}

#[tokio::test]
async fn analytics_of_either_side_are_read_by_both() {
    let Some((_server, mut js, redis)) = both() else {
        return;
    };
    let window = Limit::fixed_window(10, DAY).unwrap();
    let ours = builder(&redis, window)
        .prefix("counting")
        .analytics()
        .build();
    for rate in [9, 1, 1] {
        js.ask(&json!({ "algorithm": "counting", "id": "a", "rate": rate, "country": "DE" }));
    }
    let query = RateLimitRequest::new("a").country("DE");
    for _ in 0..2 {
        let decision = ours.decide(query).await.unwrap();
        ours.record(query, &decision).await.unwrap();
    }
    let usage = ours.usage(1).await.unwrap();
    assert_eq!(usage.most_allowed, [("a".to_owned(), 2)]);
    assert_eq!(usage.most_refused, [("a".to_owned(), 3)]);
    // Theirs and ours are the same members, counted together.
    let hours: Vec<String> = redis.keys("counting:events:*").await.unwrap();
    assert_eq!(redis.zcard(&hours[0]).await.unwrap(), 2);
    let most = js.ask(&json!({ "algorithm": "counting", "most": true }));
    assert_eq!(most["allowed"], json!([{ "identifier": "a", "count": 2 }]));
    assert_eq!(
        most["ratelimited"],
        json!([{ "identifier": "a", "count": 3 }])
    );
}
