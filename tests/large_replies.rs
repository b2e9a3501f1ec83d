//! A reply that does not fit is one command's error; its neighbours have their results.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use restis::{ErrorKind, prelude::*};
use support::servers::Rest;

const MB: usize = 1_000_000;

async fn fill(redis: &Redis) {
    for key in ["a5", "b5"] {
        redis.set(key, key.repeat(MB * 5 / 2)).await.unwrap();
    }
}

async fn neighbours_are_not_touched(redis: &Redis) {
    fill(redis).await;
    let (a, b, n, w) = tokio::join!(
        redis.get::<String>("a5"),
        redis.get::<String>("b5"),
        redis.incr("n"),
        redis.set("w", "x"),
    );
    assert_eq!(a.unwrap().unwrap().len(), 5 * MB);
    assert_eq!(b.unwrap().unwrap().len(), 5 * MB);
    assert_eq!(n.unwrap(), 1);
    w.unwrap();

    let mut pipeline = redis.pipeline();
    let (a, b) = (pipeline.get::<String>("a5"), pipeline.get::<String>("b5"));
    let n = pipeline.incr("n");
    let mut replies = pipeline.exec().await.unwrap();
    assert_eq!(replies.take(a).unwrap().unwrap().len(), 5 * MB);
    assert_eq!(replies.take(b).unwrap().unwrap().len(), 5 * MB);
    assert_eq!(replies.take(n).unwrap(), 2);
}

async fn what_is_accepted_is_read_back(redis: &Redis) {
    for size in [8 * MB, 9 * MB, 9 * MB + 900_000] {
        redis.set("large", "x".repeat(size)).await.unwrap();
        let value: Option<String> = redis.get("large").await.unwrap();
        assert_eq!(value.unwrap().len(), size);
    }
}

#[tokio::test]
async fn on_the_engine() {
    let server = Rest::engine();
    neighbours_are_not_touched(&server.client()).await;
    what_is_accepted_is_read_back(&server.client()).await;
}

#[tokio::test]
async fn on_a_redis() {
    let Some(server) = Rest::redis() else { return };
    neighbours_are_not_touched(&server.client()).await;
    what_is_accepted_is_read_back(&server.client()).await;
}

#[tokio::test]
async fn a_limit_of_the_client_splits_reads_and_repeats_no_write() {
    let server = Rest::engine();
    fill(&server.client()).await;
    let redis = server.builder().max_reply_bytes(8 * MB).build().unwrap();
    let (a, b, n) = tokio::join!(
        redis.get::<String>("a5"),
        redis.get::<String>("b5"),
        redis.incr("n"),
    );
    assert_eq!(a.unwrap().unwrap().len(), 5 * MB);
    assert_eq!(b.unwrap().unwrap().len(), 5 * MB);
    assert_eq!(n.unwrap_err().kind(), ErrorKind::TooLarge);
    let n: Option<i64> = server.client().get("n").await.unwrap();
    assert_eq!(n, Some(1), "counted once");
}

#[tokio::test]
async fn a_read_is_not_moved_behind_a_write_of_its_key() {
    let server = Rest::engine();
    let redis = server.client();
    fill(&redis).await;
    let mut pipeline = redis.pipeline();
    let _ = pipeline.get::<String>("a5");
    let second = pipeline.get::<String>("b5");
    let _ = pipeline.set("b5", "new");
    let mut replies = pipeline.exec().await.unwrap();
    // Either what it read in its turn, or that this did not fit; never what was written later.
    match replies.take(second) {
        Ok(value) => assert_eq!(value.unwrap().len(), 5 * MB),
        Err(error) => assert_eq!(error.kind(), ErrorKind::TooLarge),
    }
}
