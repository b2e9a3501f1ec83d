//! `restis bench client`: the client against a bare socket, `wrk` and `@upstash/redis`.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use restis::prelude::*;
use restis::transport::Encoding;

use super::Common;
use super::bare::Bare;
use super::contest::{Side, contest, say};
use super::javascript::{Script, peers, sides};
use super::store::{Store, TOKEN};
use super::wrk::Wrk;
use crate::args::Failure;

const VALUE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const COMMAND: &str = r#"["GET","k"]"#;
const SCRIPT: &str = include_str!("client.cjs");

pub(crate) fn run(common: &Common) -> Result<(), Failure> {
    let store = Store::start()?;
    let ours = Ours::new(store.url(), super::event_loop()?)?;
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
    let mut wrk = Wrk::find(store.url(), COMMAND)?;
    let mut all = vec![
        Side::new("restis", |time| ours.sequential(time)),
        Side::new("bare socket", |time| bare.rate(time, 1)),
    ];
    match &mut wrk {
        Some(wrk) => all.push(Side::new("wrk -t1 -c1", |time| wrk.rate(time)).bar(0.9)),
        None => say("wrk is not installed: apt install wrk\n")?,
    }
    all.extend(sides(peers, "@upstash/redis", "sequential", 3.0, 1.1));
    contest("sequential GET", common.seconds, all)
}

fn merged(common: &Common, ours: &Ours, peers: &mut [Script]) -> Result<(), Failure> {
    let mut all = vec![
        Side::new("restis, 64 futures", |time| ours.joined(time)),
        Side::new("restis, 64 tasks", |time| ours.tasks(time)),
    ];
    all.extend(sides(peers, "auto-pipelining", "merged", 5.0, 2.0));
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
        Side::new("restis", |time| ours.pipeline(&ours.redis, time)),
        Side::new("restis in RESP2", |time| ours.pipeline(&ours.resp, time)),
        Side::new("bare socket", |time| bare.rate(time, 100)),
    ];
    all.extend(sides(peers, "@upstash/redis", "pipeline", 5.0, 2.0));
    contest("pipeline of 100 GETs", common.seconds, all)
}

fn failed(error: restis::Error) -> Failure {
    Failure::new(format!("the client failed: {error}"))
}

/// This client, in the encodings it has.
struct Ours {
    runtime: tokio::runtime::Runtime,
    redis: Redis,
    resp: Redis,
}

impl Ours {
    fn new(url: &str, runtime: tokio::runtime::Runtime) -> Result<Self, Failure> {
        let redis = Redis::builder(url, TOKEN).build().map_err(failed)?;
        let resp = Redis::builder(url, TOKEN).encoding(Encoding::Resp2);
        let resp = resp.build().map_err(failed)?;
        let set = async { redis.set("k", VALUE).await };
        runtime.block_on(set).map_err(failed)?;
        Ok(Self {
            runtime,
            redis,
            resp,
        })
    }

    /// In a task, as in a server; blocking on a future costs a system call a wake-up.
    fn in_task<F>(&self, work: F) -> Result<f64, Failure>
    where
        F: Future<Output = restis::Result<f64>> + Send + 'static,
    {
        self.runtime
            .block_on(self.runtime.spawn(work))
            .map_err(|error| Failure::new(format!("the client failed: {error}")))?
            .map_err(failed)
    }

    fn sequential(&self, time: Duration) -> Result<f64, Failure> {
        self.in_task(repeat(self.redis.clone(), time, 1, get))
    }

    fn joined(&self, time: Duration) -> Result<f64, Failure> {
        self.in_task(repeat(
            self.redis.clone(),
            time,
            64,
            async |redis: Redis| {
                let all = (0..64).map(|_| get(redis.clone()));
                join_all(all).await.into_iter().collect()
            },
        ))
    }

    fn tasks(&self, time: Duration) -> Result<f64, Failure> {
        let one = |_| {
            let work = repeat(self.redis.clone(), time, 1, get);
            self.runtime.spawn(work)
        };
        let all: Vec<_> = (0..64).map(one).collect();
        let rates = self.runtime.block_on(join_all(all));
        rates.into_iter().try_fold(0.0, |sum, rate| {
            let rate = rate.map_err(|error| Failure::new(format!("the client failed: {error}")))?;
            Ok(sum + rate.map_err(failed)?)
        })
    }

    fn pipeline(&self, redis: &Redis, time: Duration) -> Result<f64, Failure> {
        self.in_task(repeat(redis.clone(), time, 100, async |redis: Redis| {
            let mut p = redis.pipeline();
            let handles: Vec<_> = (0..100).map(|_| p.get::<String>("k")).collect();
            let mut replies = p.exec().await?;
            handles
                .into_iter()
                .try_for_each(|handle| replies.take(handle).map(drop))
        }))
    }
}

async fn get(redis: Redis) -> restis::Result<()> {
    redis.get::<String>("k").await.map(drop)
}

/// Operations a second of a future that is made again and again.
async fn repeat<F, Fut>(redis: Redis, time: Duration, step: u64, turn: F) -> restis::Result<f64>
where
    F: Fn(Redis) -> Fut,
    Fut: Future<Output = restis::Result<()>>,
{
    let (start, mut done) = (Instant::now(), 0);
    loop {
        turn(redis.clone()).await?;
        done += step;
        let passed = start.elapsed();
        if passed >= time {
            return Ok(done as f64 / passed.as_secs_f64());
        }
    }
}
