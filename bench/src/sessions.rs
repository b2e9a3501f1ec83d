//! `restis-bench sessions`: a session's round trip against `connect-redis` and `tower-sessions`, and its memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::{try_join, try_join_all};
use restis::Redis;
use restis::session::{
    Changes, Creation, Device, Loaded, NewSession, Secrets, Session, SessionConfig, Sessions,
    Touched, Updated,
};

use crate::args::Common;
use crate::contest::{Side, contest, say};
use crate::failure::Failure;
use crate::javascript::{Script, peers};
use crate::redis::RedisServer;
use crate::store::{Store, TOKEN, resident_bytes};

const SCRIPT: &str = include_str!("sessions.cjs");
/// What the program of `tower-sessions` is called here.
const TOWER: &str = "tower-sessions";
const CONCURRENT: usize = 64;
/// What a session may take in Redis, its index included.
const WANTED_BYTES: u32 = 700;

/// Options of `restis-bench sessions`.
#[derive(Debug, Args)]
pub(crate) struct SessionsArgs {
    #[command(flatten)]
    common: Common,
    /// How many sessions the memory is measured with, each of a user of its own
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    sessions: u32,
    /// The program that is built from bench/peers/tower_sessions
    #[arg(
        long,
        value_name = "PATH",
        default_value = "target/peers/release/tower_sessions"
    )]
    tower_sessions: PathBuf,
}

pub(crate) fn run(args: &SessionsArgs) -> Result<(), Failure> {
    let runtime = crate::runtime::event_loop()?;
    let own = Store::start()?;
    let Some(redis) = RedisServer::start()? else {
        say("redis-server is not installed: the peers are not measured\n")?;
        return runtime.block_on(memory("restis serve", &own, args.sessions));
    };
    let gateway = Store::with(&["--redis", redis.url()])?;
    let over = |store: &Store| runtime.block_on(Ours::new(connect(store)?));
    let (same_redis, own_store) = (over(&gateway)?, over(&own)?);
    let embedded = restis_engine::Engine::new(restis_engine::Options::default());
    let in_process = runtime.block_on(Ours::new(Redis::embedded(embedded)))?;
    let mut theirs = peers(
        &args.common,
        &["connect-redis", "express-session", "redis"],
        SCRIPT,
        redis.url(),
    )?;
    let mut tower = tower_sessions(&args.tower_sessions, redis.url())?;

    for (title, work) in [
        ("load, touch and update, 64 sessions at a time", Work::All),
        ("load alone, 64 sessions at a time", Work::Load),
        (
            "load, touch and update, one after another",
            Work::Sequential,
        ),
    ] {
        let ours = |side: &Ours, time| runtime.block_on(side.rate(work, time));
        let mut all = vec![
            Side::new("restis, REST over that Redis", |time| {
                ours(&same_redis, time)
            }),
            Side::new("restis, REST over its own store", |time| {
                ours(&own_store, time)
            }),
            Side::new("restis, in process", |time| ours(&in_process, time)),
        ];
        for peer in theirs.iter_mut().chain(&mut tower) {
            let name = match peer.name() {
                TOWER => "tower-sessions-redis-store, TCP".to_owned(),
                runtime => format!("connect-redis, TCP, {runtime}"),
            };
            all.push(Side::new(name, move |time| peer.rate(work.name(), time)));
        }
        contest(title, args.common.seconds, all)?;
    }
    drop((theirs, tower));
    runtime.block_on(memory("redis-server", &gateway, args.sessions))?;
    runtime.block_on(memory("restis serve", &own, args.sessions))
}

fn failed(error: restis::Error) -> Failure {
    Failure::new(format!("the sessions failed: {error}"))
}

fn connect(store: &Store) -> Result<Redis, Failure> {
    Redis::builder(store.url(), TOKEN).build().map_err(failed)
}

fn tower_sessions(program: &Path, redis_url: &str) -> Result<Option<Script>, Failure> {
    if !program.is_file() {
        say("tower-sessions is not measured: cargo build --release \
             --manifest-path bench/peers/tower_sessions/Cargo.toml --target-dir target/peers\n")?;
        return Ok(None);
    }
    Script::launch(TOWER, Command::new(program).env("BENCH_URL", redis_url)).map(Some)
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Load,
    All,
    Sequential,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::All => "all",
            Self::Sequential => "sequential",
        }
    }
}

/// Sessions of this library on one store.
struct Ours {
    sessions: Sessions,
    known: Vec<Session>,
}

impl Ours {
    async fn new(redis: Redis) -> Result<Self, Failure> {
        let secrets = Secrets::random().map_err(Failure::new)?;
        let sessions = Sessions::new(redis, SessionConfig::new(secrets)).map_err(failed)?;
        let known = try_join_all((0..CONCURRENT).map(|i| create(&sessions, i as u32))).await?;
        Ok(Self { sessions, known })
    }

    async fn load(&self, known: &Session) -> Result<Session, Failure> {
        match self.sessions.load(known.token()).await.map_err(failed)? {
            Loaded::Live(session) => Ok(session),
            _ => Err(Failure::new("a session is not there")),
        }
    }

    /// Touch and update leave together, as the layer sends them.
    async fn all(&self, known: &Session, n: usize) -> Result<(), Failure> {
        let mut session = self.load(known).await?;
        let mut touched = session.clone();
        let change = Changes::new().set("n", &n);
        let both = try_join(
            self.sessions.touch_now(&mut touched),
            self.sessions.update(&mut session, &change),
        );
        match both.await.map_err(failed)? {
            (Touched::Extended { .. }, Updated::Done { .. }) => Ok(()),
            _ => Err(Failure::new("a session was not changed")),
        }
    }

    /// Sessions a second.
    async fn rate(&self, work: Work, time: Duration) -> Result<f64, Failure> {
        let (start, mut done) = (Instant::now(), 0);
        loop {
            done += match work {
                Work::Load => try_join_all(self.known.iter().map(|s| self.load(s)))
                    .await?
                    .len(),
                Work::All => try_join_all(self.known.iter().map(|s| self.all(s, done)))
                    .await?
                    .len(),
                Work::Sequential => {
                    self.all(&self.known[done % CONCURRENT], done).await?;
                    1
                }
            };
            let passed = start.elapsed();
            if passed >= time {
                return Ok(done as f64 / passed.as_secs_f64());
            }
        }
    }
}

/// A session such as the functions make: who, since when, from where, and three values.
async fn create(sessions: &Sessions, user: u32) -> Result<Session, Failure> {
    let new = NewSession::user(format!("user-{user}"))
        .organisation("acme")
        .authenticated_by(["pwd"])
        .device(
            Device::new()
                .label("Chrome 139 / macOS")
                .address(std::net::Ipv4Addr::new(203, 0, 113, 7).into()),
        )
        .set("theme", "dark")
        .set("cart", &["a-1", "b-2", "c-3"])
        .set("n", &0);
    match sessions.create(new).await.map_err(failed)? {
        Creation::Created(session) => Ok(session),
        _ => Err(Failure::new("a session was refused")),
    }
}

/// What each of so many sessions takes, with its index and its share of the count.
async fn memory(name: &str, store: &Store, sessions: u32) -> Result<(), Failure> {
    let redis = connect(store)?;
    let flush = redis.command("FLUSHALL").query::<()>();
    flush.await.map_err(failed)?;
    let ours = Sessions::new(
        redis.clone(),
        SessionConfig::new(Secrets::random().map_err(Failure::new)?),
    )
    .map_err(failed)?;
    let (before, resident) = (used_bytes(&redis).await?, resident_bytes(store.process()));
    let start = Instant::now();
    for from in (0..sessions).step_by(CONCURRENT * 8) {
        let some = from..sessions.min(from + CONCURRENT as u32 * 8);
        try_join_all(some.map(|user| create(&ours, user))).await?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let each = |bytes: u64| bytes as f64 / f64::from(sessions);
    let used = each(used_bytes(&redis).await?.saturating_sub(before));
    let own = name == "restis serve";
    let wanted = match own {
        true => String::new(),
        false => format!("   wanted {WANTED_BYTES} at most"),
    };
    say(&format!(
        "\n{sessions} sessions of as many users in {name}\n  \
           made                              {:>12.0} /s\n  \
           memory a session, index included  {used:>12.0} bytes{wanted}\n",
        f64::from(sessions) / seconds,
    ))?;
    match (resident, resident_bytes(store.process())) {
        (Some(before), Some(after)) if own => say(&format!(
            "  resident memory a session         {:>12.0} bytes\n",
            each(after.saturating_sub(before))
        )),
        _ => Ok(()),
    }
}

async fn used_bytes(redis: &Redis) -> Result<u64, Failure> {
    let info = redis.command("INFO").arg("memory").query::<String>();
    let info = info.await.map_err(failed)?;
    info.lines()
        .find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
        .ok_or_else(|| Failure::new("the store does not tell its memory"))
}
