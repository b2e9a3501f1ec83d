//! Thousands of rules for users, right and damaged: a refused call changes nothing, and what a user is shown to have
//! makes the same user.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use restis_engine::{Engine, Reply};

/// SplitMix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % most as u64).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.below(most + 1);
        let byte = |_| u8::try_from(self.below(256)).unwrap();
        (0..count).map(byte).collect()
    }
}

/// Rules as they are written, and parts of them.
const RULES: [&str; 40] = [
    "on",
    "off",
    "+get",
    "-get",
    "+set",
    "+eval",
    "-eval",
    "+acl",
    "+flushall",
    "+config|get",
    "+nosuch",
    "+@all",
    "-@all",
    "+@read",
    "-@write",
    "-@dangerous",
    "+@scripting",
    "-@scripting",
    "+@nosuch",
    "+@",
    "+",
    "~*",
    "~a*",
    "%R~a*",
    "%W~b",
    "%RW~k",
    "%X~a",
    "%",
    "&*",
    "&c",
    "allkeys",
    "resetkeys",
    "allchannels",
    "resetchannels",
    "allcommands",
    "nocommands",
    "reset",
    "resetpass",
    "nopass",
    "(~a +get)",
];
const ENDS: [&[u8]; 7] = [b" ", b"\0", b"\r\n", b")", b"(", b" +@all", b"|x"];

/// A rule, in most cases a whole one.
fn rule(numbers: &mut Numbers) -> Vec<u8> {
    let mut rule = RULES[numbers.below(RULES.len())].as_bytes().to_vec();
    match numbers.below(12) {
        0 => rule = numbers.bytes(12),
        1 => rule.insert(
            numbers.below(rule.len() + 1),
            numbers.bytes(1).pop().unwrap_or(0),
        ),
        2 => rule.truncate(numbers.below(rule.len() + 1)),
        3 => rule.extend(ENDS[numbers.below(ENDS.len())]),
        4 => rule.make_ascii_uppercase(),
        5 => rule = [&b"#"[..], &numbers.bytes(64)].concat(),
        6 => {
            rule = [
                &b"#"[..],
                &[b'a' + u8::try_from(numbers.below(6)).unwrap(); 64],
            ]
            .concat();
        }
        7 => rule.extend(vec![b'x'; [10, 5_000, 70_000][numbers.below(3)]]),
        _ => {}
    }
    rule
}

fn call(engine: &Engine, args: &[&[u8]]) -> Reply {
    engine.call(args)
}

/// Everything that says what a user may do.
fn rights(engine: &Engine, user: &[u8]) -> Vec<Reply> {
    let mut all = vec![
        call(engine, &[b"ACL", b"GETUSER", user]),
        call(engine, &[b"ACL", b"LIST"]),
    ];
    for tried in [
        &[&b"GET"[..], b"a1"][..],
        &[b"SET", b"b", b"v"],
        &[b"EVAL", b"return 1", b"0"],
        &[b"FLUSHALL"],
        &[b"ACL", b"LIST"],
        &[b"PUBLISH", b"c", b"m"],
    ] {
        let run = [&[&b"ACL"[..], b"DRYRUN", user], tried].concat();
        all.push(call(engine, &run));
    }
    all
}

/// The rules for commands, as the user is shown.
fn commands(engine: &Engine, user: &[u8]) -> Option<Vec<u8>> {
    let Reply::Array(shown) = call(engine, &[b"ACL", b"GETUSER", user]) else {
        return None;
    };
    let text = |reply: &Reply| match reply {
        Reply::Bulk(bytes) => Some(bytes.to_vec()),
        _ => None,
    };
    let name = shown
        .iter()
        .position(|reply| text(reply).as_deref() == Some(b"commands"));
    text(&shown[name? + 1])
}

#[test]
fn no_refused_rule_changes_a_user_and_what_is_shown_makes_the_same_one() {
    let engine = Engine::default();
    let mut numbers = Numbers(26);
    let users: [&[u8]; 7] = [b"u1", b"u2", b"default", b"", b"a b", b"\xff", &[b'x'; 300]];
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..3_000 {
        let user = users[if numbers.below(4) == 0 {
            numbers.below(users.len())
        } else {
            0
        }];
        let rules: Vec<Vec<u8>> = (0..numbers.below(7)).map(|_| rule(&mut numbers)).collect();
        let before = rights(&engine, user);
        let mut set: Vec<&[u8]> = vec![b"ACL", b"SETUSER", user];
        set.extend(rules.iter().map(Vec::as_slice));
        if call(&engine, &set).is_error() {
            refused += 1;
            assert_eq!(
                rights(&engine, user),
                before,
                "{:?}",
                set.join(&b' ').escape_ascii().to_string()
            );
            continue;
        }
        accepted += 1;
        let shown = commands(&engine, user).unwrap();
        let mut again: Vec<&[u8]> = vec![b"ACL", b"SETUSER", b"copy", b"reset"];
        again.extend(shown.split(|byte| *byte == b' '));
        assert_eq!(call(&engine, &again), Reply::ok());
        assert_eq!(
            commands(&engine, b"copy")
                .unwrap()
                .escape_ascii()
                .to_string(),
            shown.escape_ascii().to_string()
        );
        if numbers.below(20) == 0 {
            call(&engine, &[b"ACL", b"DELUSER", user]);
        }
    }
    assert!(refused > 500 && accepted > 500, "{refused} {accepted}");
}

/// Redis shows it once, however often it was said.
#[test]
fn nothing_is_shown_once() {
    let engine = Engine::default();
    for rules in [
        &["-@all"][..],
        &["nocommands", "-@all"],
        &["+get", "-@all", "-@all"],
    ] {
        let set = [&["ACL", "SETUSER", "bob"], rules].concat();
        assert_eq!(engine.call(&set), Reply::ok());
        assert_eq!(commands(&engine, b"bob").unwrap(), b"-@all");
    }
    engine.call(&["ACL", "SETUSER", "bob", "-@all", "+get", "-@all", "+set"]);
    assert_eq!(commands(&engine, b"bob").unwrap(), b"-@all +set");
}
