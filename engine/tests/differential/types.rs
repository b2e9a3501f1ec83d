//! Random streams, positions and HyperLogLogs, the same on both sides.
//!
//! `RESTIS_DIFF_SEED` repeats a run, `RESTIS_DIFF_COMMANDS` makes it longer.

use std::fmt::Write as _;

use restis_engine::{Engine, Reply};

use crate::compare::seventeen_decimals;
use crate::redis::{Server, Version};

/// Commands of one run unless told otherwise.
const STEPS: u64 = 4000;

/// A small generator: the seed decides everything.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn pick<'a>(&mut self, options: &[&'a str]) -> &'a str {
        options[self.below(options.len() as u64) as usize]
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.below(1 << 40) as f64 / (1u64 << 40) as f64
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs generated commands on both sides and compares every reply.
fn compare(
    generate: impl Fn(&mut Dice, u64) -> String,
    comparable: impl Fn(Version, &str, &Reply) -> String,
) {
    for server in Server::all() {
        compare_with(&server, &generate, &comparable);
    }
}

fn compare_with(
    server: &Server,
    generate: &impl Fn(&mut Dice, u64) -> String,
    comparable: &impl Fn(Version, &str, &Reply) -> String,
) {
    let mut redis = server.connect();
    let engine = Engine::default();
    let seed = variable("RESTIS_DIFF_SEED").unwrap_or(1).max(1);
    let mut dice = Dice(seed);
    let mut history = Vec::new();
    for step in 0..variable("RESTIS_DIFF_COMMANDS").unwrap_or(STEPS) {
        let line = generate(&mut dice, step);
        let command: Vec<&str> = line.split_whitespace().collect();
        let (theirs, ours) = (redis.call(&command), engine.call(&command));
        history.push(line.clone());
        assert_eq!(
            comparable(server.version, &line, &theirs),
            comparable(server.version, &line, &ours),
            "Redis {:?} and engine differ at step {step} of RESTIS_DIFF_SEED={seed}; the last commands:\n{}",
            server.version,
            history[history.len().saturating_sub(25)..].join("\n")
        );
    }
}

/// An id that is often one of those in use.
fn id(dice: &mut Dice, step: u64) -> String {
    match dice.below(8) {
        0 => format!("{}", dice.below(step / 3 + 2)),
        1 => format!("{}-{}", dice.below(step / 3 + 2), dice.below(3)),
        2 => "0".into(),
        _ => format!(
            "{}-{}",
            (step / 3).saturating_sub(dice.below(30)),
            dice.below(2)
        ),
    }
}

fn ids(dice: &mut Dice, step: u64) -> String {
    (0..=dice.below(3))
        .map(|_| id(dice, step))
        .collect::<Vec<_>>()
        .join(" ")
}

fn bound(dice: &mut Dice, step: u64) -> String {
    match dice.below(6) {
        0 => "-".into(),
        1 => "+".into(),
        2 => format!("({}", id(dice, step)),
        _ => id(dice, step),
    }
}

fn stream_command(dice: &mut Dice, step: u64) -> String {
    let key = dice.pick(&["s1", "s2", "s2", "s2", "str"]);
    let group = dice.pick(&["g", "g", "g", "h", "none"]);
    let consumer = dice.pick(&["a", "b", "c"]);
    let count = dice.below(12);
    match dice.below(26) {
        0..=5 => {
            let new = match dice.below(4) {
                0 => format!("{}-*", step / 3),
                1 => id(dice, step),
                _ => format!("{}-{}", step / 3, dice.below(4)),
            };
            let option = match dice.below(12) {
                0 => format!("MAXLEN {}", dice.below(80)),
                1 => format!("MAXLEN = {}", dice.below(80)),
                2 => format!("NOMKSTREAM MINID {}", id(dice, step)),
                _ => String::new(),
            };
            format!("XADD {key} {option} {new} f{} {step}", dice.below(3))
        }
        6 => format!("XLEN {key}"),
        7 => format!(
            "XRANGE {key} {} {} COUNT {count}",
            bound(dice, step),
            bound(dice, step)
        ),
        8 => format!(
            "XREVRANGE {key} {} {}",
            bound(dice, step),
            bound(dice, step)
        ),
        9 => format!(
            "XREAD COUNT {count} STREAMS s1 s2 {} {}",
            id(dice, step),
            dice.pick(&["0", "$"])
        ),
        10 => format!("XDEL {key} {}", ids(dice, step)),
        11 if dice.below(4) == 0 => format!("XTRIM {key} MAXLEN {}", dice.below(120)),
        11 => format!("XTRIM {key} MINID {}", id(dice, step)),
        12 => format!(
            "XGROUP CREATE {key} {group} {} {}",
            dice.pick(&["0", "$", "5-0"]),
            dice.pick(&["MKSTREAM", ""])
        ),
        13 => format!("XGROUP SETID {key} {group} {}", id(dice, step)),
        14 if dice.below(4) == 0 => format!("XGROUP DESTROY {key} {group}"),
        14 => format!("XGROUP DELCONSUMER {key} {group} {consumer}"),
        15..=17 => format!("XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS {key} >"),
        18 => format!(
            "XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS {key} {}",
            id(dice, step)
        ),
        19 => format!("XACK {key} {group} {}", ids(dice, step)),
        20 => format!("XPENDING {key} {group}"),
        21 => format!(
            "XPENDING {key} {group} {} {} {count} {}",
            bound(dice, step),
            bound(dice, step),
            dice.pick(&["", "a"])
        ),
        22 => {
            let options = dice.pick(&[
                "",
                "JUSTID",
                "FORCE",
                "RETRYCOUNT 5",
                "FORCE JUSTID",
                "LASTID 9-9",
                "IDLE 0",
            ]);
            format!(
                "XCLAIM {key} {group} {consumer} {} {} {options}",
                dice.pick(&["0", "9999999"]),
                ids(dice, step)
            )
        }
        23 => {
            let options = dice.pick(&["", "JUSTID", "COUNT 2", "COUNT 3 JUSTID"]);
            format!(
                "XAUTOCLAIM {key} {group} {consumer} 0 {} {options}",
                bound(dice, step)
            )
        }
        24 => format!("XINFO STREAM {key}"),
        _ => match dice.below(60) {
            0 => "DEL s1".into(),
            1 => "SET str x".into(),
            _ => format!("EXISTS {key}"),
        },
    }
}

/// Hides how long entries have been pending, as both sides have a clock of their own, and how many
/// nodes hold the entries.
fn without_idle(_: Version, line: &str, reply: &Reply) -> String {
    let Reply::Array(rows) = reply else {
        return format!("{reply:?}");
    };
    let is_list =
        line.starts_with("XPENDING") && rows.iter().all(|row| matches!(row, Reply::Array(_)));
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        match row {
            _ if line.starts_with("XINFO") && (at == 3 || at == 5) => {}
            Reply::Array(fields) if is_list && fields.len() == 4 => {
                let _ = write!(out, "{:?} {:?} {:?};", fields[0], fields[1], fields[3]);
            }
            other => {
                let _ = write!(out, "{other:?};");
            }
        }
    }
    out
}

#[test]
fn random_streams_answer_as_redis() {
    compare(stream_command, without_idle);
}

fn geo_command(dice: &mut Dice, _step: u64) -> String {
    let key = dice.pick(&["near", "far"]);
    let (lon, lat) = if key == "near" {
        (dice.between(10.0, 12.0), dice.between(44.0, 46.0))
    } else {
        (dice.between(-179.9, 179.9), dice.between(-84.9, 84.9))
    };
    let member = format!("m{}", dice.below(150));
    let unit = dice.pick(&["m", "km", "ft", "mi"]);
    let size = 10f64.powf(dice.between(-1.0, 4.5));
    let shape = match dice.below(2) {
        0 => format!("BYRADIUS {size} {unit}"),
        _ => format!(
            "BYBOX {size} {} {unit}",
            10f64.powf(dice.between(-1.0, 4.5))
        ),
    };
    let with = dice.pick(&[
        "",
        "WITHDIST",
        "WITHHASH WITHCOORD",
        "WITHDIST WITHHASH WITHCOORD",
    ]);
    let order = dice.pick(&["", "ASC", "DESC", "COUNT 3", "COUNT 2 ANY", "DESC COUNT 4"]);
    match dice.below(12) {
        0..=3 => format!(
            "GEOADD {key} {} {lon} {lat} {member}",
            dice.pick(&["", "", "NX", "XX", "CH"])
        ),
        4 => format!("GEODIST {key} {member} m{} {unit}", dice.below(150)),
        5 => format!("GEOHASH {key} {member} none"),
        6 => format!("GEOPOS {key} {member} none"),
        7 => format!("GEOSEARCH {key} FROMLONLAT {lon} {lat} {shape} {order} {with}"),
        8 => format!("GEOSEARCH {key} FROMMEMBER {member} {shape} {order} {with}"),
        9 => format!("GEORADIUS {key} {lon} {lat} {size} {unit} {with} {order}"),
        10 => format!("GEORADIUSBYMEMBER_RO {key} {member} {size} {unit} {with} {order}"),
        _ => format!("GEOSEARCHSTORE out {key} FROMLONLAT {lon} {lat} {shape} {order}"),
    }
}

#[test]
fn random_positions_answer_as_redis() {
    compare(geo_command, |_, _, reply| {
        format!("{:?}", seventeen_decimals(reply))
    });
}

fn hll_command(dice: &mut Dice, _step: u64) -> String {
    let key = format!("h{}", dice.below(4));
    match dice.below(20) {
        0..=12 => {
            // Two keys stay small and sparse.
            let range = if key.as_str() < "h2" { 300 } else { 40_000 };
            let elements: Vec<String> = (0..=dice.below(12))
                .map(|_| dice.below(range).to_string())
                .collect();
            format!("PFADD {key} {}", elements.join(" "))
        }
        13..=15 => format!("PFCOUNT {key}"),
        16 => format!("PFCOUNT {key} h0 h2"),
        17 => format!("PFMERGE m{} {key} h{}", dice.below(2), dice.below(4)),
        18 => format!("PFCOUNT m{}", dice.below(2)),
        // The very bytes are the same.
        _ => format!("GET {key}"),
    }
}

#[test]
fn random_counts_answer_as_redis() {
    compare(hll_command, |_, _, reply| format!("{reply:?}"));
}
