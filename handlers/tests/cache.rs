//! The cache routes through the router, without sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use restis::{Redis, testing::ManualClock};
use restis_handlers::{
    AppState, Config, PolicySet, app,
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
        Self::with(PolicySet::default())
    }

    fn with(policies: PolicySet) -> Self {
        let engine = restis_engine::Engine::new(restis_engine::Options::default());
        let scopes = [Scope::CacheRead, Scope::CacheWrite];
        let tokens = ServiceTokens::none()
            .with_full_access("root", "ROOT")
            .with("acme", "ACME", &scopes, Some(&["acme"]))
            .with("zeta", "ZETA", &scopes, Some(&["zeta"]));
        let config = Config {
            tokens,
            policies,
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
    // Of which 15 are over, as `Age` says (RFC 9111, 4.2).
    assert_eq!(headers["cache-control"], "private, max-age=60");
    assert_eq!(headers["cache-status"], "restis; hit; ttl=45");
    let etag = headers["etag"].to_str().unwrap();
    let strong = etag.strip_prefix("W/").unwrap();
    for known in [etag.to_owned(), format!("\"x\", {strong}"), "*".to_owned()] {
        let (status, headers, body) = world.send("GET", path, "ACME", None, Some(&known)).await;
        assert_eq!((status, body), (StatusCode::NOT_MODIFIED, Value::Null));
        assert_eq!(headers["etag"], etag);
    }
    world.clock.advance(Duration::from_secs(45));
    world.clock.advance(Duration::from_secs(5));
    let (_, headers, body) = world.send("GET", path, "ACME", None, Some("\"x\"")).await;
    assert_eq!(
        (&body["stale"], &headers["age"]),
        (&json!(true), &"65".parse().unwrap())
    );
    assert_eq!(headers["cache-control"], "private, max-age=0");
    // RFC 9211, 2.4: less than nothing for what is stale.
    assert_eq!(headers["cache-status"], "restis; hit; ttl=-5");
    world.clock.advance(Duration::from_secs(25));
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
    // The entry, its marker and the caller's limit.
    assert_eq!(body["keys"]["total"], 3);
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
    assert_eq!(body["load_time"], Value::Null);
    let request = Request::get("/cache/redis/metrics").header("authorization", "Bearer ROOT");
    let request = request.body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let again: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        (&again["keys"], &again["hit_rate"]),
        (&body["keys"], &body["hit_rate"])
    );
}

#[tokio::test]
async fn a_warm_up_stores_what_is_missing_or_all() {
    let world = World::new();
    let put = json!({ "value": "newer" });
    world.put("entries/a?organisation=acme", "ACME", put).await;
    let warm = async |replace: Value| {
        let entries = json!([
            { "key": "a", "value": "warm" },
            { "key": "b", "value": { "x": [1] }, "fresh_seconds": 10, "stale_seconds": 5 },
        ]);
        let mut body = json!({ "organisation": "acme", "entries": entries });
        if !replace.is_null() {
            body["replace"] = replace;
        }
        world.post("warm", "ACME", body).await
    };
    assert_eq!(
        warm(Value::Null).await,
        (StatusCode::OK, json!({ "stored": 1, "kept": 1 }))
    );
    let a = world.get("entries/a?organisation=acme", "ACME").await.1;
    let b = world.get("entries/b?organisation=acme", "ACME").await.1;
    assert_eq!((a, b), (json!("newer"), json!({ "x": [1] })));
    assert_eq!(warm(false.into()).await.1["kept"], 2);
    // A stale one is replaced too.
    world.clock.advance(Duration::from_secs(11));
    assert_eq!(warm(Value::Null).await.1, json!({ "stored": 1, "kept": 1 }));
    assert_eq!(warm(true.into()).await.1, json!({ "stored": 2, "kept": 0 }));
    let a = world.get("entries/a?organisation=acme", "ACME").await.1;
    assert_eq!(a, "warm");
    let entry = json!({ "key": "a", "value": 1 });
    let many: Vec<_> = (0..101)
        .map(|n| json!({ "key": n.to_string(), "value": 1 }))
        .collect();
    for (token, body, status) in [
        (
            "ZETA",
            json!({ "organisation": "acme", "entries": [entry] }),
            403,
        ),
        ("ACME", json!({ "entries": [entry] }), 403),
        ("ROOT", json!({ "entries": [] }), 400),
        ("ROOT", json!({ "entries": [entry, entry] }), 400),
        ("ROOT", json!({ "entries": many }), 400),
        (
            "ROOT",
            json!({ "entries": [{ "key": "a", "value": "x".repeat(262_143) }] }),
            413,
        ),
        (
            "ROOT",
            json!({ "entries": [{ "key": "a", "value": 1, "fresh_seconds": 0 }] }),
            400,
        ),
        (
            "ROOT",
            json!({ "entries": [{ "key": "", "value": 1 }] }),
            400,
        ),
    ] {
        let (answered, problem) = world.post("warm", token, body).await;
        assert_eq!(answered, status, "{problem}");
    }
}

#[tokio::test]
async fn entries_are_invalidated_by_the_tags_of_their_organisation() {
    let world = World::new();
    for (organisation, token) in [("acme", "ACME"), ("zeta", "ZETA")] {
        for (key, tags) in [
            ("a", json!(["p:1", "day"])),
            ("b", json!(["p:2", "day"])),
            ("c", json!([])),
        ] {
            let body = json!({ "value": key, "tags": tags });
            let path = format!("entries/{key}?organisation={organisation}");
            assert_eq!(world.put(&path, token, body).await, StatusCode::NO_CONTENT);
        }
    }
    let left = async |organisation: &str, token: &str| {
        let ask = json!({ "keys": ["a", "b", "c"], "organisation": organisation });
        let (_, body) = world.post("mget", token, ask).await;
        let entries = body["entries"].as_array().unwrap().iter();
        let found = entries.filter(|one| one["entry"].is_object());
        found
            .map(|one| one["key"].as_str().unwrap().to_owned())
            .collect::<String>()
    };
    assert_eq!(left("acme", "ACME").await, "abc");
    for (tags, expected) in [
        (json!(["p:3"]), "abc"),
        (json!(["p:1"]), "bc"),
        (json!(["day"]), "c"),
    ] {
        let body = json!({ "tags": tags, "organisation": "acme" });
        let (status, _) = world.post("invalidate", "ACME", body).await;
        assert_eq!(
            (status, &*left("acme", "ACME").await),
            (StatusCode::NO_CONTENT, expected)
        );
    }
    assert_eq!(left("zeta", "ZETA").await, "abc");
    // An entry of a warm-up has tags too.
    let warm = json!({ "entries": [{ "key": "a", "value": 1, "tags": ["day"] }], "organisation": "zeta", "replace": true });
    world.post("warm", "ZETA", warm).await;
    let body = json!({ "tags": ["day"], "organisation": "zeta" });
    world.post("invalidate", "ZETA", body).await;
    assert_eq!(left("zeta", "ZETA").await, "c");
    let seventeen: Vec<_> = (0..17).map(|n| n.to_string()).collect();
    for tags in [json!([""]), json!(["x".repeat(201)]), json!(seventeen)] {
        let body = json!({ "value": 1, "tags": tags });
        assert_eq!(
            world.put("entries/k", "ROOT", body).await,
            StatusCode::BAD_REQUEST
        );
    }
    let none = world
        .post("invalidate", "ROOT", json!({ "tags": [] }))
        .await;
    assert_eq!(none.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn each_caller_and_organisation_has_a_limit_of_keys() {
    let minute = Duration::from_secs(60);
    let limit = restis::ratelimit::Limit::fixed_window(5, minute).unwrap();
    let world = World::with(PolicySet::default().with("cache", vec![limit]));
    let read = async |token: &str, organisation: &str, keys: usize| {
        let keys: Vec<_> = (0..keys).map(|n| n.to_string()).collect();
        let body = json!({ "keys": keys, "organisation": organisation });
        world.send("POST", "mget", token, Some(body), None).await
    };
    assert_eq!(read("ACME", "acme", 4).await.0, StatusCode::OK);
    let (status, headers, problem) = read("ACME", "acme", 2).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("rate-limited"))
    );
    assert!(headers.contains_key("retry-after"));
    assert_eq!(read("ACME", "acme", 1).await.0, StatusCode::OK);
    for (method, path, body) in [
        ("GET", "entries/k?organisation=acme", None),
        (
            "PUT",
            "entries/k?organisation=acme",
            Some(json!({ "value": 1 })),
        ),
        ("DELETE", "entries/k?organisation=acme", None),
        (
            "POST",
            "invalidate",
            Some(json!({ "organisation": "acme" })),
        ),
        (
            "POST",
            "warm",
            Some(json!({ "organisation": "acme", "entries": [{ "key": "k", "value": 1 }] })),
        ),
    ] {
        let (status, ..) = world.send(method, path, "ACME", body, None).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{method} {path}");
    }
    // Others go on, and so does this one after the window.
    assert_eq!(read("ZETA", "zeta", 5).await.0, StatusCode::OK);
    assert_eq!(read("ROOT", "acme", 5).await.0, StatusCode::OK);
    world.clock.advance(minute);
    assert_eq!(read("ACME", "acme", 5).await.0, StatusCode::OK);
}

/// As in a path.
fn encoded(text: &str) -> String {
    let byte = |text: String, byte: &u8| text + &format!("%{byte:02X}");
    text.as_bytes().iter().fold(String::new(), byte)
}

#[tokio::test]
async fn hostile_keys_are_keys_of_their_organisation_or_refused() {
    let world = World::new();
    let long = "x".repeat(512);
    let keys = [
        ":",
        ",",
        "*",
        "a/b",
        "...",
        "{}",
        "{acme}",
        "%",
        "#",
        "a\0b",
        "a\r\nb",
        "é",
        "🦀",
        "acme:k",
        "?organisation=zeta",
        &long,
    ];
    for key in keys {
        for (organisation, token) in [("acme", "ACME"), ("zeta", "ZETA")] {
            let path = format!("entries/{}?organisation={organisation}", encoded(key));
            let body = json!({ "value": [organisation, key] });
            assert_eq!(
                world.put(&path, token, body).await,
                StatusCode::NO_CONTENT,
                "{key:?}"
            );
        }
    }
    for key in keys {
        let path = format!("entries/{}?organisation=acme", encoded(key));
        assert_eq!(
            world.get(&path, "ACME").await,
            (StatusCode::OK, json!(["acme", key]))
        );
        assert_eq!(world.get(&path, "ZETA").await.0, StatusCode::FORBIDDEN);
        // By the body it is the same key.
        let ask = json!({ "keys": [key], "organisation": "acme" });
        let (_, found) = world.post("mget", "ACME", ask.clone()).await;
        assert_eq!(found["entries"][0]["entry"]["value"], json!(["acme", key]));
        assert_eq!(
            world.post("mget", "ZETA", ask).await.0,
            StatusCode::FORBIDDEN
        );
    }
    let one = json!({ "keys": ["*"], "organisation": "acme" });
    world.post("invalidate", "ACME", one).await;
    let ask = json!({ "keys": keys, "organisation": "acme" });
    let (_, found) = world.post("mget", "ACME", ask).await;
    let left = found["entries"].as_array().unwrap().iter();
    assert_eq!(
        left.filter(|one| one["entry"].is_object()).count(),
        keys.len() - 1
    );
    let too_long = "x".repeat(20_000);
    let ask = json!({ "keys": ["x".repeat(65_536)] });
    assert_eq!(
        world.post("mget", "ROOT", ask).await.0,
        StatusCode::BAD_REQUEST
    );
    // Neither a directory for a proxy, however often it decodes, nor nothing, nor too long.
    let longer = "x".repeat(513);
    for key in [
        ".", "..", "a/../b", "%2e", "/", "\0", "\r\n", &too_long, &longer,
    ] {
        let path = format!("entries/{}", encoded(key));
        assert_eq!(
            world.put(&path, "ROOT", json!({ "value": 1 })).await,
            StatusCode::BAD_REQUEST
        );
    }
    for path in [
        "entries/%FF",
        "entries/%2E%2E",
        "entries/k?organisation=",
        "entries/k?organisation=a%2Fb",
        "entries/k?organisation=acme&organisation=zeta",
    ] {
        assert_eq!(
            world.get(path, "ROOT").await.0,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
}
