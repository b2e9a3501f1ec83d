//! The sessions of the user who asks: list, end one, end all others.

use super::{
    Browser, no_session, private,
    view::{ListedSession, Revoked},
};
use crate::{
    ApiPath,
    problem::{Problem, Result, responses::CookieProblems},
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use restis::session::{Session, Sessions};

problems!(
    ListProblems:
    401 "No live session of a user"
);

/// Lists the sessions of the user who asks.
#[utoipa::path(get, path = "/api/sessions", tag = "session", security(("session_cookie" = [])),
    responses(
        (status = 200, description = "The sessions", body = Vec<ListedSession>),
        ListProblems, CookieProblems,
    ))]
pub(super) async fn list(browser: Browser) -> Result<Response> {
    let sessions = &browser.sessions;
    let session = browser.live().await?;
    let user = session.subject().ok_or_else(no_session)?;
    let listed = sessions.list(user, Some(&session)).await?;
    let listed: Vec<ListedSession> = listed.into_iter().map(Into::into).collect();
    Ok(private(Json(listed).into_response()))
}

problems!(
    RevokeOthersProblems:
    401 "No live session of a user",
    403 "The request comes from another site, or the sign-in is too old"
);

/// Ends all other sessions of the user who asks, also logins that are on their way.
///
/// Asks for a sign-in or step-up within `SESSION_FRESH_AUTH`.
#[utoipa::path(post, path = "/api/sessions/revoke-others", tag = "session", security(("session_cookie" = [])),
    responses(
        (status = 200, description = "How many ended", body = Revoked),
        RevokeOthersProblems, CookieProblems,
    ))]
pub(super) async fn revoke_others(browser: Browser) -> Result<Response> {
    let sessions = &browser.sessions;
    let session = browser.live().await?;
    session.user().ok_or_else(no_session)?;
    fresh(sessions, &session)?;
    let revoked = sessions.revoke_others(&session).await?;
    Ok(private(Json(Revoked { revoked }).into_response()))
}

problems!(
    RevokeOneProblems:
    400 "The id is not valid",
    401 "No live session of a user",
    403 "The request comes from another site, or the sign-in is too old",
    404 "The user has no such session"
);

/// Ends one session of the user who asks; a session of someone else is simply not found.
///
/// Asks for a sign-in or step-up within `SESSION_FRESH_AUTH`, except for the session itself.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "session", security(("session_cookie" = [])),
    params(("id" = String, Path, description = "The public id", max_length = 64)),
    responses(
        (status = 204, description = "Ended"),
        RevokeOneProblems, CookieProblems,
    ))]
pub(super) async fn revoke_one(ApiPath(id): ApiPath, browser: Browser) -> Result<Response> {
    let sessions = &browser.sessions;
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
