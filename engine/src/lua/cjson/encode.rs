//! Lua values to JSON text.

use mlua::{Lua, Result, Table, Value};

use super::{Invalid, Settings};
use crate::lua::error::{raise_at, type_name};
use crate::lua::format;

/// Encodes one value.
pub(super) fn encode(lua: &Lua, settings: &Settings, value: &Value) -> Result<Vec<u8>> {
    let mut encoder = Encoder { lua, settings, out: Vec::new() };
    encoder.value(value, 0)?;
    Ok(encoder.out)
}

struct Encoder<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn refuse(&self, value: &Value, reason: &str) -> mlua::Error {
        raise_at(self.lua, format_args!("Cannot serialise {}: {reason}", type_name(value)))
    }

    fn value(&mut self, value: &Value, depth: i64) -> Result<()> {
        match value {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(_) | Value::Number(_) => self.number(value)?,
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(data) if data.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Table(table) => self.table(value, table, depth + 1)?,
            other => return Err(self.refuse(other, "type not supported")),
        }
        Ok(())
    }

    fn table(&mut self, value: &Value, table: &Table, depth: i64) -> Result<()> {
        if depth > self.settings.encode_depth {
            return Err(raise_at(self.lua, format_args!("Cannot serialise, excessive depth ({depth})")));
        }
        match self.array_length(value, table)? {
            Some(length) if length > 0 => {
                self.out.push(b'[');
                for index in 1..=length {
                    if index > 1 {
                        self.out.push(b',');
                    }
                    let item: Value = table.raw_get(index)?;
                    self.value(&item, depth)?;
                }
                self.out.push(b']');
            }
            _ => {
                self.out.push(b'{');
                let mut first = true;
                for pair in table.pairs::<Value, Value>() {
                    let (key, item) = pair?;
                    if !std::mem::take(&mut first) {
                        self.out.push(b',');
                    }
                    match &key {
                        Value::Integer(_) | Value::Number(_) => {
                            self.out.push(b'"');
                            self.number(&key)?;
                            self.out.push(b'"');
                        }
                        Value::String(text) => self.string(&text.as_bytes()),
                        other => return Err(self.refuse(other, "table key must be a number or string")),
                    }
                    self.out.push(b':');
                    self.value(&item, depth)?;
                }
                self.out.push(b'}');
            }
        }
        Ok(())
    }

    /// The highest index if every key is a positive integer.
    fn array_length(&self, value: &Value, table: &Table) -> Result<Option<i64>> {
        let (mut max, mut items) = (0_i64, 0_i64);
        for pair in table.pairs::<Value, Value>() {
            let index = match pair?.0 {
                Value::Integer(n) => n,
                Value::Number(n) if n.floor() == n && n < 9e15 => n as i64,
                _ => return Ok(None),
            };
            if index < 1 {
                return Ok(None);
            }
            max = max.max(index);
            items += 1;
        }
        let Settings { sparse_ratio, sparse_safe, sparse_convert, .. } = *self.settings;
        if sparse_ratio > 0 && max > items.saturating_mul(sparse_ratio) && max > sparse_safe {
            if !sparse_convert {
                return Err(self.refuse(value, "excessively sparse array"));
            }
            return Ok(None);
        }
        Ok(Some(max))
    }

    fn number(&mut self, value: &Value) -> Result<()> {
        let number = match value {
            Value::Integer(n) => *n as f64,
            Value::Number(n) => *n,
            other => return Err(self.refuse(other, "type not supported")),
        };
        if !number.is_finite() {
            match self.settings.encode_invalid {
                Invalid::Refuse => return Err(self.refuse(value, "must not be NaN or Inf")),
                Invalid::Null => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
                Invalid::Allow if number.is_nan() => {
                    self.out.extend_from_slice(b"nan");
                    return Ok(());
                }
                Invalid::Allow => {}
            }
        }
        let precision = usize::try_from(self.settings.precision).unwrap_or(14);
        self.out.extend_from_slice(format::general(number, precision).as_bytes());
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'/' => self.out.extend_from_slice(b"\\/"),
                0x08 => self.out.extend_from_slice(b"\\b"),
                0x09 => self.out.extend_from_slice(b"\\t"),
                0x0a => self.out.extend_from_slice(b"\\n"),
                0x0c => self.out.extend_from_slice(b"\\f"),
                0x0d => self.out.extend_from_slice(b"\\r"),
                0..=0x1f | 0x7f => self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }
}
