//! The `Idempotency-Key`, as every route that takes it reads it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use http::HeaderValue;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, app, auth::ServiceTokens};
use serde_json::{Value, json};
use support::{
    browser::config,
    calls::{post, send},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The routes that take the header, each with a body and how it answers at first and again.
const ROUTES: [(&str, &str, &str, &str); 3] = [
    ("/api/sessions", r#"{"user":"u1"}"#, "201", "200"),
    ("/api/events/publish", r#"{"type":"a"}"#, "201", "200"),
    (
        "/api/events/publish",
        r#"[{"type":"a"}]"#,
        "207 published",
        "207 duplicate",
    ),
];

fn router() -> Router {
    let redis = Redis::embedded(Engine::new(Options::default()));
    let signer = json!([{ "name": "web", "secrets": [SECRET], "scopes": ["*"] }]);
    let tokens = ServiceTokens::parse(&signer.to_string()).unwrap();
    let tokens = tokens.with_full_access("root", "ROOT");
    let state = AppState::builder(redis).tokens(tokens).sessions(config());
    app(state.build().unwrap())
}

/// The status, and the verdict of a batch.
async fn answer(router: &Router, request: http::request::Builder, body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap();
    let (response, answer) = send(router, request, body).await;
    let status = response.status().as_u16();
    match answer[0]["status"].as_str() {
        Some(verdict) => format!("{status} {verdict}"),
        None => status.to_string(),
    }
}

#[tokio::test]
async fn a_key_is_the_same_with_and_without_quotes() {
    for (path, body, first, again) in ROUTES {
        let router = router();
        let with_key = async |key: &str| {
            let request = post(path, "ROOT").header("idempotency-key", key);
            answer(&router, request, body).await
        };
        // RFC 8941, 4.2.5: an escape is of a quote or a backslash.
        for spellings in [
            ["login-1", "\"login-1\"", " \"login-1\" "],
            ["a\"b", "\"a\\\"b\"", "a\"b"],
            ["a\\b", "\"a\\\\b\"", "a\\b"],
            ["k v;x=1", "\"k v;x=1\"", "k v;x=1"],
        ] {
            assert_eq!(with_key(spellings[0]).await, first, "{path} {spellings:?}");
            for spelling in spellings {
                assert_eq!(with_key(spelling).await, again, "{path} {spelling}");
            }
        }
        // Keys that look alike are others.
        for other in ["login-1\"", "\"\\\"login-1\\\"\"", "Login-1", "'login-1'"] {
            assert_eq!(with_key(other).await, first, "{path} {other}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_damaged_is_refused() {
    let router = router();
    let long = "k".repeat(257);
    let quoted = format!("\"{long}\"");
    for (path, body, first, _) in ROUTES {
        for key in [
            &b""[..],
            b"\"",
            b"\"\"",
            b"\"login-1",
            b"\"login-1\"x",
            b"\"login-1\";a=1",
            b"\"a\", \"b\"",
            b"a,b",
            b"\"a\\b\"",
            b"\"a\\\"",
            b"\xff",
            "\u{e9}".as_bytes(),
            long.as_bytes(),
            quoted.as_bytes(),
        ] {
            let value = HeaderValue::from_bytes(key).unwrap();
            let request = post(path, "ROOT").header("idempotency-key", value);
            let got = answer(&router, request, body).await;
            assert_eq!(got, "400", "{path} {}", String::from_utf8_lossy(key));
        }
        // In quotes a comma is the key's own.
        let request = post(path, "ROOT").header("idempotency-key", "\"a,b\"");
        assert_eq!(answer(&router, request, body).await, first, "{path}");
        // As long as a key may be, however it is written.
        let key = format!("\"{}\"", "\\\"".repeat(256));
        let request = post(path, "ROOT").header("idempotency-key", key);
        assert_eq!(answer(&router, request, body).await, first, "{path}");
    }
}

#[tokio::test]
async fn the_id_of_a_signed_request_is_its_key_with_its_own_quotes() {
    let router = router();
    let (path, body) = ("/api/events/publish", r#"{"type":"a"}"#);
    let signed = |id: &str| {
        let keys = WebhookKeys::new([SECRET]).unwrap();
        let at = SystemClock::new().now_ms() / 1000;
        let text = format!("POST {path}\n{body}");
        http::Request::post(path)
            .header("authorization", "HMAC web")
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", keys.sign(id, at, text.as_bytes()))
    };
    for id in ["a", "\"a\"", "\"a", "a\\", "\"a\\\"\""] {
        assert_eq!(answer(&router, signed(id), body).await, "201", "{id}");
        assert_eq!(answer(&router, signed(id), body).await, "200", "{id}");
    }
    for (key, status) in [("a", "200"), ("\"a\"", "200"), ("b", "400"), ("\"a", "400")] {
        let request = signed("a").header("idempotency-key", key);
        assert_eq!(answer(&router, request, body).await, status, "{key}");
    }
}
