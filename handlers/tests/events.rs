//! The event routes through the router, with the REST server as the store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use http::{Request, StatusCode};
use restis::{
    Redis,
    events::{Environment, Event, Events, GrantKeys, Settle, TypeFilter},
    prelude::*,
};
use restis_handlers::{
    AppState, Config, app,
    auth::{Scope, ServiceTokens},
};
use serde_json::{Value, json};
use std::time::Duration;
use support::calls::{Stream, get, post, send};

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
    let secret = "the grant secret of the event tests";
    let grant_keys = GrantKeys::new([secret], Environment::Development).unwrap();
    Config {
        tokens,
        grant_keys: Some(grant_keys),
        ..Config::default()
    }
}

fn router(store: &str, config: Config) -> axum::Router {
    let redis = Redis::builder(store, "TOKEN").build().unwrap();
    app(AppState::builder(redis).config(config).build().unwrap())
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
    for (range, count) in [
        ("since=2026-01-01T00:00:00Z", 3),
        ("until=2026-01-01T00:00:00Z", 0),
        ("since=9999999999999", 0),
        ("since=0&until=9999999999999&limit=2", 2),
    ] {
        let uri = format!("/api/events/history?{range}");
        let (_, page) = send(&router, get(&uri, "READER"), Value::Null).await;
        assert_eq!(page["events"].as_array().unwrap().len(), count, "{range}");
    }
    let (response, _) = send(
        &router,
        get("/api/events/history?since=soon", "READER"),
        Value::Null,
    )
    .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
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
    let image = Request::post("/api/events/publish")
        .header("authorization", "Bearer ROOT")
        .header("content-type", "image/png")
        .header("ce-type", "binary.image");
    let (_, body) = send(&router, image, json!("bytes")).await;
    let uri = "/api/events/history?type=binary.image";
    let (_, page) = send(&router, get(uri, "READER"), Value::Null).await;
    let event = &page["events"][0];
    assert_eq!(event["cursor"], body["cursor"]);
    assert_eq!(
        [
            &event["event"]["data_base64"],
            &event["event"]["datacontenttype"]
        ],
        [&json!("ImJ5dGVzIg=="), &json!("image/png")]
    );
}

#[tokio::test]
async fn an_event_with_an_id_is_published_once_whichever_way_it_comes() {
    let store = support::store();
    let router = router(store.url(), config());
    let event = json!({ "type": "a", "id": "1", "source": "/s" });
    let publish = async |body: Value| {
        let (response, body) = send(&router, post("/api/events/publish", "ROOT"), body).await;
        (response.status().as_u16(), body)
    };
    let (status, first) = publish(event.clone()).await;
    assert_eq!(status, 201);
    let (status, again) = publish(event.clone()).await;
    assert_eq!((status, &again["cursor"]), (200, &first["cursor"]));
    let (_, batch) = publish(json!([event])).await;
    assert_eq!(batch[0]["status"], "duplicate");
    let outbox = json!({ "client": "c", "epoch": 1, "first": 1, "events": [event] });
    let (_, sync) = send(&router, post("/api/events/sync", "ROOT"), outbox).await;
    assert_eq!(sync["results"][0]["status"], "duplicate");
    // An id of the caller is known for the whole window, one that was made here for minutes.
    let redis = Redis::builder(store.url(), "TOKEN").build().unwrap();
    let shortest = async || {
        let keys: Vec<String> = redis.keys("events:development:dedup:*").await.unwrap();
        let mut left = Vec::new();
        for key in keys {
            left.push(redis.ttl(key).await.unwrap());
        }
        redis.flushdb().await.unwrap();
        left.into_iter().min().unwrap()
    };
    assert!(shortest().await > 80_000);
    publish(json!({ "type": "a" })).await;
    assert!(shortest().await <= 600);
    publish(json!([{ "type": "a" }, { "type": "a", "id": "2" }])).await;
    assert!(shortest().await > 80_000);
    let quoted = post("/api/events/publish", "ROOT").header("idempotency-key", "\"k\"");
    send(&router, quoted, json!({ "type": "b" })).await;
    let bare = post("/api/events/publish", "ROOT").header("idempotency-key", "k");
    let (response, _) = send(&router, bare, json!({ "type": "b" })).await;
    assert_eq!(response.status(), StatusCode::OK);
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
    assert!(health["instance"].is_null(), "for nobody without a token");
    let (_, health) = send(&router, get("/api/events/health", "ROOT"), Value::Null).await;
    let instance = &health["instance"];
    assert_eq!(instance["last_error"]["kind"], "connect");
    assert!(instance["last_error"]["at_ms"].as_u64() > Some(0) && instance["refused"] == 1);
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
    let mut stream = Stream::open(&router, request).await;
    let mut offsets: Vec<u64> = Vec::new();
    let mut read_to = async |wanted: usize| {
        while offsets.len() < wanted {
            let id = stream.next().await.unwrap().id.unwrap();
            offsets.push(id.split('.').nth(1).unwrap().parse().unwrap());
        }
        offsets.clone()
    };
    read_to(4).await;
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
    let offsets = read_to(104).await;
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_eq!(offsets, (2..=105).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_outbox_goes_in_once_and_what_was_missed_comes_out() {
    let store = support::store();
    let router = router(store.url(), config());
    let missed = json!({ "type": "a.missed" });
    send(&router, post("/api/events/publish", "ROOT"), missed).await;
    let sync = |body: Value| send(&router, post("/api/events/sync", "ROOT"), body);
    let (_, start) = sync(json!({ "client": "phone", "epoch": 1 })).await;
    assert_eq!(start["results"], json!([]));
    send(
        &router,
        post("/api/events/publish", "ROOT"),
        json!({ "type": "a.other" }),
    )
    .await;
    let body = json!({ "client": "phone", "epoch": 1, "first": 1, "after": start["missed"]["cursor"],
        "events": [{ "type": "a.b", "id": "1" }, { "type": "no id" }, { "type": "a.b", "id": "3" }] });
    let statuses = |answer: &Value| -> Vec<String> {
        let results = answer["results"].as_array().unwrap();
        results
            .iter()
            .map(|r| r["status"].as_str().unwrap().to_owned())
            .collect()
    };
    let (response, answer) = sync(body.clone()).await;
    assert_eq!(response.status(), StatusCode::OK, "{answer}");
    assert_eq!(statuses(&answer), ["accepted", "rejected", "accepted"]);
    assert_eq!(answer["results"][2]["number"], 3);
    assert_eq!(answer["missed"]["events"].as_array().unwrap().len(), 3);
    let (_, again) = sync(body).await;
    assert_eq!(statuses(&again), ["duplicate", "rejected", "duplicate"]);
    assert_eq!(again["missed"]["events"].as_array().unwrap().len(), 3);
    let (_, gap) = sync(json!({ "client": "phone", "epoch": 1, "first": 9,
        "events": [{ "type": "a", "id": "9" }] }))
    .await;
    assert_eq!(gap["results"][0]["expected"], 4);
    let (response, _) = send(
        &router,
        post("/api/events/sync", "READER"),
        json!({ "client": "phone", "epoch": 1, "first": 4, "events": [{ "type": "a", "id": "4" }] }),
    )
    .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_grant_reads_its_types_and_nothing_else() {
    let store = support::store();
    let router = router(store.url(), config());
    for kind in ["booking.created", "user.created", "booking.paid"] {
        send(
            &router,
            post("/api/events/publish?organisation=acme", "ROOT"),
            json!({ "type": kind }),
        )
        .await;
    }
    let ask = json!({ "types": ["booking.*"], "organisation": "acme", "ttl_seconds": 60 });
    let (response, body) = send(&router, post("/api/events/grants", "ROOT"), ask.clone()).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{body}");
    let grant = body["grant"].as_str().unwrap().to_owned();
    let kinds = |page: &Value| -> Vec<String> {
        let events = page["events"].as_array().unwrap();
        events
            .iter()
            .map(|e| e["event"]["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, page) = send(&router, get("/api/events/history", &grant), Value::Null).await;
    assert_eq!(kinds(&page), ["booking.created", "booking.paid"]);
    let by_query = Request::get(format!("/api/events/history?grant={grant}"));
    let (_, page) = send(&router, by_query, Value::Null).await;
    assert_eq!(kinds(&page), ["booking.created", "booking.paid"]);
    let status = async |request| send(&router, request, Value::Null).await.0.status();
    assert_eq!(
        status(get("/api/events/history?organisation=other", &grant)).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(get("/api/events/history", &format!("{grant}x"))).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        status(get("/api/events/dlq", &grant)).await,
        StatusCode::UNAUTHORIZED
    );
    let (response, _) = send(&router, post("/api/events/grants", "READER"), ask).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_event_is_tied_to_the_request_that_brought_it_unless_it_says_otherwise() {
    let store = support::store();
    let router = router(store.url(), config());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = || post("/api/events/publish", "ROOT").header("traceparent", trace);
    let named = traced().header("x-correlation-id", "order-7");
    send(&router, named, json!({ "type": "a" })).await;
    let own = json!([{ "type": "b", "correlationid": "own", "traceparent": "own" }]);
    send(&router, traced(), own).await;
    let (response, _) = send(&router, traced(), json!({ "type": "c" })).await;
    let request_id = response.headers()["x-request-id"].to_str().unwrap();
    let (_, page) = send(&router, get("/api/events/history", "READER"), Value::Null).await;
    for (n, correlation, parent) in [
        (0, "order-7", trace),
        (1, "own", "own"),
        (2, request_id, trace),
    ] {
        let event = &page["events"][n]["event"];
        assert_eq!(
            (&event["correlationid"], &event["traceparent"]),
            (&json!(correlation), &json!(parent))
        );
    }
    let uri = "/api/events/history?correlation_id=order-7";
    let (_, page) = send(&router, get(uri, "READER"), Value::Null).await;
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn history_comes_as_a_cloud_events_batch_too() {
    let store = support::store();
    let router = router(store.url(), config());
    let kind = "application/cloudevents-batch+json";
    let batch =
        json!([{ "type": "a", "id": "1" }, { "type": "b", "id": "2" }, { "type": "c", "id": "3" }]);
    send(&router, post("/api/events/publish", "ROOT"), batch).await;
    let read = |uri: String| get(&uri, "READER").header("accept", format!("{kind}, */*;q=0.1"));
    let uri = "/api/events/history?limit=2".to_owned();
    let (response, body) = send(&router, read(uri), Value::Null).await;
    assert_eq!(response.headers()["content-type"], kind);
    let ids = |body: &Value| -> Vec<String> {
        let events = body.as_array().unwrap();
        let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
        events.iter().map(id).collect()
    };
    assert_eq!(ids(&body), ["1", "2"]);
    let cursor = response.headers()["events-cursor"].to_str().unwrap();
    let uri = format!("/api/events/history?after={cursor}");
    let (_, rest) = send(&router, read(uri), Value::Null).await;
    assert_eq!(ids(&rest), ["3"]);
    // What was read can be published as it is, and is known already.
    let again = Request::post("/api/events/publish")
        .header("authorization", "Bearer ROOT")
        .header("content-type", kind);
    let (_, verdicts) = send(&router, again, body).await;
    assert_eq!(verdicts[0]["status"], "duplicate");
    let uri = "/api/events/history?after=0123.1".to_owned();
    let (response, problem) = send(&router, read(uri), Value::Null).await;
    assert_eq!(
        (response.status(), &problem["reason"]),
        (StatusCode::GONE, &json!("epoch_changed"))
    );
}

#[tokio::test]
async fn an_app_syncs_by_a_grant_as_far_as_it_goes() {
    let store = support::store();
    let router = router(store.url(), config());
    let grant = async |subject: &str| {
        let ask = json!({ "types": ["note.*"], "publish": ["note.*"], "subject": subject });
        let (_, body) = send(&router, post("/api/events/grants", "ROOT"), ask).await;
        body["grant"].as_str().unwrap().to_owned()
    };
    let (alice, bob) = (grant("alice").await, grant("bob").await);
    let sync = async |grant: &str, body: Value| {
        let (response, body) = send(&router, post("/api/events/sync", grant), body).await;
        assert_eq!(response.status(), StatusCode::OK, "{body}");
        body
    };
    let outbox = |epoch: u64, id: &str, kind: &str| json!({ "client": "phone", "epoch": epoch, "first": 1, "events": [{ "type": kind, "id": id }] });
    let start = json!({ "client": "phone", "epoch": 1 });
    send(
        &router,
        post("/api/events/publish", "ROOT"),
        json!({ "type": "other" }),
    )
    .await;
    let cursor = sync(&alice, start).await["missed"]["cursor"].clone();
    let sent = sync(&alice, outbox(1, "a", "note.added")).await;
    assert_eq!(sent["results"][0]["status"], "accepted");
    // The same client name of another subject, with a newer epoch, ends nobody's outbox.
    let sent = sync(&bob, outbox(9, "b", "note.added")).await;
    assert_eq!(sent["results"][0]["status"], "accepted");
    let again = sync(&alice, outbox(1, "a", "note.added")).await;
    assert_eq!(again["results"][0]["status"], "duplicate");
    let refused = sync(&bob, outbox(10, "c", "booking.created")).await;
    assert_eq!(refused["results"][0]["status"], "rejected");
    send(
        &router,
        post("/api/events/publish", "ROOT"),
        json!({ "type": "booking.created" }),
    )
    .await;
    let ask = json!({ "client": "phone", "epoch": 1, "after": cursor });
    let missed = sync(&alice, ask).await;
    let events = missed["missed"]["events"].as_array().unwrap();
    assert!(events.len() == 2 && events.iter().all(|e| e["event"]["type"] == "note.added"));
    let ask = json!({ "client": "phone", "epoch": 1, "after": cursor, "types": ["note.removed"] });
    assert_eq!(sync(&alice, ask).await["missed"]["events"], json!([]));
    let nameless = json!({ "types": ["note.*"], "publish": ["note.*"] });
    let (response, _) = send(&router, post("/api/events/grants", "ROOT"), nameless).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn dead_letters_are_listed_redriven_and_purged() {
    let store = support::store();
    let router = router(store.url(), config());
    let redis = Redis::builder(store.url(), "TOKEN").build().unwrap();
    let events = Events::new(redis, Environment::Development);
    events.register("mail", &TypeFilter::all()).await.unwrap();
    let worker = events.worker("mail", "one").unwrap();
    for n in 0..2 {
        let event = Event::new("user.created", "/", json!(n)).unwrap();
        events.publish(&event).await.unwrap();
    }
    let fail = async |count| {
        for work in worker.receive(count).await.unwrap() {
            let dead = Settle::Dead("schema".into(), "no address".into());
            assert!(worker.settle(&work, dead).await.unwrap());
        }
    };
    fail(10).await;
    let list = || get("/api/events/dlq", "ROOT");
    let (_, page) = send(&router, list(), Value::Null).await;
    assert_eq!(page["total"], 2);
    let letter = &page["letters"][0];
    assert_eq!(
        [&letter["reason"], &letter["failures"][0]["error"]],
        [&json!("schema"), &json!("no address")]
    );
    let uri = format!("/api/events/dlq/{}", letter["id"].as_str().unwrap());
    let (_, one) = send(&router, get(&uri, "ROOT"), Value::Null).await;
    assert_eq!(&one, letter);
    let redrive = || post("/api/events/dlq/redrive", "ROOT");
    let (_, none) = send(
        &router,
        redrive(),
        json!({ "oldest": 10, "reason": "poison" }),
    )
    .await;
    assert_eq!(none["count"], 0);
    let (_, one) = send(&router, redrive(), json!({ "ids": [letter["id"]] })).await;
    assert_eq!(one["count"], 1);
    assert_eq!(worker.receive(10).await.unwrap().len(), 1);
    let purge = post("/api/events/dlq/purge", "ROOT");
    let (_, gone) = send(&router, purge, json!({ "oldest": 10 })).await;
    assert_eq!(gone["count"], 1);
    let (_, page) = send(&router, list(), Value::Null).await;
    assert_eq!(page["total"], 0);
    let (response, _) = send(&router, redrive(), json!({})).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let (response, _) = send(&router, get("/api/events/dlq", "READER"), Value::Null).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn health_tells_what_waits_what_fails_and_how_long_publishing_takes() {
    let store = support::store();
    let router = router(store.url(), config());
    let redis = Redis::builder(store.url(), "TOKEN").build().unwrap();
    let events = Events::new(redis, Environment::Development);
    events.register("mail", &TypeFilter::all()).await.unwrap();
    let worker = events.worker("mail", "one").unwrap();
    for kind in ["a", "b", "b", "b"] {
        let publish = post("/api/events/publish", "ROOT");
        send(&router, publish, json!({ "type": kind })).await;
    }
    let health = |token| get("/api/events/health?hours=24&loopback=true", token);
    let (_, body) = send(&router, health("ROOT"), Value::Null).await;
    assert_eq!(
        (&body["status"], &body["warnings"]),
        (&json!("ok"), &json!([])),
        "{body}"
    );
    for work in worker.receive(3).await.unwrap() {
        let dead = Settle::Dead("schema".into(), "no address".into());
        worker.settle(&work, dead).await.unwrap();
    }
    let (response, body) = send(&router, health("ROOT"), Value::Null).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        (&body["status"], &body["warnings"]),
        (&json!("degraded"), &json!(["dead-letters"]))
    );
    assert_eq!(
        (
            &body["dead_letters"]["waiting"],
            &body["backlog"]["mail"]["waiting"]
        ),
        (&json!(3), &json!(1))
    );
    let failing = json!([{ "type": "b", "dead_letters": 2 }, { "type": "a", "dead_letters": 1 }]);
    assert_eq!(body["top_failing"], failing);
    assert_eq!(body["hours"].as_array().unwrap().len(), 24);
    let published: u64 = (0..2)
        .map(|hour| body["hours"][hour]["published"]["b"].as_u64().unwrap_or(0))
        .sum();
    assert_eq!(published, 3);
    // The last call is told by the next one.
    assert_eq!(body["publish"]["calls"], 3);
    assert!(body["publish"]["p99_ms"].as_f64() >= body["publish"]["p50_ms"].as_f64());
    assert!(body["loopback_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(body["instance"]["circuit"], "closed");
    for (token, status) in [("PUBLISHER", 200), ("WRONG", 401)] {
        let (response, body) = send(&router, health(token), Value::Null).await;
        assert_eq!(response.status().as_u16(), status);
        assert!(body.get("backlog").is_none() && body.get("hours").is_none());
    }
    let wrong = get("/api/events/health?hours=169", "ROOT");
    assert_eq!(send(&router, wrong, Value::Null).await.0.status(), 400);
}

#[cfg(feature = "schemas")]
#[tokio::test]
async fn data_that_does_not_fit_its_schema_is_refused_with_the_places() {
    let store = support::store();
    let schemas = r#"{"booking.created":{"type":"object","properties":{"n":{"type":"integer"}}}}"#;
    let schemas = restis::events::Schemas::parse(schemas).unwrap().strict();
    let router = router(
        store.url(),
        Config {
            schemas: schemas.into(),
            ..config()
        },
    );
    let event =
        |n: Value| json!({ "type": "booking.created", "id": n.to_string(), "data": { "n": n } });
    let publish = |body: Value| send(&router, post("/api/events/publish", "ROOT"), body);
    let (response, _) = publish(event(json!(1))).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let (response, problem) = publish(event(json!("x"))).await;
    assert_eq!(
        (
            response.status(),
            &problem["code"],
            &problem["errors"][0]["pointer"]
        ),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!("schema-mismatch"),
            &json!("/n")
        )
    );
    let batch = json!([event(json!("x")), event(json!(2)), { "type": "other" }]);
    let (_, verdicts) = publish(batch).await;
    let statuses = [0, 1, 2].map(|n| verdicts[n]["status"].as_str().unwrap());
    assert_eq!(statuses, ["rejected", "published", "rejected"]);
    let outbox = json!({ "client": "c", "epoch": 1, "first": 1, "events": [event(json!("x")), event(json!(3))] });
    let (_, sync) = send(&router, post("/api/events/sync", "ROOT"), outbox).await;
    let statuses = [0, 1].map(|n| sync["results"][n]["status"].as_str().unwrap());
    assert_eq!(statuses, ["rejected", "accepted"]);
}

#[test]
fn schemas_come_from_the_environment_or_the_start_fails() {
    let config = |name: &'static str, value: &'static str| {
        Config::from_vars(move |n| (n == name).then(|| value.to_owned()))
    };
    let good = config("EVENTS_SCHEMAS", r#"{"a":{"type":"string"}}"#);
    // Without the feature nobody would check: that must not look like success.
    assert_eq!(good.is_ok(), cfg!(feature = "schemas"));
    for (name, value) in [
        ("EVENTS_SCHEMAS", "{"),
        ("EVENTS_SCHEMAS_FILE", "/nowhere/schemas.json"),
        ("EVENTS_UNREGISTERED_TYPES", "reject"),
    ] {
        let error = config(name, value).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_batch_that_is_sent_again_with_its_key_is_stored_once() {
    let store = support::store();
    let router = router(store.url(), config());
    let publish = async |body: Value| {
        let request = post("/api/events/publish", "ROOT").header("idempotency-key", "k");
        send(&router, request, body).await.1
    };
    let batch = json!([{ "type": "a" }, { "type": "a b" }, { "type": "a", "data": 1 }]);
    let first = publish(batch.clone()).await;
    let again = publish(batch).await;
    for at in [0, 2] {
        assert_eq!(
            (&first[at]["status"], &again[at]["status"]),
            (&json!("published"), &json!("duplicate"))
        );
        assert_eq!(first[at]["cursor"], again[at]["cursor"]);
        // The repeat was given another id, which nothing has.
        assert!(first[at]["id"].is_string() && again[at]["id"].is_null());
    }
    assert_eq!(
        (&first[1]["status"], &again[1]["status"]),
        (&json!("rejected"), &json!("rejected"))
    );
    let other = publish(json!([{ "type": "b" }])).await;
    assert_eq!(other[0]["status"], "rejected");
}

#[tokio::test]
async fn history_is_filtered_by_patterns_and_what_is_none_is_refused() {
    let store = support::store();
    let router = router(store.url(), config());
    let batch = json!([{ "type": "a.x" }, { "type": "a.y.z" }, { "type": "b" }, { "type": "ab" }]);
    send(&router, post("/api/events/publish", "ROOT"), batch).await;
    let types = async |filter: &str| {
        let uri = format!("/api/events/history?type={filter}");
        let (response, page) = send(&router, get(&uri, "ROOT"), Value::Null).await;
        let events = page["events"].as_array().cloned().unwrap_or_default();
        let types = events
            .iter()
            .map(|e| e["event"]["type"].as_str().unwrap().to_owned());
        (
            response.status().as_u16(),
            types.collect::<Vec<_>>().join(" "),
        )
    };
    for (filter, wanted) in [
        ("a.*", "a.x a.y.z"),
        ("a.", "a.x a.y.z"),
        ("a.x,b", "a.x b"),
        ("*", "a.x a.y.z b ab"),
        ("c", ""),
    ] {
        assert_eq!(types(filter).await, (200, wanted.to_owned()), "{filter}");
    }
    for wrong in ["", ",", "a*", "a-b", "*.a", "history", "%00"] {
        assert_eq!(types(wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_stream_of_an_empty_history_has_a_place_to_come_back_to() {
    let store = support::store();
    let router = router(store.url(), config());
    let mut stream = Stream::open(&router, get("/api/events/stream", "ROOT")).await;
    let ready = stream.next().await.unwrap();
    assert_eq!(
        (ready.event.as_str(), ready.id.as_deref()),
        ("ready", ready.data["cursor"].as_str())
    );
    drop(stream);
    send(
        &router,
        post("/api/events/publish", "ROOT"),
        json!({ "type": "a" }),
    )
    .await;
    let back = get("/api/events/stream", "ROOT").header("last-event-id", ready.id.unwrap());
    let missed = Stream::open(&router, back).await.next().await.unwrap();
    assert_eq!(missed.event, "a");
    // So has an app that syncs before anything happens.
    let sync = async |after: Value| {
        let body = json!({ "client": "c", "epoch": 1, "organisation": "acme", "after": after });
        send(&router, post("/api/events/sync", "ROOT"), body)
            .await
            .1["missed"]
            .clone()
    };
    let first = sync(Value::Null).await;
    send(
        &router,
        post("/api/events/publish?organisation=acme", "ROOT"),
        json!({ "type": "b" }),
    )
    .await;
    let missed = sync(first["cursor"].clone()).await;
    assert_eq!(
        (&missed["events"][0]["event"]["type"], &missed["reset"]),
        (&json!("b"), &json!(false))
    );
}
