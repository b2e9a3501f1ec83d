//! Rate limit, session and event functions over one router.
//!
//! [`app`] builds the whole HTTP API; [`run`] serves it on the platform it finds itself on
//! (Vercel, AWS Lambda or plain HTTP); on WebAssembly `worker::fetch` answers the events of a
//! worker. [`mount`] puts single groups into a router of one's own, and
//! [`restis::web::RateLimitLayer`], [`restis::web::SessionLayer`] and
//! [`restis::web::RequestGuard`] protect routes of one's own.

pub mod auth;
mod client_ip;
mod config;
pub mod context;
pub mod deferred;
mod extract;
mod guesses;
mod host;
mod live;
mod openapi;
mod policies;
#[macro_use]
pub mod problem;
mod routes;
mod schemas;
mod signed;
mod state;
#[cfg(feature = "otel")]
mod telemetry;
mod webhooks;

pub use client_ip::ClientIp;
pub use config::{Config, ConfigError};
pub use extract::{ApiJson, ApiPath, ApiQuery};
#[cfg(all(feature = "worker", target_family = "wasm"))]
pub use host::worker;
pub use host::{Host, HostError};
#[cfg(not(target_family = "wasm"))]
pub use host::{run, run_blocking, run_on, serve};
pub use openapi::document;
pub use policies::{DEFAULT_POLICY, PolicySet};
pub use routes::{Group, metrics::alerts::evaluate_alerts};
pub use schemas::EventSchemas;
pub use state::{AppState, AppStateBuilder};
pub use webhooks::{IncomingWebhook, Webhooks};

/// The entries of `/api/cache`, for programs beside the routes.
pub mod cache {
    pub use crate::routes::cache::{WarmBody, WarmEntry, clear, warm};
}

use axum::Router;

/// Builds the HTTP API: every route group under `/api`, problem answers, limits and CORS.
pub fn app(state: AppState) -> Router {
    let router = routes::of(&Group::ALL)
        .merge(openapi::routes())
        .fallback(async || problem::Problem::not_found("no route has this path"))
        .with_state(state.clone());
    context::wrap(router, &state)
}

/// Builds some route groups, to merge into a router of one's own.
///
/// Request ids, the time limit, the body limit, deferred work and CORS come with these routes and
/// touch no others. Deferred work is finished before the answer, unless [`serve`] or [`run_on`]
/// serves the whole. Client addresses on plain HTTP need axum's `ConnectInfo`, which both provide.
///
/// ```
/// use axum::{Router, routing::get};
/// use restis::Redis;
/// use restis_handlers::{AppState, Group, auth::ServiceTokens, mount};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::builder("https://example.upstash.io", "TOKEN").build()?;
/// let state = AppState::builder(redis)
///     .tokens(ServiceTokens::none().with_full_access("web", "SERVICE_TOKEN"))
///     .build()?;
/// let app: Router = Router::new()
///     .route("/", get(async || "my own page"))
///     .merge(mount(state, &[Group::RateLimit, Group::Health]));
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
pub fn mount(state: AppState, groups: &[Group]) -> Router {
    let router = routes::of(groups).with_state(state.clone());
    context::wrap(router, &state)
}
