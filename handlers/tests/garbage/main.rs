//! What another program writes under the keys of docs/reference/KEYS.md: every type and shape, then every route.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod keys;
mod kinds;
#[path = "../support/mod.rs"]
mod support;
mod world;

use keys::{documented, unwritten};
use kinds::kinds_of_garbage;
use restis::Redis;
use world::{ELSEWHERE, HERE, World, statuses};

/// A key that is new in the documentation must be damaged, too.
#[tokio::test]
async fn every_documented_key_is_one_of_these() {
    let world = World::new().await;
    let mut names = world.names().await;
    names.extend(unwritten());
    let documented = documented();
    assert!(documented.len() > 30, "{} keys", documented.len());
    let missing: Vec<_> = documented
        .iter()
        .filter(|(_, texts)| {
            let has = |name: &String| {
                let mut rest = name.as_str();
                texts
                    .iter()
                    .all(|text| match rest.split_once(text.as_str()) {
                        Some((_, after)) => {
                            rest = after;
                            true
                        }
                        None => false,
                    })
            };
            !names.iter().any(has)
        })
        .map(|(key, _)| key)
        .collect();
    assert!(
        missing.is_empty(),
        "no test damages {missing:?}; known are {names:#?}"
    );
}

/// Writes every kind of garbage under every key that is chosen, and calls the routes that use such keys.
async fn damage(chosen: impl Fn(&str) -> bool, routes: &str) {
    let first = World::new().await;
    let mut names = first.names().await;
    names.extend(unwritten());
    names.sort();
    names.dedup();
    names.retain(|name| chosen(name) && !name.contains(ELSEWHERE));
    assert!(!names.is_empty(), "no key begins so any more");
    let usual = statuses(&first.every_route(ELSEWHERE, routes).await);
    let mut failures = Vec::new();
    for key in &names {
        let world = World::new().await;
        for commands in kinds_of_garbage(&world.redis, key).await {
            for command in &commands {
                write(&world.redis, command).await;
            }
            let last = String::from_utf8_lossy(&commands.last().unwrap().join(&b' ')).into_owned();
            let shape: String = last.chars().take(120).collect();
            for (request, status, body) in world.every_route(HERE, routes).await {
                let told = body.contains("urn:restis:problem:") || body.contains("\"status\"");
                if status == 500 || (status > 500 && !told) {
                    failures.push(format!("{shape}\n    {request}: {status} {body}"));
                }
            }
            // Counts that all share may differ, but nothing may fail.
            let own = key.contains(HERE);
            let elsewhere = statuses(&world.every_route(ELSEWHERE, routes).await);
            for ((request, status), (_, usual)) in elsewhere.iter().zip(&usual) {
                if status != usual && (own || *status >= 500) {
                    failures.push(format!(
                        "{shape}\n    elsewhere {request}: {status} for {usual}"
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Garbage that the store does not take would test nothing.
async fn write(redis: &Redis, command: &[Vec<u8>]) {
    let [name, rest @ ..] = command else {
        panic!("an empty command")
    };
    let call = redis.command(str::from_utf8(name).unwrap());
    let written = call.args(rest.to_vec()).query::<restis::Reply>().await;
    assert!(written.is_ok(), "{command:?}: {written:?}");
}

/// About half of the keys of events by the time that they take.
const HALF: [&str; 6] = [
    "events:development:breaker",
    "events:development:client",
    "events:development:dedup",
    "events:development:dlq",
    "events:development:failed",
    "events:development:history",
];

fn in_half(key: &str) -> bool {
    HALF.iter().any(|prefix| key.starts_with(prefix))
}

#[tokio::test]
async fn garbage_under_a_key_of_events_fails_no_route_and_nobody_else() {
    damage(in_half, "/api/events").await;
}

#[tokio::test]
async fn garbage_under_another_key_of_events_fails_no_route_and_nobody_else() {
    damage(
        |key| key.starts_with("events:") && !in_half(key),
        "/api/events",
    )
    .await;
}

#[tokio::test]
async fn garbage_under_a_key_of_rate_limits_fails_no_route_and_nobody_else() {
    damage(|key| key.starts_with("ratelimit:"), "/api/ratelimit").await;
}

#[tokio::test]
async fn garbage_under_a_key_of_the_cache_fails_no_route_and_nobody_else() {
    damage(|key| key.starts_with("cache:"), "/api/cache").await;
}

#[tokio::test]
async fn garbage_under_a_key_of_metrics_fails_no_route() {
    damage(|key| key.starts_with("{metrics:"), "/api/metrics").await;
}

#[tokio::test]
async fn garbage_under_a_key_of_sessions_fails_no_route_and_nobody_else() {
    let prefixes = ["session:", "user:", "org:", "signed:"];
    let ours = |key: &str| prefixes.iter().any(|prefix| key.starts_with(prefix));
    damage(ours, "/api/").await;
}
