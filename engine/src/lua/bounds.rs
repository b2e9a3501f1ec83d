//! What a script may use: time, and memory of the interpreter and of native functions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlua::{Lua, Result};

use super::error::{out_of_memory, raise_fatal};
use crate::budget::Budget;
use crate::error::Error;

/// The most memory all scripts of a database may hold.
pub(super) const MEMORY_LIMIT: usize = 256 << 20;
/// What a script may take although the data has used up its own limit.
const LEAST_ROOM: usize = 16 << 20;
/// Steps that a call of a native function counts, its arguments apart.
const CALL: usize = 500;
/// Steps that a piece of a native function's result counts.
const PIECE: usize = 5;

/// The bounds of the script that runs; a cheap clone, known to the interpreter.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    budget: Budget,
    /// Bytes that the interpreter may hold.
    memory: Arc<AtomicUsize>,
}

impl Bounds {
    /// Bounds that spend from this budget; kept in the interpreter.
    pub(super) fn install(lua: &Lua, budget: &Budget) -> Self {
        let bounds = Self {
            budget: budget.clone(),
            memory: Arc::new(AtomicUsize::new(MEMORY_LIMIT)),
        };
        lua.set_app_data(bounds.clone());
        bounds
    }

    /// The bounds of this interpreter.
    pub(super) fn of(lua: &Lua) -> Result<Self> {
        let bounds = lua.app_data_ref::<Self>();
        bounds
            .map(|bounds| bounds.clone())
            .ok_or_else(out_of_memory)
    }

    /// Starts a script that may take `free` bytes of the database's limit, if there is one.
    pub(super) fn start(&self, lua: &Lua, free: Option<usize>) {
        let room = free.unwrap_or(MEMORY_LIMIT);
        let room = room.clamp(LEAST_ROOM, MEMORY_LIMIT);
        let used = lua.used_memory();
        let most = MEMORY_LIMIT.max(used + LEAST_ROOM);
        self.memory
            .store((used + room).min(most), Ordering::Relaxed);
    }

    /// Looks at the clock; fails, whatever the script catches, if its time is over.
    pub(super) fn look(&self) -> Result<()> {
        self.budget.look().map_err(|stopped| fatal(&stopped))
    }

    /// Counts a call; fails as [`Bounds::look`] does.
    pub(super) fn call(&self) -> Result<()> {
        self.spend(CALL)
    }

    /// Counts steps; fails as [`Bounds::look`] does.
    pub(super) fn spend(&self, steps: usize) -> Result<()> {
        self.budget.spend(steps).map_err(|stopped| fatal(&stopped))
    }

    /// Counts a step of a loop; fails as [`Bounds::look`] does.
    pub(super) fn step(&self) -> Result<()> {
        self.spend(PIECE)
    }

    /// The budget itself.
    pub(super) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The error of a script whose time is over; no script catches it.
    pub(super) fn overtime(&self) -> mlua::Error {
        self.look().err().unwrap_or_else(out_of_memory)
    }

    /// Makes the interpreter keep the limit of memory.
    ///
    /// Only while Lua's own code runs: the interpreter's interface is much slower under a limit.
    pub(super) fn limit_memory(&self, lua: &Lua) -> Result<()> {
        lua.set_memory_limit(self.memory.load(Ordering::Relaxed))
            .map(drop)
    }

    /// Bytes that the interpreter may still take.
    pub(super) fn room(&self, lua: &Lua) -> usize {
        let limit = self.memory.load(Ordering::Relaxed);
        limit.saturating_sub(lua.used_memory())
    }

    /// Fails if so many bytes do not fit.
    pub(super) fn check_room(&self, lua: &Lua, bytes: usize) -> Result<()> {
        if bytes > self.room(lua) {
            return Err(out_of_memory());
        }
        Ok(())
    }
}

fn fatal(stopped: &Error) -> mlua::Error {
    raise_fatal(stopped.message())
}

/// Bytes that a native function collects: they count before they are allocated.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Vec<u8>,
    most: usize,
    bounds: Bounds,
}

impl Output {
    /// An empty output, at most what the script may still take.
    pub(super) fn new(lua: &Lua) -> Result<Self> {
        let bounds = Bounds::of(lua)?;
        Ok(Self {
            bytes: Vec::new(),
            // A vector may be twice as large as its content, which becomes a string of Lua, too.
            most: bounds.room(lua) / 3,
            bounds,
        })
    }

    /// Appends bytes.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<()> {
        self.bounds.spend(PIECE + bytes.len() / 64)?;
        if bytes.len() > self.most - self.bytes.len() {
            return Err(out_of_memory());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends a byte.
    pub(super) fn push(&mut self, byte: u8) -> Result<()> {
        self.extend(&[byte])
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}
