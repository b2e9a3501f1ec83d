//! The cache routes through the router, without sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use restis::{Redis, testing::ManualClock};
use restis_handlers::{
    AppState, Config, app,
    auth::{Scope, ServiceTokens},
};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

struct World {
    router: axum::Router,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let engine = restis_engine::Engine::new(restis_engine::Options::default());
        let scopes = [Scope::CacheRead, Scope::CacheWrite];
        let tokens = ServiceTokens::none()
            .with_full_access("root", "ROOT")
            .with("acme", "ACME", &scopes, Some(&["acme"]))
            .with("zeta", "ZETA", &scopes, Some(&["zeta"]));
        let config = Config {
            tokens,
            ..Config::default()
        };
        let clock = ManualClock::new(1_800_000_000_000);
        let state = AppState::builder(Redis::embedded(engine)).config(config);
        Self {
            router: app(state.clock(clock.clone()).build().unwrap()),
            clock,
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
        known: Option<&str>,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/cache/{path}"))
            .header("authorization", format!("Bearer {token}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Some(known) = known {
            request = request.header("if-none-match", known);
        }
        let body = body.map_or_else(Body::empty, |body| body.to_string().into());
        let request = request.body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        (head.status, head.headers, body)
    }

    async fn put(&self, path: &str, token: &str, body: Value) -> StatusCode {
        self.send("PUT", path, token, Some(body), None).await.0
    }

    async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        let (status, _, body) = self.send("GET", path, token, None, None).await;
        (status, body["value"].clone())
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
        let (status, _, body) = self.send("POST", path, token, Some(body), None).await;
        (status, body)
    }
}

#[tokio::test]
async fn an_entry_has_an_age_a_tag_and_an_end() {
    let world = World::new();
    let path = "entries/q1%2Freport?organisation=acme";
    let (status, headers, _) = world.send("GET", path, "ACME", None, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(headers["cache-status"], "restis; fwd=miss");
    let body = json!({ "value": [1, { "a": null }], "fresh_seconds": 60, "stale_seconds": 30 });
    assert_eq!(world.put(path, "ACME", body).await, StatusCode::NO_CONTENT);
    world.clock.advance(Duration::from_secs(15));
    let (status, headers, body) = world.send("GET", path, "ACME", None, None).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "value": [1, { "a": null }], "stale": false, "age_ms": 15_000, "fresh_ms": 45_000
    });
    assert_eq!(body, expected);
    assert_eq!(headers["age"], "15");
    assert_eq!(headers["cache-control"], "private, max-age=45");
    assert_eq!(headers["cache-status"], "restis; hit; ttl=45");
    let etag = headers["etag"].to_str().unwrap();
    for known in [etag.to_owned(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let (status, headers, body) = world.send("GET", path, "ACME", None, Some(&known)).await;
        assert_eq!((status, body), (StatusCode::NOT_MODIFIED, Value::Null));
        assert_eq!(headers["etag"], etag);
    }
    world.clock.advance(Duration::from_secs(45));
    let (_, headers, body) = world.send("GET", path, "ACME", None, Some("\"x\"")).await;
    assert_eq!(
        (&body["stale"], &headers["age"]),
        (&json!(true), &"60".parse().unwrap())
    );
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(world.get(path, "ACME").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn organisations_and_none_do_not_meet() {
    let world = World::new();
    let value = |text: &str| json!({ "value": text });
    for (path, token) in [
        ("entries/k?organisation=acme", "ACME"),
        ("entries/k?organisation=zeta", "ZETA"),
        ("entries/k", "ROOT"),
        ("entries/acme%3Ak", "ROOT"),
    ] {
        let status = world.put(path, token, value(path)).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{path}");
    }
    assert_eq!(
        world.get("entries/k?organisation=acme", "ACME").await.1,
        "entries/k?organisation=acme"
    );
    assert_eq!(world.get("entries/k", "ROOT").await.1, "entries/k");
    for path in ["entries/k?organisation=zeta", "entries/k"] {
        assert_eq!(
            world.get(path, "ACME").await.0,
            StatusCode::FORBIDDEN,
            "{path}"
        );
        let status = world.put(path, "ACME", value("x")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    let foreign = world
        .post("invalidate", "ACME", json!({ "organisation": "zeta" }))
        .await;
    assert_eq!(foreign.0, StatusCode::FORBIDDEN);
    let own = world
        .post("invalidate", "ACME", json!({ "organisation": "acme" }))
        .await;
    assert_eq!(own.0, StatusCode::NO_CONTENT);
    assert_eq!(
        world.get("entries/k?organisation=acme", "ACME").await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        world.get("entries/k?organisation=zeta", "ZETA").await.0,
        StatusCode::OK
    );
    assert_eq!(world.get("entries/k", "ROOT").await.0, StatusCode::OK);
}

#[tokio::test]
async fn several_keys_are_read_and_invalidated_at_once() {
    let world = World::new();
    for key in ["a", "b", "c"] {
        let body = json!({ "value": key, "stale_seconds": 60 });
        world.put(&format!("entries/{key}"), "ROOT", body).await;
    }
    let read = async || {
        let (_, body) = world
            .post("mget", "ROOT", json!({ "keys": ["c", "x", "a", "b"] }))
            .await;
        let entries = body["entries"].as_array().unwrap().clone();
        let each = entries.iter().map(|one| {
            let (value, stale) = (&one["entry"]["value"], &one["entry"]["stale"]);
            format!("{} {value} {stale}", one["key"].as_str().unwrap())
        });
        each.collect::<Vec<_>>()
    };
    assert_eq!(
        read().await,
        [
            "c \"c\" false",
            "x null null",
            "a \"a\" false",
            "b \"b\" false"
        ]
    );
    world
        .post(
            "invalidate",
            "ROOT",
            json!({ "keys": ["a"], "mode": "expire" }),
        )
        .await;
    world
        .post("invalidate", "ROOT", json!({ "keys": ["b"] }))
        .await;
    world.send("DELETE", "entries/c", "ROOT", None, None).await;
    assert_eq!(
        read().await,
        ["c null null", "x null null", "a \"a\" true", "b null null"]
    );
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let world = World::new();
    let many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    for body in [
        json!({ "keys": many }),
        json!({ "keys": [] }),
        json!({ "keys": ["x".repeat(513)] }),
    ] {
        assert_eq!(
            world.post("mget", "ROOT", body.clone()).await.0,
            StatusCode::BAD_REQUEST
        );
        assert_eq!(
            world.post("invalidate", "ROOT", body).await.0,
            StatusCode::BAD_REQUEST
        );
    }
    let long = json!({ "value": "x".repeat(262_143) });
    assert_eq!(
        world.put("entries/k", "ROOT", long).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    for (fresh, stale) in [(0, 0), (86_401, 0), (1, 86_401)] {
        let body = json!({ "value": 1, "fresh_seconds": fresh, "stale_seconds": stale });
        assert_eq!(
            world.put("entries/k", "ROOT", body).await,
            StatusCode::BAD_REQUEST
        );
    }
}

#[tokio::test]
async fn metrics_tell_what_the_store_and_this_instance_did() {
    let world = World::new();
    world.put("entries/k", "ROOT", json!({ "value": 1 })).await;
    for path in ["entries/k", "entries/k", "entries/k", "entries/missing"] {
        world.get(path, "ROOT").await;
    }
    let (status, _, body) = world.send("GET", "metrics", "ROOT", None, None).await;
    assert_eq!((status, &body["connected"]), (StatusCode::OK, &json!(true)));
    // The entry and its marker.
    assert_eq!(body["keys"]["total"], 2);
    assert_eq!(
        (&body["hit_rate"], &body["stale_rate"]),
        (&json!(0.75), &json!(0.0))
    );
    for (group, name) in [
        ("memory", "used"),
        ("memory", "peak"),
        ("operations", "perSecond"),
    ] {
        let number = &body[group][name];
        assert!(number.is_u64() || number.is_null(), "{group} {name}");
    }
}
