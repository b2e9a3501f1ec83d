//! The event routes through the router, with the REST server as the store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use restis::Redis;
use restis_handlers::{
    AppState, Config, app,
    auth::{Scope, ServiceTokens},
};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

fn config() -> Config {
    let tokens = ServiceTokens::none()
        .with_full_access("root", "ROOT")
        .with(
            "publisher",
            "PUBLISHER",
            &[Scope::EventsPublish],
            Some(&["acme"]),
        )
        .with("reader", "READER", &[Scope::EventsRead], None);
    Config {
        tokens,
        ..Config::default()
    }
}

fn router(store: &str, config: Config) -> axum::Router {
    let redis = Redis::builder(store, "TOKEN").build().unwrap();
    app(AppState::builder(redis).config(config).build().unwrap())
}

async fn send(
    router: &axum::Router,
    request: http::request::Builder,
    body: Value,
) -> (Response<()>, Value) {
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let response = router
        .clone()
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(parts, ()),
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

fn post(uri: &str, token: &str) -> http::request::Builder {
    Request::post(uri)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
}

fn get(uri: &str, token: &str) -> http::request::Builder {
    Request::get(uri).header("authorization", format!("Bearer {token}"))
}

#[tokio::test]
async fn events_are_published_once_and_read_in_order() {
    let store = support::store();
    let router = router(store.url(), config());
    let event = json!({ "type": "booking.created", "data": { "n": 1 }, "correlationid": "c" });
    let publish = || post("/api/events/publish", "ROOT").header("idempotency-key", "k");
    let (response, body) = send(&router, publish(), event.clone()).await;
    assert_eq!(
        (response.status(), &body["offset"], &body["durable"]),
        (StatusCode::CREATED, &json!(1), &json!(true))
    );
    let (response, body) = send(&router, publish(), event).await;
    assert_eq!(
        (response.status(), &body["status"]),
        (StatusCode::OK, &json!("duplicate"))
    );
    let (response, body) = send(&router, publish(), json!({ "type": "other" })).await;
    assert_eq!(
        (response.status(), &body["code"]),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!("idempotency-mismatch")
        )
    );
    let batch = json!([{ "type": "a", "id": "1" }, { "type": "not valid" }, { "type": "b" }]);
    let (response, body) = send(&router, post("/api/events/publish", "ROOT"), batch).await;
    assert_eq!(response.status(), StatusCode::MULTI_STATUS);
    assert_eq!(
        [&body[0]["status"], &body[1]["status"], &body[2]["offset"]],
        [&json!("published"), &json!("rejected"), &json!(3)]
    );
    let (_, page) = send(
        &router,
        get("/api/events/history?limit=2", "READER"),
        Value::Null,
    )
    .await;
    assert_eq!(
        (page["events"].as_array().unwrap().len(), &page["has_more"]),
        (2, &json!(true))
    );
    assert_eq!(page["events"][0]["event"]["data"], json!({ "n": 1 }));
    let after = page["cursor"].as_str().unwrap();
    let (_, page) = send(
        &router,
        get(&format!("/api/events/history?after={after}"), "READER"),
        Value::Null,
    )
    .await;
    assert_eq!(page["events"][0]["event"]["type"], "b");
    let (_, page) = send(
        &router,
        get("/api/events/history?after=0123.1", "READER"),
        Value::Null,
    )
    .await;
    assert_eq!(
        (&page["reset"], &page["reason"]),
        (&json!(true), &json!("epoch_changed"))
    );
    let (response, health) = send(&router, Request::get("/api/events/health"), Value::Null).await;
    assert_eq!(
        (response.status(), &health["status"], &health["durable"]),
        (StatusCode::OK, &json!("ok"), &json!(true))
    );
    let binary = Request::post("/api/events/publish")
        .header("authorization", "Bearer ROOT")
        .header("content-type", "application/json")
        .header("ce-type", "binary.mode")
        .header("ce-source", "/x")
        .header("ce-id", "77");
    let (response, body) = send(&router, binary, json!({ "x": 1 })).await;
    assert_eq!(
        (response.status(), &body["id"]),
        (StatusCode::CREATED, &json!("77"))
    );
}

#[tokio::test]
async fn every_kind_of_caller_gets_what_it_may() {
    let store = support::store();
    let router = router(store.url(), config());
    let event = || json!({ "type": "a" });
    for (uri, token, status) in [
        ("/api/events/publish", "WRONG", 401),
        ("/api/events/publish", "READER", 403),
        ("/api/events/publish", "PUBLISHER", 403),
        ("/api/events/publish?organisation=other", "PUBLISHER", 403),
        ("/api/events/publish?organisation=acme", "PUBLISHER", 201),
        ("/api/events/publish", "ROOT", 201),
    ] {
        let (response, _) = send(&router, post(uri, token), event()).await;
        assert_eq!(response.status().as_u16(), status, "{uri} {token}");
    }
    for uri in [
        "/api/events/history",
        "/api/events/poll",
        "/api/events/stream",
    ] {
        let (response, _) = send(&router, get(uri, "PUBLISHER"), Value::Null).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{uri}");
        let (response, _) = send(&router, Request::get(uri), Value::Null).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{uri}");
    }
    let (_, page) = send(&router, get("/api/events/history", "READER"), Value::Null).await;
    assert_eq!(
        page["events"].as_array().unwrap().len(),
        1,
        "the organisation's event is not in the shared history"
    );
}

#[tokio::test]
async fn while_the_store_is_away_nothing_looks_like_success() {
    let router = router(
        &format!("http://127.0.0.1:{}", support::free_port()),
        config(),
    );
    let (response, body) = send(
        &router,
        post("/api/events/publish", "ROOT"),
        json!({ "type": "a" }),
    )
    .await;
    assert_eq!(
        (response.status(), &body["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("store-unavailable"))
    );
    assert!(response.headers().contains_key("retry-after") && body["offset"].is_null());
    let (response, _) = send(&router, get("/api/events/history", "ROOT"), Value::Null).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (response, health) = send(&router, Request::get("/api/events/health"), Value::Null).await;
    assert_eq!(
        (response.status(), &health["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
}

#[tokio::test]
async fn with_the_history_off_answers_say_that_nothing_is_stored() {
    let store = support::store();
    let router = router(
        store.url(),
        Config {
            redis_events: false,
            ..config()
        },
    );
    let (response, body) = send(
        &router,
        post("/api/events/publish", "ROOT"),
        json!({ "type": "a" }),
    )
    .await;
    assert_eq!(
        (response.status(), &body["durable"]),
        (StatusCode::ACCEPTED, &json!(false))
    );
    let (response, _) = send(&router, get("/api/events/history", "ROOT"), Value::Null).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_long_poll_answers_as_soon_as_something_is_published() {
    let store = support::store();
    let router = router(
        store.url(),
        Config {
            request_timeout: Duration::from_secs(20),
            ..config()
        },
    );
    let (_, first) = send(
        &router,
        post("/api/events/publish", "ROOT"),
        json!({ "type": "a" }),
    )
    .await;
    let uri = format!(
        "/api/events/poll?after={}",
        first["cursor"].as_str().unwrap()
    );
    let waiting = tokio::spawn({
        let router = router.clone();
        async move { send(&router, get(&uri, "READER"), Value::Null).await }
    });
    tokio::task::yield_now().await;
    send(
        &router,
        post("/api/events/publish", "ROOT"),
        json!({ "type": "b" }),
    )
    .await;
    let (_, page) = tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page["events"][0]["event"]["type"], "b");
}

/// Reads frames of a stream until the wanted number of events with an id came.
async fn read_ids(body: &mut Body, text: &mut String, wanted: usize) -> Vec<String> {
    let read = async {
        loop {
            let ids: Vec<String> = text
                .lines()
                .filter_map(|l| l.strip_prefix("id: "))
                .map(str::to_owned)
                .collect();
            if ids.len() >= wanted {
                return ids;
            }
            let frame = body.frame().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_stream_sends_what_was_missed_then_live_events_in_order_without_repeats() {
    let store = support::store();
    let router = router(store.url(), config());
    let mut first = None;
    for n in 0..5 {
        let (_, body) = send(
            &router,
            post("/api/events/publish", "ROOT"),
            json!({ "type": "a", "data": n }),
        )
        .await;
        first = first.or(body["cursor"].as_str().map(str::to_owned));
    }
    let request = get("/api/events/stream", "READER").header("last-event-id", first.unwrap());
    let response = router
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut text = String::new();
    read_ids(&mut body, &mut text, 4).await;
    let publishers: Vec<_> = (0..4)
        .map(|_| {
            let router = router.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    let (response, _) = send(
                        &router,
                        post("/api/events/publish", "ROOT"),
                        json!({ "type": "b" }),
                    )
                    .await;
                    assert_eq!(response.status(), StatusCode::CREATED);
                }
            })
        })
        .collect();
    let ids = read_ids(&mut body, &mut text, 104).await;
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let offsets: Vec<u64> = ids
        .iter()
        .map(|id| id.split('.').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(offsets, (2..=105).collect::<Vec<_>>());
}
