use std::collections::HashSet;

use restis_engine::Reply;

use crate::Fixture;

#[test]
fn keys_are_renamed_and_copied_with_their_expiry() {
    Fixture::new().expect(&[
        ("SET a 1 EX 100", "+OK"),
        ("SET b 2", "+OK"),
        ("RENAME a b", "+OK"),
        ("TTL b", "100"),
        ("RENAME none b", "-ERR no such key"),
        ("RENAMENX b b", "0"),
        ("COPY b c", "1"),
        ("TTL c", "100"),
        ("COPY b c", "0"),
        ("COPY b c REPLACE", "1"),
        // Redis refuses; Upstash answers 0.
        ("COPY b b", "0"),
        ("COPY b d DB 1", "-ERR DB index is out of range"),
        ("TYPE b", "+string"),
        ("TYPE none", "+none"),
        ("UNLINK b c none", "2"),
        ("UNLINK", "0"),
        ("TOUCH b", "0"),
    ]);
}

#[test]
fn patterns_select_keys() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("MSET user:1 a user:2 b other c h[llo d", "+OK"),
        ("~KEYS user:*", "[user:1 user:2]"),
        ("~KEYS user:[^1]", "[user:2]"),
        ("KEYS h\\[llo", "[h[llo]"),
        ("KEYS ?ther", "[other]"),
        ("SCAN 0 MATCH other", "[0 [other]]"),
        ("SCAN 0 TYPE list", "[0 []]"),
        ("SCAN x", "-ERR invalid cursor"),
        ("SCAN 0 COUNT 0", "-ERR syntax error"),
    ]);
    fixture.run("DEL user:1 user:2 h[llo");
    fixture.expect(&[("SCAN 0 WITHTYPE", "[0 [other string]]")]);
}

#[test]
fn count_counts_results() {
    let fixture = Fixture::new();
    for n in 0..40 {
        fixture.run(&format!("SET key:{n} v"));
    }
    let Reply::Array(reply) = fixture.engine.call(&["SCAN", "0", "COUNT", "1"]) else {
        panic!("SCAN answers an array");
    };
    assert_ne!(reply[0], Reply::bulk("0"));
    assert!(matches!(&reply[1], Reply::Array(keys) if keys.len() == 1));
}

/// Scans to the end, changing the keyspace between the calls.
fn scan_all(fixture: &Fixture, count: usize, mut between: impl FnMut(usize)) -> Vec<String> {
    let (mut cursor, mut seen, mut step) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let count = count.to_string();
        let Reply::Array(reply) = fixture.engine.call(&["SCAN", &cursor, "COUNT", &count]) else {
            panic!("SCAN answers an array");
        };
        let Reply::Array(keys) = &reply[1] else {
            panic!("SCAN answers keys");
        };
        seen.extend(keys.iter().map(crate::show));
        cursor = crate::show(&reply[0]);
        if cursor == "0" {
            return seen;
        }
        between(step);
        step += 1;
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn a_scan_returns_what_stays_exactly_once(
        stay in proptest::collection::hash_set(0u16..500, 1..120),
        changes in proptest::collection::vec((proptest::bool::ANY, 500u16..900), 0..300),
        count in 1usize..20,
    ) {
        let fixture = Fixture::new();
        for (place, key) in stay.iter().enumerate() {
            fixture.run(&format!("SET {key} v"));
            fixture.run(&format!("SET {} v", 500 + place));
        }
        let mut changes = changes.into_iter();
        let seen = scan_all(&fixture, count, |_| {
            for (add, key) in changes.by_ref().take(10) {
                let line = if add { format!("SET {key} v") } else { format!("DEL {key}") };
                fixture.run(&line);
            }
        });
        let distinct: HashSet<&String> = seen.iter().collect();
        for key in &stay {
            proptest::prop_assert!(distinct.contains(&key.to_string()), "{} was missed", key);
            let times = seen.iter().filter(|seen| **seen == key.to_string()).count();
            proptest::prop_assert_eq!(times, 1);
        }
    }
}

#[test]
fn a_random_key_is_a_live_key() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("RANDOMKEY", "nil"),
        ("SET a 1 PX 10", "+OK"),
        ("SET b 1", "+OK"),
    ]);
    fixture.pass(20);
    for _ in 0..20 {
        assert_eq!(fixture.run("RANDOMKEY"), "b");
    }
}

#[test]
fn commands_that_are_missing_say_why() {
    let fixture = Fixture::new();
    assert!(
        fixture
            .run("FOO x")
            .starts_with("-ERR Command is not available: 'FOO'")
    );
    assert!(
        fixture
            .run("blpop l 0")
            .contains("\"BLPOP\" is not allowed in REST")
    );
    fixture.expect(&[
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("SELECT 0", "+OK"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("COMMAND", "[]"),
        ("COMMAND DOCS", "[]"),
        ("WAIT 0 0", "0"),
        ("ECHO hi", "hi"),
        ("PING", "+PONG"),
        ("PING hi", "hi"),
        ("FLUSHALL NOW", "-ERR syntax error"),
    ]);
}

#[test]
fn command_count_counts_the_commands() {
    let fixture = Fixture::new();
    for line in ["COMMAND COUNT", "command count"] {
        let Reply::Int(count) = fixture.engine.call(&line.split(' ').collect::<Vec<_>>()) else {
            panic!("{line} is no number");
        };
        // Redis 7.0 has 240, 30 of them for connections, replicas and modules.
        assert!((200..500).contains(&count), "{count}");
    }
}

#[test]
fn a_dumped_value_is_restored_under_another_name() {
    let fixture = Fixture::new();
    for line in [
        "HSETEX h PX 500 FIELDS 1 a 1",
        "XADD s 1-1 f v",
        r#"JSON.SET j $ {"a":1}"#,
        "ZADD z 1 a",
    ] {
        fixture.run(line);
    }
    for key in ["h", "s", "j", "z"] {
        let Reply::Bulk(payload) = fixture.engine.call(&["DUMP", key]) else {
            panic!("DUMP answers bytes");
        };
        let restore = |args: &[&[u8]]| crate::show(&fixture.engine.call(args));
        assert_eq!(
            restore(&[b"RESTORE", b"new", b"2000", &payload, b"REPLACE"]),
            "+OK"
        );
        assert_eq!(fixture.run("PTTL new"), "2000");
        assert_eq!(fixture.run("TYPE new"), fixture.run(&format!("TYPE {key}")));
        assert_eq!(
            restore(&[b"RESTORE", b"new", b"0", &payload]),
            "-BUSYKEY Target key name already exists."
        );
        assert_eq!(
            restore(&[b"RESTORE", b"x", b"0", &payload[1..]]),
            "-ERR DUMP payload version or checksum are wrong"
        );
        assert_eq!(
            restore(&[b"RESTORE", b"x", b"-1", &payload]),
            "-ERR Invalid TTL value, must be >= 0"
        );
        assert_eq!(
            restore(&[b"RESTORE", b"x", b"1", &payload, b"ABSTTL"]),
            "+OK"
        );
        assert_eq!(fixture.run("EXISTS x"), "0");
    }
    fixture.run("DEL new");
    fixture.expect(&[
        ("DUMP none", "nil"),
        ("RESTORE x 0 y NOPE", "-ERR syntax error"),
    ]);
}

#[test]
fn keys_have_a_longest_length_in_every_place() {
    let fixture = Fixture::new();
    let (fits, long) = ("k".repeat(32 * 1024), "k".repeat(32 * 1024 + 1));
    let refusal = "-ERR max key size exceeded. Limit: 32768 bytes, Actual: 32769 bytes";
    for line in [
        "GET {}",
        "SET {} v",
        "MSET a 1 {} 2",
        "MSETEX 2 a 1 {} 2 EX 9",
        "DEL a b {}",
        "RENAME a {}",
        "ZUNIONSTORE {} 1 a",
        "ZUNIONSTORE a 2 b {}",
        "EVAL return_1 1 {}",
        "XREAD STREAMS a {} 0 0",
        "BITOP AND a b {}",
        "JSON.SET {} $ 1",
        "XGROUP CREATE {} g $ MKSTREAM",
    ] {
        let shown = fixture.run(&line.replace("{}", &long));
        assert_eq!(shown, refusal, "{line}");
    }
    // What is no key may be long.
    assert_eq!(fixture.run(&format!("SET {fits} {long}")), "+OK");
    assert_eq!(fixture.run(&format!("HSET h {long} {long}")), "1");
    assert_eq!(fixture.run(&format!("PUBLISH {long} m")), "0");
    let script = "return redis.pcall('GET', ARGV[1])";
    let reply = fixture.engine.call(&["EVAL", script, "0", &long]);
    assert_eq!(crate::show(&reply), refusal);
}
