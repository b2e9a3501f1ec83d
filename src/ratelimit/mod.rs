//! Rate limiting: one atomic decision, one round trip, none for a client known to be blocked.
//!
//! Fixed window, sliding window, token bucket, GCRA and calendar quotas, alone or several in one
//! decision; leases that limit concurrency. Keys and stored values are those of
//! [`@upstash/ratelimit`](https://upstash.com/docs/redis/sdks/ratelimit-ts/overview) 2.2, so that
//! JavaScript and Rust processes share one limit. Unlike there, a refused request consumes nothing.
//!
//! ```no_run
//! use restis::{Redis, ratelimit::{Limit, RateLimiter}};
//! use std::time::Duration;
//!
//! # async fn example() -> restis::Result<()> {
//! let redis = Redis::builder("https://example.upstash.io", "TOKEN").build()?;
//! let limiter = RateLimiter::builder(redis, Limit::sliding_window(10, Duration::from_secs(10))?).build();
//! let decision = limiter.limit("203.0.113.9").await?;
//! if !decision.is_allowed() {
//!     println!("try again in {:?}", decision.retry_after());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Clock
//!
//! [`ClockSource::Client`] (the default, as in JavaScript) takes the time of the machine: machines
//! whose clocks differ by a window or more count in different windows. [`ClockSource::Server`] takes
//! the server's time; its script computes key names, so Upstash runs it under the database-wide lock.
//!
//! # Accuracy
//!
//! A fixed window admits up to twice its limit across a boundary, a sliding window counts the
//! previous window as evenly spread, a token bucket refills in whole intervals and admits at most
//! its capacity plus one refill in an interval. GCRA and calendar quotas are exact.
//!
//! # Round trips
//!
//! One decision is one script call. Decisions of one limiter that are awaited at the same time, and
//! those of [`RateLimiter::limit_many`], become one call for all, in the order in which they were
//! asked for; each takes for itself, and an error of one is that one's alone. Where the keys of
//! several identifiers cannot meet, as in a Redis Cluster, they stay calls of one request.
//!
//! # Groups
//!
//! A limit [per group](Limit::per_group) is shared by all identifiers of a [group](RateLimitRequest::group), such
//! as the users of an organisation. Beside limits of each identifier it is decided on with them: all
//! take the cost, or none does.
//!
//! # Cached windows
//!
//! [`RateLimiterBuilder::take_ahead`] takes several permits in one request and hands them out without
//! asking: a fixed window becomes what JavaScript calls `cachedFixedWindow`, on the same keys. Other
//! than there the limit is never exceeded; instead each process may leave up to one permit less than
//! it takes at a time unused in a window.

mod analytics;
mod block_cache;
mod builder;
mod calendar;
mod control;
mod decision;
mod feed;
mod generations;
mod identifier;
mod lease;
mod limit;
mod limiter;
mod lists;
mod local;
mod policy;
mod request;
mod reservation;
mod store;
mod wait;

pub use analytics::{Usage, UsageHour};
pub use builder::RateLimiterBuilder;
pub use calendar::Calendar;
pub use decision::{Decision, LimitState, Reason};
pub use feed::DenyFeed;
pub use identifier::group_ipv6;
pub use lease::{Lease, LeaseLimiter};
pub use limit::Limit;
pub use limiter::RateLimiter;
pub use lists::ListEntry;
pub use policy::{ClockSource, FailurePolicy, Policy};
pub use request::RateLimitRequest;
