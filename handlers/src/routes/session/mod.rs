//! `/api/session` for the browser's own session, `/api/sessions` and `/api/users` for lists and revocation.

mod create;
mod list;
mod own;
mod step_up;
mod users;
mod view;

use crate::{
    AppState,
    auth::Caller,
    client_ip::ClientIp,
    deferred::Deferred,
    problem::{Problem, Result},
};
use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use restis::{
    session::{Absence, Assertion, Session, Sessions, Token},
    web::Refusal,
};

group!(
    own::current,
    own::change,
    own::logout,
    own::refresh,
    step_up::step_up,
    create::create,
    list::list,
    list::revoke_others,
    users::active,
    list::revoke_one,
    users::epoch,
    users::list_user,
    users::revoke_user,
    users::revoke_user_session,
    users::revoke_everyone,
);

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

/// What a request presents and where it comes from; 503 where sessions are not configured.
struct Browser {
    state: AppState,
    sessions: Sessions,
    method: Method,
    headers: HeaderMap,
    ip: ClientIp,
    /// A service presents the cookie for a browser: it does not guess.
    for_service: bool,
}

impl FromRequestParts<AppState> for Browser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        let Ok(ip) = ClientIp::from_request_parts(parts, state).await;
        Ok(Self {
            sessions: sessions(state)?.clone(),
            method: parts.method.clone(),
            for_service: state.tokens().caller(&parts.headers).is_some(),
            headers: parts.headers.clone(),
            state: state.clone(),
            ip,
        })
    }
}

impl Browser {
    /// The same for a request of a service, if it is one.
    fn called_by(mut self, caller: Option<&Caller>) -> Self {
        self.for_service |= caller.is_some();
        self
    }

    /// The token, or why there is none; a client that guesses has to wait.
    fn token(&self) -> Result<Result<Token, Absence>> {
        let token = self.sessions.token(&self.headers);
        if let Err(Absence::Forged | Absence::Ambiguous) = &token
            && !self.for_service
            && let Some(wait) = self.state.guesses().note(self.ip.0, self.sessions.now_ms())
        {
            return Err(Problem::from(Refusal::rate_limited())
                .detail("too many invalid session cookies")
                .cookies(self.sessions.clear_ambiguous(&self.headers))
                .cookies([self.sessions.clear_cookie()])
                .retry_after(wait));
        }
        Ok(token)
    }

    /// The live session of a request that may change things; fails closed.
    async fn live(&self) -> Result<Session> {
        let token = self.token()?.map_err(|_| self.no_token())?;
        self.same_site(&token)?;
        let session = self.load(&token).await?;
        self.sessions
            .notice_device(&session, self.headers.get(header::USER_AGENT));
        Ok(session)
    }

    /// There is no session; cookies that are in each other's way go.
    fn no_token(&self) -> Problem {
        match self.sessions.clear_ambiguous(&self.headers) {
            others if others.is_empty() => no_session(),
            others => no_session()
                .cookies(others)
                .cookies([self.sessions.clear_cookie()]),
        }
    }

    async fn load(&self, token: &Token) -> Result<Session> {
        let loaded = self.sessions.load(token).await?;
        loaded.session().ok_or_else(no_session)
    }

    fn same_site(&self, token: &Token) -> Result<()> {
        if self.sessions.permits(&self.method, &self.headers, token) {
            return Ok(());
        }
        Err(Refusal::cross_site().into())
    }

    /// What a signed assertion says, if the page that sends it is of this site.
    fn assertion(&self, token: &str) -> Result<Assertion> {
        let keys = self.state.config().login_keys.as_ref().ok_or_else(|| {
            Problem::unauthenticated().detail("the operator has to set SESSION_LOGIN_SECRETS")
        })?;
        // Another site could sign its visitor in as somebody else.
        if self.sessions.is_foreign(&self.method, &self.headers) {
            return Err(Refusal::cross_site().into());
        }
        keys.verify(token, self.sessions.now_ms())
            .map_err(|error| Problem::unauthenticated().detail(error.to_string()))
    }

    /// Extends the session after the answer when that is due.
    fn extend_later(&self, deferred: &Deferred, mut session: Session) {
        if !session.needs_touch(self.sessions.now_ms()) {
            return;
        }
        let sessions = self.sessions.clone();
        deferred.push(async move {
            if let Err(error) = sessions.touch(&mut session).await {
                tracing::warn!(%error, "a session was not extended");
            }
        });
    }
}

fn no_session() -> Problem {
    Refusal::session_missing().into()
}

/// An answer about a session: its version, its cookie if it is new, and nothing for caches.
fn answer(sessions: &Sessions, session: &Session, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if session.needs_cookie() {
        response
            .headers_mut()
            .append(header::SET_COOKIE, sessions.set_cookie(session));
    }
    if let Ok(tag) = HeaderValue::try_from(session.etag()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    private(response)
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
