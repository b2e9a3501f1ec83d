//! Every benchmark of restis beside its peers, one command each.

mod args;
mod bare;
mod cache;
mod cache_contest;
mod client;
mod contest;
mod edge;
mod events;
mod failure;
mod fanout;
mod functions;
mod instructions;
mod javascript;
mod latency;
mod memory;
mod ours;
mod program;
mod ratelimit;
mod redis;
mod runtime;
mod server;
mod sessions;
mod store;
mod wrk;

fn main() -> std::process::ExitCode {
    args::run()
}
