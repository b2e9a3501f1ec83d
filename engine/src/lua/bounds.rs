//! What a script may use: time, and memory of the interpreter and of native functions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use mlua::{HookTriggers, Lua, LuaString, Result, VmState};

use super::error::{out_of_memory, raise_fatal};
use crate::budget::Budget;
use crate::error::Error;

/// The most memory all scripts of a database may hold.
pub(super) const MEMORY_LIMIT: usize = 256 << 20;
/// The most that an interpreter may hold, with what libraries keep.
const MOST: usize = 2 * MEMORY_LIMIT;
/// What a script may take although the data has used up its own limit.
const LEAST_ROOM: usize = 16 << 20;
/// Instructions between two looks at the clock, while a script holds little.
const LOOK_EVERY: u32 = 50;
/// The same in a coroutine, which may rest while what the script holds grows.
const IN_COROUTINE: u32 = 5;
/// What a script may hold until the clock is looked at more often: one instruction may go through
/// all the text there is, as a comparison does.
const LIGHT: usize = 2 << 20;
/// Results of native functions that may change how often.
const LARGE: usize = 256 << 10;
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
    /// Bytes that it holds besides what the running script does.
    others: Arc<AtomicUsize>,
    /// The fewest instructions between two looks since the script began.
    every: Arc<AtomicU32>,
}

impl Bounds {
    /// Bounds that spend from this budget; kept in the interpreter.
    pub(super) fn install(lua: &Lua, budget: &Budget) -> Self {
        let bounds = Self {
            budget: budget.clone(),
            memory: Arc::new(AtomicUsize::new(MEMORY_LIMIT)),
            others: Arc::default(),
            every: Arc::new(AtomicU32::new(0)),
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

    /// Starts a script that may take `free` bytes of the database's limit, if there is one, and
    /// can reach `held` bytes from its start. What it may take is no less because of its data, but
    /// because of what libraries `kept`.
    pub(super) fn start(
        &self,
        lua: &Lua,
        free: Option<usize>,
        held: usize,
        kept: usize,
    ) -> Result<()> {
        let room = free.unwrap_or(MEMORY_LIMIT);
        let room = room.clamp(LEAST_ROOM.saturating_sub(kept), MEMORY_LIMIT);
        let used = lua.used_memory();
        let most = MEMORY_LIMIT.max(used + LEAST_ROOM).min(MOST);
        self.memory
            .store((used + room).min(most), Ordering::Relaxed);
        self.others
            .store(used.saturating_sub(held), Ordering::Relaxed);
        if self.every.load(Ordering::Relaxed) == LOOK_EVERY && held <= LIGHT {
            return Ok(());
        }
        self.every.store(LOOK_EVERY, Ordering::Relaxed);
        self.look_every(lua, self.instructions(lua, 0), LOOK_EVERY)
    }

    /// Instructions until the next look, if `more` bytes come.
    fn instructions(&self, lua: &Lua, more: usize) -> u32 {
        let used = lua.used_memory().saturating_add(more);
        let held = used.saturating_sub(self.others.load(Ordering::Relaxed));
        let every = LOOK_EVERY as usize * LIGHT / held.max(LIGHT);
        u32::try_from(every).unwrap_or(LOOK_EVERY).max(1)
    }

    /// Has the interpreter look at the clock so often, in the coroutine that runs; later after `most`
    /// instructions at most.
    fn look_every(&self, lua: &Lua, instructions: u32, most: u32) -> Result<()> {
        self.every.fetch_min(instructions, Ordering::Relaxed);
        let bounds = self.clone();
        let triggers = HookTriggers::new().every_nth_instruction(instructions);
        lua.set_global_hook(triggers, move |lua, _| {
            bounds.look()?;
            let next = bounds.instructions(lua, 0).min(most);
            if next != instructions {
                bounds.look_every(lua, next, most)?;
            }
            Ok(VmState::Continue)
        })
    }

    /// Looks at the clock more often from now on, if the script holds much.
    pub(super) fn pace(&self, lua: &Lua, more: usize) -> Result<()> {
        let instructions = self.instructions(lua, more);
        if instructions == LOOK_EVERY && self.every.load(Ordering::Relaxed) == LOOK_EVERY {
            return Ok(());
        }
        // Each coroutine counts for itself: this one may still count to more.
        self.look_every(lua, instructions, LOOK_EVERY)
    }

    /// Begins a coroutine: what the script holds may grow while it rests.
    pub(super) fn enter_coroutine(&self, lua: &Lua) -> Result<()> {
        let instructions = self.instructions(lua, 0).min(IN_COROUTINE);
        self.look_every(lua, instructions, IN_COROUTINE)
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
        if bytes > LARGE {
            self.pace(lua, bytes)?;
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

    /// All bytes as a string of the script.
    pub(super) fn finish(self, lua: &Lua) -> Result<LuaString> {
        if self.bytes.len() > LARGE {
            self.bounds.pace(lua, self.bytes.len())?;
        }
        lua.create_string(self.bytes)
    }
}
