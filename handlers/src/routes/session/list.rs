//! The sessions of the user who asks: list, end one, end all others.

use super::{
    Browser, no_session, private,
    view::{ListedSession, Revoked},
};
use crate::{
    ApiPath, AppState,
    client_ip::ClientIp,
    problem::{Problem, ProblemDocument, Result},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, header};
use restis::session::{Session, Sessions};

/// Lists the sessions of the user who asks.
#[utoipa::path(get, path = "/api/sessions", tag = "session", security(("session_cookie" = [])),
    responses(
        (status = 200, description = "The sessions", body = Vec<ListedSession>),
        (status = 401, description = "No live session of a user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many cookies that nobody was given", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn list(
    State(state): State<AppState>,
    ip: ClientIp,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let browser = Browser::new(&state, &method, &headers, ip)?;
    let sessions = browser.sessions;
    let session = browser.live().await?;
    let user = session.subject().ok_or_else(no_session)?;
    let listed = sessions.list(user, Some(&session)).await?;
    let listed: Vec<ListedSession> = listed.into_iter().map(Into::into).collect();
    Ok(private(Json(listed).into_response()))
}

/// Ends all other sessions of the user who asks, also logins that are on their way.
///
/// Asks for a sign-in or step-up within `SESSION_FRESH_AUTH`.
#[utoipa::path(post, path = "/api/sessions/revoke-others", tag = "session", security(("session_cookie" = [])),
    responses(
        (status = 200, description = "How many ended", body = Revoked),
        (status = 401, description = "No live session of a user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The request comes from another site, or the sign-in is too old", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many cookies that nobody was given", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn revoke_others(
    State(state): State<AppState>,
    ip: ClientIp,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let browser = Browser::new(&state, &method, &headers, ip)?;
    let sessions = browser.sessions;
    let session = browser.live().await?;
    session.user().ok_or_else(no_session)?;
    fresh(sessions, &session)?;
    let revoked = sessions.revoke_others(&session).await?;
    Ok(private(Json(Revoked { revoked }).into_response()))
}

/// Ends one session of the user who asks; a session of someone else is simply not found.
///
/// Asks for a sign-in or step-up within `SESSION_FRESH_AUTH`, except for the session itself.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "session", security(("session_cookie" = [])),
    params(("id" = String, Path, description = "The public id", max_length = 64)),
    responses(
        (status = 204, description = "Ended"),
        (status = 400, description = "The id is not valid", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No live session of a user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The request comes from another site, or the sign-in is too old", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "The user has no such session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Too many cookies that nobody was given", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn revoke_one(
    State(state): State<AppState>,
    ApiPath(id): ApiPath,
    ip: ClientIp,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let browser = Browser::new(&state, &method, &headers, ip)?;
    let sessions = browser.sessions;
    let session = browser.live().await?;
    let user = session.subject().ok_or_else(no_session)?;
    let own = id == session.public_id();
    if !own {
        fresh(sessions, &session)?;
    }
    if id.len() > 64 || !sessions.revoke(user, &id).await? {
        return Err(Problem::not_found("the user has no such session"));
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if own {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, sessions.clear_cookie());
    }
    Ok(private(response))
}

/// Whoever merely found the browser open must not lock the user out.
fn fresh(sessions: &Sessions, session: &Session) -> Result<()> {
    match sessions.config().fresh_authentication_age() {
        Some(age) if !session.is_fresh(age, sessions.now_ms()) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "step-up-required",
            "The user must prove who they are again",
        )
        .member("max_age_seconds", age.as_secs())),
        _ => Ok(()),
    }
}
