//! HTTP: from a request to a response.

mod answer;
pub(crate) mod body;
mod cors;
mod headers;
mod ids;
mod service;

pub(crate) use answer::StreamPermit;
pub use cors::Cors;
pub(crate) use ids::Ids;
pub(crate) use service::{Shared, handle};
