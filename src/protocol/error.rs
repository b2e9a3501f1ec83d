//! The error of every call: opaque, with predicates.
use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::protocol::{reply::ServerError, response_meta::ResponseMeta};

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, coarse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is incomplete or wrong.
    Config,
    /// The call was refused before anything was sent.
    InvalidInput,
    /// No connection: DNS, TCP or TLS failed.
    Connect,
    /// The deadline of the call passed.
    Timeout,
    /// The connection broke while the request or reply was on its way.
    Interrupted,
    /// A gateway answered instead of the database (5xx, HTML, empty body).
    Gateway,
    /// Too many requests; try again later.
    RateLimited,
    /// A plan limit of the database is used up.
    Quota,
    /// The token is missing or wrong.
    Unauthorized,
    /// The token may not run this command.
    NoPermission,
    /// The database refuses writes.
    ReadOnly,
    /// The script is unknown to the server.
    NoScript,
    /// The key holds another type.
    WrongType,
    /// The transaction was discarded; none of its commands ran.
    Discarded,
    /// Any other error reply of the server.
    Server,
    /// The request or the reply exceeds a size limit.
    TooLarge,
    /// The circuit breaker is open after repeated failures.
    CircuitOpen,
    /// The reply has another shape than the expected type.
    Decode,
    /// The answer is not what the protocol allows.
    Protocol,
}

impl ErrorKind {
    /// Stable lower-case name, used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::InvalidInput => "invalid_input",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Gateway => "gateway",
            Self::RateLimited => "rate_limited",
            Self::Quota => "quota",
            Self::Unauthorized => "unauthorized",
            Self::NoPermission => "no_permission",
            Self::ReadOnly => "read_only",
            Self::NoScript => "no_script",
            Self::WrongType => "wrong_type",
            Self::Discarded => "discarded",
            Self::Server => "server",
            Self::TooLarge => "too_large",
            Self::CircuitOpen => "circuit_open",
            Self::Decode => "decode",
            Self::Protocol => "protocol",
        }
    }

    /// Every kind, in declaration order.
    pub(crate) const ALL: [Self; 19] = [
        Self::Config,
        Self::InvalidInput,
        Self::Connect,
        Self::Timeout,
        Self::Interrupted,
        Self::Gateway,
        Self::RateLimited,
        Self::Quota,
        Self::Unauthorized,
        Self::NoPermission,
        Self::ReadOnly,
        Self::NoScript,
        Self::WrongType,
        Self::Discarded,
        Self::Server,
        Self::TooLarge,
        Self::CircuitOpen,
        Self::Decode,
        Self::Protocol,
    ];

    const fn phrase(self) -> &'static str {
        match self {
            Self::Config => "invalid configuration",
            Self::InvalidInput => "invalid input",
            Self::Connect => "cannot connect",
            Self::Timeout => "deadline passed",
            Self::Interrupted => "connection interrupted",
            Self::Gateway => "gateway failure",
            Self::RateLimited => "rate limited by the server",
            Self::Quota => "database quota used up",
            Self::Unauthorized => "token missing or wrong",
            Self::NoPermission => "token has no permission",
            Self::ReadOnly => "database refuses writes",
            Self::NoScript => "script unknown to the server",
            Self::WrongType => "key holds another type",
            Self::Discarded => "transaction discarded",
            Self::Server => "error reply",
            Self::TooLarge => "size limit exceeded",
            Self::CircuitOpen => "circuit breaker open",
            Self::Decode => "cannot decode reply",
            Self::Protocol => "malformed answer",
        }
    }

    pub(crate) fn of_server_error(error: &ServerError) -> Self {
        match error.code() {
            "WRONGTYPE" => Self::WrongType,
            "NOSCRIPT" => Self::NoScript,
            "NOPERM" => Self::NoPermission,
            "WRONGPASS" | "NOAUTH" => Self::Unauthorized,
            "READONLY" => Self::ReadOnly,
            "EXECABORT" => Self::Discarded,
            _ => {
                let text = error.message();
                if text.starts_with("max request size exceeded")
                    || text.starts_with("max single record size exceeded")
                    || text.starts_with("max key size exceeded")
                {
                    Self::TooLarge
                } else if text.starts_with("max daily request limit")
                    || text.starts_with("max requests limit")
                    || text.starts_with("DB capacity quota")
                {
                    Self::Quota
                } else {
                    Self::Server
                }
            }
        }
    }
}

/// Whether a failed command can have had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// No server ran the command; sending it again is safe.
    NotSent,
    /// The command may have run; only an idempotent one is safe to repeat.
    MaybeExecuted,
    /// The server answered; the error is about its answer.
    Executed,
}

/// Error of any call.
///
/// Never holds a value, a token or a query of a URL. A decode error names the index or the
/// field that does not fit.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    delivery: Delivery,
    server: Option<ServerError>,
    detail: Option<Cow<'static, str>>,
    path: String,
    command: Option<Box<str>>,
    status: Option<u16>,
    retry_after: Option<Duration>,
    attempts: u32,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a kind that says what happened in one lower-case phrase.
    ///
    /// For own transports; put no values or secrets into `detail`.
    pub fn new(kind: ErrorKind, delivery: Delivery, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::bare(kind, delivery);
        error.0.detail = Some(detail.into());
        error
    }

    fn bare(kind: ErrorKind, delivery: Delivery) -> Self {
        Self(Box::new(Inner {
            kind,
            delivery,
            server: None,
            detail: None,
            path: String::new(),
            command: None,
            status: None,
            retry_after: None,
            attempts: 0,
            source: None,
        }))
    }

    #[cfg(any(
        feature = "cache",
        feature = "events",
        feature = "ratelimit",
        feature = "session"
    ))]
    pub(crate) fn no_randomness() -> Self {
        Self::config("the system gives no random bytes")
    }

    pub(crate) fn config(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, Delivery::NotSent, detail)
    }

    pub(crate) fn invalid_input(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, Delivery::NotSent, detail)
    }

    pub(crate) fn protocol(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Protocol, Delivery::MaybeExecuted, detail)
    }

    /// A stream that the server ended.
    pub(crate) fn ended() -> Self {
        Self::new(
            ErrorKind::Interrupted,
            Delivery::Executed,
            "the server ended the stream",
        )
    }

    /// A reply that does not fit the type the caller asked for.
    ///
    /// For own [`FromReply`](crate::FromReply) implementations.
    pub fn decode(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Decode, Delivery::Executed, detail)
    }

    /// The error reply of a server.
    pub fn from_server(error: ServerError) -> Self {
        let mut e = Self::bare(ErrorKind::of_server_error(&error), Delivery::Executed);
        e.0.server = Some(error);
        e
    }

    /// Names the element of the reply that did not fit.
    pub(crate) fn at(mut self, index: usize) -> Self {
        if self.0.kind == ErrorKind::Decode {
            self.0.path.insert_str(0, &format!("[{index}]"));
        }
        self
    }

    /// Where in the reply it is.
    pub(crate) fn path(&self) -> &str {
        let path = &*self.0.path;
        path.strip_prefix('.').unwrap_or(path)
    }

    /// Names the field of the reply that did not fit.
    pub(crate) fn at_field(mut self, name: &[u8]) -> Self {
        const MAX_CHARS: usize = 64;
        if self.0.kind != ErrorKind::Decode {
            return self;
        }
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-:".contains(b);
        let text = String::from_utf8_lossy(name);
        let start: String = text.chars().take(MAX_CHARS).collect();
        let plain = start.len() == text.len() && !name.is_empty() && name.iter().all(plain);
        let step = match plain {
            true => format!(".{start}"),
            false => format!("[{start:?}]"),
        };
        self.0.path.insert_str(0, &step);
        self
    }

    pub(crate) fn in_command(mut self, name: &str) -> Self {
        self.0
            .command
            .get_or_insert_with(|| name.to_ascii_uppercase().into());
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.0.delivery = delivery;
        self
    }

    /// Adds the HTTP status of the response.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the time after which the server asks to be tried again.
    #[must_use]
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    /// Adds what is known of the answer that it meta with.
    pub(crate) fn with_meta(mut self, answer: ResponseMeta) -> Self {
        if self.0.attempts == 0 {
            self.0.attempts = answer.attempts;
        }
        self.0.status = self.0.status.or(answer.status);
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Attaches a cause; its text must hold no secrets.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Coarse kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// First word of the server's error, e.g. `WRONGTYPE`.
    pub fn code(&self) -> Option<&str> {
        self.0.server.as_ref().map(ServerError::code)
    }

    /// The server's error text without its code.
    pub fn server_message(&self) -> Option<&str> {
        self.0.server.as_ref().map(ServerError::message)
    }

    /// The server's whole error, where there is one.
    pub fn server_error(&self) -> Option<&ServerError> {
        self.0.server.as_ref()
    }

    /// Whether the command can have had an effect.
    pub fn delivery(&self) -> Delivery {
        self.0.delivery
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// HTTP requests made for this call, 0 when none was sent.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// HTTP status of the last answer.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Upper-case name of the command.
    pub fn command(&self) -> Option<&str> {
        self.0.command.as_deref()
    }

    /// The deadline passed.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// No connection could be made.
    pub fn is_connect(&self) -> bool {
        self.0.kind == ErrorKind::Connect
    }

    /// The backend cannot be reached or does not serve at the moment.
    ///
    /// This is what a failure policy ("open", "closed", "serve stale") acts on.
    pub fn is_unavailable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Interrupted
            | ErrorKind::Gateway
            | ErrorKind::RateLimited
            | ErrorKind::Quota
            | ErrorKind::CircuitOpen => true,
            ErrorKind::ReadOnly => self.is_server_upgrade(),
            ErrorKind::Config
            | ErrorKind::InvalidInput
            | ErrorKind::Unauthorized
            | ErrorKind::NoPermission
            | ErrorKind::NoScript
            | ErrorKind::WrongType
            | ErrorKind::Discarded
            | ErrorKind::Server
            | ErrorKind::TooLarge
            | ErrorKind::Decode
            | ErrorKind::Protocol => false,
        }
    }

    /// Writes are refused for a moment because the server is being upgraded.
    pub(crate) fn is_server_upgrade(&self) -> bool {
        self.0.kind == ErrorKind::ReadOnly
            && self.0.server.as_ref().is_some_and(ServerError::is_upgrade)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.write_str(inner.kind.phrase())?;
        if let Some(command) = &inner.command {
            write!(f, " in {command}")?;
        }
        if !inner.path.is_empty() {
            write!(f, " at {}", self.path())?;
        }
        if let Some(server) = &inner.server {
            write!(f, ": {server}")?;
        } else if let Some(detail) = &inner.detail {
            write!(f, ": {detail}")?;
        }
        // What an answer holds is no matter of its status.
        if let Some(status) = inner.status.filter(|s| *s != 200) {
            write!(f, " (status {status})")?;
        }
        if inner.attempts > 1 {
            write!(f, " after {} attempts", inner.attempts)?;
        }
        match inner.delivery {
            Delivery::MaybeExecuted => f.write_str(", may have been executed"),
            Delivery::NotSent | Delivery::Executed => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut d = f.debug_struct("Error");
        d.field("kind", &inner.kind)
            .field("delivery", &inner.delivery);
        if let Some(command) = &inner.command {
            d.field("command", command);
        }
        if let Some(server) = &inner.server {
            d.field("server", server);
        }
        if let Some(detail) = &inner.detail {
            d.field("detail", detail);
        }
        if !inner.path.is_empty() {
            d.field("path", &self.path());
        }
        if let Some(status) = inner.status {
            d.field("status", &status);
        }
        if let Some(after) = inner.retry_after {
            d.field("retry_after", &after);
        }
        d.field("attempts", &inner.attempts);
        if let Some(source) = &inner.source {
            d.field("source", source);
        }
        d.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

#[cfg(all(
    test,
    any(
        feature = "cache",
        feature = "events",
        feature = "ratelimit",
        feature = "session"
    )
))]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_random_bytes_is_set_up_wrongly() {
        let error = Error::no_randomness();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.delivery(), Delivery::NotSent);
        assert!(error.to_string().contains("random"), "{error}");
    }
}
