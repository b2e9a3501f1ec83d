//! The browser's own session: read, change, extend, sign out.

use super::{
    Browser, answer, no_session, private,
    view::{CurrentSession, SessionView},
};
use crate::{
    ApiJson, AppState,
    client_ip::ClientIp,
    deferred::Deferred,
    problem::{Problem, ProblemDocument, Result},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use restis::session::{Absence, Changes, Loaded, Rotated, Rotation, Sessions, Updated};
use serde_json::{Map, Value};

/// Gives the browser's own session, or `null`; never writes before it answers.
#[utoipa::path(get, path = "/api/session", tag = "session", security((), ("session_cookie" = [])),
    responses(
        (status = 200, description = "The session, or `null`", body = CurrentSession),
        (status = 429, description = "Too many cookies that nobody was given", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn current(
    State(state): State<AppState>,
    deferred: Deferred,
    ip: ClientIp,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let browser = Browser::new(&state, &method, &headers, ip)?;
    let sessions = browser.sessions;
    let loaded = match browser.token()? {
        Ok(token) => sessions.load(&token).await?,
        Err(absence) => Loaded::Absent(absence),
    };
    let session = match loaded {
        Loaded::Live(session) => session,
        Loaded::Absent(absence) => {
            let body = Json(CurrentSession {
                session: None,
                csrf_token: None,
            });
            return Ok(private(cleared(sessions, absence, body.into_response())));
        }
        _ => return Err(Problem::internal()),
    };
    sessions.notice_device(&session, headers.get(header::USER_AGENT));
    let body = Json(CurrentSession {
        session: Some(SessionView::of(&session)?),
        csrf_token: Some(sessions.csrf_token(&session)?),
    });
    let response = answer(sessions, &session, body);
    browser.extend_later(&deferred, session);
    Ok(response)
}

/// Changes fields of the browser's own session by JSON merge patch (RFC 7396); `null` removes a field.
///
/// `If-Match` with the `ETag` of a read refuses the change when the session changed meanwhile.
#[utoipa::path(patch, path = "/api/session", tag = "session", security(("session_cookie" = [])),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, description = "Changed", body = SessionView),
        (status = 400, description = "The patch is not valid", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No live session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The request comes from another site", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "The session changed meanwhile", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "The session would hold too much", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The browser may not change this field", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing and required", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many cookies that nobody was given", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn change(
    State(state): State<AppState>,
    deferred: Deferred,
    ip: ClientIp,
    method: Method,
    headers: HeaderMap,
    ApiJson(patch): ApiJson<Map<String, Value>>,
) -> Result<Response> {
    let browser = Browser::new(&state, &method, &headers, ip)?;
    let sessions = browser.sessions;
    if let Some(name) = patch.keys().find(|n| !sessions.config().is_client_field(n)) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "field-read-only",
            "The browser may not change this field",
        )
        .detail("the operator names those it may in SESSION_CLIENT_FIELDS")
        .member("field", name.as_str()));
    }
    let mut session = browser.live().await?;
    let mut changes = Changes::merge_patch(&patch);
    match headers.get(header::IF_MATCH) {
        // It exists, which is all that this asks for.
        Some(tag) if tag == "*" => {}
        Some(tag) => changes = changes.if_version(version(tag)?),
        None if sessions.config().requires_if_match() => {
            return Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "precondition-required",
                "The change must say which version it is for",
            )
            .detail("send the `ETag` of a read as `If-Match`"));
        }
        None => {}
    }
    if changes.is_empty() {
        return Err(Problem::invalid("the patch changes nothing"));
    }
    match sessions.update(&mut session, &changes).await? {
        Updated::Done { .. } => {}
        Updated::Conflict { version } => {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "session-conflict",
                "The session changed meanwhile",
            )
            .member("version", version));
        }
        Updated::Gone => return Err(no_session()),
        _ => {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "value-too-large",
                "The session would hold too much",
            ));
        }
    }
    let response = answer(sessions, &session, Json(SessionView::of(&session)?));
    browser.extend_later(&deferred, session);
    Ok(response)
}

/// Signs out: ends the browser's own session and removes the cookie, also when it had ended already.
///
/// With `?clear=site-data` the browser also drops its cache and storage of this site.
#[utoipa::path(delete, path = "/api/session", tag = "session", security((), ("session_cookie" = [])),
    responses(
        (status = 204, description = "Signed out"),
        (status = 403, description = "The request comes from another site", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many cookies that nobody was given", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn logout(
    State(state): State<AppState>,
    ip: ClientIp,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let browser = Browser::new(&state, &method, &headers, ip)?;
    let sessions = browser.sessions;
    if let Ok(token) = browser.token()? {
        browser.same_site(&token)?;
        sessions.logout_token(&token).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response
        .headers_mut()
        .insert(header::SET_COOKIE, sessions.clear_cookie());
    if uri.query() == Some("clear=site-data") {
        response.headers_mut().insert(
            "clear-site-data",
            HeaderValue::from_static("\"cache\", \"storage\""),
        );
    }
    Ok(private(response))
}

/// Extends the browser's own session and renews its identifier when that is due.
#[utoipa::path(post, path = "/api/session/refresh", tag = "session", security(("session_cookie" = [])),
    responses(
        (status = 200, description = "Extended", body = SessionView),
        (status = 401, description = "No live session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The request comes from another site", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many cookies that nobody was given", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn refresh(
    State(state): State<AppState>,
    ip: ClientIp,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let browser = Browser::new(&state, &method, &headers, ip)?;
    let sessions = browser.sessions;
    let mut session = browser.live().await?;
    if session.needs_rotation(sessions.now_ms()) {
        match sessions.rotate(&session, &Rotation::periodic()).await? {
            Rotated::Done(renewed) => session = renewed,
            // A parallel request renewed it; its answer carries the cookie.
            Rotated::Superseded => {}
            Rotated::Gone => return Err(no_session()),
            _ => return Err(Problem::internal()),
        }
    } else {
        sessions.touch_now(&mut session).await?;
    }
    let body = Json(SessionView::of(&session)?);
    Ok(answer(sessions, &session, body))
}

fn version(tag: &HeaderValue) -> Result<u64> {
    let text = tag.to_str().unwrap_or_default();
    let number = text
        .trim()
        .strip_prefix("\"v")
        .and_then(|t| t.strip_suffix('"'));
    number
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| Problem::invalid("`If-Match` must be the `ETag` of a read"))
}

fn cleared(sessions: &Sessions, absence: Absence, mut response: Response) -> Response {
    if absence.clears_cookie() {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, sessions.clear_cookie());
    }
    response
}
