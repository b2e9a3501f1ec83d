//! `POST /api/events/webhooks/{sender}`: signed webhooks of others become events.

use super::{
    origin::{Origin, put_below},
    publish::{self, BATCH, ONE, Verdict, text},
};
use crate::{
    ApiPath, AppState,
    problem::{Problem, Result},
};
use axum::{body::Bytes, extract::State, response::Response};
use http::HeaderMap;
use restis::{
    Delivery, Error, ErrorKind,
    events::{Event, check_name},
};
use serde_json::{Value, json};

problems!(
    ReceiveProblems:
    400 "The body is not valid",
    401 "The signature is not accepted, or nobody has this name",
    403 "The sender may not send this type",
    413 "The body is too large",
    422 "The id was used for another event, or the data does not fit the schema of its type",
    503 "The store does not answer; send again",
    504 "It may be stored; send again"
);

/// Takes a [Standard Webhook](https://www.standardwebhooks.com/) and publishes it as an event, once.
///
/// The signature is the credential. A JSON body becomes the data of an event of type `SENDER.TYPE`, where `TYPE` is its
/// member `type`, or `SENDER.received`; its id is `webhook-id`. A body of type `application/cloudevents+json` is the event, of type
/// `application/cloudevents-batch+json` an array of events; without an `id` they have that of the message. The `source` is
/// `/webhooks/SENDER`, or below it.
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
        (status = 207, description = "A verdict for each event of a batch", body = Vec<Verdict>),
        ReceiveProblems,
    ))]
pub(super) async fn receive(
    State(state): State<AppState>,
    ApiPath(sender): ApiPath,
    origin: Origin,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response> {
    let body = body.map_err(|_| Problem::body_too_large(state.config().max_body_bytes))?;
    // An unknown name and a wrong signature look the same from outside.
    let known = state.config().webhooks.incoming.get(&sender);
    let known = known.ok_or_else(Problem::signature_invalid)?;
    let field = |name: &str| text(&headers, name).unwrap_or_default();
    let now_s = state.now_ms() / 1000;
    let (id, at) = (field("webhook-id"), field("webhook-timestamp"));
    let verified = known
        .keys
        .verify(id, at, field("webhook-signature"), &body, now_s);
    verified.map_err(|error| {
        tracing::warn!(%error, sender, "a webhook is refused");
        Problem::signature_invalid()
    })?;
    let own = format!("/webhooks/{sender}");
    let events = match &known.organisation {
        Some(organisation) => &state.events().of_organisation(organisation)?,
        None => state.events(),
    };
    let events = events.of_principal("sender", &sender);
    let payload = publish::json(&body)?;
    let media = publish::media_type(&headers);
    if media == BATCH {
        let Value::Array(items) = payload else {
            return Err(Problem::invalid("the body is not an array of events"));
        };
        let read = |(at, item): (usize, Value)| {
            let mut event = Event::from_json(with_id(item, &format!("{id}#{at}")))?;
            put_below(&mut event, &own)?;
            if known.types.matches(&event.kind) {
                return Ok(origin.mark(event));
            }
            let why = "the sender may not send this type";
            Err(Error::new(ErrorKind::InvalidInput, Delivery::NotSent, why))
        };
        let read = items.into_iter().enumerate().map(read).collect();
        return publish::batch(&state, &events, read, true, None).await;
    }
    let mut event = if media == ONE {
        publish::structured(with_id(payload, id))?
    } else {
        let named = payload.get("type").and_then(Value::as_str);
        let named = named.filter(|named| check_name(named).is_ok());
        let kind = format!("{sender}.{}", named.unwrap_or("received"));
        Event::from_json(json!({ "type": kind, "id": id, "data": payload }))?
    };
    put_below(&mut event, &own)?;
    if !known.types.matches(&event.kind) {
        return Err(Problem::forbidden("the sender may not send this type"));
    }
    publish::one(&state, &events, origin.mark(event), true, None).await
}

/// An event without an id has that of its message: a repeat is stored once.
fn with_id(mut event: Value, id: &str) -> Value {
    if let Some(members) = event.as_object_mut()
        && members.get("id").is_none_or(Value::is_null)
    {
        members.insert("id".into(), id.into());
    }
    event
}
