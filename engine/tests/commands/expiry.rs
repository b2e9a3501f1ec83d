use crate::{Fixture, START};

#[test]
fn a_key_is_gone_at_its_millisecond() {
    let fixture = Fixture::new();
    fixture.expect(&[("SET k v PX 100", "+OK"), ("PTTL k", "100")]);
    fixture.pass(99);
    fixture.expect(&[("GET k", "v")]);
    fixture.pass(1);
    fixture.expect(&[("GET k", "nil"), ("TTL k", "-2"), ("DBSIZE", "0")]);
}

#[test]
fn seconds_are_rounded_to_the_nearest() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("SET k v PX 1499", "+OK"),
        ("TTL k", "1"),
        ("PEXPIRE k 1500", "1"),
        ("TTL k", "2"),
        ("EXPIRETIME k", "1700000002"),
        ("PEXPIRETIME k", "1700000001500"),
        ("PERSIST k", "1"),
        ("PERSIST k", "0"),
        ("TTL k", "-1"),
        ("EXPIRETIME none", "-2"),
    ]);
}

#[test]
fn conditions_compare_with_the_expiry_there_is() {
    Fixture::new().expect(&[
        ("SET k v", "+OK"),
        ("EXPIRE k 100 XX", "0"),
        ("EXPIRE k 100 GT", "0"),
        ("EXPIRE k 100 LT", "1"),
        ("EXPIRE k 50 NX", "0"),
        ("EXPIRE k 50 GT", "0"),
        ("EXPIRE k 200 XX GT", "1"),
        ("TTL k", "200"),
        (
            "EXPIRE k 1 NX XX",
            "-ERR NX and XX, GT or LT options at the same time are not compatible",
        ),
        (
            "EXPIRE k 1 GT LT",
            "-ERR GT and LT options at the same time are not compatible",
        ),
        ("EXPIRE k 1 YY", "-ERR Unsupported option YY"),
        ("EXPIRE k x", "-ERR value is not an integer or out of range"),
        (
            "EXPIRE k 9223372036854775807",
            "-ERR invalid expire time in 'expire' command",
        ),
        ("EXPIRE none 10", "0"),
    ]);
}

#[test]
fn a_time_in_the_past_deletes() {
    Fixture::new().expect(&[
        ("SET k v", "+OK"),
        ("EXPIRE k -1", "1"),
        ("EXISTS k", "0"),
        ("SET k v PXAT 1", "+OK"),
        ("EXISTS k", "0"),
        ("SET k v", "+OK"),
        ("GETEX k EXAT 1", "v"),
        ("EXISTS k", "0"),
    ]);
}

#[test]
fn writing_a_string_forgets_the_expiry_changing_it_does_not() {
    Fixture::new().expect(&[
        ("SET k 1 EX 100", "+OK"),
        ("INCR k", "2"),
        ("APPEND k 0", "2"),
        ("TTL k", "100"),
        ("SET k 1 KEEPTTL", "+OK"),
        ("TTL k", "100"),
        ("GETEX k PERSIST", "1"),
        ("TTL k", "-1"),
        ("SETEX k 10 v", "+OK"),
        ("SET k v", "+OK"),
        ("TTL k", "-1"),
        ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command"),
        ("GETEX k EX 5 PX 5", "-ERR syntax error"),
    ]);
}

#[test]
fn due_keys_are_removed_without_being_asked_for() {
    let fixture = Fixture::new();
    for n in 0..1000 {
        fixture.run(&format!("SET short:{n} v PX 10"));
        fixture.run(&format!("SET long:{n} v EX 1000"));
    }
    let before = fixture.engine.used_memory();
    fixture.pass(50);
    for _ in 0..2 {
        fixture.engine.expire_some();
    }
    assert_eq!(fixture.run("DBSIZE"), "1000");
    assert!(fixture.engine.used_memory() < before * 7 / 10);
}

#[test]
fn due_fields_are_removed_without_being_asked_for() {
    let fixture = Fixture::new();
    for n in 0..1000 {
        fixture.run(&format!("HSETEX big PX 10 FIELDS 1 {n} v"));
        fixture.run(&format!("HSETEX small:{n} PX 10 FIELDS 1 f v"));
    }
    fixture.run("HSET big stays v");
    fixture.pass(50);
    fixture.engine.expire_some();
    fixture.expect(&[("DBSIZE", "1"), ("HGETALL big", "[stays v]")]);
}

#[test]
fn time_is_told_in_seconds_and_microseconds() {
    let wanted = format!("[{} 0]", START / 1000);
    Fixture::new().expect(&[("TIME", &wanted)]);
}
