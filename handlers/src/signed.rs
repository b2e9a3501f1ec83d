//! Requests that are signed rather than carrying a token: `Authorization: HMAC NAME`.
//!
//! The signature is a Standard Webhook's, over `METHOD PATH?QUERY`, a line break and the body. Each
//! `webhook-id` of a signer is accepted once.

use crate::{
    AppState,
    auth::Caller,
    extract::{IDEMPOTENCY_KEY, idempotency_key, quoted},
    problem::Problem,
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use restis::{
    commands::{SetOptions, StringCommands as _},
    identity::join,
};
use std::time::Duration;

const ID: &str = "webhook-id";

/// How long a signed request is remembered: as long as its time can be accepted, early or late.
const WINDOW: Duration = Duration::from_secs(2 * 300 + 60);
const MAX_ID_BYTES: usize = 256;
/// Stores what it takes under the request's id, so that a repeat is told as such and does nothing.
const REMEMBERS: &str = "/api/events/publish";

/// What a signature told: a route that needs no caller does not mind a wrong one.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    caller: Result<Caller, Problem>,
    id: String,
}

impl Signed {
    /// Who signed; the request is accepted once.
    pub(crate) async fn claim(&self, state: &AppState, parts: &Parts) -> Result<Caller, Problem> {
        let caller = self.caller.clone()?;
        let config = state.config();
        let remembers = config.redis_events && config.events.dedup_window >= WINDOW;
        if parts.uri.path() == REMEMBERS && remembers {
            return Ok(caller);
        }
        let key = format!("signed:{}", join([caller.name(), &self.id]));
        let once = SetOptions::new().nx().ex(WINDOW);
        let claimed = state.redis().set_with(key, "1", once).await?;
        if claimed.is_set() {
            return Ok(caller);
        }
        Err(Problem::new(
            StatusCode::CONFLICT,
            "signature-used",
            "The signed request was received before",
        )
        .detail("a `webhook-id` is good once: sign the request anew with another one"))
    }
}

/// Checks the signature of a request that has one; [`Caller`] takes it once.
pub(crate) async fn verify(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(name) = signer(request.headers()).map(str::to_owned) {
        match read(&state, request).await {
            Ok((mut parts, body)) => {
                let caller = accept(&state, &name, &mut parts, &body);
                let id = parts.headers.get(ID).and_then(|id| id.to_str().ok());
                let id = id.unwrap_or_default().to_owned();
                parts.extensions.insert(Signed { caller, id });
                request = Request::from_parts(parts, Body::from(body));
            }
            Err(problem) => return problem.into_response(),
        }
    }
    next.run(request).await
}

fn signer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, name) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("hmac").then(|| name.trim())
}

async fn read(state: &AppState, request: Request) -> Result<(Parts, Bytes), Problem> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, state.config().max_body_bytes).await;
    Ok((
        parts,
        body.map_err(|_| Problem::body_too_large(state.config().max_body_bytes))?,
    ))
}

fn accept(state: &AppState, name: &str, parts: &mut Parts, body: &[u8]) -> Result<Caller, Problem> {
    let field = |name: &str| {
        let value = parts.headers.get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default()
    };
    let target = parts.uri.path_and_query().map_or("/", |t| t.as_str());
    let mut signed = format!("{} {target}\n", parts.method).into_bytes();
    signed.extend_from_slice(body);
    let now_s = state.now_ms() / 1000;
    let (id, at) = (field(ID), field("webhook-timestamp"));
    let signatures = field("webhook-signature");
    let caller = state
        .tokens()
        .signer(name, |keys| keys.verify(id, at, signatures, &signed, now_s))
        .inspect_err(|why| tracing::warn!(why, "a signed request is refused"))
        .map_err(|_| Problem::signature_invalid())?;
    if id.len() > MAX_ID_BYTES {
        return Err(Problem::invalid("`webhook-id` has at most 256 bytes"));
    }
    only_what_is_signed(parts)?;
    Ok(caller)
}

/// Headers are not signed: none may say which event it is, and its id is the key of what it publishes.
fn only_what_is_signed(parts: &mut Parts) -> Result<(), Problem> {
    let mut names = parts.headers.keys();
    if names.any(|name| name.as_str().starts_with("ce-")) {
        return Err(Problem::invalid(
            "a signed request carries its event in the body, without `ce-*` headers",
        ));
    }
    let id = parts.headers.get(ID).and_then(|id| id.to_str().ok());
    let id = id.unwrap_or_default();
    if idempotency_key(&parts.headers)?.is_some_and(|key| key != id) {
        return Err(Problem::invalid(
            "`Idempotency-Key` of a signed request is its `webhook-id`",
        ));
    }
    // Quoted, since an id may have quotes of its own.
    let key = HeaderValue::try_from(quoted(id)).map_err(|_| Problem::internal())?;
    parts.headers.insert(IDEMPOTENCY_KEY, key);
    Ok(())
}
