//! The Redis protocol: RESP2 and RESP3 over the same databases and tokens as REST.

mod auth;
mod busy;
mod client_command;
mod clients;
mod connection;
mod encode;
mod names;
mod parser;
#[cfg(test)]
mod parser_tests;
mod run;
mod session;
mod subscriptions;
mod transaction;
mod waiting;

pub(crate) use clients::{Clients, Pause};
pub(crate) use connection::{refuse, serve};
pub(crate) use parser::split;
