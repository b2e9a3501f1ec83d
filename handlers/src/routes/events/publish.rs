//! `POST /api/events/publish`.

use super::{described::PublishBody, events_of, origin::Origin};
use crate::{
    AppState,
    auth::{Caller, Scope},
    extract::{ApiQuery, idempotency_key},
    problem::{Problem, Result, responses::JsonProblems},
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use restis::{
    Delivery,
    events::{DedupKey, Event, Events, EventsConfig, Outcome, Status, is_reserved_type},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The media type of one event, and of an array of them.
pub(super) const ONE: &str = "application/cloudevents+json";
pub(super) const BATCH: &str = "application/cloudevents-batch+json";

/// How long ids that were made here are known.
const MADE_ID: Duration = Duration::from_secs(600);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishQuery {
    /// The organisation whose history it is; none is the history that all share.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

/// What happened to one event.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Verdict {
    /// `published`, `duplicate`, or `local`; in a batch also `rejected` (for good), `retry` (not stored) or `unknown` (maybe stored: send it again with the same `id`).
    status: &'static str,
    /// In a batch the event's place, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// The event's id; absent for a `duplicate` of an event with another id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Where it is in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// Its number, dense within an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Whether it is stored.
    durable: bool,
    /// `instance`: only clients of this instance were told, and nothing is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    /// Nobody knows whether it is stored too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unknown: bool,
}

impl Verdict {
    fn rejected(detail: impl ToString) -> Self {
        Self {
            status: "rejected",
            detail: Some(detail.to_string()),
            ..Self::default()
        }
    }

    fn of(event: &Event, outcome: &Outcome) -> Self {
        let status = match outcome.status {
            Status::New => "published",
            Status::Duplicate => "duplicate",
            Status::Mismatch => {
                return Self::rejected("the idempotency key was used for another event");
            }
        };
        Self {
            status,
            // With a key the stored event may have another id than the repeat.
            id: outcome.cursor.is_of(event).then(|| event.id.clone()),
            cursor: Some(outcome.cursor.to_string()),
            offset: Some(outcome.cursor.offset()),
            durable: true,
            ..Self::default()
        }
    }

    /// Told to this instance's listeners only, and saying so.
    fn local(state: &AppState, events: &Events, event: &Event, unknown: bool) -> Self {
        state.hub().tell(events, event);
        state.redis().metrics().count("events_local_only", 1);
        Self {
            status: "local",
            id: Some(event.id.clone()),
            scope: Some("instance"),
            unknown,
            ..Self::default()
        }
    }

    fn not_stored(event: &Event, unknown: bool) -> Self {
        Self {
            status: if unknown { "unknown" } else { "retry" },
            id: Some(event.id.clone()),
            unknown,
            ..Self::default()
        }
    }
}

problems!(
    PublishProblems:
    400 "The event is not valid",
    401 "No accepted service token",
    403 "The token lacks `events:publish` or the organisation",
    422 "The key was used for another event, the type is reserved, or the data does not fit the schema of its type",
    503 "The store does not answer; nothing is stored, send again",
    504 "`outcome-unknown`: it may be stored; send again with the same key, or the `id` that the answer names"
);

/// Publishes one event, or up to 100 as an array: each is stored, numbered and announced at once.
///
/// With an `Idempotency-Key`, else with the `id` and `source` of the event, an event is published once, however often it
/// is sent; a key of a batch holds for each of its places. CloudEvents come structured, batched, or binary (`ce-*` headers). Types of `EVENTS_BEST_EFFORT_TYPES` are told
/// to this instance's clients while the store is away, and the answer says so.
#[utoipa::path(post, path = "/api/events/publish", tag = "events", security(("service_token" = [])), params(PublishQuery),
    request_body(content = PublishBody, content_type = "application/json"),
    responses(
        (status = 200, description = "It was published before with the same key", body = Verdict),
        (status = 201, description = "It is published", body = Verdict),
        (status = 202, description = "Told to this instance's clients only; nothing is stored", body = Verdict),
        (status = 207, description = "A verdict for each event of a batch", body = Vec<Verdict>),
        PublishProblems, JsonProblems,
    ))]
pub(super) async fn publish(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PublishQuery>,
    origin: Origin,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response> {
    let events = events_of(
        &state,
        &caller,
        Scope::EventsPublish,
        query.organisation.as_deref(),
    )?;
    let body = body.map_err(|_| Problem::body_too_large(state.config().max_body_bytes))?;
    let key = idempotency_key(&headers)?;
    match read(&headers, &body)? {
        Body::Binary(event) => {
            let given = headers.contains_key("ce-id");
            one(&state, &events, origin.mark(*event), given, key.as_deref()).await
        }
        Body::One(json) => {
            let given = json.get("id").is_some_and(|id| !id.is_null());
            let event = origin.mark(structured(json)?);
            one(&state, &events, event, given, key.as_deref()).await
        }
        Body::Batch(items) => {
            let given = |item: &Value| item.get("id").is_some_and(|id| !id.is_null());
            let given = items.iter().any(given);
            let read = |item| Event::from_json(item).map(|event| origin.mark(event));
            let read = items.into_iter().map(read).collect();
            batch(&state, &events, read, given, key.as_deref()).await
        }
    }
}

/// Publishes one event; `given` says that its id is the caller's.
pub(super) async fn one(
    state: &AppState,
    events: &Events,
    event: Event,
    given: bool,
    key: Option<&str>,
) -> Result<Response> {
    if let Err(mismatch) = state.config().schemas.check(&event) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "schema-mismatch",
            "The event does not fit its schema",
        )
        .detail(mismatch.to_string())
        .member("errors", json!(mismatch.places)));
    }
    if !state.config().redis_events {
        let verdict = Verdict::local(state, events, &event, false);
        return Ok((StatusCode::ACCEPTED, Json(verdict)).into_response());
    }
    let events = if key.is_none() && !given {
        &remembered_shortly(events)
    } else {
        events
    };
    let known_by = key.map_or(DedupKey::Event, DedupKey::Key);
    let outcome = events.publish_once(&event, known_by).await;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) if error.is_unavailable() => {
            tracing::warn!(%error, "an event is not published");
            let unknown = error.delivery() == Delivery::MaybeExecuted;
            if state.config().best_effort.matches(&event.kind) {
                let verdict = Verdict::local(state, events, &event, unknown);
                return Ok((StatusCode::ACCEPTED, Json(verdict)).into_response());
            }
            if !unknown {
                state.redis().metrics().count("events_refused", 1);
                return Err(error.into());
            }
            let problem = outcome_unknown(state, 1);
            return Err(if key.is_some() {
                problem.detail("it may be stored: send it again with the same Idempotency-Key")
            } else {
                problem
                    .detail("it may be stored: send it again with this `id` and `source`")
                    .member("id", event.id)
                    .member("source", event.source)
            });
        }
        Err(error) => return Err(error.into()),
    };
    let status = match outcome.status {
        Status::New => StatusCode::CREATED,
        Status::Duplicate => StatusCode::OK,
        Status::Mismatch => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-mismatch",
                "The key was used for another request",
            ));
        }
    };
    Ok((status, Json(Verdict::of(&event, &outcome))).into_response())
}

/// Publishes a batch as far as it could be read; `given` says that ids are the caller's.
pub(super) async fn batch(
    state: &AppState,
    events: &Events,
    read: Vec<restis::Result<Event>>,
    given: bool,
    batch_key: Option<&str>,
) -> Result<Response> {
    if read.is_empty() || read.len() > 100 {
        return Err(Problem::invalid("a batch has 1 to 100 events"));
    }
    let known = batch_key.is_some() || given;
    let schemas = &state.config().schemas;
    let check = |event: restis::Result<Event>| {
        let event = event.map_err(|error| error.to_string())?;
        event.validate().map_err(|error| error.to_string())?;
        let fits = schemas.check(&event);
        fits.map_or_else(|mismatch| Err(mismatch.to_string()), |()| Ok(event))
    };
    let read: Vec<Result<Event, String>> = read.into_iter().map(check).collect();
    // The same batch again has the same events at the same places.
    let known_by = |at| batch_key.map_or(DedupKey::Event, |key| DedupKey::Place(key, at));
    let valid = read.iter().enumerate();
    let good: Vec<_> = valid
        .filter_map(|(at, event)| Some((event.as_ref().ok()?, Some(known_by(at)))))
        .collect();
    let sent = if good.is_empty() {
        Ok(Vec::new())
    } else if !state.config().redis_events {
        Err(None)
    } else if known {
        events.publish_batch(&good).await.map_err(Some)
    } else {
        let sent = remembered_shortly(events).publish_batch(&good).await;
        sent.map_err(Some)
    };
    let mut verdicts: Vec<Verdict> = match sent {
        Ok(outcomes) => {
            let mut outcomes = outcomes.iter();
            let verdict = |read: &_| match read {
                Err(error) => Verdict::rejected(error),
                Ok(event) => outcomes
                    .next()
                    .map_or_else(Verdict::default, |outcome| Verdict::of(event, outcome)),
            };
            read.iter().map(verdict).collect()
        }
        Err(Some(error)) if !error.is_unavailable() => return Err(error.into()),
        Err(error) => {
            let off = error.is_none();
            let best_effort = &state.config().best_effort;
            let local = |event: &Event| off || best_effort.matches(&event.kind);
            let unknown = error
                .as_ref()
                .is_some_and(|e| e.delivery() == Delivery::MaybeExecuted);
            if let Some(error) = error.filter(|_| !read.iter().flatten().any(local)) {
                if !unknown {
                    return Err(error.into());
                }
                tracing::warn!(%error, "a batch may be published");
                let ids: Vec<&str> = read.iter().flatten().map(|e| e.id.as_str()).collect();
                let problem = outcome_unknown(state, ids.len() as u64);
                return Err(if batch_key.is_some() {
                    problem.detail("they may be stored: send the same batch again with the same Idempotency-Key")
                } else {
                    problem
                        .detail("they may be stored: send them again with these `ids`, in order of the valid events")
                        .member("ids", ids)
                });
            }
            let verdict = |read: &_| match read {
                Err(error) => Verdict::rejected(error),
                Ok(event) if local(event) => Verdict::local(state, events, event, unknown),
                Ok(event) => Verdict::not_stored(event, unknown),
            };
            read.iter().map(verdict).collect()
        }
    };
    for (index, verdict) in verdicts.iter_mut().enumerate() {
        verdict.index = Some(index);
    }
    Ok((StatusCode::MULTI_STATUS, Json(verdicts)).into_response())
}

/// An id that was made here comes back only when the caller learned it from an unknown outcome.
fn remembered_shortly(events: &Events) -> Events {
    let config = events.settings();
    events.clone().config(EventsConfig {
        dedup_window: config.dedup_window.min(MADE_ID),
        ..config
    })
}

fn outcome_unknown(state: &AppState, events: u64) -> Problem {
    state
        .redis()
        .metrics()
        .count("events_indeterminate", events);
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "outcome-unknown",
        "Nobody knows whether it is stored",
    )
    .retry_after(Duration::from_secs(1))
}

fn reserved_type() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "reserved-type",
        "The event type is reserved",
    )
    .detail("streams, keys or channels of the service have this name: choose another one")
}

/// A header as text, if it is.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The media type of the body, lower case, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// What a body holds.
pub(super) enum Body {
    Binary(Box<Event>),
    One(Value),
    Batch(Vec<Value>),
}

/// Reads a body; its type decides what it holds, whatever other headers there are.
///
/// Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3-http-message-mapping>.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<Body> {
    let media = media_type(headers);
    match media.as_str() {
        ONE => match json(body)? {
            one @ Value::Object(_) => Ok(Body::One(one)),
            _ => Err(Problem::invalid("the body is not one event")),
        },
        BATCH => match json(body)? {
            Value::Array(items) => Ok(Body::Batch(items)),
            _ => Err(Problem::invalid("the body is not an array of events")),
        },
        _ if !media.starts_with("application/cloudevents") && has_attributes(headers) => {
            if text(headers, "ce-type").is_some_and(is_reserved_type) {
                return Err(reserved_type());
            }
            let event = Event::from_binary(headers, body)?;
            let missing = || Problem::invalid("a binary CloudEvent needs the header `ce-type`");
            event
                .map(|event| Body::Binary(Box::new(event)))
                .ok_or_else(missing)
        }
        "application/json" => match json(body)? {
            Value::Array(items) => Ok(Body::Batch(items)),
            one => Ok(Body::One(one)),
        },
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body's type is not supported",
        )
        .detail("send JSON, or CloudEvents: structured, batched, or binary with `ce-*` headers")),
    }
}

/// Whether headers say that the body is the data of an event.
fn has_attributes(headers: &HeaderMap) -> bool {
    let needed = ["ce-type", "ce-id", "ce-source", "ce-specversion"];
    needed.iter().any(|name| headers.contains_key(*name))
}

pub(super) fn json(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|e| Problem::invalid(format!("the body is not JSON: {e}")))
}

/// One event of its JSON.
pub(super) fn structured(json: Value) -> Result<Event> {
    let kind = json.get("type").and_then(Value::as_str);
    if kind.is_some_and(is_reserved_type) {
        return Err(reserved_type());
    }
    Ok(Event::from_json(json)?)
}
