//! Configuration of a client.
use std::{fmt, sync::Arc, time::Duration};

use crate::{
    client::{
        Redis,
        batch::{Dispatcher, breaker::BreakerPolicy, plan::Limits},
        env::parse_rest_url,
    },
    protocol::error::{Error, Result},
    transport::{Encoding, HttpTransport, Parts, Transport, telemetry},
};

/// What holds for every call of a client.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) max_in_flight: usize,
    pub(crate) limits: Limits,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) read_your_writes: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            max_retries: 3,
            max_in_flight: 64,
            limits: Limits::default(),
            breaker: BreakerPolicy::default(),
            read_your_writes: true,
        }
    }
}

enum Target {
    Rest { url: String, token: String },
    Own(Arc<dyn Transport>),
}

/// Builds a [`Redis`] client.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    target: Target,
    policy: Policy,
    #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
    http: Option<reqwest::Client>,
    encoding: Encoding,
    connect_timeout: Duration,
    max_reply_bytes: usize,
    telemetry: bool,
    /// PEM.
    root_certificates: Vec<u8>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(url: impl Into<String>, token: impl Into<String>) -> Self {
        Self::with_target(Target::Rest {
            url: url.into(),
            token: token.into(),
        })
    }

    /// Starts building a client over any transport.
    pub fn over(transport: impl Transport) -> Self {
        Self::with_target(Target::Own(Arc::new(transport)))
    }

    fn with_target(target: Target) -> Self {
        Self {
            target,
            policy: Policy::default(),
            #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
            http: None,
            encoding: Encoding::default(),
            connect_timeout: Duration::from_secs(1),
            max_reply_bytes: 64 * 1024 * 1024,
            telemetry: std::env::var_os("UPSTASH_DISABLE_TELEMETRY").is_none_or(|v| v.is_empty()),
            root_certificates: Vec::new(),
        }
    }

    /// The address of the REST API; `None` over a transport of one's own.
    pub fn url(&self) -> Option<&str> {
        match &self.target {
            Target::Rest { url, .. } => Some(url),
            Target::Own(_) => None,
        }
    }

    /// Total time for one call, all attempts included; 2 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy.timeout = timeout;
        self
    }

    /// Time for one connection to be made; 1 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Retries after a first attempt; 3 by default, 0 means none.
    ///
    /// A command that may have been executed is repeated only if that does no harm.
    /// Retries never exceed a fifth of the requests, plus a small reserve.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.policy.max_retries = retries;
        self
    }

    /// Most requests in flight at the same time; 64 by default.
    ///
    /// How many are used follows the round trips that are observed: four near the server, where
    /// further commands gather meanwhile, and up to this many over a distance.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.policy.max_in_flight = requests.max(1);
        self
    }

    /// Most commands in one request; 1000 by default.
    pub fn max_batch_commands(mut self, commands: usize) -> Self {
        self.policy.limits.commands = commands.max(1);
        self
    }

    /// Most bytes of commands in one request; 1 MiB by default.
    ///
    /// A single larger command still goes out, alone.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.policy.limits.bytes = bytes.max(1);
        self
    }

    /// Consecutive failures that open the circuit breaker; 5 by default, 0 switches it off.
    pub fn breaker_failures(mut self, failures: u32) -> Self {
        self.policy.breaker.failures = failures;
        self
    }

    /// How long the circuit breaker stays open, up to half as much longer at random; 1 s
    /// by default.
    pub fn breaker_open_for(mut self, period: Duration) -> Self {
        self.policy.breaker.open_for = period;
        self
    }

    /// Whether reads see the writes of this client on every replica; on by default.
    pub fn read_your_writes(mut self, on: bool) -> Self {
        self.policy.read_your_writes = on;
        self
    }

    /// Uses a ready HTTP client instead of the pool of connections: its TLS, proxy, HTTP version
    /// and pool settings apply. Feature `reqwest`.
    #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http = Some(client);
        self
    }

    /// Trusts these certificate authorities, in PEM, besides those of the web.
    ///
    /// For a server whose certificate comes from an authority of your own; it may be called
    /// again. A client that is handed in by `http_client` keeps its own
    /// settings.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.root_certificates.extend_from_slice(pem.as_ref());
        self.root_certificates.push(b'\n');
        self
    }

    /// How the server is asked to write replies.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Largest accepted reply body; 64 MiB by default.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// Whether requests tell the SDK's version, the kind of platform and the language; on
    /// unless `UPSTASH_DISABLE_TELEMETRY` is set.
    pub fn telemetry(mut self, on: bool) -> Self {
        self.telemetry = on;
        self
    }

    /// Puts a transport of one's own around the one that the settings so far describe.
    ///
    /// It sees every request that is sent, after merging and with each retry. Settings of the
    /// transport (certificates, encoding, connect timeout, largest reply) come before this call.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use restis::transport::{BoxFuture, Exchange, Transport, TransportResponse};
    /// use restis::{Redis, Result};
    ///
    /// /// Prints the names of the commands of each request.
    /// #[derive(Debug)]
    /// struct Printed(Arc<dyn Transport>);
    ///
    /// impl Transport for Printed {
    ///     fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
    ///         let names: Vec<_> = exchange.commands.iter().map(|args| args.name()).collect();
    ///         println!("{names:?}");
    ///         self.0.execute(exchange)
    ///     }
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// let redis = Redis::builder("https://example.upstash.io", "TOKEN")
    ///     .wrap_transport(Printed)?
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn wrap_transport<T: Transport>(
        mut self,
        wrap: impl FnOnce(Arc<dyn Transport>) -> T,
    ) -> Result<Self> {
        let policy = std::mem::take(&mut self.policy);
        let mut builder = Self::over(wrap(self.transport()?));
        builder.policy = policy;
        Ok(builder)
    }

    /// Builds the client; sends nothing.
    ///
    /// # Errors
    /// `Config` when URL or token cannot be right, or a root certificate is malformed.
    pub fn build(mut self) -> Result<Redis> {
        let policy = std::mem::take(&mut self.policy);
        Ok(Redis::over(Dispatcher::new(self.transport()?, policy)))
    }

    fn transport(self) -> Result<Arc<dyn Transport>> {
        let (url, token) = match self.target {
            Target::Own(transport) => return Ok(transport),
            Target::Rest { url, token } => (url, token),
        };
        let base = parse_rest_url(url.trim())
            .ok_or_else(|| Error::config("the REST URL must be like https://example.upstash.io"))?;
        if token.trim().is_empty() {
            return Err(Error::config("the REST token is empty"));
        }
        let telemetry = if self.telemetry {
            telemetry::headers()
        } else {
            http::HeaderMap::new()
        };
        Ok(Arc::new(HttpTransport::new(Parts {
            #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
            http: self.http,
            base: &base,
            token: token.trim(),
            encoding: self.encoding,
            telemetry,
            connect_timeout: self.connect_timeout,
            max_reply_bytes: self.max_reply_bytes,
            root_certificates: self.root_certificates,
        })?))
    }
}
