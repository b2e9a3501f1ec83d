//! A cache in Redis: typed keys, one command a read, no lost invalidation.
//!
//! ```no_run
//! use restis::{Redis, cache::{Cache, Keyspace, Tag}};
//! use std::time::Duration;
//!
//! const REPORTS: Keyspace<(String, String), Vec<u64>> = Keyspace::new("reports:{orgId}:{date}")
//!     .tag("org:{orgId}")
//!     .fresh_for(Duration::from_secs(60));
//! const ORGANISATION: Tag<(String,)> = Tag::new("org:{orgId}");
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = Cache::new(Redis::builder("https://example.upstash.io", "TOKEN").build()?)?;
//! let key = REPORTS.key(("acme", "2026-01-31"));
//! let report = cache
//!     .get_or_load(&key, |_| async { Ok::<_, std::io::Error>(vec![1, 2, 3]) })
//!     .await?;
//! println!("{} numbers, {:?} old", report.len(), report.age());
//!
//! // Whatever was cached for the organisation is never served again.
//! cache.remove_tag(&ORGANISATION.of(("acme",))).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | operation | commands |
//! |---|---|
//! | [`get`](Cache::get), [`get_many`](Cache::get_many) | 1 `MGET`; on a cluster 1 for each slot, in one request |
//! | [`get_or_load`](Cache::get_or_load), [`get_or_load_many`](Cache::get_or_load_many) | the same; 1 more for each value that is loaded |
//! | [`put`](Cache::put), [`delete`](Cache::delete), [`expire`](Cache::expire) | 1 |
//! | [`put_many`](Cache::put_many) | 1 `MGET`, 2 `MSETEX` |
//! | [`put_missing`](Cache::put_missing) | 1 `MGET`, 1 for each value that is stored |
//! | [`remove_tag`](Cache::remove_tag), [`expire_tag`](Cache::expire_tag), [`clear`](Cache::clear), [`expire_all`](Cache::expire_all) | 1, however many values they concern |
//!
//! # Invalidation
//!
//! Each key, tag and keyspace may have a marker: a random value that every invalidation replaces. An
//! entry remembers the markers that were read before its load and is valid while they are the same.
//! So an invalidation during a load is not lost, and no clocks are compared: a machine with a wrong
//! clock loses and revives nothing. [Removed](Invalidation::Remove) values are never served again;
//! [expired](Invalidation::Expire) ones may be served as stale ones by their rule.
//!
//! A marker that is missing means that nothing was invalidated, except where the store may
//! [evict](CacheConfig::evicts) keys: there markers are created before a load, and a missing one voids
//! what remembers it. Without that setting use a store that does not evict. Markers live longer than
//! the longest value and load.
//!
//! # Time
//!
//! Whether a value is fresh is judged by the clock of the reader and the stamp of the writer. The store
//! drops a value at the end of its stale time by its own clock, so that wrong clocks lengthen no life
//! beyond that.
//!
//! # While the store does not answer
//!
//! [`get_or_load`](Cache::get_or_load) serves what this process [holds](Keyspace::local) for as long as
//! it would be served from the store, else runs loaders, one for each key of a process (of an
//! event, in a worker), and stores nothing. Writes fail. Invalidations fail, or
//! [wait](CacheConfig::max_queued) in this process and say so: until they are sent it serves nothing
//! from the store, so that what it invalidated does not come back.
mod age;
mod away;
mod config;
mod entry;
mod env;
mod error;
mod fetch;
mod hints;
mod invalidate;
mod keep;
mod key;
mod keyspace;
mod lease;
mod load;
mod loading;
mod many;
mod marker;
mod memory;
mod params;
mod pattern;
mod put_many;
mod put_missing;
mod read;
mod single_flight;
mod store;
mod value;
mod write;

pub use age::AgeTable;
pub use config::CacheConfig;
pub use error::LoadError;
pub use invalidate::{Invalidated, Invalidation};
pub use key::Key;
pub use keyspace::{Keyspace, Lifetime, MAX_TAGS, Tag, TagKey};
pub use loading::{Loaded, Loading};
pub use params::{FitsKey, KeyPart, KeyShape};
pub use pattern::MAX_PARAMETERS;
pub use read::{Cached, MAX_KEYS, Source};
pub use store::{Cache, CacheBuilder};
pub use value::Codec;
