//! The function: the whole API on Vercel, AWS Lambda or plain HTTP.

use std::process::ExitCode;

#[cfg(not(target_family = "wasm"))]
fn main() -> ExitCode {
    restis_handlers::run_blocking()
}

/// A worker has no process: `examples/worker` is its module.
#[cfg(target_family = "wasm")]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
