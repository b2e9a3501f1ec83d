//! `/api/events/dlq`: dead letters of the environment, of every organisation.

use crate::{
    AppState,
    auth::{Caller, Scope},
    extract::{ApiJson, ApiPath, ApiQuery, at_most},
    problem::{
        Problem, Result,
        responses::{JsonProblems, QueryProblems, ServiceProblems},
    },
};
use axum::{Json, extract::State, response::IntoResponse};
use futures_util::future::try_join;
use http::header;
use restis::events::{DeadLetter, Events};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Dead letters looked through in one request.
const MOST: u64 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The id of the last letter of the page before.
    #[param(max_length = 41, example = "1767225600000-0")]
    after: Option<String>,
    /// Letters in a page, 1 to 500; 100 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u64>,
}

/// Which dead letters are meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    /// These ids, 500 at most.
    #[serde(default)]
    #[schema(max_items = 500)]
    ids: Vec<String>,
    /// Or the oldest ones, this many.
    #[schema(minimum = 1, maximum = 500)]
    oldest: Option<u64>,
    /// Only of this subscriber.
    #[schema(max_length = 64)]
    subscriber: Option<String>,
    /// Only of this event type.
    #[serde(rename = "type")]
    #[schema(max_length = 512)]
    kind: Option<String>,
    /// Only with this reason.
    #[schema(max_length = 512)]
    reason: Option<String>,
}

/// An event that nobody could process.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Letter {
    /// Its id here.
    id: String,
    /// The subscriber that gave up.
    subscriber: String,
    /// `exhausted`, `poison`, `unreadable`, or the subscriber's own reason.
    reason: String,
    /// How often it was handed out.
    attempts: u32,
    /// The last failures, oldest first.
    failures: Vec<Failure>,
    /// Where it is in its history.
    cursor: String,
    /// The CloudEvent; absent when it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Value>,
    /// What is stored is no event: it can be purged, not redriven.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    unreadable: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct Failure {
    /// When, in unix milliseconds.
    at_ms: u64,
    /// What the handler said.
    error: String,
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let failure = |line: &str| {
            let (at, error) = line.split_once(' ')?;
            Some(Failure {
                at_ms: at.parse().ok()?,
                error: error.to_owned(),
            })
        };
        Self {
            failures: letter.tries.lines().filter_map(failure).collect(),
            unreadable: letter.event.is_none(),
            event: letter.event.and_then(|e| serde_json::to_value(e).ok()),
            id: letter.id,
            subscriber: letter.subscriber,
            reason: letter.reason,
            attempts: letter.attempts,
            cursor: letter.position,
        }
    }
}

/// One page of dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Letters {
    /// Oldest first.
    letters: Vec<Letter>,
    /// How many there are in all.
    total: u64,
}

/// How many were moved or deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    /// How many.
    count: u64,
}

/// Dead letters hold events of every organisation: a token that is bound to some may not see them.
fn admin<'s>(state: &'s AppState, caller: &Caller) -> Result<&'s Events> {
    caller.require(Scope::EventsAdmin)?;
    caller.require_unrestricted()?;
    Ok(state.events())
}

problems!(
    ListProblems:
    403 "The token lacks `events:admin` or is bound to organisations"
);

/// Lists dead letters, oldest first.
#[utoipa::path(get, path = "/api/events/dlq", tag = "events", security(("service_token" = [])), params(ListQuery),
    responses(
        (status = 200, description = "A page", body = Letters),
        ListProblems, ServiceProblems, QueryProblems,
    ))]
pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<impl IntoResponse> {
    let events = admin(&state, &caller)?;
    let limit = query.limit.unwrap_or(100);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid("`limit` is from 1 to 500"));
    }
    // Two commands, one request: the client merges them.
    let letters = events.dead_letters(query.after.as_deref(), limit);
    let (letters, total) = try_join(letters, events.dead_letter_count()).await?;
    let letters = letters.into_iter().map(Letter::from).collect();
    let body = Json(Letters { letters, total });
    Ok(([(header::CACHE_CONTROL, "no-store")], body))
}

problems!(
    InspectProblems:
    400 "Not an id",
    403 "The token lacks `events:admin` or is bound to organisations",
    404 "No such letter"
);

/// Shows one dead letter.
#[utoipa::path(get, path = "/api/events/dlq/{id}", tag = "events", security(("service_token" = [])),
    params(("id" = String, Path, description = "The letter's id")),
    responses(
        (status = 200, description = "The letter", body = Letter),
        InspectProblems, ServiceProblems,
    ))]
pub(super) async fn inspect(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath,
) -> Result<impl IntoResponse> {
    let letter = admin(&state, &caller)?.dead_letter(&id).await?;
    let letter = letter.ok_or_else(|| Problem::not_found("no dead letter has this id"))?;
    let body = Json(Letter::from(letter));
    Ok(([(header::CACHE_CONTROL, "no-store")], body))
}

problems!(
    RedriveProblems:
    400 "The selection is not valid",
    401 "No accepted service token",
    403 "The token lacks `events:admin` or is bound to organisations",
    503 "The store does not answer; asking again is safe"
);

/// Gives dead letters back to their subscribers as new work; each letter once, except those that cannot be read.
#[utoipa::path(post, path = "/api/events/dlq/redrive", tag = "events", security(("service_token" = [])),
    request_body = Selection,
    responses(
        (status = 200, description = "How many went back", body = Changed),
        RedriveProblems, JsonProblems,
    ))]
pub(super) async fn redrive(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(selection): ApiJson<Selection>,
) -> Result<Json<Changed>> {
    let events = admin(&state, &caller)?;
    let letters = selection.find(events).await?;
    let count = events.redrive(&letters).await?;
    Ok(Json(Changed { count }))
}

problems!(
    PurgeProblems:
    400 "The selection is not valid",
    401 "No accepted service token",
    403 "The token lacks `events:admin` or is bound to organisations",
    503 "The store does not answer; asking again is safe"
);

/// Deletes dead letters for good.
#[utoipa::path(post, path = "/api/events/dlq/purge", tag = "events", security(("service_token" = [])),
    request_body = Selection,
    responses(
        (status = 200, description = "How many are gone", body = Changed),
        PurgeProblems, JsonProblems,
    ))]
pub(super) async fn purge(
    State(state): State<AppState>,
    caller: Caller,
    ApiJson(selection): ApiJson<Selection>,
) -> Result<Json<Changed>> {
    let events = admin(&state, &caller)?;
    let letters = selection.find(events).await?;
    let ids: Vec<String> = letters.into_iter().map(|letter| letter.id).collect();
    let count = events.purge(&ids).await?;
    Ok(Json(Changed { count }))
}

impl Selection {
    async fn find(&self, events: &Events) -> Result<Vec<DeadLetter>> {
        at_most("subscriber", self.subscriber.as_deref(), 64)?;
        at_most("type", self.kind.as_deref(), 512)?;
        at_most("reason", self.reason.as_deref(), 512)?;
        for id in &self.ids {
            at_most("ids", Some(id), 41)?;
        }
        let limit = match (self.ids.len() as u64, self.oldest) {
            (1..=MOST, None) => MOST,
            (0, Some(n @ 1..=MOST)) => n,
            _ => {
                return Err(Problem::invalid(
                    "name 1 to 500 `ids`, or how many of the `oldest`, 1 to 500",
                ));
            }
        };
        let found = if self.ids.is_empty() {
            events.dead_letters(None, limit).await?
        } else {
            let each = self.ids.iter().map(|id| events.dead_letter(id));
            let found = futures_util::future::try_join_all(each).await?;
            found.into_iter().flatten().collect()
        };
        let is =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|w| w == value);
        let fits = |letter: &DeadLetter| {
            is(&self.subscriber, &letter.subscriber)
                && is(
                    &self.kind,
                    letter.event.as_ref().map_or("", |event| &event.kind),
                )
                && is(&self.reason, &letter.reason)
        };
        Ok(found.into_iter().filter(fits).collect())
    }
}
