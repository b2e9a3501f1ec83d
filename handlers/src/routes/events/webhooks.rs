//! `POST /api/events/webhooks/{sender}`: signed webhooks of others become events.

use super::{
    origin::Origin,
    publish::{self, Verdict, text},
};
use crate::{
    AppState,
    problem::{Problem, ProblemDocument, Result},
};
use axum::{
    body::Bytes,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, header};
use restis::{
    clock::{Clock as _, SystemClock},
    events::{Event, check_name},
};
use serde_json::{Value, json};

/// Takes a [Standard Webhook](https://www.standardwebhooks.com/) and publishes it as an event, once.
///
/// The signature is the credential. A JSON body becomes the data of an event of type `SENDER.TYPE`, where `TYPE` is its
/// member `type`, or `SENDER.received`; its id is `webhook-id`. A body of type `application/cloudevents+json` is the event.
#[utoipa::path(post, path = "/api/events/webhooks/{sender}", tag = "events",
    params(
        ("sender" = String, Path, description = "A name of EVENTS_INCOMING_WEBHOOKS"),
        ("webhook-id" = String, Header, description = "The message's id, the same whenever it is sent"),
        ("webhook-timestamp" = String, Header, description = "Unix seconds, five minutes away at most"),
        ("webhook-signature" = String, Header, description = "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; several by blanks"),
    ),
    request_body(content = Value, content_type = "application/json"),
    responses(
        (status = 200, description = "It was published before", body = Verdict),
        (status = 201, description = "It is published", body = Verdict),
        (status = 202, description = "Told to this instance's clients only; nothing is stored", body = Verdict),
        (status = 400, description = "The body is not valid", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "The signature is not accepted, or nobody has this name", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The sender may not send this type", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The id was used for another event, or the data does not fit the schema of its type", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer; send again", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 504, description = "It may be stored; send again", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn receive(
    State(state): State<AppState>,
    Path(sender): Path<String>,
    origin: Origin,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response> {
    let body = body.map_err(|_| Problem::too_large())?;
    // An unknown name and a wrong signature look the same from outside.
    let known = state.config().webhooks.incoming.get(&sender);
    let known = known.ok_or_else(Problem::signature_invalid)?;
    let field = |name: &str| text(&headers, name).unwrap_or_default();
    let now_s = SystemClock::new().now_ms() / 1000;
    let (id, at) = (field("webhook-id"), field("webhook-timestamp"));
    let verified = known
        .keys
        .verify(id, at, field("webhook-signature"), &body, now_s);
    verified.map_err(|error| {
        tracing::warn!(%error, sender, "a webhook is refused");
        Problem::signature_invalid()
    })?;
    let payload: Value = serde_json::from_slice(&body)
        .map_err(|e| Problem::invalid(format!("the body is not JSON: {e}")))?;
    let kind = field(header::CONTENT_TYPE.as_str());
    let event = if kind.starts_with("application/cloudevents+json") {
        Event::from_json(payload)?
    } else {
        let named = payload.get("type").and_then(Value::as_str);
        let named = named.filter(|named| check_name(named).is_ok());
        let kind = format!("{sender}.{}", named.unwrap_or("received"));
        Event::from_json(json!({
            "type": kind, "id": id, "source": format!("/webhooks/{sender}"), "data": payload
        }))?
    };
    if !known.types.matches(&event.kind) {
        return Err(Problem::forbidden("the sender may not send this type"));
    }
    let events = match &known.organisation {
        Some(organisation) => &state.events().of_organisation(organisation)?,
        None => state.events(),
    };
    publish::one(&state, events, origin.mark(event), true, &HeaderMap::new()).await
}
