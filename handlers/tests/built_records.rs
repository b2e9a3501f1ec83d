//! What the built function stores and sends on: records that nobody can read, events that no receiver can verify.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use axum::{Router, body::Bytes, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::{
    SERVICE_TOKEN,
    event_calls::{NOWHERE, SECRET, first_message, publish, started, stream, webhook},
    function::cookie,
    store,
};

fn bearer() -> String {
    format!("Bearer {SERVICE_TOKEN}")
}

/// Depth: refused at every door. What another program stored all the same is passed over.
#[tokio::test]
async fn one_record_bricks_nothing() {
    let store = store();
    let function = started(store.url(), NOWHERE);
    let nested = |levels: usize| {
        format!(
            r#"{{"type":"a","data":{}1{}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let bearer = bearer();
    let json_headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    for levels in [65, 126, 127, 5_000, 100_000] {
        for body in [nested(levels), format!("[{}]", nested(levels))] {
            let (status, _, answer) = function
                .text("POST", "/api/events/publish", &json_headers, body)
                .await;
            let rejected = status == 207 && answer[0]["status"] == "rejected";
            assert!(status == 400 || rejected, "{levels}: {status} {answer}");
        }
        let outbox = format!(
            r#"{{"client":"c{levels}","epoch":1,"first":1,"events":[{}]}}"#,
            nested(levels)
        );
        let (status, _, answer) = function
            .text("POST", "/api/events/sync", &json_headers, outbox)
            .await;
        let rejected = status == 200 && answer["results"][0]["status"] == "rejected";
        assert!(status == 400 || rejected, "{levels}: {status} {answer}");
        assert_eq!(
            webhook(&function, "application/json", "m", nested(levels))
                .await
                .0,
            400
        );
    }
    let (_, headers, _) = function
        .token(
            "POST",
            "/api/sessions",
            json!({ "user": "u1", "organisation": "acme", "device": "d" }),
        )
        .await;
    let session = cookie(&headers);
    let path = "/api/events/publish?organisation=acme";
    function
        .token("POST", "/api/events/work", Value::Null)
        .await;
    for _ in 0..2 {
        assert_eq!(
            function
                .token("POST", path, json!({ "type": "a.b" }))
                .await
                .0,
            201
        );
    }
    function
        .token(
            "POST",
            "/api/ratelimit",
            json!({ "identifier": "a", "organisation": "acme" }),
        )
        .await;

    let path = "/api/events/history?organisation=acme&limit=1";
    let (_, _, page) = function.token("GET", path, Value::Null).await;
    let cursor = page["cursor"].as_str().unwrap();
    let poll = format!("/api/events/poll?organisation=acme&after={cursor}");
    let from_start = format!("/api/events/stream?organisation=acme&after={cursor}");

    // Every key that is there now, and some that are read: wrong contents first, then the wrong type.
    let redis = Redis::builder(store.url(), "TOKEN").build().unwrap();
    let deep = nested(500);
    for wrong_type in [false, true] {
        let mut keys: Vec<String> = redis.command("KEYS").arg("*").query().await.unwrap();
        keys.extend(
            [
                "events:development:dlq",
                "ratelimit:default:denyList:all",
                "ratelimit:default:dynamic:global",
            ]
            .map(str::to_owned),
        );
        for key in &keys {
            let kind: String = redis.command("TYPE").arg(key).query().await.unwrap();
            let add: Vec<&str> = match (wrong_type, kind.as_str()) {
                (true, "hash") => vec!["SET", key, "\u{feff}{"],
                (true, _) => vec!["HSET", key, "d", &deep],
                (false, "hash") => vec!["HSET", key, "garbage", &deep, "#", "-1"],
                (false, "zset") => vec!["ZADD", key, "inf", &deep, "-inf", ""],
                (false, "set") => vec!["SADD", key, &deep, ""],
                (false, "string") => vec!["SET", key, &deep],
                (false, _) => {
                    // A history has its offsets as ids.
                    let id = if key.contains(":history") { "3-0" } else { "*" };
                    vec!["XADD", key, id, "d", &deep, "o", "x", "h", "y", "k", "z"]
                }
            };
            if wrong_type {
                redis.command("DEL").arg(key).query::<i64>().await.unwrap();
            }
            redis
                .command(add[0])
                .args(add[1..].to_vec())
                .query::<restis::Reply>()
                .await
                .unwrap();
        }
        // A counter or an index of another type is its own user's trouble, and told so.
        let user = if wrong_type { "u2" } else { "u1" };
        for (method, path, body) in [
            (
                "POST",
                "/api/events/publish?organisation=acme",
                json!({ "type": "a.c" }),
            ),
            ("GET", "/api/events/history?organisation=acme", Value::Null),
            (
                "GET",
                "/api/events/history?organisation=acme&type=a.*",
                Value::Null,
            ),
            ("GET", poll.as_str(), Value::Null),
            (
                "POST",
                "/api/events/sync",
                json!({ "client": "p", "epoch": 1, "organisation": "acme" }),
            ),
            ("POST", "/api/events/work", Value::Null),
            ("GET", "/api/events/dlq", Value::Null),
            ("GET", "/api/events/health?hours=2", Value::Null),
            ("GET", "/api/ratelimit/usage", Value::Null),
            (
                "POST",
                "/api/ratelimit",
                json!({ "identifier": user, "ip": "203.0.113.9" }),
            ),
            (
                "GET",
                &format!("/api/users/{user}/sessions?organisation=acme"),
                Value::Null,
            ),
            (
                "GET",
                &format!("/api/users/{user}/epoch?organisation=acme"),
                Value::Null,
            ),
            (
                "POST",
                "/api/events/publish?organisation=other",
                json!({ "type": "a.c" }),
            ),
            ("GET", "/api/events/history?organisation=other", Value::Null),
            (
                "POST",
                "/api/sessions",
                json!({ "user": user, "organisation": "acme" }),
            ),
        ] {
            let (status, _, answer) = function.token(method, path, body).await;
            assert!(
                matches!(status, 200 | 201),
                "{wrong_type} {method} {path}: {status} {answer}"
            );
            if path.contains("history?organisation=acme") && !wrong_type {
                assert_eq!(
                    answer["events"].as_array().map(Vec::len),
                    Some(3),
                    "{answer}"
                );
                assert_eq!(
                    answer["unreadable"].as_array().map(Vec::len),
                    Some(1),
                    "{answer}"
                );
            }
        }
        let read = function.browser("GET", "/api/session", &session, Value::Null);
        assert_eq!(read.await.0, if wrong_type { 503 } else { 200 });
        let mut stream = stream(&function, &from_start, &[]).await;
        let name = first_message(&mut stream).await;
        assert_ne!(name, "outage");
    }
}

type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// Takes webhooks; refuses those whose body or id holds `refuse me`.
async fn receiver() -> (String, Received) {
    async fn take(State(received): State<Received>, headers: HeaderMap, body: Bytes) -> StatusCode {
        let refused = String::from_utf8_lossy(&body).contains("refuse me");
        received.lock().unwrap().push((headers, body));
        if refused {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::NO_CONTENT
        }
    }
    let received = Received::default();
    let router = Router::new()
        .route("/hook", post(take))
        .with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

#[tokio::test]
async fn what_goes_out_can_be_verified_and_one_refusal_stops_nobody() {
    let store = store();
    let (url, received) = receiver().await;
    let function = started(store.url(), &url);
    let tick = async || {
        let (status, _, body) = function
            .token("POST", "/api/events/work", Value::Null)
            .await;
        assert_eq!(status, 200, "{body}");
    };
    tick().await;
    let ids = [
        "\u{e9}",
        " sp ",
        "a.b",
        "100%",
        "\"q\"",
        "\u{1f600}\u{fdd0}",
    ];
    for id in ids {
        let event = json!({ "type": "a", "id": id, "source": "/s", "subject": " \u{e9} \"x\" ", "data": { "id": id } });
        let (status, body) = publish(&function, "", &[], event).await;
        assert_eq!(status, 201, "{id}: {body}");
    }
    // What no header could carry, or what passes for a whole signed event, is not taken.
    for (member, value) in [
        ("id", json!("x".repeat(200_000))),
        ("subject", json!("x".repeat(513))),
        ("comexampleext", json!("x".repeat(200_000))),
        ("id", json!("a\r\nb: c")),
        ("id", json!("a\u{0}b")),
        ("subject", json!("a\nb")),
        ("datacontenttype", json!("application/cloudevents+json")),
        (
            "datacontenttype",
            json!("Application/CloudEvents-Batch+JSON; charset=utf-8"),
        ),
        ("datacontenttype", json!("text/plain\r\nx: y")),
    ] {
        let mut event = json!({ "type": "a", "data": {} });
        event[member] = value.clone();
        let (status, body) = publish(&function, "", &[], event).await;
        assert_eq!(status, 400, "{member} {:.40}: {body}", value.to_string());
    }
    let bad = json!({ "type": "a", "id": "bad", "data": "refuse me" });
    assert_eq!(
        publish(&function, "?organisation=mallory", &[], bad)
            .await
            .0,
        201
    );
    for n in 0..8 {
        let good = json!({ "type": "a", "id": format!("good-{n}") });
        assert_eq!(
            publish(&function, "?organisation=acme", &[], good).await.0,
            201
        );
        tick().await;
    }
    let received = received.lock().unwrap();
    let keys = WebhookKeys::new([SECRET]).unwrap();
    let now = SystemClock::new().now_ms() / 1000;
    let text = |headers: &HeaderMap, name: &str| headers[name].to_str().unwrap().to_owned();
    let mut seen = Vec::new();
    for (headers, body) in received.iter() {
        let (id, at, signature) = (
            text(headers, "webhook-id"),
            text(headers, "webhook-timestamp"),
            text(headers, "webhook-signature"),
        );
        assert!(keys.verify(&id, &at, &signature, body, now).is_ok(), "{id}");
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        assert!(size < 16_384, "{size}");
        seen.push(id);
    }
    let encoded = |id: &str| seen.iter().filter(|seen| *seen == id).count();
    // Percent-encoded, dots too; one for each of the two endpoints.
    for id in ["%C3%A9", "%20sp%20", "a%2Eb", "100%25", "%22q%22"] {
        assert_eq!(encoded(id), 2, "{id}: {seen:?}");
    }
    for n in 0..8 {
        assert_eq!(encoded(&format!("good-{n}")), 2, "{seen:?}");
    }
}
