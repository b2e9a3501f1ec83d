//! The functions of `redis.*`, and what the sandbox is built with.

use std::sync::Arc;

use mlua::{Function, Lua, MultiValue, Result, Table, Value};
use smallvec::SmallVec;

use super::bounds::Bounds;
use super::compile::{self, Compiler};
use super::convert::{self, Argument};
use super::error::{self, Kind, SANDBOX, bad_argument, bad_type, explain, raise, raise_text};
use super::frame::{self, Failure, Registration, Shared};
use super::shape;
use super::{bit, cjson, cmsgpack, random, strings, structs};
use crate::error::Error;
use crate::reply::Reply;
use crate::shape::Shape;

/// The longest name of a source in the place of an error: the source itself, if it has no name.
const MAX_NAME: usize = 1 << 10;
const WRONG_ARGUMENTS: &str = "ERR wrong number or type of arguments";
const NO_ARGUMENTS: &str = "ERR Please specify at least one argument for this redis lib call";
const BAD_ARGUMENTS: &str = "ERR Lua redis lib command arguments must be strings or integers";

/// Everything native that the sandbox is built with.
pub(super) fn table(
    lua: &Lua,
    frame: &Shared,
    settings: &cjson::Shared,
    compiler: &Compiler,
    random: &random::Shared,
) -> Result<Table> {
    let native = lua.create_table()?;
    let bounds = Bounds::of(lua)?;
    native.raw_set("redis", redis(lua, frame, &bounds)?)?;
    native.raw_set("bit", bit::library(lua)?)?;
    native.raw_set("cjson", cjson::library(lua, settings)?)?;
    native.raw_set("cmsgpack", cmsgpack::library(lua)?)?;
    native.raw_set("struct", structs::library(lua)?)?;
    native.raw_set("explain", lua.create_function(visible)?)?;
    native.raw_set("describe", describe(lua, frame)?)?;
    let compiler = compiler.clone();
    let loader =
        lua.create_function(move |lua, env: Table| compile::loadstring(lua, &compiler, env))?;
    native.raw_set("loader", loader)?;
    native.raw_set("guard", lua.create_function(guard)?)?;
    native.raw_set(
        "tick",
        lua.create_function(|lua, ()| Bounds::of(lua)?.call())?,
    )?;
    native.raw_set(
        "pace",
        lua.create_function(|lua, ()| Bounds::of(lua)?.pace(lua, 0))?,
    )?;
    native.raw_set(
        "enter",
        lua.create_function(|lua, ()| Bounds::of(lua)?.enter_coroutine(lua))?,
    )?;
    native.raw_set(
        "look",
        lua.create_function(|lua, ()| Bounds::of(lua)?.look())?,
    )?;
    strings::install(lua, &native)?;
    random::install(lua, &lua.globals().get("math")?, random)?;
    Ok(native)
}

/// The value a script sees instead of a native error, and whether it must not go on.
/// `pairs` and `rawset`, which know the frozen tables: proxy to table behind.
fn guard(
    lua: &Lua,
    (frozen, next, next_of_frozen): (Table, Function, Function),
) -> Result<(Function, Function)> {
    let behind = frozen.clone();
    let pairs = lua.create_function(move |lua, args: MultiValue| {
        let Some(Value::Table(table)) = args.front() else {
            return Err(bad_type(lua, 1, "pairs", "table", args.front()));
        };
        let frozen = !behind.raw_get::<Value>(table)?.is_nil();
        let next = if frozen { &next_of_frozen } else { &next };
        Ok((next.clone(), table.clone(), Value::Nil))
    })?;
    let rawset = lua.create_function(move |lua, args: MultiValue| {
        let Some(Value::Table(table)) = args.front() else {
            return Err(bad_type(lua, 1, "rawset", "table", args.front()));
        };
        let (Some(key), Some(value)) = (args.get(1), args.get(2)) else {
            let index = args.len() + 1;
            return Err(bad_argument(lua, index, "rawset", "value expected"));
        };
        if !frozen.raw_get::<Value>(table)?.is_nil() {
            return Err(raise_text("Attempt to modify a readonly table"));
        }
        table.raw_set(key, value)?;
        Ok(table.clone())
    })?;
    Ok((pairs, rawset))
}

fn visible(lua: &Lua, value: Value) -> Result<(Value, bool)> {
    let Value::Error(error) = value else {
        return Ok((value, false));
    };
    let (text, kind) = explain(&error);
    Ok(match kind {
        Kind::Table => (convert::error_table(lua, &text)?, false),
        Kind::Text => (Value::String(lua.create_string(text)?), false),
        Kind::Fatal => (Value::Nil, true),
    })
}

/// The handler of errors that no script caught: notes text and place.
fn describe(lua: &Lua, frame: &Shared) -> Result<Function> {
    let frame = Arc::clone(frame);
    lua.create_function(move |lua, value: Value| {
        let text = match &value {
            Value::Error(error) => match explain(error) {
                (text, Kind::Text) => format!("ERR {text}"),
                (text, _) => text,
            },
            Value::Table(table) => match table.raw_get::<Value>("err")? {
                Value::String(text) => lossy(&text.as_bytes()),
                _ => "ERR unknown error".to_owned(),
            },
            other => match lua.coerce_string(other.clone())? {
                Some(text) => format!("ERR {}", lossy(&text.as_bytes())),
                None => format!("ERR {}", other.type_name()),
            },
        };
        frame::lock(&frame).failure = Some(Failure {
            text,
            place: place(lua),
        });
        Ok(())
    })
}

/// The text of an error that a script made, not longer than errors are.
fn lossy(text: &[u8]) -> String {
    let text = &text[..text.len().min(error::MAX_TEXT)];
    String::from_utf8_lossy(text).into_owned()
}

/// `source:line` of the innermost line of Lua that is not the sandbox's.
fn place(lua: &Lua) -> Option<String> {
    for level in 1..200 {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let name = source.source?;
            if source.what == "C" || name == SANDBOX {
                return None;
            }
            let line = debug.current_line()?;
            let name = &name.as_bytes()[..name.len().min(MAX_NAME)];
            Some(format!("{}:{line}", String::from_utf8_lossy(name)))
        })?;
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The table `redis`.
fn redis(lua: &Lua, frame: &Shared, bounds: &Bounds) -> Result<Table> {
    let redis = lua.create_table()?;
    redis.raw_set("call", command(lua, frame, bounds, false)?)?;
    redis.raw_set("pcall", command(lua, frame, bounds, true)?)?;
    for (name, value) in [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REPL_NONE", 0),
        ("REPL_AOF", 1),
        ("REPL_SLAVE", 2),
        ("REPL_REPLICA", 2),
        ("REPL_ALL", 3),
        ("REDIS_VERSION_NUM", 0x0008_0200),
    ] {
        redis.raw_set(name, value)?;
    }
    redis.raw_set("REDIS_VERSION", "8.2.0")?;
    redis.raw_set(
        "status_reply",
        lua.create_function(|lua, args: MultiValue| single(lua, &args, "ok"))?,
    )?;
    redis.raw_set(
        "error_reply",
        lua.create_function(|lua, args: MultiValue| single(lua, &args, "err"))?,
    )?;
    redis.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    redis.raw_set("log", lua.create_function(log)?)?;
    redis.raw_set(
        "replicate_commands",
        lua.create_function(|_, _: MultiValue| Ok(true))?,
    )?;
    redis.raw_set("set_repl", lua.create_function(set_repl)?)?;
    redis.raw_set(
        "breakpoint",
        lua.create_function(|_, _: MultiValue| Ok(false))?,
    )?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;

    let shared = Arc::clone(frame);
    let setresp = lua.create_function(move |_, args: MultiValue| {
        let Some(value) = args.front().filter(|_| args.len() == 1) else {
            return Err(raise("ERR redis.setresp() requires one argument."));
        };
        match number(value) {
            Some(2.0) => frame::lock(&shared).resp3 = false,
            Some(3.0) => frame::lock(&shared).resp3 = true,
            _ => return Err(raise("ERR RESP version must be 2 or 3.")),
        }
        Ok(())
    })?;
    redis.raw_set("setresp", setresp)?;

    let shared = Arc::clone(frame);
    let acl_check_cmd = lua.create_function(move |_, args: MultiValue| {
        let arguments = arguments(&args).map_err(raise)?;
        let list: SmallVec<[&[u8]; 8]> = arguments.iter().map(Argument::as_slice).collect();
        let allowed = frame::lock(&shared).may(&list);
        allowed.map_err(|error| raise(error.message()))
    })?;
    redis.raw_set("acl_check_cmd", acl_check_cmd)?;
    redis.raw_set("register_function", register_function(lua, frame)?)?;
    Ok(redis)
}

fn arguments(args: &MultiValue) -> std::result::Result<SmallVec<[Argument; 8]>, &'static str> {
    if args.is_empty() {
        return Err(NO_ARGUMENTS);
    }
    let mut arguments = SmallVec::with_capacity(args.len());
    for value in args {
        arguments.push(Argument::of(value).ok_or(BAD_ARGUMENTS)?);
    }
    Ok(arguments)
}

/// `redis.call` or, protected, `redis.pcall`.
fn command(lua: &Lua, frame: &Shared, bounds: &Bounds, protected: bool) -> Result<Function> {
    let (frame, bounds) = (Arc::clone(frame), bounds.clone());
    let run = move |lua: &Lua, bounds: &Bounds, args: MultiValue| {
        let (reply, resp3) = match arguments(&args) {
            Err(text) => (Reply::Error(Error::fixed(text)), None),
            Ok(arguments) => {
                let list: SmallVec<[&[u8]; 8]> = arguments.iter().map(Argument::as_slice).collect();
                // What a command takes is copied at least once.
                bounds.check_room(lua, list.iter().map(|argument| argument.len()).sum())?;
                let mut frame = frame::lock(&frame);
                if frame.loading.is_some() {
                    let name = if protected { "pcall" } else { "call" };
                    let text =
                        format!("Script attempted to access nonexistent global variable '{name}'");
                    drop(frame);
                    return Err(error::raise_at(lua, text));
                }
                let resp3 = frame.resp3.then(|| Shape::of(&list));
                (frame.call(&list), resp3)
            }
        };
        match reply {
            Reply::Error(error) if !protected => Err(raise(error.message())),
            reply => {
                bounds.check_room(lua, convert::weight(&reply))?;
                match resp3 {
                    Some(shape) => shape::to_lua(shape, lua, &reply),
                    None => convert::to_lua(lua, &reply, false),
                }
            }
        }
    };
    lua.create_function(move |lua, args: MultiValue| {
        bounds.call()?;
        lua.set_memory_limit(0)?;
        let outcome = run(lua, &bounds, args);
        bounds.limit_memory(lua)?;
        outcome
    })
}

/// `redis.status_reply` and `redis.error_reply`: a table with one field.
fn single(lua: &Lua, args: &MultiValue, field: &str) -> Result<Value> {
    let Some(Value::String(text)) = args.front().filter(|_| args.len() == 1) else {
        return convert::error_table(lua, WRONG_ARGUMENTS);
    };
    let table = lua.create_table()?;
    if field == "err" {
        let text = text.as_bytes();
        let text = text.strip_prefix(b"-").unwrap_or(&text);
        // An error needs a code: one word alone is taken for the message.
        let code: &[u8] = if text.contains(&b' ') { b"" } else { b"ERR " };
        table.raw_set(field, lua.create_string([code, text].concat())?)?;
    } else {
        table.raw_set(field, text)?;
    }
    Ok(Value::Table(table))
}

fn sha1hex(lua: &Lua, args: MultiValue) -> Result<String> {
    let Some(value) = args.front().filter(|_| args.len() == 1) else {
        return Err(raise("ERR wrong number of arguments"));
    };
    let text = lua.coerce_string(value.clone()).ok().flatten();
    let text = text.map(|text| text.as_bytes());
    let text = text.as_deref().unwrap_or_default();
    Bounds::of(lua)?.spend(text.len())?;
    Ok(super::sha1_hex(text))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Number(n) => Some(*n),
        _ => None,
    }
}

/// Checks its arguments and drops the message: scripts must not fill the server's log.
fn log(_: &Lua, args: MultiValue) -> Result<()> {
    if args.len() < 2 {
        return Err(raise("ERR redis.log() requires two arguments or more."));
    }
    match args.front().and_then(number) {
        None => Err(raise("ERR First argument must be a number (log level).")),
        Some(level) if !(0.0..=3.0).contains(&level) => Err(raise("ERR Invalid debug level.")),
        Some(_) => Ok(()),
    }
}

fn set_repl(_: &Lua, args: MultiValue) -> Result<()> {
    match args.front().filter(|_| args.len() == 1).and_then(number) {
        None => Err(raise("ERR redis.set_repl() requires two arguments.")),
        Some(flags) if (0.0..=3.0).contains(&flags) => Ok(()),
        Some(_) => Err(raise(
            "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        )),
    }
}

/// The flags a function may have.
const FUNCTION_FLAGS: &[&str] = &[
    "no-writes",
    "allow-oom",
    "allow-stale",
    "no-cluster",
    "allow-cross-slot-keys",
    "allow-key-locking",
];

fn register_function(lua: &Lua, frame: &Shared) -> Result<Function> {
    let frame = Arc::clone(frame);
    lua.create_function(move |_, args: MultiValue| {
        if frame::lock(&frame).loading.is_none() {
            return Err(raise(
                "ERR redis.register_function can only be called on FUNCTION LOAD command",
            ));
        }
        let registration = registration(&args).map_err(raise)?;
        if !super::is_name(&registration.name) {
            return Err(raise(super::BAD_NAME));
        }
        let mut frame = frame::lock(&frame);
        let registered = frame.loading.get_or_insert_default();
        if registered
            .iter()
            .any(|other| other.name == registration.name)
        {
            return Err(raise("ERR Function already exists in the library"));
        }
        registered.push(registration);
        Ok(())
    })
}

fn registration(args: &MultiValue) -> std::result::Result<Registration, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(String::from_utf8_lossy(&text.as_bytes()).into_owned()),
        Value::Integer(n) => Some(n.to_string()),
        _ => None,
    };
    let mut registration = (None, None, Vec::new(), None);
    match (args.front(), args.get(1), args.len()) {
        (Some(Value::Table(named)), None, 1) => {
            for pair in named.pairs::<Value, Value>() {
                let (key, value) =
                    pair.map_err(|_| "ERR invalid argument given to redis.register_function")?;
                let Some(key) = text(&key) else {
                    return Err(
                        "ERR named argument key given to redis.register_function is not a string"
                            .into(),
                    );
                };
                match key.as_str() {
                    "function_name" => {
                        let name = text(&value);
                        registration.0 = Some(name.ok_or("ERR function_name argument given to redis.register_function must be a string")?);
                    }
                    "description" => {
                        let words = text(&value);
                        registration.3 = Some(words.ok_or("ERR description argument given to redis.register_function must be a string")?);
                    }
                    "callback" => match value {
                        Value::Function(callback) => registration.1 = Some(callback),
                        _ => return Err("ERR callback argument given to redis.register_function must be a function".into()),
                    },
                    "flags" => match value {
                        Value::Table(list) => registration.2 = flags(&list)?,
                        _ => return Err("ERR flags argument to redis.register_function must be a table representing function flags".into()),
                    },
                    _ => return Err("ERR unknown argument given to redis.register_function".into()),
                }
            }
        }
        (_, None, 1) => {
            return Err("ERR calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).".into());
        }
        (Some(name), Some(callback), 2) => {
            let name = text(name)
                .ok_or("ERR first argument to redis.register_function must be a string")?;
            registration.0 = Some(name);
            match callback {
                Value::Function(callback) => registration.1 = Some(callback.clone()),
                _ => {
                    return Err(
                        "ERR second argument to redis.register_function must be a function".into(),
                    );
                }
            }
        }
        _ => return Err("ERR wrong number of arguments to redis.register_function".into()),
    }
    let (name, callback, flags, description) = registration;
    Ok(Registration {
        name: name.ok_or("ERR redis.register_function must get a function name argument")?,
        callback: callback.ok_or("ERR redis.register_function must get a callback argument")?,
        flags,
        description,
    })
}

fn flags(list: &Table) -> std::result::Result<Vec<&'static str>, String> {
    let mut flags = Vec::new();
    for flag in list.sequence_values::<Value>() {
        let Ok(Value::String(flag)) = flag else {
            return Err("ERR unknown flag given".into());
        };
        let known = FUNCTION_FLAGS
            .iter()
            .find(|known| known.as_bytes() == &*flag.as_bytes());
        flags.push(*known.ok_or("ERR unknown flag given")?);
    }
    Ok(flags)
}
