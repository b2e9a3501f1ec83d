//! The `cjson` library with lua-cjson's rules and error texts.

mod decode;
mod encode;

use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Function, Lua, MultiValue, Result, Table, Value};

use super::error::{bad_argument, bad_type};

/// What to do with numbers that JSON has no form for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Invalid {
    Refuse,
    Allow,
    Null,
}

/// What a script may change; the next script starts from the defaults again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    sparse_convert: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_depth: i64,
    decode_depth: i64,
    precision: i64,
    encode_invalid: Invalid,
    decode_invalid: bool,
    keep_buffer: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            precision: 14,
            encode_invalid: Invalid::Refuse,
            decode_invalid: true,
            keep_buffer: true,
        }
    }
}

/// The settings of one interpreter.
pub(super) type Shared = Arc<Mutex<Settings>>;

/// Reads the settings.
fn current(shared: &Shared) -> Settings {
    *shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets what the last script changed.
pub(super) fn reset(shared: &Shared) {
    *shared.lock().unwrap_or_else(PoisonError::into_inner) = Settings::default();
}

/// Builds the library's table.
pub(super) fn library(lua: &Lua, settings: &Shared) -> Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    table.raw_set("null", Value::NULL)?;

    let shared = Arc::clone(settings);
    let next: Function = lua.globals().get("next")?;
    table.raw_set(
        "encode",
        lua.create_function(move |lua, args: MultiValue| {
            let value = single(lua, &args, "encode")?;
            encode::encode(lua, &current(&shared), &next, value)
        })?,
    )?;
    let shared = Arc::clone(settings);
    table.raw_set(
        "decode",
        lua.create_function(move |lua, args: MultiValue| {
            let value = single(lua, &args, "decode")?;
            match value {
                Value::String(text) => decode::decode(lua, &current(&shared), &text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    let text = lua.coerce_string(value.clone())?;
                    let text =
                        text.ok_or_else(|| bad_type(lua, 1, "decode", "string", Some(value)))?;
                    decode::decode(lua, &current(&shared), &text.as_bytes())
                }
                other => Err(bad_type(lua, 1, "decode", "string", Some(other))),
            }
        })?,
    )?;
    let shared = Arc::clone(settings);
    table.raw_set(
        "new",
        lua.create_function(move |lua, _: MultiValue| library(lua, &shared))?,
    )?;
    configuration(lua, &table, settings)?;
    Ok(table)
}

fn single<'a>(lua: &Lua, args: &'a MultiValue, function: &str) -> Result<&'a Value> {
    match args.front() {
        Some(value) if args.len() == 1 => Ok(value),
        _ => Err(bad_argument(lua, 1, function, "expected 1 argument")),
    }
}

fn configuration(lua: &Lua, table: &Table, settings: &Shared) -> Result<()> {
    integer(
        lua,
        table,
        settings,
        "encode_max_depth",
        i64::from(i32::MAX),
        |s| &mut s.encode_depth,
    )?;
    integer(
        lua,
        table,
        settings,
        "decode_max_depth",
        i64::from(i32::MAX),
        |s| &mut s.decode_depth,
    )?;
    integer(lua, table, settings, "encode_number_precision", 14, |s| {
        &mut s.precision
    })?;

    let shared = Arc::clone(settings);
    let keep_buffer = lua.create_function(move |lua, args: MultiValue| {
        let mut settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(on) = switch(lua, &args, "encode_keep_buffer")? {
            settings.keep_buffer = on == Invalid::Allow;
        }
        Ok(settings.keep_buffer)
    })?;
    table.raw_set("encode_keep_buffer", keep_buffer)?;

    let shared = Arc::clone(settings);
    let encode_invalid = lua.create_function(move |lua, args: MultiValue| {
        let mut settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(choice) = switch(lua, &args, "encode_invalid_numbers")? {
            settings.encode_invalid = choice;
        }
        Ok(match settings.encode_invalid {
            Invalid::Refuse => Value::Boolean(false),
            Invalid::Allow => Value::Boolean(true),
            Invalid::Null => Value::String(lua.create_string("null")?),
        })
    })?;
    table.raw_set("encode_invalid_numbers", encode_invalid)?;

    let shared = Arc::clone(settings);
    let decode_invalid = lua.create_function(move |lua, args: MultiValue| {
        let mut settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(choice) = switch(lua, &args, "decode_invalid_numbers")? {
            settings.decode_invalid = choice == Invalid::Allow;
        }
        Ok(settings.decode_invalid)
    })?;
    table.raw_set("decode_invalid_numbers", decode_invalid)?;

    let shared = Arc::clone(settings);
    let sparse = lua.create_function(move |lua, args: MultiValue| {
        let mut settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(choice) = switch(lua, &args, "encode_sparse_array")? {
            settings.sparse_convert = choice == Invalid::Allow;
        }
        if let Some(ratio) = bounded(lua, &args, 2, "encode_sparse_array", 0, i64::from(i32::MAX))?
        {
            settings.sparse_ratio = ratio;
        }
        if let Some(safe) = bounded(lua, &args, 3, "encode_sparse_array", 0, i64::from(i32::MAX))? {
            settings.sparse_safe = safe;
        }
        Ok((
            settings.sparse_convert,
            settings.sparse_ratio,
            settings.sparse_safe,
        ))
    })?;
    table.raw_set("encode_sparse_array", sparse)
}

/// A function that reads, and with an argument changes, one number of the settings.
fn integer(
    lua: &Lua,
    table: &Table,
    settings: &Shared,
    name: &'static str,
    max: i64,
    field: fn(&mut Settings) -> &mut i64,
) -> Result<()> {
    let shared = Arc::clone(settings);
    let function = lua.create_function(move |lua, args: MultiValue| {
        let mut settings = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = bounded(lua, &args, 1, name, 1, max)? {
            *field(&mut settings) = value;
        }
        Ok(*field(&mut settings))
    })?;
    table.raw_set(name, function)
}

fn bounded(
    lua: &Lua,
    args: &MultiValue,
    index: usize,
    name: &str,
    min: i64,
    max: i64,
) -> Result<Option<i64>> {
    let value = match args.get(index - 1) {
        None | Some(Value::Nil) => return Ok(None),
        Some(Value::Integer(n)) => *n,
        Some(Value::Number(n)) => *n as i64,
        other => return Err(bad_type(lua, index, name, "number", other)),
    };
    if (min..=max).contains(&value) {
        Ok(Some(value))
    } else {
        Err(bad_argument(
            lua,
            index,
            name,
            format_args!("expected integer between {min} and {max}"),
        ))
    }
}

/// `true`, `false`, or the words "on", "off" and (for numbers) "null".
fn switch(lua: &Lua, args: &MultiValue, name: &str) -> Result<Option<Invalid>> {
    Ok(Some(match args.front() {
        None | Some(Value::Nil) => return Ok(None),
        Some(Value::Boolean(on)) => {
            if *on {
                Invalid::Allow
            } else {
                Invalid::Refuse
            }
        }
        Some(Value::String(word)) => match &*word.as_bytes() {
            b"on" => Invalid::Allow,
            b"off" => Invalid::Refuse,
            b"null" => Invalid::Null,
            other => {
                let word = String::from_utf8_lossy(other).into_owned();
                return Err(bad_argument(
                    lua,
                    1,
                    name,
                    format_args!("invalid option '{word}'"),
                ));
            }
        },
        other => return Err(bad_type(lua, 1, name, "string", other)),
    }))
}
