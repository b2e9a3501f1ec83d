//! The client: from a command to its reply.
#[cfg(any(
    feature = "cache",
    feature = "events",
    feature = "ratelimit",
    feature = "session"
))]
#[macro_use]
mod script_call;

pub(crate) mod batch;
pub mod config;
mod env;
pub mod metrics;
#[cfg(all(feature = "otel", not(target_family = "wasm")))]
pub mod otel;
pub mod pipeline;
pub mod pubsub;
mod redis;
pub mod script;
pub mod testing;
pub mod variables;

pub use redis::{Redis, Surface};
