//! Errors that native functions raise into Lua, and how they become text.

use std::fmt;

use mlua::{Lua, Value};

/// An error raised by a native function, with its final text.
#[derive(Debug, Clone)]
pub(super) struct Raised {
    text: String,
    fatal: bool,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Raised {}

/// An error without a position, as `redis.call` raises it.
pub(super) fn raise(text: impl Into<String>) -> mlua::Error {
    mlua::Error::external(Raised { text: text.into(), fatal: false })
}

/// An error that no `pcall` of the script may catch.
pub(super) fn raise_fatal(text: impl Into<String>) -> mlua::Error {
    mlua::Error::external(Raised { text: text.into(), fatal: true })
}

/// An error that starts with the position of the caller, as `luaL_error` does.
pub(super) fn raise_at(lua: &Lua, text: impl fmt::Display) -> mlua::Error {
    raise(format!("{}{text}", position(lua, 1)))
}

/// The text of `luaL_argerror`.
pub(super) fn bad_argument(lua: &Lua, index: usize, function: &str, problem: impl fmt::Display) -> mlua::Error {
    raise_at(lua, format_args!("bad argument #{index} to '{function}' ({problem})"))
}

/// The text of `luaL_typerror`.
pub(super) fn bad_type(lua: &Lua, index: usize, function: &str, wanted: &str, got: Option<&Value>) -> mlua::Error {
    let got = got.map_or("no value", type_name);
    bad_argument(lua, index, function, format_args!("{wanted} expected, got {got}"))
}

/// Lua's own name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}

/// `source:line: ` of the Lua function at this level; empty for a C function.
fn position(lua: &Lua, level: usize) -> String {
    lua.inspect_stack(level, |debug| {
        let line = debug.current_line()?;
        let source = debug.source();
        Some(format!("{}:{line}: ", source.short_src?))
    })
    .flatten()
    .unwrap_or_default()
}

/// Text of an error, and whether the script must not survive it.
pub(super) fn explain(error: &mlua::Error) -> (String, bool) {
    match error {
        mlua::Error::CallbackError { cause, .. } => explain(cause),
        mlua::Error::BadArgument { cause, .. } => explain(cause),
        mlua::Error::WithContext { cause, .. } => explain(cause),
        mlua::Error::MemoryError(_) => ("not enough memory".to_owned(), false),
        mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => (text.clone(), false),
        other => match other.downcast_ref::<Raised>() {
            Some(raised) => (raised.text.clone(), raised.fatal),
            None => (other.to_string(), false),
        },
    }
}
