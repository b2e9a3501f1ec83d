//! The engine and a real `redis-server` run the same commands and must answer the same.
//!
//! Starts its own servers: `redis-server` and, if `RESTIS_REDIS_8` names one, a Redis 8. Without
//! `redis-server` the tests are skipped, under `CI` they fail; a Redis 8 that is named must start.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

mod compare;
mod dump;
mod generate;
mod random;
mod redis;
mod scripts;
mod types;
