//! `POST /api/events/sync`: a client's outbox in, what it missed out, in one request.

use super::{
    described::EventBody,
    grants::{Access, Credential},
    history::{Page, switched_off},
    origin::{Origin, put_below, segment},
};
use crate::{
    AppState,
    extract::ApiJson,
    problem::{Problem, Result, responses::JsonProblems},
};
use axum::{Json, extract::State, response::IntoResponse};
use http::header;
use restis::{
    Delivery, Error, ErrorKind,
    events::{Cursor, Event, HistoryQuery, Producer, TypeFilter, Verdict, check_scope},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What a client has to tell, and where it stands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncRequest {
    /// The client's own name, the same for ever: 1 to 64 letters, digits, `-` and `_`.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$", example = "phone-1")]
    client: String,
    /// The outbox's epoch: a number that grows whenever the client loses its outbox.
    #[schema(minimum = 0, example = 1)]
    epoch: u64,
    /// The number of the first event below; numbers begin with 1 and rise by one.
    #[schema(minimum = 1)]
    first: Option<u64>,
    /// CloudEvents of the outbox in the order of their numbers, 100 at most. Each has an `id` of its own.
    #[serde(default)]
    #[schema(max_items = 100, value_type = Vec<EventBody>)]
    events: Vec<Value>,
    /// The cursor of the last event that the client has; without it nothing is given but the end.
    after: Option<String>,
    /// Missed events wanted, 1 to 500; 100 when absent.
    #[schema(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Missed events of these types only: `a.b`, everything below `a.*`; all when absent.
    #[serde(default)]
    #[schema(max_items = 64)]
    types: Vec<String>,
    /// The organisation whose history it is.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

/// What became of one event of the outbox.
#[derive(Debug, Serialize, ToSchema)]
struct Sent {
    /// Its number.
    number: u64,
    /// `accepted`, `duplicate` and `rejected`: delete it from the outbox. `gap`: send from `expected` on. `fenced`: a newer outbox exists, stop.
    status: &'static str,
    /// Where it is in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// The number that must come next.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Both directions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncAnswer {
    /// A verdict for each event of the outbox, in order.
    results: Vec<Sent>,
    /// What the client missed.
    missed: Page,
}

impl Sent {
    fn of(number: u64, verdict: &Verdict) -> Self {
        let mut sent = Self {
            number,
            status: "duplicate",
            cursor: None,
            expected: None,
            detail: None,
        };
        match verdict {
            Verdict::New(cursor) => {
                sent.status = "accepted";
                sent.cursor = Some(cursor.to_string());
            }
            Verdict::Rejected(error) => {
                sent.status = "rejected";
                sent.detail = Some(error.to_string());
            }
            Verdict::Gap { expected } => {
                sent.status = "gap";
                sent.expected = Some(*expected);
            }
            Verdict::Fenced { .. } => sent.status = "fenced",
            _ => {}
        }
        sent
    }
}

problems!(
    SyncProblems:
    400 "The request is not valid",
    401 "No accepted service token",
    403 "The token lacks `events:publish` or `events:read`, the grant `publish`, or either the organisation",
    503 "The store does not answer; send the same again"
);

/// Takes a client's outbox and gives what it missed.
///
/// Sending the same again is safe: events that were handled are `duplicate`. An event that is refused for good is
/// `rejected` and does not hold up those behind it. On 503 nothing may be deleted from the outbox.
#[utoipa::path(post, path = "/api/events/sync", tag = "events", security(("service_token" = []), ("grant" = [])),
    request_body = SyncRequest,
    responses(
        (status = 200, description = "A verdict for each event, and what was missed", body = SyncAnswer),
        SyncProblems, JsonProblems,
    ))]
pub(super) async fn sync(
    State(state): State<AppState>,
    credential: Credential,
    origin: Origin,
    ApiJson(body): ApiJson<SyncRequest>,
) -> Result<impl IntoResponse> {
    let Access {
        events,
        types,
        publish,
        subject,
        ..
    } = credential.access(&state, body.organisation.as_deref())?;
    if !body.events.is_empty() && publish.is_none() {
        return Err(Problem::forbidden(
            "the token needs the scope `events:publish`, the grant types to `publish`",
        ));
    }
    if !state.config().redis_events {
        return Err(switched_off());
    }
    if body.events.len() > 100 {
        return Err(Problem::invalid("an outbox part has at most 100 events"));
    }
    let limit = body.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Problem::invalid("`limit` is from 1 to 500"));
    }
    check_scope(&body.client)
        .map_err(|_| Problem::invalid("`client` has 1 to 64 letters, digits, `-` and `_`"))?;
    let producer = Producer::new(body.client, body.epoch)?;
    let own_source = subject.map(|subject| format!("/subjects/{}", segment(&subject)));
    let types = types.and(&TypeFilter::from_list(&body.types)?.or_all());
    let after = body.after.as_deref().filter(|a| !a.is_empty());
    let after = after.map(str::parse::<Cursor>).transpose()?;
    let mut results = Vec::new();
    if !body.events.is_empty() {
        let first = body
            .first
            .ok_or_else(|| Problem::invalid("`first` is the number of the first event"))?;
        let refuse = |why: String| Error::new(ErrorKind::InvalidInput, Delivery::NotSent, why);
        let schemas = &state.config().schemas;
        let read = |json: Value| {
            // An id made here would be another one when the same is sent again.
            if json.get("id").is_none_or(Value::is_null) {
                return Err(refuse("an event of an outbox needs an `id`".into()));
            }
            let mut event = Event::from_json(json)?;
            if let Some(own) = &own_source {
                put_below(&mut event, own)?;
            }
            if !publish.matches(&event.kind) {
                return Err(refuse("the grant does not allow this type".into()));
            }
            let fits = schemas.check(&event);
            fits.map_or_else(
                |mismatch| Err(refuse(mismatch.to_string())),
                |()| Ok(origin.mark(event)),
            )
        };
        let outbox = body.events.into_iter().map(read).collect();
        let verdicts = events.publish_outbox(&producer, first, outbox).await?;
        results = (first..)
            .zip(&verdicts)
            .map(|(n, v)| Sent::of(n, v))
            .collect();
    }
    // Read after the outbox went in: the page holds the client's own events too.
    let query = HistoryQuery::new().limit(limit).among(types);
    let after = match after {
        Some(cursor) => cursor,
        None => events.begin().await?,
    };
    let page = events.history(&query.after(after)).await?;
    let missed = Page::of(&page);
    let body = Json(SyncAnswer { results, missed });
    Ok(([(header::CACHE_CONTROL, "no-store")], body))
}
