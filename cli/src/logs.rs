//! Logging to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::args::Failure;

/// Starts logging; `access` stands for warnings and the access log.
pub(crate) fn start(filter: &str, json: bool) -> Result<(), Failure> {
    let filter = match filter {
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
    let logs = if json {
        logs.json().boxed()
    } else {
        logs.boxed()
    };
    tracing_subscriber::registry()
        .with(logs.with_filter(filter))
        .init();
    Ok(())
}
