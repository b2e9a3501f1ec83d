//! What native functions reach while a script runs.
//!
//! A native function lives as long as the interpreter and cannot borrow the context of the script
//! that calls it. So the database moves into the frame for as long as the script runs, and back.

use std::collections::HashSet;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::acl::Caller;
use crate::command::{Args, Spec};
use crate::commands;
use crate::ctx::{Ctx, Script, Side, admit};
use crate::db::Db;
use crate::error::Error;
use crate::hub::Hub;
use crate::reply::Reply;

/// Keys that are tried from the last hit on, before a set of all is made.
const NEAR: usize = 4;

/// How a script or function runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mode {
    pub(crate) script: Script,
    /// The only keys that commands may name (`allow-key-locking`).
    pub(crate) declared: Option<Declared>,
}

/// The keys that a script declared.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// All of them, one after the other.
    text: Bytes,
    ends: SmallVec<[usize; 4]>,
    /// The last one that was asked for: scripts take their keys in order.
    last: usize,
    /// Made when one was asked for that does not follow.
    all: Option<HashSet<Bytes, foldhash::fast::RandomState>>,
}

impl Declared {
    pub(crate) fn new(keys: &[&[u8]]) -> Self {
        let mut end = 0;
        let ends = keys.iter().map(|key| {
            end += key.len();
            end
        });
        Self {
            ends: ends.collect(),
            text: Bytes::from(keys.concat()),
            last: 0,
            all: None,
        }
    }

    fn range(&self, at: usize) -> Range<usize> {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[at]
    }

    fn has(&mut self, key: &[u8]) -> bool {
        let number = self.ends.len();
        let mut near = (self.last..self.last + NEAR.min(number)).map(|at| at % number);
        if let Some(found) = near.find(|at| self.text[self.range(*at)] == *key) {
            self.last = found;
            return true;
        }
        if number <= NEAR {
            return false;
        }
        if self.all.is_none() {
            let each = (0..number).map(|at| self.text.slice(self.range(at)));
            self.all = Some(each.collect());
        }
        self.all.as_ref().is_some_and(|all| all.contains(key))
    }
}

/// A function that a library registers while it loads.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) name: String,
    pub(super) callback: mlua::Function,
    pub(super) flags: Vec<&'static str>,
    pub(super) description: Option<String>,
}

/// Where a script failed, and with which text.
#[derive(Debug, Default)]
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) place: Option<String>,
}

/// Shared by the native functions of one interpreter.
#[derive(Debug)]
pub(super) struct Frame {
    db: Db,
    side: Side,
    caller: Caller,
    mode: Mode,
    /// A script runs: `db` and `side` are the real ones.
    running: bool,
    /// A library loads: functions may be registered.
    pub(super) loading: Option<Vec<Registration>>,
    pub(super) resp3: bool,
    pub(super) failure: Option<Failure>,
}

/// A frame, shared.
pub(super) type Shared = Arc<Mutex<Frame>>;

/// Locks a frame; nothing leaves it half changed.
pub(super) fn lock(frame: &Shared) -> MutexGuard<'_, Frame> {
    frame.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Frame {
    pub(super) fn new(side: &Side) -> Self {
        Self {
            db: Db::new(Arc::new(Hub::default())),
            side: Side::new(side.options.clone(), Arc::clone(&side.hub)),
            caller: Caller::default(),
            mode: Mode::default(),
            running: false,
            loading: None,
            resp3: false,
            failure: None,
        }
    }

    /// Runs a command of the script.
    pub(super) fn call(&mut self, args: Args<'_>) -> Reply {
        if !self.running {
            return Reply::Error(Error::fixed(
                "ERR redis.call can only be used while a script runs",
            ));
        }
        let admitted = admit(&self.side, &self.caller, Some(self.mode.script), args);
        let spec = match admitted {
            Ok(spec) => spec,
            Err(error) => return Reply::Error(error),
        };
        if let Some(declared) = &mut self.mode.declared
            && let Some(error) = undeclared(declared, spec, args)
        {
            return Reply::Error(error);
        }
        self.ctx().run(spec, args)
    }

    /// Whether the caller may run this command; an error if there is no such command.
    pub(super) fn may(&mut self, args: Args<'_>) -> Result<bool, Error> {
        let spec = args
            .first()
            .and_then(|name| commands::find(name))
            .ok_or(Error::fixed(
                "ERR Invalid command passed to redis.acl_check_cmd()",
            ))?;
        let Side { acl, budget, .. } = &self.side;
        Ok(acl.check(budget, &self.caller, spec, args).is_ok())
    }

    fn ctx(&mut self) -> Ctx<'_> {
        Ctx {
            db: &mut self.db,
            side: &mut self.side,
            caller: &self.caller,
            script: Some(self.mode.script),
        }
    }

    fn exchange(&mut self, ctx: &mut Ctx<'_>) {
        mem::swap(&mut self.db, ctx.db);
        mem::swap(&mut self.side, ctx.side);
    }
}

/// The refusal of a command that names a key the script did not declare.
fn undeclared(declared: &mut Declared, spec: &Spec, args: Args<'_>) -> Option<Error> {
    let mut missing = None;
    spec.keys.each(args, |at| {
        if missing.is_none() && !declared.has(args[at]) {
            missing = Some(args[at]);
        }
    });
    missing.map(|key| {
        Error::new(format!(
            "ERR Dynamic keys are not allowed in Lua scripts when 'allow-key-locking' flag is set. Key was: {}",
            String::from_utf8_lossy(key)
        ))
    })
}

/// Lends the database of a context to the frame until dropped.
pub(super) struct Loan<'f, 'c, 'd> {
    frame: &'f Shared,
    ctx: &'c mut Ctx<'d>,
}

impl<'f, 'c, 'd> Loan<'f, 'c, 'd> {
    pub(super) fn new(frame: &'f Shared, ctx: &'c mut Ctx<'d>, mode: Mode) -> Self {
        let mut inside = lock(frame);
        inside.exchange(ctx);
        inside.caller.clone_from(ctx.caller);
        inside.mode = mode;
        inside.resp3 = false;
        inside.failure = None;
        inside.running = true;
        drop(inside);
        Self { frame, ctx }
    }
}

impl Drop for Loan<'_, '_, '_> {
    fn drop(&mut self) {
        let mut inside = lock(self.frame);
        inside.running = false;
        inside.exchange(self.ctx);
    }
}
