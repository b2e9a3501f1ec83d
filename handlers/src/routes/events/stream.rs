//! `GET /api/events/stream` (server-sent events) and `GET /api/events/poll` (long poll).

use super::{
    grants::{Access, reader},
    history::{Filter, Page, switched_off},
};
use crate::{
    AppState,
    extract::ApiQuery,
    live::{Listener, Signal},
    problem::{Problem, ProblemDocument, Result},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Sse, sse},
};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode, header};
use restis::events::{Cursor, Events, HistoryQuery, Stored};
use serde_json::json;
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use tokio::time::Instant;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Without a message the position is compared with the history this often.
const POSITION_CHECK: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);

/// Waits up to a few seconds for events after a cursor, for platforms that do not stream.
#[utoipa::path(get, path = "/api/events/poll", tag = "events", security(("service_token" = []), ("grant" = []), ("grant_in_query" = [])), params(Filter),
    responses(
        (status = 200, description = "A page; empty when nothing came in time", body = Page),
        (status = 400, description = "The question is not valid", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No accepted service token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks `events:read` or the organisation", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn poll(
    State(state): State<AppState>,
    headers: HeaderMap,
    ApiQuery(filter): ApiQuery<Filter>,
) -> Result<impl IntoResponse> {
    let Access { events, types, .. } = reader(&state, &headers, &filter)?;
    if !state.config().redis_events {
        return Err(switched_off());
    }
    let mut query = filter.query()?.among(types);
    let deadline = Instant::now() + state.config().request_timeout.mul_f64(0.8);
    let mut listener = state.hub().listen(&events);
    let _ = tokio::time::timeout_at(deadline, listener.ready()).await;
    loop {
        let page = events.history(&query).await?;
        let done = !page.events.is_empty() || page.reset.is_some() || Instant::now() >= deadline;
        if done || (page.has_more && page.cursor.is_none()) {
            return Ok(([(header::CACHE_CONTROL, "no-store")], Json(Page::of(&page))));
        }
        if let Some(cursor) = &page.cursor {
            // What a filter passed over needs no second look.
            query = query.after(cursor.clone());
        }
        if !page.has_more {
            let _ = tokio::time::timeout_at(deadline, listener.next()).await;
        }
    }
}

/// Streams events as server-sent events: what was missed first, then live, each with its cursor as `id`.
///
/// `Last-Event-ID` (or `after`) continues where a client was. Besides the events' own types the stream sends
/// `reset` (load the state anew), `outage` and `resumed` (the store broke and came back; nothing is missing after
/// `resumed`), and `bye` before a planned end.
#[utoipa::path(get, path = "/api/events/stream", tag = "events", security(("service_token" = []), ("grant" = []), ("grant_in_query" = [])), params(Filter),
    responses(
        (status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        (status = 400, description = "The question is not valid", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No accepted service token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks `events:read` or the organisation", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 501, description = "The platform does not stream: use /api/events/poll", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn stream(
    State(state): State<AppState>,
    ApiQuery(mut filter): ApiQuery<Filter>,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    let Access {
        events,
        types,
        left,
    } = reader(&state, &headers, &filter)?;
    if !state.config().redis_events {
        return Err(switched_off());
    }
    if !state.host().streams() {
        return Err(Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "not-streaming",
            "The platform does not stream",
        )
        .detail("use /api/events/poll, or set LAMBDA_INVOKE_MODE where the function URL streams"));
    }
    if let Some(last) = headers.get("last-event-id") {
        filter.after = Some(
            last.to_str()
                .map_err(|_| Problem::invalid("`Last-Event-ID` is not text"))?
                .to_owned(),
        );
    }
    let query = filter.query()?.among(types);
    let mut listener = state.hub().listen(&events);
    if tokio::time::timeout(Duration::from_secs(5), listener.ready())
        .await
        .is_err()
    {
        return Err(Problem::unavailable());
    }
    // A new client starts at the end, one that comes back where it was.
    let first = match &filter.after {
        Some(after) if !after.is_empty() => Some(after.parse::<Cursor>()?),
        _ => events.end().await?,
    };
    // A grant that ends closes its stream.
    let time = state.config().stream_time;
    let end = Instant::now() + left.map_or(time, |left| left.min(time));
    let reader = Reader {
        events,
        listener,
        query,
        place: first,
        ready: VecDeque::new(),
        end,
        behind: true,
        over: false,
    };
    let stream =
        Sse::new(reader.into_stream()).keep_alive(sse::KeepAlive::new().interval(HEARTBEAT));
    Ok((
        [
            (header::CACHE_CONTROL, "no-store"),
            (http::HeaderName::from_static("x-accel-buffering"), "no"),
        ],
        stream,
    ))
}

/// One client's stream.
struct Reader {
    events: Events,
    listener: Listener,
    query: HistoryQuery,
    place: Option<Cursor>,
    /// Frames that wait to be sent: one page at most.
    ready: VecDeque<sse::Event>,
    end: Instant,
    /// The history has to be read before live events may be sent.
    behind: bool,
    over: bool,
}

impl Reader {
    fn into_stream(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
    }

    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if Instant::now() >= self.end {
                self.over = true;
                return Some(sse::Event::default().event("bye").retry(RETRY).data("{}"));
            }
            if self.behind {
                if let Some(event) = self.catch_up().await {
                    return Some(event);
                }
                continue;
            }
            let wake = self.end.min(Instant::now() + POSITION_CHECK);
            match tokio::time::timeout_at(wake, self.listener.next()).await {
                Ok(Signal::Event(stored)) => {
                    let ahead = self.place.as_ref().and_then(|place| {
                        let same = place.epoch() == stored.cursor.epoch();
                        same.then(|| stored.cursor.offset().checked_sub(place.offset()))
                    });
                    match ahead {
                        Some(Some(1)) => {
                            self.place = Some(stored.cursor.clone());
                            if self.query.wants(&stored.event) {
                                self.ready.push_back(frame(&stored));
                            }
                        }
                        // It was in the history that was read.
                        Some(None | Some(0)) => {}
                        _ => self.behind = true,
                    }
                }
                Ok(Signal::Resumed) => {
                    self.behind = true;
                    return Some(sse::Event::default().event("resumed").data("{}"));
                }
                Ok(Signal::Lost) => {
                    self.behind = true;
                    // Reading the history in a tight loop would not bring the store back.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    return Some(sse::Event::default().event("outage").data("{}"));
                }
                Err(_) => self.behind = true,
            }
        }
    }

    /// Reads one page after the place; gives a frame of its own when something must be told.
    async fn catch_up(&mut self) -> Option<sse::Event> {
        let query = match &self.place {
            Some(place) => self.query.clone().after(place.clone()),
            None => self.query.clone(),
        };
        let page = match self.events.history(&query).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "a stream could not read the history");
                let wait = error
                    .retry_after()
                    .unwrap_or(RETRY)
                    .min(Duration::from_secs(10));
                tokio::time::sleep_until(self.end.min(Instant::now() + wait)).await;
                return Some(sse::Event::default().event("outage").data("{}"));
            }
        };
        self.behind = page.has_more;
        let id = page.cursor.as_ref().map(ToString::to_string);
        if let Some(reset) = page.reset {
            self.place = page.cursor;
            let event = sse::Event::default()
                .event("reset")
                .data(json!({ "reason": reset.name(), "cursor": id }).to_string());
            return Some(match id {
                Some(id) => event.id(id),
                None => event,
            });
        }
        self.ready.extend(page.events.iter().map(frame));
        self.place = page.cursor.or(self.place.take());
        None
    }
}

fn frame(stored: &Stored) -> sse::Event {
    sse::Event::default()
        .id(stored.cursor.to_string())
        .event(&stored.event.kind)
        .data(serde_json::to_string(&stored.event).unwrap_or_default())
}
