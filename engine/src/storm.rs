//! Every command with arguments it may not expect: nothing panics, every index stays true.
//!
//! `RESTIS_STEPS` makes the run longer.

#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::sync::Arc;

use crate::acl::Caller;
use crate::command::Command;
use crate::commands;
use crate::ctx::{Ctx, Side};
use crate::db::Db;
use crate::dict::Rng;
use crate::encoding::write_value;
use crate::hub::Hub;
use crate::options::Options;
use crate::snapshot;

const KEYS: &[&str] = &["a", "b", "c", "d", "e"];

/// Words that mean something to some command, and numbers at the edges.
const WORDS: &[&str] = &[
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

#[test]
fn no_arguments_break_a_command_or_an_index() {
    let steps = std::env::var("RESTIS_STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok())
        .unwrap_or(60_000);
    let hub = Arc::new(Hub::default());
    let mut db = Db::new(Arc::clone(&hub));
    let mut side = Side::new(Options::default(), hub, commands::table());
    let caller = Caller::default();
    let mut rng = Rng::new();
    let specs: Vec<&Command> = side
        .table
        .commands()
        .iter()
        .copied()
        .filter(|spec| !LEFT_OUT.contains(&spec.name))
        .collect();
    let mut history = History(Vec::new());
    let mut now = 1_000_000;
    for step in 0..steps {
        let spec = specs[rng.below(specs.len())];
        let args = arguments(&mut rng, spec);
        history.0.push(args.join(" "));
        let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
        now += rng.below(3) as u64;
        db.set_now(now);
        let mut ctx = Ctx {
            db: &mut db,
            side: &mut side,
            caller: &caller,
            script: None,
        };
        let _ = ctx.call(&args);
        if rng.below(50) == 0 {
            db.expire_some();
        }
        if rng.below(200) == 0 {
            db.evict_one();
        }
        if step % 64 == 0 {
            db.check();
        }
    }
    db.check();
    assert!(db.counters.changes > 1000, "the storm changes something");

    // What the storm left survives a snapshot.
    let saved = snapshot::encode(&db, &side);
    let body = snapshot::read(&mut saved.as_slice()).expect("the snapshot is whole");
    let (mut copy, mut copied_side) = snapshot::fresh(&db, &side);
    let keys = snapshot::decode(&body, &mut copy, &mut copied_side).expect("it makes sense");
    copy.check();
    assert_eq!(keys, db.iter().count() as u64);
    for (key, value, expiry) in db.iter() {
        assert_eq!(copy.expiry(key), Some(expiry));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        write_value(&mut ours, value);
        write_value(&mut theirs, copy.value(key).expect("the key is there"));
        assert_eq!(ours.len(), theirs.len(), "a {}", value.type_name());
    }
}
