//! `restis-bench latency`: time of a call at a steady rate of calls, over a network 30 ms away.
//!
//! The load is an open loop: calls start when they are due, whether earlier ones have ended or
//! not, as requests of users do.

use std::time::{Duration, Instant};

use restis::prelude::*;

use crate::args::Common;
use crate::contest::say;
use crate::failure::Failure;
use crate::javascript::{Script, peers, percentile};
use crate::ours::failed;
use crate::runtime::event_loop;
use crate::store::{Store, TOKEN};

const SCRIPT: &str = include_str!("latency.cjs");
/// What the server adds to every request.
const FAULT: &str = "latency=30ms";
/// Calls a second.
const RATES: [u32; 3] = [50, 500, 3000];
/// Round trips that 99 of 100 calls should not exceed.
const BAR: f64 = 1.3;

pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let store = Store::with(&["--fault", FAULT])?;
    let redis = Redis::builder(store.url(), TOKEN).build().map_err(failed)?;
    let mut peers = peers(common, &["@upstash/redis"], SCRIPT, store.url())?;
    let time = common.seconds.turn * common.seconds.rounds;
    let runtime = event_loop()?;
    runtime
        .block_on(async { redis.set("k", "v").await })
        .map_err(failed)?;
    let trip = runtime.block_on(round_trip(&redis))?;
    say(&format!(
        "\na round trip (median of bare requests): {:.1} ms\n",
        trip / 1e3
    ))?;
    for rate in RATES {
        say(&format!("\n{rate} calls a second, each at its time\n"))?;
        let mut times = runtime.block_on(open_loop(&redis, rate, time))?;
        let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
        line("restis", p50, p99, trip, true)?;
        for peer in &mut peers {
            let (p50, p99) = ask(peer, rate, time)?;
            line(
                &format!("auto-pipelining, {}", peer.name()),
                p50,
                p99,
                trip,
                false,
            )?;
        }
    }
    Ok(())
}

fn line(name: &str, p50: f64, p99: f64, trip: f64, ours: bool) -> Result<(), Failure> {
    let wanted = if ours {
        format!("   wanted {BAR:.2}")
    } else {
        String::new()
    };
    say(&format!(
        "  {name:<34}p50 {:>7.1} ms   p99 {:>7.1} ms   p99 in round trips {:>5.2}{wanted}\n",
        p50 / 1e3,
        p99 / 1e3,
        p99 / trip
    ))
}

fn ask(peer: &mut Script, rate: u32, time: Duration) -> Result<(f64, f64), Failure> {
    peer.rate(&rate.to_string(), time)?;
    let p50 = peer.rate("p50", Duration::ZERO)?;
    let p99 = peer.rate("p99", Duration::ZERO)?;
    Ok((p50, p99))
}

/// Microseconds of a request that travels alone: the median.
async fn round_trip(redis: &Redis) -> Result<f64, Failure> {
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        redis.get::<String>("k").await.map_err(failed)?;
        times.push(start.elapsed());
    }
    Ok(percentile(&mut times, 50))
}

/// The time of each call.
async fn open_loop(redis: &Redis, rate: u32, time: Duration) -> Result<Vec<Duration>, Failure> {
    let start = Instant::now();
    let due = |n: u32| start + Duration::from_secs(1) * n / rate;
    let mut calls = tokio::task::JoinSet::new();
    let mut next = 0;
    while due(next) < start + time {
        tokio::time::sleep_until(due(next).into()).await;
        while due(next) <= Instant::now() {
            let redis = redis.clone();
            calls.spawn(async move {
                let start = Instant::now();
                redis.get::<String>("k").await.map(|_| start.elapsed())
            });
            next += 1;
        }
    }
    let mut times = Vec::new();
    while let Some(call) = calls.join_next().await {
        let call = call.map_err(|error| Failure::new(format!("a call failed: {error}")))?;
        times.push(call.map_err(failed)?);
    }
    Ok(times)
}
