//! The engine in process: pipelines of a hundred commands, sets and streams of a million, documents.
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

fn million_entries(c: &mut Criterion) {
    let engine = Engine::default();
    for n in 1..=MILLION {
        let id = n.to_string();
        let reply = engine.call(&["XADD", "stream", &id, "user", &id, "event", "page_view"]);
        assert!(!reply.is_error());
    }
    engine.call(&["XGROUP", "CREATE", "stream", "group", "0"]);
    let mut group = c.benchmark_group("stream of a million");
    let mut last = MILLION;
    group.bench_function("XADD", |b| {
        b.iter(|| {
            last += 1;
            engine.call(&[
                "XADD",
                "stream",
                &last.to_string(),
                "user",
                "1",
                "event",
                "page_view",
            ])
        });
    });
    let mut last = last + MILLION;
    group.bench_function("XADD MAXLEN ~", |b| {
        b.iter(|| {
            last += 1;
            let id = last.to_string();
            engine.call(&[
                "XADD",
                "stream",
                "MAXLEN",
                "~",
                "1000000",
                &id,
                "user",
                "1",
                "event",
                "page_view",
            ])
        });
    });
    let mut n = 0u32;
    let mut next = move || {
        n = n.wrapping_add(7919) % MILLION;
        n
    };
    group.bench_function("XRANGE of 10 in the middle", |b| {
        b.iter(|| engine.call(&["XRANGE", "stream", &next().to_string(), "+", "COUNT", "10"]));
    });
    group.bench_function("XREADGROUP and XACKDEL", |b| {
        b.iter(|| {
            let read = engine.call(&[
                "XREADGROUP",
                "GROUP",
                "group",
                "worker",
                "COUNT",
                "1",
                "STREAMS",
                "stream",
                ">",
            ]);
            let Some(id) = first_id(&read) else { return };
            black_box(engine.call(&[&b"XACKDEL"[..], b"stream", b"group", b"IDS", b"1", &id]));
        });
    });
}

/// The id of the first entry of a read.
fn first_id(read: &Reply) -> Option<Vec<u8>> {
    let step = |reply: &Reply, at: usize| match reply {
        Reply::Array(items) => items.get(at).cloned(),
        _ => None,
    };
    let entries = step(&step(read, 0)?, 1)?;
    match step(&step(&entries, 0)?, 0)? {
        Reply::Bulk(id) => Some(id.to_vec()),
        _ => None,
    }
}

fn documents(c: &mut Criterion) {
    let engine = Engine::default();
    let members: Vec<String> = (0..1000)
        .map(|n| format!(r#""m{n}":{{"name":"member {n}","n":{n},"tags":["a","b"]}}"#))
        .collect();
    let document = format!("{{{}}}", members.join(","));
    engine.call(&["JSON.SET", "doc", "$", &document]);
    let schema = [
        "ON", "HASH", "PREFIX", "1", "item:", "SCHEMA", "name", "TEXT", "price", "F64", "FAST",
    ];
    engine.call(&[&["SEARCH.CREATE", "items"][..], &schema[..]].concat());
    for n in 0..100_000 {
        let name = format!("item {} of colour {}", n, n % 97);
        engine.call(&[
            "HSET",
            &format!("item:{n}"),
            "name",
            &name,
            "price",
            &(n % 1000).to_string(),
        ]);
    }
    engine.call(&["SEARCH.WAITINDEXING", "items"]);
    let mut group = c.benchmark_group("documents");
    for (name, command) in [
        (
            "JSON.GET of one member of 1,000",
            vec!["JSON.GET", "doc", "$.m500.name"],
        ),
        (
            "JSON.NUMINCRBY of one member of 1,000",
            vec!["JSON.NUMINCRBY", "doc", "$.m500.n", "1"],
        ),
        (
            "JSON.GET of all members of 1,000",
            vec!["JSON.GET", "doc", "$..n"],
        ),
        (
            "SEARCH.QUERY of a word in 100,000 hashes",
            vec![
                "SEARCH.QUERY",
                "items",
                r#"{"name":{"$eq":"42"},"price":{"$lt":500}}"#,
            ],
        ),
    ] {
        group.bench_function(name, |b| b.iter(|| engine.call(&command)));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2))
        .sample_size(30);
    targets = pipelines, million_members, million_entries, documents
}
criterion_main!(benches);
