//! A change of privilege: the user proved again who they are, or changed the organisation.

use super::{Browser, answer, create::refusal, no_session, view::SessionView};
use crate::{
    ApiJson,
    auth::{Caller, Scope},
    extract::{at_most, organisation},
    problem::{
        Problem, Result,
        responses::{CookieProblems, JsonProblems},
    },
};
use axum::{Json, response::Response};
use restis::session::{Creation, Rotated, Rotation, Session};
use serde::Deserialize;
use utoipa::ToSchema;

/// What was verified.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepUpRequest {
    /// A signed login assertion instead of a service token; nothing may stand beside it.
    #[schema(max_length = 16384)]
    assertion: Option<String>,
    /// The user that was verified: the session must be theirs.
    #[schema(max_length = 128, example = "u1")]
    user: Option<String>,
    /// How the user proved who they are, such as `totp`; absent when only the role changed.
    #[schema(max_items = 3)]
    methods: Option<Vec<String>>,
    /// The organisation that the session switches to.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

problems!(
    StepUpProblems:
    400 "The request is not valid",
    401 "No accepted service token or assertion, or no live session",
    403 "The token lacks `session:create` or the organisation; the session is of another user; an assertion from another site",
    409 "The assertion was used, or the user signed out everywhere meanwhile"
);

/// Gives the browser's own session a new identifier after a change of privilege; the old one dies at once.
///
/// For back ends with a service token (`session:create`) that hand the cookie on, or for browsers with
/// an assertion for the same user.
#[utoipa::path(post, path = "/api/session/step-up", tag = "session",
    security(("service_token" = [], "session_cookie" = []), ("session_cookie" = [])),
    request_body = StepUpRequest,
    responses(
        (status = 200, description = "Done; `Set-Cookie` carries the new token", body = SessionView),
        StepUpProblems, CookieProblems, JsonProblems,
    ))]
pub(super) async fn step_up(
    caller: Option<Caller>,
    browser: Browser,
    ApiJson(body): ApiJson<StepUpRequest>,
) -> Result<Response> {
    let browser = browser.called_by(caller.as_ref());
    organisation(body.organisation.as_deref())?;
    at_most("user", body.user.as_deref(), 128)?;
    let (session, rotation) = match (&caller, &body.assertion) {
        (Some(caller), None) => {
            caller.require(Scope::SessionCreate)?;
            caller.require_organisation(body.organisation.as_deref())?;
            let user = body.user.as_deref();
            let user = user.ok_or_else(|| Problem::invalid("`user` says who was verified"))?;
            let session = presented(&browser).await?;
            if session.user() != Some(user) {
                return Err(of_another_user());
            }
            // A token for one organisation must not reach the session of another one.
            caller.require_organisation(session.organisation())?;
            (session, body.rotation())
        }
        (None, Some(token)) if body.is_empty() => {
            let assertion = browser.assertion(token)?;
            let session = presented(&browser).await?;
            let subject = assertion.subject();
            // A session of no organisation may move to the one that the assertion names.
            let same = match session.organisation() {
                None => session.user() == Some(subject.id()),
                Some(_) => session.subject() == Some(subject),
            };
            if !same {
                return Err(of_another_user());
            }
            let rotation = assertion.step_up();
            let rotation =
                rotation.map_err(|error| Problem::unauthenticated().detail(error.to_string()))?;
            (session, rotation)
        }
        (None, None) => return Err(Problem::unauthenticated()),
        _ => {
            return Err(Problem::invalid(
                "send either a service token or an `assertion`, which says everything",
            ));
        }
    };
    match browser.sessions.rotate(&session, &rotation).await? {
        Rotated::Done(session) => {
            let body = Json(SessionView::of(&session)?);
            Ok(answer(&browser.sessions, &session, body))
        }
        Rotated::StaleLogin => Err(refusal(&Creation::StaleLogin)),
        Rotated::AlreadyUsed => Err(refusal(&Creation::AlreadyUsed)),
        _ => Err(no_session()),
    }
}

impl StepUpRequest {
    /// Whether it says nothing beside an assertion.
    fn is_empty(&self) -> bool {
        self.user.is_none() && self.methods.is_none() && self.organisation.is_none()
    }

    fn rotation(&self) -> Rotation {
        let mut rotation = Rotation::privilege();
        if let Some(methods) = &self.methods {
            rotation = rotation.authenticated_by(methods);
        }
        match &self.organisation {
            Some(organisation) => rotation.organisation(organisation),
            None => rotation,
        }
    }
}

/// The session that the cookie is of.
async fn presented(browser: &Browser) -> Result<Session> {
    let token = browser.token()?.map_err(|_| browser.no_token())?;
    browser.load(&token).await
}

/// Nobody steps up for somebody else; the same id in two organisations is two users.
fn of_another_user() -> Problem {
    Problem::forbidden("the session is of another user")
}
