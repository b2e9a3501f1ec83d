//! Whose an event is: what one publisher, sender or app writes is never taken for another's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::Router;
use http::Request;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, Config, app};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::calls::{Stream, get, post, send};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn vars() -> Vec<(&'static str, String)> {
    let sha256 = |token: &str| hex(&Sha256::digest(token));
    let token =
        |name: &str, token: &str| json!({ "name": name, "sha256": sha256(token), "scopes": ["*"] });
    let mut reader = token("reader", "READER");
    reader["scopes"] = json!(["events:publish"]);
    let tokens = json!([token("billing", "BILLING"), token("shop", "SHOP"), reader]);
    let senders = json!({ "partner": { "secrets": [SECRET], "types": ["*"] } });
    vec![
        ("RESTIS_SERVICE_TOKENS", tokens.to_string()),
        ("EVENTS_INCOMING_WEBHOOKS", senders.to_string()),
        (
            "EVENTS_GRANT_SECRETS",
            "the grant secret of the identity tests".to_owned(),
        ),
    ]
}

fn functions() -> Router {
    let vars = vars();
    let of = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|v| v.1.clone());
    let redis = Redis::embedded(Engine::new(Options::default()));
    let state = AppState::builder(redis).config(Config::from_vars(of).unwrap());
    app(state.build().unwrap())
}

async fn call(router: &Router, request: http::request::Builder, body: Value) -> (u16, Value) {
    let (response, body) = send(router, request, body).await;
    (response.status().as_u16(), body)
}

async fn publish(router: &Router, token: &str, event: Value) -> u16 {
    call(router, post("/api/events/publish", token), event)
        .await
        .0
}

async fn keyed(router: &Router, uri: &str, key: &str, event: Value) -> (u16, Value) {
    let request = post(uri, "BILLING").header("idempotency-key", key);
    call(router, request, event).await
}

async fn webhook(router: &Router, media: &str, id: &str, body: &Value) -> (u16, Value) {
    let at = SystemClock::new().now_ms() / 1000;
    let keys = WebhookKeys::new([SECRET]).unwrap();
    let request = Request::post("/api/events/webhooks/partner")
        .header("content-type", media)
        .header("webhook-id", id)
        .header("webhook-timestamp", at.to_string())
        .header(
            "webhook-signature",
            keys.sign(id, at, body.to_string().as_bytes()),
        );
    call(router, request, body.clone()).await
}

async fn grant(router: &Router, publish: &[&str], subject: &str) -> String {
    let ask = json!({ "types": ["*"], "publish": publish, "subject": subject });
    let (status, body) = call(router, post("/api/events/grants", "BILLING"), ask).await;
    assert_eq!(status, 201, "{body}");
    body["grant"].as_str().unwrap().to_owned()
}

async fn sources(router: &Router) -> Vec<String> {
    let (_, page) = call(router, get("/api/events/history", "BILLING"), Value::Null).await;
    let events = page["events"].as_array().unwrap();
    events
        .iter()
        .map(|e| e["event"]["source"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_item_of_a_list_of_types_is_one_type() {
    let router = functions();
    for wrong in ["notes.u1,*", "a.b, c.d", " a", "a\n", "", ",", "a.*,b"] {
        for list in ["types", "publish"] {
            let mut ask = json!({ "types": ["a.b"], "publish": ["a.b"], "subject": "s" });
            ask[list] = json!([wrong]);
            let (status, body) = call(&router, post("/api/events/grants", "BILLING"), ask).await;
            assert_eq!(status, 400, "{list} {wrong:?}: {body}");
        }
        let ask = json!({ "client": "c", "epoch": 1, "types": [wrong] });
        let (status, _) = call(&router, post("/api/events/sync", "BILLING"), ask).await;
        assert_eq!(status, 400, "{wrong:?}");
        for name in ["EVENTS_INCOMING_WEBHOOKS", "EVENTS_WEBHOOKS"] {
            let value = match name {
                "EVENTS_WEBHOOKS" => {
                    json!([{ "name": "n", "url": "https://example.com", "secrets": [SECRET], "types": [wrong] }])
                }
                _ => json!({ "n": { "secrets": [SECRET], "types": [wrong] } }),
            };
            let read = Config::from_vars(|n| (n == name).then(|| value.to_string()));
            assert!(read.unwrap_err().to_string().contains(name), "{wrong:?}");
        }
    }
}

#[tokio::test]
async fn source_and_id_key_and_organisation_are_never_run_together() {
    let router = functions();
    let shared = "/api/events/publish";
    for (source, id) in [
        ("/q", "b c"),
        ("/q b", "c"),
        ("/q:b", "c"),
        ("/q", "b:c"),
        ("/q", "b%20c"),
    ] {
        let event = json!({ "type": "a", "source": source, "id": id });
        assert_eq!(
            publish(&router, "BILLING", event).await,
            201,
            "{source} {id}"
        );
    }
    let acme = "/api/events/publish?organisation=acme";
    let event = json!({ "type": "a", "data": 1 });
    for (uri, key) in [
        (shared, "acme:order-7"),
        (acme, "order-7"),
        (shared, "order-7"),
        (shared, "K#0"),
    ] {
        assert_eq!(
            keyed(&router, uri, key, event.clone()).await.0,
            201,
            "{uri} {key}"
        );
    }
    for (uri, key) in [(shared, "acme:order-7"), (acme, "order-7")] {
        assert_eq!(
            keyed(&router, uri, key, event.clone()).await.0,
            200,
            "{uri} {key}"
        );
    }
    // A place of a batch is no key, and a key is no event's identity.
    let (_, body) = keyed(&router, shared, "K", json!([{ "type": "b" }])).await;
    assert_eq!(body[0]["status"], "published");
    let digest = hex(&Sha256::digest("/bill inv-1"));
    assert_eq!(
        keyed(&router, shared, &digest, json!({ "type": "x" }))
            .await
            .0,
        201
    );
    let bill = json!({ "type": "bill", "source": "/bill", "id": "inv-1" });
    assert_eq!(publish(&router, "BILLING", bill).await, 201);
    // The counts of an organisation of this name are not those of the dead letters.
    let failed = "/api/events/publish?organisation=failed";
    assert_eq!(
        keyed(&router, failed, "1", json!({ "type": "only.here" }))
            .await
            .0,
        201
    );
    let (_, health) = call(&router, get("/api/events/health", "BILLING"), Value::Null).await;
    assert_eq!(health["hours"][0]["failed"], json!({}));
}

#[tokio::test]
async fn nobody_takes_the_identity_of_anothers_event() {
    let router = functions();
    let paid = |data: u64| json!({ "specversion": "1.0", "type": "order.paid", "source": "/billing", "id": "order-7-paid", "data": data });
    let app = grant(&router, &["order.*"], "mallory").await;
    let outbox = json!({ "client": "c", "epoch": 1, "first": 1, "events": [paid(0)] });
    let (_, body) = call(&router, post("/api/events/sync", &app), outbox.clone()).await;
    assert_eq!(body["results"][0]["status"], "accepted");
    let (status, _) = webhook(&router, "application/cloudevents+json", "m1", &paid(1)).await;
    assert_eq!(status, 201);
    assert_eq!(publish(&router, "SHOP", paid(2)).await, 201);
    assert_eq!(publish(&router, "BILLING", paid(3)).await, 201);
    assert_eq!(
        publish(&router, "BILLING", paid(3)).await,
        200,
        "its own repeat"
    );
    assert_eq!(publish(&router, "BILLING", paid(4)).await, 422);
    let (_, body) = call(&router, post("/api/events/sync", &app), outbox).await;
    assert_eq!(body["results"][0]["status"], "duplicate");
    assert_eq!(
        sources(&router).await,
        [
            "/subjects/mallory/billing",
            "/webhooks/partner/billing",
            "/billing",
            "/billing"
        ]
    );
    // Outboxes of one name of two tokens are two.
    let outbox = |token: &'static str, epoch: u64| {
        let body = json!({ "client": "c", "epoch": epoch, "first": 1, "events": [{ "type": "n", "id": "1" }] });
        (post("/api/events/sync", token), body)
    };
    for (token, epoch) in [("SHOP", 9), ("BILLING", 1)] {
        let (request, body) = outbox(token, epoch);
        let (_, body) = call(&router, request, body).await;
        assert_eq!(body["results"][0]["status"], "accepted", "{token}");
    }
    for source in [
        "/subjects/mallory/../alice",
        "..",
        "/subjects/mallory/%2E%2e/alice",
    ] {
        let body = json!({ "client": "d", "epoch": 1, "first": 1, "events": [{ "type": "order.x", "id": "1", "source": source }] });
        let (_, body) = call(&router, post("/api/events/sync", &app), body).await;
        assert_eq!(body["results"][0]["status"], "rejected", "{source}");
    }
}

#[tokio::test]
async fn a_webhook_is_one_message_whatever_form_its_event_has() {
    let router = functions();
    let event = json!({ "specversion": "1.0", "type": "a.b", "source": "/webhooks/partner/x" });
    for (media, first) in [
        ("application/cloudevents+json", 201),
        ("Application/CloudEvents+JSON; charset=utf-8", 200),
    ] {
        let (status, body) = webhook(&router, media, "m1", &event).await;
        assert_eq!((status, &body["id"]), (first, &json!("m1")), "{media}");
    }
    let mut null = event.clone();
    null["id"] = Value::Null;
    null["subject"] = Value::Null;
    assert_eq!(
        webhook(&router, "application/cloudevents+json", "m2", &null)
            .await
            .0,
        201
    );
    assert_eq!(
        webhook(&router, "application/cloudevents+json", "m2", &null)
            .await
            .0,
        200
    );
    let batch = json!([event, { "type": "not valid" }, event]);
    for status in ["published", "duplicate"] {
        let (code, body) =
            webhook(&router, "application/cloudevents-batch+json", "m3", &batch).await;
        assert_eq!(
            (code, &body[0]["status"], &body[2]["status"]),
            (207, &json!(status), &json!(status))
        );
        assert_eq!(
            (&body[1]["status"], &body[1]["index"]),
            (&json!("rejected"), &json!(1))
        );
    }
    let sources = sources(&router).await;
    assert!(
        sources.iter().all(|s| s == "/webhooks/partner/x"),
        "{sources:?}"
    );
    assert_eq!(sources.len(), 4);
    // A text that another id and time would make, too.
    let now = SystemClock::new().now_ms() / 1000;
    assert_eq!(
        webhook(&router, "application/json", &format!("m.{now}"), &json!({}))
            .await
            .0,
        401
    );
}

#[tokio::test]
async fn the_end_of_the_shared_history_is_for_who_may_read_it() {
    let router = functions();
    publish(&router, "BILLING", json!({ "type": "a" })).await;
    let (_, all) = call(&router, Request::get("/api/events/health"), Value::Null).await;
    assert!(all.get("cursor").is_none(), "{all}");
    let (_, some) = call(&router, get("/api/events/health", "READER"), Value::Null).await;
    assert!(some.get("cursor").is_none(), "{some}");
    let (_, told) = call(&router, get("/api/events/health", "BILLING"), Value::Null).await;
    assert!(told["cursor"].is_string(), "{told}");
}

#[tokio::test]
async fn messages_of_a_stream_cannot_be_forged() {
    let router = functions();
    for kind in [
        "ready",
        "reset",
        "bye",
        "outage",
        "resumed",
        "hint",
        "unreadable",
        "error",
        "message",
        "open",
        "coordination",
    ] {
        let (status, body) = call(
            &router,
            post("/api/events/publish", "BILLING"),
            json!({ "type": kind }),
        )
        .await;
        assert_eq!(
            (status, &body["code"]),
            (422, &json!("reserved-type")),
            "{kind}"
        );
        let binary = post("/api/events/publish", "BILLING").header("ce-type", kind);
        assert_eq!(call(&router, binary, json!({})).await.0, 422, "{kind}");
        let (status, body) = call(
            &router,
            post("/api/events/publish", "BILLING"),
            json!([{ "type": kind }]),
        )
        .await;
        assert_eq!(
            (status, &body[0]["status"]),
            (207, &json!("rejected")),
            "{kind}"
        );
        let sync = json!({ "client": "c", "epoch": 1, "first": 1, "events": [{ "type": kind, "id": kind }] });
        let (_, body) = call(&router, post("/api/events/sync", "SHOP"), sync).await;
        assert_ne!(body["results"][0]["status"], "accepted", "{kind}");
        let event = json!({ "specversion": "1.0", "type": kind, "source": "/", "id": "1" });
        assert_eq!(
            webhook(&router, "application/cloudevents+json", kind, &event)
                .await
                .0,
            422
        );
        assert_eq!(
            publish(&router, "BILLING", json!({ "type": format!("{kind}.x") })).await,
            201
        );
    }
}

#[tokio::test]
async fn an_event_that_was_stored_under_a_reserved_name_is_no_message_of_the_stream() {
    let redis = Redis::embedded(Engine::new(Options::default()));
    let vars = vars();
    let of = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|v| v.1.clone());
    let state = AppState::builder(redis.clone()).config(Config::from_vars(of).unwrap());
    let router = app(state.build().unwrap());
    publish(&router, "BILLING", json!({ "type": "a" })).await;
    let (_, page) = call(&router, get("/api/events/history", "BILLING"), Value::Null).await;
    let event =
        r#"{"specversion":"1.0","id":"1","source":"/","type":"reset","data":{"cursor":"x.1"}}"#;
    let add = redis
        .command("XADD")
        .args(["events:development:history", "2-0", "d", event]);
    add.query::<String>().await.unwrap();
    publish(&router, "BILLING", json!({ "type": "b" })).await;
    let request = get("/api/events/stream", "BILLING")
        .header("last-event-id", page["cursor"].as_str().unwrap());
    let mut stream = Stream::open(&router, request).await;
    let stored = stream.next().await.unwrap();
    assert_eq!(
        (stored.event.as_str(), &stored.data["type"]),
        ("stored:reset", &json!("reset"))
    );
    assert_eq!(stream.next().await.unwrap().event, "b");
}

#[tokio::test]
async fn an_event_source_that_names_no_place_is_told_to_load_its_state() {
    let router = functions();
    publish(&router, "BILLING", json!({ "type": "a" })).await;
    let (_, page) = call(&router, get("/api/events/history", "BILLING"), Value::Null).await;
    let cursor = page["cursor"].as_str().unwrap().to_owned();
    for wrong in ["nonsense", "1", "a.b.c", "0123.1", "%00", "é"] {
        let query = percent(wrong);
        for uri in [format!("?lastEventId={query}"), format!("?after={query}")] {
            let request = get(&format!("/api/events/stream{uri}"), "BILLING");
            let mut stream = Stream::open(&router, request).await;
            let reset = stream.next().await.unwrap();
            assert_eq!(reset.event, "reset", "{uri}");
            assert_eq!(reset.data["cursor"], json!(cursor), "{uri}");
        }
        let request =
            get("/api/events/stream", "BILLING").header("last-event-id", wrong.as_bytes());
        let mut stream = Stream::open(&router, request).await;
        assert_eq!(stream.next().await.unwrap().event, "reset", "{wrong}");
    }
    publish(&router, "BILLING", json!({ "type": "b" })).await;
    let request = get(
        &format!("/api/events/stream?lastEventId={cursor}"),
        "BILLING",
    );
    let mut stream = Stream::open(&router, request).await;
    assert_eq!(stream.next().await.unwrap().event, "b");
    // The header of the browser itself is newer than the query that it was opened with.
    let (_, page) = call(&router, get("/api/events/history", "BILLING"), Value::Null).await;
    publish(&router, "BILLING", json!({ "type": "c" })).await;
    let request = get(
        &format!("/api/events/stream?lastEventId={cursor}"),
        "BILLING",
    );
    let request = request.header("last-event-id", page["cursor"].as_str().unwrap());
    assert_eq!(
        Stream::open(&router, request)
            .await
            .next()
            .await
            .unwrap()
            .event,
        "c"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn percent(text: &str) -> String {
    text.bytes()
        .fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

#[tokio::test]
async fn a_polyfill_of_event_source_passes_the_preflight() {
    let config =
        Config::from_vars(|n| (n == "CORS_ORIGINS").then(|| "https://app.example".to_owned()));
    let redis = Redis::embedded(Engine::new(Options::default()));
    let router = app(AppState::builder(redis)
        .config(config.unwrap())
        .build()
        .unwrap());
    let preflight = Request::options("/api/events/stream")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "GET")
        .header(
            "access-control-request-headers",
            "cache-control,last-event-id,authorization",
        );
    let (response, _) = send(&router, preflight, Value::Null).await;
    let allowed = response.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(allowed.contains("cache-control"), "{allowed}");
}

#[tokio::test]
async fn the_real_binary_keeps_identities_apart_alike() {
    let store = support::store();
    let vars = vars();
    let vars: Vec<(&str, &str)> = vars.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut app = support::App::start(
        store.url(),
        &[&vars[..], &[("PORT", "0"), ("HOST", "127.0.0.1")]].concat(),
    );
    let base = format!("http://{}/api/events", app.address());
    let http = support::http();
    let send = async |path: &str, token: &str, body: Value| {
        let request = http
            .post(format!("{base}/{path}"))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap(),
        )
    };
    let wide = json!({ "types": ["notes.u1,*"] });
    assert_eq!(send("grants", "BILLING", wide).await.0, 400);
    for (source, id) in [("/q", "b c"), ("/q b", "c")] {
        let event = json!({ "type": "a", "source": source, "id": id });
        assert_eq!(send("publish", "BILLING", event.clone()).await.0, 201);
        assert_eq!(send("publish", "SHOP", event).await.0, 201);
    }
    assert_eq!(
        send("publish", "SHOP", json!({ "type": "reset" })).await.0,
        422
    );
    let health = http.get(format!("{base}/health")).send().await.unwrap();
    let health: Value = serde_json::from_str(&health.text().await.unwrap()).unwrap();
    assert!(health.get("cursor").is_none());
    let stream = http
        .get(format!("{base}/stream?lastEventId=nonsense"))
        .bearer_auth("SHOP");
    let mut response = stream.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut text = String::new();
    while !text.contains("event: reset") {
        text += std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap();
    }
}
