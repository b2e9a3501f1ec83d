//! For back ends and administrators: anybody's sessions.

use super::{
    private, sessions,
    view::{ListedSession, Revoked},
};
use crate::{
    ApiPath, ApiQuery, AppState,
    auth::{Caller, Scope},
    extract::organisation,
    problem::{Problem, Result, responses::ServiceProblems},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use restis::session::{Active, User};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The user's epoch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Epoch {
    /// Send it with `POST /api/sessions` once the credentials are checked.
    epoch: String,
}

/// For whom a service asks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OfOrganisation {
    /// The user's organisation: the same id in two organisations is two users.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

impl OfOrganisation {
    /// The organisation, if the caller may act for it; none is for tokens of all organisations.
    fn of(&self, caller: &Caller) -> Result<Option<&str>> {
        let name = self.organisation.as_deref();
        organisation(name)?;
        caller.require_organisation(name)?;
        Ok(name)
    }
}

problems!(
    EpochProblems:
    400 "The id is not valid",
    403 "The token lacks `session:create` or the organisation"
);

/// Gives the user's epoch, to be read before credentials are checked.
///
/// It moves with "sign out everywhere": a login that began before is then refused as `stale-auth`.
#[utoipa::path(get, path = "/api/users/{user}/epoch", tag = "session", security(("service_token" = [])),
    params(("user" = String, Path, description = "The user's id", max_length = 128), OfOrganisation),
    responses(
        (status = 200, description = "The epoch", body = Epoch),
        EpochProblems, ServiceProblems,
    ))]
pub(super) async fn epoch(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(user): ApiPath,
    ApiQuery(query): ApiQuery<OfOrganisation>,
) -> Result<Response> {
    caller.require(Scope::SessionCreate)?;
    let organisation = query.of(&caller)?;
    let user = User::new(&user).organisation(organisation);
    let epoch = sessions(&state)?.begin_login(user).await?;
    let epoch = epoch.as_str().to_owned();
    Ok(private(Json(Epoch { epoch }).into_response()))
}

problems!(
    ListUserProblems:
    400 "The id is not valid",
    403 "The token lacks `session:admin` or the organisation"
);

/// Lists the sessions of a user, without `organisation` those of this id everywhere; for administrators.
#[utoipa::path(get, path = "/api/users/{user}/sessions", tag = "session", security(("service_token" = [])),
    params(("user" = String, Path, description = "The user's id", max_length = 128), OfOrganisation),
    responses(
        (status = 200, description = "The sessions", body = Vec<ListedSession>),
        ListUserProblems, ServiceProblems,
    ))]
pub(super) async fn list_user(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(user): ApiPath,
    ApiQuery(query): ApiQuery<OfOrganisation>,
) -> Result<Response> {
    caller.require(Scope::SessionAdmin)?;
    let sessions = sessions(&state)?;
    let listed = match query.of(&caller)? {
        Some(name) => {
            sessions
                .list(User::new(&user).organisation(name), None)
                .await?
        }
        None => sessions.list_everywhere(&user).await?,
    };
    let listed: Vec<ListedSession> = listed.into_iter().map(Into::into).collect();
    Ok(private(Json(listed).into_response()))
}

problems!(
    RevokeUserProblems:
    400 "The id is not valid",
    403 "The token lacks `session:admin` or the organisation"
);

/// Ends every session of a user, also logins that are on their way; for administrators.
///
/// Without `organisation` those of this id everywhere.
#[utoipa::path(delete, path = "/api/users/{user}/sessions", tag = "session", security(("service_token" = [])),
    params(("user" = String, Path, description = "The user's id", max_length = 128), OfOrganisation),
    responses(
        (status = 200, description = "How many ended", body = Revoked),
        RevokeUserProblems, ServiceProblems,
    ))]
pub(super) async fn revoke_user(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(user): ApiPath,
    ApiQuery(query): ApiQuery<OfOrganisation>,
) -> Result<Response> {
    caller.require(Scope::SessionAdmin)?;
    let sessions = sessions(&state)?;
    let revoked = match query.of(&caller)? {
        Some(name) => {
            sessions
                .revoke_all(User::new(&user).organisation(name))
                .await?
        }
        None => sessions.revoke_everywhere(&user).await?,
    };
    Ok(private(Json(Revoked { revoked }).into_response()))
}

problems!(
    RevokeUserSessionProblems:
    400 "An id is not valid",
    403 "The token lacks `session:admin` or the organisation",
    404 "The user has no such session"
);

/// Ends one session of a user; for administrators.
///
/// Without `organisation` it is looked for in every organisation.
#[utoipa::path(delete, path = "/api/users/{user}/sessions/{id}", tag = "session", security(("service_token" = [])),
    params(
        ("user" = String, Path, description = "The user's id", max_length = 128),
        ("id" = String, Path, description = "The public id", max_length = 64),
        OfOrganisation,
    ),
    responses(
        (status = 204, description = "Ended"),
        RevokeUserSessionProblems, ServiceProblems,
    ))]
pub(super) async fn revoke_user_session(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath((user, id)): ApiPath<(String, String)>,
    ApiQuery(query): ApiQuery<OfOrganisation>,
) -> Result<Response> {
    caller.require(Scope::SessionAdmin)?;
    let sessions = sessions(&state)?;
    let ended = match query.of(&caller)? {
        _ if id.len() > 64 => false,
        Some(name) => {
            sessions
                .revoke(User::new(&user).organisation(name), &id)
                .await?
        }
        None => sessions.revoke_anywhere(&user, &id).await?,
    };
    if !ended {
        return Err(Problem::not_found("the user has no such session"));
    }
    Ok(private(StatusCode::NO_CONTENT.into_response()))
}

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The `cursor` of the last answer; absent at first.
    #[param(pattern = "^[0-9]{1,19}$")]
    cursor: Option<String>,
}

/// One page of everybody's sessions that ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevokedPage {
    /// How many.
    revoked: u64,
    /// Ask again with it; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

problems!(
    RevokeEveryoneProblems:
    400 "The cursor is not valid",
    403 "The token lacks `session:admin`, or is bound to organisations"
);

/// Ends everybody's sessions, one page for each call; for administrators.
///
/// To end all at once, the operator changes `SESSION_SECRETS`.
#[utoipa::path(post, path = "/api/sessions/revoke-all", tag = "session", security(("service_token" = [])),
    params(PageQuery),
    responses(
        (status = 200, description = "How many ended, and where to go on", body = RevokedPage),
        RevokeEveryoneProblems, ServiceProblems,
    ))]
pub(super) async fn revoke_everyone(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Response> {
    administers(&caller)?;
    let from = query.cursor.as_deref().unwrap_or("0");
    if from.parse::<u64>().is_err() {
        return Err(Problem::invalid("`cursor` is a number"));
    }
    let (cursor, revoked) = sessions(&state)?.revoke_everyone(from).await?;
    Ok(private(
        Json(RevokedPage { revoked, cursor }).into_response(),
    ))
}

/// How many sessions are live.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActiveSessions {
    /// `null` when they are not counted.
    active: Option<u64>,
    /// Whether each was counted (`SESSION_COUNT=exact`); else about ±1 %.
    exact: bool,
}

problems!(
    ActiveProblems:
    403 "The token lacks `session:admin`, or is bound to organisations"
);

/// Tells how many sessions are live; for administrators.
#[utoipa::path(get, path = "/api/sessions/active", tag = "session", security(("service_token" = [])),
    responses(
        (status = 200, description = "The number", body = ActiveSessions),
        ActiveProblems, ServiceProblems,
    ))]
pub(super) async fn active(State(state): State<AppState>, caller: Caller) -> Result<Response> {
    administers(&caller)?;
    let (active, exact) = match sessions(&state)?.active().await? {
        Active::Exact(n) => (Some(n), true),
        Active::Estimate(n) => (Some(n), false),
        _ => (None, false),
    };
    Ok(private(
        Json(ActiveSessions { active, exact }).into_response(),
    ))
}

fn administers(caller: &Caller) -> Result<()> {
    caller.require(Scope::SessionAdmin)?;
    caller.require_unrestricted()
}
