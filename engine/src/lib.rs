//! An embedded in-memory Redis: `Engine::call(args) -> Reply`.
//!
//! One [`Engine`] is one database. It is synchronous, knows no network and no async runtime, and a
//! handle is a cheap clone that may be shared between threads:
//!
//! ```
//! use restis_engine::{Engine, Options, Reply};
//!
//! let engine = Engine::new(Options::default());
//! assert_eq!(engine.call(&["SET", "greeting", "hello"]), Reply::ok());
//! assert_eq!(engine.call(&["GET", "greeting"]), Reply::bulk("hello"));
//! ```
//!
//! # How it is built
//!
//! A command is a `Spec` (module `ctx`): name, arity, flags, where its keys are, and a function from a
//! context and arguments to a reply. Every group of commands is one file in `commands/` with one
//! table `COMMANDS`; `commands/mod.rs` lists the tables, one line a group. A command sees the
//! database through `Ctx`: `ctx.db` is the keyspace with typed access (`read`, `write`, `create`),
//! `ctx.call(args)` runs another command in the same breath, which is how scripts call back.

mod acl;
mod array;
mod blocked;
mod budget;
mod changelog;
mod command;
mod commands;
mod ctx;
mod db;
mod dict;
mod either;
mod encoding;
mod engine;
mod error;
mod geohash;
mod glob;
mod hash;
mod hll;
mod hub;
mod json;
mod limits;
mod list;
mod longdouble;
mod lua;
mod num;
mod options;
mod packed;
mod parse;
mod rdb;
mod replay;
mod reply;
mod scripting;
mod search;
mod set;
mod shape;
mod slowlog;
mod snapshot;
mod stats;
#[cfg(test)]
mod storm;
mod stream;
mod text;
mod value;
mod vectors;
mod watch;
mod zset;

pub use acl::{Caller, DatabaseId};
pub use budget::ScriptKind;
pub use changelog::{ChangeLog, LogStatus};
pub use engine::{
    Called, Engine, Snapshot, Subscription, Watched, key_positions, may_wait, may_write,
};
pub use error::Error;
pub use hub::{Frame, Sink};
pub use limits::{CallLimits, CancelToken};
pub use options::{Clock, Dialect, Eviction, Options};
pub use reply::Reply;
pub use shape::Shape;
pub use snapshot::SnapshotError;
