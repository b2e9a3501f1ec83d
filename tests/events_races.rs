//! The two races of live events, made visible, and shown to be closed.
#![cfg(all(feature = "embedded", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use restis::{
    events::{Environment, Event, Events, HistoryQuery},
    prelude::*,
    pubsub::{self, Subscription},
};
use serde_json::{Value, json};
use support::servers::Rest;

async fn next(subscription: &mut Subscription) -> pubsub::SubscriptionEvent {
    let next = tokio::time::timeout(Duration::from_secs(20), subscription.next());
    next.await.expect("in time").expect("goes on").unwrap()
}

async fn ready(subscription: &mut Subscription) {
    assert!(matches!(
        next(subscription).await,
        pubsub::SubscriptionEvent::Subscribed { .. }
    ));
}

async fn payload(subscription: &mut Subscription) -> Value {
    match next(subscription).await {
        pubsub::SubscriptionEvent::Message(message) => {
            serde_json::from_slice(&message.payload).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// Appending and announcing in two steps lets a later event overtake; in one step none does.
async fn live_order_is_history_order(redis: Redis) {
    let mut live = redis.subscribe(["two-steps"]);
    ready(&mut live).await;
    let append = async |n: i64| -> String {
        let add = redis.command("XADD").args(["log", "*", "n"]).arg(n);
        add.query().await.unwrap()
    };
    let (first, second) = (append(1).await, append(2).await);
    assert!(first < second);
    for n in [2, 1] {
        redis.publish("two-steps", n.to_string()).await.unwrap();
    }
    assert_eq!(
        [payload(&mut live).await, payload(&mut live).await],
        [json!(2), json!(1)],
        "the harness sees an overtaking"
    );

    let events = Events::new(redis.clone(), Environment::Development);
    let mut live = redis.psubscribe([events.live_pattern()]);
    ready(&mut live).await;
    let (publishers, each) = (8, 25);
    let tasks: Vec<_> = (0..publishers)
        .map(|p| {
            let events = events.clone();
            tokio::spawn(async move {
                for n in 0..each {
                    let event = Event::new("a.b", "/", json!([p, n])).unwrap();
                    events.publish(&event).await.unwrap();
                }
            })
        })
        .collect();
    for expected in 1..=publishers * each {
        assert_eq!(payload(&mut live).await["offset"], expected);
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Reading before subscribing loses what falls between; subscribing first and dropping what was read does not.
async fn nothing_falls_between_reading_and_subscribing(redis: Redis) {
    let events = Events::new(redis.clone(), Environment::Staging);
    let publish = async || {
        let event = Event::new("a", "/", json!(1)).unwrap();
        events.publish(&event).await.unwrap().cursor.offset()
    };
    publish().await;
    let page = events.history(&HistoryQuery::new()).await.unwrap();
    let between = publish().await;
    let mut live = redis.psubscribe([events.live_pattern()]);
    ready(&mut live).await;
    let after = publish().await;
    let first_live = payload(&mut live).await["offset"].as_u64().unwrap();
    assert!(page.events.iter().all(|e| e.cursor.offset() != between));
    assert_eq!(first_live, after, "the event in between is in neither");
    // The dense offsets tell: a hole of one, which the history closes.
    assert_eq!(first_live - page.cursor.offset(), 2);
    let again = HistoryQuery::new().after(page.cursor);
    let healed = events.history(&again).await.unwrap();
    assert_eq!(healed.events[0].cursor.offset(), between);

    let mut live = redis.psubscribe([events.live_pattern()]);
    ready(&mut live).await;
    let between = publish().await;
    let page = events.history(&HistoryQuery::new()).await.unwrap();
    let after = publish().await;
    let read = page.cursor.offset();
    let mut seen: Vec<u64> = page.events.iter().map(|e| e.cursor.offset()).collect();
    while seen.last() != Some(&after) {
        let offset = payload(&mut live).await["offset"].as_u64().unwrap();
        if offset > read {
            seen.push(offset);
        }
    }
    assert!(seen.contains(&between));
    assert_eq!(seen, (1..=after).collect::<Vec<_>>(), "each once, in order");
}

#[tokio::test]
async fn live_order_is_history_order_on_the_engine() {
    let server = Rest::engine();
    live_order_is_history_order(server.client()).await;
}

#[tokio::test]
async fn live_order_is_history_order_on_redis() {
    let Some(server) = Rest::redis() else { return };
    live_order_is_history_order(server.client()).await;
}

#[tokio::test]
async fn nothing_falls_between_reading_and_subscribing_on_the_engine() {
    let server = Rest::engine();
    nothing_falls_between_reading_and_subscribing(server.client()).await;
}

#[tokio::test]
async fn nothing_falls_between_reading_and_subscribing_on_redis() {
    let Some(server) = Rest::redis() else { return };
    nothing_falls_between_reading_and_subscribing(server.client()).await;
}
