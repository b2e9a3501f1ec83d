//! Messages sent twice: `XADD … IDMP` and `IDMPAUTO`, XCFGSET and what XINFO STREAM tells of them.
//! The cases are those of Redis' documentation and of its own tests (8.6).

use restis_engine::{Options, Reply};

use crate::{Fixture, show};

/// A field of XINFO STREAM.
fn told(fixture: &Fixture, field: &str) -> Option<String> {
    let Reply::Array(info) = fixture.engine.call(&["XINFO", "STREAM", "s"]) else {
        return None;
    };
    let at = info.iter().position(|item| show(item) == field)?;
    info.get(at + 1).map(show)
}

#[track_caller]
fn tells(fixture: &Fixture, fields: &[(&str, u64)]) {
    for (field, wanted) in fields {
        let told = told(fixture, field);
        assert_eq!(told, Some(wanted.to_string()), "{field}");
    }
}

/// Id of the entry of the `n`-th message in the fixture's standing time.
fn id(n: u64) -> String {
    format!("{}-{n}", crate::START)
}

#[test]
fn a_message_with_a_known_id_is_not_added_again() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("XADD s IDMP p1 pay * amount 100", &id(0)),
        ("XADD s IDMP p1 pay * amount 200 currency EUR", &id(0)),
        ("XLEN s", "1"),
        ("XADD s IDMP p1 other * amount 1", &id(1)),
        ("XADD s IDMP p2 pay * amount 2", &id(2)),
        ("XADD s MAXLEN ~ 100 IDMP p2 pay * amount 3", &id(2)),
        (
            "XADD s IDMP p2 pay KEEPREF MAXLEN ~ 1000 LIMIT 10 * a 3",
            &id(2),
        ),
        ("XADD s NOMKSTREAM IDMP p1 third * amount 3", &id(3)),
        // The word before the id of the entry may be anything, also a star or an option's name.
        ("XADD s IDMP p1 * * f v", &id(4)),
        ("XADD s IDMP p1 IDMP * f v", &id(5)),
        ("XADD s idmp p1 IDMP * f v", &id(5)),
        ("XADD none NOMKSTREAM IDMP p1 a * f v", "nil"),
        ("EXISTS none", "0"),
        // Known also when the entry is gone.
        (&format!("XDEL s {}", id(0)), "1"),
        ("XADD s IDMP p1 pay * amount 100", &id(0)),
        ("XLEN s", "5"),
        // A repeat trims nothing.
        ("XADD s MAXLEN 1 IDMP p1 pay * f v", &id(0)),
        ("XLEN s", "5"),
    ]);
}

#[test]
fn a_message_without_an_id_is_known_by_its_fields_in_any_order() {
    let fixture = Fixture::new();
    fixture.expect(&[
        ("XADD s IDMPAUTO p * a 1 b 2 c 3", &id(0)),
        ("XADD s IDMPAUTO p * c 3 a 1 b 2", &id(0)),
        ("XADD s IDMPAUTO p * a 1 b 2 c 4", &id(1)),
        ("XADD s IDMPAUTO q * a 1 b 2 c 3", &id(2)),
        // The same letters with other bounds, fields and values changed about, pairs twice.
        ("XADD s IDMPAUTO p * a1 b 2c 3", &id(3)),
        ("XADD s IDMPAUTO p * 1 a 2 b 3 c", &id(4)),
        ("XADD s IDMPAUTO p * f v f v", &id(5)),
        ("XADD s IDMPAUTO p * g w g w", &id(6)),
        ("XADD s IDMPAUTO p * f v", &id(7)),
        ("XADD s IDMPAUTO p * f ", &id(8)),
        ("XADD s IDMPAUTO p * f ", &id(8)),
        ("XLEN s", "9"),
    ]);
}

#[test]
fn what_is_no_producer_or_id_is_refused() {
    let fixture = Fixture::new();
    let only_auto = "-ERR IDMP/IDMPAUTO can be used only with auto-generated IDs";
    let twice = "-ERR IDMP/IDMPAUTO specified multiple times";
    let no_id = "-ERR Invalid stream ID specified as stream command argument";
    fixture.expect(&[
        ("XADD s IDMP p1 * f v", no_id),
        (
            "XADD s IDMP p1",
            "-ERR wrong number of arguments for 'xadd' command",
        ),
        ("XADD s IDMP p1 i 1-1 f v", only_auto),
        ("XADD s IDMPAUTO p1 1-1 f v", only_auto),
        ("XADD s IDMPAUTO p1 5-* f v", only_auto),
        ("XADD s IDMP p1 i IDMP p2 j * f v", twice),
        ("XADD s IDMPAUTO p1 IDMP p2 j * f v", twice),
        ("XADD s IDMP p1 i IDMPAUTO p2 * f v", twice),
        ("XADD s IDMPAUTO p1 IDMPAUTO p2 * f v", twice),
        (
            "XADD s IDMP  i * f v",
            "-ERR IDMP requires a non-empty producer ID",
        ),
        (
            "XADD s IDMP p  * f v",
            "-ERR IDMP requires a non-empty idempotent ID",
        ),
        (
            "XADD s IDMPAUTO  * f v",
            "-ERR IDMPAUTO requires a non-empty producer ID",
        ),
        ("EXISTS s", "0"),
        ("XCFGSET s IDMP-DURATION 5", "-ERR no such key"),
        ("SET str v", "+OK"),
        (
            "XCFGSET str IDMP-DURATION 5",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "XADD str IDMP p i * f v",
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ]);
    fixture.run("XADD s * f v");
    let integer = "-ERR value is not an integer or out of range";
    let duration = "-ERR IDMP-DURATION must be between 1 and 86400 seconds";
    let size = "-ERR IDMP-MAXSIZE must be between 1 and 10000 entries";
    for (words, wanted) in [
        ("", "-ERR At least one parameter"),
        (" IDMP-DURATION", "-ERR syntax error"),
        (" IDMP-MAXSIZE 5 INVALID", "-ERR syntax error"),
        (" IDMP-DURATION A", integer),
        (" IDMP-DURATION 3.14", integer),
        (" IDMP-DURATION 000000000", integer),
        (" IDMP-MAXSIZE IDMP-MAXSIZE IDMP-MAXSIZE", integer),
        (" IDMP-DURATION 0", duration),
        (" IDMP-DURATION -100", duration),
        (" IDMP-DURATION 86401", duration),
        (" IDMP-MAXSIZE 0", size),
        (" IDMP-MAXSIZE 10001", size),
        (" IDMP-DURATION 7 IDMP-MAXSIZE 4294967297", size),
    ] {
        let reply = fixture.run(&format!("XCFGSET s{words}"));
        assert!(reply.starts_with(wanted), "{words}: {reply}");
    }
    assert_eq!(told(&fixture, "idmp-duration"), None);
}

#[test]
fn the_newest_ids_of_each_producer_are_kept() {
    let fixture = Fixture::new();
    fixture.run("XADD s IDMP p init * f v");
    fixture.run("XCFGSET s IDMP-MAXSIZE 3 IDMP-DURATION 60");
    let added: Vec<String> = (1..=5)
        .map(|n| fixture.run(&format!("XADD s IDMP p m{n} * f v")))
        .collect();
    let other = fixture.run("XADD s IDMP q m1 * f v");
    for n in 3..=5 {
        let again = fixture.run(&format!("XADD s IDMP p m{n} * f v"));
        assert_eq!(again, added[n - 1]);
    }
    assert_eq!(fixture.run("XADD s IDMP q m1 * f v"), other);
    tells(&fixture, &[("pids-tracked", 2), ("iids-tracked", 4)]);
    // The oldest is the first that came, whatever was repeated since.
    assert_ne!(fixture.run("XADD s IDMP p m1 * f v"), added[0]);
    assert_ne!(fixture.run("XADD s IDMP p m3 * f v"), added[2]);
    assert_eq!(fixture.run("XADD s IDMP p m5 * f v"), added[4]);
}

#[test]
fn ids_end_after_their_duration_and_leave_nothing() {
    let fixture = Fixture::new();
    let without = {
        fixture.run("XADD s * f v");
        fixture.run("XCFGSET s IDMP-DURATION 5");
        fixture.engine.used_memory()
    };
    let first = fixture.run("XADD s IDMP p m * f v");
    fixture.pass(3000);
    fixture.run("XADD s IDMP p later * f v");
    fixture.pass(1999);
    assert_eq!(fixture.run("XADD s IDMP p m * f v"), first);
    fixture.pass(1);
    tells(&fixture, &[("iids-tracked", 1), ("pids-tracked", 1)]);
    assert_ne!(fixture.run("XADD s IDMP p m * f v"), first);
    fixture.pass(5000);
    tells(&fixture, &[("iids-tracked", 0), ("pids-tracked", 0)]);
    tells(&fixture, &[("iids-added", 3), ("iids-duplicates", 1)]);
    // Nobody has to write for it: memory comes back by itself.
    for n in 0..500 {
        fixture.run(&format!("XADD s IDMP p{n} m * f v"));
    }
    fixture.run("XTRIM s MAXLEN 1");
    assert!(fixture.engine.used_memory() > without + 50_000);
    fixture.pass(5000);
    for _ in 0..20 {
        fixture.engine.expire_some();
    }
    assert_eq!(fixture.engine.used_memory(), without);
}

#[test]
fn other_settings_forget_the_ids_and_keep_the_counts() {
    let fixture = Fixture::new();
    let first = fixture.run("XADD s IDMP p a * f v");
    fixture.run("XADD s IDMP p b * f v");
    fixture.run("XADD s IDMP p a * f v");
    let defaults = [("idmp-duration", 100), ("idmp-maxsize", 100)];
    tells(&fixture, &defaults);
    fixture.expect(&[
        ("XCFGSET s IDMP-DURATION 100 IDMP-MAXSIZE 100", "+OK"),
        ("XADD s IDMP p a * f v", &first),
        ("XCFGSET s IDMP-MAXSIZE 10000", "+OK"),
    ]);
    tells(
        &fixture,
        &[
            ("idmp-duration", 100),
            ("idmp-maxsize", 10_000),
            ("pids-tracked", 0),
            ("iids-tracked", 0),
            ("iids-added", 2),
            ("iids-duplicates", 2),
        ],
    );
    assert_ne!(fixture.run("XADD s IDMP p a * f v"), first);
    let full = fixture.run("XINFO STREAM s FULL");
    let wanted = "idmp-duration 100 idmp-maxsize 10000 pids-tracked 1 iids-tracked 1 iids-added 3";
    assert!(full.contains(wanted), "{full}");
}

#[test]
fn nothing_is_told_of_producers_where_there_are_none() {
    let fixture = Fixture::new();
    fixture.run("XADD s * f v");
    assert_eq!(told(&fixture, "pids-tracked"), None);
    fixture.run("XCFGSET s IDMP-DURATION 300");
    tells(&fixture, &[("pids-tracked", 0), ("iids-added", 0)]);
}

#[test]
fn ids_survive_in_snapshots_and_copies() {
    let fixture = Fixture::new();
    fixture.run("XADD s IDMP p a * f v");
    fixture.pass(10);
    fixture.run("XADD s IDMPAUTO q * f v");
    fixture.run("XCFGSET s IDMP-DURATION 75 IDMP-MAXSIZE 2");
    let kept = fixture.run("XADD s IDMP p a * f v");
    let of_fields = fixture.run("XADD s IDMPAUTO q * f v");
    fixture.run("XADD s IDMP p a * f v");
    let mut saved = Vec::new();
    fixture.engine.save(&mut saved).expect("a vector takes it");
    let copy = Fixture::new();
    copy.engine.load(&mut &saved[..]).expect("it is whole");
    copy.pass(10);
    assert_eq!(copy.engine.used_memory(), fixture.engine.used_memory());
    for line in ["XINFO STREAM s", "XINFO STREAM s FULL"] {
        assert_eq!(copy.run(line), fixture.run(line));
    }
    copy.expect(&[
        ("XADD s IDMP p a * f v", &kept),
        ("XADD s IDMPAUTO q * f v", &of_fields),
        ("COPY s t", "1"),
        ("XADD t IDMP p a * f v", &kept),
    ]);
    let Reply::Bulk(payload) = copy.engine.call(&["DUMP", "t"]) else {
        panic!("DUMP gives a payload");
    };
    let restored = copy
        .engine
        .call(&[&b"RESTORE"[..], b"u", b"0", payload.as_ref()]);
    assert_eq!(restored, Reply::ok());
    copy.expect(&[("XADD u IDMP p a * f v", &kept)]);
    // Time goes on from where it was.
    copy.pass(75_000);
    assert_ne!(copy.run("XADD s IDMP p a * f v"), kept);
}

#[test]
fn ids_count_as_memory() {
    let fixture = Fixture::with(Options::default().memory_limit(1 << 20));
    let long = "i".repeat(1000);
    let mut refused = None;
    for n in 0..5000 {
        let reply = fixture.run(&format!("XADD s MAXLEN 1 IDMP p{n} {long}{n} * f v"));
        assert!(fixture.engine.used_memory() <= 1 << 20);
        if reply.starts_with("-OOM") {
            refused = Some(n);
            break;
        }
    }
    assert!(refused.is_some_and(|n| n < 1000), "{refused:?}");
    // What is known is answered, and settings make room.
    fixture.run("XCFGSET s IDMP-DURATION 50");
    assert!(!fixture.run("XADD s IDMP p x * f v").starts_with('-'));
}
