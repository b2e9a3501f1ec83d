//! Whatever is written, what is really allocated stays near the limit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed unwrap is a failed test"
)]

use std::sync::Arc;

use peak_alloc::PeakAlloc;
use restis_engine::{Caller, Engine, Frame, Options, Reply, Sink};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const LIMIT: usize = 1 << 20;
/// What the interpreter and the tables of an empty database may take besides.
const BESIDES: usize = 1 << 20;
/// More commands than any line needs to reach the limit.
const MOST: usize = 40_000;

/// Commands that prepare, and one that is repeated until it is refused. `{n}` counts, `{x}` is a
/// text of 1000 bytes, `{0}` a list of 1000 zeros, `{list}` are the numbers to 5000 and `{fields}`
/// as many fields, `^` in a word is a space.
const GROWTH: &[(&[&str], &str)] = &[
    (&[], "SET k{n} v"),
    (&[], "SET k{n} {x}"),
    (&[], "SET k{n} v EX 1000"),
    (&[], "SETEX k{n} 100 v"),
    (&[], "SETNX k{n} v"),
    (&[], "GETSET k{n} v"),
    (&[], "MSET a{n} v b{n} v c{n} v"),
    (&[], "MSETEX 2 a{n} v b{n} v EX 1000"),
    (&[], "INCREX k{n} EX 1000"),
    (&[], "MSETNX a{n} v b{n} v c{n} v"),
    (&[], "INCR k{n}"),
    (&[], "INCRBYFLOAT k{n} 1.5"),
    (&[], "APPEND k {x}"),
    (&[], "SETRANGE k 1{n}000 x"),
    (&[], "SETBIT k 1{n}00000 1"),
    (&[], "BITFIELD k SET u8 1{n}00000 1"),
    (&["SETRANGE s 100000 x"], "BITOP NOT k{n} s"),
    (&["SETRANGE s 100000 x"], "COPY s k{n}"),
    (&[], "PFADD k{n} a"),
    (&["PFADD s a b c"], "PFMERGE k{n} s"),
    (&[], "HSET h f{n} v"),
    (&[], "HSET h{n} f v"),
    (&[], "HSETNX h f{n} v"),
    (&[], "HINCRBY h f{n} 1"),
    (&[], "HINCRBYFLOAT h f{n} 1.5"),
    (&[], "HSETEX h EX 100 FIELDS 1 f{n} v"),
    (&[], "RPUSH l item:{n}:of-thirty-bytes-or-so"),
    (&[], "LPUSH l{n} v"),
    (
        &["RPUSH l a"],
        "LINSERT l BEFORE a item:{n}:of-thirty-bytes-or-so",
    ),
    (&["RPUSH l a"], "RPUSHX l {x}"),
    (&[], "SADD s m{n}"),
    (&[], "SADD s{n} m"),
    (&["SADD s a b c d e f g h"], "SUNIONSTORE k{n} s"),
    (&["SADD s a b c d e f g h"], "SINTERSTORE k{n} s"),
    (&["SADD s a b c d e f g h"], "SDIFFSTORE k{n} s"),
    (&[], "ZADD z {n} m{n}"),
    (&[], "ZINCRBY z 1 m{n}"),
    (&["ZADD z 1 a 2 b 3 c 4 d"], "ZUNIONSTORE k{n} 1 z"),
    (&["ZADD z 1 a 2 b 3 c 4 d"], "ZINTERSTORE k{n} 1 z"),
    (&["ZADD z 1 a 2 b 3 c 4 d"], "ZRANGESTORE k{n} z 0 -1"),
    (&[], "GEOADD g 1 1 m{n}"),
    (
        &["GEOADD g 1 1 a 1 1 b 1 1 c"],
        "GEOSEARCHSTORE k{n} g FROMLONLAT 1 1 BYRADIUS 1 km",
    ),
    (&[], "XADD s * f v"),
    (&[], "XADD s{n} * f v"),
    (&[], "XADD s MAXLEN 1 IDMP p{n} i * f v"),
    (
        &["XADD s * f v", "XCFGSET s IDMP-MAXSIZE 10000"],
        "XADD s MAXLEN 1 IDMP p i{n} * f v",
    ),
    (&["XADD s 1-1 f v"], "XGROUP CREATE s g{n} 0"),
    (
        &["XADD s 1-1 f v", "XGROUP CREATE s g 0"],
        "XGROUP CREATECONSUMER s g {x}{n}",
    ),
    (
        &["XADD s 1-1 f v", "XGROUP CREATE s g 0"],
        "XREADGROUP GROUP g {x}{n} STREAMS s >",
    ),
    (
        &[
            "XADD s 1-1 f v",
            "XGROUP CREATE s g 0",
            "XREADGROUP GROUP g a STREAMS s >",
        ],
        "XCLAIM s g {x}{n} 0 1-1",
    ),
    (
        &[
            "XADD s 1-1 f v",
            "XGROUP CREATE s g 0",
            "XREADGROUP GROUP g a STREAMS s >",
        ],
        "XAUTOCLAIM s g {x}{n} 0 0",
    ),
    (&["RPUSH a {list}"], "LMOVE a {x}{n} LEFT RIGHT"),
    (&["SADD a {list}"], "SMOVE a {x}{n} {n}"),
    (&["RPUSH a {list}"], "RPOPLPUSH a {x}{n}"),
    (&[], "ARRING a{n} 10 v"),
    (&[], "ARRING a 1000000 {x}"),
    (&[], "ARMSET a {n} v 1{n}000 {x}"),
    (&[], "JSON.SET k{n} $ {\"a\":{n}}"),
    (&[], "JSON.SET k{n} $ {0}"),
    (&["JSON.SET k $ {0}"], "JSON.SET k $[*] \"{x}{n}\""),
    (&["JSON.SET k $ {0}"], "JSON.SET k $[*] {0}"),
    (&["JSON.SET k $ {}"], "JSON.SET k $.m{n} 1"),
    (&["JSON.SET k $ {}"], "JSON.MERGE k $ {\"m{n}\":{\"a\":1}}"),
    (&[], "JSON.MSET a{n} $ 1 b{n} $ []"),
    (
        &["JSON.SET k $ [\"\",\"\",\"\"]"],
        "JSON.STRAPPEND k $[*] \"{x}\"",
    ),
    (&["JSON.SET k $ [[],[],[]]"], "JSON.ARRAPPEND k $[*] {n} []"),
    (&["JSON.SET k $ [[],[],[]]"], "JSON.ARRINSERT k $[*] 0 {n}"),
    (&[], "VECTOR.CREATE k{n} DIM 4 METRIC DOT"),
    (
        &["VECTOR.CREATE k DIM 4 METRIC DOT"],
        "VECTOR.ADD k id{n} VALUES 4 1 2 3 4",
    ),
    (&[], "ARSET a {n} v"),
    (&[], "ARINSERT a v"),
    (&[], "ARSET a{n} 5 v"),
    (
        &[],
        "SEARCH.CREATE i{n} ON HASH PREFIX 1 {x}{n} SCHEMA f TEXT g U64",
    ),
    (&[], "SEARCH.ALIASADD {x}{n} i"),
    (&[], "ACL SETUSER u{n} on +@all ~{x} &{x}"),
    (&[], "ACL SETUSER u ~{x}{n}"),
    (
        &[],
        "FUNCTION LOAD #!lua^name=l{n}\nredis.register_function('f{n}',^function()^return^'{x}'^end)",
    ),
    (&[], "SCRIPT LOAD return^'{x}{n}'"),
    (
        &[],
        "EVAL for^i=1,10000^do^redis.call('SET','k{n}:'..i,'v')^end 0",
    ),
    (
        &[],
        "EVAL #!lua^flags=allow-oom\nfor^i=1,10000^do^redis.call('SET','k{n}:'..i,'v')^end 0",
    ),
];

/// A subscriber that hears nothing.
struct Deaf;

impl Sink for Deaf {
    fn push(&self, _: Frame) -> bool {
        true
    }
}

fn words(line: &str, n: usize) -> Vec<String> {
    let zeros = format!("[{}0]", "0,".repeat(999));
    let word = |word: &str| {
        word.replace("{n}", &n.to_string())
            .replace("{x}", &"x".repeat(1000))
            .replace("{0}", &zeros)
            .replace('^', " ")
    };
    let list = || (0..5000).map(|n| n.to_string()).collect::<Vec<_>>();
    let fields = || (0..8000).flat_map(|n| [format!("f{n}"), String::new()]);
    line.split(' ')
        .flat_map(|part| match part {
            "{list}" => list(),
            "{fields}" => fields().collect(),
            part => vec![word(part)],
        })
        .collect()
}

fn is_oom(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(error) if error.message().contains("OOM"))
}

/// What a line made of it: bytes above those at its begin, now and at most.
fn grow(prepare: &[&str], line: &str) -> (usize, usize) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let engine = Engine::new(Options::default().memory_limit(LIMIT));
    for line in prepare {
        let reply = engine.call(&words(line, 0));
        assert!(!reply.is_error(), "{line}: {reply:?}");
    }
    let refused = (0..MOST).any(|n| {
        let reply = engine.call(&words(line, n));
        assert!(!reply.is_error() || is_oom(&reply), "{line}: {reply:?}");
        is_oom(&reply)
    });
    assert!(refused, "{line} is never refused");
    assert!(engine.used_memory() <= LIMIT, "{line}");
    assert_eq!(engine.call(&["PING"]), Reply::simple("PONG"));
    let above = |bytes: usize| bytes.saturating_sub(before);
    (
        above(ALLOCATED.current_usage()),
        above(ALLOCATED.peak_usage()),
    )
}

fn fits(line: &str, (now, peak): (usize, usize), failed: &mut Vec<String>) {
    if now > LIMIT * 3 / 2 + BESIDES || peak > LIMIT * 3 + BESIDES {
        failed.push(format!("{line}: {now} bytes, {peak} at most"));
    }
}

#[test]
fn no_command_allocates_much_more_than_the_limit() {
    // Tables that live as long as the process.
    Engine::default().call(&["EVAL", "return 1", "0"]);
    let mut failed = Vec::new();
    for (prepare, line) in GROWTH {
        fits(line, grow(prepare, line), &mut failed);
    }

    // Scripts that are not loaded are forgotten instead.
    let before = ALLOCATED.current_usage();
    let engine = Engine::new(Options::default().memory_limit(LIMIT));
    for n in 0..3000 {
        let reply = engine.call(&words("EVAL return^'{x}{n}' 0", n));
        assert!(!reply.is_error(), "{reply:?}");
    }
    let now = ALLOCATED.current_usage() - before;
    // What the interpreter leaves to be collected.
    if now > LIMIT + (40 << 20) {
        failed.push(format!("EVAL of many scripts: {now} bytes"));
    }

    // A large document becomes an index that is larger than it.
    let engine = Engine::new(Options::default().memory_limit(LIMIT));
    engine.call(&words(
        "SEARCH.CREATE i ON HASH PREFIX 1 p: SCHEMA f TEXT",
        0,
    ));
    let text = (0..60_000).map(|n| format!("w{n}")).collect::<Vec<_>>();
    let text = text.join(" ");
    let before = ALLOCATED.current_usage();
    assert_eq!(engine.call(&["HSET", "p:1", "f", &text]), Reply::Int(1));
    assert!(is_oom(&engine.call(&["SEARCH.COUNT", "i", "{}"])));
    assert!(ALLOCATED.current_usage() - before < LIMIT);
    assert_eq!(engine.call(&["DEL", "p:1"]), Reply::Int(1));
    assert_eq!(engine.call(&["SEARCH.COUNT", "i", "{}"]), Reply::Int(0));

    // Values from elsewhere, and their expiries.
    let elsewhere = Engine::default();
    for line in ["RPUSH list {list}", "HSET hash {fields}", "SADD set {list}"] {
        elsewhere.call(&words(line, 0));
    }
    for n in 0..3000 {
        let line = words("XADD stream MAXLEN 1 IDMP p{n} i * f v", n);
        assert!(!elsewhere.call(&line).is_error());
    }
    for key in ["list", "hash", "set", "stream"] {
        let Reply::Bulk(payload) = elsewhere.call(&["DUMP", key]) else {
            panic!("DUMP {key}");
        };
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let engine = Engine::new(Options::default().memory_limit(LIMIT));
        let refused = (0..1000).any(|n| {
            let name = format!("k{n}");
            is_oom(&engine.call(&[b"RESTORE", name.as_bytes(), b"0", payload.as_ref()]))
        });
        assert!(refused, "RESTORE of {key} is never refused");
        assert!(engine.used_memory() <= LIMIT, "RESTORE of {key}");
        let above = |bytes: usize| bytes.saturating_sub(before);
        let (now, peak) = (ALLOCATED.current_usage(), ALLOCATED.peak_usage());
        fits(key, (above(now), above(peak)), &mut failed);
    }

    // Expiries of many fields at once, where there is room for most of what they take.
    let fill = |engine: &Engine| {
        for field in words("{fields}", 0).chunks(2) {
            let reply = engine.call(&["HSET", "h", &field[0], &field[1]]);
            assert_eq!(reply, Reply::Int(1));
        }
    };
    let engine = Engine::default();
    fill(&engine);
    let limit = engine.used_memory() + 8000 * 75;
    let engine = Engine::new(Options::default().memory_limit(limit));
    fill(&engine);
    let mut expire = words("HEXPIRE h 1000 FIELDS 8000", 0);
    expire.extend((0..8000).map(|n| format!("f{n}")));
    engine.call(&expire);
    assert!(engine.used_memory() <= limit, "HEXPIRE of many fields");

    // Subscriptions, each with names of its own.
    let engine = Engine::new(Options::default().memory_limit(LIMIT));
    let before = ALLOCATED.current_usage();
    let mut held = Vec::new();
    let refused = (0..MOST).find_map(|n| {
        let names = words("{x}{n} {x}{n}*", n);
        let sink = Arc::new(Deaf);
        let joined = engine.subscribe_as(&Caller::default(), &names[..1], &names[1..], sink);
        joined.map(|subscription| held.push(subscription)).err()
    });
    let refused = refused.expect("subscriptions are never refused");
    assert!(refused.message().contains("OOM"), "{refused:?}");
    let now = ALLOCATED.current_usage() - before;
    fits("subscriptions", (now, now), &mut failed);
    drop(held);
    assert_eq!(engine.call(&["SET", "k", "v"]), Reply::ok());

    // A command that alone is larger is refused at once, also the first one.
    let engine = Engine::new(Options::default().memory_limit(LIMIT));
    let large = "x".repeat(LIMIT + 1);
    assert!(is_oom(&engine.call(&["SET", "k", &large])));
    assert!(is_oom(&engine.call(&["RPUSH", "k", &large])));
    assert_eq!(engine.call(&["DBSIZE"]), Reply::Int(0));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
