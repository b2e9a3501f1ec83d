//! The engine in process: pipelines of a hundred commands, and sets of a million members.
#![allow(missing_docs, reason = "criterion writes the functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use restis_engine::{Caller, Engine, Reply};

const PIPELINE: u32 = 100;
const MILLION: u32 = 1_000_000;

type Command = Vec<Vec<u8>>;

fn command(words: &[&str]) -> Command {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// One pipeline of a kind of command, with a 64-byte value.
fn pipeline(make: impl Fn(&str, &str) -> Command) -> Vec<Command> {
    let value = "x".repeat(64);
    (0..PIPELINE)
        .map(|n| make(&format!("key:{n}"), &value))
        .collect()
}

fn pipelines(c: &mut Criterion) {
    let engine = Engine::default();
    let caller = Caller::default();
    let mut group = c.benchmark_group("pipeline of 100");
    group.throughput(Throughput::Elements(u64::from(PIPELINE)));
    for (name, commands) in [
        ("SET", pipeline(|key, value| command(&["SET", key, value]))),
        ("GET", pipeline(|key, _| command(&["GET", key]))),
        (
            "SET EX",
            pipeline(|key, value| command(&["SET", key, value, "EX", "100"])),
        ),
        (
            "INCR",
            pipeline(|key, _| command(&["INCR", &format!("n:{key}")])),
        ),
        (
            "HSET",
            pipeline(|key, value| command(&["HSET", "hash", key, value])),
        ),
        (
            "ZADD",
            pipeline(|key, _| command(&["ZADD", "zset", "1", key])),
        ),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                engine.batch(&caller, &commands, |reply| {
                    assert!(!reply.is_error());
                    black_box(reply);
                });
            });
        });
    }
}

fn million_members(c: &mut Criterion) {
    let engine = Engine::default();
    // Members in no order of their scores.
    let score = |n: u32| (n.wrapping_mul(2_654_435_761) % 1_000_003).to_string();
    for n in 0..MILLION {
        let reply = engine.call(&["ZADD", "zset", &score(n), &format!("member:{n}")]);
        assert_eq!(reply, Reply::Int(1));
    }
    let mut group = c.benchmark_group("sorted set of a million");
    let mut n = 0u32;
    let mut next = move || {
        n = n.wrapping_add(7919) % MILLION;
        n
    };
    group.bench_function("ZRANK", |b| {
        b.iter(|| engine.call(&["ZRANK", "zset", &format!("member:{}", next())]));
    });
    group.bench_function("ZRANGE of 10 in the middle", |b| {
        b.iter(|| {
            let start = next();
            engine.call(&[
                "ZRANGE",
                "zset",
                &start.to_string(),
                &(start + 9).to_string(),
            ])
        });
    });
    group.bench_function("ZADD that moves a member", |b| {
        b.iter(|| {
            let member = next();
            engine.call(&[
                "ZADD",
                "zset",
                &score(member ^ 0x55),
                &format!("member:{member}"),
            ])
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2))
        .sample_size(30);
    targets = pipelines, million_members
}
criterion_main!(benches);
