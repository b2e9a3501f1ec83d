//! `GET /api/events/history`.

use super::{batch, grants::reader};
use crate::{
    AppState,
    extract::ApiQuery,
    live::COORDINATION,
    problem::{
        Problem, Result,
        responses::{QueryProblems, ServiceProblems},
    },
};
use axum::{Json, extract::State, response::IntoResponse};
use http::{HeaderMap, header};
use restis::events::{Cursor, HistoryPage, HistoryQuery, TypeFilter, parse_time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// The cursor that an earlier answer gave; from the oldest event when absent.
    pub(super) after: Option<String>,
    /// Events read for one page, 1 to 500; 100 when absent. With a filter a page may hold fewer.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<u32>,
    /// Only these types: `a.b`, everything below `a.*` (or `a.`), by comma.
    #[serde(rename = "type")]
    #[param(rename = "type", max_length = 1024, example = "booking.*")]
    pub(super) kind: Option<String>,
    /// Only events with this `correlationid`.
    #[param(max_length = 512)]
    pub(super) correlation_id: Option<String>,
    /// Received at this time or later: RFC 3339, or unix milliseconds.
    #[param(max_length = 40, example = "2026-01-01T00:00:00Z")]
    since: Option<String>,
    /// Received before this time: RFC 3339, or unix milliseconds.
    #[param(max_length = 40)]
    until: Option<String>,
    /// The organisation whose history it is.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    pub(super) organisation: Option<String>,
    /// As `after`, by the name that polyfills of `EventSource` give it; for streams.
    #[serde(rename = "lastEventId")]
    #[param(rename = "lastEventId", max_length = 64)]
    pub(super) last_event_id: Option<String>,
    /// A grant, where the header `Authorization` cannot be set.
    #[param(max_length = 4096)]
    pub(super) grant: Option<String>,
}

impl Filter {
    /// The question, as far as the reader may ask it.
    pub(super) fn query(&self, allowed: &TypeFilter) -> Result<HistoryQuery> {
        let types = allowed.and(&self.types()?);
        let limit = self.limit.unwrap_or(100);
        let mut query = HistoryQuery::new().limit(limit).among(types);
        let after = self.after.as_deref().filter(|a| !a.is_empty());
        if let Some(after) = after.or(self.last_event_id.as_deref().filter(|a| !a.is_empty())) {
            query = query.after(after.parse::<Cursor>()?);
        }
        if let Some(id) = &self.correlation_id {
            query = query.correlated(id);
        }
        if let Some(ms) = time_of("since", self.since.as_deref())? {
            query = query.since_ms(ms);
        }
        if let Some(ms) = time_of("until", self.until.as_deref())? {
            query = query.until_ms(ms);
        }
        if !(1..=500).contains(&limit) {
            return Err(Problem::invalid("`limit` is from 1 to 500"));
        }
        Ok(query)
    }

    /// The types that are asked for.
    fn types(&self) -> Result<TypeFilter> {
        let Some(text) = self.kind.as_deref().filter(|kind| *kind != COORDINATION) else {
            return Ok(self
                .kind
                .as_ref()
                .map_or(TypeFilter::all(), |_| TypeFilter::none()));
        };
        let below = |kind: &str| match kind.trim().strip_suffix('.') {
            Some(above) => format!("{above}.*"),
            None => kind.to_owned(),
        };
        let patterns: Vec<String> = text.split(',').map(below).collect();
        let types = TypeFilter::parse(&patterns.join(","));
        types
            .ok()
            .filter(|types| !types.is_none())
            .ok_or_else(|| Problem::invalid("`type` is `a.b`, `a.*` or `*`, by comma, 64 at most"))
    }
}

/// A time as unix milliseconds or RFC 3339, in unix milliseconds.
fn time_of(name: &str, text: Option<&str>) -> Result<Option<u64>> {
    let read = |text: &str| match text.parse::<u64>() {
        Ok(ms) => Some(ms).filter(|ms| *ms < 1 << 53),
        Err(_) => parse_time(text),
    };
    text.map(|text| {
        read(text)
            .ok_or_else(|| Problem::invalid(format!("`{name}` is RFC 3339 or unix milliseconds")))
    })
    .transpose()
}

/// One page of history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page {
    /// CloudEvents, oldest first, each with its `cursor`, `offset` and `received_ms`.
    events: Vec<Placed>,
    /// Places of this page that hold no event that can be read, whatever its type; absent when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unreadable: Vec<Unreadable>,
    /// What to send as `after` next, as it is: its parts are no part of the API.
    cursor: String,
    /// Whether more events follow.
    has_more: bool,
    /// The reader missed events: load the state anew, then go on from `cursor`.
    reset: bool,
    /// Why: `epoch_changed`, `trimmed` or `unknown_cursor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Placed {
    /// The event's place.
    cursor: String,
    /// Its number, dense within an epoch.
    offset: u64,
    /// When it was received, in unix milliseconds; rises with the offset.
    received_ms: u64,
    /// The CloudEvent.
    event: Value,
}

/// A place whose event cannot be read.
#[derive(Debug, Serialize, ToSchema)]
struct Unreadable {
    /// The place.
    cursor: String,
    /// Its number.
    offset: u64,
}

impl Page {
    pub(super) fn of(page: &HistoryPage) -> Self {
        Self {
            events: page
                .events
                .iter()
                .map(|stored| Placed {
                    cursor: stored.cursor.to_string(),
                    offset: stored.cursor.offset(),
                    received_ms: stored.received_ms,
                    event: serde_json::to_value(&stored.event).unwrap_or_default(),
                })
                .collect(),
            unreadable: page
                .unreadable
                .iter()
                .map(|place| Unreadable {
                    cursor: place.to_string(),
                    offset: place.offset(),
                })
                .collect(),
            cursor: page.cursor.to_string(),
            has_more: page.has_more,
            reset: page.reset.is_some(),
            reason: page.reset.map(restis::events::Reset::name),
        }
    }
}

problems!(
    HistoryProblems:
    403 "The token lacks `events:read` or the organisation",
    410 "A batch is wanted, and events after the cursor are missing"
);

/// Reads events after a cursor; a cursor that is too old gets a reset, never a silent gap.
///
/// With `Accept: application/cloudevents-batch+json` the answer is the array of events alone; the header `events-cursor`
/// has what to send as `after` next, `events-unreadable` the offsets that hold no event that can be read, and a reset is
/// answered with 410.
#[utoipa::path(get, path = "/api/events/history", tag = "events", security(("service_token" = []), ("grant" = []), ("grant_in_query" = [])), params(Filter),
    responses(
        (status = 200, description = "A page", body = Page),
        HistoryProblems, ServiceProblems, QueryProblems,
    ))]
pub(super) async fn history(
    State(state): State<AppState>,
    headers: HeaderMap,
    ApiQuery(filter): ApiQuery<Filter>,
) -> Result<impl IntoResponse> {
    let access = reader(&state, &headers, &filter)?;
    if !state.config().redis_events {
        return Err(switched_off());
    }
    let page = access.events.history(&filter.query(&access.types)?).await?;
    let body = if batch::wanted(&headers) {
        batch::respond(&page)?
    } else {
        Json(Page::of(&page)).into_response()
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], body))
}

pub(super) fn switched_off() -> Problem {
    Problem::new(
        http::StatusCode::SERVICE_UNAVAILABLE,
        "history-off",
        "The history is switched off",
    )
    .detail("ENABLE_REDIS_EVENTS is false: events stay within one instance")
}
