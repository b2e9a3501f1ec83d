//! `restis-bench cache`: reads, loads and invalidations beside `bentocache` and `cacheable`.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{join_all, try_join_all};
use restis::{
    Redis,
    cache::{Cache, CacheConfig, Key, Keyspace, Tag},
    prelude::*,
};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::args::Common;
use crate::contest::{Side, contest, say};
use crate::failure::Failure;
use crate::javascript::{Script, peers};
use crate::redis::RedisServer;
use crate::store::{Store, TOKEN};

const SCRIPT: &str = include_str!("cache.cjs");
const PACKAGES: [&str; 5] = ["bentocache", "cacheable", "ioredis", "@keyv/redis", "keyv"];
const PEERS: [&str; 2] = ["bentocache", "cacheable"];
const CONCURRENT: usize = 64;
const HOUR: Duration = Duration::from_secs(3600);
const REPORTS: Keyspace<(String, u64), Report> = Keyspace::new("reports:{orgId}:{n}")
    .tag("org:{orgId}")
    .fresh_for(HOUR);
/// The same keys, held in the process.
const HELD: Keyspace<(String, u64), Report> = Keyspace::new("held:{orgId}:{n}")
    .tag("org:{orgId}")
    .fresh_for(HOUR)
    .local(HOUR);
const ORGANISATION: Tag<(String,)> = Tag::new("org:{orgId}");

/// A report such as the peers store, about a kilobyte of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Report {
    property: String,
    bookings: u64,
    revenue: f64,
    occupancy: f64,
    days: Vec<Day>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Day {
    #[serde(rename = "day")]
    number: u64,
    bookings: u64,
    revenue: f64,
}

fn report(n: u64) -> Report {
    let day = |number| Day {
        number,
        bookings: (n + number) % 9,
        revenue: 120.5 * number as f64,
    };
    Report {
        property: format!("property-{n}"),
        bookings: 117 + n,
        revenue: 48_210.5,
        occupancy: 0.83,
        days: (0..24).map(day).collect(),
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("the cache failed: {error}"))
}

/// A cache of this library on one store.
struct Ours {
    redis: Redis,
    cache: Cache,
    keys: Vec<Key<Report>>,
    fresh: Cell<u64>,
}

impl Ours {
    async fn new(redis: Redis) -> Result<Self, Failure> {
        let cache = Cache::builder(redis.clone(), CacheConfig::new());
        let cache = cache.build().map_err(failed)?;
        let keys: Vec<_> = (0..CONCURRENT as u64)
            .map(|n| REPORTS.key(("acme", n)))
            .collect();
        let values = keys.iter().cloned().zip((0..).map(report));
        cache
            .put_many(&values.collect::<Vec<_>>())
            .await
            .map_err(failed)?;
        let fresh = Cell::new(0);
        Ok(Self {
            redis,
            cache,
            keys,
            fresh,
        })
    }

    async fn read_all(&self) -> Result<u64, Failure> {
        let reads = self.keys.iter().map(|key| self.cache.get(key));
        let found = try_join_all(reads).await.map_err(failed)?;
        match found.iter().all(Option::is_some) {
            true => Ok(found.len() as u64),
            false => Err(Failure::new("a report is not there")),
        }
    }

    async fn cold(&self) -> Result<u64, Failure> {
        let first = self.fresh.get();
        self.fresh.set(first + 100);
        let loads = (first..first + 100).map(async |n| {
            let key = REPORTS.key(("cold", n));
            let load = |_| async move { Ok::<_, std::io::Error>(report(1)) };
            self.cache.get_or_load(&key, load).await
        });
        let loaded = join_all(loads).await;
        loaded
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        Ok(100)
    }

    async fn invalidate(&self) -> Result<u64, Failure> {
        let tag = ORGANISATION.of(("other",));
        self.cache.remove_tag(&tag).await.map_err(failed)?;
        Ok(1)
    }

    /// Stores one entry for each of a number of organisations.
    async fn fill(&self, from: u64, to: u64) -> Result<(), Failure> {
        let all: Vec<u64> = (from..to).collect();
        for part in all.chunks(1000) {
            let values = part
                .iter()
                .map(|n| (REPORTS.key((format!("org-{n}"), 0)), report(*n)));
            self.cache
                .put_many(&values.collect::<Vec<_>>())
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    async fn used_memory(&self) -> Result<u64, Failure> {
        let info = self.redis.info().await.map_err(failed)?;
        let used = info
            .get("Memory", "used_memory")
            .and_then(|used| used.parse().ok());
        used.ok_or_else(|| Failure::new("the store does not tell its memory"))
    }
}

/// Turns a second of an asynchronous step.
fn rate(
    runtime: &Runtime,
    time: Duration,
    step: impl AsyncFn() -> Result<u64, Failure>,
) -> Result<f64, Failure> {
    runtime.block_on(async {
        let (start, mut done) = (Instant::now(), 0);
        loop {
            done += step().await?;
            let passed = start.elapsed();
            if passed >= time {
                return Ok(done as f64 / passed.as_secs_f64());
            }
        }
    })
}

/// A side for each peer on each runtime.
fn theirs<'p>(scripts: &'p mut [Script], work: &'static str, bar: Option<f64>) -> Vec<Side<'p>> {
    let mut sides = Vec::new();
    for script in scripts {
        let script = std::rc::Rc::new(std::cell::RefCell::new(script));
        for peer in PEERS {
            let name = format!("{peer}, {}", script.borrow().name());
            let script = std::rc::Rc::clone(&script);
            let work = format!("{peer}.{work}");
            let side = Side::new(name, move |time| script.borrow_mut().rate(&work, time));
            sides.push(match bar {
                Some(bar) => side.bar(bar),
                None => side,
            });
        }
    }
    sides
}

pub(crate) fn run(common: &Common, organisations: u64) -> Result<(), Failure> {
    let runtime = crate::runtime::event_loop()?;
    in_process(&runtime, common)?;
    let Some(redis) = RedisServer::start()? else {
        return say("redis-server is not installed: the peers are not measured\n");
    };
    let gateway = Store::with(&["--redis", redis.url()])?;
    let own = Store::start()?;
    let connect = |store: &Store| {
        let redis = Redis::builder(store.url(), TOKEN).build().map_err(failed)?;
        runtime.block_on(Ours::new(redis))
    };
    let (same, own) = (connect(&gateway)?, connect(&own)?);
    let mut scripts = peers(common, &PACKAGES, SCRIPT, redis.url())?;
    let over = |ours: &Ours, work: Work, time: Duration| {
        rate(&runtime, time, async || work.run(ours).await)
    };
    for (title, work, bar) in [
        ("reads from the store, 64 at a time", Work::Read, Some(2.0)),
        (
            "loads of 100 keys that are not cached, at a time",
            Work::Cold,
            None,
        ),
        (
            "invalidations of a tag, one after another",
            Work::Invalidate,
            None,
        ),
    ] {
        let mut sides = vec![
            Side::new("restis, REST over that Redis", |time| {
                over(&same, work, time)
            }),
            Side::new("restis, REST over its own store", |time| {
                over(&own, work, time)
            }),
        ];
        sides.extend(theirs(&mut scripts, work.name(), bar));
        contest(title, common.seconds, sides)?;
    }
    merged(&runtime, &own)?;
    stampede(&runtime, &own, &mut scripts)?;
    tag_of_many(&runtime, &same)?;
    growth(&runtime, &same, &mut scripts, organisations)
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Read,
    Cold,
    Invalidate,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Cold => "cold",
            Self::Invalidate => "invalidate",
        }
    }

    async fn run(self, ours: &Ours) -> Result<u64, Failure> {
        match self {
            Self::Read => ours.read_all().await,
            Self::Cold => ours.cold().await,
            Self::Invalidate => ours.invalidate().await,
        }
    }
}

/// A value that this process holds: its bytes, and the value; wanted are 5 million a second.
fn in_process(runtime: &Runtime, common: &Common) -> Result<(), Failure> {
    let engine = restis_engine::Engine::new(restis_engine::Options::default());
    let ours = runtime.block_on(Ours::new(Redis::embedded(engine)))?;
    let key = HELD.key(("acme", 1));
    let renew = async || {
        ours.cache.put(&key, &report(1)).await.map_err(failed)?;
        ours.cache.get(&key).await.map_err(failed)?;
        Ok::<_, Failure>(())
    };
    let sides = vec![
        Side::new("restis, bytes (wanted: 5000000)", |time| {
            runtime.block_on(renew())?;
            rate(runtime, time, async || {
                for _ in 0..1000 {
                    let found = ours.cache.get_bytes(&key).await.map_err(failed)?;
                    std::hint::black_box(found.ok_or_else(|| Failure::new("it is not held"))?);
                }
                Ok(1000)
            })
        }),
        Side::new("restis, decoded", |time| {
            runtime.block_on(renew())?;
            rate(runtime, time, async || {
                for _ in 0..100 {
                    let found = ours.cache.get(&key).await.map_err(failed)?;
                    std::hint::black_box(found.ok_or_else(|| Failure::new("it is not held"))?);
                }
                Ok(100)
            })
        }),
    ];
    contest("reads of a value in the process", common.seconds, sides)
}

/// How many requests 100 loads of distinct keys at a time are.
fn merged(runtime: &Runtime, ours: &Ours) -> Result<(), Failure> {
    let requests = || ours.redis.metrics().snapshot().requests;
    let before = requests();
    runtime.block_on(ours.cold())?;
    let count = requests() - before;
    say(&format!(
        "\n100 get_or_load of keys that are not cached: {count} requests (reads, writes)\n"
    ))
}

fn stampede(runtime: &Runtime, ours: &Ours, scripts: &mut [Script]) -> Result<(), Failure> {
    let loads = Arc::new(AtomicU64::new(0));
    let key = REPORTS.key(("stampede", 1));
    runtime.block_on(async {
        let reads = (0..1000).map(|_| {
            let loads = Arc::clone(&loads);
            ours.cache.get_or_load(&key, move |_| async move {
                loads.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok::<_, std::io::Error>(report(1))
            })
        });
        join_all(reads)
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)
    })?;
    let mut text = "\nloads of 1000 cold reads of one key at a time\n".to_owned();
    text += &format!("  {:<34}{:>12}\n", "restis", loads.load(Ordering::Relaxed));
    for script in scripts {
        for peer in PEERS {
            let loads = script.rate(&format!("{peer}.stampede"), Duration::from_millis(1))?;
            text += &format!(
                "  {:<34}{loads:>12}\n",
                format!("{peer}, {}", script.name())
            );
        }
    }
    say(&text)
}

/// One command and the same time, whether a tag has one key or 100,000.
fn tag_of_many(runtime: &Runtime, ours: &Ours) -> Result<(), Failure> {
    let commands = || ours.redis.metrics().snapshot().batched_commands;
    let mut text = "\ninvalidation of a tag\n".to_owned();
    for count in [1, 100_000] {
        let (took, sent) = runtime.block_on(async {
            for first in (0..count).step_by(1000) {
                let keys = first..count.min(first + 1000);
                let values = keys.map(|n| (REPORTS.key(("many", n)), report(1)));
                ours.cache
                    .put_many(&values.collect::<Vec<_>>())
                    .await
                    .map_err(failed)?;
            }
            let tag = ORGANISATION.of(("many",));
            let (before, start) = (commands(), Instant::now());
            ours.cache.remove_tag(&tag).await.map_err(failed)?;
            let took = start.elapsed();
            let left = ours
                .cache
                .get(&REPORTS.key(("many", count - 1)))
                .await
                .map_err(failed)?;
            match left {
                None => Ok((took, commands() - before - 1)),
                Some(_) => Err(Failure::new("a report is still served")),
            }
        })?;
        let us = took.as_secs_f64() * 1e6;
        text += &format!("  {count:>7} keys {us:>10.0} us {sent:>4} command\n");
    }
    say(&text)
}

/// Memory of a key, and reads as organisations become many.
fn growth(
    runtime: &Runtime,
    ours: &Ours,
    scripts: &mut [Script],
    organisations: u64,
) -> Result<(), Failure> {
    let mut text = "\nreads and invalidations by organisations with one report each\n".to_owned();
    let (mut filled, mut bytes) = (0, 0.0);
    let start = runtime.block_on(ours.used_memory())?;
    for target in [1000, 100_000, 1_000_000] {
        let target = target.min(organisations);
        if target == filled {
            continue;
        }
        runtime.block_on(ours.fill(filled, target))?;
        filled = target;
        let used = runtime.block_on(ours.used_memory())?;
        bytes = used.saturating_sub(start) as f64 / filled as f64;
        let second = Duration::from_secs(1);
        let reads = rate(runtime, second, async || ours.read_all().await)?;
        let invalidations = rate(runtime, second, async || ours.invalidate().await)?;
        text += &format!(
            "  {filled:>9} {reads:>10.0} reads/s {invalidations:>8.0} invalidations/s {bytes:>6.0} bytes a key\n"
        );
    }
    text += &format!(
        "memory of a key in Redis\n  {:<34}{bytes:>12.0}\n",
        "restis"
    );
    for script in scripts {
        for peer in PEERS {
            let before = runtime.block_on(ours.used_memory())?;
            let filled = script.rate(&format!("{peer}.fill.10000"), Duration::ZERO)?;
            let used = runtime.block_on(ours.used_memory())?.saturating_sub(before);
            let name = format!("{peer}, {}", script.name());
            text += &format!("  {name:<34}{:>12.0}\n", used as f64 / filled);
        }
    }
    say(&text)
}
