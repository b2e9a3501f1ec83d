//! What the programs would refuse at start.

use restis::{
    Redis,
    cache::CacheConfig,
    config::Builder,
    otel::TelemetryConfig,
    session::SessionConfig,
    variables::{EnvFiles, Variables, get},
};
use restis_handlers::{AppState, Config, ConfigError};

use super::effective;
use crate::args;

/// Stands for a secret that is not set, so that the other variables are read.
const STAND_IN: &str = "a text of more than thirty-two bytes";

/// Every problem of the files, the client, the functions and `restis serve`.
pub(super) fn all(files: &EnvFiles) -> Vec<String> {
    let mut problems = files.problems().to_vec();
    let before = problems.len();
    let mut vars = Variables::new(&get);
    let client = Builder::from_vars(&mut vars);
    problems.extend(vars.into_problems());
    if client.is_none() && problems.len() == before {
        // No database: refused when this is no development.
        problems.extend(Redis::from_vars(get).err().map(|error| error.to_string()));
    }
    let config = Config::from_vars(get);
    let sessions = SessionConfig::from_lookup(|name| {
        let stand_in = || (name == "SESSION_SECRETS").then(|| STAND_IN.to_owned());
        get(name)
            .filter(|value| !value.trim().is_empty())
            .or_else(stand_in)
    });
    let cache = CacheConfig::from_lookup(get);
    match (config, sessions, cache) {
        (Ok(config), Ok(sessions), Ok(_)) => {
            let redis = restis::testing::redis();
            let built = AppState::builder(redis).config(config).sessions(sessions);
            let together = built.build().err();
            problems.extend(together.iter().flat_map(ConfigError::problems).cloned());
        }
        (config, sessions, cache) => {
            problems.extend(config.err().iter().flat_map(ConfigError::problems).cloned());
            problems.extend(sessions.err().into_iter().flatten());
            problems.extend(cache.err().into_iter().flatten());
        }
    }
    let mut vars = Variables::new(&get);
    TelemetryConfig::from_vars(&mut vars);
    problems.extend(vars.into_problems());
    problems.extend(args::serve_problem());
    problems.dedup();
    problems
}

/// What is no problem and yet may not be meant.
pub(super) fn notes(files: &EnvFiles) -> Vec<String> {
    let mut notes = effective::unknown(files);
    let refers = |value: &str| {
        value.match_indices('$').any(|(at, _)| {
            let next = value[at + 1..].chars().next();
            next.is_some_and(|c| c == '{' || c == '_' || c.is_ascii_alphabetic())
        })
    };
    notes.extend(files.variables().filter(|v| refers(v.value)).map(|v| {
        let (name, file, line) = (v.name, v.file, v.line);
        format!("{name} ({file}:{line}): a `$` is read as it stands; references are not replaced")
    }));
    let vars = Variables::new(&get);
    let database = [
        "UPSTASH_REDIS_REST_URL",
        "KV_REST_API_URL",
        "REDIS_URL",
        "KV_URL",
    ];
    if database.iter().all(|name| vars.text(name).is_none()) {
        notes.push(
            "no database is set: `Redis::from_env` works on a store in the process in development"
                .to_owned(),
        );
    }
    notes
}
