//! Errors that native functions raise into Lua, and how they become text.

use std::fmt;

use mlua::{Lua, Value};

/// How a script sees an error that it catches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A table with the field `err`.
    Table,
    /// Not at all: no `pcall` of the script catches it.
    Fatal,
}

/// An error raised by a native function, with its final text.
#[derive(Debug, Clone)]
struct Raised {
    text: String,
    kind: Kind,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Raised {}

fn external(text: impl Into<String>, kind: Kind) -> mlua::Error {
    mlua::Error::external(Raised {
        text: text.into(),
        kind,
    })
}

/// An error table without a position, as `redis.call` raises it.
pub(super) fn raise(text: impl Into<String>) -> mlua::Error {
    external(text, Kind::Table)
}

/// An error that ends the script whatever it catches.
pub(super) fn raise_fatal(text: impl Into<String>) -> mlua::Error {
    external(text, Kind::Fatal)
}

/// A text without a position, as the interpreter raises it from within a C function.
pub(super) fn raise_text(text: impl Into<String>) -> mlua::Error {
    external(text, Kind::Text)
}

/// A text that starts with the position of the caller, as `luaL_error` makes it.
pub(super) fn raise_at(lua: &Lua, text: impl fmt::Display) -> mlua::Error {
    external(format!("{}{text}", position(lua, 1)), Kind::Text)
}

/// The text of `luaL_argerror`.
pub(super) fn bad_argument(
    lua: &Lua,
    index: usize,
    function: &str,
    problem: impl fmt::Display,
) -> mlua::Error {
    raise_at(
        lua,
        format_args!("bad argument #{index} to '{function}' ({problem})"),
    )
}

/// The text of `luaL_typerror`.
pub(super) fn bad_type(
    lua: &Lua,
    index: usize,
    function: &str,
    wanted: &str,
    got: Option<&Value>,
) -> mlua::Error {
    let got = got.map_or("no value", type_name);
    bad_argument(
        lua,
        index,
        function,
        format_args!("{wanted} expected, got {got}"),
    )
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
        Some(format!("{}:{line}: ", debug.source().short_src?))
    })
    .flatten()
    .unwrap_or_default()
}

/// The text of an error, and how a script may see it.
pub(super) fn explain(error: &mlua::Error) -> (String, Kind) {
    match error {
        mlua::Error::CallbackError { cause, .. }
        | mlua::Error::BadArgument { cause, .. }
        | mlua::Error::WithContext { cause, .. } => explain(cause),
        mlua::Error::MemoryError(_) => ("not enough memory".to_owned(), Kind::Text),
        mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => {
            (text.clone(), Kind::Text)
        }
        other => match other.downcast_ref::<Raised>() {
            Some(raised) => (raised.text.clone(), raised.kind),
            None => (other.to_string(), Kind::Text),
        },
    }
}
