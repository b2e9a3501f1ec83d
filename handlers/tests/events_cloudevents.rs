//! CloudEvents as the HTTP binding and the JSON format of version 1.0.2 have them.
//!
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use http::Request;
use restis::Redis;
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, app, auth::ServiceTokens};
use serde_json::{Value, json};
use support::calls::{get, post, send};

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn functions() -> Router {
    let redis = Redis::embedded(Engine::new(Options::default()));
    let tokens = ServiceTokens::none().with_full_access("root", "ROOT");
    app(AppState::builder(redis).tokens(tokens).build().unwrap())
}

fn publish(media: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let request = Request::post("/api/events/publish")
        .header("authorization", "Bearer ROOT")
        .header("content-type", media);
    headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    })
}

async fn call(router: &Router, request: http::request::Builder, body: Value) -> (u16, Value) {
    let (response, body) = send(router, request, body).await;
    (response.status().as_u16(), body)
}

async fn newest(router: &Router) -> Value {
    let (_, page) = call(
        router,
        get("/api/events/history?limit=500", "ROOT"),
        Value::Null,
    )
    .await;
    page["events"].as_array().unwrap().last().unwrap()["event"].clone()
}

fn event() -> Value {
    json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "a.b", "data": { "n": 1 } })
}

#[tokio::test]
async fn the_type_of_the_body_decides_whatever_headers_there_are() {
    let router = functions();
    let other = [
        ("ce-type", "x.y"),
        ("ce-id", "9"),
        ("ce-source", "/x"),
        ("ce-specversion", "1.0"),
    ];
    for media in [ONE, "Application/CloudEvents+JSON;charset=UTF-8"] {
        let mut event = event();
        event["id"] = json!(media);
        assert_eq!(
            call(&router, publish(media, &other), event.clone()).await.0,
            201
        );
        let stored = newest(&router).await;
        assert_eq!(
            (&stored["type"], &stored["data"], &stored["source"]),
            (&json!("a.b"), &json!({ "n": 1 }), &json!("/s"))
        );
    }
    let two = json!([{ "type": "a.one", "id": "b1" }, { "type": "a.two", "id": "b2" }]);
    let (status, body) = call(&router, publish(BATCH, &other), two).await;
    assert_eq!((status, body.as_array().unwrap().len()), (207, 2));
    assert_eq!(newest(&router).await["type"], "a.two");
    assert_eq!(
        call(
            &router,
            publish("application/cloudevents+xml", &other),
            json!({})
        )
        .await
        .0,
        415
    );
    assert_eq!(
        call(&router, publish(ONE, &[]), json!([event()])).await.0,
        400
    );
    assert_eq!(call(&router, publish(BATCH, &[]), event()).await.0, 400);
    assert_eq!(
        call(
            &router,
            publish("application/json", &other),
            json!({ "whole": "body" })
        )
        .await
        .0,
        201
    );
    assert_eq!(newest(&router).await["data"], json!({ "whole": "body" }));
    assert_eq!(
        call(&router, publish("application/json", &other[1..]), event())
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn a_null_is_as_if_absent() {
    let router = functions();
    let mut nulls = event();
    for name in [
        "id",
        "time",
        "subject",
        "datacontenttype",
        "dataschema",
        "correlationid",
        "data_base64",
        "anything",
    ] {
        nulls[name] = Value::Null;
    }
    let (status, body) = call(&router, publish(ONE, &[]), nulls.clone()).await;
    assert_eq!(status, 201, "{body}");
    let stored = newest(&router).await;
    assert!(
        stored.as_object().unwrap().values().all(|v| !v.is_null()),
        "{stored}"
    );
    assert!(stored.get("anything").is_none());
    assert_eq!(stored["id"], body["id"]);
    let (status, again) = call(&router, publish(ONE, &[]), nulls).await;
    assert_eq!(status, 201, "each got an id of its own: {again}");
    let (status, _) = call(
        &router,
        publish(ONE, &[]),
        json!({ "specversion": "1.0", "type": null, "source": "/" }),
    )
    .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_bad_event_of_a_batch_is_told_by_its_place() {
    let router = functions();
    let text = |bytes: usize| "x".repeat(bytes);
    let batch = json!([
        { "type": "a", "id": "0" },
        { "type": "not valid" },
        { "type": "a", "data": text(300_000) },
        { "type": "a", "nested": {} },
        "no event",
        { "type": "a", "subject": text(600) },
        { "type": "a", "id": "6" },
    ]);
    let (status, body) = call(&router, publish(BATCH, &[]), batch).await;
    assert_eq!(status, 207, "{body}");
    for (index, verdict) in body.as_array().unwrap().iter().enumerate() {
        let wanted = if matches!(index, 0 | 6) {
            "published"
        } else {
            "rejected"
        };
        assert_eq!(
            (&verdict["index"], &verdict["status"]),
            (&json!(index), &json!(wanted)),
            "{verdict}"
        );
    }
    assert!(
        body[2]["detail"].as_str().unwrap().contains("262144"),
        "{}",
        body[2]
    );
}

#[tokio::test]
async fn headers_are_unquoted_and_percent_decoded_once() {
    let router = functions();
    let base = [
        ("ce-type", "a.b"),
        ("ce-source", "/s"),
        ("ce-specversion", "1.0"),
    ];
    for (sent, read) in [
        ("Euro%20%E2%82%AC", "Euro €"),
        (
            "\"quoted \\\"text\\\" \\\\ 100%25\"",
            "quoted \"text\" \\ 100%",
        ),
        ("100%2525", "100%25"),
        ("plain", "plain"),
    ] {
        let headers = [&base[..], &[("ce-subject", sent)]].concat();
        assert_eq!(
            call(&router, publish("application/json", &headers), json!(1))
                .await
                .0,
            201,
            "{sent}"
        );
        assert_eq!(newest(&router).await["subject"], read);
    }
    for (name, value) in [
        ("ce-datacontenttype", "text/plain"),
        ("ce-data", "x"),
        ("ce-subject", "%FF"),
        ("ce-specversion", "0.3"),
    ] {
        let headers = [&base[..2], &[(name, value)]].concat();
        assert_eq!(
            call(&router, publish("application/json", &headers), json!(1))
                .await
                .0,
            400,
            "{name}"
        );
    }
    let twice = [&base[..], &[("ce-id", "1"), ("ce-id", "2")]].concat();
    assert_eq!(
        call(&router, publish("application/json", &twice), json!(1))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn every_attribute_has_a_bound_and_fits_a_header() {
    let router = functions();
    let long = "x".repeat(513);
    let mut wrong = vec![
        json!({ "type": "a", "datacontenttype": "application/cloudevents+json", "data": {} }),
        json!({ "type": "a", "datacontenttype": "Application/CloudEvents-batch+json", "data": [] }),
        json!({ "type": "a", "datacontenttype": "text/pläin", "data": "x" }),
        json!({ "type": "a", "datacontenttype": "", "data": "x" }),
        json!({ "type": "a", "count": 1.5 }),
        json!({ "type": "a", "count": 5_000_000_000_u64 }),
    ];
    for name in [
        "id",
        "source",
        "subject",
        "datacontenttype",
        "dataschema",
        "correlationid",
        "traceparent",
    ] {
        let mut event = json!({ "type": "a" });
        event[name] = json!(long);
        wrong.push(event.clone());
        event[name] = json!("line\nbreak");
        wrong.push(event);
    }
    let mut many = json!({ "type": "a" });
    for n in 0..40 {
        many[format!("extension{n}")] = json!("é".repeat(200));
    }
    wrong.push(many);
    for event in wrong {
        let (status, body) =
            call(&router, post("/api/events/publish", "ROOT"), event.clone()).await;
        assert_eq!(status, 400, "{event}: {body}");
        let (_, body) = call(&router, post("/api/events/publish", "ROOT"), json!([event])).await;
        assert_eq!(body[0]["status"], "rejected");
    }
}

#[tokio::test]
async fn the_real_binary_reads_them_alike() {
    let store = support::store();
    let mut app = support::App::start(store.url(), &[("PORT", "0"), ("HOST", "127.0.0.1")]);
    let url = format!("http://{}/api/events/publish", app.address());
    let http = support::http();
    let send = async |media: &str, body: Value| {
        let request = http
            .post(&url)
            .bearer_auth(support::SERVICE_TOKEN)
            .header("content-type", media);
        let request = request
            .header("ce-type", "x.y")
            .header("ce-id", "9")
            .body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap(),
        )
    };
    let (status, body) = send(ONE, event()).await;
    assert_eq!((status, &body["id"]), (201, &json!("1")));
    let (status, body) = send(
        BATCH,
        json!([{ "type": "a" }, { "type": "a", "data": "x".repeat(300_000) }]),
    )
    .await;
    assert_eq!(
        (status, &body[1]["index"], &body[1]["status"]),
        (207, &json!(1), &json!("rejected"))
    );
}
