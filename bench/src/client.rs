//! `restis-bench client`: the client against a bare socket, `wrk` and `@upstash/redis`.

use std::time::{Duration, Instant};

use restis::Redis;

use crate::args::Common;
use crate::bare::Bare;
use crate::contest::{Side, contest, say};
use crate::failure::Failure;
use crate::javascript::{Script, peers, sides};
use crate::ours::{Ours, Work, failed};
use crate::store::{Store, TOKEN};
use crate::wrk::Wrk;

const COMMAND: &str = r#"["GET","k"]"#;
const SCRIPT: &str = include_str!("client.cjs");

pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let store = Store::start()?;
    let ours = Ours::new(store.url())?;
    let mut peers = peers(common, &["@upstash/redis"], SCRIPT, store.url())?;
    construction()?;
    sequential(common, &store, &ours, &mut peers)?;
    merged(common, &ours, &mut peers)?;
    pipeline(common, &store, &ours, &mut peers)
}

/// The fastest of twenty: the first one pays for code that was never run.
fn construction() -> Result<(), Failure> {
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        Redis::builder("https://example.upstash.io", TOKEN)
            .build()
            .map_err(failed)?;
        fastest = fastest.min(start.elapsed());
    }
    let fastest_ms = fastest.as_secs_f64() * 1e3;
    say(&format!(
        "\nclient construction with TLS\n  {fastest_ms:.3} ms   wanted 10 at most\n"
    ))
}

fn sequential(
    common: &Common,
    store: &Store,
    ours: &Ours,
    peers: &mut [Script],
) -> Result<(), Failure> {
    let mut bare = Bare::new(store.addr(), "/", COMMAND)?;
    let mut wrk = Wrk::find(store.url(), COMMAND, 1)?;
    let mut all = vec![
        Side::new("restis", |time| ours.rate(Work::Sequential, time)),
        Side::new("bare socket", |time| bare.rate(time, 1)),
    ];
    match &mut wrk {
        Some(wrk) => all.push(Side::new("wrk -t1 -c1", |time| wrk.rate(time)).bar(0.8)),
        None => say("wrk is not installed: apt install wrk\n")?,
    }
    all.extend(sides(peers, "@upstash/redis", "sequential", 3.0, 1.1));
    contest("sequential GET", common.seconds, all)
}

fn merged(common: &Common, ours: &Ours, peers: &mut [Script]) -> Result<(), Failure> {
    let mut all = vec![
        Side::new("restis, 64 futures", |time| ours.rate(Work::Merged, time)),
        Side::new("restis, 64 tasks", |time| ours.rate_of_tasks(time)),
    ];
    all.extend(sides(peers, "auto-pipelining", "merged", 5.0, 1.8));
    contest("64 concurrent GETs, merged", common.seconds, all)
}

fn pipeline(
    common: &Common,
    store: &Store,
    ours: &Ours,
    peers: &mut [Script],
) -> Result<(), Failure> {
    let body = format!("[{}]", vec![COMMAND; 100].join(","));
    let mut bare = Bare::new(store.addr(), "/pipeline", &body)?;
    let mut all = vec![
        Side::new("restis", |time| ours.rate(Work::Pipeline, time)),
        Side::new("restis in RESP2", |time| {
            ours.rate_in_resp(Work::Pipeline, time)
        }),
        Side::new("bare socket", |time| bare.rate(time, 100)),
    ];
    all.extend(sides(peers, "@upstash/redis", "pipeline", 5.0, 2.0));
    contest("pipeline of 100 GETs", common.seconds, all)
}
