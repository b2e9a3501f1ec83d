//! `restis run`: a store around a command, gone when the command ends.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use clap::Args;
use restis_server::{Server, TestControl};

use crate::failure::Failure;
use crate::files;
use crate::logs::{self, LogArgs};
use crate::signals::Signals;

pub(crate) const EXAMPLES: &str = "\
The command gets UPSTASH_REDIS_REST_URL and _TOKEN, KV_REST_API_URL and _TOKEN, REDIS_URL and KV_URL.

Between tests, with the token:
  POST $UPSTASH_REDIS_REST_URL/__restis/reset                          back to the seed
  POST $UPSTASH_REDIS_REST_URL/__restis/clock  {\"advance_ms\":60000}    a minute later

Examples:
  restis run -- npm test
  restis run --seed fixtures.redis -- cargo test

Exit codes:
  that of the command; 128 and the number of the signal that ended it
  1  the store could not start     2  wrong usage     126  it cannot be run     127  it is not found";

/// How often the command is looked after.
const LOOK: Duration = Duration::from_millis(10);

/// Options of `restis run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Commands that the store begins with, one a line as redis-cli takes them
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command; its exit code is that of `restis`.
pub(crate) fn run(args: &RunArgs) -> Result<u8, Failure> {
    logs::start(&args.log)?;
    let mut signals = Signals::install()?;
    files::raise_limit();
    let control = match &args.seed {
        Some(path) => seed(path)?,
        None => TestControl::default(),
    };
    let token = restis_server::random_token().map_err(Failure::new)?;
    let running = Server::builder()
        .token(&token)
        .test_control(control)
        .redis_protocol([([127, 0, 0, 1], 0).into()])
        .bind("127.0.0.1:0")?
        .spawn()?;
    let url = running.url().to_owned();
    let redis = running.redis_addr();
    let redis = redis.map(|addr| format!("redis://default:{token}@{addr}"));
    let (program, rest) = args
        .command
        .split_first()
        .ok_or_else(|| Failure::usage("a command is needed: restis run -- npm test"))?;
    let mut command = Command::new(program);
    command.args(rest);
    for name in ["UPSTASH_REDIS_REST_URL", "KV_REST_API_URL"] {
        command.env(name, &url);
    }
    for name in ["UPSTASH_REDIS_REST_TOKEN", "KV_REST_API_TOKEN"] {
        command.env(name, &token);
    }
    for name in ["REDIS_URL", "KV_URL"] {
        match &redis {
            Some(url) => command.env(name, url),
            None => command.env_remove(name),
        };
    }
    let child = command.spawn().map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound {
            127
        } else {
            126
        };
        let mut text = format!("cannot run {}: {error}", program.to_string_lossy());
        if code == 127 {
            let _ = write!(text, "; is it installed, and in PATH?");
        }
        Failure::with_code(text, code)
    })?;
    let status = wait(child, &mut signals)?;
    running.stop();
    Ok(code(status))
}

fn seed(path: &Path) -> Result<TestControl, Failure> {
    let told =
        |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| told(&error))?;
    TestControl::with_seed(&text).map_err(|error| told(&error))
}

/// Waits for the command; what a terminal sends reaches it by itself, SIGTERM is passed on.
fn wait(mut child: Child, signals: &mut Signals) -> Result<ExitStatus, Failure> {
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::new)? {
            return Ok(status);
        }
        if signals.arrived_within(LOOK) == Some(crate::signals::Kind::Terminate) {
            terminate(&mut child);
        }
    }
}

#[cfg(unix)]
fn terminate(child: &mut Child) {
    let id = i32::try_from(child.id()).ok();
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
        // The command has ended already: it is seen at the next look.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
}

#[cfg(windows)]
fn terminate(child: &mut Child) {
    let _ = child.kill();
}

/// The code of a shell: that of the command, or 128 and the signal that ended it.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(255);
    }
    status.code().map_or(255, |code| code as u8)
}
