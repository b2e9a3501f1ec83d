use restis_engine::{Caller, Engine, Reply};

use crate::{Fixture, START, show};

#[test]
fn several_keys_are_set_with_one_expiry() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("MSETEX 2 a 1 b 2 EX 5", "1"),
        ("MGET a b", "[1 2]"),
        ("TTL b", "5"),
        ("MSETEX 2 a 3 b 4 PX 1500", "1"),
        ("PTTL a", "1500"),
        ("MSETEX 1 a 5 KEEPTTL", "1"),
        ("PTTL a", "1500"),
        // Without an option the expiry goes, as with MSET.
        ("MSETEX 1 a 6", "1"),
        ("TTL a", "-1"),
        // The same key twice: the last value stays.
        ("MSETEX 2 a 7 a 8", "1"),
        ("GET a", "8"),
    ]);
    let (seconds, millis) = (START / 1000 + 9, START + 8000);
    assert_eq!(fixture.run(&format!("MSETEX 1 a 1 EXAT {seconds}")), "1");
    assert_eq!(fixture.run("TTL a"), "9");
    assert_eq!(fixture.run(&format!("MSETEX 1 a 1 pxat {millis}")), "1");
    assert_eq!(fixture.run("TTL a"), "8");
}

#[test]
fn a_condition_holds_for_all_keys_or_none_is_set() {
    Fixture::new().expect(&[
        ("SET old 1", "+OK"),
        ("MSETEX 2 new 2 old 2 NX EX 10", "0"),
        ("EXISTS new", "0"),
        ("TTL old", "-1"),
        ("MSETEX 2 old 2 new 2 XX EX 10", "0"),
        ("GET old", "1"),
        ("MSETEX 2 new 2 newer 2 ex 3 nx", "1"),
        ("MSETEX 2 new 3 old 3 XX", "1"),
        // Whatever the type was before.
        ("LPUSH list a", "1"),
        ("MSETEX 1 list 3 XX", "1"),
        ("MGET new old list", "[3 3 3]"),
    ]);
}

#[test]
fn malformed_pairs_and_options_set_nothing() {
    Fixture::new().expect(&[
        (
            "MSETEX 1 a",
            "-ERR wrong number of arguments for 'msetex' command",
        ),
        ("MSETEX key1 val1 ex 10", "-ERR invalid numkeys value"),
        ("MSETEX 0 a 1", "-ERR invalid numkeys value"),
        ("MSETEX -1 a 1", "-ERR invalid numkeys value"),
        ("MSETEX 2147483648 a 1 EX 10", "-ERR invalid numkeys value"),
        (
            "MSETEX 2147483647 a 1 EX 10",
            "-ERR wrong number of key-value pairs",
        ),
        ("MSETEX 2 a 1 b", "-ERR wrong number of key-value pairs"),
        ("MSETEX 1 a 1 nonsense", "-ERR syntax error"),
        ("MSETEX 1 a 1 GET", "-ERR syntax error"),
        ("MSETEX 1 a 1 NX XX", "-ERR syntax error"),
        ("MSETEX 1 a 1 EX 10 PX 5000", "-ERR syntax error"),
        ("MSETEX 1 a 1 KEEPTTL EX 10", "-ERR syntax error"),
        ("MSETEX 1 a 1 EX", "-ERR syntax error"),
        (
            "MSETEX 1 a 1 EX 0",
            "-ERR invalid expire time in 'msetex' command",
        ),
        (
            "MSETEX 1 a 1 EX x",
            "-ERR value is not an integer or out of range",
        ),
        ("EXISTS a", "0"),
    ]);
}

#[test]
fn permissions_look_at_each_key_of_the_pairs() {
    let engine = Engine::default();
    let made = engine.call(&["ACL", "SETUSER", "u", "on", "~mine:*", "+@all"]);
    assert_eq!(made, Reply::ok());
    let caller = Caller::user("u");
    let run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        show(&engine.call_as(&caller, &words))
    };
    assert_eq!(run("MSETEX 2 mine:a x mine:b y EX 9"), "1");
    assert!(run("MSETEX 2 mine:a x other y").starts_with("-NOPERM"));
    assert_eq!(engine.call(&["EXISTS", "other"]), Reply::Int(0));
}

#[test]
fn counters_have_bounds_and_an_expiry() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("INCREX n", "[1 1]"),
        ("INCREX n BYINT 5", "[6 5]"),
        ("INCREX n BYINT -10", "[-4 -10]"),
        ("INCREX n BYINT 0", "[-4 0]"),
        ("SET n 99", "+OK"),
        ("INCREX n BYINT 5 UBOUND 100", "[99 0]"),
        ("GET n", "99"),
        ("INCREX n BYINT 5 UBOUND 100 SATURATE", "[100 1]"),
        ("INCREX n BYINT -200 LBOUND 0 SATURATE", "[0 -100]"),
        ("INCREX n BYINT -1 LBOUND 0", "[0 0]"),
        ("INCREX n UBOUND 1 LBOUND 0", "[1 1]"),
        // What is not counted sets no expiry and no key.
        ("INCREX n UBOUND 1 EX 10", "[1 0]"),
        ("TTL n", "-1"),
        ("INCREX none BYINT 15 UBOUND 10", "[0 0]"),
        ("EXISTS none", "0"),
        ("SET n 10", "+OK"),
        ("INCREX n EX 100 ENX", "[11 1]"),
        ("TTL n", "100"),
        ("INCREX n EX 10 ENX", "[12 1]"),
        ("TTL n", "100"),
        ("INCREX n", "[13 1]"),
        ("TTL n", "100"),
        ("INCREX n PX 1500", "[14 1]"),
        ("PTTL n", "1500"),
        ("INCREX n PERSIST", "[15 1]"),
        ("TTL n", "-1"),
    ]);
}

#[test]
fn a_window_counts_up_to_its_limit_and_then_begins_anew() {
    let fixture = Fixture::new();
    let count = || fixture.run("INCREX window UBOUND 2 EX 60 ENX");
    assert_eq!([count(), count(), count()], ["[1 1]", "[2 1]", "[2 0]"]);
    fixture.pass(59_999);
    assert_eq!(count(), "[2 0]");
    fixture.pass(1);
    assert_eq!(count(), "[1 1]");
}

#[test]
fn counters_stop_at_the_ends_of_their_type() {
    Fixture::new().expect(&[
        ("SET n 9223372036854775800", "+OK"),
        ("INCREX n BYINT 100", "[9223372036854775800 0]"),
        ("INCREX n BYINT 100 SATURATE", "[9223372036854775807 7]"),
        ("SET n -9223372036854775800", "+OK"),
        (
            "INCREX n BYINT -9223372036854775800",
            "[-9223372036854775800 0]",
        ),
        ("INCREX n BYINT -9 SATURATE", "[-9223372036854775808 -8]"),
        // The difference is no integer of 64 bits.
        (
            "INCREX n BYINT 1 LBOUND 9223372036854775807 SATURATE",
            "-ERR increment or decrement would overflow",
        ),
        ("GET n", "-9223372036854775808"),
    ]);
}

#[test]
fn counters_may_be_fractions() {
    Fixture::new().expect(&[
        ("SET f 1.5", "+OK"),
        ("INCREX f BYFLOAT 0.25", "[1.75 0.25]"),
        ("INCREX f BYFLOAT 1", "[2.75 1]"),
        ("INCREX f BYFLOAT 100 UBOUND 42.5", "[2.75 0]"),
        ("INCREX f BYFLOAT 100 UBOUND 42.5 SATURATE", "[42.5 39.75]"),
        ("INCREX f BYFLOAT -100 LBOUND -5.5 SATURATE", "[-5.5 -48]"),
        ("INCREX f BYFLOAT 1 EX 9", "[-4.5 1]"),
        ("TTL f", "9"),
        ("INCREX f", "-ERR value is not an integer or out of range"),
        ("SET i 10", "+OK"),
        ("INCREX i BYFLOAT 0.5", "[10.5 0.5]"),
        (
            "INCREX i BYFLOAT +inf",
            "-ERR value or increment would produce Infinity",
        ),
        ("SET i inf", "+OK"),
        (
            "INCREX i BYFLOAT 1",
            "-ERR value or increment would produce Infinity",
        ),
    ]);
}

#[test]
fn a_sum_beyond_all_fractions_is_out_of_bounds() {
    let fixture = Fixture::new();
    fixture.run("SET f 1e4932");
    // Twice that is more than the 80 bits of a long double hold.
    assert!(fixture.run("INCREX f BYFLOAT 1e4932").ends_with(" 0]"));
    assert_eq!(fixture.run("GET f"), "1e4932");
    let reply = fixture.run("INCREX f BYFLOAT 1e4932 UBOUND 5 SATURATE");
    assert!(reply.starts_with("[5 -1000000000000000000"));
    assert_eq!(fixture.run("GET f"), "5");
}

#[test]
fn malformed_counters_change_nothing() {
    Fixture::new().expect(&[
        ("RPUSH list a", "1"),
        (
            "INCREX list",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        ("SET text hello", "+OK"),
        (
            "INCREX text",
            "-ERR value is not an integer or out of range",
        ),
        ("INCREX text BYFLOAT 1", "-ERR value is not a valid float"),
        ("INCREX n FOO", "-ERR syntax error"),
        ("INCREX n BYINT 1 BYFLOAT 1.5", "-ERR syntax error"),
        ("INCREX n BYINT", "-ERR syntax error"),
        ("INCREX n EX 10 PX 5000", "-ERR syntax error"),
        ("INCREX n PERSIST EX 10", "-ERR syntax error"),
        ("INCREX n PERSIST ENX", "-ERR syntax error"),
        ("INCREX n ENX", "-ERR ENX flag requires an expiration"),
        (
            "INCREX n BYINT 1.5",
            "-ERR value is not an integer or out of range",
        ),
        ("INCREX n BYFLOAT abc", "-ERR value is not a valid float"),
        (
            "INCREX n LBOUND 10 UBOUND 5",
            "-ERR LBOUND can't be greater than UBOUND",
        ),
        (
            "INCREX n BYFLOAT 0.5 LBOUND 10.5 UBOUND 1.5",
            "-ERR LBOUND can't be greater than UBOUND",
        ),
        (
            "INCREX n LBOUND 0.5",
            "-ERR value is not an integer or out of range",
        ),
        (
            "INCREX n EX 0",
            "-ERR invalid expire time in 'increx' command",
        ),
        ("EXISTS n", "0"),
    ]);
}
