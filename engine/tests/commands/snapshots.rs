use restis_engine::{Options, SnapshotError};

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
    "XADD released 1-0 f v",
    "XGROUP CREATE released group 0",
    "XREADGROUP GROUP group alice STREAMS released >",
    "XNACK released group FATAL IDS 1 1-0",
    "XADD produced IDMP p a * f v",
    "XADD produced IDMPAUTO q * f v",
    "XADD produced IDMP p a * f v",
    "XADD configured 1-0 f v",
    "XCFGSET configured IDMP-DURATION 7 IDMP-MAXSIZE 2",
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
    "XPENDING released group - + 10",
    "XINFO STREAM produced FULL",
    "XADD produced IDMP p a * f v",
    "XINFO STREAM configured",
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

#[test]
fn the_name_of_an_index_is_no_alias_and_the_other_way_round() {
    let fixture = Fixture::new();
    let create = |name: &str| format!("SEARCH.CREATE {name} ON HASH PREFIX 1 p: SCHEMA a TEXT");
    fixture.expect(&[
        (&create("i"), "1"),
        ("SEARCH.ALIASADD al i", "1"),
        (&create("al"), "-ERR the name is used by an alias"),
        ("SEARCH.ALIASADD al2 al", "1"),
        (
            "SEARCH.ALIASADD i al",
            "-ERR the alias is the name of an index",
        ),
    ]);
    let after = Fixture::new();
    let loaded = after.engine.load(&mut save(&fixture).as_slice());
    assert!(loaded.is_ok(), "{loaded:?}");
    for line in ["SEARCH.LISTINDEXES", "SEARCH.LISTALIASES"] {
        assert_eq!(after.run(line), fixture.run(line));
    }
}

/// A snapshot that replays these commands, as an older version could have written it.
fn replaying(commands: &[&[&str]]) -> Vec<u8> {
    const REPLAY: u8 = 2;
    const END: u8 = 0;
    let mut bytes = b"RESTISDB\x01\0\0\0".to_vec();
    for command in commands {
        bytes.extend([REPLAY, command.len() as u8]);
        for word in *command {
            let (low, high) = (word.len() as u8 & 0x7f | 0x80, (word.len() >> 7) as u8);
            bytes.extend([low, high]);
            bytes.extend(word.as_bytes());
        }
    }
    bytes.extend([END, 0]);
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes);
    [bytes, sum.to_le_bytes().to_vec()].concat()
}

#[test]
fn what_older_versions_let_in_is_loaded() {
    let create = |name| {
        [
            "SEARCH.CREATE",
            name,
            "ON",
            "HASH",
            "PREFIX",
            "1",
            "p:",
            "SCHEMA",
            "a",
            "TEXT",
        ]
    };
    let moody = "#!lua name=moody\nif redis.sha1hex('') == '' then redis.register_function('m', function() end) end";
    let saved = replaying(&[
        &["FUNCTION", "LOAD", moody],
        &["FUNCTION", "LOAD", LIBRARY],
        &create("al"),
        &create("i"),
        &["SEARCH.ALIASADD", "al", "i"],
        &["SEARCH.ALIASADD", "al2", "al"],
    ]);
    let options = Options::default().memory_limit(1000);
    let fixture = Fixture::with(options);
    let loaded = fixture.engine.load(&mut saved.as_slice());
    assert!(loaded.is_ok(), "{loaded:?}");
    assert_eq!(fixture.run("FCALL f 0"), "7");
    assert_eq!(fixture.run("SEARCH.LISTALIASES"), "[[al i] [al2 al]]");
    assert!(
        fixture
            .run("FCALL m 0")
            .starts_with("-ERR Function not found")
    );
    // The library that did not register anything is not lost.
    assert!(fixture.run("FUNCTION LIST WITHCODE").contains("name=moody"));
    let again = Fixture::new();
    assert!(again.engine.load(&mut save(&fixture).as_slice()).is_ok());
    assert!(again.run("FUNCTION LIST").contains("moody"));
}

/// What commands of every kind are made of; `N` is a small number.
const RANDOM: &[&str] = &[
    "SET kN vN",
    "HSET pre:N name wordN n N",
    "HSET hN f vN",
    "HPEXPIRE hN 100N FIELDS 1 f",
    "JSON.SET docN $ {\"a\":[N,1e300,-0.0,\"\\u0000x\"],\"b\":{}}",
    "JSON.NUMMULTBY docN $.a[0] 1e200",
    "ZADD zN N a -inf b inf c",
    "XADD sN * f v",
    "XGROUP CREATE sN gN 0",
    "XREADGROUP GROUP gN cN STREAMS sN >",
    "SADD setN a b N",
    "SMOVE setN setother N",
    "RPUSH lN a N",
    "ARSET arN N v",
    "ARRING ringN 2 a b c",
    "PFADD pfN a N",
    "GEOADD geoN 1 2 m",
    "DEL kN hN pre:N sN lN",
    "VECTOR.CREATE vecN DIM 2 METRIC COSINE",
    "VECTOR.ADD vecN idN VALUES 2 N 1.5",
    "VECTOR.DEL vecN idN",
    "SEARCH.CREATE iN ON HASH PREFIX 1 pre: SCHEMA name TEXT NOSTEM n U64 FAST",
    "SEARCH.CREATE jN ON JSON PREFIX 2 doc other LANGUAGE german SCHEMA a F64 FROM b FAST KEYWORD",
    "SEARCH.CREATE tN ON STREAM sN SCHEMA f TEXT",
    "SEARCH.CREATE alN ON HASH PREFIX 1 x SCHEMA a BOOL",
    "SEARCH.ALIASADD alN iN",
    "SEARCH.ALIASADD alN alN",
    "SEARCH.ALIASADD iN jN",
    "SEARCH.ALIASDEL alN",
    "SEARCH.DROP iN",
    "FUNCTION LOAD REPLACE #!lua_name=libN\nredis.register_function('fN',function()_return_N_end)",
    "FUNCTION LOAD #!lua_name=libN\nredis.register_function('fN',function()_return_N_end)",
    "FUNCTION DELETE libN",
    "ACL SETUSER uN on >passwordN ~kN* %R~hN* +@all -del &chN",
    "ACL SETUSER uN off -@all +@read +get -@string resetchannels",
    "ACL SETUSER uN reset allcommands allkeys -@dangerous +keys",
    "ACL DELUSER uN",
];

/// Commands whose replies together tell what is behind the names of `RANDOM`.
fn asked() -> Vec<String> {
    let one = |n: usize| {
        [
            "ACL GETUSER uN",
            "FCALL fN 0",
            "GET kN",
            "HGETALL hN",
            "HPTTL hN FIELDS 1 f",
            "JSON.GET docN",
            "ZRANGE zN 0 -1 WITHSCORES",
            "XINFO STREAM sN FULL",
            "LRANGE lN 0 -1",
            "ARSCAN arN 0 100",
            "ARLASTITEMS ringN 2",
            "PFCOUNT pfN",
            "GEOPOS geoN m",
            "VECTOR.INFO vecN",
            "VECTOR.GET vecN idN",
            "SEARCH.COUNT iN {}",
            "SEARCH.COUNT jN {}",
            "SEARCH.COUNT tN {}",
            "SEARCH.DESCRIBE jN",
            "SEARCH.QUERY iN {\"name\":\"wordN\"}",
        ]
        .map(|line| line.replace('N', &n.to_string()))
    };
    let all = [
        "SEARCH.LISTALIASES",
        "SEARCH.LISTINDEXES",
        "FUNCTION LIST WITHCODE",
        "DBSIZE",
    ];
    (0..3).flat_map(one).chain(all.map(str::to_owned)).collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn what_any_commands_leave_can_be_saved_and_loaded(
        steps in proptest::collection::vec((0..RANDOM.len(), 0usize..3), 1..120)
    ) {
        let before = Fixture::new();
        for (what, n) in steps {
            let line = RANDOM[what].replace('N', &n.to_string());
            let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
            before.engine.call(&words);
        }
        let after = Fixture::with(Options::default().memory_limit(1));
        let loaded = after.engine.load(&mut save(&before).as_slice());
        proptest::prop_assert!(loaded.is_ok(), "{:?}", loaded);
        for line in asked() {
            proptest::prop_assert_eq!(after.run(&line), before.run(&line), "{}", line);
        }
    }
}
