//! Running commands of a connection where its database lives.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use futures_util::FutureExt as _;
use restis_engine::{CallLimits, Caller, CancelToken, Dialect, Engine, Error, Reply};
use smallvec::SmallVec;

use super::busy;
use super::parser::Command;
use super::session::Session;
use crate::backend::{CancelOnDrop, Local};
use crate::config::Limits;
use crate::database::Backend;
use crate::{gate, texts};

/// Commands that run at once on the thread that serves connections.
const SHORT_COMMANDS: usize = 64;
/// Bytes of arguments of such a command.
const SHORT_BYTES: usize = 64 << 10;

pub(super) fn args_of(command: &Command) -> SmallVec<[&[u8]; 8]> {
    command.iter().map(AsRef::as_ref).collect()
}

pub(super) fn internal_error() -> Reply {
    tracing::error!("a command panicked");
    Reply::Error(Error::new(texts::INTERNAL))
}

/// Whether a command takes some microseconds.
pub(super) fn is_short(command: &Command) -> bool {
    let bytes: usize = command.iter().map(bytes::Bytes::len).sum();
    bytes <= SHORT_BYTES && gate::is_short(&args_of(command))
}

impl Session {
    /// Runs commands in order and answers them, until enough is answered; returns how many ran.
    pub(super) async fn run(&mut self, commands: &[Command]) -> usize {
        let Some(login) = &self.login else {
            return commands.len();
        };
        let database = std::sync::Arc::clone(&login.access.database);
        let caller = login.access.caller.clone();
        match &database.backend {
            Backend::Engine(local) => {
                let mut rest = commands;
                while !rest.is_empty() && !self.is_full() {
                    self.wait_for_pause(&rest[0]).await;
                    if let Some(reply) = busy::wait(local, &caller, &rest[0]).await {
                        self.replies(&rest[..1], &[reply]);
                        rest = &rest[1..];
                        continue;
                    }
                    let plain = !caller.is_user() && !local.engine().is_followed();
                    if rest[0][0].eq_ignore_ascii_case(b"SAVE") {
                        let reply = save(local, &caller, &rest[0]).await;
                        self.replies(&rest[..1], &[reply]);
                        rest = &rest[1..];
                        continue;
                    }
                    let short = rest.iter().take(SHORT_COMMANDS);
                    let short = match plain && self.pause().is_none() {
                        true => short.take_while(|command| is_short(command)).count(),
                        false => 0,
                    };
                    let (now, later) = rest.split_at(short.max(1));
                    self.unsettle(&database, now);
                    if short > 0 {
                        let replies = local.briefly(|engine| batch(engine, &caller, now)).await;
                        self.replies(now, &replies);
                    } else {
                        let reply = one(local, &caller, &now[0], &self.shared.limits).await;
                        self.replies(now, &[reply]);
                    }
                    rest = later;
                }
                commands.len() - rest.len()
            }
            Backend::Redis(redis) => {
                for (done, command) in commands.iter().enumerate() {
                    if self.is_full() {
                        return done;
                    }
                    let args = args_of(command);
                    let reply = match gate::redis_refusal(&args) {
                        Some(_) => Err(not_passed_on(args[0])),
                        None => redis
                            .command(&caller, &args)
                            .await
                            .map_err(|failure| failure.line.into_owned()),
                    };
                    match reply {
                        Ok(reply) => self.reply(&args, &reply),
                        Err(line) => self.error(&line),
                    }
                }
                commands.len()
            }
        }
    }

    fn replies(&mut self, commands: &[Command], replies: &[Reply]) {
        for (command, reply) in commands.iter().zip(replies) {
            if let (true, Reply::Bulk(text)) = (command[0].eq_ignore_ascii_case(b"INFO"), reply) {
                let text = self.with_clients(&String::from_utf8_lossy(text));
                self.reply(&args_of(command), &Reply::bulk(text));
                continue;
            }
            self.reply(&args_of(command), reply);
        }
    }
}

impl Session {
    /// INFO, with what only the server knows of its connections.
    fn with_clients(&self, text: &str) -> String {
        const CLIENTS: &str = "# Clients\r\n";
        let name = self.login.as_ref().map(|login| &login.access.database.name);
        let (clients, blocked) = name.map_or((0, 0), |name| self.shared.clients.count(name));
        let lines = format!(
            "{CLIENTS}connected_clients:{clients}\r\nmaxclients:{}\r\nblocked_clients:{blocked}\r\n",
            self.shared.limits.connections,
        );
        text.replacen(CLIENTS, &lines, 1)
    }
}

/// What cannot be passed on to a Redis.
pub(super) fn not_passed_on(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(&name[..name.len().min(128)]).to_uppercase();
    format!(
        "ERR {name} is not available here: this database lives in another Redis; connect to that Redis for it"
    )
}

/// Runs short commands.
fn batch(engine: &Engine, caller: &Caller, commands: &[Command]) -> Vec<Reply> {
    let engine = engine.with_dialect(Dialect::Redis);
    let mut replies = Vec::with_capacity(commands.len());
    let run = AssertUnwindSafe(|| engine.batch(caller, commands, |reply| replies.push(reply)));
    // What a panic may leave half changed is the database: its lock tells.
    if catch_unwind(run).is_err() {
        replies.resize_with(commands.len(), internal_error);
    }
    replies
}

/// Writes a snapshot and waits for it.
async fn save(local: &Local, caller: &Caller, command: &Command) -> Reply {
    let check = |engine: &Engine| {
        let engine = engine.with_dialect(Dialect::Redis);
        engine.check_command(caller, command)
    };
    let allowed = local.briefly(check).await;
    let outcome = match (allowed, local.log()) {
        (Ok(()), Some(log)) => log.rewrite().await,
        // The reason why there is nothing to save.
        (Ok(()), None) => return local.briefly(|engine| call(engine, caller, command)).await,
        (Err(error), _) => Err(error),
    };
    outcome.map_or_else(Reply::Error, |()| Reply::ok())
}

fn call(engine: &Engine, caller: &Caller, command: &Command) -> Reply {
    engine.with_dialect(Dialect::Redis).call_as(caller, command)
}

/// A handle whose calls end in time, or when `cancel` is cancelled.
pub(super) fn limited(engine: &Engine, limits: &Limits, cancel: CancelToken) -> Engine {
    let mut call = CallLimits::default().cancel(cancel);
    if let Some(deadline) = Instant::now().checked_add(limits.request_time) {
        call = call.deadline(deadline);
    }
    engine.with_dialect(Dialect::Redis).with_limits(call)
}

/// Does what may take long on a thread of its own; `None`: it panicked.
pub(super) async fn aside<R: Send + 'static>(
    local: &Local,
    limits: &Limits,
    work: impl FnOnce(&Engine) -> R + Send + 'static,
) -> Option<R> {
    let cancel = CancelToken::default();
    let _cancel = CancelOnDrop(cancel.clone());
    let limits = *limits;
    let work = local.aside(move |engine| work(&limited(engine, &limits, cancel)));
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// Runs one command that may take long.
async fn one(local: &Local, caller: &Caller, command: &Command, limits: &Limits) -> Reply {
    let (caller, command) = (caller.clone(), command.clone());
    let running = local.running().clone();
    aside(local, limits, move |engine| {
        running.during(&command, || engine.call_as(&caller, &command))
    })
    .await
    .unwrap_or_else(internal_error)
}
