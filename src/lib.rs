//! Redis over REST for serverless Rust: an HTTP-only client for the Upstash REST API.
//!
//! ```no_run
//! use restis::prelude::*;
//!
//! # async fn example() -> restis::Result<()> {
//! let redis = restis::Redis::builder("https://example.upstash.io", "TOKEN").build()?;
//! redis.set("greeting", "hello").await?;
//! let greeting: Option<String> = redis.get("greeting").await?;
//!
//! let mut p = redis.pipeline();
//! let (n, s) = (p.incr("n"), p.get::<String>("greeting"));
//! let mut replies = p.exec().await?;
//! println!("{} {:?}", replies.take(n)?, replies.take(s)?);
//! # Ok(())
//! # }
//! ```
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
//! | `time-zones` | no | `ratelimit`, with calendar quotas in time zones by name |
//!
//! The client alone is `default-features = false, features = ["rustls"]`.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod protocol;
#[cfg(feature = "cache")]
pub mod cache;
pub mod client;
pub mod commands;
#[cfg(feature = "events")]
pub mod events;
#[cfg(feature = "ratelimit")]
pub mod ratelimit;
#[cfg(feature = "session")]
pub mod session;
pub mod transport;
pub mod web;

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
    hash_record as record, identity,
    reply::{self, FromReply, Json, Pairs, Reply, ServerError},
};
pub use transport::clock::{self, Clock, SystemClock};

/// Everything for everyday use: `use restis::prelude::*;`.
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
            reply::{FromReply, Json, Pairs, Reply},
        },
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
