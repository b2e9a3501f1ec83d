//! The interpreter of one database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlua::chunk::ChunkMode;
use mlua::state::{GcIncParams, GcMode};
use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};

use super::bounds::Bounds;
use super::compile::Compiler;
use super::error::{SANDBOX, explain};
use super::frame::{self, Failure, Frame, Host, Lender, Loan, Mode};
use super::{cjson, convert, native, random};
use crate::budget::Budget;
use crate::error::Error;
use crate::reply::Reply;

/// How much the heap grows between two collections, in percent of what is alive.
const GC_PAUSE: i32 = 250;
/// What a script may leave behind before the garbage is collected at once.
///
/// Lua does not collect when memory runs out, so the next script would fail for this one's garbage.
const LEFT_BEHIND: usize = 32 << 20;
/// What a library may keep before it is looked at how much that is.
const KEPT_UNSEEN: usize = 128 << 10;
/// The most keys and arguments, as `unpack` has to take them.
const MAX_FUNCTIONS: usize = 10_000;

/// A compiled script.
#[derive(Clone, Debug)]
pub(crate) struct Compiled(Function);

/// A function that a library registered.
#[derive(Clone, Debug)]
pub(crate) struct LoadedFunction {
    pub(crate) name: String,
    pub(crate) flags: Vec<&'static str>,
    pub(crate) description: Option<String>,
    callback: Function,
}

impl LoadedFunction {
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }
}

/// The interpreter of one database; a cheap clone.
#[derive(Clone, Debug)]
pub(crate) struct Vm(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lua: Lua,
    frame: frame::Shared,
    settings: cjson::Shared,
    script_env: Table,
    function_env: Table,
    run_script: Function,
    run_function: Function,
    forget_arguments: Function,
    compiler: Compiler,
    random: random::Shared,
    bounds: Bounds,
    /// The database's limit of memory.
    memory_limit: Option<usize>,
    /// Bytes in use before anything ran.
    empty: usize,
    /// Bytes in use after the last whole collection.
    alive: AtomicUsize,
    /// What of them is data of libraries.
    kept: AtomicUsize,
}

impl Vm {
    /// Builds an interpreter that runs commands on `host`, spends from `budget` and takes its
    /// memory from the database's limit.
    pub(crate) fn new(
        host: Box<dyn Host>,
        budget: &Budget,
        memory_limit: Option<usize>,
    ) -> Result<Self, Error> {
        Self::build(host, budget, memory_limit)
            .map_err(|error| Error::new(format!("ERR cannot start Lua: {}", explain(&error).0)))
    }

    fn build(
        host: Box<dyn Host>,
        budget: &Budget,
        memory_limit: Option<usize>,
    ) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        lua.gc_set_mode(GcMode::Incremental(GcIncParams::default().pause(GC_PAUSE)));
        let frame = frame::Shared::new(Frame::new(host).into());
        let settings = cjson::Shared::default();
        let bounds = Bounds::install(&lua, budget);
        let compiler = Compiler::new(&lua)?;
        let random = random::Shared::default();
        let native = native::table(&lua, &frame, &settings, &compiler, &random)?;
        let (script_env, function_env, run_script, run_function, forget_arguments) = lua
            .load(include_str!("sandbox.lua"))
            .set_name(SANDBOX)
            .set_mode(ChunkMode::Text)
            .call(native)?;
        lua.gc_collect()?;
        let empty = lua.used_memory();
        Ok(Self(Arc::new(Inner {
            lua,
            frame,
            settings,
            script_env,
            function_env,
            run_script,
            run_function,
            forget_arguments,
            compiler,
            random,
            bounds,
            memory_limit,
            empty,
            alive: AtomicUsize::new(empty),
            kept: AtomicUsize::new(0),
        })))
    }

    /// Bytes of data that libraries kept when garbage was last collected.
    pub(crate) fn kept(&self) -> usize {
        self.0.kept.load(Ordering::Relaxed)
    }

    /// Frees what no script holds any more. `code` is what scripts and libraries take as such.
    pub(crate) fn collect(&self, code: usize) {
        // The arguments of the last script.
        let _ = self.0.forget_arguments.call::<()>(());
        // A finalizer that fails is no reason to keep garbage.
        let _ = self.0.lua.gc_collect();
        let alive = self.0.lua.used_memory();
        self.0.alive.store(alive, Ordering::Relaxed);
        let kept = alive.saturating_sub(self.0.empty + code);
        self.0.kept.store(kept, Ordering::Relaxed);
    }

    /// Compiles a script's body.
    pub(crate) fn compile(&self, body: &[u8]) -> Result<Compiled, Error> {
        self.source(body, "@user_script", &self.0.script_env)
            .map(Compiled)
            .map_err(|text| {
                Error::new(format!("ERR Error compiling script (new function): {text}"))
            })
    }

    /// A function from source text, or what is wrong.
    fn source(&self, body: &[u8], name: &str, env: &Table) -> Result<Function, String> {
        let lua = &self.0.lua;
        let compile = || {
            self.0
                .bounds
                .start(lua, self.0.memory_limit, body.len(), 0)?;
            self.0.bounds.limit_memory(lua)?;
            let compiled = self.0.compiler.compile(lua, body, name.as_bytes(), env);
            lua.set_memory_limit(0)?;
            compiled
        };
        compile().unwrap_or_else(|error| Err(explain(&error).0))
    }

    /// Runs a compiled script on a context.
    pub(crate) fn run(
        &self,
        lender: &mut dyn Lender,
        script: &Compiled,
        mode: Mode,
        keys: &[&[u8]],
        argv: &[&[u8]],
        name: impl FnOnce() -> String,
    ) -> Reply {
        // A script can add nothing to what libraries keep.
        self.enter(
            lender,
            &self.0.run_script,
            &script.0,
            mode,
            (keys, argv),
            0,
            name,
        )
    }

    /// Runs a function of a library on a context.
    pub(crate) fn run_function(
        &self,
        lender: &mut dyn Lender,
        function: &LoadedFunction,
        mode: Mode,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> Reply {
        let name = || function.name.clone();
        self.enter(
            lender,
            &self.0.run_function,
            &function.callback,
            mode,
            (keys, args),
            self.kept(),
            name,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "one call for both kinds of runs")]
    fn enter(
        &self,
        lender: &mut dyn Lender,
        runner: &Function,
        function: &Function,
        mode: Mode,
        (keys, args): (&[&[u8]], &[&[u8]]),
        kept: usize,
        name: impl FnOnce() -> String,
    ) -> Reply {
        let limit = self.0.memory_limit;
        let free = limit.map(|limit| limit.saturating_sub(lender.used()));
        let reach = self.kept() + total(keys) + total(args);
        if let Err(error) = self.0.bounds.start(&self.0.lua, free, reach, kept) {
            return Reply::Error(failure_line(&unexpected(&error), &name()));
        }
        let loan = Loan::new(&self.0.frame, lender, mode);
        let outcome = self.invoke(runner, function, keys, args);
        let (resp3, failure) = {
            let mut frame = frame::lock(&self.0.frame);
            (frame.resp3, frame.failure.take())
        };
        drop(loan);
        // References into the interpreter may have run out, which only a collection gives back.
        let ran_out = outcome.is_err();
        let outcome = match outcome {
            Ok((true, value)) => {
                convert::to_reply(&value, resp3, &self.0.bounds).map_err(|error| unexpected(&error))
            }
            Ok((false, value)) => Err(failure.unwrap_or_else(|| Failure {
                text: match value {
                    Value::String(text) => format!("ERR {}", text.to_string_lossy()),
                    _ => "ERR the script failed".to_owned(),
                },
                place: None,
            })),
            Err(error) => Err(unexpected(&error)),
        };
        let most = self.0.alive.load(Ordering::Relaxed) + LEFT_BEHIND;
        if self.0.lua.used_memory() > most || ran_out {
            self.collect(lender.code_weight());
        }
        cjson::reset(&self.0.settings);
        self.0.random.reset();
        outcome.unwrap_or_else(|failure| Reply::Error(failure_line(&failure, &name())))
    }

    fn invoke(
        &self,
        runner: &Function,
        function: &Function,
        keys: &[&[u8]],
        args: &[&[u8]],
    ) -> mlua::Result<(bool, Value)> {
        let keys = self.list(keys)?;
        let args = self.list(args)?;
        self.0.bounds.limit_memory(&self.0.lua)?;
        let outcome = runner.call((function, keys, args));
        self.0.lua.set_memory_limit(0)?;
        outcome
    }

    fn list(&self, items: &[&[u8]]) -> mlua::Result<Table> {
        let texts = items.iter().map(|item| convert::text(item));
        self.0.lua.create_sequence_from(texts)
    }

    /// Runs the body of a library and returns the functions it registers. `code` is what scripts and
    /// libraries take as such, with this one.
    pub(crate) fn load_library(
        &self,
        body: &[u8],
        code: usize,
    ) -> Result<Vec<LoadedFunction>, Error> {
        let main = self
            .source(body, "@user_function", &self.0.function_env)
            .map_err(|text| Error::new(format!("ERR Error compiling function: {text}")))?;
        {
            let mut frame = frame::lock(&self.0.frame);
            frame.loading = Some(Vec::new());
            frame.failure = None;
        }
        let started = self
            .0
            .bounds
            .start(&self.0.lua, self.0.memory_limit, body.len(), 0);
        let outcome = started.and_then(|()| self.invoke(&self.0.run_function, &main, &[], &[]));
        let (registered, failure) = {
            let mut frame = frame::lock(&self.0.frame);
            (
                frame.loading.take().unwrap_or_default(),
                frame.failure.take(),
            )
        };
        cjson::reset(&self.0.settings);
        self.0.random.reset();
        match outcome {
            Ok((true, _)) => {}
            Ok((false, _)) => {
                let text = failure.map_or_else(
                    || "ERR the library failed".to_owned(),
                    |failure| failure.text,
                );
                return Err(Error::new(format!(
                    "ERR Error registering functions: {text}"
                )));
            }
            Err(error) => {
                let text = unexpected(&error).text;
                return Err(Error::new(format!(
                    "ERR Error registering functions: {text}"
                )));
            }
        }
        if registered.is_empty() {
            return Err(Error::fixed("ERR No functions registered"));
        }
        if registered.len() > MAX_FUNCTIONS {
            return Err(Error::fixed("ERR too many functions in one library"));
        }
        let most = self.0.alive.load(Ordering::Relaxed) + KEPT_UNSEEN;
        if self.0.lua.used_memory() > most {
            self.collect(code);
        }
        Ok(registered
            .into_iter()
            .map(|function| LoadedFunction {
                name: function.name,
                flags: function.flags,
                description: function.description,
                callback: function.callback,
            })
            .collect())
    }
}

fn total(items: &[&[u8]]) -> usize {
    items.iter().map(|item| item.len()).sum()
}

fn unexpected(error: &mlua::Error) -> Failure {
    Failure {
        text: format!("ERR {}", explain(error).0),
        place: None,
    }
}

/// An error line in Redis' form: text, script, place.
fn failure_line(failure: &Failure, name: &str) -> Error {
    let text = &failure.text;
    Error::new(match &failure.place {
        Some(place) => format!("{text} script: {name}, on {place}."),
        None => format!("{text} script: {name}"),
    })
}
