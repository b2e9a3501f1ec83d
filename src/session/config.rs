//! Settings of sessions and where they come from.

use super::{CookieConfig, CsrfPolicy, Encryption, Secrets, error, keys::Keys};
use crate::{Result, variables};
use std::time::Duration;

/// What happens when a user signs in once more than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LimitPolicy {
    /// The session that was unused for the longest time ends.
    #[default]
    Evict,
    /// The login is refused.
    Reject,
}

/// How live sessions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Counting {
    /// Not at all.
    Off,
    /// About ±1 %, 12 KiB for each hour: sessions used within the idle time.
    #[default]
    Estimate,
    /// Exactly, about 130 bytes a session.
    Exact,
}

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetimes {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    pub(crate) touch_every: Option<Duration>,
    pub(crate) rotate_every: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) reuse_memory: Duration,
}

impl Lifetimes {
    /// A twentieth of the idle time, 1 s to 1 h: so much may the idle time be overrun.
    pub(crate) fn touch_for(&self, idle: Duration) -> Duration {
        self.touch_every
            .unwrap_or((idle / 20).clamp(Duration::from_secs(1), Duration::from_secs(3600)))
    }
}

/// Settings of [`Sessions`](super::Sessions).
///
/// | variable | unit, form | default | meaning |
/// |---|---|---|---|
/// | `SESSION_SECRETS` | comma-separated, ≥ 32 bytes each | required | newest first: the first signs, all verify |
/// | `SESSION_TTL` | seconds | 86400 | idle time |
/// | `SESSION_ABSOLUTE_TTL` | seconds | 2592000 | end in any case |
/// | `SESSION_TOUCH_INTERVAL` | seconds | idle / 20, 1 to 3600 | least time between extensions |
/// | `SESSION_ROTATE_INTERVAL` | seconds, 0 = never | 0 | renews the identifier |
/// | `SESSION_ROTATE_GRACE` | seconds, 0–300 | 30 | the old identifier still works |
/// | `SESSION_PREFIX` | text | empty | before every key |
/// | `SESSION_MAX_PER_USER` | 0 = no limit | 20 | sessions of one user |
/// | `SESSION_LIMIT_POLICY` | `evict`, `reject` | `evict` | at the limit |
/// | `SESSION_ONE_PER_DEVICE` | `true`, `false` | `false` | a login replaces the one of the same device id |
/// | `SESSION_COUNT` | `off`, `estimate`, `exact` | `estimate` | how live sessions are counted |
/// | `SESSION_CLUSTER` | `true`, `false` | `false` | keys of one user in one Redis Cluster slot |
/// | `SESSION_SET_INDEX` | `true`, `false` | `false` | the index also as a plain set |
/// | `SESSION_ENCRYPTION` | `off`, `required`, `migrating` | `off` | seals values (feature `encryption`) |
/// | `SESSION_COOKIE_NAME` | token | `__Host-sid` | |
/// | `SESSION_COOKIE_SAMESITE` | `lax`, `strict`, `none` | `lax` | |
/// | `SESSION_COOKIE_DOMAIN` | host | none | shares the cookie with subdomains |
/// | `SESSION_COOKIE_INSECURE` | `true`, `false` | `false` | `sid` without `Secure`, for plain HTTP |
/// | `SESSION_COOKIE_PARTITIONED` | `true`, `false` | `false` | |
/// | `SESSION_CLIENT_FIELDS` | comma-separated names, `*` for all | none | values that the browser itself may change |
/// | `SESSION_REQUIRE_IF_MATCH` | `true`, `false` | `false` | the browser must say which version it changes |
/// | `SESSION_FRESH_AUTH` | seconds, 0 = never asked for | 3600 | how long after signing in the browser may end other sessions |
/// | `SESSION_ALLOWED_ORIGINS` | comma-separated origins | none | other origins that may act with the cookie |
#[derive(Debug, Clone)]
pub struct SessionConfig {
    pub(crate) secrets: Secrets,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) prefix: String,
    pub(crate) max_per_user: u32,
    pub(crate) policy: LimitPolicy,
    pub(crate) one_per_device: bool,
    pub(crate) counting: Option<Counting>,
    pub(crate) cluster: bool,
    pub(crate) set_index: bool,
    pub(crate) encryption: Encryption,
    pub(crate) max_fields: u32,
    pub(crate) max_value_bytes: usize,
    pub(crate) cookie: CookieConfig,
    pub(crate) csrf: CsrfPolicy,
    pub(crate) client_fields: Vec<String>,
    pub(crate) require_if_match: bool,
    pub(crate) fresh: Duration,
}

pub(super) const DAY: Duration = Duration::from_secs(86_400);

impl SessionConfig {
    /// Defaults with these secrets.
    pub fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            lifetimes: Lifetimes {
                idle: DAY,
                absolute: 30 * DAY,
                touch_every: None,
                rotate_every: None,
                grace: Duration::from_secs(30),
                reuse_memory: Duration::from_secs(3600),
            },
            prefix: String::new(),
            max_per_user: 20,
            policy: LimitPolicy::Evict,
            one_per_device: false,
            counting: None,
            cluster: false,
            set_index: false,
            encryption: Encryption::Off,
            max_fields: 64,
            max_value_bytes: 16 * 1024,
            cookie: CookieConfig::default(),
            csrf: CsrfPolicy::default(),
            client_fields: Vec::new(),
            require_if_match: false,
            fresh: Duration::from_secs(3600),
        }
    }

    /// Ends a session after this time without use; 24 h by default.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.lifetimes.idle = idle;
        self
    }

    /// Ends a session this time after its login; 30 days by default.
    #[must_use]
    pub fn absolute(mut self, absolute: Duration) -> Self {
        self.lifetimes.absolute = absolute;
        self
    }

    /// Extends a session at most this often; a twentieth of the idle time by default.
    #[must_use]
    pub fn touch_every(mut self, every: Duration) -> Self {
        self.lifetimes.touch_every = Some(every);
        self
    }

    /// Renews the identifier this often; never by default.
    #[must_use]
    pub fn rotate_every(mut self, every: Duration) -> Self {
        self.lifetimes.rotate_every = Some(every);
        self
    }

    /// Lets a renewed identifier work this long for requests on their way; 30 s by default, at most 300 s.
    #[must_use]
    pub fn rotate_grace(mut self, grace: Duration) -> Self {
        self.lifetimes.grace = grace;
        self
    }

    /// Remembers renewed identifiers this long after the grace to notice reuse; 1 h by default.
    #[must_use]
    pub fn reuse_memory(mut self, memory: Duration) -> Self {
        self.lifetimes.reuse_memory = memory;
        self
    }

    /// Sets what comes before every key, e.g. `mantis:`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Limits the sessions of one user; 0 = no limit, 20 by default.
    #[must_use]
    pub fn max_per_user(mut self, max: u32, policy: LimitPolicy) -> Self {
        self.max_per_user = max;
        self.policy = policy;
        self
    }

    /// Lets a login replace the session of the same user on the same device id.
    #[must_use]
    pub fn one_per_device(mut self) -> Self {
        self.one_per_device = true;
        self
    }

    /// Sets how live sessions are counted.
    #[must_use]
    pub fn counting(mut self, counting: Counting) -> Self {
        self.counting = Some(counting);
        self
    }

    /// Names keys so that everything of one user lives in one slot of a Redis Cluster.
    #[must_use]
    pub fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Keeps `user:ID:sessions` a plain set for other readers; ours is then `…:by-expiry`.
    #[must_use]
    pub fn set_index(mut self) -> Self {
        self.set_index = true;
        self
    }

    /// Sets whether values are sealed in the store.
    #[must_use]
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = encryption;
        self
    }

    /// Limits the application's fields and the bytes of one value; 64 and 16 KiB by default.
    #[must_use]
    pub fn limits(mut self, max_fields: u32, max_value_bytes: usize) -> Self {
        self.max_fields = max_fields;
        self.max_value_bytes = max_value_bytes;
        self
    }

    /// Sets the cookie.
    #[must_use]
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = cookie;
        self
    }

    /// Sets which origins may act with the cookie.
    #[must_use]
    pub fn csrf(mut self, csrf: CsrfPolicy) -> Self {
        self.csrf = csrf;
        self
    }

    /// Names the values that the browser itself may change: none by default, all by `*`.
    #[must_use]
    pub fn client_fields<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.client_fields = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether the browser itself may change a value.
    pub fn is_client_field(&self, name: &str) -> bool {
        self.client_fields.iter().any(|n| n == name || n == "*")
    }

    /// Refuses a browser's change that does not say which version it is for.
    #[must_use]
    pub fn require_if_match(mut self) -> Self {
        self.require_if_match = true;
        self
    }

    /// Whether a browser's change must say which version it is for.
    pub fn requires_if_match(&self) -> bool {
        self.require_if_match
    }

    /// Sets how old a sign-in may be for sensitive changes; 1 h by default, zero for any age.
    #[must_use]
    pub fn fresh_authentication(mut self, age: Duration) -> Self {
        self.fresh = age;
        self
    }

    /// How old a sign-in may be for sensitive changes; `None` for any age.
    pub fn fresh_authentication_age(&self) -> Option<Duration> {
        (!self.fresh.is_zero()).then_some(self.fresh)
    }

    /// How live sessions are counted: as set, else by estimate, in a cluster not at all.
    pub(crate) fn counts(&self) -> Counting {
        match (self.counting, self.cluster) {
            (Some(counting), _) => counting,
            (None, true) => Counting::Off,
            (None, false) => Counting::Estimate,
        }
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::new(&self.prefix, self.cluster, self.set_index)
    }

    /// Reads the environment and the `.env` files.
    ///
    /// # Errors
    /// `Config` that lists every problem.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(variables::get).map_err(|p| error::config(&p))
    }

    /// Every contradiction in the settings.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = self.cookie.problems();
        let l = &self.lifetimes;
        let mut require = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        require(
            l.idle >= Duration::from_secs(1),
            "SESSION_TTL: the idle time must be 1 s or more",
        );
        require(
            l.absolute >= l.idle,
            "SESSION_ABSOLUTE_TTL: the absolute lifetime must not be shorter than the idle time",
        );
        require(
            l.absolute <= 400 * DAY,
            "SESSION_ABSOLUTE_TTL: the absolute lifetime must be 400 days or less",
        );
        require(
            l.touch_every.is_none_or(|t| t < l.idle),
            "SESSION_TOUCH_INTERVAL: the touch interval must be shorter than the idle time",
        );
        require(
            l.grace <= Duration::from_secs(300),
            "SESSION_ROTATE_GRACE: the rotation grace must be 300 s or less",
        );
        require(self.max_fields <= 1000, "at most 1000 fields");
        require(
            self.max_value_bytes <= 1024 * 1024,
            "at most 1 MiB for a value",
        );
        require(
            !(self.cluster && self.counts() != Counting::Off),
            "SESSION_COUNT: counting needs one slot for all sessions and cannot be combined with the cluster key scheme",
        );
        let plain = self
            .prefix
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'{' | b'}' | b'*'));
        require(
            plain && self.prefix.len() <= 64,
            "SESSION_PREFIX: the prefix must have at most 64 graphic characters without { } *",
        );
        problems
    }
}
