//! Source text to functions, within a script's bounds.

use std::sync::atomic::{AtomicUsize, Ordering};

use mlua::{Function, Lua, LuaString, MultiValue, Result, Table, Value};

use super::args;
use super::bounds::Bounds;
use super::error::{Kind, explain, out_of_memory};

/// The longest source; the interpreter counts in 32 bits.
const MAX_SOURCE: usize = 64 << 20;
/// What the compiler reads between two looks at the clock: its time can grow with the square.
const PIECE: usize = 1 << 10;
/// The first byte of compiled code.
const BYTECODE: u8 = 0x1b;

/// Compiles text with the interpreter's own `load`, kept from before the sandbox.
#[derive(Clone, Debug)]
pub(super) struct Compiler {
    load: Function,
}

impl Compiler {
    pub(super) fn new(lua: &Lua) -> Result<Self> {
        let load = lua.globals().raw_get("load")?;
        Ok(Self { load })
    }

    /// A function of this environment, or the text of what is wrong with the source.
    ///
    /// Never bytecode, which can crash the interpreter. No garbage is collected meanwhile: the
    /// compiler of Lua 5.1 has used strings that were collected.
    pub(super) fn compile(
        &self,
        lua: &Lua,
        source: &[u8],
        name: &[u8],
        env: &Table,
    ) -> Result<std::result::Result<Function, String>> {
        if source.len() > MAX_SOURCE {
            return Err(out_of_memory());
        }
        Bounds::of(lua)?.check_room(lua, source.len())?;
        let reader = reader(lua, source)?;
        let name = lua.create_string(name)?;
        lua.gc_stop();
        let outcome: Result<(Value, Value)> = self.load.call((reader, name));
        lua.gc_restart();
        match outcome? {
            (Value::Function(function), _) => {
                function.set_environment(env.clone())?;
                Ok(Ok(function))
            }
            (_, Value::Error(error)) => match explain(&error) {
                (_, Kind::Fatal) => Err(*error),
                (text, _) => Ok(Err(text)),
            },
            (_, Value::String(text)) => Ok(Err(text.to_string_lossy())),
            _ => Ok(Err("the source does not compile".to_owned())),
        }
    }
}

/// A function that gives the source piece by piece.
fn reader(lua: &Lua, source: &[u8]) -> Result<Function> {
    let mut text = Vec::with_capacity(source.len() + 1);
    if source.first() == Some(&BYTECODE) {
        // After a space it is text, and wrong as such.
        text.push(b' ');
    }
    text.extend_from_slice(source);
    let next = AtomicUsize::new(0);
    lua.create_function(move |lua, ()| {
        Bounds::of(lua)?.look()?;
        let start = next.fetch_add(PIECE, Ordering::Relaxed).min(text.len());
        lua.create_string(&text[start..(start + PIECE).min(text.len())])
    })
}

/// A `loadstring` that makes functions of one environment.
pub(super) fn loadstring(lua: &Lua, compiler: &Compiler, env: Table) -> Result<Function> {
    let compiler = compiler.clone();
    lua.create_function(move |lua, values: MultiValue| {
        let source = args::string(lua, &values, 1, "loadstring")?;
        let name = name(lua, &values, "loadstring")?;
        let source = source.as_bytes();
        let name = name.as_ref().map(LuaString::as_bytes);
        let name = name.as_deref().unwrap_or(&source);
        match compiler.compile(lua, &source, name, &env)? {
            Ok(function) => Ok((Value::Function(function), Value::Nil)),
            Err(text) => Ok((Value::Nil, Value::String(lua.create_string(text)?))),
        }
    })
}

fn name(lua: &Lua, values: &MultiValue, function: &str) -> Result<Option<LuaString>> {
    match values.get(1) {
        None | Some(Value::Nil) => Ok(None),
        Some(_) => args::string(lua, values, 2, function).map(Some),
    }
}
