use std::fmt::Write as _;

use restis_engine::Dialect;

use crate::Fixture;

fn encoding(fixture: &Fixture, commands: &[String]) -> String {
    fixture.run("DEL k");
    for command in commands {
        let reply = fixture.run(command);
        assert!(!reply.starts_with('-'), "{command}: {reply}");
    }
    let engine = fixture.engine.with_dialect(Dialect::Redis);
    match engine.call(&["OBJECT", "ENCODING", "k"]) {
        restis_engine::Reply::Bulk(name) => String::from_utf8_lossy(&name).into_owned(),
        other => format!("{other:?}"),
    }
}

/// A command with an element for each number.
fn many(command: &str, count: usize, element: impl Fn(usize) -> String) -> String {
    (0..count).fold(format!("{command} k"), |mut line, n| {
        let _ = write!(line, " {}", element(n));
        line
    })
}

/// Names and thresholds of Redis 8 with its default settings.
#[test]
fn object_encoding_tells_the_form_of_a_value() {
    let fixture = Fixture::new();
    let (short, long) = ("x".repeat(64), "x".repeat(65));
    let text = |length: usize| "x".repeat(length);
    let field = |n: usize| format!("f{n} v");
    let member = |n: usize| format!("m{n}");
    let scored = |n: usize| format!("{n}.5 m{n}");
    for (commands, wanted) in [
        (vec!["SET k 12".to_owned()], "int"),
        (vec!["SET k 9223372036854775807".to_owned()], "int"),
        (vec!["SET k 9223372036854775808".to_owned()], "embstr"),
        (vec![format!("SET k {}", text(44))], "embstr"),
        (vec![format!("SET k {}", text(45))], "raw"),
        (vec![many("HSET", 128, field)], "listpack"),
        (vec![many("HSET", 129, field)], "hashtable"),
        (vec![format!("HSET k {short} {short}")], "listpack"),
        (vec![format!("HSET k f {long}")], "hashtable"),
        (vec![format!("HSET k {long} v")], "hashtable"),
        (vec![many("SADD", 512, |n| n.to_string())], "intset"),
        (vec![many("SADD", 513, |n| n.to_string())], "hashtable"),
        (vec![many("SADD", 128, member)], "listpack"),
        (vec![many("SADD", 129, member)], "hashtable"),
        (vec![format!("SADD k {long}")], "hashtable"),
        (vec!["SADD k 1 2".into(), "SADD k a".into()], "listpack"),
        (
            vec![many("SADD", 200, |n| n.to_string()), "SADD k a".into()],
            "hashtable",
        ),
        (vec![many("ZADD", 128, scored)], "listpack"),
        (vec![many("ZADD", 129, scored)], "skiplist"),
        (vec![format!("ZADD k 1 {long}")], "skiplist"),
        (vec![many("RPUSH", 120, |_| short.clone())], "listpack"),
        (vec![many("RPUSH", 130, |_| short.clone())], "quicklist"),
        (vec![format!("RPUSH k {}", text(9000))], "quicklist"),
        (vec!["XADD k 1-1 f v".to_owned()], "stream"),
        // What has grown out of its small form stays so.
        (
            vec![format!("HSET k a 1 f {long}"), "HDEL k f".into()],
            "hashtable",
        ),
    ] {
        let shown: Vec<&str> = commands
            .iter()
            .map(|line| &line[..line.len().min(60)])
            .collect();
        assert_eq!(encoding(&fixture, &commands), wanted, "{shown:?}");
    }
}

/// A hash, set and sorted set answer alike on both sides of the threshold.
#[test]
fn values_are_the_same_before_and_after_they_outgrow_their_form() {
    let fixture = Fixture::new();
    let big = "x".repeat(65);
    for (fill, grow, shrink, reads) in [
        (
            "HSET k a 1 b -2 c 007 d 1.5 e text",
            format!("HSET k {big} 1"),
            format!("HDEL k {big}"),
            &[
                "HGET k b",
                "HMGET k a c none",
                "HGETALL k",
                "HLEN k",
                "HSTRLEN k b",
                "HEXISTS k e",
            ][..],
        ),
        (
            "SADD k 10 20 30",
            format!("SADD k {big}"),
            format!("SREM k {big}"),
            &[
                "SMISMEMBER k 10 010 20 +20",
                "SCARD k",
                "SMEMBERS k",
                "SINTERCARD 2 k k",
            ][..],
        ),
        (
            "ZADD k 1 b 1 a -inf c 2.5 d 3 10",
            format!("ZADD k 99 {big}"),
            format!("ZREM k {big}"),
            &[
                "ZRANGE k 0 -1 WITHSCORES",
                "ZRANGE k 1 3 REV",
                "ZRANK k a",
                "ZREVRANK k 10 WITHSCORE",
                "ZCOUNT k 1 (3",
                "ZRANGE k -inf (2.5 BYSCORE",
                "ZMSCORE k a c none",
            ][..],
        ),
        (
            "RPUSH k a 1 -5 b 1",
            format!("RPUSH k {}", "x".repeat(9000)),
            "RPOP k".to_owned(),
            &[
                "LRANGE k 0 -1",
                "LRANGE k -3 -2",
                "LINDEX k 2",
                "LPOS k 1 RANK -1",
                "LPOS k 1 COUNT 0",
            ][..],
        ),
    ] {
        fixture.run("DEL k");
        fixture.run(fill);
        let before: Vec<String> = reads.iter().map(|line| fixture.run(line)).collect();
        fixture.run(&grow);
        fixture.run(&shrink);
        let after: Vec<String> = reads.iter().map(|line| fixture.run(line)).collect();
        assert_eq!(before, after, "{fill}");
        assert!(
            !before
                .iter()
                .any(|line| line.starts_with("-ERR") || line.starts_with("-WRONG")),
            "{before:?}"
        );
    }
}
