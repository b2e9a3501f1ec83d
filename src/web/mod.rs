//! Layers, extractors and refusals for HTTP services.
pub(crate) mod client_ip;
#[cfg(feature = "tower")]
pub mod gate;
#[cfg(feature = "tower")]
mod problem;
pub mod ratelimit_headers;
#[cfg(feature = "tower")]
pub(crate) mod ratelimit_layer;
#[cfg(feature = "tower")]
pub mod service;
#[cfg(feature = "axum")]
pub(crate) mod session_extract;
#[cfg(feature = "tower")]
pub(crate) mod session_layer;
