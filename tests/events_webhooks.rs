//! Webhooks to others: what is sent, how answers are judged, and the circuit.
#![cfg(all(feature = "embedded", feature = "rustls"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use restis::events::{
    Delivered, Endpoint, Environment, Event, Events, Hook, TypeFilter, WebhookClient, WebhookKeys,
    WebhookOutcome,
};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

const AT: u64 = 1_800_000_000;

fn keys() -> WebhookKeys {
    WebhookKeys::new(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap()
}

fn client() -> WebhookClient {
    WebhookClient::new().unwrap()
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
async fn in_binary_mode_the_data_is_the_body_and_the_trace_goes_along() {
    let server = receiver(ResponseTemplate::new(204)).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let event = event().with_extension("traceparent", trace);
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let endpoint = endpoint.binary();
    let outcome = endpoint.deliver(&client(), &event, AT).await;
    assert_eq!(outcome, WebhookOutcome::Delivered);
    let requests = server.received_requests().await.unwrap();
    let (headers, body) = (&requests[0].headers, &requests[0].body);
    assert_eq!(
        (&body[..], headers["traceparent"].as_bytes()),
        (&br#"{"n":7}"#[..], trace.as_bytes())
    );
    let signature = headers["webhook-signature"].to_str().unwrap();
    keys()
        .verify(&event.id, &AT.to_string(), signature, body, AT)
        .unwrap();
    assert_eq!(Event::from_binary(headers, body).unwrap(), Some(event));
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

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(30)
}

#[tokio::test]
async fn a_tick_delivers_what_came_since_the_endpoint_was_known_each_event_once() {
    let server = receiver(ResponseTemplate::new(204)).await;
    let events = Events::new(support::engine(), Environment::Development);
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let hook = Hook::new("billing", TypeFilter::parse("booking.*").unwrap(), endpoint).unwrap();
    let client = client();
    events.publish(&event()).await.unwrap();
    let tick = || events.deliver(&hook, &client, soon());
    assert_eq!(tick().await.unwrap(), Delivered::default());
    let mut ids = Vec::new();
    for _ in 0..3 {
        let event = event();
        events.publish(&event).await.unwrap();
        ids.push(event.id);
    }
    let other = Event::new("user.created", "/tests", json!(1)).unwrap();
    events.publish(&other).await.unwrap();
    // Two ticks at once share the work.
    let (one, two) = tokio::join!(tick(), tick());
    assert_eq!(one.unwrap().delivered + two.unwrap().delivered, 3);
    assert_eq!(tick().await.unwrap(), Delivered::default());
    let requests = server.received_requests().await.unwrap();
    let mut sent: Vec<_> = requests
        .iter()
        .map(|r| r.headers["webhook-id"].to_str().unwrap().to_owned())
        .collect();
    sent.sort();
    ids.sort();
    assert_eq!(sent, ids);
}

#[tokio::test]
async fn a_tick_leaves_a_failing_endpoint_alone_and_loses_nothing() {
    let server = receiver(ResponseTemplate::new(500)).await;
    let events = Events::new(support::engine(), Environment::Development);
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let hook = Hook::new("billing", TypeFilter::all(), endpoint).unwrap();
    let client = client();
    events.deliver(&hook, &client, soon()).await.unwrap();
    for _ in 0..7 {
        events.publish(&event()).await.unwrap();
    }
    let done = events.deliver(&hook, &client, soon()).await.unwrap();
    assert_eq!((done.delivered, done.retried, done.dead), (0, 5, 0));
    assert!(done.paused.is_some(), "five failures open its circuit");
    assert_eq!(events.backlogs().await.unwrap()["billing"].waiting, 7);
}

#[tokio::test]
async fn who_wants_no_more_gets_no_more_and_the_event_is_a_dead_letter() {
    let server = receiver(ResponseTemplate::new(410)).await;
    let events = Events::new(support::engine(), Environment::Development);
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let hook = Hook::new("billing", TypeFilter::all(), endpoint).unwrap();
    let client = client();
    events.deliver(&hook, &client, soon()).await.unwrap();
    events.publish(&event()).await.unwrap();
    let done = events.deliver(&hook, &client, soon()).await.unwrap();
    assert_eq!(done.dead, 1);
    let letters = events.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters[0].reason, "gone");
    let backlog = events.dead_letter_backlog().await.unwrap();
    assert_eq!(backlog.waiting, 1);
    assert!(backlog.oldest_ms.is_some());
}

#[tokio::test]
async fn an_id_that_no_header_holds_is_sent_encoded_and_signed_so() {
    let server = receiver(ResponseTemplate::new(204)).await;
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let binary = endpoint.clone().binary();
    for (id, wanted) in [
        ("é", "%C3%A9"),
        (" sp ", "%20sp%20"),
        ("100%", "100%25"),
        ("m.1764455000", "m%2E1764455000"),
        ("plain-1", "plain-1"),
    ] {
        for endpoint in [&endpoint, &binary] {
            let mut event = event();
            id.clone_into(&mut event.id);
            let outcome = endpoint.deliver(&client(), &event, AT).await;
            assert_eq!(outcome, WebhookOutcome::Delivered, "{id}");
            let request = server.received_requests().await.unwrap().pop().unwrap();
            let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
            assert_eq!(header("webhook-id"), wanted);
            let signature = header("webhook-signature");
            keys()
                .verify(wanted, &AT.to_string(), &signature, &request.body, AT)
                .unwrap();
        }
    }
}

#[tokio::test]
async fn one_event_that_a_receiver_refuses_does_not_open_the_circuit() {
    let server = receiver(ResponseTemplate::new(422)).await;
    let events = Events::new(support::engine(), Environment::Development);
    let breaker = events.endpoint_breaker(&server.uri());
    let endpoint = Endpoint::private(&server.uri(), keys()).unwrap();
    let endpoint = endpoint.breaker(breaker.clone());
    let (client, poison) = (client(), event());
    for _ in 0..20 {
        endpoint.deliver(&client, &poison, AT).await;
    }
    assert_eq!(breaker.ask().await, None, "it is that event's failure");
    for n in 1..5 {
        assert_eq!(breaker.ask().await, None, "{n} different ones");
        endpoint.deliver(&client, &event(), AT).await;
    }
    assert!(breaker.ask().await.is_some(), "five different ones");
}
