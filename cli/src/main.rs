//! The `restis` command.

mod args;
mod banner;
mod dev;
mod logs;
mod serve;
mod signals;

fn main() -> std::process::ExitCode {
    args::run()
}
