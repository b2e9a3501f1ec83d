//! What a program in the server's process sees of its databases: commands as they come, slow ones.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::Duration;

use futures_util::StreamExt as _;
use restis_server::{MonitorFilter, Running};
use support::redis::RedisProcess;
use support::*;

fn both(test: impl Fn(&Running)) {
    let server = engine_server();
    test(&server);
    server.stop();
    if let Some(redis) = RedisProcess::start(&[]) {
        let server = redis_server(&redis.url());
        test(&server);
        server.stop();
    }
}

/// Runs a future that must not take long.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limited = tokio::time::timeout(Duration::from_secs(60), future);
        limited.await.expect("it takes too long")
    })
}

#[test]
fn a_filtered_monitor_shows_what_it_is_asked_for_and_counts_the_rest() {
    both(|server| {
        run(async {
            let filter = MonitorFilter::new("set WANTED:");
            let mut batches = server.connector().monitor(TOKEN, filter).await.unwrap();
            for key in ["other:1", "wanted:1", "other:2"] {
                command(server.addr(), &["SET", key, "v"]);
            }
            let (mut lines, mut seen) = (Vec::new(), 0);
            while seen < 3 {
                let batch = batches.next().await.unwrap();
                assert_eq!(batch.left_out, 0);
                seen += batch.seen;
                lines.extend(batch.lines);
            }
            let lines: Vec<_> = lines
                .iter()
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .filter(|line| !line.contains("PING"))
                .collect();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].ends_with(r#""SET" "wanted:1" "v""#), "{lines:?}");
        });
    });
}

#[test]
fn a_monitor_is_for_full_tokens_and_ends_with_the_server() {
    let server = engine_server();
    run(async {
        let filter = MonitorFilter::default();
        let refused = server.connector().monitor("WRONG", filter.clone()).await;
        assert!(refused.is_err());
        let connector = server.connector();
        let mut batches = connector.monitor(TOKEN, filter).await.unwrap();
        server.stop();
        assert_eq!(batches.next().await, None);
    });
}

#[test]
fn the_slow_log_tells_what_took_long() {
    let server = engine_server();
    let connector = server.connector();
    assert_eq!(connector.slow_log(TOKEN, 10), Some(Vec::new()));
    let script = "for i = 1, 2000000 do end return redis.call('SET', KEYS[1], 'v')";
    command(server.addr(), &["EVAL", script, "1", "key"]);
    let found = connector.slow_log(TOKEN, 10).unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].micros >= 10_000 && found[0].at > 0);
    assert_eq!(found[0].args[0], "EVAL");
    assert_eq!(found[0].args[3], "key");
    assert_eq!(connector.slow_log("WRONG", 10), None);
    assert_eq!(connector.clock_ahead(), None);
    server.stop();
}
