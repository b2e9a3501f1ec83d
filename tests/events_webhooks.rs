//! Webhooks to others: what is sent, how answers are judged, and the circuit.
#![cfg(all(feature = "embedded", feature = "rustls"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use restis::events::{Endpoint, Environment, Event, Events, WebhookKeys, WebhookOutcome};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

const AT: u64 = 1_800_000_000;

fn keys() -> WebhookKeys {
    WebhookKeys::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap()
}

fn client() -> reqwest::Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(none).build().unwrap()
}

async fn receiver(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let post = Mock::given(method("POST")).respond_with(answer);
    post.mount(&server).await;
    server
}

fn event() -> Event {
    Event::new("booking.created", "/tests", json!({ "n": 7 })).unwrap()
}

#[tokio::test]
async fn a_delivery_is_a_signed_post_of_the_event() {
    let server = receiver(ResponseTemplate::new(204)).await;
    let event = event();
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let outcome = endpoint.deliver(&client(), &event, AT).await;
    assert_eq!(outcome, WebhookOutcome::Delivered);
    let requests = server.received_requests().await.unwrap();
    let header = |name: &str| requests[0].headers[name].to_str().unwrap();
    assert_eq!(header("webhook-id"), event.id);
    let (id, at, signature) = (
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
    );
    keys()
        .verify(id, at, signature, &requests[0].body, AT)
        .unwrap();
    let sent: Event = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(sent, event);
}

#[tokio::test]
async fn answers_are_retried_given_up_or_paused_as_the_receiver_says() {
    let paused = ResponseTemplate::new(429).insert_header("retry-after", "7");
    let server = receiver(paused).await;
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let outcome = endpoint.deliver(&client(), &event(), AT).await;
    assert!(
        matches!(outcome, WebhookOutcome::Retry { after: Some(after), .. } if after == Duration::from_secs(7)),
        "{outcome:?}"
    );
    let server = receiver(ResponseTemplate::new(410)).await;
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let outcome = endpoint.deliver(&client(), &event(), AT).await;
    assert!(matches!(outcome, WebhookOutcome::Gone(_)), "{outcome:?}");
    let moved = ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1/");
    let server = receiver(moved).await;
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let outcome = endpoint.deliver(&client(), &event(), AT).await;
    assert!(
        matches!(outcome, WebhookOutcome::Retry { after: None, .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_private_address_is_never_called() {
    let endpoint = Endpoint::new("https://127.0.0.1/", keys()).unwrap();
    let outcome = endpoint.deliver(&client(), &event(), AT).await;
    assert!(matches!(outcome, WebhookOutcome::Gone(_)), "{outcome:?}");
}

#[tokio::test]
async fn an_endpoint_that_fails_five_times_is_left_alone_by_every_process() {
    let server = receiver(ResponseTemplate::new(500)).await;
    let redis = support::engine();
    let process = || {
        let events = Events::new(redis.clone(), Environment::Development);
        let breaker = events.endpoint_breaker(&server.uri());
        Endpoint::private(&server.uri(), keys())
            .unwrap()
            .breaker(breaker)
    };
    let (one, two) = (process(), process());
    for _ in 0..5 {
        one.deliver(&client(), &event(), AT).await;
    }
    let outcome = two.deliver(&client(), &event(), AT).await;
    assert!(
        matches!(outcome, WebhookOutcome::Retry { after: Some(_), .. }),
        "{outcome:?}"
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 5);
}
