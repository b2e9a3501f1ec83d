//! From submitted commands to exchanges: merging, deadlines, retries, the breaker.
use std::{sync::Arc, time::Duration};

use smallvec::{SmallVec, smallvec};

use crate::{
    client::{
        config::Policy,
        metrics::{Metrics, ObservedCall},
        script::{KeyLocking, ScriptForms},
    },
    protocol::{
        command::{Args, Command},
        command_table,
        error::{Delivery, Error, ErrorKind, Result},
        reply::{FromReply, Reply},
        response_meta::ResponseMeta,
    },
    transport::{FrameStream, Listen, Mode, SyncToken, Transport, time},
};

mod attempt;
pub(crate) mod breaker;
mod budget;
mod calls;
mod driver;
mod in_flight;
pub(crate) mod plan;
mod script_batch;
mod state;
mod sync_state;
#[cfg(test)]
mod tests;

use breaker::Breaker;
use budget::Budget;
use driver::Batcher;
pub(crate) use driver::PendingCall;
use in_flight::InFlightLimit;
use state::BatchedCall;
use sync_state::SyncState;

/// What the caller of one call asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) idempotent: bool,
}

/// What the client knows of a command beside its arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommandContext {
    /// The caller promises that running it twice does no harm.
    repeatable: bool,
    /// The script behind an `EVALSHA`.
    pub(crate) script: Option<ScriptContext>,
}

/// The script of a call.
#[derive(Debug, Clone)]
pub(crate) struct ScriptContext {
    /// Its texts, for a server that does not know the hash.
    pub(crate) forms: Arc<ScriptForms>,
    /// For a call that may be joined with others.
    pub(crate) items: Option<ScriptItems>,
}

/// How the arguments of a script call belong to items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScriptItems {
    pub(crate) count: u32,
    /// Keys that all items share; those of each follow.
    pub(crate) shared_keys: u32,
    /// Arguments that all items share; those of each follow.
    pub(crate) shared_args: u32,
}

/// The result of each command.
pub(crate) type Results = SmallVec<[Result<Reply>; 1]>;

/// What a client and its forks share.
#[derive(Debug)]
struct Shared {
    transport: Arc<dyn Transport>,
    policy: Policy,
    breaker: Breaker,
    in_flight: InFlightLimit,
    budget: Budget,
    metrics: Metrics,
    key_locking: KeyLocking,
    joined_calls: script_batch::JoinedCalls,
}

/// What a client and its clones share.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    shared: Arc<Shared>,
    sync_state: SyncState,
    batcher: Batcher,
}

impl Dispatcher {
    pub(crate) fn new(transport: Arc<dyn Transport>, policy: Policy) -> Self {
        let metrics = Metrics::new();
        let shared = Shared {
            transport,
            breaker: Breaker::new(policy.breaker.clone(), metrics.clone()),
            in_flight: InFlightLimit::new(policy.max_in_flight),
            budget: Budget::new(),
            metrics,
            key_locking: KeyLocking::default(),
            joined_calls: script_batch::JoinedCalls::default(),
            policy,
        };
        Self::over(Arc::new(shared), SyncState::default())
    }

    fn over(shared: Arc<Shared>, sync_state: SyncState) -> Self {
        Self {
            shared,
            sync_state,
            batcher: Batcher::default(),
        }
    }

    pub(crate) fn fork(&self) -> Self {
        Self::over(
            Arc::clone(&self.shared),
            SyncState::starting_at(self.sync_state.current()),
        )
    }

    pub(crate) fn sync_token(&self) -> Option<SyncToken> {
        self.sync_state.current()
    }

    pub(crate) fn set_sync_token(&self, token: SyncToken) {
        self.sync_state.set(token);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn key_locking(&self) -> &KeyLocking {
        &self.shared.key_locking
    }

    #[cfg(any(test, feature = "otel"))]
    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        &self.shared.transport
    }

    /// Opens a subscription within the time of a call.
    pub(crate) async fn listen(&self, what: Listen) -> Result<FrameStream> {
        if what != Listen::Monitor && what.names().is_empty() {
            return Err(Error::invalid_input("nothing to subscribe to"));
        }
        let opening = self.shared.transport.listen(what);
        let opened = time::timeout(self.shared.policy.timeout, opening).await;
        opened.unwrap_or_else(|| {
            let why = "no answer in time";
            Err(Error::new(ErrorKind::Timeout, Delivery::MaybeExecuted, why))
        })
    }

    /// Submits one command; it is sent when the pending call is polled.
    pub(crate) fn submit_one(self: &Arc<Self>, args: Args, options: CallOptions) -> PendingCall {
        self.submit(Mode::Single, smallvec![args], options, None)
    }

    pub(crate) fn submit(
        self: &Arc<Self>,
        mode: Mode,
        commands: SmallVec<[Args; 1]>,
        options: CallOptions,
        script: Option<ScriptContext>,
    ) -> PendingCall {
        let problem = commands.iter().find_map(|args| match args.check() {
            Err(e) => Some(e),
            Ok(()) if args.is_empty() => Some(Error::invalid_input("a command needs a name")),
            Ok(()) => None,
        });
        if let Some(problem) = problem {
            for args in &commands {
                self.metrics().failed(args.index(), problem.kind());
            }
            return PendingCall::failed(commands.len(), &problem);
        }
        let observed = ObservedCall::begin(self.metrics(), mode, &commands);
        let timeout = options.timeout.unwrap_or(self.shared.policy.timeout);
        let call = BatchedCall::new(
            mode,
            commands,
            CommandContext {
                repeatable: options.idempotent,
                script,
            },
            time::Instant::now(),
            timeout,
        );
        PendingCall::join(self, call, observed)
    }

    /// Runs several commands, and how they were answered; an error means that none was.
    pub(crate) async fn submit_many(
        self: &Arc<Self>,
        mode: Mode,
        commands: Vec<Args>,
        options: CallOptions,
    ) -> Result<(ResponseMeta, Results)> {
        let (meta, results) = self.submit(mode, commands.into(), options, None).await;
        match results.first() {
            Some(Err(first)) if results.iter().all(Result::is_err) => Err(first.clone()),
            _ => Ok((meta, results)),
        }
    }

    /// Runs one command to its typed reply.
    pub(crate) async fn run_with<T: FromReply>(
        self: &Arc<Self>,
        command: Command<T>,
        options: CallOptions,
        script: Option<ScriptContext>,
    ) -> Result<T> {
        let name = command_table::name_of(&command.args);
        let call = self.submit(Mode::Single, smallvec![command.args], options, script);
        let (meta, mut results) = call.await;
        let result = results
            .pop()
            .unwrap_or_else(|| Err(Error::protocol("no reply")));
        self.metrics().decode(&name, meta, result)
    }
}
