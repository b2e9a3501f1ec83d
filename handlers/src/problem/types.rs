//! The registry of problem types: what a `type` means and with which status it comes.

use http::StatusCode;
use serde::Serialize;

/// A problem type of the API. Types are only added, never changed or reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProblemType {
    /// The last part of the type's URI.
    pub code: &'static str,
    /// The status that it comes with.
    pub status: StatusCode,
    /// The same text for every occurrence.
    pub title: &'static str,
    /// When it is answered, and what the caller can do.
    pub meaning: &'static str,
}

/// The entry of the API description.
#[derive(Serialize)]
pub(crate) struct Described {
    r#type: String,
    status: u16,
    title: &'static str,
    description: &'static str,
}

impl ProblemType {
    /// The stable URI: `urn:restis:problem:CODE`.
    pub fn uri(&self) -> String {
        super::uri(self.code)
    }

    pub(crate) fn described(&self) -> Described {
        Described {
            r#type: self.uri(),
            status: self.status.as_u16(),
            title: self.title,
            description: self.meaning,
        }
    }
}

const fn of(
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    meaning: &'static str,
) -> ProblemType {
    ProblemType {
        code,
        status,
        title,
        meaning,
    }
}

/// Every problem type of the API, by status.
#[rustfmt::skip]
pub const TYPES: &[ProblemType] = &[
    of(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid",
        "it cannot be understood; `detail` says why"),
    of(StatusCode::UNAUTHORIZED, "unauthenticated", "Credentials are missing or not accepted",
        "no service token or grant, a wrong or an expired one"),
    of(StatusCode::UNAUTHORIZED, "session-missing", "There is no live session",
        "no session cookie, or its session ended: sign in"),
    of(StatusCode::UNAUTHORIZED, "signature-invalid", "The signature is not accepted",
        "an unknown sender, a wrong or missing signature, or a time more than five minutes away"),
    of(StatusCode::FORBIDDEN, "forbidden", "The caller may not do this",
        "the token lacks a scope or the organisation; `detail` names it"),
    of(StatusCode::FORBIDDEN, "csrf-failed", "The request comes from another site",
        "a change with a session cookie from elsewhere, or without `X-CSRF-Token`"),
    of(StatusCode::FORBIDDEN, "step-up-required", "The user must prove who they are again",
        "the sign-in is older than `max_age_seconds` (`SESSION_FRESH_AUTH`): sign in again, or step up"),
    of(StatusCode::FORBIDDEN, "denied", "The caller is on a deny list",
        "waiting does not help"),
    of(StatusCode::NOT_FOUND, "not-found", "Nothing is here",
        "no such route, policy, session or dead letter"),
    of(StatusCode::NOT_FOUND, "grants-off", "Grants are switched off",
        "the operator has to set `EVENTS_GRANT_SECRETS`"),
    of(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here",
        "`Allow` lists those that are"),
    of(StatusCode::REQUEST_TIMEOUT, "request-timeout", "The request did not arrive in time",
        "the rest of its body is missing after `REQUEST_TIMEOUT`: nothing was done"),
    of(StatusCode::CONFLICT, "session-limit", "The user has as many sessions as allowed",
        "end one first; `live` says how many there are"),
    of(StatusCode::CONFLICT, "stale-auth", "The user signed out everywhere meanwhile",
        "the login began before that: check the credentials again"),
    of(StatusCode::CONFLICT, "assertion-used", "The login assertion was used before",
        "an assertion is good once, for a login or a step-up: check the credentials again"),
    of(StatusCode::CONFLICT, "signature-used", "The signed request was received before",
        "a `webhook-id` is good once: sign the request anew with another one"),
    of(StatusCode::GONE, "history-reset", "Events after the cursor are missing",
        "load the state anew, then go on from `cursor`; `reason` says why"),
    of(StatusCode::PRECONDITION_FAILED, "session-conflict", "The session changed meanwhile",
        "read it again, then change it; `version` is the present one"),
    of(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large",
        "the body is larger than `MAX_BODY_BYTES`, or than the store takes"),
    of(StatusCode::PAYLOAD_TOO_LARGE, "value-too-large", "The session would hold too much",
        "nothing was changed"),
    of(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body's type is not supported",
        "send JSON and say so in `Content-Type`, without `Content-Encoding`"),
    of(StatusCode::UNPROCESSABLE_ENTITY, "field-read-only", "The browser may not change this field",
        "`SESSION_CLIENT_FIELDS` names those it may; `field` is the wrong one"),
    of(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch", "The key was used for another request",
        "an `Idempotency-Key` belongs to one event, or one login"),
    of(StatusCode::UNPROCESSABLE_ENTITY, "reserved-type", "The event type is reserved",
        "streams, keys or channels of the service have this name: choose another one"),
    of(StatusCode::UNPROCESSABLE_ENTITY, "schema-mismatch", "The event does not fit its schema",
        "`errors` lists where (RFC 6901) and why; or the type has no schema and needs one"),
    of(StatusCode::PRECONDITION_REQUIRED, "precondition-required", "The change must say which version it is for",
        "send the `ETag` of a read as `If-Match`; `SESSION_REQUIRE_IF_MATCH` asks for it"),
    of(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests",
        "wait as long as `Retry-After` says; without it the cost never fits"),
    of(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The service failed",
        "a fault of the service; its log has the `x-request-id`"),
    of(StatusCode::NOT_IMPLEMENTED, "not-streaming", "The platform does not stream",
        "use `/api/events/poll`"),
    of(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "The store does not answer",
        "repeat after `Retry-After`"),
    of(StatusCode::SERVICE_UNAVAILABLE, "store-refused", "The store refuses the service",
        "the operator has to correct the store's URL or token"),
    of(StatusCode::SERVICE_UNAVAILABLE, "sessions-off", "Sessions are not configured",
        "the operator has to set `SESSION_SECRETS`"),
    of(StatusCode::SERVICE_UNAVAILABLE, "history-off", "The history is switched off",
        "`ENABLE_REDIS_EVENTS` is `false`"),
    of(StatusCode::GATEWAY_TIMEOUT, "timeout", "The answer took too long",
        "longer than `REQUEST_TIMEOUT`: what was asked for may or may not have happened"),
    of(StatusCode::GATEWAY_TIMEOUT, "outcome-unknown", "Nobody knows whether it is stored",
        "the store's answer is missing: send it again as `detail` says, it is stored once"),
];
