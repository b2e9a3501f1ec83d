//! `POST /api/events/grants`, and who may read: a service token or a grant.

use super::{events_of, history::Filter};
use crate::{
    AppState,
    auth::{Caller, Scope},
    extract::ApiJson,
    problem::{Problem, Result, responses::JsonProblems},
};
use axum::{
    Json,
    extract::{FromRequestParts, State},
    response::IntoResponse,
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use restis::events::{Events, Grant, GrantError, GrantKeys, TypeFilter, check_scope};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// What may be read, for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantRequest {
    /// Event types: `a.b`, everything below `a.*`, or `*`.
    #[schema(min_items = 1, max_items = 64, example = json!(["booking.*"]))]
    types: Vec<String>,
    /// Event types that the holder's outbox may send by `/api/events/sync`; none when absent.
    #[serde(default)]
    #[schema(max_items = 64, example = json!(["note.*"]))]
    publish: Vec<String>,
    /// Seconds, 1 to 3600; 300 when absent.
    #[schema(minimum = 1, maximum = 3600)]
    ttl_seconds: Option<u64>,
    /// The organisation whose history it is.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
    /// Who it is for, 128 bytes at most; needed for `publish`, since outboxes of one subject are apart from all others.
    #[schema(max_length = 128)]
    subject: Option<String>,
}

/// A signed grant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GrantBody {
    /// Send it as `Authorization: Bearer`, or as `grant` in the query where headers cannot be set.
    grant: String,
    /// When it ends, in unix milliseconds.
    expires_ms: u64,
}

problems!(
    GrantProblems:
    400 "The request is not valid",
    401 "No accepted service token",
    403 "The token lacks `events:admin` or the organisation",
    404 "EVENTS_GRANT_SECRETS is not set"
);

/// Makes a short-lived grant that lets a browser or app read, and send, some event types.
#[utoipa::path(post, path = "/api/events/grants", tag = "events", security(("service_token" = [])),
    request_body = GrantRequest,
    responses(
        (status = 201, description = "The grant", body = GrantBody),
        GrantProblems, JsonProblems,
    ))]
pub(super) async fn grant(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(body): ApiJson<GrantRequest>,
) -> Result<impl IntoResponse> {
    caller.require(Scope::EventsAdmin)?;
    caller.require_organisation(body.organisation.as_deref())?;
    let ttl = body.ttl_seconds.unwrap_or(300);
    if !(1..=3600).contains(&ttl) {
        return Err(Problem::invalid("`ttl_seconds` is from 1 to 3600"));
    }
    if let Some(organisation) = &body.organisation {
        check_scope(organisation)?;
    }
    let types = TypeFilter::from_list(&body.types)?;
    if types.is_none() {
        return Err(Problem::invalid("`types` names at least one type"));
    }
    let subject = body.subject.unwrap_or_default();
    if subject.len() > 128 || subject.chars().any(char::is_control) {
        return Err(Problem::invalid(
            "`subject` has at most 128 printable bytes",
        ));
    }
    if matches!(subject.as_str(), "." | "..") {
        return Err(Problem::invalid(
            "`subject` is part of a path: not `.` or `..`",
        ));
    }
    let publish = TypeFilter::from_list(&body.publish)?;
    if !publish.is_none() && subject.is_empty() {
        return Err(Problem::invalid("`publish` needs a `subject`"));
    }
    let expires_ms = state.now_ms() + ttl * 1000;
    let grant = keys(&state)?.sign(&Grant {
        organisation: body.organisation,
        types,
        publish,
        expires_ms,
        subject,
    });
    let body = Json(GrantBody { grant, expires_ms });
    Ok((
        StatusCode::CREATED,
        [(header::CACHE_CONTROL, "no-store")],
        body,
    ))
}

fn keys(state: &AppState) -> Result<&GrantKeys> {
    state.config().grant_keys.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "grants-off",
            "Grants are switched off",
        )
        .detail("set EVENTS_GRANT_SECRETS")
    })
}

/// Who reads: a service token or a grant.
pub(super) enum Credential {
    Token(Caller),
    Grant(Grant),
}

/// What may be read and sent, for how long.
pub(super) struct Access {
    pub(super) events: Events,
    pub(super) types: TypeFilter,
    /// What an outbox may send.
    pub(super) publish: TypeFilter,
    /// Who holds the grant.
    pub(super) subject: Option<String>,
    pub(super) left: Option<Duration>,
}

impl FromRequestParts<AppState> for Credential {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self> {
        Self::of(state, &parts.headers, None)
    }
}

impl Credential {
    fn of(state: &AppState, headers: &HeaderMap, in_query: Option<&str>) -> Result<Self> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok()?.split_once(' '))
            .filter(|(scheme, token)| {
                scheme.eq_ignore_ascii_case("bearer") && token.starts_with("g1.")
            })
            .map(|(_, token)| token.trim());
        let Some(token) = bearer.or(in_query) else {
            let caller = state.tokens().caller(headers);
            return caller.map(Self::Token).ok_or_else(Problem::unauthenticated);
        };
        // Without keys nobody was ever given a grant.
        let keys = keys(state).map_err(|_| Problem::unauthenticated())?;
        let grant = keys.verify(token, state.now_ms());
        grant.map(Self::Grant).map_err(|e| {
            let problem = Problem::unauthenticated();
            match e {
                GrantError::Expired => problem.detail("the grant has expired: ask for a new one"),
                _ => problem.detail("the grant is not accepted"),
            }
        })
    }

    /// What it is good for; a service token needs `events:read`.
    pub(super) fn access(self, state: &AppState, asked: Option<&str>) -> Result<Access> {
        let grant = match self {
            Self::Token(caller) => {
                return Ok(Access {
                    events: events_of(state, &caller, Scope::EventsRead, asked)?,
                    types: TypeFilter::all(),
                    publish: if caller.has(Scope::EventsPublish) {
                        TypeFilter::all()
                    } else {
                        TypeFilter::none()
                    },
                    subject: None,
                    left: None,
                });
            }
            Self::Grant(grant) => grant,
        };
        if asked.is_some() && asked != grant.organisation.as_deref() {
            return Err(Problem::forbidden("the grant is for another organisation"));
        }
        let left = grant.expires_ms.saturating_sub(state.now_ms());
        let events = match &grant.organisation {
            Some(organisation) => &state.events().of_organisation(organisation)?,
            None => state.events(),
        };
        Ok(Access {
            events: events.of_principal("grant", &grant.subject),
            types: grant.types,
            publish: grant.publish,
            subject: Some(grant.subject),
            left: Some(Duration::from_millis(left)),
        })
    }
}

/// Lets a service token with `events:read` or a grant read.
pub(super) fn reader(state: &AppState, headers: &HeaderMap, filter: &Filter) -> Result<Access> {
    Credential::of(state, headers, filter.grant.as_deref())?
        .access(state, filter.organisation.as_deref())
}
