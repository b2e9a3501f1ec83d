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
