//! One suite for every backend: what holds for a Redis holds for each of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use restis::prelude::*;

async fn strings(redis: &Redis) {
    redis.set("greeting", "hello").await.unwrap();
    assert_eq!(
        redis.get::<String>("greeting").await.unwrap().as_deref(),
        Some("hello")
    );
    assert_eq!(redis.get::<String>("missing").await.unwrap(), None);
}

#[tokio::test]
async fn embedded_strings() {
    strings(&support::engine()).await;
}
