//! Signed webhooks both ways: one app delivers, another one takes them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use http::Request;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, Config, app};
use serde_json::{Value, json};
use support::calls::{get, post, send};
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An app over an engine of its own, configured by variables.
fn router(vars: &[(&str, String)]) -> axum::Router {
    let config = Config::from_vars(|name| {
        let set = vars.iter().find(|(n, _)| *n == name);
        set.map(|(_, value)| value.clone())
    });
    let redis = Redis::embedded(Engine::new(Options::default()));
    let config = config.unwrap();
    app(AppState::builder(redis).config(config).build().unwrap())
}

fn token() -> (&'static str, String) {
    ("RESTIS_SERVICE_TOKEN", support::SERVICE_TOKEN.to_owned())
}

fn incoming() -> axum::Router {
    let senders = json!({
        "partner": { "secrets": [SECRET], "organisation": "acme" },
        "sister": { "secrets": [SECRET], "types": ["booking.*"] }
    });
    router(&[token(), ("EVENTS_INCOMING_WEBHOOKS", senders.to_string())])
}

/// A signed request; the signature may be of other bytes than the body.
async fn signed(
    router: &axum::Router,
    sender: &str,
    id: &str,
    age_s: u64,
    signed: &Value,
    body: &Value,
) -> (u16, Value) {
    let at = SystemClock::new().now_ms() / 1000 - age_s;
    let keys = WebhookKeys::new([SECRET]).unwrap();
    let request = Request::post(format!("/api/events/webhooks/{sender}"))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at.to_string())
        .header(
            "webhook-signature",
            keys.sign(id, at, signed.to_string().as_bytes()),
        );
    let (response, answer) = send(router, request, body.clone()).await;
    (response.status().as_u16(), answer)
}

#[tokio::test]
async fn a_signed_webhook_becomes_an_event_once() {
    let router = incoming();
    let body = json!({ "type": "invoice.paid", "data": { "n": 7 } });
    let (status, first) = signed(&router, "partner", "msg_1", 0, &body, &body).await;
    assert_eq!((status, &first["id"]), (201, &json!("msg_1")), "{first}");
    let (status, again) = signed(&router, "partner", "msg_1", 100, &body, &body).await;
    assert_eq!((status, &again["cursor"]), (200, &first["cursor"]));
    let untyped = json!({ "x": 1 });
    signed(&router, "partner", "msg_2", 0, &untyped, &untyped).await;
    let history = get(
        "/api/events/history?organisation=acme",
        support::SERVICE_TOKEN,
    );
    let (_, page) = send(&router, history, Value::Null).await;
    let events = page["events"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(
        [
            &events[0]["event"]["type"],
            &events[0]["event"]["source"],
            &events[0]["event"]["data"]
        ],
        [
            &json!("partner.invoice.paid"),
            &json!("/webhooks/partner"),
            &body
        ]
    );
    assert_eq!(events[1]["event"]["type"], "partner.received");
}

#[tokio::test]
async fn what_is_not_signed_now_by_a_known_sender_is_refused_alike() {
    let router = incoming();
    let body = json!({ "type": "a" });
    let other = json!({ "type": "b" });
    let mut problems = Vec::new();
    for (sender, age_s, signed_body) in [
        ("nobody", 0, &body),
        ("partner", 301, &body),
        ("partner", 0, &other),
    ] {
        let (status, problem) = signed(&router, sender, "1", age_s, signed_body, &body).await;
        assert_eq!(
            (status, &problem["code"]),
            (401, &json!("signature-invalid"))
        );
        problems.push(problem);
    }
    problems.dedup();
    assert_eq!(problems.len(), 1, "which of them it was is not told");
    let unsigned = Request::post("/api/events/webhooks/partner");
    let (response, _) = send(&router, unsigned, body).await;
    assert_eq!(response.status(), 401);
    let user = json!({ "type": "user.created" });
    let (status, _) = signed(&router, "sister", "1", 0, &user, &user).await;
    assert_eq!(status, 403, "sister.user.created is not below booking");
}

#[tokio::test]
async fn a_tick_carries_events_from_one_app_to_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = incoming();
    let serving = tokio::spawn(axum::serve(listener, receiver.clone()).into_future());
    let endpoints = json!([{
        "name": "sister", "url": format!("http://{address}/api/events/webhooks/sister"),
        "secrets": [SECRET], "types": ["booking.*"], "private": true
    }]);
    let sender = router(&[token(), ("EVENTS_WEBHOOKS", endpoints.to_string())]);
    let tick = async || {
        let tick = post("/api/events/work", support::SERVICE_TOKEN);
        let (response, body) = send(&sender, tick, Value::Null).await;
        assert_eq!(response.status(), 200, "{body}");
        body["endpoints"][0].clone()
    };
    assert_eq!(
        tick().await["delivered"],
        0,
        "from now on events are kept for it"
    );
    for kind in ["booking.created", "user.created", "booking.moved"] {
        let event = json!({ "type": kind, "id": kind, "source": "/bookings" });
        let publish = post("/api/events/publish", support::SERVICE_TOKEN);
        assert_eq!(send(&sender, publish, event).await.0.status(), 201);
    }
    assert_eq!(
        tick().await,
        json!({ "name": "sister", "delivered": 2, "retried": 0, "dead": 0 })
    );
    let history = get("/api/events/history", support::SERVICE_TOKEN);
    let (_, page) = send(&receiver, history, Value::Null).await;
    let ids: Vec<&str> = page["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["event"]["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["booking.created", "booking.moved"]);
    let by_get = get("/api/events/work", support::SERVICE_TOKEN);
    let (_, body) = send(&sender, by_get, Value::Null).await;
    assert_eq!(body["endpoints"][0]["delivered"], 0);
    serving.abort();
}
