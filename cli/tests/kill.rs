//! A server that dies in the middle of a thousand commands.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use restis::Redis;
use restis::prelude::*;
use support::Restis;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_ends_when_the_server_is_killed() {
    let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0"]);
    let redis = Redis::builder(restis.url(), restis.token())
        .build()
        .unwrap();
    redis.set("warm", "up").await.unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<tokio::task::JoinHandle<restis::Result<()>>> = (0..1_000)
        .map(|number| {
            let (redis, answered) = (redis.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                // Spread over time, so that some come before, some during and some after.
                for round in 0..20 {
                    redis.incr(format!("n:{number}:{round}")).await?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    while answered.load(Ordering::Relaxed) < 2_000 {
        tokio::task::yield_now().await;
    }
    support::signal("KILL", restis.id());
    let mut failed = 0;
    for task in tasks {
        let ended = tokio::time::timeout(Duration::from_secs(60), task).await;
        // No hang, no panic: the end of each is a result or a typed error.
        if let Err(error) = ended.expect("a command hangs").expect("a task panicked") {
            assert!(!error.to_string().is_empty());
            failed += 1;
        }
    }
    assert!(failed > 0, "the server died too late to matter");
}
