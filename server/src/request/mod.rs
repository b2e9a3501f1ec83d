//! From an HTTP request to commands.

pub(crate) mod commands;
pub(crate) mod json;
pub(crate) mod target;
