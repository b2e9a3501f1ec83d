//! What every route shares.

use crate::live::Hub;
use crate::{Config, ConfigError, Host, auth::ServiceTokens, guesses::Guesses};
use restis::{
    Clock, Redis, SystemClock,
    cache::{Cache, CacheConfig},
    events::{Events, WebhookClient},
    metrics::alerts::AlertMemory,
    ratelimit::RateLimiter,
    session::{SessionConfig, Sessions},
    variables,
};
#[cfg(feature = "otel")]
use restis::{otel::Telemetry, variables::Variables};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// Shared by every route; cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    redis: Redis,
    config: Config,
    clock: Arc<dyn Clock>,
    host: Host,
    limiters: BTreeMap<String, RateLimiter>,
    events: Events,
    cache: Cache,
    hub: Hub,
    sessions: Option<Sessions>,
    guesses: Guesses,
    webhook_client: OnceLock<WebhookClient>,
    alerts: tokio::sync::Mutex<AlertMemory>,
    #[cfg(feature = "otel")]
    telemetry: Option<Telemetry>,
}

impl AppState {
    /// Starts from a client; everything else has a default.
    pub fn builder(redis: Redis) -> AppStateBuilder {
        AppStateBuilder {
            redis,
            config: Config::default(),
            clock: Arc::new(SystemClock::new()),
            host: Host::Http,
            cache: CacheConfig::default(),
            sessions: None,
            #[cfg(feature = "otel")]
            telemetry: None,
        }
    }

    /// Reads the whole configuration from the environment.
    ///
    /// # Errors
    /// Lists every variable that is missing or wrong.
    pub fn from_env(host: Host) -> Result<Self, ConfigError> {
        Self::from_vars(host, variables::get)
    }

    /// Like [`from_env`](Self::from_env), from any source of variables.
    ///
    /// # Errors
    /// Lists every variable that is missing or wrong.
    pub fn from_vars(
        host: Host,
        vars: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut collect = |e: String| problems.push(e);
        let redis = Redis::from_vars(&vars);
        let redis = redis.map_err(|e| collect(e.to_string())).ok();
        let config = Config::on(host, &vars).map_err(|e| collect(e.to_string()));
        let config = config.ok();
        let cache = CacheConfig::from_lookup(&vars);
        let cache = cache
            .map_err(|e| collect(format!("cache configuration: {}", e.join("; "))))
            .ok();
        let sessions = match vars("SESSION_SECRETS") {
            Some(secrets) if !secrets.trim().is_empty() => SessionConfig::from_lookup(&vars)
                .map_err(|e| collect(format!("session configuration: {}", e.join("; "))))
                .ok()
                .map(Some),
            _ => Some(None),
        };
        #[cfg(feature = "otel")]
        let telemetry = {
            let mut vars = Variables::new(&vars);
            let telemetry = Telemetry::from_vars(&mut vars);
            problems.extend(vars.into_problems());
            telemetry
        };
        match (redis, config, sessions, cache) {
            (Some(redis), Some(config), Some(sessions), Some(cache)) if problems.is_empty() => {
                let mut builder = Self::builder(redis).config(config).host(host);
                builder.sessions = sessions;
                builder.cache = cache;
                #[cfg(feature = "otel")]
                {
                    builder.telemetry = telemetry;
                }
                builder.build()
            }
            _ => Err(ConfigError::from_problems(problems)
                .unwrap_or_else(|| unreachable!("each part that is missing has told its problem"))),
        }
    }

    /// The client.
    pub fn redis(&self) -> &Redis {
        &self.0.redis
    }

    /// The accepted service tokens.
    pub fn tokens(&self) -> &ServiceTokens {
        &self.0.config.tokens
    }

    /// The router's configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The rate limiters by the name of their policy.
    pub fn limiters(&self) -> &BTreeMap<String, RateLimiter> {
        &self.0.limiters
    }

    /// The events that all organisations share.
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// The sessions, if they are configured.
    pub fn sessions(&self) -> Option<&Sessions> {
        self.0.sessions.as_ref()
    }

    pub(crate) fn guesses(&self) -> &Guesses {
        &self.0.guesses
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Made when it is first used: most functions never deliver a webhook.
    pub(crate) fn webhook_client(&self) -> restis::Result<&WebhookClient> {
        if let Some(client) = self.0.webhook_client.get() {
            return Ok(client);
        }
        let client = WebhookClient::new()?;
        Ok(self.0.webhook_client.get_or_init(|| client))
    }

    /// What the last evaluation of alerts left in this instance.
    pub(crate) fn alert_memory(&self) -> &tokio::sync::Mutex<AlertMemory> {
        &self.0.alerts
    }

    /// Where spans and metrics are exported, if anywhere.
    #[cfg(feature = "otel")]
    pub fn telemetry(&self) -> Option<&Telemetry> {
        self.0.telemetry.as_ref()
    }

    /// The time of day, in unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// The platform that the process runs on.
    pub fn host(&self) -> Host {
        self.0.host
    }
}

/// Builds an [`AppState`].
#[derive(Debug)]
pub struct AppStateBuilder {
    redis: Redis,
    config: Config,
    clock: Arc<dyn Clock>,
    host: Host,
    cache: CacheConfig,
    sessions: Option<SessionConfig>,
    #[cfg(feature = "otel")]
    telemetry: Option<Telemetry>,
}

impl AppStateBuilder {
    /// Sets the router's configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the accepted service tokens.
    #[must_use]
    pub fn tokens(mut self, tokens: ServiceTokens) -> Self {
        self.config.tokens = tokens;
        self
    }

    /// Switches the session routes on; without it they answer 503.
    #[must_use]
    pub fn sessions(mut self, config: SessionConfig) -> Self {
        self.sessions = Some(config);
        self
    }

    /// Sets how the cache works.
    #[must_use]
    pub fn cache(mut self, config: CacheConfig) -> Self {
        self.cache = config;
        self
    }

    /// Sets the platform; plain HTTP by default.
    #[must_use]
    pub fn host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// Takes the time of limits, sessions, events, grants and signatures from another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Exports spans and metrics of the requests and of the client.
    #[cfg(feature = "otel")]
    #[must_use]
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Builds the state.
    ///
    /// # Errors
    /// Lists every setting that is wrong.
    pub fn build(self) -> Result<AppState, ConfigError> {
        if let Some(every) = self.config.metrics_flush {
            let environment = self.config.environment;
            self.redis.metrics().flush(environment, every);
        }
        #[cfg(feature = "otel")]
        if let Some(telemetry) = &self.telemetry {
            telemetry.watch(&self.redis);
        }
        let limiters = self.config.policies.limiters(&self.redis, &self.clock);
        Ok(AppState(Arc::new(Inner {
            limiters,
            events: Events::new(self.redis.clone(), self.config.environment)
                .config(self.config.events)
                .clock(Arc::clone(&self.clock)),
            cache: Cache::builder(self.redis.clone(), self.cache)
                .clock(Arc::clone(&self.clock))
                .build()
                .map_err(|e| ConfigError::one(e.to_string()))?,
            #[cfg(feature = "otel")]
            telemetry: self.telemetry,
            hub: Hub::default(),
            guesses: Guesses::new(self.config.invalid_cookies),
            webhook_client: OnceLock::new(),
            alerts: tokio::sync::Mutex::default(),
            sessions: self
                .sessions
                .map(|config| {
                    Sessions::builder(self.redis.clone(), config)
                        .clock(Arc::clone(&self.clock))
                        .build()
                })
                .transpose()
                .map_err(|e| ConfigError::one(e.to_string()))?,
            redis: self.redis,
            config: self.config,
            clock: self.clock,
            host: self.host,
        })))
    }
}
