use restis_engine::SnapshotError;

use crate::Fixture;

/// Commands that leave something of every kind.
const FILL: &[&str] = &[
    "SET string v",
    "SET volatile v PX 5000",
    "RPUSH list a b c",
    "SADD set a b c",
    "HSET hash a 1 b 2",
    "HPEXPIRE hash 5000 FIELDS 1 a",
    "ZADD zset 1.5 a -inf b inf c",
    "XADD stream 1-1 f v g w",
    "XADD stream 2-0 f v",
    "XADD stream 3-0 f v",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group alice COUNT 2 STREAMS stream >",
    "XACK stream group 1-1",
    "XDEL stream 1-1",
    "XADD emptied 1-0 f v",
    "XDEL emptied 1-0",
    "PFADD hll a b c",
    r#"JSON.SET doc $ {"a":[1,2.5,"ü",null,true,18446744073709551615]}"#,
    "GEOADD geo 13.36 38.11 Palermo",
    "ARRING ring 2 a b c",
    "ARINSERT array a b",
    "ARSET array 18446744073709551614 c",
    "VECTOR.CREATE vectors DIM 2 METRIC DOT",
    "VECTOR.ADD vectors a VALUES 2 0.5 -1.25",
    "VECTOR.CREATE no-vectors DIM 3 METRIC COSINE",
];

/// Commands whose replies together tell everything.
const ASK: &[&str] = &[
    "GET string",
    "PTTL volatile",
    "LRANGE list 0 -1",
    "HGETALL hash",
    "HPTTL hash FIELDS 2 a b",
    "ZRANGE zset 0 -1 WITHSCORES",
    "XRANGE stream - +",
    "XINFO STREAM stream FULL",
    "XPENDING stream group - + 10",
    "XINFO STREAM emptied",
    "PFCOUNT hll",
    "JSON.GET doc",
    "GEOPOS geo Palermo",
    "SMISMEMBER set a b c d",
    "ARSCAN array 0 18446744073709551614",
    "ARNEXT array",
    "ARLASTITEMS ring 2",
    "ARRING ring 2 d",
    "ARLASTITEMS ring 2",
    "VECTOR.GET vectors a",
    "VECTOR.INFO vectors",
    "VECTOR.INFO no-vectors",
    "DBSIZE",
    "FUNCTION LIST WITHCODE",
];

const LIBRARY: &str = "#!lua name=lib\nredis.register_function('f', function() return 7 end)";

fn filled() -> Fixture {
    let fixture = Fixture::new();
    for line in FILL {
        assert!(!fixture.run(line).starts_with('-'), "{line}");
    }
    let loaded = fixture.engine.call(&["FUNCTION", "LOAD", LIBRARY]);
    assert!(!loaded.is_error(), "{loaded:?}");
    fixture
}

fn save(fixture: &Fixture) -> Vec<u8> {
    let mut bytes = Vec::new();
    fixture
        .engine
        .save(&mut bytes)
        .expect("a vector takes everything");
    bytes
}

#[test]
fn every_type_survives() {
    let before = filled();
    let after = Fixture::new();
    after.run("SET old v");
    let keys = after
        .engine
        .load(&mut save(&before).as_slice())
        .expect("the snapshot is whole");
    assert_eq!(keys.to_string(), before.run("DBSIZE"));
    for line in ASK {
        assert_eq!(after.run(line), before.run(line), "{line}");
    }
    assert_eq!(after.run("EXISTS old"), "0");
    assert_eq!(after.run("FCALL f 0"), "7");
    assert_eq!(after.engine.used_memory(), before.engine.used_memory());
    // What was due while nobody ran is gone.
    after.pass(5000);
    after.expect(&[("GET volatile", "nil"), ("HGETALL hash", "[b 2]")]);
}

#[test]
fn any_torn_or_changed_snapshot_is_refused_and_loads_nothing() {
    let whole = save(&filled());
    let fixture = Fixture::new();
    fixture.run("SET k v");
    for end in 0..whole.len() {
        let error = fixture
            .engine
            .load(&mut &whole[..end])
            .expect_err("a torn snapshot is refused");
        match end {
            0 => assert!(matches!(error, SnapshotError::Foreign)),
            _ => assert!(matches!(error, SnapshotError::Torn), "{end}: {error}"),
        }
    }
    for at in 12..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        let error = fixture.engine.load(&mut changed.as_slice());
        assert!(matches!(error, Err(SnapshotError::Torn)), "{at}");
    }
    fixture.expect(&[("GET k", "v"), ("DBSIZE", "1")]);
}

#[test]
fn other_files_and_newer_versions_are_told_apart() {
    let engine = Fixture::new().engine;
    let load = |bytes: &[u8]| engine.load(&mut &bytes[..]);
    assert!(matches!(load(b"REDIS0011"), Err(SnapshotError::Foreign)));
    let mut newer = save(&Fixture::new());
    newer[8] = 9;
    assert!(matches!(load(&newer), Err(SnapshotError::Version(9))));
}

#[test]
fn contents_that_make_no_sense_are_refused_in_spite_of_their_checksum() {
    let engine = Fixture::new().engine;
    let mut bytes = save(&filled());
    bytes.truncate(bytes.len() - 8);
    let sealed = |body: &[u8]| {
        let sum = xxhash_rust::xxh3::xxh3_64(body);
        [body, &sum.to_le_bytes()].concat()
    };
    for end in 12..bytes.len() {
        let cut = engine.load(&mut sealed(&bytes[..end]).as_slice());
        assert!(matches!(cut, Err(SnapshotError::Corrupt)), "{end}");
    }
    assert!(engine.load(&mut sealed(&bytes).as_slice()).is_ok());
}

#[test]
fn changes_tell_whether_a_snapshot_is_due() {
    let fixture = filled();
    let saved = fixture
        .engine
        .save(&mut Vec::new())
        .expect("a vector takes everything");
    fixture.run("GET string");
    assert_eq!(fixture.engine.changes(), saved);
    fixture.run("INCR n");
    assert!(fixture.engine.changes() > saved);
}

#[test]
fn users_with_many_rules_survive() {
    let before = Fixture::new();
    let mut setuser = vec!["ACL".to_owned(), "SETUSER".to_owned(), "ann".to_owned()];
    setuser.extend((0..300).map(|n| format!("~prefix:{n}:*")));
    assert_eq!(before.engine.call(&setuser), restis_engine::Reply::ok());
    let after = Fixture::new();
    after
        .engine
        .load(&mut save(&before).as_slice())
        .expect("the snapshot is whole");
    assert_eq!(after.run("ACL GETUSER ann"), before.run("ACL GETUSER ann"));
    assert!(after.run("ACL LIST").contains("prefix:299:"));
}
