//! Signing in: a back end, or an assertion that it signed, vouches for the user.

use super::{Browser, answer, view::SessionView};
use crate::{
    ApiJson,
    auth::{Caller, Scope},
    client_ip::ClientIp,
    extract::{at_most, idempotency_key, organisation},
    problem::{
        Problem, Result,
        responses::{CookieProblems, JsonProblems},
    },
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use restis::session::{Creation, Device, Loaded, LoginEpoch, NewSession, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::net::IpAddr;
use utoipa::ToSchema;

/// Who signed in.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CreateRequest {
    /// A signed login assertion instead of a service token; only `device` may stand beside it.
    #[schema(max_length = 16384)]
    assertion: Option<String>,
    /// The user's id; absent for an anonymous session.
    #[schema(min_length = 1, max_length = 128, example = "u1")]
    user: Option<String>,
    /// The organisation, for tokens that are bound to some.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
    /// How the user proved who they are, such as `password`, `totp`.
    #[schema(max_items = 3)]
    methods: Vec<String>,
    /// A name for the device, up to 64 bytes.
    #[schema(max_length = 64)]
    device: Option<String>,
    /// The application's id of the device, for one session a device (`SESSION_ONE_PER_DEVICE`).
    #[schema(max_length = 64)]
    device_id: Option<String>,
    /// The browser's `User-Agent`, which names the device when `device` does not.
    #[schema(max_length = 512)]
    user_agent: Option<String>,
    /// The browser's address, of which the network is kept.
    #[schema(value_type = Option<String>, example = "203.0.113.9")]
    ip: Option<IpAddr>,
    /// The user's epoch from before the credentials were checked (`GET /api/users/{user}/epoch`).
    #[schema(pattern = "^[0-9]{1,20}$")]
    epoch: Option<String>,
    /// Values that move over from the visitor's anonymous session.
    #[schema(max_items = 64)]
    keep: Vec<String>,
    /// What the session holds, by field.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    data: Map<String, Value>,
}

impl CreateRequest {
    /// What the back end that sends it vouches for.
    fn login(&self, caller: &Caller) -> Result<NewSession> {
        caller.require(Scope::SessionCreate)?;
        caller.require_organisation(self.organisation.as_deref())?;
        let mut new = match &self.user {
            Some(user) => NewSession::user(user),
            None => NewSession::anonymous(),
        };
        if let Some(organisation) = &self.organisation {
            new = new.organisation(organisation);
        }
        if let Some(epoch) = &self.epoch {
            let epoch = LoginEpoch::parse(epoch);
            new = new.epoch(epoch.ok_or_else(|| Problem::invalid("`epoch` is a number"))?);
        }
        Ok(new.authenticated_by(&self.methods).data(&self.data))
    }

    /// Refuses members that are longer than documented.
    fn check(&self) -> Result<()> {
        organisation(self.organisation.as_deref())?;
        at_most("device", self.device.as_deref(), 64)?;
        at_most("device_id", self.device_id.as_deref(), 64)?;
        at_most("user_agent", self.user_agent.as_deref(), 512)?;
        match self.keep.len() {
            0..=64 => self
                .keep
                .iter()
                .try_for_each(|name| at_most("keep", Some(name), 64)),
            _ => Err(Problem::invalid("`keep` has at most 64 names")),
        }
    }

    /// Whether it says anything that only a back end may say.
    fn vouches(&self) -> bool {
        let text = [&self.user, &self.organisation, &self.device_id];
        text.into_iter().any(Option::is_some)
            || self.user_agent.is_some()
            || self.ip.is_some()
            || self.epoch.is_some()
            || !(self.methods.is_empty() && self.keep.is_empty() && self.data.is_empty())
    }

    fn device(&self, headers: &HeaderMap, own_ip: ClientIp) -> Device {
        // With an assertion the browser itself asks; else the request is a back end's.
        let is_browser = self.assertion.is_some();
        let own_agent = headers
            .get(header::USER_AGENT)
            .and_then(|a| a.to_str().ok());
        let agent = self
            .user_agent
            .as_deref()
            .or(own_agent.filter(|_| is_browser));
        let mut device = Device::new();
        if let Some(label) = &self.device {
            device = device.label(label);
        } else if let Some(agent) = agent {
            device = device.user_agent(agent);
        }
        if let Some(id) = &self.device_id {
            device = device.id(id);
        }
        match self.ip.or(own_ip.0.filter(|_| is_browser)) {
            Some(ip) => device.address(ip),
            None => device,
        }
    }
}

problems!(
    CreateProblems:
    400 "The request is not valid",
    401 "No accepted service token or assertion",
    403 "The token lacks `session:create` or the organisation; an assertion from another site",
    409 "The user has as many sessions as allowed, or signed out everywhere meanwhile, or the assertion was used",
    422 "The `Idempotency-Key` was used for another login"
);

/// Creates a session for a user who has just signed in, and gives the browser its cookie.
///
/// For back ends with a service token (`session:create`), or for browsers with an assertion that one
/// of them signed. An old session cookie in the request is replaced.
#[utoipa::path(post, path = "/api/sessions", tag = "session", security((), ("service_token" = [])),
    request_body = CreateRequest,
    responses(
        (status = 200, description = "The same login made this session before", body = SessionView),
        (status = 201, description = "Created; `Set-Cookie` carries the token", body = SessionView),
        CreateProblems, CookieProblems, JsonProblems,
    ))]
pub(super) async fn create(
    caller: Option<Caller>,
    browser: Browser,
    ApiJson(body): ApiJson<CreateRequest>,
) -> Result<Response> {
    let browser = browser.called_by(caller.as_ref());
    let sessions = &browser.sessions;
    body.check()?;
    let mut new = match (&caller, &body.assertion) {
        (Some(caller), None) => body.login(caller)?,
        (None, Some(_)) if body.vouches() => {
            return Err(Problem::invalid(
                "only `device` may stand beside `assertion`: it says everything else",
            ));
        }
        (None, Some(token)) => {
            let login = browser.assertion(token)?.login();
            login.map_err(|error| Problem::unauthenticated().detail(error.to_string()))?
        }
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "send either a service token or an `assertion`",
            ));
        }
        (None, None) => return Err(Problem::unauthenticated()),
    };
    new = new.device(body.device(&browser.headers, browser.ip));
    let may_read = |visitor: &Session| {
        let organisation = visitor.organisation();
        caller
            .as_ref()
            .is_none_or(|caller| caller.require_organisation(organisation).is_ok())
    };
    if let Ok(old) = browser.token()? {
        new = match body.keep.is_empty() {
            true => new.replace_token(&old),
            false => match sessions.load(&old).await? {
                // A token for one organisation moves no data of another one.
                Loaded::Live(visitor) if visitor.user().is_none() && may_read(&visitor) => {
                    new.upgrade(&visitor, body.keep.iter().map(String::as_str))
                }
                _ => new.replace_token(&old),
            },
        };
    }
    if let (Some(key), Some(caller)) = (idempotency_key(&browser.headers)?, &caller) {
        let payload = serde_json::to_vec(&body).map_err(|_| Problem::internal())?;
        new = new
            .repeat_key(key)
            .requested_by(caller.name())
            .fingerprint(payload);
    }
    let (status, session) = match sessions.create(new).await? {
        Creation::Created(session) => (StatusCode::CREATED, session),
        Creation::Repeated(session) => (StatusCode::OK, session),
        refused => return Err(refusal(&refused)),
    };
    let mut body = Json(SessionView::of(&session)?).into_response();
    *body.status_mut() = status;
    body.headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static("/api/session"));
    // Before the new one: it may have the name and attributes of one that goes.
    for cookie in sessions.clear_ambiguous(&browser.headers) {
        body.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer(sessions, &session, body))
}

pub(super) fn refusal(creation: &Creation) -> Problem {
    match creation {
        Creation::LimitReached { live } => Problem::new(
            StatusCode::CONFLICT,
            "session-limit",
            "The user has as many sessions as allowed",
        )
        .member("live", *live),
        Creation::StaleLogin => Problem::new(
            StatusCode::CONFLICT,
            "stale-auth",
            "The user signed out everywhere meanwhile",
        ),
        Creation::AlreadyUsed => Problem::new(
            StatusCode::CONFLICT,
            "assertion-used",
            "The login assertion was used before",
        ),
        Creation::KeyReused => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-mismatch",
            "The key was used for another request",
        )
        .detail("an `Idempotency-Key` belongs to one login: send the same body, or another key"),
        _ => Problem::internal(),
    }
}
