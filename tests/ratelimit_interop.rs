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
    ratelimit::{Limit, Query, RateLimiter, RateLimiterBuilder, Reason},
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

#[tokio::test]
async fn javascript_and_rust_take_from_one_limit_in_turns() {
    let server = restis_server::Server::builder()
        .token("TOKEN")
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap();
    let Some(mut js) = JavaScript::start(server.url()) else {
        return;
    };
    let redis = || Redis::builder(server.url(), "TOKEN").build().unwrap();
    let builder = |limit: Limit| -> RateLimiterBuilder {
        RateLimiter::builder(redis(), limit).block_cache(0)
    };
    let day = Duration::from_secs(86_400);
    for (name, limit) in [
        ("fixed", Limit::fixed_window(10, day).unwrap()),
        ("sliding", Limit::sliding_window(10, day).unwrap()),
        ("bucket", Limit::token_bucket(1, day, 10).unwrap()),
    ] {
        let ours = builder(limit).build();
        let id = format!("{name} Ünï:côde*");
        let mut left = 10;
        for (rust, rate) in [(true, 1), (false, 1), (true, 3), (false, 2)] {
            left -= rate;
            if rust {
                let decision = ours.decide(Query::new(&id).cost(rate)).await.unwrap();
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
                .decide(Query::new(&id).cost(7))
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
    let limit = Limit::fixed_window(10, day).unwrap();
    let dynamic = builder(limit).prefix("dynamic").dynamic_limits().build();
    js.ask(&json!({ "setDynamic": 3 }));
    assert_eq!(dynamic.limit("a").await.unwrap().limit(), 3);
    assert_eq!(
        js.ask(&json!({ "algorithm": "dynamic", "id": "a", "rate": 1 }))["limit"],
        json!(3)
    );
    let denying = builder(limit).prefix("denying").protection().build();
    denying.deny(&["mallory"]).await.unwrap();
    assert_eq!(
        denying.limit("mallory").await.unwrap().reason(),
        Reason::DenyList
    );
    let denied = js.ask(&json!({ "algorithm": "denying", "id": "mallory", "rate": 1 }));
    assert_eq!(
        (&denied["success"], &denied["reason"]),
        (&json!(false), &json!("denyList"))
    );
}
