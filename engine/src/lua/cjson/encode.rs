//! Lua values to JSON text.

use mlua::{Function, Lua, LuaString, Result, Table, Value};

use super::{Invalid, Settings};
use crate::lua::bounds::Output;
use crate::lua::error::{raise_at, type_name};
use crate::lua::format;

/// Encodes one value.
pub(super) fn encode(
    lua: &Lua,
    settings: &Settings,
    next: &Function,
    value: &Value,
) -> Result<LuaString> {
    let mut encoder = Encoder {
        lua,
        settings,
        next,
        out: Output::new(lua)?,
    };
    encoder.value(value)?;
    encoder.out.finish(lua)
}

/// Objects up to this size are read once.
const FEW: i64 = 64;

/// What is left to write of an object.
enum Pairs {
    Few(std::vec::IntoIter<(Value, Value)>),
    /// Holds one key, not all: references into the interpreter are scarce.
    Many {
        table: Table,
        last: Value,
    },
}

impl Pairs {
    fn next(&mut self, next: &Function) -> Result<Option<(Value, Value)>> {
        match self {
            Self::Few(pairs) => Ok(pairs.next()),
            Self::Many { table, last } => {
                let (key, value): (Value, Value) = next.call((&*table, &*last))?;
                last.clone_from(&key);
                Ok((!key.is_nil()).then_some((key, value)))
            }
        }
    }
}

/// A table that is being written.
enum Open {
    Array {
        table: Table,
        index: i64,
        length: i64,
    },
    Object {
        pairs: Pairs,
        first: bool,
    },
}

struct Encoder<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    next: &'a Function,
    out: Output,
}

impl Encoder<'_> {
    fn refuse(&self, value: &Value, reason: &str) -> mlua::Error {
        raise_at(
            self.lua,
            format_args!("Cannot serialise {}: {reason}", type_name(value)),
        )
    }

    /// Writes one value. Not recursive: a table may be nested deeper than a thread's stack.
    fn value(&mut self, value: &Value) -> Result<()> {
        let mut open: Vec<Open> = Vec::new();
        self.begin(value, &mut open)?;
        while let Some(top) = open.last_mut() {
            let item = match top {
                Open::Array {
                    table,
                    index,
                    length,
                } => {
                    *index += 1;
                    if *index > *length {
                        None
                    } else {
                        if *index > 1 {
                            self.out.push(b',')?;
                        }
                        Some(table.raw_get::<Value>(*index)?)
                    }
                }
                Open::Object { pairs, first } => match pairs.next(self.next)? {
                    None => None,
                    Some((key, item)) => {
                        if !std::mem::take(first) {
                            self.out.push(b',')?;
                        }
                        self.key(&key)?;
                        Some(item)
                    }
                },
            };
            if let Some(item) = item {
                self.begin(&item, &mut open)?;
            } else {
                let end = if matches!(top, Open::Array { .. }) {
                    b']'
                } else {
                    b'}'
                };
                self.out.push(end)?;
                open.pop();
            }
        }
        Ok(())
    }

    /// Writes a simple value, or opens a table.
    fn begin(&mut self, value: &Value, open: &mut Vec<Open>) -> Result<()> {
        match value {
            Value::String(text) => self.string(&text.as_bytes())?,
            Value::Integer(_) | Value::Number(_) => self.number(value)?,
            Value::Boolean(true) => self.out.extend(b"true")?,
            Value::Boolean(false) => self.out.extend(b"false")?,
            Value::Nil => self.out.extend(b"null")?,
            Value::LightUserData(data) if data.0.is_null() => self.out.extend(b"null")?,
            Value::Table(table) => {
                let depth = open.len() as i64 + 1;
                if depth > self.settings.encode_depth {
                    let text = format_args!("Cannot serialise, excessive nesting ({depth})");
                    return Err(raise_at(self.lua, text));
                }
                let (pairs, length) = self.survey(value, table)?;
                if let Some(length) = length.filter(|length| *length > 0) {
                    self.out.push(b'[')?;
                    open.push(Open::Array {
                        table: table.clone(),
                        index: 0,
                        length,
                    });
                } else {
                    self.out.push(b'{')?;
                    open.push(Open::Object { pairs, first: true });
                }
            }
            other => return Err(self.refuse(other, "type not supported")),
        }
        Ok(())
    }

    fn key(&mut self, key: &Value) -> Result<()> {
        match key {
            Value::Integer(_) | Value::Number(_) => {
                self.out.push(b'"')?;
                self.number(key)?;
                self.out.push(b'"')?;
            }
            Value::String(text) => self.string(&text.as_bytes())?,
            other => return Err(self.refuse(other, "table key must be a number or string")),
        }
        self.out.push(b':')?;
        Ok(())
    }

    /// The pairs of a table, and its highest index if every key is a positive integer.
    fn survey(&self, value: &Value, table: &Table) -> Result<(Pairs, Option<i64>)> {
        let (mut max, mut items) = (0_i64, 0_i64);
        let mut array = true;
        let mut few = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, item) = pair?;
            items += 1;
            match key {
                Value::Integer(n) if n >= 1 => max = max.max(n),
                Value::Number(n) if n >= 1.0 && n.floor() == n => max = max.max(n as i64),
                _ => array = false,
            }
            if items <= FEW {
                few.push((key, item));
            } else {
                few.clear();
                if !array {
                    break;
                }
            }
        }
        let pairs = if items <= FEW {
            Pairs::Few(few.into_iter())
        } else {
            Pairs::Many {
                table: table.clone(),
                last: Value::Nil,
            }
        };
        if !array {
            return Ok((pairs, None));
        }
        let Settings {
            sparse_ratio,
            sparse_safe,
            sparse_convert,
            ..
        } = *self.settings;
        if sparse_ratio > 0 && max > items.saturating_mul(sparse_ratio) && max > sparse_safe {
            if !sparse_convert {
                return Err(self.refuse(value, "excessively sparse array"));
            }
            return Ok((pairs, None));
        }
        Ok((pairs, Some(max)))
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
                    self.out.extend(b"null")?;
                    return Ok(());
                }
                Invalid::Allow if number.is_nan() => {
                    self.out.extend(b"nan")?;
                    return Ok(());
                }
                Invalid::Allow => {}
            }
        }
        let precision = usize::try_from(self.settings.precision).unwrap_or(14);
        self.out
            .extend(format::general(number, precision).as_bytes())
    }

    fn string(&mut self, text: &[u8]) -> Result<()> {
        self.out.push(b'"')?;
        let mut plain = 0;
        for (at, &byte) in text.iter().enumerate() {
            let code;
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'/' => b"\\/",
                0x08 => b"\\b",
                0x09 => b"\\t",
                0x0a => b"\\n",
                0x0c => b"\\f",
                0x0d => b"\\r",
                0..=0x1f | 0x7f => {
                    let digit = |n: u8| b"0123456789abcdef"[usize::from(n)];
                    code = [b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)];
                    &code
                }
                _ => continue,
            };
            self.out.extend(&text[plain..at])?;
            self.out.extend(escape)?;
            plain = at + 1;
        }
        self.out.extend(&text[plain..])?;
        self.out.push(b'"')
    }
}
