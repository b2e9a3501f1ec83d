//! Logging to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::args::Failure;

/// Starts logging; `access` stands for warnings and the access log.
pub(crate) fn start(filter: &str, json: bool) -> Result<(), Failure> {
    let filter = match filter {
        "access" => "warn,restis::access=info",
        other => other,
    };
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage(format!("--log {filter}: {error}")))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    if json {
        logs.json().init();
    } else {
        logs.init();
    }
    Ok(())
}
