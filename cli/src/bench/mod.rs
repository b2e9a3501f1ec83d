//! `restis bench`: this software against its peers, each comparison within one run.

mod bare;
mod client;
mod contest;
mod events;
mod fanout;
mod functions;
mod instructions;
mod javascript;
mod ours;
mod ratelimit;
mod redis;
mod sessions;
mod store;
mod wrk;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::args::Failure;

pub(crate) const HELP: &str = "\
What is printed are operations a second, the median of as many rounds as --seconds says, and
beside every peer how many times as fast restis was. All take turns of a second against the same
server, a process of its own on this machine. Only ratios of one run are worth quoting.

Peers are used where they are found:
  wrk               apt install wrk, brew install wrk
  node, bun         with @upstash/redis, @upstash/ratelimit, @upstash/realtime and zod:
                    npm install @upstash/redis @upstash/ratelimit @upstash/realtime zod bun
                    npm install connect-redis express-session redis, for sessions
  redis-server      apt install redis-server, for sessions
  valgrind          apt install valgrind, for --instructions

Examples:
  restis bench client
  restis bench client --seconds 9 --node-modules ./node_modules
  restis bench client --instructions";

/// Options of `restis bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The client: one GET after another, concurrent GETs, pipelines
    Client(ClientArgs),
    /// Rate limits: concurrent and single decisions, blocked clients, a million organisations
    Ratelimit(Common),
    /// Events: publishing, live delivery, catching up, a thousand clients
    Events(Common),
    /// Sessions: load, touch and update beside connect-redis and tower-sessions, memory
    Sessions(sessions::SessionsArgs),
    /// The functions: start to first answer, warm decisions, many connections, size
    Functions(functions::FunctionsArgs),
    /// What --instructions counts
    #[command(hide = true)]
    Load {
        work: ours::Work,
        url: String,
        turns: u32,
    },
}

/// Options of `restis bench client`.
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
struct Common {
    /// How long each side of a comparison is measured, in rounds of a second at most
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = schedule)]
    seconds: Schedule,
    /// A node_modules directory with the peers that npm installed
    #[arg(long, value_name = "DIR", default_value = "node_modules")]
    node_modules: PathBuf,
}

/// How often and how long each side has its turn.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Schedule {
    rounds: u32,
    turn: Duration,
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

/// One thread, as in a function.
fn event_loop() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop: {error}")))
}

/// Works in a task, as in a server; blocking on a future costs a system call a wake-up.
fn in_task<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    runtime
        .block_on(runtime.spawn(work))
        .map_err(|error| Failure::new(format!("the task failed: {error}")))?
}

pub(crate) fn run(args: &BenchArgs) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        contest::say("This is a debug build: its figures mean nothing. Use --release.\n")?;
    }
    match &args.what {
        What::Client(args) if args.instructions => instructions::run(),
        What::Client(args) => client::run(&args.common),
        What::Load { work, url, turns } => instructions::load(*work, url, *turns),
        What::Ratelimit(common) => ratelimit::run(common),
        What::Events(common) => events::run(common),
        What::Sessions(args) => sessions::run(args),
        What::Functions(args) => functions::run(args),
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
