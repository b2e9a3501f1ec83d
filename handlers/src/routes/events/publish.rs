//! `POST /api/events/publish`.

use super::events_of;
use crate::{
    AppState,
    auth::{Caller, Scope},
    extract::ApiQuery,
    problem::{Problem, ProblemDocument, Result},
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use restis::events::{Event, Outcome, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishQuery {
    /// The organisation whose history it is; none is the history that all share.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

/// One event: a CloudEvent of version 1.0; only `type` is needed.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body; the library reads it")]
pub(super) struct EventBody {
    /// Words of letters, digits and `_`, joined by dots.
    #[schema(
        rename = "type",
        max_length = 128,
        pattern = r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$",
        example = "booking.created"
    )]
    kind: String,
    /// Unique for its source; made when absent.
    id: Option<String>,
    /// Where it comes from; `/` when absent.
    source: Option<String>,
    /// Any JSON.
    data: Option<Value>,
}

/// What happened to one event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Verdict {
    /// `published`, `duplicate`, or `rejected` in a batch.
    status: &'static str,
    /// The event's id.
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
    /// Whether it is stored; `false` only while the history is switched off.
    durable: bool,
}

impl Verdict {
    fn rejected(detail: impl ToString) -> Self {
        Self {
            status: "rejected",
            id: None,
            cursor: None,
            offset: None,
            detail: Some(detail.to_string()),
            durable: false,
        }
    }
    fn of(event: &Event, outcome: &Outcome) -> Self {
        if outcome.status == Status::Mismatch {
            return Self::rejected("the idempotency key was used for another event");
        }
        Self {
            status: if outcome.status == Status::New {
                "published"
            } else {
                "duplicate"
            },
            id: Some(event.id.clone()),
            cursor: Some(outcome.cursor.to_string()),
            offset: Some(outcome.cursor.offset()),
            detail: None,
            durable: true,
        }
    }
}

/// Publishes one event, or up to 100 as an array: each is stored, numbered and announced at once.
///
/// With an `Idempotency-Key` (for a batch each event's `id` and `source`) an event is published once, however
/// often it is sent. CloudEvents come structured, batched, or binary (`ce-*` headers).
#[utoipa::path(post, path = "/api/events/publish", tag = "events", security(("service_token" = [])), params(PublishQuery),
    request_body(content = EventBody, content_type = "application/json"),
    responses(
        (status = 200, description = "It was published before with the same key", body = Verdict),
        (status = 201, description = "It is published", body = Verdict),
        (status = 202, description = "The history is switched off; nothing is stored", body = Verdict),
        (status = 207, description = "A verdict for each event of a batch", body = Vec<Verdict>),
        (status = 400, description = "The event is not valid", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No accepted service token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks `events:publish` or the organisation", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The key was used for another event", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer; send again with the same key", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn publish(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PublishQuery>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response> {
    let events = events_of(
        &state,
        &caller,
        Scope::EventsPublish,
        query.organisation.as_deref(),
    )?;
    let body = body.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is too large",
        )
    })?;
    let json = read(&headers, &body)?;
    if let Value::Array(items) = json {
        return batch(&state, &events, items).await;
    }
    let event = Event::from_json(json)?;
    if !state.config().redis_events {
        let verdict =
            json!({ "status": "published", "id": event.id, "durable": false, "scope": "instance" });
        return Ok((StatusCode::ACCEPTED, Json(verdict)).into_response());
    }
    let key = headers.get("idempotency-key").map(|v| {
        v.to_str()
            .map_err(|_| Problem::invalid("`Idempotency-Key` is not text"))
    });
    let outcome = match key.transpose()? {
        Some(key) => events.publish_once(&event, key).await?,
        None => events.publish(&event).await?,
    };
    if outcome.status == Status::Mismatch {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-mismatch",
            "The key was used for another event",
        ));
    }
    let status = if outcome.status == Status::New {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(Verdict::of(&event, &outcome))).into_response())
}

async fn batch(
    state: &AppState,
    events: &restis::events::Events,
    items: Vec<Value>,
) -> Result<Response> {
    if items.is_empty() || items.len() > 100 {
        return Err(Problem::invalid("a batch has 1 to 100 events"));
    }
    // An id that was given is the key; one made here could never repeat.
    let read: Vec<_> = items
        .into_iter()
        .map(|item| {
            let given = item.get("id").is_some();
            Event::from_json(item).map(|event| {
                let key = given.then(|| format!("{} {}", event.source, event.id));
                (event, key.filter(|k| k.len() <= 256))
            })
        })
        .collect();
    let good: Vec<_> = read
        .iter()
        .flatten()
        .map(|(event, key)| (event, key.as_deref()))
        .collect();
    let mut outcomes = if good.is_empty() || !state.config().redis_events {
        Vec::new()
    } else {
        events.publish_batch(&good).await?
    }
    .into_iter();
    let verdicts: Vec<Verdict> = read
        .iter()
        .map(|read| match read {
            Err(error) => Verdict::rejected(error),
            Ok((event, _)) => match outcomes.next() {
                Some(outcome) => Verdict::of(event, &outcome),
                None => Verdict {
                    status: "published",
                    id: Some(event.id.clone()),
                    cursor: None,
                    offset: None,
                    detail: None,
                    durable: false,
                },
            },
        })
        .collect();
    Ok((StatusCode::MULTI_STATUS, Json(verdicts)).into_response())
}

/// The body as structured CloudEvents, whichever of the three forms it came in.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<Value> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let kind = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if text("ce-type").is_none() {
        let known = [
            "application/json",
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
        ];
        if !known.contains(&kind.as_str()) {
            return Err(unsupported());
        }
        return serde_json::from_slice(body)
            .map_err(|e| Problem::invalid(format!("the body is not JSON: {e}")));
    }
    let mut event = serde_json::Map::new();
    for (name, value) in headers {
        if let (Some(attribute), Ok(value)) = (name.as_str().strip_prefix("ce-"), value.to_str()) {
            event.insert(attribute.to_owned(), value.into());
        }
    }
    if !body.is_empty() {
        if kind != "application/json" && !kind.ends_with("+json") {
            return Err(unsupported());
        }
        let data = serde_json::from_slice(body)
            .map_err(|e| Problem::invalid(format!("the body is not JSON: {e}")))?;
        event.insert("data".into(), data);
    }
    Ok(Value::Object(event))
}

fn unsupported() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body's type is not supported",
    )
    .detail("send JSON, or CloudEvents as JSON")
}
