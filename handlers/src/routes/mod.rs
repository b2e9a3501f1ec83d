//! The route groups, each mountable alone: `routes::ratelimit::routes()` and its siblings.

pub mod events;
pub mod health;
pub mod ratelimit;
pub mod session;

use crate::{AppState, openapi::Base};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

/// Every group with its part of the API description.
pub(crate) fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Base::openapi())
        .merge(health::routes())
        .merge(ratelimit::routes())
        .merge(events::routes())
        .merge(session::routes())
}
