//! Subscriptions: every backend, breaks and refusals.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use restis::{
    prelude::*,
    pubsub::{Subscription, SubscriptionEvent},
};
use support::{
    faults::{Fault, FaultServer},
    servers::Rest,
};

async fn event(subscription: &mut Subscription) -> SubscriptionEvent {
    let next = tokio::time::timeout(std::time::Duration::from_secs(10), subscription.next());
    next.await.expect("an event").expect("goes on").unwrap()
}

async fn messages_arrive(redis: &Redis) {
    let mut chat = redis.subscribe(["chat", "a,b"]);
    for n in 1..=2 {
        assert!(
            matches!(event(&mut chat).await, SubscriptionEvent::Subscribed { count, .. } if count == n)
        );
    }
    let mut all = redis.psubscribe(["*"]);
    assert!(
        matches!(event(&mut all).await, SubscriptionEvent::Subscribed { name, .. } if name == "*")
    );
    for (channel, payload) in [("chat", "one"), ("a,b", "two,three"), ("chat", "x\ny")] {
        redis.publish(channel, payload).await.unwrap();
        let message = chat.message().await.unwrap().unwrap();
        assert_eq!(
            (&*message.channel, message.pattern.as_deref()),
            (channel, None)
        );
        assert_eq!(message.decode::<String>().unwrap(), payload);
    }
    let message = all.message().await.unwrap().unwrap();
    assert_eq!(
        (&*message.channel, message.pattern.as_deref()),
        ("chat", Some("*"))
    );
    drop(chat);
    drop(all);
    any_bytes_arrive(redis).await;
}

async fn any_bytes_arrive(redis: &Redis) {
    let mut chat = redis.subscribe(["bytes"]);
    event(&mut chat).await;
    let mut news = redis.psubscribe(["news.*"]);
    event(&mut news).await;
    for payload in [&b"a\r\nb"[..], b"\xff\0", b"\r", b"\n\n", b"", b"a,b"] {
        redis.publish("bytes", payload).await.unwrap();
        let message = chat.message().await.unwrap().unwrap();
        assert_eq!(message.payload, payload);
        redis.publish("news.a,b", payload).await.unwrap();
        let message = news.message().await.unwrap().unwrap();
        assert_eq!(
            (&*message.channel, &message.payload[..]),
            ("news.a,b", payload)
        );
    }
    let publish = redis.command("PUBLISH").arg(&b"news.\r\xff"[..]).arg("x");
    let _: i64 = publish.query().await.unwrap();
    let message = news.message().await.unwrap().unwrap();
    assert_eq!(message.channel_bytes(), b"news.\r\xff");
    assert_eq!(message.channel, "news.\r\u{fffd}");
}

#[tokio::test]
async fn messages_arrive_embedded() {
    messages_arrive(&support::engine()).await;
}

#[tokio::test]
async fn messages_arrive_from_the_server() {
    messages_arrive(&Rest::engine().client()).await;
}

#[tokio::test]
async fn messages_arrive_from_a_real_redis() {
    if let Some(server) = Rest::redis() {
        messages_arrive(&server.client()).await;
    }
}

#[tokio::test]
async fn the_monitor_shows_commands() {
    let server = Rest::engine();
    let redis = server.client();
    let mut monitor = redis.monitor();
    assert!(matches!(
        event(&mut monitor).await,
        SubscriptionEvent::Line(_)
    ));
    redis.set("k", "v").await.unwrap();
    let SubscriptionEvent::Line(line) = event(&mut monitor).await else {
        panic!("not a line")
    };
    assert!(line.contains("\"k\""), "{line}");
}

const FIRST: Fault = Fault::Raw(
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: subscribe,c,1\n\ndata: message,c,one\n\n",
);
const SECOND: Fault = Fault::Raw(
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: subscribe,c,1\n\ndata: message,c,two\n\n",
);

#[tokio::test]
async fn a_break_is_told_and_mended() {
    let server = FaultServer::start([FIRST, Fault::Answer(502, "", ""), SECOND]).await;
    let redis = Redis::builder(server.url(), "TOKEN").build().unwrap();
    let mut c = redis.subscribe(["c"]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(match event(&mut c).await {
            SubscriptionEvent::Subscribed { .. } => "subscribed".to_owned(),
            SubscriptionEvent::Message(m) => m.decode().unwrap(),
            SubscriptionEvent::Lost(e) => format!("lost {}", e.kind().as_str()),
            SubscriptionEvent::Resumed => "resumed".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    let wanted = [
        "subscribed",
        "one",
        "lost interrupted",
        "resumed",
        "subscribed",
        "two",
    ];
    assert_eq!(seen, wanted);
    let first = &server.seen()[0];
    assert_eq!(first.path(), "/subscribe/c");
    assert_eq!(first.header("accept"), Some("text/event-stream"));
    assert_eq!(first.header("authorization"), Some("Bearer TOKEN"));
}

#[tokio::test]
async fn a_refused_token_ends_the_stream() {
    let body = r#"{"error":"WRONGPASS invalid or missing auth token"}"#;
    let page = Fault::Answer(401, "content-type: application/json\r\n", body);
    let server = FaultServer::start([page]).await;
    let redis = Redis::builder(server.url(), "TOKEN").build().unwrap();
    let mut c = redis.subscribe(["c"]);
    assert_eq!(
        c.next().await.unwrap().unwrap_err().kind(),
        ErrorKind::Unauthorized
    );
    assert!(c.next().await.is_none());
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn nothing_to_listen_to_is_an_error() {
    let mut none = support::engine().subscribe(Vec::<String>::new());
    assert_eq!(
        none.next().await.unwrap().unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}
