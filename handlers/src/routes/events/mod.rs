//! `/api/events`: publish, history, live stream, long poll, health.

mod health;
mod history;
mod publish;
mod stream;

use crate::{
    AppState,
    auth::{Caller, Scope},
    problem::Result,
};
use restis::events::Events;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The group's routes.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(publish::publish))
        .routes(routes!(history::history))
        .routes(routes!(stream::poll))
        .routes(routes!(stream::stream))
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
