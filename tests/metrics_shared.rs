//! Counters of many instances: what they cost, that repeating is harmless, that none is lost.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use restis::{
    Delivery, Error, ErrorKind, Redis, Result,
    metrics::Snapshot,
    prelude::*,
    transport::{BoxFuture, Exchange, Transport, TransportResponse, embedded::EmbeddedTransport},
    variables::Environment,
};
use restis_engine::{Engine, Options};
use support::{Counts, counting_over};

const NEVER_AGAIN: Duration = Duration::from_secs(86_400);

fn flushing(engine: &Engine, every: Duration) -> (Redis, Counts) {
    let (redis, counts) = counting_over(EmbeddedTransport::new(engine.clone()));
    redis.metrics().flush(Environment::Development, every);
    (redis, counts)
}

async fn ask(redis: &Redis, times: usize) {
    for _ in 0..times {
        redis.get::<Option<String>>("k").await.unwrap();
    }
}

async fn all(redis: &Redis) -> (Snapshot, usize) {
    redis.metrics_of_all_instances().await.unwrap()
}

fn calls(snapshot: &Snapshot, command: &str) -> u64 {
    snapshot
        .commands
        .get(command)
        .map_or(0, |stats| stats.count)
}

#[tokio::test]
async fn counters_travel_as_one_command_of_requests_that_are_sent_anyway() {
    let engine = Engine::new(Options::default());
    let (redis, counts) = flushing(&engine, NEVER_AGAIN);
    ask(&redis, 50).await;
    assert_eq!((counts.requests(), counts.commands()), (50, 51));
    // At every opportunity it is one command a request.
    let (redis, counts) = flushing(&engine, Duration::ZERO);
    ask(&redis, 50).await;
    assert_eq!(counts.requests(), 50);
    assert!(counts.commands() <= 100, "{}", counts.commands());
    // Beside a transaction it would be part of it.
    let (redis, counts) = flushing(&engine, Duration::ZERO);
    let mut transaction = redis.transaction();
    transaction.set("k", "v");
    transaction.exec().await.unwrap();
    assert_eq!((counts.requests(), counts.commands()), (1, 1));
}

#[tokio::test]
async fn all_instances_count_together_also_those_that_ended() {
    let engine = Engine::new(Options::default());
    let (one, _) = flushing(&engine, Duration::ZERO);
    let (other, _) = flushing(&engine, Duration::ZERO);
    one.metrics().count("ratelimit_allowed", 5);
    one.metrics().count("my_own", 2);
    ask(&one, 3).await;
    other.metrics().count("ratelimit_allowed", 2);
    ask(&other, 2).await;
    // What an instance has not written yet is not there; its own numbers are.
    let (sum, instances) = all(&other).await;
    assert_eq!(instances, 2);
    assert_eq!(sum.counters["ratelimit_allowed"], 7);
    assert_eq!(sum.counters["my_own"], 2);
    assert_eq!(calls(&sum, "GET"), 2 + 2);
    // The first instance is silent for long: it ends, and its numbers stay.
    engine.call(&["PERSIST", "{metrics:development}:instances"]);
    let ids = engine.call(&["ZRANGE", "{metrics:development}:instances", "0", "-1"]);
    let restis_engine::Reply::Array(ids) = ids else {
        panic!("{ids:?}")
    };
    for id in ids {
        let restis_engine::Reply::Bulk(id) = id else {
            panic!("{id:?}")
        };
        let id = std::str::from_utf8(&id).unwrap().to_owned();
        engine.call(&["ZADD", "{metrics:development}:instances", "1", &id]);
    }
    let (reader, _) = flushing(&engine, NEVER_AGAIN);
    for _ in 0..2 {
        let (sum, instances) = all(&reader).await;
        assert_eq!(instances, 1);
        assert_eq!(sum.counters["ratelimit_allowed"], 7);
        assert_eq!(sum.counters["my_own"], 2);
    }
    // It comes back: nothing counts twice.
    one.metrics().count("ratelimit_allowed", 1);
    ask(&one, 3).await;
    let (sum, _) = all(&reader).await;
    assert_eq!(sum.counters["ratelimit_allowed"], 8);
    assert_eq!(sum.counters["my_own"], 2);
}

/// Loses the answer of each second exchange after it was executed.
#[derive(Debug)]
struct Losing {
    inner: EmbeddedTransport,
    asked: Arc<AtomicUsize>,
}

impl Transport for Losing {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        let answer = self.inner.execute(exchange);
        let lost = self.asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        Box::pin(async move {
            let answer = answer.await?;
            if lost {
                let kind = ErrorKind::Interrupted;
                return Err(Error::new(kind, Delivery::MaybeExecuted, "lost"));
            }
            Ok(answer)
        })
    }
}

#[tokio::test]
async fn a_batch_with_counters_is_retried_and_counts_once() {
    let engine = Engine::new(Options::default());
    let asked = Arc::new(AtomicUsize::new(0));
    let redis = Redis::with_transport(Losing {
        inner: EmbeddedTransport::new(engine.clone()),
        asked: Arc::clone(&asked),
    });
    redis
        .metrics()
        .flush(Environment::Development, Duration::ZERO);
    redis.metrics().count("ratelimit_allowed", 4);
    // Reads: each is repeated although it was executed, and so is what travels beside it.
    ask(&redis, 4).await;
    assert_eq!(asked.load(Ordering::SeqCst), 8);
    let reader = Redis::embedded(engine);
    reader
        .metrics()
        .flush(Environment::Development, NEVER_AGAIN);
    let (sum, _) = all(&reader).await;
    assert_eq!(sum.counters["ratelimit_allowed"], 4);
}

#[tokio::test]
async fn a_store_that_refuses_scripts_costs_one_try() {
    let engine = Engine::new(Options::default());
    let (redis, counts) = counting_over(EmbeddedTransport::new(engine).read_only());
    redis
        .metrics()
        .flush(Environment::Development, Duration::ZERO);
    ask(&redis, 10).await;
    assert_eq!((counts.requests(), counts.commands()), (10, 11));
}

#[tokio::test]
async fn without_counters_in_the_store_there_is_no_view_of_all() {
    let error = support::engine().metrics_of_all_instances().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Config);
}
