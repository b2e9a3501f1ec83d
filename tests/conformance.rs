//! One suite for every backend: what holds for a Redis holds for each of them.
//!
//! A behaviour is one async function on a client of an empty database; this runs each against the
//! embedded engine, our server over the engine (base64 and RESP2) and our server over a real
//! `redis-server`. `tests/edge` runs them on WebAssembly.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "conformance/behaviours.rs"]
mod behaviours;
#[path = "conformance/replies.rs"]
mod replies;
mod support;

use behaviours::*;
use replies::*;
use restis::{prelude::*, transport::Encoding};
use support::servers::Rest;

macro_rules! conformance {
    ($($behaviour:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(&super::support::engine()).await;
            })+
        }
        mod server_over_engine {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(&super::Rest::engine().client()).await;
            })+
        }
        mod server_over_engine_resp2 {
            use super::{Encoding, Rest};
            $(#[tokio::test]
            async fn $behaviour() {
                let server = Rest::engine();
                let redis = server.builder().encoding(Encoding::Resp2).build().unwrap();
                super::$behaviour(&redis).await;
            })+
        }
        mod server_over_redis {
            $(#[tokio::test]
            async fn $behaviour() {
                let Some(server) = super::Rest::redis() else { return };
                super::$behaviour(&server.client()).await;
            })+
        }
    };
}

behaviours::behaviours!(conformance);

/// A server that goes away under load: every call ends, with its reply or a typed error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_server_under_a_thousand_calls_ends_every_one() {
    let server = Rest::engine();
    let redis = server.client();
    redis.set("warm", "up").await.unwrap();
    let calls: Vec<_> = (0..1000)
        .map(|i| {
            let redis = redis.clone();
            tokio::spawn(async move {
                let mut done = 0;
                while done < 50 {
                    redis.incr(format!("n{}", i % 10)).await?;
                    done += 1;
                }
                Ok::<_, Error>(done)
            })
        })
        .collect();
    while redis.metrics().snapshot().requests < 20 {
        tokio::task::yield_now().await;
    }
    server.stop();
    let mut failed = 0;
    for call in calls {
        if let Err(error) = call.await.expect("no panic") {
            assert!(error.is_unavailable(), "{error}");
            failed += 1;
        }
    }
    assert!(failed > 0, "the server was stopped in the middle");
}

/// Callers that come and go on several threads: whoever stays gets its reply, and nothing is
/// counted that nobody asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_give_up_hold_up_nobody() {
    let server = Rest::engine();
    let redis = server
        .builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..64_u32)
        .map(|task| {
            let redis = redis.clone();
            tokio::spawn(async move {
                let (mut asked, mut answered) = (0, 0);
                for turn in 0..100_u32 {
                    asked += 1;
                    let patience = (task * 31 + turn * 17) % 23;
                    let gives_up = async {
                        for _ in 0..patience {
                            tokio::task::yield_now().await;
                        }
                        // Most stay to the end.
                        if patience > 7 {
                            std::future::pending::<()>().await;
                        }
                    };
                    tokio::select! {
                        reply = async { redis.incr("n").await } => {
                            reply.unwrap();
                            answered += 1;
                        }
                        () = gives_up => {}
                    }
                }
                (asked, answered)
            })
        })
        .collect();
    let (mut asked, mut answered) = (0, 0);
    for task in tasks {
        let (a, b) = task.await.unwrap();
        asked += a;
        answered += b;
    }
    let counted: i64 = redis.get("n").await.unwrap().unwrap();
    assert!(
        answered <= counted && counted <= asked,
        "{answered} {counted} {asked}"
    );
    assert!(answered > asked / 4, "{answered} of {asked}");
}
