//! Errors that native functions raise into Lua, and how they become text.

use std::fmt;

use mlua::{Lua, Value};

/// The name of the sandbox's own chunk: its lines are nobody's fault.
pub(super) const SANDBOX: &str = "=restis";

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
    let text = clip(text.into());
    mlua::Error::external(Raised { text, kind })
}

/// The longest text of an error.
pub(super) const MAX_TEXT: usize = 64 << 10;

/// The text, cut off after [`MAX_TEXT`] bytes.
fn clip(text: String) -> String {
    match text.as_bytes().get(..MAX_TEXT) {
        Some(head) => String::from_utf8_lossy(head).into_owned(),
        None => text,
    }
}

/// An error table without a position, as `redis.call` raises it.
pub(super) fn raise(text: impl Into<String>) -> mlua::Error {
    external(text, Kind::Table)
}

/// An error that ends the script whatever it catches.
pub(super) fn raise_fatal(text: impl Into<String>) -> mlua::Error {
    external(text, Kind::Fatal)
}

/// The error of a function that needs more memory than the script may have.
pub(super) fn out_of_memory() -> mlua::Error {
    raise_text("not enough memory")
}

/// A text without a position, as the interpreter raises it from within a C function.
pub(super) fn raise_text(text: impl Into<String>) -> mlua::Error {
    external(text, Kind::Text)
}

/// A text that starts with the position of the caller, as `luaL_error` makes it.
pub(super) fn raise_at(lua: &Lua, text: impl fmt::Display) -> mlua::Error {
    external(format!("{}{text}", position(lua)), Kind::Text)
}

/// The text of `luaL_argerror`.
pub(super) fn bad_argument(
    lua: &Lua,
    index: usize,
    function: &str,
    problem: impl fmt::Display,
) -> mlua::Error {
    // A method's own object is not counted.
    let is_method = lua.inspect_stack(0, |debug| debug.names().name_what == Some("method"));
    let index = index - usize::from(is_method == Some(true) && index > 1);
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

/// `source:line: ` of the Lua function that called, the sandbox's own passed over.
fn position(lua: &Lua) -> String {
    for level in 1..4 {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            if source.source.as_deref() == Some(SANDBOX) {
                return None;
            }
            let line = debug.current_line();
            let place = line.zip(source.short_src);
            Some(place.map(|(line, source)| format!("{source}:{line}: ")))
        });
        if let Some(Some(place)) = found {
            return place.unwrap_or_default();
        }
    }
    String::new()
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
