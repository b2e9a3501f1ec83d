//! The route groups; [`mount`](crate::mount) puts some of them into another router.

/// One list of handlers makes a group: `routes` serves them, `described` describes them.
///
/// Methods and paths are those of the handlers' `utoipa::path`. The two are apart so that a
/// program that only serves does not carry what describes.
macro_rules! group {
    ($($handler:ident),+ $(,)?) => {
        group!($(self::$handler),+);
    };
    ($($module:ident::$handler:ident),+ $(,)?) => {
        /// The group's routes.
        pub(super) fn routes() -> axum::Router<$crate::AppState> {
            axum::Router::new()$(.route(
                &pastey::paste! { <$module::[<__path_ $handler>] as utoipa::Path>::path() },
                $crate::routes::at(
                    &pastey::paste! { <$module::[<__path_ $handler>] as utoipa::Path>::methods() },
                    $module::$handler,
                ),
            ))+
        }

        /// The group's part of the API description.
        pub(super) fn described() -> utoipa_axum::router::OpenApiRouter<$crate::AppState> {
            utoipa_axum::router::OpenApiRouter::new()
                $(.routes(utoipa_axum::routes!($module::$handler)))+
        }
    };
}

pub(crate) mod cache;
mod events;
mod health;
pub(crate) mod metrics;
mod ratelimit;
mod session;

use crate::AppState;
use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, MethodRouter},
};
use utoipa::openapi::HttpMethod;
use utoipa_axum::{PathItemExt, router::OpenApiRouter};

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
    /// `/api/cache`.
    Cache,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 6] = [
        Self::Health,
        Self::Metrics,
        Self::RateLimit,
        Self::Events,
        Self::Session,
        Self::Cache,
    ];

    fn routes(self) -> Router<AppState> {
        match self {
            Self::Health => health::routes(),
            Self::Metrics => metrics::routes(),
            Self::RateLimit => ratelimit::routes(),
            Self::Session => session::routes(),
            Self::Events => events::routes(),
            Self::Cache => cache::routes(),
        }
    }

    pub(crate) fn described(self) -> OpenApiRouter<AppState> {
        match self {
            Self::Health => health::described(),
            Self::Metrics => metrics::described(),
            Self::RateLimit => ratelimit::described(),
            Self::Session => session::described(),
            Self::Events => events::described(),
            Self::Cache => cache::described(),
        }
    }
}

/// Some groups as one router.
pub(crate) fn of(groups: &[Group]) -> Router<AppState> {
    groups
        .iter()
        .fold(Router::new(), |router, group| router.merge(group.routes()))
}

/// A handler at its methods.
fn at<H, T>(methods: &[HttpMethod], handler: H) -> MethodRouter<AppState>
where
    H: Handler<T, AppState>,
    T: 'static,
{
    let filters = methods.iter().map(PathItemExt::to_method_filter);
    match filters.reduce(MethodFilter::or) {
        Some(filter) => axum::routing::on(filter, handler),
        None => MethodRouter::new(),
    }
}
