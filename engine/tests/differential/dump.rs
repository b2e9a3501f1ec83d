//! Payloads of DUMP travel between the engine and Redis.

use restis_engine::{Engine, Reply};

use super::redis::Server;

/// Commands that make values of every encoding Redis has.
fn fill(call: &mut dyn FnMut(&[&str])) {
    call(&["SET", "string", "hello"]);
    call(&["SET", "int8", "-7"]);
    call(&["SET", "int16", "30000"]);
    call(&["SET", "int32", "-2000000000"]);
    call(&["SET", "int64", "9223372036854775807"]);
    call(&["SET", "long", &"abcabcabd".repeat(300)]);
    call(&["SET", "huge", &"x".repeat(70_000)]);
    let long = "y".repeat(9000);
    for n in 0..300i64 {
        let (text, number) = (
            format!("member:{n}"),
            (n * n * n * 7919 - 500_000).to_string(),
        );
        for (key, most) in [("small", 10), ("big", 300)] {
            if n < most {
                let key = |kind: &str| format!("{kind}:{key}");
                call(&["RPUSH", &key("list"), &text, &number]);
                call(&["SADD", &key("ints"), &number]);
                call(&["SADD", &key("set"), &text, &number]);
                call(&["HSET", &key("hash"), &text, &number]);
                call(&["ZADD", &key("zset"), &format!("{n}.25"), &text]);
            }
        }
    }
    call(&["RPUSH", "list:long", "a", &long, "b"]);
    call(&["ZADD", "zset:inf", "inf", "a", "-inf", "b", "1e300", "c"]);
}

/// What a key holds, in an order that does not depend on the encoding.
fn contents(call: &mut dyn FnMut(&[&str]) -> Reply, key: &str) -> Reply {
    let command: &[&str] = match key.split(':').next() {
        Some("list") => &["LRANGE", key, "0", "-1"],
        Some("ints" | "set") => &["SMEMBERS", key],
        Some("hash") => &["HGETALL", key],
        Some("zset") => &["ZRANGE", key, "0", "-1"],
        _ => &["GET", key],
    };
    let mut reply = call(command);
    if let Reply::Array(items) = &mut reply
        && !key.starts_with("list")
        && !key.starts_with("zset")
    {
        items.sort_by_key(|item| format!("{item:?}"));
    }
    reply
}

#[test]
fn what_one_dumps_the_other_restores() {
    for server in Server::all() {
        let mut redis = server.connect();
        let engine = Engine::default();
        fill(&mut |args| drop(redis.call(args)));
        let Reply::Array(keys) = redis.call(&["KEYS", "*"]) else {
            panic!("KEYS answers an array");
        };
        assert!(keys.len() > 15);
        for key in keys {
            let Reply::Bulk(key) = key else {
                panic!("a key is a byte string");
            };
            let key = std::str::from_utf8(&key).unwrap();
            let wanted = contents(&mut |args| redis.call(args), key);
            let Reply::Bulk(payload) = redis.call(&["DUMP", key]) else {
                panic!("DUMP answers bytes");
            };
            let restored = engine.call(&[b"RESTORE", key.as_bytes(), b"0", &payload]);
            assert_eq!(restored, Reply::ok(), "{key}");
            assert_eq!(
                contents(&mut |args| engine.call(args), key),
                wanted,
                "{key}"
            );
            // And back.
            let Reply::Bulk(payload) = engine.call(&["DUMP", key]) else {
                panic!("DUMP answers bytes");
            };
            redis.call(&["DEL", key]);
            let restored = redis.call(&[b"RESTORE", key.as_bytes(), b"0", &payload]);
            assert_eq!(restored, Reply::ok(), "{key}");
            assert_eq!(contents(&mut |args| redis.call(args), key), wanted, "{key}");
        }
    }
}

/// Streams with what a listpack can have: entries of other fields, deleted ones, numbers, several
/// nodes, groups with pending entries.
fn fill_streams(call: &mut dyn FnMut(&[&str])) {
    call(&["CONFIG", "SET", "stream-node-max-entries", "10"]);
    for n in 1..=35 {
        let (id, n) = (format!("{}-{}", n / 3 + 1, n), n.to_string());
        call(&["XADD", "many", &id, "n", &n, "text", "hello"]);
    }
    call(&["XADD", "many", "50-0", "other", "-70000"]);
    call(&["XADD", "many", "50-1", "n", "1", "text", &"x".repeat(5000)]);
    call(&["XDEL", "many", "2-3", "50-1"]);
    call(&["XGROUP", "CREATE", "many", "group", "0"]);
    call(&[
        "XREADGROUP",
        "GROUP",
        "group",
        "alice",
        "COUNT",
        "4",
        "STREAMS",
        "many",
        ">",
    ]);
    call(&[
        "XREADGROUP",
        "GROUP",
        "group",
        "bob",
        "COUNT",
        "2",
        "STREAMS",
        "many",
        ">",
    ]);
    call(&["XACK", "many", "group", "1-1"]);
    call(&[
        "XCLAIM",
        "many",
        "group",
        "bob",
        "0",
        "1-2",
        "RETRYCOUNT",
        "7",
    ]);
    call(&["XGROUP", "CREATE", "many", "later", "9-27"]);
    call(&["XGROUP", "CREATECONSUMER", "many", "later", "idle"]);
    call(&["XGROUP", "CREATE", "empty", "group", "$", "MKSTREAM"]);
    call(&["XADD", "bare", "1-1", "", ""]);
    call(&["XADD", "gone", "7-7", "f", "v"]);
    call(&["XDEL", "gone", "7-7"]);
}

#[test]
fn streams_that_redis_dumps_are_restored() {
    for server in Server::all() {
        let mut redis = server.connect();
        let engine = Engine::default();
        fill_streams(&mut |args| drop(redis.call(args)));
        for key in ["many", "empty", "bare", "gone"] {
            let Reply::Bulk(payload) = redis.call(&["DUMP", key]) else {
                panic!("DUMP answers bytes");
            };
            let restored = engine.call(&[b"RESTORE", key.as_bytes(), b"0", &payload]);
            assert_eq!(restored, Reply::ok(), "{key}");
            for ask in [
                &["XRANGE", key, "-", "+"][..],
                &["XLEN", key],
                &["XINFO", "GROUPS", key],
                &["XPENDING", key, "group"],
            ] {
                assert_eq!(engine.call(ask), redis.call(ask), "{ask:?}");
            }
            // Ids and numbers; the form of the tree is each one's own.
            let numbers = |reply: Reply| {
                let Reply::Array(items) = reply else {
                    panic!("{reply:?}");
                };
                let wanted = [
                    "last-generated-id",
                    "max-deleted-entry-id",
                    "entries-added",
                    "groups",
                ];
                let pairs = items.chunks_exact(2);
                let pairs =
                    pairs.filter(|pair| wanted.iter().any(|name| pair[0] == Reply::bulk(*name)));
                pairs.map(|pair| format!("{pair:?}")).collect::<Vec<_>>()
            };
            let ask = ["XINFO", "STREAM", key];
            assert_eq!(
                numbers(engine.call(&ask)),
                numbers(redis.call(&ask)),
                "{key}"
            );
        }
        let pending = ["XPENDING", "many", "group", "-", "+", "99"];
        let without_idle = |reply: Reply| {
            let Reply::Array(entries) = reply else {
                panic!("{reply:?}");
            };
            let entries = entries.into_iter().map(|entry| match entry {
                Reply::Array(mut fields) => {
                    fields.remove(2);
                    format!("{fields:?}")
                }
                other => panic!("{other:?}"),
            });
            entries.collect::<Vec<_>>()
        };
        let entries = without_idle(engine.call(&pending));
        assert_eq!(entries, without_idle(redis.call(&pending)));
        assert_eq!(entries.len(), 5);
    }
}

#[test]
fn a_stream_that_is_damaged_is_refused() {
    for server in Server::all() {
        let mut redis = server.connect();
        fill_streams(&mut |args| drop(redis.call(args)));
        let Reply::Bulk(payload) = redis.call(&["DUMP", "many"]) else {
            panic!("DUMP answers bytes");
        };
        // Without a checksum every byte is looked at.
        let mut payload = payload.to_vec();
        let sum = payload.len() - 8;
        payload[sum..].fill(0);
        for at in 1..sum - 2 {
            let mut damaged = payload.clone();
            damaged[at] ^= 0x41;
            let engine = Engine::default();
            // Other values may be sound; none may end the process.
            let parts: [&[u8]; 4] = [b"RESTORE", b"key", b"0", &damaged];
            engine.call(&parts);
            engine.call(&["XRANGE", "key", "-", "+"]);
            engine.call(&["XINFO", "STREAM", "key", "FULL"]);
        }
    }
}

#[test]
fn names_that_a_stream_writes_once_count_for_each_entry() {
    for server in Server::all() {
        let mut redis = server.connect();
        redis.call(&["CONFIG", "SET", "stream-node-max-bytes", "0"]);
        redis.call(&["CONFIG", "SET", "stream-node-max-entries", "0"]);
        let name = "n".repeat(10_000);
        for _ in 0..1000 {
            redis.call(&["XADD", "s", "*", &name, ""]);
        }
        let Reply::Bulk(payload) = redis.call(&["DUMP", "s"]) else {
            panic!("DUMP answers bytes");
        };
        assert!(payload.len() < 100_000);
        let mut options = restis_engine::Options::default();
        options.memory_limit = Some(5_000_000);
        let engine = Engine::new(options);
        let restored = engine.call(&[b"RESTORE", &b"s"[..], b"0", &payload]);
        assert!(matches!(restored, Reply::Error(_)), "{restored:?}");
    }
}
