//! From submitted commands to exchanges: merging, deadlines, retries, the breaker.
use std::{sync::Arc, task::Poll, time::Duration};

use smallvec::{SmallVec, smallvec};

use crate::{
    client::{config::Policy, metrics::Metrics},
    protocol::{
        command::{Args, Command},
        command_table,
        error::{Delivery, Error, ErrorKind, Result},
        reply::{FromReply, Reply},
    },
    transport::{FrameStream, Listen, Mode, SyncToken, Transport},
};

mod attempt;
mod board;
pub(crate) mod breaker;
mod budget;
mod chain;
mod flight;
mod fold;
pub(crate) mod plan;
#[cfg(test)]
mod tests;
pub(crate) mod time;

use board::Entry;
use breaker::Breaker;
use budget::Budget;
use chain::Chain;
use flight::Merger;
pub(crate) use flight::Ticket;

/// What the caller of one call asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotent: bool,
}

/// One result a command.
pub(crate) type Results = SmallVec<[Result<Reply>; 1]>;

/// How the last answer to a call came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Came {
    pub(crate) attempts: u32,
    pub(crate) status: Option<u16>,
}

/// What a client and its forks share.
#[derive(Debug)]
struct Shared {
    transport: Arc<dyn Transport>,
    policy: Policy,
    breaker: Breaker,
    budget: Budget,
    metrics: Metrics,
    key_locking: crate::client::script::KeyLocking,
    folding: fold::Folding,
}

/// What a client and its clones share.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    shared: Arc<Shared>,
    chain: Chain,
    merger: Merger,
}

impl Dispatcher {
    pub(crate) fn new(transport: Arc<dyn Transport>, policy: Policy) -> Self {
        let metrics = Metrics::new();
        let shared = Shared {
            transport,
            breaker: Breaker::new(policy.breaker.clone(), metrics.clone()),
            budget: Budget::new(),
            metrics,
            key_locking: crate::client::script::KeyLocking::default(),
            folding: fold::Folding::default(),
            policy,
        };
        Self::over(Arc::new(shared), Chain::default())
    }

    fn over(shared: Arc<Shared>, chain: Chain) -> Self {
        let merger = Merger::new(shared.policy.max_in_flight);
        Self {
            shared,
            chain,
            merger,
        }
    }

    pub(crate) fn fork(&self) -> Self {
        Self::over(
            Arc::clone(&self.shared),
            Chain::starting_at(self.chain.current()),
        )
    }

    pub(crate) fn sync_token(&self) -> Option<SyncToken> {
        self.chain.current()
    }

    pub(crate) fn set_sync_token(&self, token: SyncToken) {
        self.chain.set(token);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn key_locking(&self) -> &crate::client::script::KeyLocking {
        &self.shared.key_locking
    }

    #[cfg(test)]
    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        &self.shared.transport
    }

    /// Opens a subscription within the time of a call.
    pub(crate) async fn listen(&self, what: Listen) -> Result<FrameStream> {
        if what != Listen::Monitor && what.names().is_empty() {
            return Err(Error::invalid_input("nothing to subscribe to"));
        }
        let mut opening = self.shared.transport.listen(what);
        let end = time::after(time::Instant::now(), self.shared.policy.timeout);
        let mut timer = time::sleep_until(end);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(opened) = opening.as_mut().poll(cx) {
                return Poll::Ready(opened);
            }
            match &mut timer {
                Some(timer) => timer.as_mut().poll(cx).map(|()| {
                    let why = "no answer in time";
                    Err(Error::new(ErrorKind::Timeout, Delivery::MaybeExecuted, why))
                }),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Submits one command; it leaves when the ticket is polled.
    pub(crate) fn submit_one(self: &Arc<Self>, args: Args, options: CallOptions) -> Ticket {
        self.submit(Mode::Single, smallvec![args], options)
    }

    pub(crate) fn submit(
        self: &Arc<Self>,
        mode: Mode,
        commands: SmallVec<[Args; 1]>,
        options: CallOptions,
    ) -> Ticket {
        let problem = commands.iter().find_map(|args| match args.check() {
            Err(e) => Some(e),
            Ok(()) if args.is_empty() => Some(Error::invalid_input("a command needs a name")),
            Ok(()) => None,
        });
        if let Some(problem) = problem {
            for args in &commands {
                self.metrics().failed(args.index(), problem.kind());
            }
            return Ticket::failed(commands.len(), &problem);
        }
        let timeout = options.timeout.unwrap_or(self.shared.policy.timeout);
        let entry = Entry::new(mode, commands, options.idempotent, timeout);
        Ticket::join(self, entry)
    }

    /// Runs several commands, and how they were answered; an error means that none was.
    pub(crate) async fn submit_many(
        self: &Arc<Self>,
        mode: Mode,
        commands: Vec<Args>,
        options: CallOptions,
    ) -> Result<(Came, Results)> {
        let (came, results) = self.submit(mode, commands.into(), options).await;
        match results.first() {
            Some(Err(first)) if results.iter().all(Result::is_err) => Err(first.clone()),
            _ => Ok((came, results)),
        }
    }

    /// Runs one command to its typed reply.
    pub(crate) async fn run_with<T: FromReply>(
        self: &Arc<Self>,
        command: Command<T>,
        options: CallOptions,
    ) -> Result<T> {
        let name = command_table::name_of(&command.args);
        let (came, mut results) = self.submit_one(command.args, options).await;
        let result = results
            .pop()
            .unwrap_or_else(|| Err(Error::protocol("no reply")));
        self.metrics().decode(&name, came, result)
    }
}
