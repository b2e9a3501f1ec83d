//! Events against the embedded store.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use restis::{
    Result,
    events::{
        Cursor, Environment, Event, Events, EventsConfig, HistoryPage, HistoryQuery, Reset, Status,
    },
    prelude::*,
    transport::{BoxFuture, Exchange, Transport, TransportResponse, embedded::EmbeddedTransport},
};
use restis_engine::Engine;
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
        .history(&HistoryQuery::new().after(first.cursor))
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
        .history(&HistoryQuery::new().after(rest.cursor))
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
            .xrange::<Pairs<String, String>>("events:development:history", "-", "+", Some(1))
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
    assert_eq!((page.reset, &page.cursor), (Some(Reset::Trimmed), &end));
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
    let empty = staging.history(&HistoryQuery::new()).await.unwrap();
    assert_eq!((empty.cursor.offset(), empty.reset), (0, None));
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
        page.cursor.offset(),
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
    events.publish_once(&event("b", 4), "k").await.unwrap();
    events.publish_once(&event("b", 4), "k").await.unwrap();
    let first = events.hour(1_800_000_000_000).await.unwrap();
    assert_eq!((first.published.get("a"), first.duplicates), (Some(&2), 0));
    let second = events.hour(1_800_003_600_000).await.unwrap();
    assert_eq!(
        (second.published.get("b"), second.duplicates),
        (Some(&2), 1)
    );
    // Each call tells how long those before it took.
    let told = first.latency.count() + second.latency.count();
    assert_eq!(told, 4, "of five calls the last one is not told yet");
    assert!(second.latency.quantile(0.5).is_some());
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

#[tokio::test]
async fn a_cursor_of_another_history_or_another_event_is_told_to_reset() {
    let redis = support::engine();
    let staging = Events::new(redis.clone(), Environment::Staging);
    let acme = staging.of_organisation("acme").unwrap();
    let here = staging.publish(&event("a", 1)).await.unwrap().cursor;
    acme.publish(&event("a", 1)).await.unwrap();
    let reset = async |events: &Events, cursor: &Cursor| {
        let query = HistoryQuery::new().after(cursor.clone());
        events.history(&query).await.unwrap().reset
    };
    assert_eq!(reset(&staging, &here).await, None);
    assert_eq!(reset(&acme, &here).await, Some(Reset::EpochChanged));
    // A failover to a copy without the newest event: another one gets its offset.
    let pairs = ["history", "meta"].map(|n| (format!("events:staging:{n}"), format!("copy:{n}")));
    for (key, copy) in &pairs {
        let make = redis.command("COPY").args([key, copy]);
        assert_eq!(make.query::<i64>().await.unwrap(), 1);
    }
    let lost = staging.publish(&event("a", 2)).await.unwrap().cursor;
    for (key, copy) in &pairs {
        redis.rename(copy, key).await.unwrap();
    }
    let other = staging.publish(&event("a", 3)).await.unwrap().cursor;
    assert_eq!(
        (lost.epoch(), lost.offset()),
        (other.epoch(), other.offset())
    );
    assert_eq!(reset(&staging, &lost).await, Some(Reset::UnknownCursor));
    assert_eq!(reset(&staging, &other).await, None);
    assert_eq!(staging.end().await.unwrap(), Some(other));
}

#[tokio::test]
async fn an_event_whose_history_was_lost_is_stored_again() {
    let redis = support::engine();
    let events = Events::new(redis.clone(), Environment::Development);
    let first = events.publish_once(&event("a", 1), "k").await.unwrap();
    let lost = ["events:development:history", "events:development:meta"];
    redis.del(lost).await.unwrap();
    let again = events.publish_once(&event("a", 1), "k").await.unwrap();
    assert_eq!((again.status, again.cursor.offset()), (Status::New, 1));
    assert_ne!(again.cursor.epoch(), first.cursor.epoch());
    let third = events.publish_once(&event("a", 1), "k").await.unwrap();
    assert_eq!(
        (third.status, third.cursor),
        (Status::Duplicate, again.cursor)
    );
}

#[tokio::test]
async fn a_repeat_gets_the_cursor_of_the_event_that_is_stored() {
    let events = events();
    let first = events.publish_once(&event("a", 1), "k").await.unwrap();
    let again = events.publish_once(&event("a", 1), "k").await.unwrap();
    assert_eq!(first.cursor, again.cursor, "though its id is another");
    let page = events.history(&HistoryQuery::new()).await.unwrap();
    assert_eq!(page.cursor, first.cursor);
}

/// A store whose clock stands still until it is moved.
fn timed() -> (Redis, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1_800_000_000_000));
    let clock = restis_engine::Clock::manual(Arc::clone(&now));
    let engine = restis_engine::Engine::new(restis_engine::Options::default().clock(clock));
    (Redis::embedded(engine), now)
}

fn offsets(page: &HistoryPage) -> Vec<u64> {
    page.events.iter().map(|e| e.cursor.offset()).collect()
}

#[tokio::test]
async fn history_is_read_by_the_time_of_receipt() {
    let (redis, now) = timed();
    let events = Events::new(redis, Environment::Development);
    for n in 1..=20 {
        events.publish(&event("a", n)).await.unwrap();
        now.fetch_add(1000, Ordering::SeqCst);
    }
    let start = 1_800_000_000_000;
    let read = async |query: HistoryQuery| events.history(&query).await.unwrap();
    let new = HistoryQuery::new;
    let page = read(new().since_ms(start + 16_001)).await;
    assert_eq!(offsets(&page), [18, 19, 20]);
    assert_eq!(page.events[0].received_ms, start + 17_000);
    let page = read(new().since_ms(start + 2000).until_ms(start + 9000).limit(4)).await;
    assert_eq!((offsets(&page), page.has_more), (vec![3, 4, 5, 6], true));
    let rest = new().until_ms(start + 9000).after(page.cursor);
    let page = read(rest).await;
    assert_eq!((offsets(&page), page.has_more), (vec![7, 8, 9], false));
    let page = read(new().since_ms(start + 99_000)).await;
    assert_eq!((page.events.len(), page.cursor.offset()), (0, 20));
    let page = read(new().until_ms(start)).await;
    assert_eq!((page.events.len(), page.has_more), (0, false));
    // The clock goes back: times still rise with the offsets.
    now.store(start, Ordering::SeqCst);
    events.publish(&event("a", 21)).await.unwrap();
    let page = read(new().since_ms(start + 19_000)).await;
    assert_eq!(offsets(&page), [20, 21]);
}

#[tokio::test]
async fn events_go_when_they_are_older_than_the_retention() {
    let (redis, now) = timed();
    let config = EventsConfig {
        retention: Duration::from_secs(60),
        ..EventsConfig::default()
    };
    let events = Events::new(redis.clone(), Environment::Development).config(config);
    let mut first = None;
    for n in 1..=10 {
        let cursor = events.publish(&event("a", n)).await.unwrap().cursor;
        first.get_or_insert(cursor);
        now.fetch_add(10_000, Ordering::SeqCst);
    }
    let page = events.history(&HistoryQuery::new()).await.unwrap();
    assert_eq!(offsets(&page), (4..=10).collect::<Vec<_>>());
    let query = HistoryQuery::new().after(first.unwrap());
    let page = events.history(&query).await.unwrap();
    assert_eq!(page.reset, Some(Reset::Trimmed));
    // Without new events all go, and a reader at the end has missed nothing.
    now.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(
        redis.exists(["events:development:history"]).await.unwrap(),
        0
    );
    let query = HistoryQuery::new().after(page.cursor);
    let page = events.history(&query).await.unwrap();
    assert_eq!((page.reset, page.events.len()), (None, 0));
    assert_eq!(
        events
            .publish(&event("a", 11))
            .await
            .unwrap()
            .cursor
            .offset(),
        11
    );
}

#[tokio::test]
async fn a_page_of_large_events_ends_before_it_is_too_large() {
    let events = events();
    let large = "x".repeat(250_000);
    for n in 0..20 {
        let large = Event::new("a", "/", json!([n, large])).unwrap();
        events.publish(&large).await.unwrap();
    }
    let page = events.history(&HistoryQuery::new()).await.unwrap();
    assert_eq!((page.events.len(), page.has_more), (16, true));
    let rest = HistoryQuery::new().after(page.cursor);
    let page = events.history(&rest).await.unwrap();
    assert_eq!((page.events.len(), page.has_more), (4, false));
}

#[tokio::test]
async fn a_reader_of_an_empty_history_has_a_place_in_it() {
    let redis = support::engine();
    let events = Events::new(redis.clone(), Environment::Development);
    let place = events.begin().await.unwrap();
    assert_eq!(
        (place.offset(), events.begin().await.unwrap()),
        (0, place.clone())
    );
    let nothing = events
        .history(&HistoryQuery::new().after(place.clone()))
        .await
        .unwrap();
    assert_eq!((nothing.reset, &nothing.cursor), (None, &place));
    let first = events.publish(&event("a", 1)).await.unwrap().cursor;
    assert_eq!((first.epoch(), first.offset()), (place.epoch(), 1));
    let page = events
        .history(&HistoryQuery::new().after(place.clone()))
        .await
        .unwrap();
    assert_eq!((offsets(&page), page.reset), (vec![1], None));
    // The history is lost: what is left of it is not taken for the new one's.
    redis.del(["events:development:meta"]).await.unwrap();
    let page = events
        .history(&HistoryQuery::new().after(first))
        .await
        .unwrap();
    assert_eq!(
        (page.reset, page.cursor.offset()),
        (Some(Reset::EpochChanged), 0)
    );
    let second = events.publish(&event("a", 2)).await.unwrap().cursor;
    assert_eq!((second.epoch(), second.offset()), (page.cursor.epoch(), 1));
    let page = events
        .history(&HistoryQuery::new().after(page.cursor))
        .await
        .unwrap();
    assert_eq!(offsets(&page), [1]);
}

#[tokio::test]
async fn a_history_that_vanished_within_a_second_expires_all_the_same() {
    let (redis, now) = timed();
    let events = Events::new(redis.clone(), Environment::Development);
    let history = "events:development:history";
    events.publish(&event("a", 1)).await.unwrap();
    redis.del([history]).await.unwrap();
    events.publish(&event("a", 2)).await.unwrap();
    assert_eq!(redis.pttl(history).await.unwrap(), 86_401_000);
    // Within a second nothing is prolonged, and nothing has to be.
    now.fetch_add(999, Ordering::SeqCst);
    events.publish(&event("a", 3)).await.unwrap();
    assert_eq!(redis.pttl(history).await.unwrap(), 86_400_001);
    now.fetch_add(1, Ordering::SeqCst);
    events.publish(&event("a", 4)).await.unwrap();
    assert_eq!(redis.pttl(history).await.unwrap(), 86_401_000);
}

#[tokio::test]
async fn old_events_go_also_while_many_come_within_a_second() {
    let (redis, now) = timed();
    let config = EventsConfig {
        retention: Duration::from_secs(60),
        ..EventsConfig::default()
    };
    let events = Events::new(redis, Environment::Development).config(config);
    for n in 0..100 {
        events.publish(&event("a", n)).await.unwrap();
    }
    now.fetch_add(59_900, Ordering::SeqCst);
    events.publish(&event("a", 100)).await.unwrap();
    now.fetch_add(200, Ordering::SeqCst);
    for n in 101..=160 {
        events.publish(&event("a", n)).await.unwrap();
    }
    let page = events.history(&HistoryQuery::new()).await.unwrap();
    assert_eq!(offsets(&page).first(), Some(&101));
}

#[tokio::test]
async fn events_that_are_published_at_the_same_time_are_one_command() {
    let (redis, counts) = support::counting();
    let events = Events::new(redis, Environment::Production);
    events.publish(&event("a", 0)).await.unwrap();
    counts.reset();
    let many: Vec<Event> = (1..=64).map(|n| event("a", n)).collect();
    let each = many.iter().map(|e| events.publish(e));
    let published = futures_util::future::try_join_all(each).await.unwrap();
    let offsets: Vec<u64> = published.iter().map(|p| p.cursor.offset()).collect();
    assert_eq!(offsets, (2..=65).collect::<Vec<_>>());
    assert!(published.iter().zip(&many).all(|(p, e)| p.cursor.is_of(e)));
    assert_eq!((counts.requests(), counts.commands()), (1, 1));
    // More than a call takes, with keys and without, and another window: each a call of its own.
    counts.reset();
    let config = EventsConfig {
        dedup_window: Duration::from_secs(60),
        ..EventsConfig::default()
    };
    let shortly = events.clone().config(config);
    let keys: Vec<String> = (0..129).map(|n| format!("k{n}")).collect();
    let (keyed, bare) = (event("b", 1), event("b", 2));
    let mut all: Vec<_> = keys
        .iter()
        .map(|key| events.publish_once(&keyed, key).boxed())
        .collect();
    all.push(events.publish(&bare).boxed());
    all.push(shortly.publish_once(&keyed, "k").boxed());
    all.push(events.publish_once(&keyed, "k0").boxed());
    let mut all = futures_util::future::try_join_all(all).await.unwrap();
    let again = all.pop().unwrap();
    assert!(all.iter().all(|published| published.status == Status::New));
    assert_eq!(
        (again.status, &again.cursor),
        (Status::Duplicate, &all[0].cursor)
    );
    assert_eq!(counts.commands(), 5);
}

/// Takes one more turn before it executes.
#[derive(Debug)]
struct OneTurnLater(EmbeddedTransport);

impl Transport for OneTurnLater {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            self.0.execute(exchange).await
        })
    }
}

#[tokio::test]
async fn who_gives_up_publishing_holds_up_nobody() {
    use futures_util::poll;
    let redis = Redis::with_transport(OneTurnLater(EmbeddedTransport::new(Engine::default())));
    let metrics = redis.metrics().clone();
    let events = Events::new(redis, Environment::Production);
    let (one, two, three) = (event("a", 1), event("a", 2), event("a", 3));
    // Before its turn it takes its event back.
    let mut gone = Box::pin(events.publish(&one));
    assert!(poll!(&mut gone).is_pending());
    drop(gone);
    assert_eq!(metrics.snapshot().requests, 0);
    let (mut gone, kept) = (Box::pin(events.publish(&one)), events.publish(&two));
    assert!(poll!(&mut gone).is_pending());
    let mut kept = Box::pin(kept);
    assert!(poll!(&mut kept).is_pending());
    drop(gone);
    assert_eq!(kept.await.unwrap().cursor.offset(), 1);
    // Under way the others drive it on.
    let mut driver = Box::pin(events.publish(&one));
    let mut other = Box::pin(events.publish(&three));
    assert!(poll!(&mut driver).is_pending());
    assert!(poll!(&mut other).is_pending());
    let under_way = poll!(&mut driver).is_pending();
    drop(driver);
    assert!(under_way, "the call takes turns of its own");
    assert_eq!(other.await.unwrap().cursor.offset(), 3);
    let left = events.publish(&two).now_or_never();
    assert!(left.is_none());
    let page = events.history(&HistoryQuery::new()).await.unwrap();
    assert_eq!(offsets(&page), [1, 2, 3]);
}
