//! From submitted commands to exchanges.
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use smallvec::{SmallVec, smallvec};

use crate::{
    command::{Args, Command},
    commands::properties,
    config::Policy,
    error::{Error, Result},
    reply::{FromReply, Reply},
    transport::{BoxFuture, Exchange, Mode, SyncToken, Transport},
};

/// What the caller of one call asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotent: bool,
}

/// One result a command.
pub(crate) type Results = SmallVec<[Result<Reply>; 1]>;

/// Everything a client and its clones share.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    transport: Arc<dyn Transport>,
    policy: Arc<Policy>,
    chain: Arc<Mutex<Option<SyncToken>>>,
}

impl Dispatcher {
    pub(crate) fn new(transport: Arc<dyn Transport>, policy: Policy) -> Self {
        Self {
            transport,
            policy: Arc::new(policy),
            chain: Arc::default(),
        }
    }

    pub(crate) fn fork(&self) -> Self {
        let chain = Arc::new(Mutex::new(self.sync_token()));
        Self {
            transport: Arc::clone(&self.transport),
            policy: Arc::clone(&self.policy),
            chain,
        }
    }

    pub(crate) fn sync_token(&self) -> Option<SyncToken> {
        self.chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_sync_token(&self, token: SyncToken) {
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    pub(crate) fn submit_one(&self, args: Args, options: CallOptions) -> Ticket {
        if let Err(e) = args.check() {
            return Ticket(Box::pin(async move { smallvec![Err(e)] }));
        }
        let run = self.run(Mode::Single, vec![args], options);
        Ticket(Box::pin(async move {
            match run.await {
                Ok(mut replies) => replies.pop().into_iter().map(Ok).collect(),
                Err(e) => smallvec![Err(e)],
            }
        }))
    }

    pub(crate) async fn submit_many(
        &self,
        mode: Mode,
        commands: Vec<Args>,
        options: CallOptions,
    ) -> Result<Vec<Result<Reply>>> {
        for args in &commands {
            args.check()?;
        }
        Ok(self
            .run(mode, commands, options)
            .await?
            .into_iter()
            .map(Ok)
            .collect())
    }

    fn run(
        &self,
        mode: Mode,
        commands: Vec<Args>,
        options: CallOptions,
    ) -> impl Future<Output = Result<Vec<Reply>>> + use<> {
        let transport = Arc::clone(&self.transport);
        let chain = Arc::clone(&self.chain);
        let mut exchange = Exchange::new(mode, commands);
        exchange.timeout = options.timeout.unwrap_or(self.policy.timeout);
        async move {
            exchange.sync_token = chain.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let answer = transport
                .execute(&exchange)
                .await
                .map_err(|e| e.with_attempts(1))?;
            if let Some(token) = answer.sync_token {
                *chain.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
            }
            if answer.replies.len() == exchange.commands.len() {
                Ok(answer.replies)
            } else {
                Err(Error::protocol("another number of replies than commands"))
            }
        }
    }
}

/// A place in a request that is being gathered or under way.
pub(crate) struct Ticket(BoxFuture<'static, Results>);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

impl Future for Ticket {
    type Output = Results;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Results> {
        self.0.as_mut().poll(cx)
    }
}

impl Dispatcher {
    /// Runs one command to its typed reply.
    pub(crate) async fn run_with<T: FromReply>(
        &self,
        command: Command<T>,
        options: CallOptions,
    ) -> Result<T> {
        let name = properties::name_of(&command.args);
        let mut results = self.submit_one(command.args, options).await;
        results
            .pop()
            .unwrap_or_else(|| Err(Error::protocol("no reply")))
            .and_then(T::from_reply)
            .map_err(|e| e.in_command(&name))
    }
}
