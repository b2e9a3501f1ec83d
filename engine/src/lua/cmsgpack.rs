//! The `cmsgpack` library: MessagePack as lua-cmsgpack reads and writes it.

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::bounds::{Bounds, Output};
use super::error::{bad_argument, bad_type, raise_at};

/// Tables nested deeper are written as nil.
const MAX_NESTING: usize = 16;
/// The most values unpacked at once, as the interpreter has to return them.
const MAX_VALUES: usize = 7_900;
/// Deeper input is refused: decoding recurses.
const MAX_DEPTH: usize = 100;

/// Builds the library's table.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    table.raw_set("pack", lua.create_function(pack)?)?;
    table.raw_set(
        "unpack",
        lua.create_function(|lua, args| unpack(lua, &args, None, 0, "unpack"))?,
    )?;
    table.raw_set(
        "unpack_one",
        lua.create_function(|lua, args: MultiValue| {
            let offset = integer(lua, &args, 2, "unpack_one", Some(0))?;
            unpack(lua, &args, Some(1), offset, "unpack_one")
        })?,
    )?;
    table.raw_set(
        "unpack_limit",
        lua.create_function(|lua, args: MultiValue| {
            let limit = integer(lua, &args, 2, "unpack_limit", None)?;
            let offset = integer(lua, &args, 3, "unpack_limit", Some(0))?;
            unpack(lua, &args, Some(limit), offset, "unpack_limit")
        })?,
    )?;
    Ok(table)
}

fn integer(
    lua: &Lua,
    args: &MultiValue,
    index: usize,
    name: &str,
    default: Option<i64>,
) -> Result<i64> {
    match (args.get(index - 1), default) {
        (Some(Value::Integer(n)), _) => Ok(*n),
        (Some(Value::Number(n)), _) => Ok(*n as i64),
        (None | Some(Value::Nil), Some(default)) => Ok(default),
        (other, _) => Err(bad_type(lua, index, name, "number", other)),
    }
}

fn pack(lua: &Lua, args: MultiValue) -> Result<mlua::LuaString> {
    if args.is_empty() {
        return Err(bad_argument(
            lua,
            0,
            "pack",
            "MessagePack pack needs input.",
        ));
    }
    let mut out = Output::new(lua)?;
    for value in &args {
        write(&mut out, value, 0)?;
    }
    out.finish(lua)
}

fn write(out: &mut Output, value: &Value, level: usize) -> Result<()> {
    match value {
        Value::String(text) => write_string(out, &text.as_bytes()),
        Value::Boolean(on) => out.push(if *on { 0xc3 } else { 0xc2 }),
        Value::Integer(n) => write_integer(out, *n),
        Value::Number(n) => write_number(out, *n),
        Value::Table(table) if level < MAX_NESTING => write_table(out, table, level),
        _ => out.push(0xc0),
    }
}

fn write_number(out: &mut Output, n: f64) -> Result<()> {
    let integer = n as i64;
    if n.is_finite() && integer as f64 == n && integer != i64::MAX {
        write_integer(out, integer)
    } else if f64::from(n as f32) == n {
        sized(out, 0xca, &(n as f32).to_be_bytes())
    } else {
        sized(out, 0xcb, &n.to_be_bytes())
    }
}

fn write_integer(out: &mut Output, n: i64) -> Result<()> {
    if n >= 0 {
        match n {
            0..=0x7f => out.push(n as u8),
            0x80..=0xff => out.extend(&[0xcc, n as u8]),
            0x100..=0xffff => sized(out, 0xcd, &(n as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => sized(out, 0xce, &(n as u32).to_be_bytes()),
            _ => sized(out, 0xcf, &n.to_be_bytes()),
        }
    } else if n >= -32 {
        out.push(n as u8)
    } else if let Ok(n) = i8::try_from(n) {
        out.extend(&[0xd0, n as u8])
    } else if let Ok(n) = i16::try_from(n) {
        sized(out, 0xd1, &n.to_be_bytes())
    } else if let Ok(n) = i32::try_from(n) {
        sized(out, 0xd2, &n.to_be_bytes())
    } else {
        sized(out, 0xd3, &n.to_be_bytes())
    }
}

fn sized(out: &mut Output, tag: u8, bytes: &[u8]) -> Result<()> {
    out.push(tag)?;
    out.extend(bytes)
}

fn write_string(out: &mut Output, text: &[u8]) -> Result<()> {
    match text.len() {
        n @ 0..=31 => out.push(0xa0 | n as u8),
        n @ 32..=0xff => out.extend(&[0xd9, n as u8]),
        n @ 0x100..=0xffff => sized(out, 0xda, &(n as u16).to_be_bytes()),
        n => sized(out, 0xdb, &(n as u32).to_be_bytes()),
    }?;
    out.extend(text)
}

fn write_table(out: &mut Output, table: &Table, level: usize) -> Result<()> {
    let (mut max, mut count, mut array) = (0_i64, 0_i64, true);
    for pair in table.pairs::<Value, Value>() {
        match pair?.0 {
            Value::Integer(n) if n > 0 => max = max.max(n),
            _ => array = false,
        }
        count += 1;
    }
    if array && max == count {
        match count {
            0..=15 => out.push(0x90 | count as u8),
            16..=0xffff => sized(out, 0xdc, &(count as u16).to_be_bytes()),
            _ => sized(out, 0xdd, &(count as u32).to_be_bytes()),
        }?;
        for index in 1..=count {
            write(out, &table.raw_get(index)?, level + 1)?;
        }
        return Ok(());
    }
    match count {
        0..=15 => out.push(0x80 | count as u8),
        16..=0xffff => sized(out, 0xde, &(count as u16).to_be_bytes()),
        _ => sized(out, 0xdf, &(count as u32).to_be_bytes()),
    }?;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        write(out, &key, level + 1)?;
        write(out, &value, level + 1)?;
    }
    Ok(())
}

fn unpack(
    lua: &Lua,
    args: &MultiValue,
    limit: Option<i64>,
    offset: i64,
    name: &str,
) -> Result<MultiValue> {
    let text = match args.front() {
        Some(value @ (Value::String(_) | Value::Integer(_) | Value::Number(_))) => {
            lua.coerce_string(value.clone())?
        }
        _ => None,
    };
    let text = text.ok_or_else(|| bad_type(lua, 1, name, "string", args.front()))?;
    let input = text.as_bytes();
    let length = input.len() as i64;
    if offset < 0 || limit.is_some_and(|limit| limit < 0) {
        let text =
            format!("Invalid request to unpack with offset of {offset} and limit of {length}.");
        return Err(raise_at(lua, text));
    }
    if offset > length {
        let text = format!("Start offset {offset} greater than input length {length}.");
        return Err(raise_at(lua, text));
    }
    let limit = limit.filter(|limit| *limit > 0 || offset > 0);
    let mut reader = Reader {
        lua,
        rest: &input[offset as usize..],
        bounds: Bounds::of(lua)?,
    };
    let mut values = Vec::new();
    while !reader.rest.is_empty() && limit.is_none_or(|limit| (values.len() as i64) < limit) {
        if values.len() >= MAX_VALUES {
            return Err(raise_at(
                lua,
                "stack overflow (in function mp_decode_to_lua_type)",
            ));
        }
        match reader.value(0) {
            Ok(value) => values.push(value),
            Err(Problem::Eof) => return Err(raise_at(lua, "Missing bytes in input.")),
            Err(Problem::Format) => return Err(raise_at(lua, "Bad data format in input.")),
            Err(Problem::Lua(error)) => return Err(error),
        }
    }
    if limit.is_some() {
        let left = reader.rest.len() as i64;
        values.insert(
            0,
            Value::Integer(if left == 0 { -1 } else { length - left }),
        );
    }
    Ok(MultiValue::from_vec(values))
}

enum Problem {
    Eof,
    Format,
    Lua(mlua::Error),
}

impl From<mlua::Error> for Problem {
    fn from(error: mlua::Error) -> Self {
        Self::Lua(error)
    }
}

struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
    bounds: Bounds,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> std::result::Result<&[u8], Problem> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(Problem::Eof)?;
        self.rest = tail;
        Ok(head)
    }

    fn unsigned(&mut self, bytes: usize) -> std::result::Result<u64, Problem> {
        Ok(self
            .take(bytes)?
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, bytes: usize) -> std::result::Result<i64, Problem> {
        let shift = 64 - 8 * bytes as u32;
        Ok((self.unsigned(bytes)? << shift).cast_signed() >> shift)
    }

    fn value(&mut self, depth: usize) -> std::result::Result<Value, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Format);
        }
        self.bounds.step()?;
        let tag = self.take(1)?[0];
        Ok(match tag {
            0x00..=0x7f => Value::Integer(i64::from(tag)),
            0xe0..=0xff => Value::Integer(i64::from(tag.cast_signed())),
            0xcc => Value::Number(self.unsigned(1)? as f64),
            0xcd => Value::Number(self.unsigned(2)? as f64),
            0xce => Value::Number(self.unsigned(4)? as f64),
            0xcf => Value::Number(self.unsigned(8)? as f64),
            0xd0 => Value::Number(self.signed(1)? as f64),
            0xd1 => Value::Number(self.signed(2)? as f64),
            0xd2 => Value::Number(self.signed(4)? as f64),
            0xd3 => Value::Number(self.signed(8)? as f64),
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xca => Value::Number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xcb => Value::Number(f64::from_bits(self.unsigned(8)?)),
            0xa0..=0xbf => self.text(usize::from(tag & 0x1f))?,
            0xd9 => {
                let length = self.unsigned(1)? as usize;
                self.text(length)?
            }
            0xda => {
                let length = self.unsigned(2)? as usize;
                self.text(length)?
            }
            0xdb => {
                let length = self.unsigned(4)? as usize;
                self.text(length)?
            }
            0x90..=0x9f => self.array(u64::from(tag & 0xf), depth)?,
            0xdc => {
                let length = self.unsigned(2)?;
                self.array(length, depth)?
            }
            0xdd => {
                let length = self.unsigned(4)?;
                self.array(length, depth)?
            }
            0x80..=0x8f => self.map(u64::from(tag & 0xf), depth)?,
            0xde => {
                let length = self.unsigned(2)?;
                self.map(length, depth)?
            }
            0xdf => {
                let length = self.unsigned(4)?;
                self.map(length, depth)?
            }
            _ => return Err(Problem::Format),
        })
    }

    fn text(&mut self, length: usize) -> std::result::Result<Value, Problem> {
        let lua = self.lua;
        let bytes = self.take(length)?;
        Ok(Value::String(lua.create_string(bytes)?))
    }

    fn array(&mut self, length: u64, depth: usize) -> std::result::Result<Value, Problem> {
        let table = self.lua.create_table()?;
        for index in 1..=length {
            let value = self.value(depth + 1)?;
            table.raw_set(index, value)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, length: u64, depth: usize) -> std::result::Result<Value, Problem> {
        let table = self.lua.create_table()?;
        for _ in 0..length {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            if matches!(key, Value::Nil) || matches!(key, Value::Number(n) if n.is_nan()) {
                return Err(Problem::Format);
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }
}
