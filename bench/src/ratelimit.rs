//! `restis-bench ratelimit`: decisions against `@upstash/ratelimit`, and what they cost at scale.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use restis::Redis;
use restis::ratelimit::{Limit, RateLimiter};

use crate::args::Common;
use crate::contest::{Side, contest, say};
use crate::failure::Failure;
use crate::javascript::{latencies, peers, sides};
use crate::runtime::in_task;
use crate::store::{Store, TOKEN, resident_bytes};

const SCRIPT: &str = include_str!("ratelimit.cjs");
const WINDOW: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const ORGANISATIONS: u32 = 1_000_000;
const CONCURRENT: u32 = 64;

pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let store = Store::start()?;
    let runtime = crate::runtime::event_loop()?;
    let redis = Redis::builder(store.url(), TOKEN).build().map_err(failed)?;
    let mut peers = peers(
        common,
        &["@upstash/redis", "@upstash/ratelimit"],
        SCRIPT,
        store.url(),
    )?;
    let open = limiter(&redis, u64::from(u32::MAX), "bench")?;
    let names: Vec<String> = (0..CONCURRENT).map(|i| format!("user-{i}")).collect();

    let ours = |time| in_task(&runtime, decide(open.clone(), names.clone(), time, true));
    let mut all = vec![Side::new("restis", ours)];
    all.extend(sides(
        &mut peers,
        "@upstash/ratelimit",
        "concurrent",
        5.0,
        2.0,
    ));
    contest(
        "64 concurrent decisions, sliding window",
        common.seconds,
        all,
    )?;

    let times: RefCell<Vec<Duration>> = RefCell::default();
    let ours = |time| {
        let (rate, each) = in_task(&runtime, one_by_one(open.clone(), names.clone(), time))?;
        times.borrow_mut().extend(each);
        Ok(rate)
    };
    let mut all = vec![Side::new("restis", ours)];
    all.extend(sides(
        &mut peers,
        "@upstash/ratelimit",
        "sequential",
        1.0,
        1.0,
    ));
    contest("one decision after another", common.seconds, all)?;
    latencies(&mut times.into_inner(), &mut peers)?;

    // A window that does not end meanwhile.
    let limit = Limit::fixed_window(1, DAY).map_err(failed)?;
    let closed = RateLimiter::builder(redis.clone(), limit)
        .prefix("bench-closed")
        .build();
    let closing = decide(closed.clone(), names.clone(), Duration::ZERO, true);
    in_task(&runtime, closing)?;
    let ours = |time| in_task(&runtime, decide(closed.clone(), names.clone(), time, false));
    let mut all = vec![Side::new("restis", ours)];
    all.extend(sides(&mut peers, "@upstash/ratelimit", "blocked", 1.0, 1.0));
    contest(
        "clients known to be blocked (wanted 1,000,000)",
        common.seconds,
        all,
    )?;

    in_task(&runtime, scale(redis))
}

fn limiter(redis: &Redis, limit: u64, prefix: &str) -> Result<RateLimiter, Failure> {
    let limit = Limit::sliding_window(limit, WINDOW).map_err(failed)?;
    Ok(RateLimiter::builder(redis.clone(), limit)
        .prefix(prefix)
        .build())
}

fn failed(error: restis::Error) -> Failure {
    Failure::new(format!("the limiter failed: {error}"))
}

/// Asks for all at once; every decision must be as expected.
async fn ask(limiter: &RateLimiter, names: &[String], allowed: bool) -> Result<(), Failure> {
    for decision in join_all(names.iter().map(|name| limiter.limit(name))).await {
        if decision.map_err(failed)?.is_allowed() != allowed {
            return Err(Failure::new("a decision was wrong"));
        }
    }
    Ok(())
}

/// Decisions a second, as many at a time as there are names.
async fn decide(
    limiter: RateLimiter,
    names: Vec<String>,
    time: Duration,
    allowed: bool,
) -> Result<f64, Failure> {
    let (start, mut done) = (Instant::now(), 0);
    loop {
        ask(&limiter, &names, allowed).await?;
        done += names.len();
        let passed = start.elapsed();
        if passed >= time {
            return Ok(done as f64 / passed.as_secs_f64());
        }
    }
}

/// Decisions a second, one at a time, and how long each took.
async fn one_by_one(
    limiter: RateLimiter,
    names: Vec<String>,
    time: Duration,
) -> Result<(f64, Vec<Duration>), Failure> {
    let (start, mut times) = (Instant::now(), Vec::new());
    for name in names.iter().cycle() {
        let asked = Instant::now();
        ask(&limiter, std::slice::from_ref(name), true).await?;
        times.push(asked.elapsed());
        if start.elapsed() >= time {
            break;
        }
    }
    Ok((times.len() as f64 / start.elapsed().as_secs_f64(), times))
}

/// The same decision before and after a million organisations each made one; all become blocked,
/// so that the memory of the local layer is seen as well.
async fn scale(redis: Redis) -> Result<(), Failure> {
    say("\nfrom 1 to 1,000,000 organisations\n")?;
    let limit = Limit::fixed_window(1, DAY).map_err(failed)?;
    let limiter = RateLimiter::builder(redis, limit)
        .prefix("bench-scale")
        .build();
    let memory = resident_bytes(std::process::id());
    let mut first = 0.0;
    let mut last = 0.0;
    let batch = CONCURRENT * 8;
    let start = Instant::now();
    for from in (0..ORGANISATIONS).step_by(batch as usize) {
        let names: Vec<String> = (from..from + batch).map(|i| format!("org-{i}")).collect();
        let asked = Instant::now();
        // The second question of each is refused and remembered.
        ask(&limiter, &names, true).await?;
        ask(&limiter, &names, false).await?;
        let cost = asked.elapsed().as_secs_f64() * 1e6 / f64::from(2 * batch);
        let share = if from < ORGANISATIONS / 10 {
            &mut first
        } else if from >= ORGANISATIONS / 10 * 9 {
            &mut last
        } else {
            continue;
        };
        *share += cost / f64::from(ORGANISATIONS / 10 / batch);
    }
    let seconds = start.elapsed().as_secs_f64();
    say(&format!(
        "  a decision among the first 100,000 {first:>9.2} us\n  \
           a decision among the last 100,000  {last:>9.2} us   ratio {:>6.2}\n  \
           all {} decisions               {seconds:>9.2} s\n",
        last / first,
        2 * ORGANISATIONS
    ))?;
    match (memory, resident_bytes(std::process::id())) {
        (Some(before), Some(after)) => say(&format!(
            "  memory of this process grew by     {:>9.2} MB with {ORGANISATIONS} blocked\n",
            (after.saturating_sub(before)) as f64 / 1e6
        )),
        _ => Ok(()),
    }
}
