//! Work, dead letters and outboxes, on the engine and on a real Redis.
#![cfg(all(feature = "embedded", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::{collections::BTreeSet, time::Duration};

use restis::{
    Redis,
    events::{Environment, Event, Events, HistoryQuery, Producer, Settle, TypeFilter, Verdict},
};
use serde_json::json;
use support::{counting, local_redis::LocalRedis};

fn event(kind: &str, n: u64) -> Event {
    Event::new(kind, "/tests", json!({ "n": n })).unwrap()
}

fn types(text: &str) -> TypeFilter {
    TypeFilter::parse(text).unwrap()
}

/// Runs on both stores; the second only where `redis-server` is installed.
macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        mod engine {$(
            #[tokio::test]
            async fn $name() {
                super::$name(super::support::engine()).await;
            }
        )+}
        mod redis {$(
            #[tokio::test]
            async fn $name() {
                let Some(server) = super::LocalRedis::start() else { return };
                super::$name(server.client()).await;
            }
        )+}
    };
}

on_every_store!(
    work_reaches_registered_subscribers_and_is_done_once,
    failures_are_retried_and_then_dead_and_come_back_by_redrive,
    work_that_stalled_goes_to_another_consumer_and_poison_to_the_dead_letters,
    an_outbox_is_published_once_in_order_and_refused_events_do_not_block_it,
);

async fn work_reaches_registered_subscribers_and_is_done_once(redis: Redis) {
    let publisher = Events::new(redis.clone(), Environment::Production);
    publisher
        .publish(&event("booking.before", 0))
        .await
        .unwrap();
    let other = Events::new(redis.clone(), Environment::Production);
    other
        .register("billing", &types("booking.*"))
        .await
        .unwrap();
    other.register("audit", &types("*")).await.unwrap();
    // The publisher's list is old; the script tells it the new one.
    for n in 1..=3 {
        publisher
            .publish(&event("booking.created", n))
            .await
            .unwrap();
    }
    let acme = publisher.of_organisation("acme").unwrap();
    acme.publish(&event("user.created", 4)).await.unwrap();
    let billing = other.worker("billing", "one").unwrap();
    let first = billing.receive(2).await.unwrap();
    assert_eq!(first.len(), 2);
    assert!(
        first
            .iter()
            .all(|w| w.event.kind == "booking.created" && w.deliveries == 1)
    );
    for work in &first {
        assert!(billing.settle(work, Settle::Done).await.unwrap());
        assert!(
            !billing.settle(work, Settle::Done).await.unwrap(),
            "settled twice"
        );
    }
    assert_eq!(billing.receive(10).await.unwrap().len(), 1);
    let audit = other.worker("audit", "one").unwrap();
    let mut seen = Vec::new();
    let count = audit
        .run_once(10, |work| {
            seen.push(work.event.data.unwrap()["n"].as_u64().unwrap());
            async { Settle::Done }
        })
        .await
        .unwrap();
    assert_eq!((count, seen), (4, vec![1, 2, 3, 4]));
    assert!(audit.receive(10).await.unwrap().is_empty());
    let left: i64 = redis
        .command("XLEN")
        .arg("events:production:work:audit")
        .query()
        .await
        .unwrap();
    assert_eq!(left, 0, "done work is deleted");
    other.unregister("audit").await.unwrap();
    publisher
        .publish(&event("booking.created", 5))
        .await
        .unwrap();
    assert!(audit.receive(10).await.unwrap().is_empty());
}

async fn failures_are_retried_and_then_dead_and_come_back_by_redrive(redis: Redis) {
    let events = Events::new(redis.clone(), Environment::Development);
    events
        .register("mail", &types("user.created"))
        .await
        .unwrap();
    events.publish(&event("user.created", 7)).await.unwrap();
    let worker = events.worker("mail", "one").unwrap().max_deliveries(2);
    let work = worker.receive(1).await.unwrap().remove(0);
    worker
        .settle(&work, Settle::Retry("no\nroute".into()))
        .await
        .unwrap();
    // The backoff is at most a second after the first failure.
    let work = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Some(work) = worker.receive(1).await.unwrap().pop() {
                return work;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(work.deliveries, 2);
    assert!(work.tries.ends_with(" no route\n"), "{}", work.tries);
    worker
        .settle(&work, Settle::Retry("again".into()))
        .await
        .unwrap();
    assert!(worker.receive(1).await.unwrap().is_empty());
    let dead = events.dead_letters(None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    let letter = &dead[0];
    assert_eq!(
        (&*letter.subscriber, &*letter.reason, letter.attempts),
        ("mail", "exhausted", 2)
    );
    assert_eq!(letter.tries.lines().count(), 2);
    assert_eq!(letter.event.as_ref().unwrap().data, Some(json!({ "n": 7 })));
    assert_eq!(
        events.dead_letter(&letter.id).await.unwrap().unwrap().id,
        letter.id
    );
    assert_eq!(events.redrive(&dead).await.unwrap(), 1);
    assert_eq!(events.redrive(&dead).await.unwrap(), 0, "moved once");
    assert_eq!(events.dead_letter_count().await.unwrap(), 0);
    let back = worker.receive(1).await.unwrap().remove(0);
    assert_eq!(
        (back.event.id.clone(), back.deliveries),
        (letter.event.as_ref().unwrap().id.clone(), 1)
    );
    worker
        .settle(&back, Settle::Dead("schema".into(), "no address".into()))
        .await
        .unwrap();
    let dead = events.dead_letters(None, 10).await.unwrap();
    assert_eq!(dead[0].reason, "schema");
    assert!(
        events
            .dead_letters(Some(&dead[0].id), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        events
            .purge(std::slice::from_ref(&dead[0].id))
            .await
            .unwrap(),
        1
    );
    assert_eq!(events.dead_letter_count().await.unwrap(), 0);
    assert!(events.purge(&["*".into()]).await.is_err());
}

async fn work_that_stalled_goes_to_another_consumer_and_poison_to_the_dead_letters(redis: Redis) {
    let events = Events::new(redis, Environment::Staging);
    events.register("index", &types("*")).await.unwrap();
    events.publish(&event("a", 1)).await.unwrap();
    let worker = |name| {
        events
            .worker("index", name)
            .unwrap()
            .lease(Duration::from_millis(1))
            .max_deliveries(2)
    };
    let (one, two) = (worker("one"), worker("two"));
    let first = one.receive(1).await.unwrap().remove(0);
    let taken = until_some(async || two.receive(1).await.unwrap().pop()).await;
    assert_eq!((taken.id.clone(), taken.deliveries), (first.id.clone(), 2));
    assert!(
        !one.settle(&first, Settle::Done).await.unwrap(),
        "the first consumer holds it no longer"
    );
    let dead = until_some(async || {
        assert!(one.receive(1).await.unwrap().is_empty());
        events.dead_letters(None, 1).await.unwrap().pop()
    })
    .await;
    assert_eq!((&*dead.reason, dead.attempts), ("poison", 2));
}

async fn until_some<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..10_000 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came");
}

async fn an_outbox_is_published_once_in_order_and_refused_events_do_not_block_it(redis: Redis) {
    let events = Events::new(redis, Environment::Development);
    let phone = Producer::new("phone-1", 5).unwrap();
    let outbox = || {
        let mut first = event("a", 1);
        first.id = "1".into();
        let mut third = event("a", 3);
        third.id = "3".into();
        vec![
            Ok(first),
            Event::from_json(json!({ "type": "not valid" })),
            Ok(third),
        ]
    };
    let verdicts = events.publish_outbox(&phone, 1, outbox()).await.unwrap();
    let [Verdict::New(one), Verdict::Rejected(_), Verdict::New(three)] = &verdicts[..] else {
        panic!("{verdicts:?}");
    };
    assert_eq!((one.offset(), three.offset()), (1, 2));
    // The answer was lost: everything is sent again.
    let again = events.publish_outbox(&phone, 1, outbox()).await.unwrap();
    assert!(
        matches!(
            &again[..],
            [Verdict::Duplicate, Verdict::Rejected(_), Verdict::Duplicate]
        ),
        "{again:?}"
    );
    let gap = events
        .publish_outbox(&phone, 6, vec![Ok(event("a", 6))])
        .await
        .unwrap();
    assert!(matches!(gap[..], [Verdict::Gap { expected: 4 }]), "{gap:?}");
    let next = events
        .publish_outbox(&phone, 4, vec![Ok(event("a", 4)), Ok(event("a", 5))])
        .await
        .unwrap();
    assert!(
        matches!(next[..], [Verdict::New(_), Verdict::New(_)]),
        "{next:?}"
    );
    let reinstalled = Producer::new("phone-1", 6).unwrap();
    let fresh = events
        .publish_outbox(&reinstalled, 1, vec![Ok(event("a", 1))])
        .await
        .unwrap();
    assert!(matches!(fresh[..], [Verdict::New(_)]), "{fresh:?}");
    let old = events
        .publish_outbox(&phone, 6, vec![Ok(event("a", 6))])
        .await
        .unwrap();
    assert!(matches!(old[..], [Verdict::Fenced { epoch: 6 }]), "{old:?}");
    let page = events.history(&HistoryQuery::new()).await.unwrap();
    let ids: BTreeSet<_> = page.events.iter().map(|e| e.event.id.clone()).collect();
    assert_eq!((page.events.len(), ids.len()), (5, 5));
}

#[tokio::test]
async fn publishing_stays_one_request_when_the_subscribers_are_known() {
    let (redis, counts) = counting();
    let events = Events::new(redis, Environment::Development);
    events.register("all", &types("*")).await.unwrap();
    events.publish(&event("a", 1)).await.unwrap();
    counts.reset();
    events.publish(&event("a", 2)).await.unwrap();
    assert_eq!((counts.requests(), counts.commands()), (1, 1));
    assert_eq!(
        events
            .worker("all", "w")
            .unwrap()
            .receive(10)
            .await
            .unwrap()
            .len(),
        2
    );
}
