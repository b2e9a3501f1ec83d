//! Arguments of native functions, converted as the interpreter's own library does.

use mlua::{Lua, LuaString, MultiValue, Result, Value};

use super::error::bad_type;

/// A string, or a number as its text.
pub(super) fn string(
    lua: &Lua,
    args: &MultiValue,
    index: usize,
    function: &str,
) -> Result<LuaString> {
    let value = args.get(index - 1);
    let text = match value {
        Some(Value::String(text)) => Some(text.clone()),
        Some(value @ (Value::Integer(_) | Value::Number(_))) => lua.coerce_string(value.clone())?,
        _ => None,
    };
    text.ok_or_else(|| bad_type(lua, index, function, "string", value))
}

/// A number, or the number that a text is.
pub(super) fn number(lua: &Lua, args: &MultiValue, index: usize, function: &str) -> Result<f64> {
    let value = args.get(index - 1);
    let number = match value {
        Some(Value::Integer(n)) => Some(*n as f64),
        Some(Value::Number(n)) => Some(*n),
        Some(text @ Value::String(_)) => lua.coerce_number(text.clone())?,
        _ => None,
    };
    number.ok_or_else(|| bad_type(lua, index, function, "number", value))
}

/// A whole number; missing or nil: the default.
pub(super) fn integer_or(
    lua: &Lua,
    args: &MultiValue,
    index: usize,
    function: &str,
    default: i64,
) -> Result<i64> {
    match args.get(index - 1) {
        None | Some(Value::Nil) => Ok(default),
        Some(_) => Ok(number(lua, args, index, function)? as i64),
    }
}
