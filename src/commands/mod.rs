//! Redis commands, one trait a group, for clients, pipelines and transactions alike.
//!
//! `use restis::prelude::*;` brings all groups into scope.
pub(crate) mod properties;
mod string;

pub use properties::{Safety, safety_of};
pub use string::{SetOptions, StringCommands};
