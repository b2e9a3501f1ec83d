//! `/api/session` for the browser's own session, `/api/sessions` and `/api/users` for lists and revocation.

use crate::{
    ApiJson, AppState,
    auth::{Caller, Scope},
    client_ip::ClientIp,
    deferred::Deferred,
    problem::{Problem, ProblemDocument, Result},
};
use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use restis::session::{
    Absence, Changes, Creation, Device, Loaded, NewSession, Rotated, Rotation, Session, Sessions,
    Token, Updated,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The group's routes.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(current, change, logout))
        .routes(routes!(refresh))
        .routes(routes!(create, list, revoke_others))
        .routes(routes!(revoke_one))
        .routes(routes!(revoke_user))
}

/// Who signed in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateRequest {
    /// The user's id; absent for an anonymous session.
    #[schema(min_length = 1, max_length = 256, example = "u1")]
    user: Option<String>,
    /// The organisation, for tokens that are bound to some.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
    /// How the user proved who they are, such as `password`, `totp`.
    #[serde(default)]
    #[schema(max_items = 8)]
    methods: Vec<String>,
    /// A name for the device, up to 64 bytes.
    #[schema(max_length = 64)]
    device: Option<String>,
    /// What the session holds, by field.
    #[serde(default)]
    data: Map<String, Value>,
}

/// A session as its owner may see it: never a token or a hash.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    /// The public id, for lists and revocation.
    id: String,
    /// The user's id; absent for an anonymous session.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<String>,
    /// When it was created, in unix milliseconds.
    created_ms: u64,
    /// When it ends without further use, in unix milliseconds.
    expires_ms: u64,
    /// When it ends in any case, in unix milliseconds.
    ends_ms: u64,
    /// Rises with every change; the number in `ETag`.
    version: u64,
    /// What the session holds, by field.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

impl SessionView {
    fn of(session: &Session) -> Result<Self> {
        Ok(Self {
            id: session.public_id().to_owned(),
            user: session.user().map(str::to_owned),
            organisation: session.organisation().map(str::to_owned),
            created_ms: session.created_ms(),
            expires_ms: session.expires_ms(),
            ends_ms: session.ends_ms(),
            version: session.version(),
            data: session.object()?,
        })
    }
}

/// The current session, or none.
#[derive(Debug, Serialize, ToSchema)]
struct CurrentSession {
    /// `null` without a live session.
    session: Option<SessionView>,
    /// Send it as `X-CSRF-Token` from clients without `Sec-Fetch-Site` and `Origin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf_token: Option<String>,
}

/// One session of a list.
#[derive(Debug, Serialize, ToSchema)]
struct ListedSession {
    /// The public id.
    id: String,
    /// Whether it is the session that asks.
    current: bool,
    /// When it was created, in unix milliseconds.
    created_ms: u64,
    /// When it was last used, in unix milliseconds.
    used_ms: u64,
    /// When it ends without further use, in unix milliseconds.
    expires_ms: u64,
    /// The device's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
struct Revoked {
    /// How many.
    revoked: u64,
}

/// Creates a session for a user who has just signed in, and gives the browser its cookie.
///
/// For back ends: a service token with `session:create`. An old session cookie in the request is replaced.
#[utoipa::path(post, path = "/api/sessions", tag = "session", security(("service_token" = [])),
    request_body = CreateRequest,
    responses(
        (status = 200, description = "The same login made this session before", body = SessionView),
        (status = 201, description = "Created; `Set-Cookie` carries the token", body = SessionView),
        (status = 400, description = "The request is not valid", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No accepted service token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks `session:create` or the organisation", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The user has as many sessions as allowed, or signed out everywhere meanwhile", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    ClientIp(ip): ClientIp,
    headers: HeaderMap,
    ApiJson(body): ApiJson<CreateRequest>,
) -> Result<Response> {
    caller.require(Scope::SessionCreate)?;
    caller.require_organisation(body.organisation.as_deref())?;
    let sessions = sessions(&state)?;
    let mut new = body
        .user
        .map_or_else(NewSession::anonymous, NewSession::user);
    if let Some(organisation) = body.organisation {
        new = new.organisation(organisation);
    }
    let mut device = Device::new();
    if let Some(label) = &body.device {
        device = device.label(label);
    }
    if let Some(ip) = ip {
        device = device.address(ip);
    }
    new = new
        .device(device)
        .authenticated_by(&body.methods)
        .data(&body.data);
    if let Ok(old) = sessions.token(&headers) {
        new = new.replace_token(&old);
    }
    if let Some(key) = headers.get("idempotency-key") {
        new = new.repeat_key(
            key.to_str()
                .map_err(|_| Problem::invalid("`Idempotency-Key` is not text"))?,
        );
    }
    let (status, session) = match sessions.create(new).await? {
        Creation::Created(session) => (StatusCode::CREATED, session),
        Creation::Repeated(session) => (StatusCode::OK, session),
        Creation::LimitReached { live } => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "session-limit",
                "The user has as many sessions as allowed",
            )
            .member("live", live));
        }
        Creation::StaleLogin => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "stale-auth",
                "The user signed out everywhere meanwhile",
            ));
        }
        _ => return Err(Problem::internal()),
    };
    let mut response = (status, Json(SessionView::of(&session)?)).into_response();
    response
        .headers_mut()
        .insert(header::SET_COOKIE, sessions.set_cookie(&session));
    response
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static("/api/session"));
    tag(&mut response, &session);
    Ok(private(response))
}

/// Gives the browser's own session, or `null`; never writes before it answers.
#[utoipa::path(get, path = "/api/session", tag = "session", security((), ("session_cookie" = [])),
    responses(
        (status = 200, description = "The session, or `null`", body = CurrentSession),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn current(
    State(state): State<AppState>,
    deferred: Deferred,
    headers: HeaderMap,
) -> Result<Response> {
    let sessions = sessions(&state)?;
    let mut session = match sessions.load_from(&headers).await? {
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
    let csrf_token = Some(sessions.csrf_token(&session)?);
    let view = SessionView::of(&session)?;
    let mut response = Json(CurrentSession {
        session: Some(view),
        csrf_token,
    })
    .into_response();
    if session.needs_cookie() {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, sessions.set_cookie(&session));
    }
    tag(&mut response, &session);
    if session.needs_touch(sessions.now_ms()) {
        let sessions = sessions.clone();
        deferred.push(async move {
            if let Err(error) = sessions.touch(&mut session).await {
                tracing::warn!(%error, "a session was not extended");
            }
        });
    }
    Ok(private(response))
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
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn change(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
    ApiJson(patch): ApiJson<Map<String, Value>>,
) -> Result<Response> {
    let sessions = sessions(&state)?;
    if let Some(name) = patch.keys().find(|n| !sessions.config().is_client_field(n)) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "field-read-only",
            "The browser may not change this field",
        )
        .detail("the operator names those it may in SESSION_CLIENT_FIELDS")
        .member("field", name.as_str()));
    }
    let mut session = live(sessions, &method, &headers).await?;
    let mut changes = Changes::merge_patch(&patch);
    match headers.get(header::IF_MATCH) {
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
    let mut response = Json(SessionView::of(&session)?).into_response();
    tag(&mut response, &session);
    Ok(private(response))
}

/// Signs out: ends the browser's own session and removes the cookie, also when it had ended already.
///
/// With `?clear=site-data` the browser also drops its cache and storage of this site.
#[utoipa::path(delete, path = "/api/session", tag = "session", security((), ("session_cookie" = [])),
    responses(
        (status = 204, description = "Signed out"),
        (status = 403, description = "The request comes from another site", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn logout(
    State(state): State<AppState>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let sessions = sessions(&state)?;
    if let Ok(token) = sessions.token(&headers) {
        same_site(sessions, &method, &headers, &token)?;
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
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn refresh(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let sessions = sessions(&state)?;
    let mut session = live(sessions, &method, &headers).await?;
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
    let mut response = Json(SessionView::of(&session)?).into_response();
    if session.needs_cookie() {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, sessions.set_cookie(&session));
    }
    tag(&mut response, &session);
    Ok(private(response))
}

/// Lists the sessions of the user who asks.
#[utoipa::path(get, path = "/api/sessions", tag = "session", security(("session_cookie" = [])),
    responses(
        (status = 200, description = "The sessions", body = Vec<ListedSession>),
        (status = 401, description = "No live session of a user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn list(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let sessions = sessions(&state)?;
    let session = live(sessions, &method, &headers).await?;
    let user = session.user().ok_or_else(no_session)?;
    let listed: Vec<_> = sessions
        .list(user, Some(&session))
        .await?
        .into_iter()
        .map(|s| ListedSession {
            id: s.public_id,
            current: s.current,
            created_ms: s.created_ms,
            used_ms: s.used_ms,
            expires_ms: s.expires_ms,
            device: s.device,
        })
        .collect();
    Ok(private(Json(listed).into_response()))
}

/// Ends all other sessions of the user who asks.
#[utoipa::path(delete, path = "/api/sessions", tag = "session", security(("session_cookie" = [])),
    responses(
        (status = 200, description = "How many ended", body = Revoked),
        (status = 401, description = "No live session of a user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The request comes from another site", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn revoke_others(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let sessions = sessions(&state)?;
    let session = live(sessions, &method, &headers).await?;
    session.user().ok_or_else(no_session)?;
    let revoked = sessions.revoke_others(&session).await?;
    Ok(private(Json(Revoked { revoked }).into_response()))
}

/// Ends one session of the user who asks; a session of someone else is simply not found.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "session", security(("session_cookie" = [])),
    params(("id" = String, Path, description = "The public id", max_length = 64)),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "No live session of a user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The request comes from another site", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "The user has no such session", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn revoke_one(
    State(state): State<AppState>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let sessions = sessions(&state)?;
    let session = live(sessions, &method, &headers).await?;
    let user = session.user().ok_or_else(no_session)?;
    if id.len() > 64 || !sessions.revoke(user, &id).await? {
        return Err(Problem::not_found("the user has no such session"));
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if id == session.public_id() {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, sessions.clear_cookie());
    }
    Ok(private(response))
}

/// Ends every session of a user, also logins that are on their way; for administrators.
#[utoipa::path(delete, path = "/api/users/{user}/sessions", tag = "session", security(("service_token" = [])),
    params(("user" = String, Path, description = "The user's id", max_length = 256)),
    responses(
        (status = 200, description = "How many ended", body = Revoked),
        (status = 400, description = "The id is not valid", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No accepted service token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks `session:admin`, or is bound to organisations", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
async fn revoke_user(
    State(state): State<AppState>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Response> {
    caller.require(Scope::SessionAdmin)?;
    caller.require_organisation(None)?;
    let revoked = sessions(&state)?.revoke_all(&user).await?;
    Ok(private(Json(Revoked { revoked }).into_response()))
}

fn sessions(state: &AppState) -> Result<&Sessions> {
    state.sessions().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "sessions-off",
            "Sessions are not configured",
        )
        .detail("the operator has to set SESSION_SECRETS")
    })
}

/// The live session of a request that may change things; fails closed.
async fn live(sessions: &Sessions, method: &Method, headers: &HeaderMap) -> Result<Session> {
    let token = sessions.token(headers).map_err(|_| no_session())?;
    same_site(sessions, method, headers, &token)?;
    sessions
        .load(&token)
        .await?
        .session()
        .ok_or_else(no_session)
}

fn same_site(
    sessions: &Sessions,
    method: &Method,
    headers: &HeaderMap,
    token: &Token,
) -> Result<()> {
    if sessions.permits(method, headers, token) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "csrf-failed",
        "The request comes from another site",
    )
    .detail("send it from the site itself, or with `X-CSRF-Token`"))
}

fn no_session() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "session-missing",
        "There is no live session",
    )
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

fn tag(response: &mut Response, session: &Session) {
    if let Ok(tag) = HeaderValue::try_from(session.etag()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

fn cleared(sessions: &Sessions, absence: Absence, mut response: Response) -> Response {
    if absence.clears_cookie() {
        response
            .headers_mut()
            .insert(header::SET_COOKIE, sessions.clear_cookie());
    }
    response
}

/// No cache may keep what depends on a session.
fn private(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Cookie"));
    response
}
