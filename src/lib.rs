//! Redis over REST for serverless Rust: an HTTP-only client for the Upstash REST API, and rate
//! limits, sessions, a cache and events built on it.
//!
//! A serverless function has no place to keep a TCP connection. This client sends each command, or
//! all that are awaited at the same time, in one HTTP request.
//!
//! ```no_run
//! use restis::prelude::*;
//! use std::time::Duration;
//!
//! # async fn example() -> restis::Result<()> {
//! let redis = Redis::from_env()?; // UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN
//! let hour = SetOptions::new().ex(Duration::from_secs(3600));
//! redis.set_with("greeting", "hello", hour).await?;
//! let greeting: Option<String> = redis.get("greeting").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to find what
//!
//! | I want to | use |
//! |---|---|
//! | connect, from the environment or from code | [`Redis::from_env`], [`Redis::builder`] |
//! | run a command | a method of [`Redis`]: the [index by group](commands#groups) lists the traits |
//! | run a command that has no method | [`Redis::command`] |
//! | store JSON, or a struct as a hash | [`Json`], [`HashRecord`] |
//! | send several commands in one request | await them together, or [`Redis::pipeline`] |
//! | run several commands as one step | [`Redis::transaction`], [`Script`] |
//! | walk over keys, fields and members | [`scan`] |
//! | publish and receive messages | [`pubsub`] |
//! | limit the rate of requests | [`ratelimit`] |
//! | sign users in | [`session`] |
//! | keep results of slow work | [`cache`] |
//! | publish events and follow them | [`events`] |
//! | limit, load the session and read ahead in a tower service | [`web`] |
//! | test without a network | [`testing`], feature `embedded` |
//! | send requests in another way | [`transport`] |
//!
//! # What holds
//!
//! - A call takes no longer than its [timeout](config::Builder::timeout), 2 seconds by default,
//!   retries included.
//! - A request that may have been executed is repeated only if repeating each of its commands does
//!   no harm; [`Error::delivery`] says which it was. After several failures in a row calls fail at
//!   once for a second.
//! - Dropping a call never loses, delays or reorders another one. There is no background task.
//! - A value is bytes: it is decoded to the type that is asked for, never guessed.
//! - No error, log line or `Debug` output contains a value or a token.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `ratelimit` | yes | rate limits, quotas, leases |
//! | `session` | yes | sessions, cookies, assertions |
//! | `events` | yes | histories, work queues, webhooks |
//! | `cache` | yes | typed keyspaces, tags, one load at a time |
//! | `rustls` | yes | `https` with rustls, the ring provider and bundled web roots |
//! | `reqwest` | no | requests by a `reqwest::Client` that is handed in |
//! | `embedded` | no | a store in the process, for tests and development |
//! | `tower` | no | layers for tower services: one for each block that is there |
//! | `axum` | no | `tower`, and extractors for axum |
//! | `encryption` | no | `session`, with sealed values |
//! | `postcard` | no | `cache`, with compact values |
//! | `schemas` | no | `events`, with JSON schemas of event types |
//! | `otel` | no | spans and metrics by OTLP over HTTP; nothing in a browser |
//! | `time-zones` | no | `ratelimit`, with calendar quotas in time zones by name |
//!
//! The client alone is `default-features = false, features = ["rustls"]`.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod protocol;
// Before those that use its macros.
#[macro_use]
pub mod client;

#[cfg(feature = "cache")]
pub mod cache;
pub mod commands;
#[cfg(feature = "events")]
pub mod events;
#[cfg(feature = "ratelimit")]
pub mod ratelimit;
#[cfg(feature = "session")]
pub mod session;
pub mod transport;
pub mod web;

#[cfg(all(feature = "otel", not(target_family = "wasm")))]
pub use client::otel;
pub use client::{
    Redis, Surface, config,
    metrics::{self, Metrics},
    pipeline::{self, Handle, Pipeline, Replies, Transaction},
    pubsub,
    script::{self, Script},
    testing, variables,
};
pub use commands::scan;
pub use protocol::{
    command::{self, Args, Command, ToArg},
    error::{self, Delivery, Error, ErrorKind, Result},
    hash_record::HashRecord,
    identity,
    reply::{self, FromReply, Json, Pairs, Reply, ServerError},
};
pub use transport::clock::{self, Clock, SystemClock};

/// Everything for everyday use: `use restis::prelude::*;`.
///
/// [`Json`] is not part of it, since web frameworks have a `Json` too.
pub mod prelude {
    pub use crate::{
        client::{
            Redis, Surface,
            pipeline::{Handle, Pipeline, Replies, Transaction},
            script::Script,
        },
        commands::*,
        protocol::{
            error::{Delivery, Error, ErrorKind},
            reply::{FromReply, Pairs, Reply},
        },
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
