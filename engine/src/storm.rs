//! Every command with arguments it may not expect: nothing panics, every index stays true.
//!
//! `RESTIS_STEPS` makes the run longer.

#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::acl::Caller;
use crate::command::Command;
use crate::commands;
use crate::ctx::{Ctx, Side};
use crate::db::Db;
use crate::dict::Rng;
use crate::encoding::write_value;
use crate::hub::Hub;
use crate::options::{Dialect, Options};
use crate::replay::replay;
use crate::snapshot;
use crate::value::Value;

const KEYS: &[&str] = &["a", "b", "c", "d", "e"];

/// Longer than an element of a small hash, set or sorted set.
const LONG: &str = "longer than the sixty-four bytes that an element of a small collection has";
/// Longer than a node of a list.
const LONGER: &str = match std::str::from_utf8(&[b'x'; 8200]) {
    Ok(text) => text,
    Err(_) => "",
};

/// Words that mean something to some command, and numbers at the edges.
const WORDS: &[&str] = &[
    LONG,
    LONGER,
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-2",
    "10",
    "100",
    "1000",
    "1.5",
    "-0.5",
    "inf",
    "-inf",
    "nan",
    "1e300",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "4294967296",
    "1e-400",
    "+1",
    " 1",
    "",
    "*",
    "$",
    ">",
    "+",
    "-",
    "(1",
    "[a",
    "(b",
    "[",
    "(",
    "a*",
    "[a-",
    "\\",
    "1-1",
    "5-*",
    "0-0",
    "99999-1",
    "FIELDS",
    "NX",
    "XX",
    "GT",
    "LT",
    "CH",
    "INCR",
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "PERSIST",
    "KEEPTTL",
    "GET",
    "SET",
    "INCRBY",
    "OVERFLOW",
    "SAT",
    "FAIL",
    "u8",
    "i64",
    "u63",
    "#1",
    "BIT",
    "BYTE",
    "AND",
    "NOT",
    "DIFF",
    "ONE",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "AFTER",
    "COUNT",
    "MAXLEN",
    "RANK",
    "MATCH",
    "TYPE",
    "WITHTYPE",
    "WITHVALUES",
    "WITHSCORES",
    "WITHSCORE",
    "BYSCORE",
    "BYLEX",
    "REV",
    "LIMIT",
    "WEIGHTS",
    "AGGREGATE",
    "SUM",
    "MIN",
    "MAX",
    "REPLACE",
    "ABSTTL",
    "DB",
    "FNX",
    "FXX",
    "IFEQ",
    "IFDEQ",
    "GROUP",
    "CREATE",
    "STREAMS",
    "MKSTREAM",
    "CONSUMERS",
    "STREAM",
    "FULL",
    "KEEPREF",
    "DELREF",
    "ACKED",
    "IDS",
    "MINID",
    "~",
    "=",
    "NOMKSTREAM",
    "JUSTID",
    "FORCE",
    "IDLE",
    "NOACK",
    "USAGE",
    "FROMLONLAT",
    "BYRADIUS",
    "BYBOX",
    "km",
    "m",
    "ASC",
    "WITHDIST",
    "WITHCOORD",
    "STOREDIST",
    "13.3",
    "$.a",
    "$..b",
    ".a",
    "{\"a\":1}",
    "[1,2,\"x\"]",
    "\"text\"",
    "true",
    "LOAD",
    "EXISTS",
    "LIST",
    "FLUSH",
    "return redis.call('SET',KEYS[1],'1')",
    "return {1,2,redis.error_reply('x')}",
    "error('x')",
];

/// Commands that take what there is away too often, or make random sizes.
const LEFT_OUT: &[&str] = &[
    "FLUSHALL", "FLUSHDB", "SETBIT", "SETRANGE", "BITFIELD", "SCRIPT", "FUNCTION",
];

fn pick<'a>(rng: &mut Rng, words: &[&'a str]) -> &'a str {
    words[rng.below(words.len())]
}

fn arguments(rng: &mut Rng, spec: &Command) -> Vec<String> {
    let least = usize::from(spec.arity.unsigned_abs());
    let count = match spec.arity {
        arity if arity < 0 => least + [0, 0, 1, 2, 3, 5][rng.below(6)],
        _ => least,
    };
    let mut args = vec![spec.name.to_owned()];
    for at in 1..count {
        let mut is_key = false;
        let so_far: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
        let mut padded = so_far.clone();
        padded.resize(count, b"");
        spec.keys.each(&padded, |key| is_key |= key == at);
        let known = is_key && rng.below(10) > 0 || rng.below(4) == 0;
        args.push(pick(rng, if known { KEYS } else { WORDS }).to_owned());
    }
    args
}

/// Tells the last commands when the test fails.
struct History(Vec<String>);

impl Drop for History {
    #[expect(clippy::print_stderr, reason = "a failed test tells what led to it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let from = self.0.len().saturating_sub(80);
            eprintln!("the last commands:\n{}", self.0[from..].join("\n"));
        }
    }
}

/// Keys with their expiries and values, in an order that hangs on nothing else.
type Contents = BTreeMap<Vec<u8>, (u64, Vec<Vec<u8>>)>;

fn contents(db: &Db) -> Contents {
    let encoded = |value: &Value| {
        let mut out = Vec::new();
        write_value(&mut out, value);
        out
    };
    let items = |value: &Value| {
        let mut items: Vec<Vec<u8>> = match value {
            Value::Set(set) => set.iter().map(|member| member.to_vec()).collect(),
            Value::Hash(hash) => hash
                .iter_with_expiry()
                .map(|(field, value, expiry)| format!("{field:?} {value:?} {expiry}").into())
                .collect(),
            Value::Vectors(vectors) => vectors
                .iter()
                .map(|(id, vector)| format!("{id:?} {vector:?}").into())
                .collect(),
            other => vec![encoded(other)],
        };
        items.sort();
        items
    };
    db.iter()
        .map(|(key, value, expiry)| (key.to_vec(), (expiry, items(value))))
        .collect()
}

/// Users and indexes.
fn definitions(db: &Db, side: &Side) -> (Vec<String>, Vec<Vec<Bytes>>) {
    let users = side.acl.users();
    (
        users.map(|(name, user)| user.describe(name)).collect(),
        db.search.create_commands().collect(),
    )
}

fn fresh() -> (Db, Side) {
    let hub = Arc::new(Hub::default());
    let db = Db::new(Arc::clone(&hub));
    (db, Side::new(Options::default(), hub, commands::table()))
}

fn steps() -> usize {
    let steps = std::env::var("RESTIS_STEPS").ok();
    steps.and_then(|steps| steps.parse().ok()).unwrap_or(60_000)
}

/// A database, the same made of its records, and a snapshot that is being taken.
struct Storm {
    db: Db,
    side: Side,
    copy: (Db, Side),
    /// What a snapshot should have, and what it has so far.
    snapshot: Option<(Contents, Vec<u8>)>,
    snapshots: usize,
    rng: Rng,
    now: u64,
    history: History,
}

impl Storm {
    fn new(commands: bool) -> Self {
        let (mut db, mut side) = fresh();
        if commands {
            db.effects.start_with_commands();
            side.dialect = Dialect::Redis;
        } else {
            db.effects.start();
        }
        Self {
            db,
            side,
            copy: fresh(),
            snapshot: None,
            snapshots: 0,
            rng: Rng::new(),
            now: 1_000_000,
            history: History(Vec::new()),
        }
    }

    fn call(&mut self, args: &[&[u8]]) {
        self.db.set_now(self.now);
        let caller = Caller::default();
        let mut ctx = Ctx {
            db: &mut self.db,
            side: &mut self.side,
            caller: &caller,
            script: None,
        };
        let _ = ctx.call(args);
    }

    fn step(&mut self, specs: &[&Command]) {
        let spec = specs[self.rng.below(specs.len())];
        let args = arguments(&mut self.rng, spec);
        self.history.0.push(args.join(" "));
        let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
        self.now += self.rng.below(3) as u64;
        self.call(&args);
        if self.rng.below(50) == 0 {
            self.db.expire_some();
        }
        if self.rng.below(200) == 0 {
            self.db.evict_one(true);
        }
        if self.rng.below(3000) == 0 {
            self.call(&[b"FLUSHALL"]);
        }
        self.take_snapshot();
        let mut record = Vec::new();
        self.db
            .take_effects(|bytes| record.extend_from_slice(bytes));
        if !record.is_empty() {
            let (db, side) = &mut self.copy;
            replay(Bytes::from(record), db, side).expect("the record makes sense");
        }
    }

    /// Begins, continues or ends a snapshot.
    fn take_snapshot(&mut self) {
        if self.rng.below(8) > 0 {
            return;
        }
        let Some((expected, out)) = &mut self.snapshot else {
            assert!(self.db.begin_capture());
            self.db.capture_at_most(2);
            let mut out = Vec::new();
            snapshot::begin(&mut out, &self.db, &self.side);
            self.snapshot = Some((contents(&self.db), out));
            return;
        };
        let Some(taken) = self.db.capture_some() else {
            self.snapshot = None;
            return;
        };
        out.extend_from_slice(&taken.bytes);
        let Some(keys) = taken.keys else {
            return;
        };
        snapshot::end(out, keys);
        let sum = xxhash_rust::xxh3::xxh3_64(out);
        out.extend_from_slice(&sum.to_le_bytes());
        let body = snapshot::read(&mut out.as_slice()).expect("the snapshot is whole");
        let (mut copy, mut side) = fresh();
        snapshot::decode(&body, &mut copy, &mut side).expect("it makes sense");
        assert_eq!(contents(&copy), *expected);
        self.snapshot = None;
        self.snapshots += 1;
    }

    fn compare(&mut self) {
        let (copy, side) = &mut self.copy;
        copy.set_now(self.now);
        self.db.check();
        copy.check();
        let (ours, theirs) = (contents(&self.db), contents(copy));
        for (key, value) in &ours {
            let key_text = String::from_utf8_lossy(key);
            assert_eq!(theirs.get(key), Some(value), "{key_text}");
        }
        assert_eq!(ours.len(), theirs.len());
        assert_eq!(definitions(&self.db, &self.side), definitions(copy, side));
    }
}

#[test]
fn no_arguments_break_a_command_and_records_make_the_same_database() {
    for commands in [false, true] {
        let mut storm = Storm::new(commands);
        let all = storm.side.table.commands().iter().copied();
        let specs: Vec<&Command> = all.filter(|spec| !LEFT_OUT.contains(&spec.name)).collect();
        for step in 0..steps() / 2 {
            storm.step(&specs);
            if step % 64 == 0 {
                storm.compare();
            }
        }
        storm.compare();
        let changes = storm.db.counters.changes;
        assert!(changes > 1000, "the storm changes something");
        assert!(storm.snapshots > 10, "{} snapshots", storm.snapshots);

        // What the storm left survives a snapshot.
        let saved = snapshot::encode(&storm.db, &storm.side);
        let body = snapshot::read(&mut saved.as_slice()).expect("the snapshot is whole");
        let (mut copy, mut side) = snapshot::fresh(&storm.db, &storm.side);
        let keys = snapshot::decode(&body, &mut copy, &mut side).expect("it makes sense");
        copy.check();
        assert_eq!(keys, storm.db.iter().count() as u64);
        assert_eq!(contents(&copy), contents(&storm.db));
    }
}
