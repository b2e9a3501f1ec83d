//! MULTI, EXEC, DISCARD, WATCH.

use std::sync::Arc;

use bytes::Bytes;
use restis_engine::{Reply, Shape, Watched};

use super::busy;
use super::encode::Version;
use super::names::Kind;
use super::parser::Command;
use super::run::{args_of, aside, internal_error, not_passed_on};
use super::session::{Session, arity};
use crate::database::Backend;
use crate::in_flight::Held;
use crate::reply::resp2;
use crate::{gate, texts};

const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";

/// Commands about the server that no transaction may have.
const NOT_QUEUED: [&[u8]; 4] = [b"SAVE", b"SHUTDOWN", b"SYNC", b"PSYNC"];

/// The most keys that a connection watches.
const MOST_WATCHED: usize = 10_000;

/// Commands that wait for EXEC.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    commands: Vec<Command>,
    bytes: usize,
    /// What the commands take.
    held: Option<Held>,
    /// One was refused: EXEC runs none.
    failed: bool,
}

impl Session {
    pub(super) fn multi(&mut self, args: &[&[u8]]) {
        if let Err(line) = arity(args, 1) {
            return self.error(&line);
        }
        if self.transaction.is_some() {
            return self.error("ERR MULTI calls can not be nested");
        }
        self.transaction = Some(Transaction::default());
        self.client().state().queued = Some(0);
        self.tell_monitors(args);
        self.reply(args, &Reply::ok());
    }

    pub(super) fn discard(&mut self, args: &[&[u8]]) {
        if let Err(line) = arity(args, 1) {
            return self.error(&line);
        }
        if self.transaction.take().is_none() {
            return self.error("ERR DISCARD without MULTI");
        }
        self.end_transaction();
        self.reply(args, &Reply::ok());
    }

    /// Shows what the connection itself answers to those who watch all commands.
    fn tell_monitors(&self, args: &[&[u8]]) {
        let local = self
            .login
            .as_ref()
            .and_then(|login| login.access.database.local());
        if let Some(local) = local {
            local.engine().tell_monitors(args);
        }
    }

    fn end_transaction(&mut self) {
        self.watched = None;
        let mut state = self.client().state();
        state.queued = None;
        state.watched = 0;
    }

    /// Queues a command, if it may run.
    pub(super) async fn queue(&mut self, kind: Kind, command: Command) {
        let refused = self.check_queued(kind, &command).await;
        let limits = &self.shared.limits;
        let (Some(transaction), Some(login)) = (&mut self.transaction, &self.login) else {
            return;
        };
        let each = |arg: &Bytes| arg.len() + size_of::<Bytes>();
        let bytes = transaction.bytes + command.iter().map(each).sum::<usize>();
        let full = transaction.commands.len() >= limits.pipeline_commands
            || bytes > limits.redis_command_bytes;
        let new = || Held::new(&self.shared.in_flight, &login.access.database);
        let held = transaction.held.get_or_insert_with(new);
        let refused = refused.or(full.then(|| "ERR too large a transaction".to_owned()));
        let refused = refused.or_else(|| (!held.set(bytes)).then(|| texts::IN_FLIGHT.to_owned()));
        if let Some(line) = refused {
            transaction.failed = true;
            return self.error(&line);
        }
        transaction.bytes = bytes;
        transaction.commands.push(command);
        let queued = transaction.commands.len();
        self.client().state().queued = Some(queued);
        self.reply_of(Shape::Plain, &Reply::simple("QUEUED"));
    }

    /// Why a command cannot be queued.
    async fn check_queued(&self, kind: Kind, command: &Command) -> Option<String> {
        let args = args_of(command);
        let alone = NOT_QUEUED
            .iter()
            .any(|name| args[0].eq_ignore_ascii_case(name));
        if alone || !matches!(kind, Kind::Data | Kind::Ping) {
            return Some("ERR Command not allowed inside a transaction".to_owned());
        }
        let login = self.login.as_ref()?;
        match &login.access.database.backend {
            Backend::Engine(local) => {
                let caller = login.access.caller.clone();
                if let Some(Reply::Error(error)) = busy::wait(local, &caller, command).await {
                    return Some(error.message().to_owned());
                }
                let command = command.clone();
                let check = |engine: &restis_engine::Engine| {
                    let engine = engine.with_dialect(restis_engine::Dialect::Redis);
                    engine.check_command(&caller, &command)
                };
                let outcome = local.briefly(check).await;
                outcome.err().map(|error| error.message().to_owned())
            }
            Backend::Redis(_) => gate::redis_refusal(&args).map(|_| not_passed_on(args[0])),
        }
    }

    pub(super) async fn exec(&mut self, args: &[&[u8]]) {
        if let Err(line) = arity(args, 1) {
            return self.error(&line);
        }
        let Some(transaction) = self.transaction.take() else {
            return self.error("ERR EXEC without MULTI");
        };
        let watched = self.watched.take();
        self.end_transaction();
        if let Some(reason) = self.busy().await {
            return self.error(&format!(
                "EXECABORT Transaction discarded because of: {reason}"
            ));
        }
        if transaction.failed {
            self.tell_monitors(args);
            return self.error(ABORTED);
        }
        if let Some(login) = &self.login {
            let database = Arc::clone(&login.access.database);
            self.unsettle(&database, &transaction.commands);
        }
        let outcome = self.run_transaction(&transaction.commands, watched).await;
        self.tell_monitors(args);
        match outcome {
            Ok(Some(replies)) => self.list(&transaction.commands, &replies),
            Ok(None) => self.reply_of(Shape::Plain, &Reply::NilArray),
            Err(line) => self.error(&line),
        }
    }

    /// What is answered because a script has held the database for too long.
    async fn busy(&self) -> Option<String> {
        let login = self.login.as_ref()?;
        let local = login.access.database.local()?;
        let exec = vec![Bytes::from_static(b"EXEC")];
        match busy::wait(local, &login.access.caller, &exec).await? {
            Reply::Error(error) => Some(error.message().to_owned()),
            _ => None,
        }
    }

    /// `None`: a watched key changed.
    async fn run_transaction(
        &self,
        commands: &[Command],
        watched: Option<Watched>,
    ) -> Result<Option<Vec<Reply>>, String> {
        let Some(login) = &self.login else {
            return Err(texts::INTERNAL.to_owned());
        };
        let caller = login.access.caller.clone();
        match &login.access.database.backend {
            Backend::Engine(local) => {
                let commands = commands.to_vec();
                let work = move |engine: &restis_engine::Engine| {
                    engine.transaction_if_unchanged(&caller, watched, &commands)
                };
                let outcome = aside(local, &self.shared.limits, work).await;
                match outcome.ok_or_else(internal_error) {
                    Ok(outcome) => outcome.map_err(|error| error.message().to_owned()),
                    Err(_) => Err(texts::INTERNAL.to_owned()),
                }
            }
            Backend::Redis(_) if commands.is_empty() => Ok(Some(Vec::new())),
            Backend::Redis(redis) => {
                let rows: Vec<_> = commands
                    .iter()
                    .map(|command| command.iter().map(AsRef::as_ref).collect())
                    .collect();
                let outcome = redis.transaction(&caller, &rows).await;
                outcome
                    .map(Some)
                    .map_err(|failure| failure.line.into_owned())
            }
        }
    }

    /// Answers with the replies of all commands.
    fn list(&mut self, commands: &[Command], replies: &[Reply]) {
        let Some(out) = self.out_if_heard() else {
            return;
        };
        resp2::header(out, b'*', replies.len() as i64);
        let version = self.version;
        for (command, reply) in commands.iter().zip(replies) {
            let shape = match version {
                Version::Resp2 => Shape::Plain,
                Version::Resp3 => Shape::of(&args_of(command)),
            };
            self.reply_of(shape, reply);
        }
    }

    /// WATCH and UNWATCH.
    pub(super) async fn watch(&mut self, kind: Kind, args: &[&[u8]]) {
        let wanted = if kind == Kind::Watch { -2 } else { 1 };
        if let Err(line) = arity(args, wanted) {
            return self.error(&line);
        }
        if self.transaction.is_some() {
            return self.error("ERR WATCH inside MULTI is not allowed");
        }
        let Some(login) = &self.login else {
            return;
        };
        let database = Arc::clone(&login.access.database);
        let Backend::Engine(local) = &database.backend else {
            return self.error(&not_passed_on(args[0]));
        };
        let before = self.watched.take();
        if kind == Kind::Watch {
            let known = before.as_ref().map_or(0, Watched::len);
            if known + args.len() > MOST_WATCHED {
                self.watched = before;
                return self.error("ERR too many watched keys of one connection");
            }
            let watched = local
                .briefly(|engine| engine.watch(&args[1..], before))
                .await;
            self.watched = Some(watched);
        }
        let count = self.watched.as_ref().map_or(0, Watched::len);
        self.client().state().watched = count;
        self.reply(args, &Reply::ok());
    }
}
