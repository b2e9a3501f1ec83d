//! Settings of a cache from the environment.

use std::time::Duration;

use super::CacheConfig;
use crate::{
    Error, Result,
    variables::{Unit, Variables, get},
};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);
const MIB: u64 = 1024 * 1024;

impl CacheConfig {
    /// Reads the environment and the `.env` files.
    ///
    /// # Errors
    /// `Config` that lists every problem.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(get).map_err(|problems| {
            let problems = problems.join("; ");
            Error::config(format!("cache configuration: {problems}"))
        })
    }

    /// Reads settings by name.
    ///
    /// # Errors
    /// Every problem, each naming its variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut env = Variables::new(&lookup);
        let mut config = Self::default();
        let valid = |text: &str| {
            let is_valid = text.len() <= 200 && !text.contains(['{', '}']);
            let problem = "a prefix has at most 200 bytes and no braces";
            is_valid.then(|| text.to_owned()).ok_or(problem)
        };
        set(&mut config.prefix, env.parsed("CACHE_PREFIX", valid));
        set(&mut config.cluster, env.flag("CACHE_CLUSTER"));
        set(&mut config.evicts, env.flag("CACHE_EVICTS"));
        let second = Duration::from_secs(1);
        let mut time = |name: &str, least, most| env.duration(name, Unit::Seconds, least..=most);
        set(
            &mut config.max_lifetime,
            time("CACHE_MAX_LIFETIME", second, 366 * DAY),
        );
        set(&mut config.max_load, time("CACHE_MAX_LOAD", second, HOUR));
        let load_timeout = time("CACHE_LOAD_TIMEOUT", second, HOUR);
        set(&mut config.load_timeout, load_timeout);
        config.stale_after = time("CACHE_STALE_AFTER", Duration::ZERO, HOUR);
        let error_pause = time("CACHE_ERROR_PAUSE", Duration::ZERO, HOUR);
        set(&mut config.error_pause, error_pause);
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let max_value = env.number("CACHE_MAX_VALUE_BYTES", 1..=64 * MIB);
        set(&mut config.max_value_bytes, max_value.map(size));
        let memory = env.number("CACHE_MEMORY_BYTES", 0..=64 * 1024 * MIB);
        set(&mut config.memory_bytes, memory);
        let queued = env.number("CACHE_MAX_QUEUED", 0..=100_000);
        set(&mut config.max_queued, queued.map(size));
        set(&mut config.hints, env.flag("CACHE_HINTS"));
        let problems = env.into_problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(all: &[(&str, &str)]) -> Result<CacheConfig, Vec<String>> {
        CacheConfig::from_lookup(|name| {
            let found = all.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_the_defaults_hold() {
        assert_eq!(read(&[]), Ok(CacheConfig::default()));
    }

    #[test]
    fn every_variable_is_read_and_every_problem_told() {
        let config = read(&[
            ("CACHE_PREFIX", "c:"),
            ("CACHE_CLUSTER", "true"),
            ("CACHE_EVICTS", "1"),
            ("CACHE_MAX_LIFETIME", "2h"),
            ("CACHE_MAX_LOAD", "90"),
            ("CACHE_LOAD_TIMEOUT", "20s"),
            ("CACHE_STALE_AFTER", "2s"),
            ("CACHE_ERROR_PAUSE", "0"),
            ("CACHE_MAX_VALUE_BYTES", "1000"),
            ("CACHE_MEMORY_BYTES", "0"),
            ("CACHE_MAX_QUEUED", "7"),
            ("CACHE_HINTS", "true"),
        ]);
        let expected = CacheConfig {
            prefix: "c:".to_owned(),
            cluster: true,
            evicts: true,
            max_lifetime: 2 * HOUR,
            max_load: Duration::from_secs(90),
            load_timeout: Duration::from_secs(20),
            stale_after: Some(Duration::from_secs(2)),
            error_pause: Duration::ZERO,
            max_value_bytes: 1000,
            memory_bytes: 0,
            max_queued: 7,
            hints: true,
            ..CacheConfig::default()
        };
        assert_eq!(config, Ok(expected));
        let problems = read(&[
            ("CACHE_PREFIX", "{c}"),
            ("CACHE_CLUSTER", "maybe"),
            ("CACHE_MAX_LIFETIME", "0"),
            ("CACHE_MAX_QUEUED", "-1"),
        ]);
        let problems = problems.unwrap_err();
        let names = [
            "CACHE_PREFIX",
            "CACHE_CLUSTER",
            "CACHE_MAX_LIFETIME",
            "CACHE_MAX_QUEUED",
        ];
        for (problem, name) in problems.iter().zip(names) {
            assert!(problem.starts_with(name), "{problem}");
        }
        assert_eq!(problems.len(), names.len());
    }
}
