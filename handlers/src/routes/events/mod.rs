//! `/api/events`: publish, history, live stream, long poll, outbox sync, grants, dead letters, webhooks, health.

mod batch;
mod coordination;
mod dlq;
mod grants;
mod health;
mod history;
mod origin;
mod publish;
mod stream;
mod sync;
mod webhooks;
mod work;

use crate::{
    AppState,
    auth::{Caller, Scope},
    problem::Result,
};
use restis::events::Events;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The group's routes.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(publish::publish))
        .routes(routes!(history::history))
        .routes(routes!(stream::poll))
        .routes(routes!(stream::stream))
        .routes(routes!(sync::sync))
        .routes(routes!(grants::grant))
        .routes(routes!(dlq::list))
        .routes(routes!(dlq::inspect))
        .routes(routes!(dlq::redrive))
        .routes(routes!(dlq::purge))
        .routes(routes!(coordination::hint))
        .routes(routes!(webhooks::receive))
        .routes(routes!(work::tick))
        .routes(routes!(health::health))
}

/// The history that a caller may use.
fn events_of(
    state: &AppState,
    caller: &Caller,
    scope: Scope,
    organisation: Option<&str>,
) -> Result<Events> {
    caller.require(scope)?;
    caller.require_organisation(organisation)?;
    match organisation {
        Some(organisation) => Ok(state.events().of_organisation(organisation)?),
        None => Ok(state.events().clone()),
    }
}
