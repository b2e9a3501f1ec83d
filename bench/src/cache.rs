//! `restis-bench cache`: the contest, and twenty processes that read one key, in simulated time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use restis::{
    Clock, Redis,
    cache::{Cache, CacheConfig, Key, Keyspace, Lifetime},
};
use restis_engine::{Engine, Options};
use tokio::time::{Instant, sleep, sleep_until};

use crate::args::Common;
use crate::contest::say;
use crate::failure::Failure;

const PROCESSES: usize = 20;
/// Most reads of one simulation.
const MAX_READS: u64 = 400_000;
const KEYS: Keyspace<(String,), u64> = Keyspace::new("simulated:{name}");
/// Fresh time, time of a load, reads a second of all processes.
const LOADS: [(u64, f64, f64); 6] = [
    (15, 0.3, 0.05),
    (15, 0.3, 1.0),
    (15, 0.3, 10.0),
    (15, 0.3, 100.0),
    (15, 0.3, 1000.0),
    (600, 2.0, 100.0),
];

/// Options of `restis-bench cache`.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(flatten)]
    common: Common,
    /// The most organisations that reads are measured with
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    organisations: u64,
    /// Leave out the peers and simulate alone
    #[arg(long)]
    simulate: bool,
    /// How many fresh times are simulated
    #[arg(long, value_name = "N", default_value = "40", value_parser = clap::value_parser!(u64).range(1..=1000))]
    windows: u64,
    /// Reads a second at most; busier rows are left out
    #[arg(long, value_name = "N", default_value = "1000")]
    busiest: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// Reads, loads and puts, with nothing between them.
    Naive,
    SingleFlight,
    EarlyRefresh,
    Stale,
    StaleWithLease,
}

const STRATEGIES: [(Strategy, &str); 5] = [
    (Strategy::Naive, "naive"),
    (Strategy::SingleFlight, "single flight"),
    (Strategy::EarlyRefresh, "early refresh"),
    (Strategy::Stale, "stale"),
    (Strategy::StaleWithLease, "stale, lease"),
];

/// The simulated time; the machine's would not pass while all sleep.
#[derive(Debug, Clone, Copy)]
struct Simulated(Instant);

const START_MS: u64 = 1_700_000_000_000;

impl Clock for Simulated {
    fn now_ms(&self) -> u64 {
        START_MS + u64::try_from(self.0.elapsed().as_millis()).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    /// A number above 0 and at most 1 (splitmix64).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON
    }
}

#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    waited: AtomicU64,
    loads: AtomicU64,
}

pub(crate) fn run(args: &CacheArgs) -> Result<(), Failure> {
    if !args.simulate {
        crate::cache_contest::run(&args.common, args.organisations)?;
        say("\n")?;
    }
    say(
        "20 processes, simulated time: loads in a fresh time / share of reads that wait\n\
         fresh  load   reads/s   ",
    )?;
    for (_, name) in STRATEGIES {
        say(&format!("{name:>16}"))?;
    }
    say("\n")?;
    for (fresh, load, rate) in LOADS
        .into_iter()
        .filter(|(_, _, rate)| *rate <= args.busiest)
    {
        say(&format!("{fresh:>4}s {load:>5}s {rate:>9}   "))?;
        for (strategy, _) in STRATEGIES {
            let wanted = args.windows as f64 * fresh as f64 * rate;
            let share = (MAX_READS as f64 / wanted).min(1.0);
            let windows = ((args.windows as f64 * share) as u64).max(1);
            let (loads, waited) = simulate(strategy, fresh, load, rate, windows)?;
            say(&format!("{loads:>8.2} /{:>5.1}%", waited * 100.0))?;
        }
        say("\n")?;
    }
    Ok(())
}

/// Loads in a fresh time, and the share of reads that take any time.
fn simulate(
    strategy: Strategy,
    fresh: u64,
    load: f64,
    rate: f64,
    windows: u64,
) -> Result<(f64, f64), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(Failure::new)?;
    runtime.block_on(async {
        let start = Instant::now();
        let clock = Simulated(start);
        let mut options = Options::default();
        options.clock =
            restis_engine::Clock::from_fn(move || Duration::from_millis(clock.now_ms()));
        let engine = Engine::new(options);
        let caches = (0..PROCESSES).map(|_| cache(strategy, &engine, clock));
        let caches = caches.collect::<Result<Vec<_>, _>>()?;
        let key = keyspace(strategy, Duration::from_secs(fresh)).key(("hot",));
        caches[0].put(&key, &0).await.map_err(Failure::new)?;
        let counts = Arc::new(Counts::default());
        let load = Duration::from_secs_f64(load);
        let (mut random, mut at) = (Random(fresh ^ rate.to_bits()), start);
        let end = start + Duration::from_secs(fresh * windows);
        loop {
            // Reads come as a Poisson process, each at any of the processes.
            at += Duration::from_secs_f64(-random.next().ln() / rate);
            if at >= end {
                break;
            }
            sleep_until(at).await;
            let place = (random.next() * PROCESSES as f64) as usize % PROCESSES;
            let read = read(
                caches[place].clone(),
                key.clone(),
                strategy,
                load,
                Arc::clone(&counts),
            );
            tokio::spawn(read);
        }
        sleep_until(end + load * 2).await;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        let reads = of(&counts.reads).max(1.0);
        Ok((
            of(&counts.loads) / windows as f64,
            of(&counts.waited) / reads,
        ))
    })
}

fn keyspace(strategy: Strategy, fresh: Duration) -> Keyspace<(String,), u64> {
    let lifetime = Lifetime::new(fresh);
    match strategy {
        Strategy::Naive | Strategy::SingleFlight | Strategy::EarlyRefresh => {
            KEYS.lifetime(lifetime)
        }
        // So long that nobody comes too late for it.
        Strategy::Stale => KEYS.lifetime(lifetime.stale(fresh * 100)),
        Strategy::StaleWithLease => KEYS
            .lifetime(lifetime.stale(fresh * 100))
            .lease(Duration::from_secs(10)),
    }
}

fn cache(strategy: Strategy, engine: &Engine, clock: Simulated) -> Result<Cache, Failure> {
    let mut config = CacheConfig::new();
    config.early_refresh = f64::from(u8::from(strategy == Strategy::EarlyRefresh));
    Cache::builder(Redis::embedded(engine.clone()), config)
        .clock(clock)
        .defer(|load| drop(tokio::spawn(load)))
        .build()
        .map_err(Failure::new)
}

async fn read(
    cache: Cache,
    key: Key<u64>,
    strategy: Strategy,
    load: Duration,
    counts: Arc<Counts>,
) {
    let began = Instant::now();
    let loader = {
        let counts = Arc::clone(&counts);
        async move {
            counts.loads.fetch_add(1, Ordering::Relaxed);
            sleep(load).await;
            Ok::<_, std::io::Error>(1)
        }
    };
    let found = if strategy != Strategy::Naive {
        cache.get_or_load(&key, |_| loader).await.is_ok()
    } else if matches!(cache.get(&key).await, Ok(Some(_))) {
        true
    } else if let Ok(value) = loader.await {
        cache.put(&key, &value).await.is_ok()
    } else {
        false
    };
    if found {
        counts.reads.fetch_add(1, Ordering::Relaxed);
        let waited = u64::from(began.elapsed() >= Duration::from_millis(10));
        counts.waited.fetch_add(waited, Ordering::Relaxed);
    }
}
