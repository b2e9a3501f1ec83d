//! Settings of sessions from the environment.

use super::{
    CookieConfig, Counting, Encryption, LimitPolicy, SameSite, Secrets, SessionConfig, config::DAY,
};
use crate::variables::{Unit, Variables};
use std::time::Duration;

impl SessionConfig {
    /// Reads settings by name.
    ///
    /// # Errors
    /// Every problem, each naming its variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut env = Variables::new(&lookup);
        let secrets = secrets(&mut env);
        // Problems of the other variables are reported together with a missing secret.
        let mut config = match secrets.clone().map_or_else(Secrets::random, Ok) {
            Ok(secrets) => Self::new(secrets),
            Err(problem) => return Err(vec![problem]),
        };
        if let Some(idle) = time(&mut env, "SESSION_TTL", 1) {
            config.lifetimes.idle = idle;
        }
        if let Some(absolute) = time(&mut env, "SESSION_ABSOLUTE_TTL", 1) {
            config.lifetimes.absolute = absolute;
        }
        config.lifetimes.touch_every = time(&mut env, "SESSION_TOUCH_INTERVAL", 0);
        config.lifetimes.rotate_every =
            time(&mut env, "SESSION_ROTATE_INTERVAL", 0).filter(|d| !d.is_zero());
        if let Some(grace) = time(&mut env, "SESSION_ROTATE_GRACE", 0) {
            config.lifetimes.grace = grace;
        }
        config.prefix = env.text("SESSION_PREFIX").unwrap_or_default();
        if let Some(max) = env.number("SESSION_MAX_PER_USER", 0..=u64::MAX) {
            config.max_per_user = u32::try_from(max).unwrap_or(u32::MAX);
        }
        let policies = [
            ("evict", LimitPolicy::Evict),
            ("reject", LimitPolicy::Reject),
        ];
        config.policy = env
            .one_of("SESSION_LIMIT_POLICY", &policies)
            .unwrap_or_default();
        config.one_per_device = env.flag("SESSION_ONE_PER_DEVICE").unwrap_or(false);
        let countings = [
            ("off", Counting::Off),
            ("estimate", Counting::Estimate),
            ("exact", Counting::Exact),
        ];
        config.counting = env.one_of("SESSION_COUNT", &countings);
        config.cluster = env.flag("SESSION_CLUSTER").unwrap_or(false);
        config.set_index = env.flag("SESSION_SET_INDEX").unwrap_or(false);
        config.require_if_match = env.flag("SESSION_REQUIRE_IF_MATCH").unwrap_or(false);
        let encryptions = [
            ("off", Encryption::Off),
            #[cfg(feature = "encryption")]
            ("required", Encryption::Required),
            #[cfg(feature = "encryption")]
            ("migrating", Encryption::Migrating),
        ];
        if let Some(fresh) = time(&mut env, "SESSION_FRESH_AUTH", 0) {
            config.fresh = fresh;
        }
        config.encryption = env
            .one_of("SESSION_ENCRYPTION", &encryptions)
            .unwrap_or_default();
        config.cookie = cookie(&mut env);
        for origin in env.list("SESSION_ALLOWED_ORIGINS").unwrap_or_default() {
            match origin.trim_end_matches('/') {
                o if o.starts_with("https://") || o.starts_with("http://") => {
                    config.csrf = config.csrf.allow(o);
                }
                _ => env.problem(
                    "SESSION_ALLOWED_ORIGINS",
                    "use origins like https://app.example.com, by comma",
                ),
            }
        }
        let fields = env.list("SESSION_CLIENT_FIELDS").unwrap_or_default();
        let fields = fields.into_iter().filter(|name| !name.is_empty());
        config.client_fields = fields.collect();
        let mut problems = env.into_problems();
        problems.extend(config.problems());
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }
}

/// A time of at least so many seconds, and at most 400 days.
fn time(env: &mut Variables<'_>, name: &str, least: u64) -> Option<Duration> {
    env.duration(name, Unit::Seconds, Duration::from_secs(least)..=400 * DAY)
}

fn secrets(env: &mut Variables<'_>) -> Option<Secrets> {
    if env.text("SESSION_SECRETS").is_none() {
        env.problem(
            "SESSION_SECRETS",
            "not set; `openssl rand -base64 48` makes one",
        );
    }
    env.parsed("SESSION_SECRETS", |list| {
        Secrets::new(list.split(',').map(str::trim))
    })
}

fn cookie(env: &mut Variables<'_>) -> CookieConfig {
    let mut cookie = match env.flag("SESSION_COOKIE_INSECURE") {
        Some(true) => CookieConfig::insecure(),
        _ => CookieConfig::default(),
    };
    if let Some(name) = env.text("SESSION_COOKIE_NAME") {
        cookie = cookie.name(name);
    }
    let same_sites = [
        ("lax", SameSite::Lax),
        ("strict", SameSite::Strict),
        ("none", SameSite::None),
    ];
    if let Some(same_site) = env.one_of("SESSION_COOKIE_SAMESITE", &same_sites) {
        cookie = cookie.same_site(same_site);
    }
    if let Some(domain) = env.text("SESSION_COOKIE_DOMAIN") {
        cookie = cookie.domain(domain);
    }
    if env.flag("SESSION_COOKIE_PARTITIONED") == Some(true) {
        cookie = cookie.partitioned();
    }
    cookie
}
