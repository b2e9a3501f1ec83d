//! Requests that are signed instead of carrying a token.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::{Router, body::Body};
use http::{Request, request::Builder};
use http_body_util::BodyExt as _;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, app, auth::ServiceTokens};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PUBLISH: &str = "/api/events/publish";

fn router() -> Router {
    let tokens = json!([
        { "name": "web", "secrets": [SECRET], "scopes": ["events:publish"], "organisations": ["acme"] },
        { "name": "ops", "secrets": [SECRET], "scopes": ["events:*"] },
    ]);
    let redis = Redis::embedded(Engine::new(Options::default()));
    let tokens = ServiceTokens::parse(&tokens.to_string()).unwrap();
    app(AppState::builder(redis).tokens(tokens).build().unwrap())
}

/// A request of `name` whose signature is over what is given.
fn signed(name: &str, method: &str, target: &str, id: &str, body: &str) -> Builder {
    let keys = WebhookKeys::new([SECRET]).unwrap();
    let at = SystemClock::new().now_ms() / 1000;
    let text = format!("{method} {target}\n{body}");
    Request::builder()
        .method(method)
        .uri(target)
        .header("authorization", format!("HMAC {name}"))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", keys.sign(id, at, text.as_bytes()))
}

async fn send(router: &Router, request: Builder, body: &str) -> (u16, Value) {
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn a_signed_request_publishes_once_however_often_it_is_sent() {
    let router = router();
    let target = format!("{PUBLISH}?organisation=acme");
    for body in [r#"{"type":"a"}"#, r#"[{"type":"b"},{"type":"c"}]"#] {
        let request = || signed("web", "POST", &target, body, body);
        let (_, first) = send(&router, request(), body).await;
        let (_, again) = send(&router, request(), body).await;
        let statuses = |answer: &Value| match answer.as_array() {
            Some(all) => all.iter().map(|v| v["status"].clone()).collect(),
            None => vec![answer["status"].clone()],
        };
        assert!(statuses(&first).iter().all(|s| s == "published"), "{first}");
        assert!(statuses(&again).iter().all(|s| s == "duplicate"), "{again}");
    }
}

#[tokio::test]
async fn a_signature_holds_for_its_own_request_only() {
    let router = router();
    let (body, here) = (r#"{"type":"a"}"#, format!("{PUBLISH}?organisation=acme"));
    let good = || signed("web", "POST", &here, "1", body);
    let invalid = (401, json!("signature-invalid"));
    let answer = async |request: Builder, body: &str| {
        let (status, answer) = send(&router, request, body).await;
        (status, answer["code"].clone())
    };
    assert_eq!(answer(good(), r#"{"type":"b"}"#).await, invalid);
    for elsewhere in [PUBLISH, "/api/events/coordination"] {
        assert_eq!(answer(good().uri(elsewhere), body).await, invalid);
    }
    let nobody = signed("nobody", "POST", &here, "1", body);
    assert_eq!(answer(nobody, body).await, invalid);
    let bare = Request::post(&here).header("authorization", "HMAC web");
    assert_eq!(answer(bare, body).await, invalid);
    // What is not signed may not say what is published, or whether.
    for (name, value) in [("ce-type", "a"), ("idempotency-key", "2")] {
        let (status, _) = answer(good().header(name, value), body).await;
        assert_eq!(status, 400, "{name}");
    }
    let large = "x".repeat(2 << 20);
    assert_eq!(answer(good(), &large).await, (413, json!("too-large")));
    assert_eq!(answer(good(), body).await.0, 201);
}

#[tokio::test]
async fn a_signer_has_its_scopes_and_organisations() {
    let router = router();
    let (body, dlq) = (r#"{"type":"a"}"#, "/api/events/dlq");
    let everywhere = signed("web", "POST", PUBLISH, "1", body);
    assert_eq!(send(&router, everywhere, body).await.0, 403);
    assert_eq!(
        send(&router, signed("web", "GET", dlq, "1", ""), "")
            .await
            .0,
        403
    );
    assert_eq!(
        send(&router, signed("ops", "GET", dlq, "1", ""), "")
            .await
            .0,
        200
    );
}
