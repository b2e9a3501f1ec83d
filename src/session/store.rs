//! The handle: settings, keys, clock, listeners.

use super::{
    CookieConfig, EventKind, Presented, Session, SessionConfig, SessionEvent, SessionListener, Sid,
    Token, TokenError, codec::Codec, config::Counting, csrf, error, event::Counters, keys::Keys,
    load::Absence,
};
use crate::{Clock, Redis, Result, SystemClock};
use http::{HeaderMap, HeaderValue, Method};
use std::{fmt, sync::Arc, time::Duration};

/// Sessions in Redis: one request for each operation.
///
/// A cheap handle; clones share everything. See the [module](super) for the rules it keeps.
#[derive(Clone)]
pub struct Sessions(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) redis: Redis,
    pub(crate) config: SessionConfig,
    pub(crate) keys: Keys,
    pub(crate) codec: Codec,
    clock: Arc<dyn Clock>,
    listeners: Vec<Arc<dyn SessionListener>>,
    counters: Counters,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// Builds [`Sessions`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SessionsBuilder {
    redis: Redis,
    config: SessionConfig,
    clock: Arc<dyn Clock>,
    listeners: Vec<Arc<dyn SessionListener>>,
}

impl SessionsBuilder {
    /// Takes the time from another clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Tells somebody what happens.
    pub fn listener(mut self, listener: impl SessionListener) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Checks the settings; sends nothing.
    ///
    /// # Errors
    /// `Config` that lists every contradiction.
    pub fn build(self) -> Result<Sessions> {
        let problems = self.config.problems();
        if !problems.is_empty() {
            return Err(error::config(&problems));
        }
        let config = self.config;
        Ok(Sessions(Arc::new(Inner {
            redis: self.redis,
            keys: config.keys(),
            codec: Codec::new(
                config.secrets.clone(),
                config.encryption,
                config.max_value_bytes,
            ),
            clock: self.clock,
            listeners: self.listeners,
            counters: Counters::default(),
            config,
        })))
    }
}

impl Sessions {
    /// Sessions over a client.
    ///
    /// # Errors
    /// `Config` that lists every contradiction in the settings.
    pub fn new(redis: Redis, config: SessionConfig) -> Result<Self> {
        Self::builder(redis, config).build()
    }

    /// Sessions over a client, with the settings of the environment.
    ///
    /// # Errors
    /// `Config` that lists every problem.
    pub fn from_env(redis: Redis) -> Result<Self> {
        Self::new(redis, SessionConfig::from_env()?)
    }

    /// Starts from a client and settings.
    pub fn builder(redis: Redis, config: SessionConfig) -> SessionsBuilder {
        SessionsBuilder {
            redis,
            config,
            clock: Arc::new(SystemClock::new()),
            listeners: Vec::new(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &SessionConfig {
        &self.0.config
    }

    /// Milliseconds since 1970, by the clock of these sessions.
    pub fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// How often something happened in this process.
    pub fn count_of(&self, kind: EventKind) -> u64 {
        self.0.counters.get(kind)
    }

    /// How the session cookie looks.
    pub fn cookie(&self) -> &CookieConfig {
        &self.0.config.cookie
    }

    /// The `Set-Cookie` value that gives the browser this session.
    pub fn set_cookie(&self, session: &Session) -> HeaderValue {
        let left = Duration::from_millis(session.ends_ms().saturating_sub(self.now_ms()));
        self.cookie()
            .set(&session.token().expose(&self.0.config.secrets), left)
    }

    /// The `Set-Cookie` value that takes the session from the browser.
    pub fn clear_cookie(&self) -> HeaderValue {
        self.cookie().remove()
    }

    /// The `Set-Cookie` values that take every cookie of the session's name from a browser that sent
    /// more than one: otherwise no login would work until they expire.
    pub fn clear_ambiguous(&self, headers: &HeaderMap) -> Vec<HeaderValue> {
        match self.cookie().find(headers) {
            Presented::Ambiguous => self.cookie().remove_others(headers),
            _ => Vec::new(),
        }
    }

    /// Reads the session cookie of a request; sends nothing to the store.
    ///
    /// # Errors
    /// Why there is no token to look up.
    pub fn token(&self, headers: &HeaderMap) -> Result<Token, Absence> {
        match self.cookie().find(headers) {
            Presented::None => Err(Absence::NoCookie),
            Presented::Ambiguous => {
                self.emit(EventKind::Forged, None, "several cookies");
                Err(Absence::Ambiguous)
            }
            Presented::One(value) => self.parse_token(value),
        }
    }

    /// Reads a cookie value; sends nothing to the store.
    ///
    /// # Errors
    /// Why it is no token.
    pub fn parse_token(&self, value: &str) -> Result<Token, Absence> {
        let config = &self.0.config;
        Token::parse(
            value,
            &config.secrets,
            self.now_ms(),
            config.lifetimes.absolute,
        )
        .map_err(|e| match e {
            TokenError::Expired => Absence::Ended,
            TokenError::Forged => {
                self.emit(EventKind::Forged, None, "signature");
                Absence::Forged
            }
        })
    }

    /// Whether a request that presents this token may change anything: refuses other sites.
    pub fn permits(&self, method: &Method, headers: &HeaderMap, token: &Token) -> bool {
        let permitted = self
            .0
            .config
            .csrf
            .permits(method, headers, token, &self.0.config.secrets);
        if !permitted {
            self.emit(EventKind::CrossSite, None, "origin");
        }
        permitted
    }

    /// Whether a page of another site made this request; for logins, which present no session yet.
    pub fn is_foreign(&self, method: &Method, headers: &HeaderMap) -> bool {
        let foreign = self.0.config.csrf.judge(method, headers) == csrf::Origin::Foreign;
        if foreign {
            self.emit(EventKind::CrossSite, None, "origin");
        }
        foreign
    }

    /// A token against cross-site requests, for clients that send neither `Sec-Fetch-Site` nor `Origin`.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn csrf_token(&self, session: &Session) -> Result<String> {
        csrf::masked(session.token(), &self.0.config.secrets)
            .map_err(|_| crate::Error::no_randomness())
    }

    pub(crate) fn sid(&self, token: &Token) -> Option<Sid> {
        self.0.config.secrets.sid(token)
    }

    /// Marks of what a script has to keep in step.
    pub(crate) fn flags(&self) -> String {
        let mut flags = String::new();
        if self.0.keys.has_set() {
            flags.push('s');
        }
        match self.0.config.counts() {
            Counting::Off => {}
            Counting::Estimate => flags.push('h'),
            Counting::Exact => flags.push('x'),
        }
        flags
    }

    /// The count that a session belongs to; another declared key where nothing is counted.
    pub(crate) fn count_key(&self, sid: Sid, now_ms: u64, otherwise: &str) -> String {
        match self.0.config.counts() {
            Counting::Off => otherwise.to_owned(),
            Counting::Estimate => self.0.keys.used_in(now_ms / 3_600_000),
            Counting::Exact => self.0.keys.count(sid),
        }
    }

    pub(crate) fn emit(&self, kind: EventKind, session: Option<&Session>, reason: &'static str) {
        self.emit_event(SessionEvent {
            kind,
            user: session.and_then(|s| s.user().map(str::to_owned)),
            public_id: session.map(|s| s.public_id().to_owned()),
            sid: session.map(Session::sid),
            reason,
            at_ms: self.now_ms(),
        });
    }

    pub(crate) fn emit_for(
        &self,
        kind: EventKind,
        user: Option<&str>,
        sid: Option<Sid>,
        reason: &'static str,
    ) {
        let user = user.map(str::to_owned);
        self.emit_event(SessionEvent {
            kind,
            user,
            public_id: None,
            sid,
            reason,
            at_ms: self.now_ms(),
        });
    }

    fn emit_event(&self, event: SessionEvent) {
        self.0.counters.add(event.kind, 1);
        self.0.redis.metrics().count(event.kind.counter(), 1);
        let (kind, reason) = (event.kind.name(), event.reason);
        let user = event.user.as_deref().unwrap_or_default();
        let public_id = event.public_id.as_deref().unwrap_or_default();
        if event.kind.is_alarm() {
            tracing::warn!(target: "restis::session", kind, reason, user, public_id, "session alarm");
        } else {
            tracing::info!(target: "restis::session", kind, reason, user, public_id, "session");
        }
        for listener in &self.0.listeners {
            listener.on_event(&event);
        }
    }
}
