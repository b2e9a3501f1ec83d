//! Events while the store is away, or answers too late: what was said must be true.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use restis::{Redis, events::TypeFilter};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, Config, app, auth::ServiceTokens};
use restis_server::{Running, Server};
use serde_json::{Value, json};
use std::time::Duration;
use support::calls::{Stream, get, post, send};

fn router(store: &str, change: impl FnOnce(&mut Config)) -> axum::Router {
    let redis = Redis::builder(store, "TOKEN").timeout(Duration::from_millis(500));
    let mut config = Config {
        tokens: ServiceTokens::none().with_full_access("root", "ROOT"),
        best_effort: TypeFilter::parse("typing.*").unwrap(),
        ..Config::default()
    };
    change(&mut config);
    let state = AppState::builder(redis.build().unwrap()).config(config);
    app(state.build().unwrap())
}

fn nowhere() -> String {
    format!("http://127.0.0.1:{}", support::free_port())
}

fn server(engine: &Engine, faults: Option<&str>) -> Running {
    let mut server = Server::builder().token("TOKEN").engine(engine.clone());
    if let Some(faults) = faults {
        server = server.faults(faults.parse().unwrap());
    }
    server
        .threads(1)
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap()
}

async fn publish(router: &axum::Router, body: Value) -> (u16, Value, http::HeaderMap) {
    let (response, body) = send(router, post("/api/events/publish", "ROOT"), body).await;
    (response.status().as_u16(), body, response.headers().clone())
}

#[tokio::test]
async fn best_effort_types_are_told_within_the_instance_and_the_answer_says_so() {
    let router = router(&nowhere(), |_| {});
    let mut stream = Stream::open(&router, get("/api/events/stream", "ROOT")).await;
    assert_eq!(stream.next().await.unwrap().event, "outage");
    let event = json!({ "type": "typing.started", "id": "1", "data": { "user": 7 } });
    let (status, body, _) = publish(&router, event).await;
    assert_eq!(status, 202);
    assert_eq!(
        body,
        json!({ "status": "local", "id": "1", "durable": false, "scope": "instance" })
    );
    let heard = stream.next().await.unwrap();
    assert_eq!((heard.event.as_str(), heard.id), ("typing.started", None));
    assert_eq!(
        (&heard.data["data"], &heard.data["durable"]),
        (&json!({ "user": 7 }), &json!(false))
    );
    // Not one is lost while the stream asks for the store again and again.
    for n in 0..300 {
        let event = json!({ "type": "typing.started", "data": n });
        assert_eq!(publish(&router, event).await.0, 202);
        assert_eq!(stream.next().await.unwrap().data["data"], n);
    }
    let (status, body, headers) = publish(&router, json!({ "type": "booking.created" })).await;
    assert_eq!((status, &body["code"]), (503, &json!("store-unavailable")));
    assert!(headers.contains_key("retry-after") && body["offset"].is_null());
}

#[tokio::test]
async fn an_unknown_outcome_is_told_with_what_makes_sending_again_safe() {
    let engine = Engine::new(Options::default());
    let late = server(&engine, Some("drop-after=100%"));
    let healthy = server(&engine, None);
    // A client of its own each time: after some failures the circuit opens, and nothing is sent at all.
    let late = || router(late.url(), |_| {});
    let healthy = router(healthy.url(), |_| {});
    let event = json!({ "type": "booking.created", "data": 1 });
    // The store knows the script from here on: what is dropped is the answer of a run.
    assert_eq!(publish(&healthy, json!({ "type": "first" })).await.0, 201);
    let (status, problem, headers) = publish(&late(), event.clone()).await;
    assert_eq!(status, 504);
    assert_eq!(problem["type"], "urn:restis:problem:outcome-unknown");
    assert!(headers.contains_key("retry-after"));
    let mut again = event.clone();
    for name in ["id", "source"] {
        again[name] = problem[name].clone();
    }
    let (status, body, _) = publish(&healthy, again).await;
    assert_eq!(
        (status, &body["offset"]),
        (200, &json!(2)),
        "it was stored, once"
    );

    let keyed = || post("/api/events/publish", "ROOT").header("idempotency-key", "k");
    let (response, problem) = send(&late(), keyed(), event.clone()).await;
    assert_eq!(response.status(), 504);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("Idempotency-Key")
    );
    let (response, body) = send(&healthy, keyed(), event).await;
    assert_eq!(
        (response.status().as_u16(), &body["offset"]),
        (200, &json!(3))
    );

    let batch = json!([{ "type": "a" }, { "type": "not valid" }, { "type": "b", "id": "x" }]);
    let (status, problem, _) = publish(&late(), batch).await;
    assert_eq!((status, &problem["code"]), (504, &json!("outcome-unknown")));
    let ids = problem["ids"].as_array().unwrap();
    assert_eq!((ids.len(), &ids[1]), (2, &json!("x")));
    let again = json!([{ "type": "a", "id": ids[0] }, { "type": "b", "id": "x" }]);
    let (_, verdicts, _) = publish(&healthy, again).await;
    let duplicate = json!("duplicate");
    assert_eq!(
        [&verdicts[0]["status"], &verdicts[1]["status"]],
        [&duplicate; 2]
    );
}

#[tokio::test]
async fn best_effort_with_an_unknown_outcome_says_both() {
    let engine = Engine::new(Options::default());
    let late = server(&engine, Some("drop-after=100%"));
    let router = router(late.url(), |_| {});
    let (status, body, _) = publish(&router, json!({ "type": "typing.started" })).await;
    assert_eq!((status, &body["unknown"]), (202, &json!(true)));
    let batch = json!([{ "type": "typing.started" }, { "type": "booking.created" }]);
    let (status, verdicts, _) = publish(&router, batch).await;
    assert_eq!(status, 207);
    assert_eq!(
        [&verdicts[0]["status"], &verdicts[1]["status"]],
        [&json!("local"), &json!("unknown")]
    );
}

#[tokio::test]
async fn a_batch_tells_for_each_event_that_it_is_not_stored() {
    let router = router(&nowhere(), |_| {});
    let batch = json!([{ "type": "typing.started" }, { "type": "booking.created" }, {}]);
    let (status, verdicts, _) = publish(&router, batch).await;
    assert_eq!(status, 207);
    let statuses: Vec<&str> = (0..3)
        .map(|n| verdicts[n]["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["local", "retry", "rejected"]);
    assert!((0..3).all(|n| verdicts[n]["durable"] == false && verdicts[n]["offset"].is_null()));
    let (status, _, _) = publish(&router, json!([{ "type": "booking.created" }])).await;
    assert_eq!(status, 503, "nothing of the batch is known to be anywhere");
}

#[tokio::test]
async fn with_the_history_off_streams_carry_what_this_instance_publishes() {
    let router = router(&nowhere(), |config| config.redis_events = false);
    let mut stream = Stream::open(&router, get("/api/events/stream?type=a", "ROOT")).await;
    for kind in ["b", "a"] {
        let (status, body, _) = publish(&router, json!({ "type": kind })).await;
        assert_eq!((status, &body["scope"]), (202, &json!("instance")));
    }
    let heard = stream.next().await.unwrap();
    assert_eq!((heard.event.as_str(), heard.id), ("a", None));
}

#[tokio::test]
async fn a_stream_outlives_an_outage_and_tells_when_nothing_is_missing() {
    let engine = Engine::new(Options::default());
    let store = server(&engine, None);
    let address = store.addr().to_string();
    let redis = Redis::embedded(engine.clone());
    let direct =
        AppState::builder(redis).tokens(ServiceTokens::none().with_full_access("root", "ROOT"));
    let direct = app(direct.build().unwrap());
    let router = router(store.url(), |_| {});
    let mut stream = Stream::open(&router, get("/api/events/stream", "ROOT")).await;
    assert_eq!(stream.next().await.unwrap().event, "ready");
    store.stop();
    store.wait();
    stream.find("outage").await;
    for n in 0..3 {
        assert_eq!(
            publish(&direct, json!({ "type": "a", "data": n })).await.0,
            201
        );
    }
    let again = Server::builder().token("TOKEN").engine(engine).threads(1);
    let _again = again.bind(&address).unwrap().spawn().unwrap();
    for n in 0..3 {
        let message = stream.next().await.unwrap();
        assert_eq!(
            (message.event.as_str(), &message.data["data"]),
            ("a", &json!(n))
        );
    }
    assert_eq!(stream.next().await.unwrap().event, "resumed");
}
