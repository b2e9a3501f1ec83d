//! Configuration of the functions from the environment.

use crate::{
    Host,
    auth::ServiceTokens,
    policies::PolicySet,
    schemas::EventSchemas,
    webhooks::{Webhooks, parse_endpoint},
};
use http::{HeaderName, HeaderValue};
use restis::{
    events::{Endpoint, Environment, EventsConfig, GrantKeys, TypeFilter},
    session::AssertionKeys,
    variables::{Unit, Variables, get},
};
use std::{fmt, time::Duration};

/// Every problem of the configuration at once.
#[derive(Debug)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    pub(crate) fn one(problem: String) -> Self {
        Self(vec![problem])
    }

    /// Every problem, as `NAME: what to write`.
    pub fn problems(&self) -> &[String] {
        &self.0
    }

    /// An error from the problems found; `None` when there are none.
    pub fn from_problems(problems: Vec<String>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not valid:")?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// What the router itself needs; each group reads its own part.
#[derive(Debug, Clone)]
pub struct Config {
    /// `RESTIS_SERVICE_TOKENS` (JSON) and `RESTIS_SERVICE_TOKEN` (one token with every scope).
    pub tokens: ServiceTokens,
    /// `CORS_ORIGINS`: exact origins, separated by commas. Default none.
    pub cors_origins: Vec<HeaderValue>,
    /// `TRUSTED_PROXIES`: proxies in front that append to `X-Forwarded-For`, 0–16. Default 0.
    pub trusted_proxies: usize,
    /// `CLIENT_IP_HEADER`: the header in which the platform itself names the client's address, as
    /// `cf-connecting-ip` on Cloudflare; for the host `worker` alone. Default none.
    pub client_ip_header: Option<HeaderName>,
    /// `MAX_BODY_BYTES`: largest request body, 1–10485760. Default 1048576.
    pub max_body_bytes: usize,
    /// `RATE_LIMIT_*`: the rate limit policies. Default one of 100 requests in a sliding minute.
    pub policies: PolicySet,
    /// `EVENTS_ENV`, `APP_ENV`, `VERCEL_ENV` or `NODE_ENV`. Default development.
    pub environment: Environment,
    /// `ENABLE_REDIS_EVENTS`: `false` keeps events within one instance. Default `true`.
    pub redis_events: bool,
    /// `EVENTS_GRANT_SECRETS`: at least 32 bytes each, by comma, newest first. Default none: no grants.
    pub grant_keys: Option<GrantKeys>,
    /// `EVENTS_MAX_EVENTS`: events kept in a history, 1–10000000. Default 10000.
    /// `EVENTS_MAX_AGE`: how long, in seconds, 60–31536000. Default 86400.
    /// `EVENTS_DEDUP_WINDOW`: how long repeats are known, in seconds, 1–2592000. Default 86400.
    pub events: EventsConfig,
    /// `EVENTS_BEST_EFFORT_TYPES`: `a.b`, `a.*` by comma; told within the instance while the store is away. Default none.
    pub best_effort: TypeFilter,
    /// `EVENTS_SCHEMAS` or `EVENTS_SCHEMAS_FILE`: JSON schemas by type, with the feature `schemas`. Default none.
    pub schemas: EventSchemas,
    /// `EVENTS_WEBHOOKS` and `EVENTS_INCOMING_WEBHOOKS`: endpoints and senders. Default none.
    pub webhooks: Webhooks,
    /// `EVENTS_STREAM_SECONDS`: length of one event stream, 1–3600; below the platform's
    /// limit. Default 240, on Vercel 55, on Lambda 25: the limits of this repository's deployments are 60 and 30.
    pub stream_time: Duration,
    /// `SESSION_LOGIN_SECRETS`: at least 32 bytes each, by comma, newest first; they sign login assertions. Default none.
    pub login_keys: Option<AssertionKeys>,
    /// `SESSION_MAX_INVALID_COOKIES`: a minute and client, in each instance, 0–1000000; 0 = any number. Default 30.
    pub invalid_cookies: u32,
    /// `METRICS_FLUSH_SECONDS`: at most so often counters are written into the store, 10–86400; 0 = never.
    /// Default 0 on plain HTTP, else 60.
    pub metrics_flush: Option<Duration>,
    /// `METRICS_ALERT_WEBHOOK`: endpoint that is told of alerts, JSON. Default none.
    pub alert_endpoint: Option<Endpoint>,
    /// `REQUEST_TIMEOUT`: time for one answer in milliseconds, 100–900000. Default 9000.
    pub request_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tokens: ServiceTokens::none(),
            cors_origins: Vec::new(),
            trusted_proxies: 0,
            client_ip_header: None,
            max_body_bytes: 1 << 20,
            policies: PolicySet::default(),
            environment: Environment::Development,
            redis_events: true,
            grant_keys: None,
            events: EventsConfig::default(),
            best_effort: TypeFilter::none(),
            schemas: EventSchemas::default(),
            webhooks: Webhooks::default(),
            stream_time: Duration::from_secs(240),
            login_keys: None,
            invalid_cookies: 30,
            metrics_flush: None,
            alert_endpoint: None,
            request_timeout: Duration::from_secs(9),
        }
    }
}

impl Config {
    /// Reads the environment and the `.env` files.
    ///
    /// # Errors
    /// Lists every variable that is wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(get)
    }

    /// Reads variables from any source; an empty value counts as unset.
    ///
    /// # Errors
    /// Lists every variable that is wrong.
    pub fn from_vars(vars: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let host = Host::from_vars(|name| vars(name).filter(|value| !value.trim().is_empty()));
        Self::on(host, vars)
    }

    /// The same, with the defaults of a platform.
    pub(crate) fn on(
        host: Host,
        vars: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut vars = Variables::new(&vars);
        let mut config = Self {
            stream_time: host.stream_time(),
            metrics_flush: (host != Host::Http).then_some(Duration::from_secs(60)),
            ..Self::default()
        };
        let tokens = vars.parsed("RESTIS_SERVICE_TOKENS", ServiceTokens::parse);
        config.tokens = tokens.unwrap_or(config.tokens);
        let token = vars.parsed("RESTIS_SERVICE_TOKEN", |token| match token.len() {
            0..16 => Err("use at least 16 characters"),
            _ => Ok(token.to_owned()),
        });
        if let Some(token) = token {
            config.tokens = config.tokens.with_full_access("default", &token);
        }
        for origin in vars.list("CORS_ORIGINS").unwrap_or_default() {
            match origin_value(&origin) {
                Some(value) => config.cors_origins.push(value),
                None => vars.problem(
                    "CORS_ORIGINS",
                    format_args!("`{origin}` is not an origin such as https://app.example.com"),
                ),
            }
        }
        if let Some(n) = vars.number("TRUSTED_PROXIES", 0..=16) {
            config.trusted_proxies = n as usize;
        }
        config.client_ip_header = vars.parsed("CLIENT_IP_HEADER", |name| {
            name.parse().map_err(|_| "is not the name of a header")
        });
        if let Some(n) = vars.number("MAX_BODY_BYTES", 1..=10_485_760) {
            config.max_body_bytes = n as usize;
        }
        let range = Duration::from_millis(100)..=Duration::from_secs(900);
        if let Some(time) = vars.duration("REQUEST_TIMEOUT", Unit::Milliseconds, range) {
            config.request_timeout = time;
        }
        if let Some(n) = vars.number("EVENTS_MAX_EVENTS", 1..=10_000_000) {
            config.events.max_events = n;
        }
        let mut seconds = |name, low, high| {
            let range = Duration::from_secs(low)..=Duration::from_secs(high);
            vars.duration(name, Unit::Seconds, range)
        };
        if let Some(time) = seconds("EVENTS_MAX_AGE", 60, 31_536_000) {
            config.events.retention = time;
        }
        if let Some(time) = seconds("EVENTS_DEDUP_WINDOW", 1, 2_592_000) {
            config.events.dedup_window = time;
        }
        if let Some(time) = seconds("EVENTS_STREAM_SECONDS", 1, 3600) {
            config.stream_time = time;
        }
        if let Some(n) = vars.number("SESSION_MAX_INVALID_COOKIES", 0..=1_000_000) {
            config.invalid_cookies = n as u32;
        }
        config.flush_from_vars(&mut vars);
        config.alert_endpoint = vars.parsed("METRICS_ALERT_WEBHOOK", parse_endpoint);
        let secrets = "use secrets of at least 32 bytes, by comma";
        config.login_keys = vars.parsed("SESSION_LOGIN_SECRETS", |list| {
            AssertionKeys::new(list.split(',').map(str::trim)).map_err(|_| secrets)
        });
        if let Some(redis_events) = vars.flag("ENABLE_REDIS_EVENTS") {
            config.redis_events = redis_events;
        }
        if let Some(types) = vars.parsed("EVENTS_BEST_EFFORT_TYPES", TypeFilter::parse) {
            config.best_effort = types;
        }
        if let Some(environment) = Environment::of_events(&mut vars) {
            config.environment = environment;
        }
        config.grant_keys = vars.parsed("EVENTS_GRANT_SECRETS", |list| {
            let secrets_of = list.split(',').map(str::trim);
            GrantKeys::new(secrets_of, config.environment).map_err(|_| secrets)
        });
        config.webhooks = Webhooks::from_vars(&mut vars);
        config.schemas = EventSchemas::from_vars(&mut vars);
        config.policies = PolicySet::from_vars(&mut vars);
        ConfigError::from_problems(vars.into_problems()).map_or(Ok(config), Err)
    }
}

impl Config {
    fn flush_from_vars(&mut self, vars: &mut Variables<'_>) {
        let range = Duration::ZERO..=Duration::from_secs(86_400);
        let time = vars.duration("METRICS_FLUSH_SECONDS", Unit::Seconds, range);
        match time {
            None => {}
            Some(Duration::ZERO) => self.metrics_flush = None,
            Some(time) if time < Duration::from_secs(10) => {
                vars.problem("METRICS_FLUSH_SECONDS", "use 0, or 10 to 86400 seconds");
            }
            Some(time) => self.metrics_flush = Some(time),
        }
    }
}

fn origin_value(origin: &str) -> Option<HeaderValue> {
    let uri: http::Uri = origin.parse().ok()?;
    let exact = uri.scheme().is_some()
        && uri.authority().is_some()
        && uri.path() == "/"
        && !origin.ends_with('/');
    exact.then(|| origin.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_problem_is_reported_at_once() {
        let error = Config::from_vars(|name| match name {
            "RESTIS_SERVICE_TOKEN" => Some("short".into()),
            "CORS_ORIGINS" => Some("https://a.example, *, https://b.example/".into()),
            "TRUSTED_PROXIES" => Some("many".into()),
            "EVENTS_MAX_AGE" => Some("soon".into()),
            _ => None,
        })
        .unwrap_err()
        .to_string();
        for part in [
            "RESTIS_SERVICE_TOKEN:",
            "`*`",
            "`https://b.example/`",
            "TRUSTED_PROXIES:",
            "EVENTS_MAX_AGE:",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_stream_ends_before_the_limit_of_the_platform() {
        let seconds = |set: &[(&str, &str)]| {
            let var = |name: &str| set.iter().find(|(n, _)| *n == name);
            let config = Config::from_vars(|name| var(name).map(|(_, v)| (*v).to_owned()));
            config.unwrap().stream_time.as_secs()
        };
        assert_eq!(seconds(&[]), 240);
        let vercel = ("VERCEL_IPC_PATH", "/ipc");
        assert_eq!(seconds(&[vercel]), 55);
        assert_eq!(seconds(&[("AWS_LAMBDA_RUNTIME_API", "host")]), 25);
        assert_eq!(seconds(&[vercel, ("EVENTS_STREAM_SECONDS", "290")]), 290);
    }

    #[test]
    fn an_empty_value_counts_as_unset() {
        let config = Config::from_vars(|_| Some(" ".into())).unwrap();
        assert_eq!(config.max_body_bytes, 1 << 20);
        assert!(config.cors_origins.is_empty());
    }
}
