//! The built function with endpoints, senders and streams.

use super::{SERVICE_TOKEN, function::Function, http as client};
use restis::{
    clock::{Clock as _, SystemClock},
    events::WebhookKeys,
};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn bearer() -> String {
    format!("Bearer {SERVICE_TOKEN}")
}

/// Where nothing listens.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9/";

/// The function whose endpoints, one for each mode, are at this address.
pub(crate) fn started(store: &str, endpoint: &str) -> Function {
    let endpoint = |name: &str, mode: &str| json!({ "name": name, "url": endpoint, "secrets": [SECRET], "types": ["*"], "private": true, "mode": mode });
    let endpoints = json!([endpoint("whole", "structured"), endpoint("bare", "binary")]);
    let senders = json!({ "partner": { "secrets": [SECRET], "types": ["*"] } });
    Function::start(
        store,
        &[
            ("EVENTS_WEBHOOKS", &endpoints.to_string()),
            ("EVENTS_INCOMING_WEBHOOKS", &senders.to_string()),
            ("CORS_ORIGINS", "https://app.example"),
            (
                "RATE_LIMIT_POLICIES",
                r#"{"default":{"algorithm":"fixed-window","limit":9,"window":"1h","protection":true,"analytics":true,"dynamic":true}}"#,
            ),
        ],
    )
}

/// Publishes with headers besides the token.
pub(crate) async fn publish(
    function: &Function,
    query: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> (u16, Value) {
    let bearer = bearer();
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(headers);
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        all.push(("content-type", "application/json"));
    }
    let path = format!("/api/events/publish{query}");
    let (status, _, body) = function.text("POST", &path, &all, body.to_string()).await;
    (status, body)
}

/// Opens a stream.
pub(crate) async fn stream(
    function: &Function,
    path: &str,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let mut request = client()
        .get(format!("{}{path}", function.base))
        .bearer_auth(SERVICE_TOKEN);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response
}

/// The name of the first message of a stream.
pub(crate) async fn first_message(stream: &mut reqwest::Response) -> String {
    let mut text = String::new();
    loop {
        let chunk = stream.chunk().await.unwrap().unwrap();
        text += std::str::from_utf8(&chunk).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        if let Some(name) = whole.lines().find_map(|line| line.strip_prefix("event: ")) {
            return name.to_owned();
        }
    }
}

/// A webhook of the sender that is known.
pub(crate) async fn webhook(
    function: &Function,
    media: &str,
    id: &str,
    body: String,
) -> (u16, Value) {
    let at = SystemClock::new().now_ms() / 1000;
    let signature = WebhookKeys::new([SECRET])
        .unwrap()
        .sign(id, at, body.as_bytes());
    let at = at.to_string();
    let headers = [
        ("content-type", media),
        ("webhook-id", id),
        ("webhook-timestamp", &at),
        ("webhook-signature", &signature),
    ];
    let (status, _, answer) = function
        .text("POST", "/api/events/webhooks/partner", &headers, body)
        .await;
    (status, answer)
}
