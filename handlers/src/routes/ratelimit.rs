//! `/api/ratelimit`: check, peek, reset and usage, by named policy.

use crate::{
    ApiJson, ApiQuery, AppState,
    auth::{Caller, Scope},
    deferred::Deferred,
    extract::{self, at_most},
    policies::DEFAULT_POLICY,
    problem::{
        Problem, ProblemDocument, Result,
        responses::{JsonProblems, QueryProblems, ServiceProblems},
    },
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use restis::Error;
use restis::ratelimit::{Decision, Limit, RateLimitRequest, RateLimiter, Reason, Usage};
use restis::web::{
    Refusal,
    ratelimit_headers::{self as headers, HeaderStyle},
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use utoipa::{IntoParams, ToSchema};

group!(check, peek, reset, usage);

/// A question to a limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckRequest {
    /// Who is limited: a user, an API key, an address. 1 to 4096 bytes.
    #[schema(min_length = 1, max_length = 4096, example = "alice")]
    identifier: String,
    /// The policy's name; `default` when absent.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    policy: Option<String>,
    /// What the request costs; 1 when absent.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    cost: Option<u64>,
    /// Takes what there is instead of a `cost`: so much at most, 1 at least; `taken` tells how much.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    up_to: Option<u64>,
    /// The organisation, for tokens that are bound to some and limits per organisation.
    #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
    /// The client's address, for deny and allow lists.
    #[schema(value_type = Option<String>, example = "203.0.113.9")]
    ip: Option<IpAddr>,
    /// The client's user agent, for deny and allow lists.
    #[schema(max_length = 512)]
    user_agent: Option<String>,
    /// The client's country code, for lists and analytics.
    #[schema(max_length = 64)]
    country: Option<String>,
}

/// Which counter is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Target {
    /// Who is limited. 1 to 4096 bytes.
    #[param(min_length = 1, max_length = 4096, example = "alice")]
    identifier: String,
    /// The policy's name; `default` when absent.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    policy: Option<String>,
    /// The organisation, for tokens that are bound to some.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    organisation: Option<String>,
}

/// How far back usage goes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UsageQuery {
    /// Hours, 1 to 168; 24 when absent.
    #[param(minimum = 1, maximum = 168)]
    hours: Option<u32>,
    /// The policy's name; `default` when absent.
    #[param(max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    policy: Option<String>,
}

/// A decision, or what one would find.
#[derive(Debug, Serialize, ToSchema)]
struct DecisionBody {
    /// Whether the request may go on.
    allowed: bool,
    /// The policy that decided.
    policy: String,
    /// `limit`, `cache_block`, `ahead`, `deny_list`, `allow_list`, `local` or `unavailable`.
    reason: &'static str,
    /// What was taken.
    taken: u64,
    /// What the tightest limit allows in full.
    limit: u64,
    /// What the tightest limit has left.
    remaining: u64,
    /// When the tightest limit resets, in unix milliseconds.
    reset_ms: u64,
    /// How long to wait until the same cost fits, in milliseconds; `null` where it never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// Whether shadow mode lets a request go on that was refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shadowed: bool,
}

impl DecisionBody {
    fn new(policy: &str, decision: &Decision) -> Self {
        Self {
            allowed: decision.is_allowed(),
            policy: policy.to_owned(),
            reason: reason(decision.reason()),
            taken: decision.taken(),
            limit: decision.limit(),
            remaining: decision.remaining(),
            reset_ms: decision.reset_ms(),
            retry_after_ms: decision
                .retry_after()
                .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            shadowed: decision.is_shadowed(),
        }
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::CacheBlock => "cache_block",
        Reason::DenyList => "deny_list",
        Reason::AllowList => "allow_list",
        Reason::Unavailable => "unavailable",
        Reason::Local => "local",
        Reason::Reserved => "ahead",
        _ => "limit",
    }
}

/// Usage by hour.
#[derive(Debug, Serialize, ToSchema)]
struct UsageBody {
    /// Each hour, oldest first: `start_ms`, `allowed`, `refused`, `denied`; `truncated` where only
    /// the 10,000 busiest entries are counted; `unreadable` entries, where there are any.
    #[schema(value_type = Vec<Object>)]
    hours: serde_json::Value,
    /// Identifiers that were allowed most.
    most_allowed: Vec<Counted>,
    /// Identifiers that were refused most.
    most_refused: Vec<Counted>,
    /// List members that denied most.
    most_denied: Vec<Counted>,
}

/// How often something occurred.
#[derive(Debug, Serialize, ToSchema)]
struct Counted {
    /// The identifier or list member.
    name: String,
    /// How often.
    count: u64,
}

fn counted(pairs: Vec<(String, u64)>) -> Vec<Counted> {
    let each = pairs.into_iter();
    each.map(|(name, count)| Counted { name, count }).collect()
}

/// A refusal: a problem with the members of the decision.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body")]
struct RefusedBody {
    #[serde(flatten)]
    problem: ProblemDocument,
    #[serde(flatten)]
    decision: DecisionBody,
    /// The limits that refused, named as in the headers.
    #[schema(rename = "violated-policies")]
    violated_policies: Option<Vec<String>>,
}

problems!(
    CheckProblems:
    403 "The token lacks `ratelimit:check` or the organisation, or a deny list names the caller",
    404 "No such policy"
);

/// Takes the cost from a limit and says whether the request may go on.
#[utoipa::path(post, path = "/api/ratelimit", tag = "ratelimit", security(("service_token" = [])),
    request_body = CheckRequest,
    responses(
        (status = 200, description = "The request may go on", body = DecisionBody),
        (status = 429, description = "The request must wait", body = RefusedBody, content_type = "application/problem+json"),
        CheckProblems, ServiceProblems, JsonProblems, QueryProblems,
    ))]
async fn check(
    State(state): State<AppState>,
    caller: Caller,
    deferred: Deferred,
    ApiJson(body): ApiJson<CheckRequest>,
) -> Result<Response> {
    caller.require(Scope::RateLimitCheck)?;
    caller.require_organisation(body.organisation.as_deref())?;
    at_most("user_agent", body.user_agent.as_deref(), 512)?;
    at_most("country", body.country.as_deref(), 64)?;
    at_most("policy", body.policy.as_deref(), 64)?;
    let (policy, limiter) = limiter(&state, body.policy.as_deref())?;
    let query = subject(body.organisation.as_deref(), &body.identifier)?;
    let mut query = match (body.cost, body.up_to) {
        (Some(_), Some(_)) => return Err(Problem::invalid("give `cost` or `up_to`, not both")),
        (None, Some(0)) => return Err(Problem::invalid("`up_to` is at least 1")),
        (None, Some(most)) => query.up_to(amount(most)?),
        (cost, None) => query.cost(amount(cost.unwrap_or(1))?),
    };
    if let Some(ip) = body.ip {
        query = query.ip(ip);
    }
    if let Some(user_agent) = &body.user_agent {
        query = query.user_agent(user_agent);
    }
    if let Some(country) = &body.country {
        query = query.country(country);
    }
    require_group(limiter, body.organisation.as_deref())?;
    let decision = limiter.decide(query).await.map_err(no_decision)?;
    let style = state.config().policies.headers();
    let answer = answer(policy, limiter, &decision, style);
    let limiter = limiter.clone();
    deferred.push(async move {
        let mut query = RateLimitRequest::new(&body.identifier);
        if let Some(organisation) = &body.organisation {
            query = query.organisation(organisation);
        }
        if let Some(country) = &body.country {
            query = query.country(country);
        }
        if let Err(error) = limiter.record(query, &decision).await {
            tracing::warn!(%error, "analytics were not written");
        }
        if let Err(error) = limiter.refresh_deny_list().await {
            tracing::warn!(%error, "the deny list was not refreshed");
        }
    });
    Ok(answer)
}

problems!(
    PeekProblems:
    403 "The token lacks `ratelimit:check` or the organisation",
    404 "No such policy"
);

/// Says what a request of cost 1 would find; takes nothing.
#[utoipa::path(get, path = "/api/ratelimit", tag = "ratelimit", security(("service_token" = [])), params(Target),
    responses(
        (status = 200, description = "What is left", body = DecisionBody),
        PeekProblems, ServiceProblems, QueryProblems,
    ))]
async fn peek(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(target): ApiQuery<Target>,
) -> Result<Response> {
    caller.require(Scope::RateLimitCheck)?;
    caller.require_organisation(target.organisation.as_deref())?;
    let (policy, limiter) = limiter(&state, target.policy.as_deref())?;
    let organisation = target.organisation.as_deref();
    require_group(limiter, organisation)?;
    let query = subject(organisation, &target.identifier)?;
    let decision = limiter.peek(query).await.map_err(no_decision)?;
    let body = Json(DecisionBody::new(policy, &decision));
    let style = state.config().policies.headers();
    Ok((rate_headers(policy, limiter, &decision, style), body).into_response())
}

problems!(
    ResetProblems:
    403 "The token lacks `ratelimit:admin` or the organisation",
    404 "No such policy"
);

/// Forgets what an identifier has used.
#[utoipa::path(delete, path = "/api/ratelimit", tag = "ratelimit", security(("service_token" = [])), params(Target),
    responses(
        (status = 204, description = "Nothing is counted any more"),
        ResetProblems, ServiceProblems, QueryProblems,
    ))]
async fn reset(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(target): ApiQuery<Target>,
) -> Result<StatusCode> {
    caller.require(Scope::RateLimitAdmin)?;
    caller.require_organisation(target.organisation.as_deref())?;
    let (_, limiter) = limiter(&state, target.policy.as_deref())?;
    let subject = subject(target.organisation.as_deref(), &target.identifier)?;
    limiter.reset(subject).await?;
    Ok(StatusCode::NO_CONTENT)
}

problems!(
    UsageProblems:
    403 "The token lacks `ratelimit:admin`, or is bound to organisations",
    404 "No such policy"
);

/// Tells what was allowed and refused by hour; empty unless the policy has `analytics`.
#[utoipa::path(get, path = "/api/ratelimit/usage", tag = "ratelimit", security(("service_token" = [])), params(UsageQuery),
    responses(
        (status = 200, description = "Usage by hour", body = UsageBody),
        UsageProblems, ServiceProblems, QueryProblems,
    ))]
async fn usage(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<UsageQuery>,
) -> Result<Response> {
    caller.require(Scope::RateLimitAdmin)?;
    caller.require_unrestricted()?;
    let hours = query.hours.unwrap_or(24);
    if !(1..=168).contains(&hours) {
        return Err(Problem::invalid("`hours` is from 1 to 168"));
    }
    let (_, limiter) = limiter(&state, query.policy.as_deref())?;
    let Usage {
        hours,
        most_allowed,
        most_refused,
        most_denied,
        ..
    } = limiter.usage(hours).await?;
    let hours = serde_json::to_value(hours).map_err(|_| Problem::internal())?;
    let body = Json(UsageBody {
        hours,
        most_allowed: counted(most_allowed),
        most_refused: counted(most_refused),
        most_denied: counted(most_denied),
    });
    let fresh = (header::CACHE_CONTROL, "no-store");
    Ok(([fresh], body).into_response())
}

fn limiter<'s>(state: &'s AppState, policy: Option<&str>) -> Result<(&'s str, &'s RateLimiter)> {
    let found = state
        .limiters()
        .get_key_value(policy.unwrap_or(DEFAULT_POLICY));
    let (name, limiter) =
        found.ok_or_else(|| Problem::not_found("no rate limit policy has this name"))?;
    Ok((name, limiter))
}

/// A limit per organisation needs one.
fn require_group(limiter: &RateLimiter, organisation: Option<&str>) -> Result<()> {
    if organisation.is_none() && limiter.limits().iter().any(Limit::is_per_group) {
        return Err(Problem::invalid(
            "the policy has a limit per organisation: name the `organisation`",
        ));
    }
    Ok(())
}

/// Whom a question is about: the same identifier in two organisations is two.
fn subject<'a>(organisation: Option<&'a str>, identifier: &'a str) -> Result<RateLimitRequest<'a>> {
    if identifier.is_empty() || identifier.len() > 4096 {
        return Err(Problem::invalid("`identifier` has 1 to 4096 bytes"));
    }
    extract::organisation(organisation)?;
    let query = RateLimitRequest::new(identifier);
    Ok(organisation.map_or(query, |name| query.organisation(name)))
}

/// The most that is exact in JSON and in the store.
fn amount(n: u64) -> Result<u64> {
    if n < 1 << 53 {
        return Ok(n);
    }
    Err(Problem::invalid(
        "`cost` and `up_to` are at most 9007199254740991",
    ))
}

/// A counter that does not count is the store's failure, not ours.
fn no_decision(error: Error) -> Problem {
    let problem = Problem::from(error);
    if problem.status() == StatusCode::INTERNAL_SERVER_ERROR {
        return Problem::unavailable();
    }
    problem
}

fn rate_headers(
    policy: &str,
    limiter: &RateLimiter,
    decision: &Decision,
    style: HeaderStyle,
) -> HeaderMap {
    let mut map = HeaderMap::new();
    headers::write(&mut map, policy, limiter.limits(), decision, style);
    map.insert(
        header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    );
    map
}

fn answer(
    policy: &str,
    limiter: &RateLimiter,
    decision: &Decision,
    style: HeaderStyle,
) -> Response {
    let headers = rate_headers(policy, limiter, decision, style);
    let body = DecisionBody::new(policy, decision);
    let Some(refusal) = Refusal::of_decision(policy, decision) else {
        return (headers, Json(body)).into_response();
    };
    let problem = Problem::from(refusal)
        .member("allowed", false)
        .member("policy", policy)
        .member("reason", body.reason)
        .member("taken", body.taken)
        .member("limit", body.limit)
        .member("remaining", body.remaining)
        .member("reset_ms", body.reset_ms)
        .member("retry_after_ms", body.retry_after_ms);
    let mut response = problem.into_response();
    response.headers_mut().extend(headers);
    response
}
