//! Logging to standard error.

use std::io::IsTerminal as _;

use clap::Args;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::failure::Failure;

/// What is logged, and how.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// What to log to standard error: a level, `access`, or a tracing filter
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "warn",
        env = "RESTIS_LOG"
    )]
    log: String,
    /// Log as JSON lines
    #[arg(long, env = "RESTIS_LOG_JSON")]
    log_json: bool,
}

/// Starts logging; `access` stands for warnings and the access log.
pub(crate) fn start(args: &LogArgs) -> Result<(), Failure> {
    let filter = match args.log.as_str() {
        "access" => "warn,restis::access=info",
        other => other,
    };
    let filter: Targets = filter
        .parse()
        .map_err(|error| Failure::usage(format!("--log {filter}: {error}")))?;
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(ansi);
    let logs = if args.log_json {
        logs.json().boxed()
    } else {
        logs.boxed()
    };
    tracing_subscriber::registry()
        .with(logs.with_filter(filter))
        .init();
    Ok(())
}
