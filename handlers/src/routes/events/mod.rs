//! `/api/events`: publish, history, live stream, long poll, outbox sync, grants, dead letters, webhooks, health.

mod batch;
mod coordination;
mod described;
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

group!(
    publish::publish,
    history::history,
    stream::poll,
    stream::stream,
    sync::sync,
    grants::grant,
    dlq::list,
    dlq::inspect,
    dlq::redrive,
    dlq::purge,
    coordination::hint,
    webhooks::receive,
    work::tick,
    health::health,
);

/// The history that a caller may use.
fn events_of(
    state: &AppState,
    caller: &Caller,
    scope: Scope,
    organisation: Option<&str>,
) -> Result<Events> {
    caller.require(scope)?;
    caller.require_organisation(organisation)?;
    let events = match organisation {
        Some(organisation) => &state.events().of_organisation(organisation)?,
        None => state.events(),
    };
    Ok(events.of_principal("token", caller.name()))
}
