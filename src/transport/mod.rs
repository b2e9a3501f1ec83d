//! How commands reach a server.
//!
//! A [`Transport`] executes one [`Exchange`]: a command, a pipeline or a transaction.
//! Everything else (merging, retries, deadlines, the circuit breaker) is above it and
//! the same for every transport.
use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;

pub use crate::protocol::subscription::{Frame, Listen};
use crate::protocol::{command::Args, error::Result, reply::Reply};

pub(crate) mod address;
#[cfg(not(target_family = "wasm"))]
mod body;
pub mod clock;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "ratelimit")]
mod fetch;
#[cfg(target_family = "wasm")]
pub(crate) mod fetch_client;
#[cfg(test)]
mod fuzz;
mod head;
pub mod http_client;
#[cfg(not(target_family = "wasm"))]
mod pool;
mod refusal;
mod request;
mod request_context;
#[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
mod reqwest_client;
mod response;
pub(crate) mod telemetry;
pub mod time;
mod tls;

#[cfg(feature = "ratelimit")]
pub(crate) use fetch::fetch;
pub(crate) use http_client::Parts;
pub use http_client::{Encoding, HttpTransport};
pub use request_context::{RequestContext, Within};
#[cfg(all(
    not(target_family = "wasm"),
    any(feature = "events", feature = "otel", feature = "ratelimit")
))]
pub(crate) use {
    body::RequestBody,
    pool::HttpPool,
    request::{fixed_headers, request},
    tls::Roots,
};

/// A boxed future that may cross threads.
///
/// What a JavaScript host gives cannot: there a [`Transport`] of your own wraps it, as the crate
/// `send_wrapper` does.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// The frames of a subscription.
pub type FrameStream = Pin<Box<dyn futures_core::Stream<Item = Result<Frame>> + Send>>;
pub(crate) type PieceStream = Pin<Box<dyn futures_core::Stream<Item = Result<Bytes>> + Send>>;

/// What an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Exactly one command.
    Single,
    /// Several commands, in order, not atomic.
    Pipeline,
    /// Several commands, atomic: all or none.
    Transaction,
}

impl Mode {
    /// Stable lower-case name, used in spans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Pipeline => "pipeline",
            Self::Transaction => "transaction",
        }
    }
}

/// The opaque consistency token of the server's last answer.
#[derive(Clone, PartialEq, Eq)]
pub struct SyncToken(pub(crate) HeaderValue);

impl SyncToken {
    /// From text that another client handed over.
    ///
    /// # Errors
    /// When it cannot be a header value.
    pub fn new(text: &str) -> Result<Self> {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| crate::Error::invalid_input("sync token holds control characters"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The text to hand to another client.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Debug for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncToken(..)")
    }
}

/// One request to a server.
#[derive(Debug)]
pub struct Exchange {
    /// What it is.
    pub mode: Mode,
    /// The commands; one for [`Mode::Single`], at least one otherwise.
    pub commands: Vec<Args>,
    /// The token to echo.
    pub sync_token: Option<SyncToken>,
    /// Time left for this attempt.
    pub timeout: Duration,
    sent: Arc<AtomicBool>,
}

impl Exchange {
    /// An exchange that has not been sent.
    pub fn new(mode: Mode, commands: Vec<Args>) -> Self {
        Self {
            mode,
            commands,
            sync_token: None,
            timeout: Duration::MAX,
            sent: Arc::default(),
        }
    }

    /// Tells that bytes of the request may leave from now on.
    ///
    /// A transport that never calls this must return `true` from
    /// [`Transport::sends_at_once`].
    pub fn mark_sent(&self) {
        self.sent.store(true, Ordering::Release);
    }

    /// Starts over for another attempt.
    pub(crate) fn rewind(&self, sent: bool) {
        self.sent.store(sent, Ordering::Release);
    }

    /// Reports under the flag of another exchange.
    pub(crate) fn sharing_sent_flag(mut self, of: &Self) -> Self {
        self.sent = Arc::clone(&of.sent);
        self
    }

    /// The flag behind [`mark_sent`](Self::mark_sent), for bodies that outlive the exchange.
    pub(crate) fn sent_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.sent)
    }

    /// Whether bytes of the request may have left.
    pub fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }
}

/// The answer to one request.
#[derive(Debug)]
#[non_exhaustive]
pub struct TransportResponse {
    /// One reply a command; error replies are items.
    pub replies: Vec<Reply>,
    /// The server's new token.
    pub sync_token: Option<SyncToken>,
    /// Bytes of the request body.
    pub request_bytes: usize,
    /// Bytes of the reply body.
    pub reply_bytes: usize,
    /// HTTP status, where there is one.
    pub status: Option<u16>,
}

impl TransportResponse {
    /// An answer with one reply for each command.
    pub fn new(replies: Vec<Reply>) -> Self {
        Self {
            replies,
            sync_token: None,
            request_bytes: 0,
            reply_bytes: 0,
            status: None,
        }
    }
}

/// Executes exchanges; a client over one is built by `Redis::with_transport` or `Builder::over`.
///
/// ```
/// use restis::{Delivery, Error, ErrorKind, Redis, Reply, Result, prelude::*};
/// use restis::transport::{TransportResponse, BoxFuture, Exchange, Transport};
///
/// /// Answers `PONG` to every `PING`.
/// #[derive(Debug)]
/// struct Pong;
///
/// impl Transport for Pong {
///     fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
///         let reply = |args: &restis::Args| match args.name() {
///             "PING" => Ok(Reply::Status("PONG".into())),
///             _ => Err(Error::new(ErrorKind::InvalidInput, Delivery::NotSent, "only PING")),
///         };
///         let replies = exchange.commands.iter().map(reply).collect::<Result<_>>();
///         Box::pin(std::future::ready(replies.map(TransportResponse::new)))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let redis = Redis::with_transport(Pong);
/// let pong: String = redis.command("PING").query().await?;
/// assert_eq!(pong, "PONG");
/// assert!(redis.get::<String>("k").await.is_err());
/// # Ok(())
/// # }
/// ```
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Executes one exchange, once.
    ///
    /// Returns as many replies as commands. An error says by its
    /// [`Delivery`](crate::Delivery) whether the commands can have run. Dropping the
    /// future abandons the exchange.
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>>;

    /// Whether a pipeline or transaction can carry this command without loss.
    fn can_batch(&self, _command: &Args) -> bool {
        true
    }

    /// Opens a subscription. Without an own version: refused.
    fn listen(&self, _what: Listen) -> BoxFuture<'_, Result<FrameStream>> {
        let why = "this transport has no subscriptions";
        Box::pin(std::future::ready(Err(crate::Error::invalid_input(why))))
    }

    /// Whether `execute` is ready when it is called, so that no runtime is needed.
    fn answers_at_once(&self) -> bool {
        false
    }

    /// Whether an exchange counts as sent as soon as `execute` was called.
    fn sends_at_once(&self) -> bool {
        true
    }

    /// Host and port of the server, for telemetry; `None` where there is none.
    fn server_address(&self) -> Option<(&str, u16)> {
        None
    }
}
