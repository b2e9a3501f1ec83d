//! A short life of what is built on the database.

use std::time::Duration;

use restis::cache::{Cache, CacheConfig, Key, Keyspace, Lifetime};
use restis::events::{Environment, Event, Events, HistoryQuery};
use restis::ratelimit::{Limit, RateLimiter};
use restis::session::{Creation, Loaded, NewSession, SessionConfig, Sessions};
use restis::{Clock as _, Error, Redis, SystemClock, prelude::*};
use serde_json::json;

use super::diagnose;
use super::report::Outcome;
use super::store::TTL;

/// What a check makes of its steps: a problem and its remedy, or nothing.
type Steps = Result<Option<(&'static str, &'static str)>, Error>;

fn outcome(steps: Steps, passed: &str) -> Outcome {
    match steps {
        Ok(None) => Outcome::passed(passed),
        Ok(Some((problem, remedy))) => Outcome::failed(problem, remedy),
        Err(error) => diagnose::outcome(&error),
    }
}

/// A session is created, loaded, extended and ended.
pub(super) async fn sessions(redis: &Redis, prefix: &str) -> Outcome {
    let lookup = |name: &str| {
        Some(match name {
            "SESSION_SECRETS" => "a text of more than thirty-two bytes".to_owned(),
            "SESSION_PREFIX" => prefix.to_owned(),
            // Counts of all sessions would outlive the check.
            "SESSION_COUNT" => "off".to_owned(),
            "SESSION_TTL" | "SESSION_ABSOLUTE_TTL" => TTL.as_secs().to_string(),
            _ => return None,
        })
    };
    let config = match SessionConfig::from_lookup(lookup) {
        Ok(config) => config,
        Err(problems) => return Outcome::failed(problems.join("; "), "report this as a bug"),
    };
    let steps = session_steps(redis, config).await;
    // What is known of the user outlives the session by a little.
    let _ = redis
        .unlink([format!("{prefix}user:check:organisations")])
        .await;
    outcome(
        steps,
        "a session is created, loaded, extended, ended, and gone then",
    )
}

async fn session_steps(redis: &Redis, config: SessionConfig) -> Steps {
    let remedy = "is a replica read that lags, or does something else write or evict these keys?";
    let sessions = Sessions::new(redis.clone(), config)?;
    let new = NewSession::user("check").set("greeting", "hello");
    let Creation::Created(mut session) = sessions.create(new).await? else {
        return Ok(Some(("the session is not created", remedy)));
    };
    let token = session.token().clone();
    let loaded = sessions.load(&token).await?;
    if !matches!(loaded, Loaded::Live(_)) {
        return Ok(Some((
            "the session is not found after it was created",
            remedy,
        )));
    }
    sessions.touch_now(&mut session).await?;
    sessions.logout(&session).await?;
    Ok(match sessions.load(&token).await? {
        Loaded::Live(_) => Some(("the session is there after it was ended", remedy)),
        _ => None,
    })
}

/// A limit lets two through and refuses the third.
pub(super) async fn rate_limit(redis: &Redis, prefix: &str) -> Outcome {
    outcome(
        rate_limit_steps(redis, prefix).await,
        "of a limit of 2 the third is refused, and told when to come back",
    )
}

async fn rate_limit_steps(redis: &Redis, prefix: &str) -> Steps {
    let limit = Limit::fixed_window(2, TTL)?;
    // What this process knows of a refusal is not asked again: here it must be.
    let limiter = RateLimiter::builder(redis.clone(), limit)
        .prefix(format!("{prefix}limit"))
        .block_cache(0)
        .build();
    let mut allowed = Vec::new();
    for _ in 0..3 {
        let decision = limiter.limit("check").await?;
        allowed.push(decision.is_allowed());
        if decision.retry_after().is_some_and(|after| after > TTL) {
            return Ok(Some((
                "a refused caller is told to wait longer than the window",
                "set the clocks of both by NTP",
            )));
        }
    }
    limiter.reset("check").await?;
    Ok(match allowed[..] {
        [true, true, false] => None,
        // A new window may begin between two decisions.
        [true, true, true] => Some((
            "of a limit of 2 all three are let through",
            "reads of a replica that lags, an eviction policy, or clocks that differ: see the \
             other checks; in production look at TRUSTED_PROXIES and RATE_LIMIT_POLICIES too",
        )),
        _ => Some((
            "a limit of 2 refuses the first or second",
            "another program uses the same prefix",
        )),
    })
}

const GREETINGS: Keyspace<(String,), String> =
    Keyspace::new("check:{id}").lifetime(Lifetime::new(Duration::from_secs(30)));

/// A value is stored, read and invalidated.
pub(super) async fn cache(redis: &Redis, prefix: &str) -> Outcome {
    let mut config = CacheConfig::new();
    prefix.clone_into(&mut config.prefix);
    config.max_lifetime = TTL;
    let key = GREETINGS.key(("check",));
    let steps = cache_steps(redis, config, &key).await;
    // The marker of the invalidation would live for some minutes.
    let names = [key.name().to_owned(), format!("#key:{}", key.name())];
    let names = names.map(|name| format!("{prefix}{name}"));
    let _ = redis.unlink(names).await;
    outcome(steps, "a value is stored, read, invalidated, and gone then")
}

async fn cache_steps(redis: &Redis, config: CacheConfig, key: &Key<String>) -> Steps {
    let remedy = "is the prefix written by another program, or does a replica that is read lag?";
    let cache = Cache::builder(redis.clone(), config).build()?;
    cache.put(key, &"hello".to_owned()).await?;
    if cache.get(key).await?.is_none() {
        return Ok(Some(("the value is not found after it was stored", remedy)));
    }
    cache.delete(key).await?;
    let found = cache.get(key).await?;
    Ok(found.map(|_| ("the value is served after it was invalidated", remedy)))
}

const ENVIRONMENTS: [Environment; 3] = [
    Environment::Development,
    Environment::Staging,
    Environment::Production,
];

/// Events of one environment are not seen in another one.
pub(super) async fn events(redis: &Redis, id: &str, environment: Environment) -> Outcome {
    let organisation = format!("check-{id}");
    let steps = event_steps(redis, &organisation, environment).await;
    let cleaned = clean(redis, &organisation).await;
    let passed = format!("an event is published and read in {environment}, and not seen elsewhere");
    match (steps, cleaned) {
        (Ok(None), Err(error)) => diagnose::outcome(&error),
        (steps, _) => outcome(steps, &passed),
    }
}

async fn event_steps(redis: &Redis, organisation: &str, environment: Environment) -> Steps {
    let here = Events::new(redis.clone(), environment).of_organisation(organisation)?;
    let event = Event::new("check.made", "restis-check", json!({ "hello": true }))?;
    here.publish(&event).await?;
    let read = here.history(&HistoryQuery::new()).await?;
    if !read.events.iter().any(|stored| stored.event.id == event.id) {
        return Ok(Some((
            "the event is not in its history after it was published",
            "does a replica that is read lag?",
        )));
    }
    for other in ENVIRONMENTS
        .into_iter()
        .filter(|other| *other != environment)
    {
        let there = Events::new(redis.clone(), other).of_organisation(organisation)?;
        if !there.history(&HistoryQuery::new()).await?.events.is_empty() {
            return Ok(Some((
                "an event of one environment is seen in another one",
                "give each environment a database, or EVENTS_ENV, of its own",
            )));
        }
    }
    Ok(None)
}

/// Deletes what belongs to the organisation, by the names of docs/reference/KEYS.md.
pub(super) async fn clean(redis: &Redis, organisation: &str) -> Result<(), Error> {
    const HOUR_MS: u64 = 3_600_000;
    let hour = SystemClock::new().now_ms() / HOUR_MS * HOUR_MS;
    let mut names = Vec::new();
    for environment in ENVIRONMENTS {
        let start = format!("events:{environment}");
        // A history that is read has its record, also where it is empty.
        names.push(format!("{start}:history:{organisation}"));
        names.push(format!("{start}:meta:{organisation}"));
        names.push(format!("{start}:stats:{organisation}:{hour}"));
        names.push(format!("{start}:stats:{organisation}:{}", hour - HOUR_MS));
    }
    redis.unlink(names).await?;
    Ok(())
}
