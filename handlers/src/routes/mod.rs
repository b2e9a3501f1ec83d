//! The route groups; [`mount`](crate::mount) puts some of them into another router.

mod events;
mod health;
mod metrics;
mod ratelimit;
mod session;

use crate::{AppState, openapi::Base};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

/// A group of routes under `/api`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Group {
    /// `/api/health`.
    Health,
    /// `/api/metrics`.
    Metrics,
    /// `/api/ratelimit`.
    RateLimit,
    /// `/api/session`, `/api/sessions`, `/api/users`.
    Session,
    /// `/api/events`.
    Events,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 5] = [
        Self::Health,
        Self::Metrics,
        Self::RateLimit,
        Self::Events,
        Self::Session,
    ];

    fn routes(self) -> OpenApiRouter<AppState> {
        match self {
            Self::Health => health::routes(),
            Self::Metrics => metrics::routes(),
            Self::RateLimit => ratelimit::routes(),
            Self::Session => session::routes(),
            Self::Events => events::routes(),
        }
    }
}

/// Some groups with their part of the API description.
pub(crate) fn of(groups: &[Group]) -> OpenApiRouter<AppState> {
    let base = OpenApiRouter::with_openapi(Base::openapi());
    groups
        .iter()
        .fold(base, |router, group| router.merge(group.routes()))
}
