//! The function: the whole API on Vercel, AWS Lambda or plain HTTP.

use std::process::ExitCode;

fn main() -> ExitCode {
    restis_handlers::run_blocking()
}
