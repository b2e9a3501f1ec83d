//! Commands that wait for a key: `BLPOP` and its kin, `XREAD` and `XREADGROUP` with `BLOCK`.

use std::sync::Arc;
use std::time::Duration;

use restis_engine::{Called, Error, Reply};
use tokio::sync::{oneshot, watch};

use super::parser::Command;
use super::run::{args_of, aside, internal_error, not_passed_on};
use super::session::{Flow, Session};
use crate::database::{Backend, Database};

/// A command whose reply has not come.
pub(super) struct Waiting {
    command: Command,
    database: Arc<Database>,
    id: u64,
    pub(super) timeout: Option<Duration>,
    nothing: Reply,
    pub(super) reply: oneshot::Receiver<Reply>,
    /// Changes when CLIENT UNBLOCK ends the waiting.
    pub(super) unblocked: watch::Receiver<End>,
}

/// Why a command waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its time is over.
    Time,
    /// CLIENT UNBLOCK … ERROR.
    Unblocked,
    /// The client is gone.
    Gone,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Waiting {
    /// Ends the waiting; a reply that has come meanwhile is the reply.
    pub(super) async fn stop(&mut self, end: End) -> Reply {
        let id = self.id;
        let stopped = match self.database.local() {
            Some(local) => local.briefly(|engine| engine.stop_waiting(id)).await,
            None => true,
        };
        if !stopped && let Ok(reply) = (&mut self.reply).await {
            return reply;
        }
        match end {
            End::Time | End::Gone => self.nothing.clone(),
            End::Unblocked => {
                Reply::Error(Error::new("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
            }
        }
    }
}

impl Session {
    /// Runs a command that may wait.
    pub(super) async fn wait(&mut self, command: Command) -> Flow {
        self.wait_for_pause(&command).await;
        let Some(login) = &self.login else {
            return Flow::Next;
        };
        let database = Arc::clone(&login.access.database);
        let Backend::Engine(local) = &database.backend else {
            self.error(&not_passed_on(&command[0]));
            return Flow::Next;
        };
        let (caller, args) = (login.access.caller.clone(), command.clone());
        self.unsettle(&database, std::slice::from_ref(&command));
        let (deliver, reply) = oneshot::channel();
        let deliver = move |reply| {
            // Nobody waits for it any more: the element is lost, as in Redis.
            let _ = deliver.send(reply);
        };
        let called = aside(local, &self.shared.limits, move |engine| {
            engine.call_or_wait(&caller, &args, deliver)
        });
        match called.await {
            Some(Called::Waits {
                id,
                timeout,
                nothing,
            }) => {
                let unblocked = self.client().unblocked();
                self.client().state().blocked = true;
                Flow::Wait(Waiting {
                    command,
                    database,
                    id,
                    timeout,
                    nothing,
                    reply,
                    unblocked,
                })
            }
            Some(Called::Reply(reply)) => {
                self.reply(&args_of(&command), &reply);
                Flow::Next
            }
            _ => {
                self.reply(&args_of(&command), &internal_error());
                Flow::Next
            }
        }
    }

    /// Answers a command that has waited.
    pub(super) fn waited(&mut self, waiting: &Waiting, reply: &Reply) {
        self.client().state().blocked = false;
        self.unsettle_served(&waiting.database, &waiting.command);
        self.reply(&args_of(&waiting.command), reply);
    }
}
