//! How many scripts a second the engine runs in process, on one thread.
//!
//! `cargo bench -p restis-engine --bench scripts`

#![allow(clippy::print_stdout, reason = "prints its figures")]

use std::time::{Duration, Instant};

use restis_engine::{Engine, Reply};

/// The decision of a sliding window: two reads, a weighted sum, one write, an expiry at first.
const SLIDING_WINDOW: &str = "
local current, previous = KEYS[1], KEYS[2]
local limit, now, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local increment = tonumber(ARGV[4])
local used = tonumber(redis.call('GET', current) or '0')
local before = tonumber(redis.call('GET', previous) or '0')
local share = 1 - (now % window) / window
before = math.floor(before * share)
if before + used >= limit then return -1 end
local total = redis.call('INCRBY', current, increment)
if total == increment then redis.call('PEXPIRE', current, window * 2 + 1000) end
return limit - (total + before)";

/// Seconds this thread has had a processor, where the system tells.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanos / 1e9)
}

/// Calls in batches for two seconds; prints calls a second, and a second of processor time.
fn rate(name: &str, mut call: impl FnMut(u64)) {
    let (start, before) = (Instant::now(), processor_seconds());
    let mut done = 0_u64;
    while start.elapsed() < Duration::from_secs(2) {
        for _ in 0..1_000 {
            call(done);
            done += 1;
        }
    }
    let done = done as f64;
    let wall = done / start.elapsed().as_secs_f64();
    let used = before
        .zip(processor_seconds())
        .map(|(before, after)| done / (after - before));
    match used {
        Some(used) => println!("{name:<40} {wall:>11.0}/s {used:>11.0}/s of processor time"),
        None => println!("{name:<40} {wall:>11.0}/s"),
    }
}

fn main() {
    let engine = Engine::default();
    let load = |script: &str| match engine.call(&["SCRIPT", "LOAD", script]) {
        Reply::Bulk(sha) => String::from_utf8_lossy(&sha).into_owned(),
        other => panic!("SCRIPT LOAD answered {other:?}"),
    };
    engine.call(&["SET", "key", "value"]);
    rate("GET, for comparison", |_| {
        drop(engine.call(&["GET", "key"]));
    });

    let sha = load("return 1");
    rate("EVALSHA of `return 1`", |_| {
        drop(engine.call(&["EVALSHA", &sha, "0"]));
    });

    for (name, script) in [
        ("sliding window", SLIDING_WINDOW.to_owned()),
        (
            "sliding window, allow-key-locking",
            format!("#!lua flags=allow-key-locking\n{SLIDING_WINDOW}"),
        ),
    ] {
        engine.call(&["FLUSHALL"]);
        let sha = load(&script);
        let keys: Vec<[String; 2]> = (0..1_000)
            .map(|n| [format!("limit:{n}:7"), format!("limit:{n}:6")])
            .collect();
        rate(name, |n| {
            let [current, previous] = &keys[n as usize % keys.len()];
            let args = [
                "EVALSHA",
                &sha,
                "2",
                current,
                previous,
                "1000000000",
                "1700000012345",
                "60000",
                "1",
            ];
            let reply = engine.call(&args);
            assert!(matches!(reply, Reply::Int(_)), "{reply:?}");
        });
    }
}
