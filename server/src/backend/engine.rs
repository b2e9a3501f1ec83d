//! Requests on an embedded database.
//!
//! What is known to be short runs at once, on the thread that serves connections. Everything else
//! leaves it: scripts, commands that look at many elements, large arguments and replies. At most
//! one thread works for a database, so that one tenant never holds more than a core.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use restis_engine::{CallLimits, CancelToken, ChangeLog, Engine, Reply, may_write};
use tokio::sync::RwLock;

use super::{Kind, Rendered, Request};
use crate::durability::DatabaseLog;
use crate::gate;
use crate::reply::{List, data_size};
use crate::request::commands::Args;
use crate::texts::Failure;

/// Bytes of arguments or of replies that are handled at once.
const SHORT_BYTES: usize = 64 << 10;
/// Commands of a pipeline or transaction that run at once.
const SHORT_COMMANDS: usize = 256;
/// Commands after which other requests of the same database get their turn.
const TURN_COMMANDS: usize = 2048;
/// Time after which they do.
const TURN: Duration = Duration::from_millis(20);

/// A command of the Redis protocol that runs on a thread of its own; a cheap clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<Option<Vec<Bytes>>>>);

impl Running {
    /// Does its work; others see the command meanwhile.
    pub(crate) fn during<R>(&self, command: &[Bytes], work: impl FnOnce() -> R) -> R {
        self.set(Some(command.to_vec()));
        let result = work();
        self.set(None);
        result
    }

    fn set(&self, command: Option<Vec<Bytes>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = command;
    }

    pub(crate) fn command(&self) -> Option<Vec<Bytes>> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.clone()
    }
}

/// An embedded database and whose turn it is.
#[derive(Debug)]
pub(crate) struct Local {
    engine: Engine,
    /// Short work shares it; work on a thread of its own has it alone.
    turn: Arc<RwLock<()>>,
    running: Running,
    /// Where changes are kept, if on disk.
    log: OnceLock<Arc<DatabaseLog>>,
}

impl Local {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            turn: Arc::new(RwLock::new(())),
            running: Running::default(),
            log: OnceLock::new(),
        }
    }

    /// Keeps every change from now on; once, before the first request.
    pub(crate) fn set_log(&self, log: Arc<DatabaseLog>) {
        self.engine.set_log(Arc::clone(&log) as Arc<dyn ChangeLog>);
        // Nothing sets it twice.
        let _ = self.log.set(log);
    }

    /// Where changes are kept, if on disk.
    pub(crate) fn log(&self) -> Option<&Arc<DatabaseLog>> {
        self.log.get()
    }

    /// The database, for what never waits for its lock.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The command of the Redis protocol that runs on a thread of its own.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Whether nothing long runs.
    pub(crate) fn is_free(&self) -> bool {
        self.turn.try_read().is_ok()
    }

    /// Waits until nothing long runs.
    pub(crate) async fn until_free(&self) {
        drop(self.turn.read().await);
    }

    /// Does what is short, once nothing long runs.
    pub(crate) async fn briefly<R>(&self, work: impl FnOnce(&Engine) -> R) -> R {
        let _turn = self.turn.read().await;
        work(&self.engine)
    }

    /// Does what may take long, on a thread of its own.
    pub(crate) async fn aside<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> R + Send + 'static,
    ) -> R {
        let turn = Arc::clone(&self.turn).write_owned().await;
        let engine = self.engine.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&engine)
        });
        match task.await {
            Ok(result) => result,
            // Such tasks are never aborted: it panicked, and this request did.
            Err(error) => resume_unwind(error.into_panic()),
        }
    }

    /// Does what may take long on this thread, which serves nobody.
    pub(crate) fn here<R>(&self, work: impl FnOnce(&Engine) -> R) -> R {
        let _turn = self.turn.blocking_write();
        work(&self.engine)
    }

    /// Does it on this thread, which serves nobody, unless the database is busy.
    pub(crate) fn here_if_idle(&self, work: impl FnOnce(&Engine)) {
        if let Ok(_turn) = self.turn.try_write() {
            work(&self.engine);
        }
    }

    /// Runs the commands of a request; what they changed is then as durable as configured.
    pub(crate) async fn run(&self, request: Request) -> Result<Rendered, Failure> {
        let Some(log) = self.log.get() else {
            return self.run_now(request).await;
        };
        let (before, may_write) = (log.appended(), writes(&request));
        let rendered = self.run_now(request).await?;
        let wrote = may_write && log.appended() > before;
        log.settled(wrote).await.map_err(|error| {
            let line = error.message().to_owned();
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, line)
        })?;
        Ok(rendered)
    }

    async fn run_now(&self, request: Request) -> Result<Rendered, Failure> {
        if is_short(&request) && !self.engine.is_followed() {
            let replies = self.briefly(|engine| replies(engine, &request)).await?;
            let bytes: u64 = replies.iter().map(data_size).sum();
            if bytes <= SHORT_BYTES as u64 {
                return render(&request, &replies);
            }
            return self.aside(move |_| render(&request, &replies)).await;
        }
        let cancel = CancelToken::default();
        let _cancel = CancelOnDrop(cancel.clone());
        let mut job = Job {
            list: request.list(),
            left: request.limits.request_time,
            request,
            cancel,
        };
        loop {
            let step = self.aside(move |engine| job.step(engine)).await?;
            match step {
                Step::Done(rendered) => return Ok(rendered),
                Step::More(rest) => job = *rest,
            }
        }
    }
}

/// Stops the work of a request whose client is gone.
pub(crate) struct CancelOnDrop(pub(crate) CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Whether everything a request asks for is done in some microseconds.
fn is_short(request: &Request) -> bool {
    let commands = &request.commands;
    // The rules of a user are patterns, and those may be slow to compare.
    !request.caller.is_user()
        && commands.bytes() <= SHORT_BYTES
        && commands.len() <= SHORT_COMMANDS
        && (0..commands.len()).all(|index| match commands.get(index) {
            Ok(args) => gate::is_short(&args),
            Err(_) => true,
        })
}

/// Whether a command of the request may change something.
fn writes(request: &Request) -> bool {
    let commands = &request.commands;
    (0..commands.len()).any(|index| {
        let args = commands.get(index);
        args.is_ok_and(|args| may_write(&args))
    })
}

/// Runs a short request.
fn replies(engine: &Engine, request: &Request) -> Result<Vec<Reply>, Failure> {
    match request.kind {
        Kind::Command => {
            let args = request.command()?;
            Ok(vec![engine.call_as(&request.caller, &args)])
        }
        Kind::Pipeline => {
            let commands = &request.commands;
            let mut replies = Vec::with_capacity(commands.len());
            let mut run = Run::new(request, 0, commands.len());
            while replies.len() < commands.len() {
                engine.batch(&request.caller, &mut run, |reply| replies.push(reply));
                replies.extend(run.refused.take().map(error));
            }
            Ok(replies)
        }
        Kind::Transaction => transaction(engine, request),
    }
}

fn transaction(engine: &Engine, request: &Request) -> Result<Vec<Reply>, Failure> {
    let rows = request.rows(gate::refusal)?;
    engine
        .transaction(&request.caller, &rows)
        .map_err(|error| Failure::bad_request(error.message().to_owned()))
}

fn error(line: String) -> Reply {
    Reply::Error(restis_engine::Error::new(line))
}

fn render(request: &Request, replies: &[Reply]) -> Result<Rendered, Failure> {
    if let (Kind::Command, [reply]) = (request.kind, replies) {
        return request.single(reply);
    }
    let mut list = request.list();
    for reply in replies {
        list.reply(reply);
    }
    Ok(list.into())
}

/// A request that runs on a thread of its own, in turns.
struct Job {
    request: Request,
    list: List,
    /// Time that its commands may still run.
    left: Duration,
    cancel: CancelToken,
}

enum Step {
    Done(Rendered),
    More(Box<Job>),
}

impl Job {
    /// Runs until it is done or others get their turn.
    fn step(mut self, engine: &Engine) -> Result<Step, Failure> {
        let started = Instant::now();
        let limits = CallLimits::default().cancel(self.cancel.clone());
        let engine = &match started.checked_add(self.left) {
            Some(deadline) => engine.with_limits(limits.deadline(deadline)),
            None => engine.with_limits(limits),
        };
        let request = &self.request;
        match request.kind {
            Kind::Command => {
                let args = request.command()?;
                if let Some(line) = gate::refusal(&args) {
                    return Err(Failure::bad_request(line));
                }
                let reply = engine.call_as(&request.caller, &args);
                return request.single(&reply).map(Step::Done);
            }
            Kind::Transaction => {
                let replies = transaction(engine, request)?;
                return render(request, &replies).map(Step::Done);
            }
            Kind::Pipeline => {}
        }
        let first = self.list.written();
        while self.list.written() < request.commands.len() {
            let done = self.list.written() - first;
            if done >= TURN_COMMANDS || done > 0 && started.elapsed() > TURN {
                self.left = self.left.saturating_sub(started.elapsed());
                return Ok(Step::More(Box::new(self)));
            }
            run_some(engine, request, &mut self.list);
        }
        Ok(Step::Done(self.list.into()))
    }
}

/// Runs the short commands that come next, or else one command.
fn run_some(engine: &Engine, request: &Request, list: &mut List) {
    const CHUNK: usize = 64;
    let next = list.written();
    let end = request.commands.len().min(next + CHUNK);
    let short = |index: &usize| {
        let args = request.commands.get(*index);
        args.is_ok_and(|args| gate::is_short(&args))
    };
    // Replies of one run are there together, before they are written: those of long commands
    // may be large.
    let end = (next..end).find(|index| !short(index)).unwrap_or(end);
    let mut run = Run::new(request, next, end.max(next + 1));
    engine.batch(&request.caller, &mut run, |reply| list.reply(&reply));
    if let Some(line) = run.refused.take() {
        list.error(&line);
    }
}

/// Consecutive commands that may run; ends at one that may not.
struct Run<'r> {
    request: &'r Request,
    next: usize,
    end: usize,
    refused: Option<String>,
}

impl<'r> Run<'r> {
    fn new(request: &'r Request, next: usize, end: usize) -> Self {
        Self {
            request,
            next,
            end,
            refused: None,
        }
    }
}

impl<'r> Iterator for Run<'r> {
    type Item = Args<'r>;

    fn next(&mut self) -> Option<Args<'r>> {
        if self.next >= self.end || self.refused.is_some() {
            return None;
        }
        let args = self.request.commands.get(self.next);
        self.next += 1;
        let refused = match args {
            Ok(args) => match gate::refusal(&args) {
                None => return Some(args),
                Some(line) => line,
            },
            Err(error) => error.line(true).to_owned(),
        };
        self.refused = Some(refused);
        None
    }
}
