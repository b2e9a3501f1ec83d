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
mod address;
mod buffer;
pub mod client;
pub mod clock;
#[macro_use]
pub mod command;
pub mod commands;
pub mod config;
mod dispatch;
mod env;
pub mod error;
pub mod events;
#[cfg(feature = "tower")]
pub mod gate;
pub mod identity;
mod json;
pub mod metrics;
pub mod pipeline;
#[cfg(feature = "tower")]
mod problem;
pub mod pubsub;
pub mod ratelimit;
pub mod record;
pub mod reply;
pub mod scan;
pub mod script;
#[cfg(feature = "tower")]
pub mod service;
pub mod session;
pub mod testing;
pub mod transport;

pub use client::{Redis, Surface};
pub use clock::{Clock, SystemClock};
pub use command::{Args, Command, ToArg};
pub use error::{Delivery, Error, ErrorKind, Result};
pub use metrics::Metrics;
pub use pipeline::{Handle, Pipeline, Replies, Transaction};
pub use reply::{FromReply, Json, Pairs, Reply, ServerError};
pub use script::Script;

/// Everything for everyday use: `use restis::prelude::*;`.
pub mod prelude {
    pub use crate::{
        client::{Redis, Surface},
        commands::*,
        error::{Delivery, Error, ErrorKind},
        pipeline::{Handle, Pipeline, Replies, Transaction},
        reply::{FromReply, Json, Pairs, Reply},
        script::Script,
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
