//! A page of history as a CloudEvents batch, for consumers that know nothing of ours.

use crate::problem::{Problem, Result};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, StatusCode, header};
use restis::events::{Event, HistoryPage};

const BATCH: &str = "application/cloudevents-batch+json";
/// Where the next page begins; a batch has no room for it.
static CURSOR: HeaderName = HeaderName::from_static("events-cursor");
/// Offsets of this page that hold no event that can be read, by comma.
static UNREADABLE: HeaderName = HeaderName::from_static("events-unreadable");

/// Whether the caller wants a batch rather than a page.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).into_iter();
    accept
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|kind| kind.trim() == BATCH)
        })
}

/// The events alone, oldest first.
///
/// # Errors
/// 410 where a page says `reset`: a batch cannot, and must not look complete.
pub(super) fn respond(page: &HistoryPage) -> Result<Response> {
    let cursor = page.cursor.to_string();
    if let Some(reset) = page.reset {
        let problem = Problem::new(
            StatusCode::GONE,
            "history-reset",
            "Events after the cursor are missing",
        )
        .detail("load the state anew, then go on from `cursor`")
        .member("reason", reset.name());
        return Err(problem.member("cursor", cursor));
    }
    let events: Vec<&Event> = page.events.iter().map(|stored| &stored.event).collect();
    let body = serde_json::to_string(&events).map_err(|_| Problem::internal())?;
    let mut response = ([(header::CONTENT_TYPE, BATCH)], body).into_response();
    if let Ok(cursor) = cursor.parse() {
        response.headers_mut().insert(CURSOR.clone(), cursor);
    }
    let unreadable = page.unreadable.iter().map(|at| at.offset().to_string());
    let unreadable = unreadable.collect::<Vec<_>>().join(",");
    if let Some(offsets) = unreadable.parse().ok().filter(|_| !unreadable.is_empty()) {
        response.headers_mut().insert(UNREADABLE.clone(), offsets);
    }
    Ok(response)
}
