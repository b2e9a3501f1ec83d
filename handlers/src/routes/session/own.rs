//! The browser's own session: read, change, extend, sign out.

use super::{
    Browser, answer, no_session, private,
    view::{CurrentSession, SessionView},
};
use crate::{
    ApiJson,
    deferred::Deferred,
    problem::{Problem, Result, responses::CookieProblems},
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use restis::session::{Absence, Changes, Loaded, Rotated, Rotation, Updated};
use serde_json::{Map, Value};

/// How often a patch is merged anew when the session changes meanwhile.
const MERGES: usize = 4;

/// Gives the browser's own session, or `null`; never writes before it answers.
#[utoipa::path(get, path = "/api/session", tag = "session", security((), ("session_cookie" = [])),
    responses(
        (status = 200, description = "The session, or `null`", body = CurrentSession),
        CookieProblems,
    ))]
pub(super) async fn current(deferred: Deferred, browser: Browser) -> Result<Response> {
    let sessions = &browser.sessions;
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
            return Ok(private(cleared(&browser, absence, body.into_response())));
        }
        _ => return Err(Problem::internal()),
    };
    sessions.notice_device(&session, browser.headers.get(header::USER_AGENT));
    let body = Json(CurrentSession {
        session: Some(SessionView::of(&session)?),
        csrf_token: Some(sessions.csrf_token(&session)?),
    });
    let response = answer(sessions, &session, body);
    browser.extend_later(&deferred, session);
    Ok(response)
}

problems!(
    ChangeProblems:
    400 "The patch is not valid",
    401 "No live session",
    403 "The request comes from another site",
    412 "The session changed meanwhile",
    413 "The session would hold too much",
    415 "The body is not JSON",
    422 "The browser may not change this field",
    428 "`If-Match` is missing and required"
);

/// Changes fields of the browser's own session by JSON merge patch (RFC 7396): objects are merged, `null` removes.
///
/// `If-Match` with the `ETag` of a read, or with several, refuses the change when the session changed meanwhile.
#[utoipa::path(patch, path = "/api/session", tag = "session", security(("session_cookie" = [])),
    request_body(content = std::collections::HashMap<String, Value>, content_type = "application/json"),
    responses(
        (status = 200, description = "Changed", body = SessionView),
        ChangeProblems, CookieProblems,
    ))]
pub(super) async fn change(
    deferred: Deferred,
    browser: Browser,
    ApiJson(patch): ApiJson<Map<String, Value>>,
) -> Result<Response> {
    let sessions = &browser.sessions;
    if let Some(name) = patch.keys().find(|n| !sessions.config().is_client_field(n)) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "field-read-only",
            "The browser may not change this field",
        )
        .detail("the operator names those it may in SESSION_CLIENT_FIELDS")
        .member("field", name.as_str()));
    }
    let wanted = Precondition::of(&browser.headers)?;
    if wanted == Precondition::None && sessions.config().requires_if_match() {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "The change must say which version it is for",
        )
        .detail("send the `ETag` of a read as `If-Match`"));
    }
    if patch.is_empty() {
        return Err(Problem::invalid("the patch changes nothing"));
    }
    let mut session = browser.live().await?;
    let mut left = MERGES;
    loop {
        let mut changes = Changes::merge_patch(&session, &patch)?;
        if let Precondition::Versions(versions) = &wanted {
            if !versions.contains(&session.version()) {
                return Err(conflict(session.version()));
            }
            changes = changes.if_version(session.version());
        }
        match sessions.update(&mut session, &changes).await? {
            Updated::Done { .. } => break,
            // What was merged is old: merge it with what is there now.
            Updated::Conflict { .. } if left > 0 => {
                left -= 1;
                session = browser.load(session.token()).await?;
            }
            Updated::Conflict { version } => return Err(conflict(version)),
            Updated::Gone => return Err(no_session()),
            _ => {
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "value-too-large",
                    "The session would hold too much",
                )
                .detail(format!(
                    "a session has at most {} fields",
                    sessions.max_fields()
                )));
            }
        }
    }
    let response = answer(sessions, &session, Json(SessionView::of(&session)?));
    browser.extend_later(&deferred, session);
    Ok(response)
}

problems!(
    LogoutProblems:
    403 "The request comes from another site"
);

/// Signs out: ends the browser's own session and removes the cookie, also when it had ended already.
///
/// With `?clear=site-data` the browser also drops its cache and storage of this site.
#[utoipa::path(delete, path = "/api/session", tag = "session", security((), ("session_cookie" = [])),
    responses(
        (status = 204, description = "Signed out"),
        LogoutProblems, CookieProblems,
    ))]
pub(super) async fn logout(uri: Uri, browser: Browser) -> Result<Response> {
    let sessions = &browser.sessions;
    if let Ok(token) = browser.token()? {
        browser.same_site(&token)?;
        sessions.logout_token(&token).await?;
    }
    let response = StatusCode::NO_CONTENT.into_response();
    let mut response = cleared(&browser, Absence::Unknown, response);
    if uri.query() == Some("clear=site-data") {
        response.headers_mut().insert(
            "clear-site-data",
            HeaderValue::from_static("\"cache\", \"storage\""),
        );
    }
    Ok(private(response))
}

problems!(
    RefreshProblems:
    401 "No live session",
    403 "The request comes from another site"
);

/// Extends the browser's own session and renews its identifier when that is due.
#[utoipa::path(post, path = "/api/session/refresh", tag = "session", security(("session_cookie" = [])),
    responses(
        (status = 200, description = "Extended", body = SessionView),
        RefreshProblems, CookieProblems,
    ))]
pub(super) async fn refresh(browser: Browser) -> Result<Response> {
    let sessions = &browser.sessions;
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

fn conflict(version: u64) -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "session-conflict",
        "The session changed meanwhile",
    )
    .member("version", version)
}

/// Which versions a change is for ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1)).
#[derive(Debug, PartialEq, Eq)]
enum Precondition {
    /// `If-Match` is not there.
    None,
    /// `*`: it exists, which is all that this asks for.
    Any,
    /// Entity tags; those of something else match nothing.
    Versions(Vec<u64>),
}

impl Precondition {
    fn of(headers: &HeaderMap) -> Result<Self> {
        let invalid =
            || Problem::invalid("`If-Match` is `*` or a list of entity tags, such as `\"v1\"`");
        let mut lines = headers.get_all(header::IF_MATCH).iter().peekable();
        if lines.peek().is_none() {
            return Ok(Self::None);
        }
        let (mut any, mut tags, mut versions) = (false, 0, Vec::new());
        for line in lines {
            let mut rest = line.to_str().map_err(|_| invalid())?.trim();
            while !rest.is_empty() {
                if let Some(more) = rest.strip_prefix(',') {
                    rest = more.trim_start();
                    continue;
                }
                if let Some(more) = rest.strip_prefix('*') {
                    (any, rest) = (true, more.trim_start());
                } else {
                    let (weak, opaque) = match rest.strip_prefix("W/") {
                        Some(opaque) => (true, opaque),
                        None => (false, rest),
                    };
                    let quoted = opaque.strip_prefix('"').ok_or_else(invalid)?;
                    let (tag, more) = quoted.split_once('"').ok_or_else(invalid)?;
                    tags += 1;
                    // The comparison is strong: a weak tag never matches.
                    let version = tag.strip_prefix('v').filter(|_| !weak);
                    let version = version.and_then(|v| v.parse::<u64>().ok());
                    // Tags are compared by their bytes: `v01` and `v+1` are no other ways to write `v1`.
                    versions.extend(version.filter(|v| tag == format!("v{v}")));
                    rest = more.trim_start();
                }
                if !rest.is_empty() && !rest.starts_with(',') {
                    return Err(invalid());
                }
            }
        }
        match (any, tags) {
            (true, 0) => Ok(Self::Any),
            (false, 1..) => Ok(Self::Versions(versions)),
            _ => Err(invalid()),
        }
    }
}

fn cleared(browser: &Browser, absence: Absence, mut response: Response) -> Response {
    let sessions = &browser.sessions;
    let cookies = response.headers_mut();
    for cookie in sessions.clear_ambiguous(&browser.headers) {
        cookies.append(header::SET_COOKIE, cookie);
    }
    if absence.clears_cookie() {
        cookies.append(header::SET_COOKIE, sessions.clear_cookie());
    }
    response
}
