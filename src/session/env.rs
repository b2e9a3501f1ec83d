//! Settings of sessions from the environment.

use super::{
    CookieConfig, Counting, Encryption, LimitPolicy, SameSite, Secrets, SessionConfig, config::DAY,
};
use std::time::Duration;

impl SessionConfig {
    /// Reads settings by name.
    ///
    /// # Errors
    /// Every problem, each naming its variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut env = Env {
            lookup,
            problems: Vec::new(),
        };
        let secrets = env.secrets();
        // Problems of the other variables are reported together with a missing secret.
        let mut config = match secrets.clone().map_or_else(Secrets::random, Ok) {
            Ok(secrets) => Self::new(secrets),
            Err(problem) => return Err(vec![problem]),
        };
        if let Some(idle) = env.seconds("SESSION_TTL", 1) {
            config.lifetimes.idle = idle;
        }
        if let Some(absolute) = env.seconds("SESSION_ABSOLUTE_TTL", 1) {
            config.lifetimes.absolute = absolute;
        }
        config.lifetimes.touch_every = env.seconds("SESSION_TOUCH_INTERVAL", 0);
        config.lifetimes.rotate_every = env
            .seconds("SESSION_ROTATE_INTERVAL", 0)
            .filter(|d| !d.is_zero());
        if let Some(grace) = env.seconds("SESSION_ROTATE_GRACE", 0) {
            config.lifetimes.grace = grace;
        }
        config.prefix = env.text("SESSION_PREFIX").unwrap_or_default();
        if let Some(max) = env.number("SESSION_MAX_PER_USER") {
            config.max_per_user = u32::try_from(max).unwrap_or(u32::MAX);
        }
        let policies = [
            ("evict", LimitPolicy::Evict),
            ("reject", LimitPolicy::Reject),
        ];
        config.policy = env
            .one_of("SESSION_LIMIT_POLICY", &policies)
            .unwrap_or_default();
        config.one_per_device = env.flag("SESSION_ONE_PER_DEVICE");
        let countings = [
            ("off", Counting::Off),
            ("estimate", Counting::Estimate),
            ("exact", Counting::Exact),
        ];
        config.counting = env.one_of("SESSION_COUNT", &countings);
        config.cluster = env.flag("SESSION_CLUSTER");
        config.set_index = env.flag("SESSION_SET_INDEX");
        config.require_if_match = env.flag("SESSION_REQUIRE_IF_MATCH");
        let encryptions = [
            ("off", Encryption::Off),
            #[cfg(feature = "encryption")]
            ("required", Encryption::Required),
            #[cfg(feature = "encryption")]
            ("migrating", Encryption::Migrating),
        ];
        if let Some(fresh) = env.seconds("SESSION_FRESH_AUTH", 0) {
            config.fresh = fresh;
        }
        config.encryption = env
            .one_of("SESSION_ENCRYPTION", &encryptions)
            .unwrap_or_default();
        config.cookie = env.cookie();
        for origin in env
            .text("SESSION_ALLOWED_ORIGINS")
            .iter()
            .flat_map(|l| l.split(','))
        {
            match origin.trim().trim_end_matches('/') {
                o if o.starts_with("https://") || o.starts_with("http://") => {
                    config.csrf = config.csrf.allow(o);
                }
                _ => env.problems.push(
                    "SESSION_ALLOWED_ORIGINS: write origins like https://app.example.com".into(),
                ),
            }
        }
        let fields = env.text("SESSION_CLIENT_FIELDS").unwrap_or_default();
        let fields = fields.split(',').map(str::trim).filter(|n| !n.is_empty());
        config.client_fields = fields.map(str::to_owned).collect();
        let mut problems = env.problems;
        problems.extend(config.problems());
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }
}

struct Env<F> {
    lookup: F,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Env<F> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
    }

    fn secrets(&mut self) -> Option<Secrets> {
        let Some(list) = self.text("SESSION_SECRETS") else {
            self.problems
                .push("SESSION_SECRETS is missing: `openssl rand -base64 48` makes one".to_owned());
            return None;
        };
        Secrets::new(list.split(',').map(str::trim))
            .map_err(|e| self.problems.push(format!("SESSION_SECRETS: {e}")))
            .ok()
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_| self.problems.push(format!("{name} must be a whole number")))
            .ok()
    }

    fn seconds(&mut self, name: &str, least: u64) -> Option<Duration> {
        let seconds = self.number(name)?;
        if seconds < least || seconds > 400 * DAY.as_secs() {
            self.problems.push(format!(
                "{name} must be {least} to {} seconds",
                400 * DAY.as_secs()
            ));
            return None;
        }
        Some(Duration::from_secs(seconds))
    }

    fn flag(&mut self, name: &str) -> bool {
        self.one_of(
            name,
            &[("true", true), ("1", true), ("false", false), ("0", false)],
        )
        .unwrap_or(false)
    }

    fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?.to_ascii_lowercase();
        let found = choices
            .iter()
            .find(|(choice, _)| *choice == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            self.problems
                .push(format!("{name} must be one of {}", names.join(", ")));
        }
        found
    }

    fn cookie(&mut self) -> CookieConfig {
        let mut cookie = match self.flag("SESSION_COOKIE_INSECURE") {
            true => CookieConfig::insecure(),
            false => CookieConfig::default(),
        };
        if let Some(name) = self.text("SESSION_COOKIE_NAME") {
            cookie = cookie.name(name);
        }
        let same_sites = [
            ("lax", SameSite::Lax),
            ("strict", SameSite::Strict),
            ("none", SameSite::None),
        ];
        if let Some(same_site) = self.one_of("SESSION_COOKIE_SAMESITE", &same_sites) {
            cookie = cookie.same_site(same_site);
        }
        if let Some(domain) = self.text("SESSION_COOKIE_DOMAIN") {
            cookie = cookie.domain(domain);
        }
        if self.flag("SESSION_COOKIE_PARTITIONED") {
            cookie = cookie.partitioned();
        }
        cookie
    }
}
