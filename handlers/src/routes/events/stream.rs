//! `GET /api/events/stream` (server-sent events) and `GET /api/events/poll` (long poll).

use super::{
    grants::{Access, reader},
    history::{Filter, Page, switched_off},
};
use crate::{
    AppState,
    extract::ApiQuery,
    host::Stopping,
    live::{COORDINATION, Listener, Signal, frame, message_name},
    problem::{
        Problem, Result,
        responses::{QueryProblems, ServiceProblems},
    },
};
use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Sse, sse},
};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode, header};
use restis::{
    Result as StoreResult,
    events::{Cursor, Event, Events, HistoryPage, HistoryQuery, Reset},
    transport::time::{Instant, timeout_at},
};
use serde_json::json;
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use utoipa::ToSchema;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Clients come back after a planned end.
const RETRY: Duration = Duration::from_secs(1);
/// The clients of a process that ends come back within this time.
const MOST_APART: Duration = Duration::from_secs(4);
/// Clients come back, and the store is asked again, after an outage.
const MOST_OUTAGE: Duration = Duration::from_secs(10);
/// The subscription must stand within this time, or it is an outage.
const SUBSCRIBE: Duration = Duration::from_secs(5);
/// Bytes of events that wait for one client, beside the newest.
const MOST_WAITING: usize = 256 * 1024;
/// Local events that wait for one client while the store is asked for.
const MOST_LOCAL: usize = 256;

problems!(
    PollProblems:
    403 "The token lacks `events:read` or the organisation"
);

/// Waits up to a few seconds for events after a cursor, for platforms that do not stream.
#[utoipa::path(get, path = "/api/events/poll", tag = "events", security(("service_token" = []), ("grant" = []), ("grant_in_query" = [])), params(Filter),
    responses(
        (status = 200, description = "A page; empty when nothing came in time", body = Page),
        PollProblems, ServiceProblems, QueryProblems,
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
    let mut query = filter.query(&types)?;
    let deadline = Instant::now() + state.config().request_timeout.mul_f64(0.8);
    let mut listener = state.hub().listen(&events);
    let _ = timeout_at(deadline, listener.ready()).await;
    loop {
        let page = events.history(&query).await?;
        let told = !page.events.is_empty() || !page.unreadable.is_empty() || page.reset.is_some();
        let done = told || Instant::now() >= deadline;
        if done {
            return Ok(([(header::CACHE_CONTROL, "no-store")], Json(Page::of(&page))));
        }
        // What a filter passed over needs no second look.
        query = query.after(page.cursor);
        if !page.has_more {
            let _ = timeout_at(deadline, worth_reading(&mut listener, &query)).await;
        }
    }
}

/// Waits for a signal after which the history may hold something that the query wants.
async fn worth_reading(listener: &mut Listener, query: &HistoryQuery) {
    loop {
        match listener.next().await {
            Signal::Hint(_) | Signal::Local(_) => {}
            Signal::Event(live) if !query.wants(&live.stored.event) => {}
            _ => return,
        }
    }
}

/// One message of a stream of server-sent events.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written as text")]
struct StreamMessage {
    /// The type of the event, or `ready`, `reset`, `unreadable`, `outage`, `resumed`, `bye`.
    event: Option<String>,
    /// JSON: a CloudEvent, or what the stream says of itself.
    data: Option<String>,
    /// The cursor, for `Last-Event-ID`.
    id: Option<String>,
}

problems!(
    StreamProblems:
    401 "No accepted service token",
    403 "The token lacks `events:read` or the organisation",
    501 "The platform does not stream: use /api/events/poll"
);

/// Streams events as server-sent events: what was missed first, then live, each with its cursor as `id`.
///
/// `Last-Event-ID` (or `lastEventId`, or `after` in the query) continues where a client was; one that is no cursor is a
/// `reset`. Besides the events' own types the stream sends
/// `ready` (with the cursor where it begins), `reset` (load the state anew), `unreadable` (the event of this `offset` cannot
/// be read), `outage` and `resumed` (the store broke and
/// came back; nothing is missing after `resumed`), and `bye` with a `reason` before it ends. An event without `id` has
/// `"durable": false`: only this instance knows it.
#[utoipa::path(get, path = "/api/events/stream", tag = "events", security(("service_token" = []), ("grant" = []), ("grant_in_query" = [])), params(Filter),
    responses(
        (status = 200, description = "The stream", body = StreamMessage, content_type = "text/event-stream"),
        StreamProblems, QueryProblems,
    ))]
pub(super) async fn stream(
    State(state): State<AppState>,
    ApiQuery(mut filter): ApiQuery<Filter>,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse> {
    let Access {
        events,
        types,
        left,
        subject,
        ..
    } = reader(&state, &headers, &filter)?;
    if !state.host().streams() {
        return Err(Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "not-streaming",
            "The platform does not stream",
        )
        .detail("use /api/events/poll, or set LAMBDA_INVOKE_MODE where the function URL streams"));
    }
    let (after, unknown) = place(&headers, &filter);
    (filter.after, filter.last_event_id) = (None, None);
    let local = !state.config().redis_events;
    let events_are_shared = events.organisation().is_none();
    let time = spread(state.config().stream_time, draw());
    let reader = Reader {
        listener: if local {
            state.hub().listen_locally(&events)
        } else {
            state.hub().listen(&events)
        },
        events,
        query: filter.query(&types)?.bytes(MOST_WAITING),
        // A new client starts at the end, one that comes back where it was.
        start: if after.is_some() || local {
            Start::Known
        } else if unknown {
            Start::Reset
        } else {
            Start::End
        },
        place: after,
        ready: VecDeque::from([sse::Event::default().retry(RETRY)]),
        // A grant that ends closes its stream.
        end: Instant::now() + left.map_or(time, |left| left.min(time)),
        hints: subject.is_none()
            && events_are_shared
            && filter.kind.as_deref() == Some(COORDINATION),
        why: if left.is_some_and(|left| left < time) {
            "expired"
        } else {
            "drain"
        },
        stopping: stopping.map(|Extension(stopping)| stopping),
        again: (!local).then(Instant::now),
        outage: false,
        over: false,
    };
    let stream = Sse::new(reader.into_stream());
    Ok((
        [
            (header::CACHE_CONTROL, "no-store, no-transform"),
            (http::HeaderName::from_static("x-accel-buffering"), "no"),
        ],
        stream,
    ))
}

/// Where a client was, and whether it names a place that is none.
///
/// Any answer but 200 would end its `EventSource` for good. The header is the browser's own; the query is what those
/// without headers send.
fn place(headers: &HeaderMap, filter: &Filter) -> (Option<Cursor>, bool) {
    let header = headers.get("last-event-id");
    let header = header.map(|value| value.to_str().unwrap_or("not text"));
    let query = filter.last_event_id.as_deref().filter(|id| !id.is_empty());
    let given = header.filter(|id| !id.is_empty()).or(query);
    match given
        .or(filter.after.as_deref())
        .filter(|id| !id.is_empty())
    {
        Some(text) => text.parse().map_or((None, true), |at| (Some(at), false)),
        None => (None, false),
    }
}

/// The planned length of one stream: up to a tenth less, so that clients do not come back all at once.
fn spread(time: Duration, draw: f64) -> Duration {
    time.mul_f64(1.0 - draw / 10.0)
}

/// From 0 to 1.
fn draw() -> f64 {
    let mut bytes = [0; 2];
    // Without randomness all end at the same time, which is worse but not wrong.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX)
}

#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// Where the history ends, once that is known.
    End,
    /// The same, for a client that named a place that is none.
    Reset,
    /// `Reader::place`.
    Known,
}

/// One client's stream.
struct Reader {
    events: Events,
    listener: Listener,
    query: HistoryQuery,
    start: Start,
    place: Option<Cursor>,
    /// Frames that wait to be sent: one page at most, and the stream's own.
    ready: VecDeque<sse::Event>,
    end: Instant,
    why: &'static str,
    /// Where the host can tell that the process will end.
    stopping: Option<Stopping>,
    /// Whether hints of other processes are wanted, and allowed.
    hints: bool,
    /// When the history has to be read; live events may be sent only while it has not.
    again: Option<Instant>,
    outage: bool,
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
        let silent = Instant::now() + HEARTBEAT;
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if self.stopping.as_ref().is_some_and(Stopping::now) {
                self.over = true;
                // All of them leave at once: they must not come back at once.
                let again = RETRY + MOST_APART.mul_f64(draw());
                return Some(own("bye", &json!({ "reason": "drain" })).retry(again));
            }
            let now = Instant::now();
            if now >= self.end {
                self.over = true;
                let bye = own("bye", &json!({ "reason": self.why })).retry(RETRY);
                return Some(bye);
            }
            if self.again.is_some_and(|at| at <= now) {
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(%error, "a stream could not read the history");
                    let wait = error.retry_after().unwrap_or(RETRY).min(MOST_OUTAGE);
                    self.again = Some(Instant::now() + wait);
                    self.tell_outage();
                }
                continue;
            }
            let wake = self.again.map_or(self.end, |at| at.min(self.end));
            let signal = tokio::select! {
                signal = timeout_at(wake.min(silent), self.listener.next()) => signal,
                () = begins(self.stopping.as_mut()) => None,
            };
            match signal {
                Some(signal) => self.hear(signal),
                // A comment, which tells a client nothing, keeps the connection.
                None if Instant::now() >= silent => {
                    return Some(sse::Event::default().comment(""));
                }
                None => {}
            }
        }
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            // Reading the history will give it.
            Signal::Event(_) | Signal::End(_) | Signal::Missed if self.again.is_some() => {}
            Signal::Event(live) => {
                let cursor = &live.stored.cursor;
                let ahead = self.place.as_ref().and_then(|place| {
                    let same = place.epoch() == cursor.epoch();
                    same.then(|| cursor.offset().checked_sub(place.offset()))
                });
                match ahead {
                    Some(Some(1)) => {
                        self.place = Some(cursor.clone());
                        if self.query.wants(&live.stored.event) {
                            self.ready.push_back(live.frame.clone());
                        }
                    }
                    // It was in the history that was read.
                    Some(None | Some(0)) => {}
                    _ => self.again = Some(Instant::now()),
                }
            }
            Signal::Local(event) => {
                if self.query.wants(&event) {
                    self.ready.push_back(local_frame(&event));
                }
            }
            Signal::Hint(hint) => {
                if self.hints {
                    self.ready
                        .push_back(sse::Event::default().event("hint").data(&*hint));
                }
            }
            Signal::End(end) => {
                if end != self.place {
                    self.again = Some(Instant::now());
                }
            }
            Signal::Missed => self.again = Some(Instant::now()),
            Signal::Lost => {
                // Asking at once would not bring the store back.
                self.again = Some(Instant::now() + RETRY);
                self.tell_outage();
            }
        }
    }

    fn tell_outage(&mut self) {
        if !std::mem::replace(&mut self.outage, true) {
            let outage = own("outage", &json!({})).retry(MOST_OUTAGE);
            self.ready.push_back(outage);
        }
    }

    /// Reads one page after the place.
    async fn catch_up(&mut self) -> StoreResult<()> {
        // Reading before the subscription stands would lose what falls between.
        let (query, waiting) = (&self.query, &mut self.ready);
        let local = |event: &Event| {
            if waiting.len() < MOST_LOCAL && query.wants(event) {
                waiting.push_back(local_frame(event));
            }
        };
        if !self.listener.ready_within(SUBSCRIBE, local).await {
            self.again = Some(Instant::now() + RETRY);
            self.tell_outage();
            return Ok(());
        }
        if self.start != Start::Known {
            let place = self.events.begin().await?;
            let cursor = place.to_string();
            let start = match self.start {
                Start::Reset => {
                    let reason = Reset::UnknownCursor.name();
                    own("reset", &json!({ "reason": reason, "cursor": cursor }))
                }
                _ => own("ready", &json!({ "cursor": cursor })),
            };
            self.start = Start::Known;
            self.ready.push_back(start.id(cursor));
            self.place = Some(place);
        }
        let query = match &self.place {
            Some(place) => self.query.clone().after(place.clone()),
            None => self.query.clone(),
        };
        let page = self.events.history(&query).await?;
        self.again = page.has_more.then(Instant::now);
        if let Some(reset) = page.reset {
            let cursor = page.cursor.to_string();
            let reset = own(
                "reset",
                &json!({ "reason": reset.name(), "cursor": cursor }),
            );
            self.ready.push_back(reset.id(cursor));
        } else {
            self.ready.extend(frames(&page));
        }
        self.place = Some(page.cursor);
        if self.again.is_none() && std::mem::take(&mut self.outage) {
            self.ready
                .push_back(own("resumed", &json!({})).retry(RETRY));
        }
        Ok(())
    }
}

/// The events of a page, and what cannot be read, in the order of their places.
fn frames(page: &HistoryPage) -> impl Iterator<Item = sse::Event> {
    let mut unreadable = page.unreadable.iter().peekable();
    let mut events = page.events.iter().peekable();
    std::iter::from_fn(move || {
        let next = events.peek().map(|stored| stored.cursor.offset());
        let earlier = |place: &&Cursor| next.is_none_or(|next| place.offset() < next);
        if let Some(place) = unreadable.next_if(earlier) {
            let told = own("unreadable", &json!({ "offset": place.offset() }));
            return Some(told.id(place.to_string()));
        }
        events.next().map(frame)
    })
}

async fn begins(stopping: Option<&mut Stopping>) {
    match stopping {
        Some(stopping) => stopping.begins().await,
        None => std::future::pending().await,
    }
}

/// A message of the stream itself.
fn own(name: &str, data: &serde_json::Value) -> sse::Event {
    sse::Event::default().event(name).data(data.to_string())
}

/// Without an `id`: it has no place, and a client that comes back must not skip anything for it.
fn local_frame(event: &Event) -> sse::Event {
    let mut event = event.clone();
    event.extensions.insert("durable".into(), false.into());
    sse::Event::default()
        .event(message_name(&event.kind))
        .data(serde_json::to_string(&event).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planned_ends_are_spread_over_the_last_tenth() {
        let time = Duration::from_secs(240);
        assert_eq!(spread(time, 0.0), time);
        assert_eq!(spread(time, 1.0), Duration::from_secs(216));
        assert_eq!(spread(time, 0.5), Duration::from_secs(228));
        assert!((0..100).all(|_| (0.0..=1.0).contains(&draw())));
    }
}
