//! `GET /api/events/health`.

use crate::{
    AppState,
    auth::{Caller, Scope},
    extract::ApiQuery,
    problem::{Problem, Result, responses::QueryProblems},
};
use axum::{Json, extract::State, response::IntoResponse};
use futures_util::future::{try_join_all, try_join3};
use http::{StatusCode, header};
use restis::{
    events::{Backlog, Events, HourStats},
    pubsub,
    transport::time::{Instant, timeout},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use utoipa::{IntoParams, ToSchema};

const HOUR_MS: u64 = 3_600_000;
/// Types in the list of those that fail most.
const MOST_FAILING: usize = 10;
const LOOPBACK: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HealthQuery {
    /// Hours to tell about, this one included, 1 to 168; 1 when absent.
    #[param(minimum = 1, maximum = 168)]
    hours: Option<u64>,
    /// Send a message through the store and wait for it.
    #[serde(default)]
    loopback: bool,
}

/// What the events look like right now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventsHealth {
    /// `ok`, `degraded` (see `warnings`), `unavailable` or `local` (the history is switched off).
    status: &'static str,
    /// `development`, `staging` or `production`.
    environment: &'static str,
    /// Whether published events are stored.
    durable: bool,
    /// Time of one question to the store, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    /// The newest event's place in the shared history. For tokens as below.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// This instance only: others may see something else. For tokens as below.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<Instance>,
    /// Numbers of the environment; only for a service token with `events:read` for every organisation.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Details {
    /// What makes it `degraded`: `dead-letters`, `backlog`, `circuit`.
    warnings: Vec<&'static str>,
    /// Events of this hour by type.
    this_hour: BTreeMap<String, u64>,
    /// The hours that were asked for, newest first.
    hours: Vec<Hour>,
    /// Types with the most dead letters in these hours.
    top_failing: Vec<Failing>,
    /// How long calls that publish took in these hours, in every instance.
    publish: Percentiles,
    /// Work that waits, by subscriber.
    backlog: BTreeMap<String, Waiting>,
    /// Dead letters.
    dead_letters: Waiting,
    /// Time until a message came back through the store, in milliseconds; absent when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    loopback_ms: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Hour {
    /// When it began, in unix milliseconds.
    began_ms: u64,
    /// Events by type.
    published: BTreeMap<String, u64>,
    /// Events a second.
    per_second: f64,
    /// Events that were there already.
    duplicates: u64,
    /// Dead letters by type.
    failed: BTreeMap<String, u64>,
    /// Counts that cannot be read; absent when there is none.
    #[serde(skip_serializing_if = "is_none")]
    #[schema(required = false)]
    unreadable: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(n: &u64) -> bool {
    *n == 0
}

#[derive(Debug, Serialize, ToSchema)]
struct Failing {
    /// The event type.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    kind: String,
    /// Dead letters.
    dead_letters: u64,
}

/// Milliseconds that a share of the calls did not exceed, to a fifth.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Percentiles {
    calls: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Waiting {
    /// How many.
    waiting: u64,
    /// Age of the oldest, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_age_s: Option<u64>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Instance {
    /// The circuit to the store: `closed`, `open` or `probing`.
    circuit: String,
    /// How often it opened.
    circuit_opened: u64,
    /// Events that only this instance's clients were told.
    local_only: u64,
    /// Events that were refused while the store was away.
    refused: u64,
    /// Events whose fate nobody knows.
    indeterminate: u64,
    /// Failed commands by kind of error.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<String, u64>,
    /// The last one; an open circuit is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
}

#[derive(Debug, Serialize, ToSchema)]
struct LastError {
    /// Its kind, such as `timeout`.
    kind: &'static str,
    /// When, in unix milliseconds.
    at_ms: u64,
}

problems!(
    HealthProblems:
    401 "A service token was sent and is not accepted"
);

/// Says whether events can be published and read, and how it goes.
#[utoipa::path(get, path = "/api/events/health", tag = "events", security((), ("service_token" = [])), params(HealthQuery),
    responses(
        (status = 200, description = "Events can be published and read", body = EventsHealth),
        HealthProblems, QueryProblems,
        (status = 503, description = "The store does not answer", body = EventsHealth),
    ))]
pub(super) async fn health(
    State(state): State<AppState>,
    caller: Option<Caller>,
    ApiQuery(query): ApiQuery<HealthQuery>,
) -> Result<impl IntoResponse> {
    let hours = query.hours.unwrap_or(1);
    if !(1..=168).contains(&hours) {
        return Err(Problem::invalid("`hours` is from 1 to 168"));
    }
    let events = state.events();
    let mut health = EventsHealth {
        status: "local",
        environment: events.environment().name(),
        durable: false,
        latency_ms: None,
        cursor: None,
        instance: None,
        details: None,
    };
    let (mut code, mut newest) = (StatusCode::OK, None);
    if state.config().redis_events {
        let start = Instant::now();
        match events.end().await {
            Ok(end) => {
                health.status = "ok";
                health.durable = true;
                health.latency_ms = Some(start.elapsed().as_secs_f64() * 1000.0);
                newest = end;
            }
            Err(error) => {
                tracing::warn!(%error, "events health");
                health.status = "unavailable";
                code = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
    }
    let trusted = caller.is_some_and(|c| c.has(Scope::EventsRead) && c.is_unrestricted());
    let instance = instance(&state);
    health.cursor = newest.filter(|_| trusted).map(|cursor| cursor.to_string());
    if trusted && health.durable {
        let mut details = details(&state, hours).await?;
        if instance.circuit != "closed" {
            details.warnings.push("circuit");
        }
        if query.loopback {
            let probe = timeout(LOOPBACK, loopback(events, state.now_ms())).await;
            details.loopback_ms = probe.flatten();
        }
        if !details.warnings.is_empty() {
            health.status = "degraded";
        }
        health.details = Some(details);
    }
    // What is known without the store, above all while it is away.
    health.instance = trusted.then_some(instance);
    Ok((code, [(header::CACHE_CONTROL, "no-store")], Json(health)))
}

async fn details(state: &AppState, hours: u64) -> Result<Details> {
    let events = state.events();
    let now = state.now_ms();
    let asked = (0..hours).map(|ago| events.hour(now - ago * HOUR_MS));
    // All of it travels in two requests.
    let (backlogs, dead) = (events.backlogs(), events.dead_letter_backlog());
    let (hours, backlogs, dead) = try_join3(try_join_all(asked), backlogs, dead).await?;
    let mut details = Details {
        this_hour: hours
            .first()
            .map(|h| h.published.clone())
            .unwrap_or_default(),
        top_failing: top_failing(&hours),
        publish: percentiles(&hours),
        dead_letters: waiting(&dead, now),
        ..Details::default()
    };
    for (name, backlog) in backlogs {
        // Twice as long as the longest pause between two tries.
        let old = backlog
            .oldest_ms
            .is_some_and(|ms| now.saturating_sub(ms) > HOUR_MS / 2);
        if old && !details.warnings.contains(&"backlog") {
            details.warnings.push("backlog");
        }
        details.backlog.insert(name, waiting(&backlog, now));
    }
    if dead.waiting > 0 {
        details.warnings.push("dead-letters");
    }
    details.hours = hours.into_iter().map(|hour| Hour::of(hour, now)).collect();
    Ok(details)
}

impl Hour {
    fn of(hour: HourStats, now: u64) -> Self {
        let seconds = now.saturating_sub(hour.hour_ms).clamp(1000, HOUR_MS) as f64 / 1000.0;
        let sum: u64 = hour.published.values().sum();
        Self {
            began_ms: hour.hour_ms,
            per_second: sum as f64 / seconds,
            published: hour.published,
            duplicates: hour.duplicates,
            failed: hour.failed,
            unreadable: hour.unreadable,
        }
    }
}

fn top_failing(hours: &[HourStats]) -> Vec<Failing> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for (kind, n) in hours.iter().flat_map(|hour| &hour.failed) {
        *sums.entry(kind).or_default() += n;
    }
    let failing = |(kind, dead_letters): (&str, u64)| Failing {
        kind: kind.to_owned(),
        dead_letters,
    };
    let mut all: Vec<Failing> = sums.into_iter().map(failing).collect();
    all.sort_by_key(|f| std::cmp::Reverse(f.dead_letters));
    all.truncate(MOST_FAILING);
    all
}

fn percentiles(hours: &[HourStats]) -> Percentiles {
    let mut all = restis::events::Latencies::default();
    for hour in hours {
        all.merge(&hour.latency);
    }
    let ms = |share| all.quantile(share).map(|time| time.as_secs_f64() * 1000.0);
    Percentiles {
        calls: all.count(),
        p50_ms: ms(0.5),
        p95_ms: ms(0.95),
        p99_ms: ms(0.99),
    }
}

fn waiting(backlog: &Backlog, now: u64) -> Waiting {
    Waiting {
        waiting: backlog.waiting,
        oldest_age_s: backlog.oldest_ms.map(|ms| now.saturating_sub(ms) / 1000),
    }
}

fn instance(state: &AppState) -> Instance {
    let snapshot = state.redis().metrics().snapshot();
    let counter = |name: &str| snapshot.counters.get(name).copied().unwrap_or(0);
    Instance {
        circuit: format!("{:?}", snapshot.breaker).to_lowercase(),
        circuit_opened: snapshot.breaker_opened,
        local_only: counter("events_local_only"),
        refused: counter("events_refused"),
        indeterminate: counter("events_indeterminate"),
        errors: snapshot
            .errors
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(kind, n)| (format!("{kind:?}"), *n))
            .collect(),
        last_error: snapshot.last_error.map(|(kind, at_ms)| LastError {
            kind: kind.as_str(),
            at_ms,
        }),
    }
}

/// Milliseconds until an own hint came back.
async fn loopback(events: &Events, now_ms: u64) -> Option<f64> {
    let mut hints = events.hints();
    while !matches!(
        hints.next().await?.ok()?,
        pubsub::SubscriptionEvent::Subscribed { .. }
    ) {}
    let start = Instant::now();
    let probe = format!("{{\"probe\":{now_ms}}}");
    events.hint(&probe).await.ok()?;
    loop {
        let message = hints.message().await?.ok()?;
        if message.payload == probe.as_bytes() {
            return Some(start.elapsed().as_secs_f64() * 1000.0);
        }
    }
}
