//! The engine: one database behind one lock.

mod connection;
mod persistence;
mod running_script;
mod subscription;

pub use connection::{Called, Watched, may_wait};
pub use persistence::Snapshot;
pub use subscription::Subscription;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use smallvec::SmallVec;

use crate::acl::{Caller, DatabaseId, Token, TokenIndex};
use crate::budget::Budget;
use crate::command::Flags;
use crate::commands;
use crate::ctx::{self, Ctx, Side, Spec};
use crate::db::Db;
use crate::error::Error;
use crate::hub::Hub;
use crate::limits::CallLimits;
use crate::options::{Clock, Dialect, Options};
use crate::reply::Reply;

/// How many commands of a batch run before others get their turn.
const CHUNK: usize = 64;

type ArgList<'a> = SmallVec<[&'a [u8]; 8]>;

#[derive(Debug)]
struct State {
    db: Db,
    side: Side,
}

struct Shared {
    state: Mutex<State>,
    /// Callers that wait for the lock.
    waiting: AtomicUsize,
    hub: Arc<Hub>,
    tokens: Arc<TokenIndex>,
    budget: Budget,
    clock: Clock,
    id: DatabaseId,
}

/// An in-memory Redis database; a cheap clone that may be shared between threads.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    limits: CallLimits,
    dialect: Dialect,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

fn list<A: AsRef<[u8]>>(args: &[A]) -> ArgList<'_> {
    args.iter().map(AsRef::as_ref).collect()
}

/// Which arguments of a command are keys, by position; `None` for a command that is not known.
pub fn key_positions(args: &[&[u8]]) -> Option<Vec<usize>> {
    let spec = args.first().and_then(|name| commands::table().find(name))?;
    let mut positions = Vec::new();
    spec.command.keys.each(args, |at| positions.push(at));
    Some(positions)
}

/// Whether a command may change a database.
pub fn may_write<A: AsRef<[u8]>>(args: &[A]) -> bool {
    let spec = args
        .first()
        .and_then(|name| commands::table().find(name.as_ref()));
    spec.is_some_and(|spec| {
        !spec.command.flags.has(Flags::READ) && !spec.command.flags.has(Flags::ALWAYS)
    })
}

impl State {
    fn ctx<'a>(&'a mut self, caller: &'a Caller) -> Ctx<'a> {
        Ctx {
            db: &mut self.db,
            side: &mut self.side,
            caller,
            script: None,
        }
    }
}

impl Engine {
    /// An empty database.
    pub fn new(options: Options) -> Self {
        let hub = Arc::new(Hub::default());
        let id = DatabaseId::of_name(&options.name);
        let state = State {
            db: Db::new(Arc::clone(&hub)),
            side: Side::new(options, Arc::clone(&hub), commands::table()),
        };
        Self {
            shared: Arc::new(Shared {
                waiting: AtomicUsize::new(0),
                hub,
                tokens: state.side.acl.tokens(),
                budget: state.side.budget.clone(),
                clock: state.side.options.clock.clone(),
                id,
                state: Mutex::new(state),
            }),
            limits: CallLimits::default(),
            dialect: Dialect::default(),
        }
    }

    /// A handle to the same database, each of whose calls, batches and transactions obeys `limits`.
    ///
    /// A command that is stopped on the way has changed nothing, unless its reply says otherwise; a
    /// script may have changed something before.
    #[must_use]
    pub fn with_limits(&self, limits: CallLimits) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            limits,
            dialect: self.dialect,
        }
    }

    /// A handle to the same database whose calls follow `dialect`.
    #[must_use]
    pub fn with_dialect(&self, dialect: Dialect) -> Self {
        Self {
            dialect,
            ..self.clone()
        }
    }

    /// Begins a call.
    fn open(&self, side: &mut Side, limits: &CallLimits) {
        side.dialect = self.dialect;
        side.refusal = side.log.as_ref().and_then(|log| log.refusal());
        side.budget.open(limits);
    }

    /// Takes the lock and sets the time.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = match self.shared.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => self.recover(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                self.shared.waiting.fetch_add(1, Ordering::Relaxed);
                let state = self.shared.state.lock();
                self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                state.unwrap_or_else(|poisoned| self.recover(poisoned.into_inner()))
            }
        };
        let now = state.side.options.clock.now().as_millis();
        state.db.set_now(u64::try_from(now).unwrap_or(u64::MAX));
        state
    }

    /// After a panic: the database goes on if everything about it still holds.
    fn recover<'s>(&self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let check = AssertUnwindSafe(|| {
            state.db.settle();
            state.db.check();
        });
        let sound = panic::catch_unwind(check).is_ok();
        // The interpreter was left in the middle of something.
        let sound = sound && state.side.renew_interpreter().is_ok();
        if !sound {
            state.side.damaged.get_or_insert(ctx::DAMAGED);
        }
        // What the panic left is what there is now; it happened at the time before.
        state.publish();
        self.shared.state.clear_poison();
        state
    }

    /// Refuses every command from now on with this error line, and is not saved; ends with
    /// [`Engine::load`].
    ///
    /// For a database whose data could not be loaded: what is written now would be lost.
    pub fn mark_damaged(&self, reason: &'static str) {
        self.lock().side.damaged = Some(Error::fixed(reason));
    }

    /// Whether every command is refused, since a panic has damaged the database or it was marked.
    ///
    /// After a panic this checks all of it, which takes a while.
    pub fn is_damaged(&self) -> bool {
        self.lock().side.damaged.is_some()
    }

    /// Panics in the middle of a command, to test what a panic leaves.
    #[doc(hidden)]
    pub fn panic_in_command(&self) {
        self.with(|_| -> () { panic!("injected fault") });
    }

    /// Whether each change is compared with patterns or shown to many monitors, which may take long.
    pub fn is_followed(&self) -> bool {
        self.shared.hub.is_followed()
    }

    /// Works on the database; large values that went are freed after the lock is.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = work(&mut state);
        state.publish();
        let dead = state.db.take_dead();
        drop(state);
        dead.free();
        result
    }

    /// Lets callers that wait have the lock: it goes to whoever asks first, which would be us.
    fn give_way(&self) {
        const MOST: usize = 64;
        for _ in 0..MOST {
            if self.shared.waiting.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Runs one command as the default user.
    pub fn call<A: AsRef<[u8]>>(&self, args: &[A]) -> Reply {
        self.call_as(&Caller::default(), args)
    }

    /// What the tokens of this database's users carry.
    pub fn id(&self) -> DatabaseId {
        self.shared.id
    }

    /// Whose token this is, if ACL made it for a user of this database that is on.
    ///
    /// Never waits for the database. Digests are compared in constant time.
    pub fn caller_of_token(&self, token: &str) -> Option<Caller> {
        let token = Token::parse(token)?;
        let user = self.shared.tokens.user(&token)?;
        Some(Caller::named(user))
    }

    /// Whether the database has a user of this name.
    pub fn has_user(&self, name: &str) -> bool {
        name == Caller::default().name() || self.lock().side.acl.user(name).is_some()
    }

    /// Whether a command may be part of a transaction: known, well-formed and allowed.
    ///
    /// # Errors
    /// The error that running it would be.
    pub fn check_command<A: AsRef<[u8]>>(&self, caller: &Caller, args: &[A]) -> Result<(), Error> {
        let args = list(args);
        self.with(|state| {
            self.open(&mut state.side, &self.limits);
            ctx::admit(&state.side, caller, None, &args).map(drop)
        })
    }

    /// Runs one command on behalf of a caller.
    pub fn call_as<A: AsRef<[u8]>>(&self, caller: &Caller, args: &[A]) -> Reply {
        let args = list(args);
        self.with(|state| {
            self.open(&mut state.side, &self.limits);
            let reply = state.ctx(caller).call(&args);
            state.serve_blocked();
            reply
        })
    }

    /// Runs commands in order and hands each reply to `sink`.
    ///
    /// Not atomic: other callers get their turn between chunks of commands. An empty command is an
    /// error in its place.
    pub fn batch<I, C, A>(&self, caller: &Caller, commands: I, mut sink: impl FnMut(Reply))
    where
        I: IntoIterator<Item = C>,
        C: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        let mut commands = commands.into_iter().fuse();
        let mut replies = Vec::with_capacity(CHUNK);
        let mut limits = self.limits.clone();
        let mut done = false;
        while !done {
            self.with(|state| {
                self.open(&mut state.side, &limits);
                while replies.len() < CHUNK && !state.side.budget.was_long() {
                    if state.db.blocked.has_ready() {
                        limits.reply_bytes = state.side.budget.reply_left();
                        state.serve_blocked();
                        self.open(&mut state.side, &limits);
                    }
                    let Some(command) = commands.next() else {
                        done = true;
                        break;
                    };
                    let args = list(command.as_ref());
                    replies.push(if args.is_empty() {
                        Reply::Error(Error::fixed("ERR empty pipeline command"))
                    } else {
                        state.ctx(caller).call(&args)
                    });
                }
                limits.reply_bytes = state.side.budget.reply_left();
                state.serve_blocked();
            });
            replies.drain(..).for_each(&mut sink);
            if !done {
                self.give_way();
            }
        }
    }

    /// Runs commands as one atomic step.
    ///
    /// A command that is unknown, malformed or not allowed discards the whole transaction before
    /// anything runs; an error at run time is that command's reply, and the others run.
    pub fn transaction<C, A>(&self, caller: &Caller, commands: &[C]) -> Result<Vec<Reply>, Error>
    where
        C: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.with(|state| self.run_transaction(state, caller, commands))
    }

    fn run_transaction<C, A>(
        &self,
        state: &mut State,
        caller: &Caller,
        commands: &[C],
    ) -> Result<Vec<Reply>, Error>
    where
        C: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.open(&mut state.side, &self.limits);
        let mut queue: Vec<(&'static Spec, ArgList<'_>)> = Vec::with_capacity(commands.len());
        for command in commands {
            let args = list(command.as_ref());
            let spec =
                ctx::admit(&state.side, caller, None, &args).map_err(|error| {
                    match &state.side.refusal {
                        Some(refusal) if *refusal == error => Error::new(format!(
                            "EXECABORT Transaction discarded because of: {}",
                            error.message()
                        )),
                        _ => Error::fixed(
                            "EXECABORT Transaction discarded because of previous errors.",
                        ),
                    }
                })?;
            queue.push((spec, args));
        }
        state.side.budget.begin_transaction();
        let mut ctx = state.ctx(caller);
        let replies = queue.iter().map(|(spec, args)| ctx.run(spec, args));
        let replies = replies.collect();
        state.serve_blocked();
        Ok(replies)
    }

    /// Removes keys that are due; call it about ten times a second.
    ///
    /// Works in short steps and lets other callers in between. One call looks at a sixty-fourth of
    /// the keys with an expiry, and goes on while many of them are due.
    pub fn expire_some(&self) {
        const LEAST: usize = 1024;
        const MOST_STEPS: usize = 4096;
        let state = self.lock();
        if !state.side.expires_actively {
            return;
        }
        let mut left = state.db.volatile_len().div_ceil(64).max(LEAST);
        drop(state);
        for _ in 0..MOST_STEPS {
            let step = self.with(|state| state.db.expire_some());
            if !step.many {
                left = left.saturating_sub(step.looked_at);
            }
            if left == 0 {
                return;
            }
            self.give_way();
        }
    }

    /// Roughly the bytes the data takes.
    pub fn used_memory(&self) -> usize {
        let state = self.lock();
        state.db.used() + state.side.weight()
    }

    /// How many changes the database has seen; tells whether a snapshot is due.
    pub fn changes(&self) -> u64 {
        self.lock().db.counters.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics(work: impl FnOnce()) {
        assert!(panic::catch_unwind(AssertUnwindSafe(work)).is_err());
    }

    #[test]
    fn a_panic_that_leaves_everything_true_changes_nothing() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "v"]);
        engine.call(&["EVAL", "return 1", "0"]);
        panics(|| engine.panic_in_command());
        assert!(!engine.is_damaged());
        assert_eq!(engine.call(&["GET", "k"]), Reply::bulk("v"));
        assert_eq!(engine.call(&["EVAL", "return 1", "0"]), Reply::Int(1));
    }

    #[test]
    fn a_marked_database_is_closed_and_not_saved() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "v"]);
        let mut saved = Vec::new();
        assert!(engine.save(&mut saved).is_ok());
        engine.mark_damaged("ERR not loaded");
        let refusal = Reply::Error(Error::new("ERR not loaded".to_owned()));
        assert_eq!(engine.call(&["FLUSHALL"]), refusal);
        assert!(engine.is_damaged());
        assert_eq!(engine.call(&["GET", "k"]), refusal);
        assert!(engine.save(&mut Vec::new()).is_err());
        assert!(engine.load(&mut saved.as_slice()).is_ok());
        assert_eq!(engine.call(&["GET", "k"]), Reply::bulk("v"));
    }

    #[test]
    fn a_library_that_cannot_be_run_again_closes_no_database() {
        let engine = Engine::default();
        let code = "#!lua name=lib\nredis.register_function('f', function() return 7 end)";
        assert_eq!(engine.call(&["FUNCTION", "LOAD", code]), Reply::bulk("lib"));
        engine.call(&["SET", "k", "v"]);
        panics(|| {
            engine.with(|state| {
                let broken = "#!lua name=lib\nerror('not now')";
                state.side.scripting.replace_code("lib", broken);
                panic!("injected fault");
            });
        });
        assert!(!engine.is_damaged());
        assert_eq!(engine.call(&["GET", "k"]), Reply::bulk("v"));
        assert!(engine.call(&["FCALL", "f", "0"]).is_error());
    }

    #[test]
    fn a_damaged_database_is_closed_and_not_saved() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "v"]);
        let mut saved = Vec::new();
        assert!(engine.save(&mut saved).is_ok());
        panics(|| {
            engine.with(|state| {
                state.db.forget_weight();
                panic!("injected fault");
            });
        });
        assert!(engine.is_damaged());
        let refusal = Reply::Error(ctx::DAMAGED);
        assert_eq!(engine.call(&["GET", "k"]), refusal);
        let row: &[&[u8]] = &[b"GET", b"k"];
        let replies = engine.transaction(&Caller::default(), &[row]);
        assert_eq!(replies, Ok(vec![refusal]));
        assert!(engine.save(&mut Vec::new()).is_err());
        assert!(engine.load(&mut saved.as_slice()).is_ok());
        assert_eq!(engine.call(&["GET", "k"]), Reply::bulk("v"));
    }
}
