//! Events against the embedded store.
#![cfg(all(feature = "embedded", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use restis::{
    events::{Cursor, Environment, Event, Events, EventsConfig, HistoryQuery, Reset, Status},
    prelude::*,
};
use serde_json::json;

fn events() -> Events {
    Events::new(support::engine(), Environment::Development)
}

fn event(kind: &str, n: i64) -> Event {
    Event::new(kind, "/tests", json!({ "n": n })).unwrap()
}

#[tokio::test]
async fn a_published_event_is_read_in_order_with_dense_offsets() {
    let events = events();
    for n in 1..=5 {
        let published = events.publish(&event("a.b", n)).await.unwrap();
        assert_eq!(
            (published.status, published.cursor.offset()),
            (Status::New, n as u64)
        );
    }
    let first = events.history(&HistoryQuery::new().limit(2)).await.unwrap();
    assert_eq!(
        first
            .events
            .iter()
            .map(|e| e.cursor.offset())
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert!(first.has_more && first.reset.is_none());
    let rest = events
        .history(&HistoryQuery::new().after(first.cursor.unwrap()))
        .await
        .unwrap();
    assert_eq!(
        rest.events
            .iter()
            .map(|e| e.cursor.offset())
            .collect::<Vec<_>>(),
        [3, 4, 5]
    );
    assert!(!rest.has_more);
    let end = events
        .history(&HistoryQuery::new().after(rest.cursor.unwrap()))
        .await
        .unwrap();
    assert!(end.events.is_empty() && end.reset.is_none());
}

#[tokio::test]
async fn publishing_is_one_request_and_one_command() {
    let (redis, counts) = support::counting();
    let events = Events::new(redis, Environment::Production);
    events.publish(&event("a", 0)).await.unwrap();
    counts.reset();
    let batch: Vec<Event> = (0..50).map(|n| event("a", n)).collect();
    let batch: Vec<_> = batch.iter().map(|e| (e, None)).collect();
    assert_eq!(events.publish_batch(&batch).await.unwrap().len(), 50);
    assert_eq!((counts.requests(), counts.commands()), (1, 1));
}

#[tokio::test]
async fn an_idempotency_key_publishes_once_and_refuses_another_event() {
    let events = events();
    let first = events.publish_once(&event("a", 1), "k").await.unwrap();
    let again = events.publish_once(&event("a", 1), "k").await.unwrap();
    assert_eq!(
        (again.status, &again.cursor),
        (Status::Duplicate, &first.cursor)
    );
    let other = events.publish_once(&event("a", 2), "k").await.unwrap();
    assert_eq!(
        (other.status, &other.cursor),
        (Status::Mismatch, &first.cursor)
    );
    assert_eq!(
        events
            .history(&HistoryQuery::new())
            .await
            .unwrap()
            .events
            .len(),
        1
    );
}

#[tokio::test]
async fn a_reader_whose_place_is_gone_is_told_so() {
    let redis = support::engine();
    let config = EventsConfig {
        max_events: 2,
        ..EventsConfig::default()
    };
    let events = Events::new(redis.clone(), Environment::Development).config(config);
    let first = events.publish(&event("a", 1)).await.unwrap().cursor;
    let end = loop {
        // The server trims whole nodes; publish until the first event is gone.
        let last = events.publish(&event("a", 2)).await.unwrap().cursor;
        let kept = redis
            .xrange::<String>("events:development:history", "-", "+", Some(1))
            .await
            .unwrap();
        if !kept[0].id.starts_with("1-") && !kept[0].id.starts_with("2-") {
            break last;
        }
        assert!(last.offset() < 1000);
    };
    let page = events
        .history(&HistoryQuery::new().after(first))
        .await
        .unwrap();
    assert_eq!(
        (page.reset, page.cursor.as_ref()),
        (Some(Reset::Trimmed), Some(&end))
    );
    let ahead: Cursor = format!("{}.{}", end.epoch(), end.offset() + 1)
        .parse()
        .unwrap();
    assert_eq!(
        events
            .history(&HistoryQuery::new().after(ahead))
            .await
            .unwrap()
            .reset,
        Some(Reset::UnknownCursor)
    );
    redis.flushdb().await.unwrap();
    assert_eq!(
        events
            .history(&HistoryQuery::new().after(end.clone()))
            .await
            .unwrap()
            .reset,
        Some(Reset::EpochChanged)
    );
    let anew = events.publish(&event("a", 3)).await.unwrap().cursor;
    assert_eq!(anew.offset(), 1);
    assert_ne!(anew.epoch(), end.epoch());
    assert_eq!(
        events
            .history(&HistoryQuery::new().after(end))
            .await
            .unwrap()
            .reset,
        Some(Reset::EpochChanged)
    );
}

#[tokio::test]
async fn environments_and_organisations_are_apart() {
    let redis = support::engine();
    let production = Events::new(redis.clone(), Environment::Production);
    let staging = Events::new(redis.clone(), Environment::Staging);
    let acme = production.of_organisation("acme").unwrap();
    production.publish(&event("a", 1)).await.unwrap();
    acme.publish(&event("a", 2)).await.unwrap();
    assert_eq!(
        staging.history(&HistoryQuery::new()).await.unwrap().cursor,
        None
    );
    assert_eq!(
        production
            .history(&HistoryQuery::new())
            .await
            .unwrap()
            .events
            .len(),
        1
    );
    assert_eq!(
        acme.history(&HistoryQuery::new())
            .await
            .unwrap()
            .events
            .len(),
        1
    );
    assert!(production.of_organisation("a:b").is_err());
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    for key in keys {
        assert!(redis.ttl(&key).await.unwrap() > 0, "{key} never expires");
    }
}

#[tokio::test]
async fn history_is_filtered_by_type_and_correlation() {
    let events = events();
    events
        .publish(&event("a.x", 1).with_extension("correlationid", "c1"))
        .await
        .unwrap();
    events
        .publish(&event("a.y", 2).with_extension("correlationid", "c2"))
        .await
        .unwrap();
    events.publish(&event("b", 3)).await.unwrap();
    let numbers = async |query: HistoryQuery| -> Vec<i64> {
        let page = events.history(&query).await.unwrap();
        page.events
            .iter()
            .map(|e| e.event.data.as_ref().unwrap()["n"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(numbers(HistoryQuery::new().of_type("a.")).await, [1, 2]);
    assert_eq!(numbers(HistoryQuery::new().of_type("b")).await, [3]);
    assert_eq!(numbers(HistoryQuery::new().correlated("c2")).await, [2]);
    let page = events
        .history(&HistoryQuery::new().of_type("none"))
        .await
        .unwrap();
    assert_eq!(
        page.cursor.unwrap().offset(),
        3,
        "a filter never hides how far the reader is"
    );
    assert!(events.history(&HistoryQuery::new().limit(0)).await.is_err());
    assert!(
        events
            .history(&HistoryQuery::new().limit(501))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn counts_are_kept_by_type_and_hour() {
    let clock = restis::testing::ManualClock::new(1_800_000_000_000);
    let events = events().clock(clock.clone());
    events.publish(&event("a", 1)).await.unwrap();
    events.publish(&event("a", 2)).await.unwrap();
    clock.advance(Duration::from_secs(3600));
    events.publish(&event("b", 3)).await.unwrap();
    assert_eq!(
        events.counts(1_800_000_000_000).await.unwrap().get("a"),
        Some(&2)
    );
    assert_eq!(
        events.counts(1_800_003_600_000).await.unwrap().get("b"),
        Some(&1)
    );
}

#[tokio::test]
async fn a_batch_out_of_bounds_or_a_huge_event_is_refused_before_it_is_sent() {
    let (redis, counts) = support::counting();
    let events = Events::new(redis, Environment::Development);
    assert!(events.publish_batch(&[]).await.is_err());
    let huge = Event::new("a", "/", json!("x".repeat(300_000))).unwrap();
    assert_eq!(
        events.publish(&huge).await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert!(events.publish_once(&event("a", 1), "").await.is_err());
    assert_eq!(counts.requests(), 0);
}
