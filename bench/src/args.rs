//! The command line, and what every benchmark can be told.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;
use crate::{
    cache, client, contest, edge, events, functions, instructions, latency, memory, ours,
    ratelimit, server, sessions,
};

const HELP: &str = "\
What is printed are operations a second, the median of as many rounds as --seconds says, and
beside every peer how many times as fast restis was. All take turns of a second against the same
server, a process of its own on this machine. Only ratios of one run are worth quoting.

Peers are used where they are found:
  wrk               apt install wrk, brew install wrk (client, server)
  node, bun         with @upstash/redis, @upstash/ratelimit, @upstash/realtime and zod:
                    npm install @upstash/redis @upstash/ratelimit @upstash/realtime zod bun
                    npm install connect-redis express-session redis, for sessions
                    npm install bentocache cacheable ioredis @keyv/redis keyv, for the cache
  workerd           npm --prefix tests/edge install, then .ci/wasm target/edge, and
                    npm install @upstash/redis @upstash/ratelimit esbuild, for edge
  redis-server      apt install redis-server, for sessions and memory
  valgrind          apt install valgrind, for --instructions

Examples:
  cargo run --release -p restis-bench -- client
  cargo run --release -p restis-bench -- client --seconds 9 --node-modules ./node_modules
  cargo run --release -p restis-bench -- client --instructions";

#[derive(Debug, Parser)]
#[command(name = "restis-bench", about = "Measures restis beside its peers", after_help = HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// The client: one GET after another, concurrent GETs, pipelines
    Client(ClientArgs),
    /// The client over a network: time of a call at a steady rate of calls
    Latency(Common),
    /// The REST server beside a minimal axum server
    Server(Common),
    /// The store: resident bytes a key beside redis-server, by kind of value
    Memory(memory::MemoryArgs),
    /// Rate limits: concurrent and single decisions, blocked clients, a million organisations
    Ratelimit(Common),
    /// Events: publishing, live delivery, catching up, a thousand clients
    Events(Common),
    /// The cache: reads, loads, invalidations and memory beside bentocache and cacheable, and loads of
    /// twenty processes by strategy, in simulated time
    Cache(cache::CacheArgs),
    /// Sessions: load, touch and update beside connect-redis and tower-sessions, memory
    Sessions(sessions::SessionsArgs),
    /// A rate limit on WebAssembly in workerd, beside JavaScript ones
    Edge(edge::EdgeArgs),
    /// The functions: start to first answer, warm decisions, many connections, size
    Functions(functions::FunctionsArgs),
    /// The work that `client --instructions` counts
    #[command(hide = true)]
    Load {
        work: ours::Work,
        url: String,
        turns: u32,
    },
    /// The axum server that `server` compares with
    #[command(hide = true)]
    Yardstick,
}

/// Options of `client`.
#[derive(Debug, Args)]
struct ClientArgs {
    #[command(flatten)]
    common: Common,
    /// Count processor instructions a command instead, with valgrind
    #[arg(long)]
    instructions: bool,
}

/// What every benchmark can be told.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// How long each side of a comparison is measured, in rounds of a second at most
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = schedule)]
    pub(crate) seconds: Schedule,
    /// A node_modules directory with the peers that npm installed
    #[arg(long, value_name = "DIR", default_value = "node_modules")]
    pub(crate) node_modules: PathBuf,
}

/// How often and how long each side has its turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) rounds: u32,
    pub(crate) turn: Duration,
}

fn schedule(text: &str) -> Result<Schedule, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number")?;
    if !(0.01..=600.0).contains(&seconds) {
        return Err("not from 0.01 to 600".to_owned());
    }
    let rounds = seconds.ceil();
    Ok(Schedule {
        rounds: rounds as u32,
        turn: Duration::from_secs_f64(seconds / rounds),
    })
}

fn measure(benchmark: &Benchmark) -> Result<(), Failure> {
    if cfg!(debug_assertions) && !matches!(benchmark, Benchmark::Yardstick) {
        contest::say("This is a debug build: its figures mean nothing. Use --release.\n")?;
    }
    match benchmark {
        Benchmark::Client(args) if args.instructions => instructions::run(),
        Benchmark::Client(args) => client::run(&args.common),
        Benchmark::Latency(common) => latency::run(common),
        Benchmark::Server(common) => server::run(common),
        Benchmark::Load { work, url, turns } => instructions::load(*work, url, *turns),
        Benchmark::Yardstick => server::yardstick(),
        Benchmark::Memory(args) => memory::run(args),
        Benchmark::Ratelimit(common) => ratelimit::run(common),
        Benchmark::Events(common) => events::run(common),
        Benchmark::Cache(args) => cache::run(args),
        Benchmark::Sessions(args) => sessions::run(args),
        Benchmark::Edge(args) => edge::run(args),
        Benchmark::Functions(args) => functions::run(args),
    }
}

/// Parses the command line and runs the benchmark it names.
pub(crate) fn run() -> ExitCode {
    match measure(&Cli::parse().benchmark) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "restis-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_a_second_at_most() {
        let of = |rounds, ms| {
            let turn = Duration::from_millis(ms);
            Ok(Schedule { rounds, turn })
        };
        assert_eq!(schedule("3"), of(3, 1000));
        assert_eq!(schedule("1.5"), of(2, 750));
        assert_eq!(schedule("0.05"), of(1, 50));
        for wrong in ["0", "-1", "601", "NaN", "x"] {
            assert!(schedule(wrong).is_err(), "{wrong}");
        }
    }
}
