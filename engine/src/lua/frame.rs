//! What native functions reach while a script runs.
//!
//! A native function lives as long as the interpreter and cannot borrow the context of the script
//! that calls it. So the database moves into the frame for as long as the script runs, and back.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::command::Args;
use crate::error::Error;
use crate::reply::Reply;

/// Keys that are tried from the last hit on, before a set of all is made.
const NEAR: usize = 4;

/// What the interpreter runs the commands of a script on.
pub(crate) trait Host: fmt::Debug + Send + 'static {
    /// Runs a command of the script.
    fn call(&mut self, args: Args<'_>, mode: &mut Mode) -> Reply;

    /// Whether the caller may run this command; an error if there is no such command.
    fn may(&mut self, args: Args<'_>) -> Result<bool, Error>;

    fn as_any(&mut self) -> &mut dyn Any;
}

/// Lends a database to a host while a script runs.
pub(crate) trait Lender {
    /// Exchanges the database with what the host holds.
    fn exchange(&mut self, host: &mut dyn Host);

    /// Roughly the bytes the database takes.
    fn used(&self) -> usize;

    /// Roughly the bytes of its scripts and libraries, compiled.
    fn code_weight(&self) -> usize;
}

/// How a script or function runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mode {
    /// Writes are refused.
    pub(crate) read_only: bool,
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

    pub(crate) fn has(&mut self, key: &[u8]) -> bool {
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
    host: Box<dyn Host>,
    mode: Mode,
    /// A script runs: the host holds the real database.
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
    pub(super) fn new(host: Box<dyn Host>) -> Self {
        Self {
            host,
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
        self.host.call(args, &mut self.mode)
    }

    /// Whether the caller may run this command; an error if there is no such command.
    pub(super) fn may(&mut self, args: Args<'_>) -> Result<bool, Error> {
        self.host.may(args)
    }
}

/// Lends a database to the frame until dropped.
pub(super) struct Loan<'f, 'c> {
    frame: &'f Shared,
    lender: &'c mut dyn Lender,
}

impl<'f, 'c> Loan<'f, 'c> {
    pub(super) fn new(frame: &'f Shared, lender: &'c mut dyn Lender, mode: Mode) -> Self {
        let mut inside = lock(frame);
        lender.exchange(&mut *inside.host);
        inside.mode = mode;
        inside.resp3 = false;
        inside.failure = None;
        inside.running = true;
        drop(inside);
        Self { frame, lender }
    }
}

impl Drop for Loan<'_, '_> {
    fn drop(&mut self) {
        let mut inside = lock(self.frame);
        inside.running = false;
        self.lender.exchange(&mut *inside.host);
    }
}
