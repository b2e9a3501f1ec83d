//! Replies to Lua values and back, as Redis converts them.

use std::borrow::Cow;

use bytes::Bytes;
use mlua::{Either, IntoLua, Lua, Result, Table, Value};

use super::bounds::{Bounds, MEMORY_LIMIT};
use super::error::{MAX_TEXT, out_of_memory};
use crate::error::Error;
use crate::num::{self, DoubleText};
use crate::reply::Reply;

/// Deeper replies are refused.
const MAX_DEPTH: usize = 128;
const TOO_DEEP: Error = Error::fixed("ERR reached lua stack limit");
/// Bytes that an element takes beside its text, about.
const ITEM: usize = 64;

/// A reply as a Lua value. `resp3`: a missing value is `nil` instead of `false`.
pub(super) fn to_lua(lua: &Lua, reply: &Reply, resp3: bool) -> Result<Value> {
    Ok(match reply {
        Reply::Nil | Reply::NilArray if resp3 => Value::Nil,
        Reply::Nil | Reply::NilArray => Value::Boolean(false),
        // A Lua number is a double: Redis, too, loses the digits beyond 2^53.
        Reply::Int(n) => Value::Number(*n as f64),
        Reply::Bulk(bytes) => Value::String(lua.create_string(bytes)?),
        Reply::Simple(text) => field(lua, "ok", text.as_bytes())?,
        Reply::Error(error) => error_table(lua, error.message())?,
        Reply::Array(items) => {
            let items = items.iter().map(|reply| match reply {
                Reply::Bulk(bytes) => match text(bytes) {
                    Either::Left(text) => Either::Left(text),
                    Either::Right(bytes) => Either::Right(Item::Bytes(bytes)),
                },
                reply => Either::Right(Item::Reply(reply, resp3)),
            });
            Value::Table(lua.create_sequence_from(items)?)
        }
    })
}

/// Bytes as a Lua string; by way of text the interpreter's interface is faster.
pub(super) fn text(bytes: &[u8]) -> Either<&str, Bytewise<'_>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Either::Left(text),
        Err(_) => Either::Right(Bytewise(bytes)),
    }
}

/// Bytes that are no text.
#[derive(Debug)]
pub(super) struct Bytewise<'a>(&'a [u8]);

impl IntoLua for Bytewise<'_> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_string(self.0).map(Value::String)
    }
}

/// An element of a list that is no text.
enum Item<'a> {
    Bytes(Bytewise<'a>),
    Reply(&'a Reply, bool),
}

impl IntoLua for Item<'_> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        match self {
            Self::Bytes(bytes) => bytes.into_lua(lua),
            Self::Reply(reply, resp3) => to_lua(lua, reply, resp3),
        }
    }
}

fn field(lua: &Lua, name: &str, text: &[u8]) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, lua.create_string(text)?)?;
    Ok(Value::Table(table))
}

/// What a failed `redis.pcall` returns.
pub(super) fn error_table(lua: &Lua, text: &str) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", lua.create_string(text)?)?;
    table.raw_set("ignore_error_stats_update", true)?;
    Ok(Value::Table(table))
}

/// Bytes that a reply takes as a Lua value, about.
pub(super) fn weight(reply: &Reply) -> usize {
    match reply {
        Reply::Bulk(bytes) => ITEM + bytes.len(),
        Reply::Array(items) => ITEM + items.iter().map(weight).sum::<usize>(),
        _ => ITEM,
    }
}

/// What a script returned, as a reply.
pub(super) fn to_reply(value: &Value, resp3: bool, bounds: &Bounds) -> Result<Reply> {
    let room = MEMORY_LIMIT;
    Conversion {
        bounds,
        resp3,
        room,
    }
    .value(value, 0)
}

/// A conversion of what a script returned.
struct Conversion<'a> {
    bounds: &'a Bounds,
    resp3: bool,
    /// Bytes that are left: one text may be in a table many times.
    room: usize,
}

impl Conversion<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<Reply> {
        if depth > MAX_DEPTH {
            return Ok(Reply::Error(TOO_DEEP));
        }
        self.bounds.step()?;
        self.take(ITEM)?;
        Ok(match value {
            Value::String(text) => self.bulk(&text.as_bytes())?,
            Value::Integer(n) => Reply::Int(*n),
            Value::Number(n) => Reply::Int(truncate(*n)),
            Value::Boolean(true) => Reply::Int(1),
            // A script that speaks RESP3 tells false from nil, also to a client of RESP2.
            Value::Boolean(false) if self.resp3 => Reply::Int(0),
            Value::Table(table) => self.table(table, depth)?,
            _ => Reply::Nil,
        })
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        self.room = self.room.checked_sub(bytes).ok_or_else(out_of_memory)?;
        Ok(())
    }

    fn bulk(&mut self, text: &[u8]) -> Result<Reply> {
        self.take(text.len())?;
        Ok(Reply::Bulk(Bytes::copy_from_slice(text)))
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<Reply> {
        if let Value::String(text) = table.raw_get::<Value>("err")? {
            self.take(text.as_bytes().len())?;
            return Ok(Reply::Error(error_line(&text.as_bytes())));
        }
        if let Value::String(text) = table.raw_get::<Value>("ok")? {
            self.take(text.as_bytes().len())?;
            let text = String::from_utf8_lossy(&text.as_bytes()).replace(['\r', '\n'], " ");
            return Ok(Reply::Simple(Cow::Owned(text)));
        }
        match table.raw_get::<Value>("double")? {
            Value::Integer(n) => return Ok(Reply::bulk(n.to_string())),
            Value::Number(n) => return Ok(Reply::bulk(num::double_text(n))),
            _ => {}
        }
        if let Value::Table(map) = table.raw_get::<Value>("map")? {
            let mut items = Vec::new();
            for pair in map.pairs::<Value, Value>() {
                let (key, value) = pair?;
                items.push(self.value(&key, depth + 1)?);
                items.push(self.value(&value, depth + 1)?);
            }
            return Ok(Reply::Array(items));
        }
        if let Value::Table(set) = table.raw_get::<Value>("set")? {
            let mut items = Vec::new();
            for pair in set.pairs::<Value, Value>() {
                items.push(self.value(&pair?.0, depth + 1)?);
            }
            return Ok(Reply::Array(items));
        }
        if let Value::String(text) = table.raw_get::<Value>("big_number")? {
            return self.bulk(&text.as_bytes());
        }
        if let Value::Table(verbatim) = table.raw_get::<Value>("verbatim_string")?
            && let Value::String(text) = verbatim.raw_get::<Value>("string")?
        {
            return self.bulk(&text.as_bytes());
        }
        let mut items = Vec::new();
        for index in 1.. {
            let item: Value = table.raw_get(index)?;
            if item.is_nil() {
                break;
            }
            let item = self.value(&item, depth + 1)?;
            if depth == 0 || !matches!(&item, Reply::Error(error) if *error == TOO_DEEP) {
                items.push(item);
            } else {
                return Ok(item);
            }
        }
        Ok(Reply::Array(items))
    }
}

/// The error line of a table's `err`, with one leading dash removed.
fn error_line(text: &[u8]) -> Error {
    let text = &text[..text.len().min(MAX_TEXT)];
    Error::new(String::from_utf8_lossy(text).trim_end_matches(['\r', '\n']))
}

/// A number as C converts it to 64 bits: out of range becomes the lowest integer.
fn truncate(n: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&n) {
        n as i64
    } else {
        i64::MIN
    }
}

/// The bytes of one argument of a command.
#[derive(Debug)]
pub(super) enum Argument {
    Text(mlua::BorrowedBytes),
    Number(DoubleText),
}

impl Argument {
    /// Strings and numbers only.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let number = match value {
            Value::String(text) => return Some(Self::Text(text.as_bytes())),
            Value::Integer(n) => *n as f64,
            // Negative zero is an integer to Redis.
            Value::Number(n) => *n + 0.0,
            _ => return None,
        };
        let mut text = DoubleText::new();
        text.format(number);
        Some(Self::Number(text))
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Text(bytes) => bytes,
            Self::Number(text) => text.as_slice(),
        }
    }
}
