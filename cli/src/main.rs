//! The `restis` command.

mod args;
mod banner;
mod cache;
mod check;
mod config;
mod console;
mod dev;
mod failure;
mod files;
mod inspect;
mod logs;
#[cfg(feature = "packaging")]
mod packaging;
mod repair;
mod run;
mod serve;
mod signals;
mod state;
mod target;
mod telemetry;
mod token;
mod trace;
mod transfer;

fn main() -> std::process::ExitCode {
    args::run()
}
