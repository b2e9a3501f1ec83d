use restis_engine::{Eviction, Options};

use crate::Fixture;

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";

fn fill(fixture: &Fixture, prefix: &str, options: &str) -> usize {
    let value = "x".repeat(1000);
    (0..1000)
        .take_while(|n| fixture.run(&format!("SET {prefix}:{n} {value}{options}")) == "+OK")
        .count()
}

#[test]
fn a_full_database_refuses_writes_and_allows_reads_and_removal() {
    let fixture = Fixture::with(Options::default().memory_limit(100_000));
    let stored = fill(&fixture, "k", "");
    assert!((80..100).contains(&stored), "{stored}");
    // What is smaller fits a while longer.
    while fixture.run(&format!("SET small:{} v", fixture.run("DBSIZE"))) == "+OK" {}
    assert!(fixture.engine.used_memory() <= 100_000);
    assert_eq!(fixture.run("SET more v"), OOM);
    assert_eq!(fixture.run("LPUSH l v"), OOM);
    fixture.expect(&[
        ("EXISTS k:0", "1"),
        ("DEL k:0 k:1", "2"),
        ("SET more v", "+OK"),
    ]);
}

#[test]
fn eviction_takes_keys_with_an_expiry_first() {
    let options = Options::default()
        .memory_limit(100_000)
        .eviction(Eviction::OptimisticVolatile);
    let fixture = Fixture::with(options);
    for n in 0..20 {
        fixture.run(&format!("SET keep:{n} {}", "x".repeat(1000)));
    }
    assert_eq!(fill(&fixture, "k", " EX 1000"), 1000);
    for n in 0..20 {
        assert_eq!(fixture.run(&format!("EXISTS keep:{n}")), "1");
    }
    assert!(fixture.engine.used_memory() < 102_000);
    assert_eq!(fill(&fixture, "plain", ""), 1000);
}

#[test]
fn memory_is_given_back_by_every_way_of_removal() {
    let fixture = Fixture::new();
    let empty = fixture.engine.used_memory();
    for line in [
        "SET s value EX 10",
        "RPUSH l a b c",
        "HSET h a 1 b 2",
        "SADD set a b c",
        "ZADD z 1 a 2 b",
        "HEXPIRE h 5 FIELDS 1 a",
        "SETRANGE s 100 x",
        "APPEND s tail",
    ] {
        let before = fixture.engine.used_memory();
        assert!(!fixture.run(line).starts_with('-'), "{line}");
        assert!(fixture.engine.used_memory() > before, "{line}");
    }
    for line in ["LPOP l 3", "HDEL h a b", "SPOP set 3", "ZPOPMIN z 2"] {
        fixture.run(line);
    }
    fixture.pass(20_000);
    fixture.run("GET s");
    assert_eq!(fixture.engine.used_memory(), empty);
    assert_eq!(fixture.run("DBSIZE"), "0");
}

#[test]
fn usage_tells_what_a_key_takes() {
    let fixture = Fixture::new();
    fixture.run(&format!("SET k {}", "x".repeat(500)));
    let usage: usize = fixture.run("MEMORY USAGE k").parse().expect("a number");
    assert!((500..800).contains(&usage), "{usage}");
    fixture.expect(&[
        ("MEMORY USAGE none", "nil"),
        ("MEMORY USAGE k SAMPLES 5", &usage.to_string()),
        (
            "MEMORY USAGE",
            "-ERR wrong number of arguments for 'memory|usage' command",
        ),
    ]);
}

#[test]
fn one_command_does_not_make_more_than_the_limit() {
    let fixture = Fixture::with(Options::default().memory_limit(100_000));
    for line in [
        "SETRANGE k 400000000 x",
        "SETBIT k 3200000000 1",
        "BITFIELD k SET u8 3200000000 1",
    ] {
        assert_eq!(fixture.run(line), OOM, "{line}");
    }
    fixture.run("SADD s a");
    fixture.expect(&[
        ("SRANDMEMBER s -1000000000", "-ERR value is out of range"),
        ("EXISTS k", "0"),
    ]);
}

#[test]
fn search_indexes_count_and_shrink_with_what_they_cover() {
    let fixture = Fixture::new();
    let count = || fixture.run("SEARCH.COUNT i {}");
    let create = "SEARCH.CREATE i ON HASH PREFIX 1 p: SCHEMA name TEXT n U64 FAST";
    fixture.run(create);
    let empty = fixture.engine.used_memory();
    for n in 0..100 {
        fixture.run(&format!("HSET p:{n} name word{n} n {n}"));
    }
    assert_eq!(count(), "100");
    let indexed = fixture.engine.used_memory();
    fixture.run("SEARCH.DROP i");
    let alone = fixture.engine.used_memory();
    assert!(alone + 10_000 < indexed, "{alone} {indexed}");
    fixture.run(create);
    assert_eq!(count(), "100");
    assert_eq!(fixture.engine.used_memory(), indexed);
    for n in 0..100 {
        fixture.run(&format!("HSET p:{n} name other"));
        fixture.run(&format!("DEL p:{n}"));
    }
    assert_eq!(fixture.engine.used_memory(), empty);
    assert_eq!(count(), "0");
}

#[test]
fn eviction_makes_room_in_indexes_too() {
    let options = Options::default()
        .memory_limit(100_000)
        .eviction(Eviction::OptimisticVolatile);
    let fixture = Fixture::with(options);
    fixture.run("SEARCH.CREATE i ON HASH PREFIX 1 p: SCHEMA name TEXT");
    for n in 0..1000 {
        fixture.run(&format!("HSET p:{n} name word{n}"));
        if n % 10 == 0 {
            fixture.run("SEARCH.COUNT i {}");
        }
    }
    let (keys, found) = (fixture.run("DBSIZE"), fixture.run("SEARCH.COUNT i {}"));
    assert_eq!(keys, found);
    assert!(keys.parse::<usize>().is_ok_and(|keys| keys > 50), "{keys}");
    assert!(fixture.engine.used_memory() < 102_000);
}
