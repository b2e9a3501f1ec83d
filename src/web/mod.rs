//! Layers, extractors and refusals for HTTP services.
mod client_ip;
mod problem;
#[cfg(feature = "ratelimit")]
pub mod ratelimit_headers;
#[cfg(all(feature = "tower", feature = "ratelimit"))]
mod ratelimit_layer;
#[cfg(all(feature = "tower", feature = "ratelimit", feature = "session"))]
mod request_guard;
#[cfg(all(feature = "tower", feature = "cache"))]
mod response_cache;
#[cfg(all(feature = "tower", any(feature = "ratelimit", feature = "session")))]
pub mod service;
#[cfg(all(feature = "axum", feature = "session"))]
mod session_extract;
#[cfg(all(feature = "tower", feature = "session"))]
mod session_layer;

pub use client_ip::{client_ip, parse_ip};
pub use problem::Refusal;
#[cfg(all(feature = "tower", feature = "ratelimit"))]
pub use ratelimit_layer::{RateLimitLayer, Subject};
#[cfg(all(feature = "tower", feature = "ratelimit", feature = "session"))]
pub use request_guard::{Prefetched, RequestGuard};
#[cfg(all(feature = "tower", feature = "cache"))]
pub use response_cache::{CacheLayer, CachedService};
#[cfg(all(feature = "axum", feature = "session"))]
pub use session_extract::SessionRejection;
#[cfg(all(feature = "tower", feature = "session"))]
pub use session_layer::SessionLayer;
