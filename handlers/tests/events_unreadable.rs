//! What no reader could read is refused; what is stored all the same is passed over and told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, Config, app};
use serde_json::{Value, json};
use support::{
    SERVICE_TOKEN,
    calls::{Stream, get, post, send},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn vars() -> [(&'static str, String); 3] {
    let senders = json!({ "partner": { "secrets": [SECRET] } });
    let endpoints = json!([{
        "name": "sister", "url": "http://127.0.0.1:9/", "secrets": [SECRET], "types": ["*"], "private": true
    }]);
    [
        ("RESTIS_SERVICE_TOKEN", SERVICE_TOKEN.to_owned()),
        ("EVENTS_INCOMING_WEBHOOKS", senders.to_string()),
        ("EVENTS_WEBHOOKS", endpoints.to_string()),
    ]
}

fn functions() -> (Router, Redis) {
    let redis = Redis::embedded(Engine::new(Options::default()));
    let vars = vars();
    let of = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|v| v.1.clone());
    let config = Config::from_vars(of).unwrap();
    let state = AppState::builder(redis.clone()).config(config);
    (app(state.build().unwrap()), redis)
}

/// Arrays in arrays, so many.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

/// The same as text, where it may be more than a JSON reader takes.
fn event_text(levels: usize) -> String {
    let data = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    format!(
        r#"{{"specversion":"1.0","id":"{levels}","source":"/s","type":"a.deep","data":{data}}}"#
    )
}

async fn call(router: &Router, request: http::request::Builder, body: Value) -> (u16, Value) {
    let (response, body) = send(router, request, body).await;
    (response.status().as_u16(), body)
}

async fn publish(router: &Router, event: Value) -> (u16, Value) {
    call(router, post("/api/events/publish", SERVICE_TOKEN), event).await
}

async fn history(router: &Router, query: &str) -> Value {
    let uri = format!("/api/events/history{query}");
    let (status, page) = call(router, get(&uri, SERVICE_TOKEN), Value::Null).await;
    assert_eq!(status, 200, "{page}");
    page
}

async fn add(redis: &Redis, key: &str, id: &str, fields: &[&[u8]]) {
    let call = redis.command("XADD").arg(key).arg(id);
    let call = call.args(fields.iter().map(|f| f.to_vec()));
    call.query::<String>().await.unwrap();
}

#[tokio::test]
async fn data_that_nests_too_deep_is_refused_at_every_intake_before_it_is_stored() {
    let (router, _) = functions();
    let (status, _) = publish(&router, json!({ "type": "a.deep", "data": nested(64) })).await;
    assert_eq!(status, 201);
    for levels in [65, 100, 126] {
        let (status, body) = publish(&router, json!({ "type": "a", "data": nested(levels) })).await;
        assert_eq!(status, 400, "{levels}");
        assert!(body["detail"].as_str().unwrap().contains("64"), "{body}");
    }
    for levels in [65, 100, 120] {
        let batch = json!([{ "type": "a.b" }, { "type": "a", "data": nested(levels) }]);
        let (status, body) = publish(&router, batch).await;
        assert_eq!(
            (status, &body[0]["status"], &body[1]["status"]),
            (207, &json!("published"), &json!("rejected"))
        );
    }
    let at = SystemClock::new().now_ms() / 1000;
    let body = json!({ "type": "paid", "data": nested(100) });
    let keys = WebhookKeys::new([SECRET]).unwrap();
    let webhook = http::Request::post("/api/events/webhooks/partner")
        .header("content-type", "application/json")
        .header("webhook-id", "1")
        .header("webhook-timestamp", at.to_string())
        .header(
            "webhook-signature",
            keys.sign("1", at, body.to_string().as_bytes()),
        );
    assert_eq!(call(&router, webhook, body).await.0, 400);
    let outbox = json!({ "client": "c", "epoch": 1, "first": 1,
        "events": [{ "type": "a", "id": "1", "data": nested(100) }, { "type": "a.b", "id": "2" }] });
    let (status, body) = call(&router, post("/api/events/sync", SERVICE_TOKEN), outbox).await;
    assert_eq!(
        (status, &body["results"][0]["status"]),
        (200, &json!("rejected"))
    );
    assert_eq!(body["results"][1]["status"], "accepted");
    let page = history(&router, "").await;
    assert!(page.get("unreadable").is_none());
    assert_eq!(page["events"][0]["event"]["data"], nested(64));
}

#[tokio::test]
async fn a_reader_passes_over_what_it_cannot_read_and_tells_its_offset() {
    let (router, redis) = functions();
    assert_eq!(publish(&router, json!({ "type": "a.first" })).await.0, 201);
    let cursor = history(&router, "").await["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let deep = event_text(500);
    let now = SystemClock::new().now_ms().to_string();
    let two = r#"{"specversion":"1.0","id":"x","source":"/","type":"a"},{"specversion":"1.0","id":"y","source":"/","type":"a"}"#;
    let entries: [&[&[u8]]; 8] = [
        &[
            b"d",
            deep.as_bytes(),
            b"t",
            b"00000000",
            b"m",
            now.as_bytes(),
        ],
        &[b"d", two.as_bytes()],
        &[b"d", b"\xff\xfe\n,\n", b"t", b"a,b,c", b"m", b"soon"],
        &[b"d", b"", b"t", b"", b"m", b""],
        &[b"x", b"1"],
        &[
            b"d",
            br#"{"specversion":"1.0","id":"1","source":"/","type":"a\r\nevent: b"}"#,
        ],
        &[
            b"d",
            br#"{"specversion":"1.0","id":"1","id":"2","source":"/","type":"a"}"#,
        ],
        &[b"m", b"1", b"d", b"{}", b"t", b"x"],
    ];
    for (n, fields) in entries.iter().enumerate() {
        add(
            &redis,
            "events:development:history",
            &format!("{}-0", n + 2),
            fields,
        )
        .await;
    }
    // The next event comes after them.
    let (status, body) = publish(&router, json!({ "type": "a.last" })).await;
    assert_eq!((status, &body["offset"]), (201, &json!(10)));
    let unreadable: Vec<u64> = (2..=9).collect();
    for query in [
        "",
        "?type=a.*",
        "?since=2026-01-01T00:00:00Z",
        "?limit=500&until=9999999999999",
    ] {
        let page = history(&router, query).await;
        let types: Vec<&Value> = page["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["event"]["type"])
            .collect();
        assert_eq!(types, ["a.first", "a.last"], "{query}");
        let offsets: Vec<u64> = page["unreadable"]
            .as_array()
            .unwrap()
            .iter()
            .map(|u| u["offset"].as_u64().unwrap())
            .collect();
        assert_eq!(offsets, unreadable, "{query}");
    }
    // Page by page, too.
    let mut after = cursor.clone();
    let mut seen = Vec::new();
    for _ in 0..20 {
        let page = history(&router, &format!("?limit=2&after={after}")).await;
        let list = |name: &str| page[name].as_array().cloned().unwrap_or_default();
        seen.extend(
            list("unreadable")
                .iter()
                .chain(&list("events"))
                .map(|e| e["offset"].as_u64().unwrap()),
        );
        after = page["cursor"].as_str().unwrap().to_owned();
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(seen, (2..=10).collect::<Vec<u64>>());
    let poll = get(&format!("/api/events/poll?after={cursor}"), SERVICE_TOKEN);
    let (status, page) = call(&router, poll, Value::Null).await;
    assert_eq!(
        (status, page["unreadable"].as_array().unwrap().len()),
        (200, 8)
    );
    let sync = json!({ "client": "c", "epoch": 1, "after": cursor });
    let (status, body) = call(&router, post("/api/events/sync", SERVICE_TOKEN), sync).await;
    assert_eq!(
        (
            status,
            body["missed"]["unreadable"].as_array().unwrap().len()
        ),
        (200, 8)
    );
    let batch = get("/api/events/history", SERVICE_TOKEN)
        .header("accept", "application/cloudevents-batch+json");
    let (response, events) = send(&router, batch, Value::Null).await;
    assert_eq!(response.headers()["events-unreadable"], "2,3,4,5,6,7,8,9");
    assert_eq!(events.as_array().unwrap().len(), 2);
    let stream = get("/api/events/stream", SERVICE_TOKEN).header("last-event-id", &cursor);
    let mut stream = Stream::open(&router, stream).await;
    for offset in unreadable {
        let message = stream.next().await.unwrap();
        assert_eq!(
            (message.event.as_str(), &message.data),
            ("unreadable", &json!({ "offset": offset }))
        );
        assert!(
            message.id.is_some(),
            "a client that comes back is not told again"
        );
    }
    assert_eq!(stream.next().await.unwrap().event, "a.last");
}

#[tokio::test]
async fn work_that_cannot_be_read_is_a_dead_letter_and_stalls_nothing_else() {
    let (router, redis) = functions();
    let tick = async || {
        let (status, body) = call(
            &router,
            post("/api/events/work", SERVICE_TOKEN),
            Value::Null,
        )
        .await;
        assert_eq!(status, 200, "{body}");
        body["endpoints"][0].clone()
    };
    tick().await;
    let deep = event_text(500);
    for _ in 0..3 {
        add(
            &redis,
            "events:development:work:sister",
            "*",
            &[
                b"d",
                deep.as_bytes(),
                b"o",
                b"e.1",
                b"h",
                b"events:development:history:acme",
                b"k",
                b"a",
            ],
        )
        .await;
    }
    add(
        &redis,
        "events:development:work:sister",
        "*",
        &[b"x", b"\xff"],
    )
    .await;
    redis
        .command("ZADD")
        .args(["events:development:work:sister:retry", "0", "not an id"])
        .query::<i64>()
        .await
        .unwrap();
    let uri = "/api/events/publish?organisation=other";
    assert_eq!(
        call(
            &router,
            post(uri, SERVICE_TOKEN),
            json!({ "type": "a.good" })
        )
        .await
        .0,
        201
    );
    let done = tick().await;
    assert_eq!(
        (&done["dead"], &done["retried"]),
        (&json!(4), &json!(1)),
        "{done}"
    );
    let (status, page) = call(&router, get("/api/events/dlq", SERVICE_TOKEN), Value::Null).await;
    assert_eq!((status, &page["total"]), (200, &json!(4)), "{page}");
    for letter in page["letters"].as_array().unwrap() {
        assert_eq!(
            (&letter["reason"], &letter["unreadable"]),
            (&json!("unreadable"), &json!(true)),
            "{letter}"
        );
    }
    add(
        &redis,
        "events:development:dlq",
        "*",
        &[b"\xff", b"\xfe", b"s", b"sister:retry"],
    )
    .await;
    let (status, page) = call(&router, get("/api/events/dlq", SERVICE_TOKEN), Value::Null).await;
    assert_eq!(
        (status, page["letters"].as_array().unwrap().len()),
        (200, 5)
    );
    let all = json!({ "oldest": 500 });
    let (status, body) = call(
        &router,
        post("/api/events/dlq/redrive", SERVICE_TOKEN),
        all.clone(),
    )
    .await;
    assert_eq!(
        (status, &body["count"]),
        (200, &json!(0)),
        "they would come back"
    );
    let (status, body) = call(&router, post("/api/events/dlq/purge", SERVICE_TOKEN), all).await;
    assert_eq!((status, &body["count"]), (200, &json!(5)));
}

#[tokio::test]
async fn the_real_binary_refuses_and_passes_over_alike() {
    let store = support::store();
    let vars = vars();
    let vars: Vec<(&str, &str)> = vars[1..].iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut app = support::App::start(store.url(), &[&vars[..], &[("PORT", "0")]].concat());
    let base = format!("http://{}/api/events", app.address());
    let http = support::http();
    let publish = async |event: Value| {
        let request = http
            .post(format!("{base}/publish"))
            .bearer_auth(SERVICE_TOKEN)
            .header("content-type", "application/json")
            .body(event.to_string());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(
        publish(json!({ "type": "a.b", "data": nested(120) })).await,
        400
    );
    assert_eq!(publish(json!({ "type": "a.b" })).await, 201);
    let redis = Redis::builder(store.url(), "TOKEN").build().unwrap();
    add(
        &redis,
        "events:development:history",
        "2-0",
        &[b"d", event_text(500).as_bytes()],
    )
    .await;
    assert_eq!(publish(json!({ "type": "a.c" })).await, 201);
    let request = http
        .get(format!("{base}/history"))
        .bearer_auth(SERVICE_TOKEN);
    let page = request.send().await.unwrap().text().await.unwrap();
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["unreadable"][0]["offset"], 2, "{page}");
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
}
