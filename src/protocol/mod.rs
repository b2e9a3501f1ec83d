//! What travels: arguments, replies, values and their encodings.
mod buffer;
#[macro_use]
pub mod command;
pub(crate) mod command_table;
pub(crate) mod encode;
pub mod error;
pub(crate) mod hash_record;
pub mod identity;
pub(crate) mod json;
pub(crate) mod json_codec;
pub mod reply;
pub(crate) mod resp;
pub(crate) mod response_meta;
pub(crate) mod sse;
pub(crate) mod subscription;
