//! Layers, extractors and refusals for HTTP services.
mod client_ip;
#[cfg(feature = "tower")]
mod problem;
pub mod ratelimit_headers;
#[cfg(feature = "tower")]
mod ratelimit_layer;
#[cfg(feature = "tower")]
mod request_guard;
#[cfg(feature = "tower")]
pub mod service;
#[cfg(feature = "axum")]
mod session_extract;
#[cfg(feature = "tower")]
mod session_layer;

pub use client_ip::{client_ip, parse_ip};
#[cfg(feature = "tower")]
pub use ratelimit_layer::{RateLimitLayer, Subject};
#[cfg(feature = "tower")]
pub use request_guard::{Prefetched, RequestGuard};
#[cfg(feature = "axum")]
pub use session_extract::SessionRejection;
#[cfg(feature = "tower")]
pub use session_layer::SessionLayer;
