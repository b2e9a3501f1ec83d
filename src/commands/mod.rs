//! Command groups: one trait each, implemented for clients, pipelines and transactions.
//!
//! A command is written once, as data. On [`&Redis`](crate::Redis) it is a request to await, on a
//! [`Pipeline`](crate::Pipeline) or [`Transaction`](crate::Transaction) a handle to its reply.
//! Options are structs. Where a reply is a stored value its type is the caller's choice.
//!
//! ```no_run
//! use restis::prelude::*; // every trait of this module
//!
//! # async fn example(redis: &Redis) -> restis::Result<()> {
//! redis.hset("user:1", [("name", "Ada")]).await?;
//! let name: Option<String> = redis.hget("user:1", "name").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Groups
//!
//! | commands on | trait | such as |
//! |---|---|---|
//! | keys of any type | [`GenericCommands`] | `del`, `expire`, `ttl`, `exists`, `scan`, `rename` |
//! | strings | [`StringCommands`] | `get`, `set`, `incr`, `mget`, `append` |
//! | bits of strings | [`BitmapCommands`] | `setbit`, `bitcount`, `bitfield` |
//! | hashes | [`HashCommands`] | `hset`, `hget`, `hgetall`, `hincrby`, `hexpire` |
//! | lists | [`ListCommands`] | `lpush`, `rpop`, `lrange`, `lmove` |
//! | sets | [`SetCommands`] | `sadd`, `sismember`, `smembers`, `sinter` |
//! | sorted sets | [`SortedSetCommands`] | `zadd`, `zrange`, `zscore`, `zincrby` |
//! | streams | [`StreamCommands`] | `xadd`, `xread`, `xreadgroup`, `xack` |
//! | places | [`GeoCommands`] | `geoadd`, `geosearch`, `geodist` |
//! | HyperLogLogs | [`HyperLogLogCommands`] | `pfadd`, `pfcount`, `pfmerge` |
//! | JSON documents | [`JsonCommands`] | `json_set`, `json_get`, `json_numincrby` |
//! | arrays | [`ArrayCommands`] | `arset`, `arget`, `arring` |
//! | vectors, on Upstash | [`VectorCommands`] | `vector_add`, `vector_query` |
//! | search, on Upstash | [`SearchCommands`] | `search_create`, `search_query` |
//! | messages | [`PubSubCommands`] | `publish`; to receive them [`Redis::subscribe`](crate::Redis::subscribe) |
//! | scripts and functions | [`ScriptingCommands`], [`FunctionCommands`] | `eval`, `fcall`; most easily [`Script`](crate::Script) |
//! | the connection | [`ConnectionCommands`] | `ping`, `echo` |
//! | the server | [`ServerCommands`] | `dbsize`, `info`, `time`, `flushdb` |
//! | users | [`AclCommands`] | `acl_setuser`, `acl_whoami` |

mod array;
mod bitmap;
mod generic;
mod geo;
mod geo_options;
mod hash;
mod hyperloglog;
mod json;
mod list;
mod options;
mod replies;
pub mod scan;
mod scripting;
mod search;
mod server;
mod set;
mod sorted_set;
mod sorted_set_options;
mod stream;
mod stream_info;
mod stream_options;
mod stream_types;
mod string;
mod string_options;
mod vector;

pub use crate::protocol::command_table::{Safety, documented, safety_of};
pub use array::{ArrayCommands, ArrayGrep, ArrayOp};
pub use bitmap::{
    BitEncoding, BitFieldOps, BitOffset, BitOp, BitOverflow, BitUnit, BitmapCommands,
};
pub use generic::{CopyOptions, GenericCommands, RestoreOptions};
pub use geo::GeoCommands;
pub use geo_options::{
    GeoAddOptions, GeoCenter, GeoMatch, GeoOptions, GeoSearch, GeoShape, GeoUnit, LonLat,
};
pub use hash::{HSetExOptions, HashCommands};
pub use hyperloglog::HyperLogLogCommands;
pub use json::{JsonCommands, JsonFormat, JsonSetCondition};
pub use list::{Insert, LPosOptions, ListCommands};
pub use options::{ExpireCondition, Expiry, ExpiryChange, FlushMode, ScanOptions, Side};
pub use replies::{Fields, ObjectKeys, Page, PerPath};
pub use scripting::{FunctionCommands, ScriptingCommands};
pub use search::{SearchCommands, SearchMatch};
pub use server::{AclCommands, ConnectionCommands, Info, PubSubCommands, ServerCommands};
pub use set::SetCommands;
pub use sorted_set::{Popped, SortedSetCommands};
pub use sorted_set_options::{Aggregate, Lex, Score, ZAddOptions, ZCombine, ZEnd, ZRange};
pub use stream::StreamCommands;
pub use stream_info::{
    ConsumerInfo, FullConsumerInfo, FullGroupInfo, FullPending, FullStreamInfo, GroupInfo,
    StreamInfo,
};
pub use stream_options::{
    RefPolicy, StreamTrim, XAddOptions, XAutoClaimOptions, XCfgSetOptions, XClaimOptions,
    XGroupOptions, XNackMode, XNackOptions, XPendingOptions,
};
pub use stream_types::{AutoClaim, Pending, PendingSummary, StreamEntry, StreamRead};
pub use string::{DeleteCondition, SetOutcome, StringCommands};
pub use string_options::{IncrExOptions, MSetExOptions, SetOptions};
pub use vector::{VectorCommands, VectorMatch, VectorMetric, VectorProfile};
