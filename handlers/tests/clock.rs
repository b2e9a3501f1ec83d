//! The time of limits, grants and sessions comes from the clock of the state.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use restis::{
    session::{Secrets, SessionConfig},
    testing::ManualClock,
};
use restis_handlers::{AppState, Config, app};
use serde_json::{Value, json};
use std::time::Duration;
use support::calls::{get, post, send};

const TOKEN: &str = "a-token-of-16-characters";

fn service() -> (Router, ManualClock) {
    let clock = ManualClock::new(1_700_000_000_000);
    let vars = |name: &str| {
        let value = match name {
            "RESTIS_SERVICE_TOKEN" => TOKEN,
            "EVENTS_GRANT_SECRETS" => "the grant secret of the clock tests",
            "RATE_LIMIT_MAX_REQUESTS" => "1",
            "RATE_LIMIT_WINDOW" => "1h",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let state = AppState::builder(restis::testing::redis())
        .config(Config::from_vars(vars).unwrap())
        .sessions(SessionConfig::new(Secrets::random().unwrap()))
        .clock(clock.clone());
    (app(state.build().unwrap()), clock)
}

async fn limited(router: &Router) -> u16 {
    let body = json!({ "identifier": "alice" });
    let (response, _) = send(router, post("/api/ratelimit", TOKEN), body).await;
    response.status().as_u16()
}

#[tokio::test]
async fn a_limit_admits_again_when_the_clock_says_so() {
    let (router, clock) = service();
    assert_eq!(limited(&router).await, 200);
    assert_eq!(limited(&router).await, 429);
    clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(limited(&router).await, 200);
}

#[tokio::test]
async fn a_grant_ends_when_the_clock_says_so() {
    let (router, clock) = service();
    let ask = json!({ "types": ["a"], "ttl_seconds": 60 });
    let (_, body) = send(&router, post("/api/events/grants", TOKEN), ask).await;
    let grant = body["grant"].as_str().unwrap();
    let read = || send(&router, get("/api/events/history", grant), Value::Null);
    assert_eq!(read().await.0.status(), 200);
    clock.advance(Duration::from_secs(59));
    assert_eq!(read().await.0.status(), 200);
    clock.advance(Duration::from_secs(2));
    let (response, body) = read().await;
    assert_eq!(response.status(), 401);
    assert_eq!(body["detail"], "the grant has expired: ask for a new one");
}

#[tokio::test]
async fn a_session_is_dated_by_the_clock() {
    let (router, clock) = service();
    clock.advance(Duration::from_secs(60));
    let new = json!({ "user": "ada" });
    let (response, body) = send(&router, post("/api/sessions", TOKEN), new).await;
    assert_eq!(response.status(), 201);
    assert_eq!(body["created_ms"], 1_700_000_060_000_u64, "{body}");
}
