//! The client handle and the surfaces that run commands.
use std::{
    borrow::Cow,
    future::IntoFuture,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    client::{
        batch::{CallOptions, Dispatcher, PendingCall},
        config::{Builder, Policy},
        metrics::Metrics,
        pipeline::{Pipeline, Transaction},
    },
    protocol::{
        command::{Args, Command, ToArg},
        command_table,
        error::{Error, Result},
        reply::{FromReply, Reply},
    },
    transport::{SyncToken, Transport},
};

/// Where a command goes: a client runs it, a pipeline collects it.
///
/// Implemented for [`&Redis`](Redis), [`&mut Pipeline`](Pipeline) and
/// [`&mut Transaction`](Transaction) only.
pub trait Surface: Sized + sealed::Sealed {
    /// What the caller gets back.
    type Out<T: FromReply>;

    /// Submits a command.
    fn submit<T: FromReply>(self, command: Command<T>) -> Self::Out<T>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for &super::Redis {}
    impl Sealed for &mut super::Pipeline {}
    impl Sealed for &mut super::Transaction {}
}

/// A Redis client over HTTP; cheap to clone, clones share everything.
///
/// Its commands are methods of traits, one for each group: `use restis::prelude::*` brings all of
/// them, and [the index](crate::commands#groups) tells which is where.
#[derive(Debug, Clone)]
pub struct Redis {
    pub(crate) core: Arc<Dispatcher>,
}

impl Redis {
    /// Starts building a client for a REST URL and its token.
    pub fn builder(url: impl Into<String>, token: impl Into<String>) -> Builder {
        Builder::new(url, token)
    }

    pub(crate) fn over(core: Dispatcher) -> Self {
        Self {
            core: Arc::new(core),
        }
    }

    /// A client over any transport, with default policies.
    pub fn with_transport(transport: impl Transport) -> Self {
        Self::over(Dispatcher::new(Arc::new(transport), Policy::default()))
    }

    /// A client over an in-process store.
    #[cfg(feature = "embedded")]
    pub fn embedded(engine: restis_engine::Engine) -> Self {
        Self::with_transport(crate::transport::embedded::EmbeddedTransport::new(engine))
    }

    /// Starts a pipeline: commands sent together, not atomic.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.clone())
    }

    /// Starts a transaction: commands run together, all or none.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.clone())
    }

    /// Starts any command by name.
    pub fn command(&self, name: &str) -> Raw<'_> {
        Raw {
            client: self,
            command: Command::new(name),
        }
    }

    /// A client with its own chain of consistency tokens; all else is shared.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            core: Arc::new(self.core.fork()),
        }
    }

    /// What this client and its forks did.
    pub fn metrics(&self) -> &Metrics {
        self.core.metrics()
    }

    /// Host and port of the server, where there is one.
    #[cfg(all(feature = "otel", not(target_family = "wasm")))]
    pub(crate) fn server_address(&self) -> Option<(&str, u16)> {
        self.core.transport().server_address()
    }

    /// The newest consistency token, to hand to another client.
    pub fn sync_token(&self) -> Option<SyncToken> {
        self.core.sync_token()
    }

    /// Continues the chain of another client.
    pub fn set_sync_token(&self, token: SyncToken) {
        self.core.set_sync_token(token);
    }
}

impl<'c> Surface for &'c Redis {
    type Out<T: FromReply> = Request<'c, T>;

    fn submit<T: FromReply>(self, command: Command<T>) -> Request<'c, T> {
        Request {
            client: self,
            command,
            options: CallOptions::default(),
        }
    }
}

/// A command without a method, built argument by argument.
#[derive(Debug)]
#[must_use = "a command does nothing until it is awaited"]
pub struct Raw<'c> {
    client: &'c Redis,
    command: Command<Reply>,
}

impl<'c> Raw<'c> {
    /// Appends one argument.
    pub fn arg(mut self, value: impl ToArg) -> Self {
        self.command = self.command.arg(value);
        self
    }

    /// Appends every item as one argument.
    pub fn args<A: ToArg>(mut self, values: impl IntoIterator<Item = A>) -> Self {
        self.command = self.command.args(values);
        self
    }

    /// The request, with the type of its reply.
    pub fn query<T: FromReply>(self) -> Request<'c, T> {
        self.client.submit(self.command.returning())
    }
}

/// A command bound to a client; `.await` sends it.
#[derive(Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Request<'c, T> {
    client: &'c Redis,
    command: Command<T>,
    options: CallOptions,
}

impl<T> Request<'_, T> {
    /// Total time for this call, all attempts included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Promises that running the command twice does no harm, so that it may be retried
    /// when a first attempt may have been executed.
    pub fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }
}

impl<'c, T: FromReply> IntoFuture for Request<'c, T> {
    type Output = Result<T>;
    type IntoFuture = Call<'c, T>;

    fn into_future(self) -> Call<'c, T> {
        Call {
            client: self.client,
            command: Some(self.command.args),
            name: Cow::Borrowed(""),
            options: self.options,
            pending: None,
            reply: PhantomData,
        }
    }
}

/// The future of a [`Request`]; dropping it never harms other calls.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Call<'c, T> {
    client: &'c Redis,
    command: Option<Args>,
    name: Cow<'static, str>,
    options: CallOptions,
    pending: Option<PendingCall>,
    reply: PhantomData<fn() -> T>,
}

impl<T: FromReply> Future for Call<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        if let Some(args) = this.command.take() {
            this.name = command_table::name_of(&args);
            this.pending = Some(this.client.core.submit_one(args, this.options));
        }
        let Some(pending) = &mut this.pending else {
            return Poll::Ready(Err(Error::invalid_input("polled after completion")));
        };
        let Poll::Ready((meta, mut done)) = Pin::new(&mut *pending).poll(cx) else {
            return Poll::Pending;
        };
        let result = done
            .pop()
            .unwrap_or_else(|| Err(Error::protocol("no reply")));
        this.pending = None;
        Poll::Ready(this.client.metrics().decode(&this.name, meta, result))
    }
}
