//! Rate limit, session and event functions over one router.
//!
//! [`app`] builds the whole HTTP API; [`run`] serves it on the platform it finds itself on
//! (Vercel, AWS Lambda or plain HTTP). Each group in [`routes`] can be mounted alone.

pub mod auth;
mod client_ip;
mod config;
pub mod context;
pub mod deferred;
mod extract;
mod host;
mod live;
mod openapi;
mod policies;
pub mod problem;
pub mod routes;
mod schemas;
mod state;

pub use client_ip::ClientIp;
pub use config::{Config, ConfigError};
pub use extract::{ApiJson, ApiQuery};
pub use host::{Host, HostError, run, run_blocking, serve};
pub use openapi::document;
pub use policies::{DEFAULT_POLICY, PolicySet};
pub use schemas::EventSchemas;
pub use state::{AppState, AppStateBuilder};

use axum::Router;

/// Builds the HTTP API: every route group under `/api`, problem answers, limits and CORS.
pub fn app(state: AppState) -> Router {
    let (router, document) = routes::api().split_for_parts();
    let router = router
        .merge(openapi::routes(document))
        .with_state(state.clone());
    context::wrap(router, &state)
}
