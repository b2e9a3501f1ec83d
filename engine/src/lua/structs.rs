//! The `struct` library: packing of binary fields by a format string.

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::bounds::{Bounds, Output};
use super::error::{bad_argument, bad_type, raise_at};

const MAX_INTEGER: usize = 32;
const NATIVE_ALIGN: usize = 8;
/// The most values unpacked at once, as the interpreter has to return them.
const MAX_VALUES: usize = 7_900;

/// Builds the library's table.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", lua.create_function(pack)?)?;
    table.raw_set("unpack", lua.create_function(unpack)?)?;
    table.raw_set("size", lua.create_function(size)?)?;
    Ok(table)
}

/// One walk over a format: byte order, alignment and the options.
struct Format<'a> {
    lua: &'a Lua,
    function: &'static str,
    text: &'a [u8],
    at: usize,
    little: bool,
    align: usize,
    bounds: Bounds,
}

struct Field {
    option: u8,
    size: usize,
}

impl<'a> Format<'a> {
    fn new(lua: &'a Lua, function: &'static str, text: &'a [u8]) -> Result<Self> {
        Ok(Self {
            lua,
            function,
            text,
            at: 0,
            little: cfg!(target_endian = "little"),
            align: 1,
            bounds: Bounds::of(lua)?,
        })
    }

    fn number(&mut self, default: usize) -> Result<usize> {
        if !self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Ok(default);
        }
        let mut value = 0_usize;
        while let Some(digit) = self.text.get(self.at).filter(|b| b.is_ascii_digit()) {
            value = value * 10 + usize::from(digit - b'0');
            if value > i32::MAX as usize / 10 {
                return Err(raise_at(self.lua, "integral size overflow"));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn next(&mut self) -> Result<Option<Field>> {
        self.bounds.step()?;
        let Some(&option) = self.text.get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'f' => 4,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > MAX_INTEGER {
                    let text =
                        format!("integral size {size} is larger than limit of {MAX_INTEGER}");
                    return Err(raise_at(self.lua, text));
                }
                size
            }
            _ => 0,
        };
        Ok(Some(Field { option, size }))
    }

    /// Bytes to skip so that the field starts aligned.
    fn padding(&self, length: usize, field: &Field) -> usize {
        if field.size == 0 || field.option == b'c' {
            return 0;
        }
        let size = field.size.min(self.align);
        (size - (length & (size - 1))) & (size - 1)
    }

    fn control(&mut self, option: u8) -> Result<()> {
        match option {
            b' ' => {}
            b'>' => self.little = false,
            b'<' => self.little = true,
            b'!' => {
                let align = self.number(NATIVE_ALIGN)?;
                if align == 0 || !align.is_power_of_two() {
                    return Err(raise_at(
                        self.lua,
                        format_args!("alignment {align} is not a power of 2"),
                    ));
                }
                self.align = align;
            }
            other => {
                let problem = format!("invalid format option '{}'", char::from(other));
                return Err(bad_argument(self.lua, 1, self.function, problem));
            }
        }
        Ok(())
    }
}

fn string(lua: &Lua, args: &MultiValue, index: usize, function: &str) -> Result<mlua::LuaString> {
    let value = args.get(index - 1);
    let text = match value {
        Some(value @ (Value::String(_) | Value::Integer(_) | Value::Number(_))) => {
            lua.coerce_string(value.clone())?
        }
        _ => None,
    };
    text.ok_or_else(|| {
        bad_type(
            lua,
            index,
            function,
            "string",
            value.or(past_end(function, args, index)),
        )
    })
}

fn number(lua: &Lua, args: &MultiValue, index: usize, function: &str) -> Result<f64> {
    let value = args.get(index - 1);
    let number = match value {
        Some(value @ (Value::String(_) | Value::Integer(_) | Value::Number(_))) => {
            lua.coerce_number(value.clone())?
        }
        _ => None,
    };
    number.ok_or_else(|| {
        bad_type(
            lua,
            index,
            function,
            "number",
            value.or(past_end(function, args, index)),
        )
    })
}

/// `pack` keeps a nil of its own after the last argument.
fn past_end(function: &str, args: &MultiValue, index: usize) -> Option<&'static Value> {
    (function == "pack" && index > 1 && index == args.len() + 1).then_some(&Value::Nil)
}

fn pack(lua: &Lua, args: MultiValue) -> Result<mlua::LuaString> {
    let text = string(lua, &args, 1, "pack")?;
    let text = text.as_bytes();
    let mut format = Format::new(lua, "pack", &text)?;
    let mut out = Output::new(lua)?;
    let mut arg = 2;
    while let Some(field) = format.next()? {
        for _ in 0..format.padding(out.len(), &field) {
            out.push(0)?;
        }
        match field.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let n = number(lua, &args, arg, "pack")?;
                arg += 1;
                let value = if n < 0.0 {
                    (n as i64).cast_unsigned()
                } else {
                    n as u64
                };
                let byte = |i: usize| if i < 8 { (value >> (8 * i)) as u8 } else { 0 };
                for i in 0..field.size {
                    out.push(byte(if format.little { i } else { field.size - 1 - i }))?;
                }
            }
            b'x' => out.push(0)?,
            b'f' => {
                let n = number(lua, &args, arg, "pack")? as f32;
                arg += 1;
                out.extend(&if format.little {
                    n.to_le_bytes()
                } else {
                    n.to_be_bytes()
                })?;
            }
            b'd' => {
                let n = number(lua, &args, arg, "pack")?;
                arg += 1;
                out.extend(&if format.little {
                    n.to_le_bytes()
                } else {
                    n.to_be_bytes()
                })?;
            }
            b'c' | b's' => {
                let value = string(lua, &args, arg, "pack")?;
                arg += 1;
                let value = value.as_bytes();
                let size = if field.size == 0 {
                    value.len()
                } else {
                    field.size
                };
                let Some(head) = value.get(..size) else {
                    return Err(bad_argument(lua, arg, "pack", "string too short"));
                };
                out.extend(head)?;
                if field.option == b's' {
                    out.push(0)?;
                }
            }
            other => format.control(other)?,
        }
    }
    out.finish(lua)
}

fn unpack(lua: &Lua, args: MultiValue) -> Result<MultiValue> {
    let text = string(lua, &args, 1, "unpack")?;
    let text = text.as_bytes();
    let data = string(lua, &args, 2, "unpack")?;
    let data = data.as_bytes();
    let start = if matches!(args.get(2), None | Some(Value::Nil)) {
        1.0
    } else {
        number(lua, &args, 3, "unpack")?
    };
    if start.is_nan() || start < 1.0 {
        return Err(bad_argument(
            lua,
            3,
            "unpack",
            "offset must be 1 or greater",
        ));
    }
    let mut position = start as usize - 1;
    let mut format = Format::new(lua, "unpack", &text)?;
    let mut values: Vec<Value> = Vec::new();
    let short = || bad_argument(lua, 2, "unpack", "data string too short");
    while let Some(field) = format.next()? {
        if values.len() >= MAX_VALUES {
            return Err(raise_at(lua, "stack overflow (too many results)"));
        }
        position = position.saturating_add(format.padding(position, &field));
        let mut size = field.size;
        let bytes = position
            .checked_add(size)
            .and_then(|end| data.get(position..end))
            .ok_or_else(short)?;
        match field.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                values.push(Value::Number(read_integer(
                    bytes,
                    format.little,
                    field.option.is_ascii_lowercase(),
                )));
            }
            b'x' => {}
            b'f' => {
                let raw: [u8; 4] = bytes.try_into().map_err(|_| short())?;
                let n = if format.little {
                    f32::from_le_bytes(raw)
                } else {
                    f32::from_be_bytes(raw)
                };
                values.push(Value::Number(f64::from(n)));
            }
            b'd' => {
                let raw: [u8; 8] = bytes.try_into().map_err(|_| short())?;
                values.push(Value::Number(if format.little {
                    f64::from_le_bytes(raw)
                } else {
                    f64::from_be_bytes(raw)
                }));
            }
            b'c' => {
                if size == 0 {
                    size = match values.pop() {
                        Some(Value::Number(n)) => n as usize,
                        Some(Value::Integer(n)) => usize::try_from(n).unwrap_or(0),
                        _ => return Err(raise_at(lua, "format 'c0' needs a previous size")),
                    };
                }
                let bytes = position
                    .checked_add(size)
                    .and_then(|end| data.get(position..end))
                    .ok_or_else(short)?;
                values.push(Value::String(lua.create_string(bytes)?));
            }
            b's' => {
                let Some(end) = data[position..].iter().position(|byte| *byte == 0) else {
                    return Err(raise_at(lua, "unfinished string in data"));
                };
                values.push(Value::String(
                    lua.create_string(&data[position..position + end])?,
                ));
                size = end + 1;
            }
            other => format.control(other)?,
        }
        position += size;
    }
    values.push(Value::Integer(position as i64 + 1));
    Ok(MultiValue::from_vec(values))
}

fn read_integer(bytes: &[u8], little: bool, signed: bool) -> f64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let value = if little {
        bytes.iter().rev().fold(0, fold)
    } else {
        bytes.iter().fold(0, fold)
    };
    if !signed || bytes.is_empty() {
        return value as f64;
    }
    let shift = 64_usize.saturating_sub(8 * bytes.len()) as u32;
    ((value << shift).cast_signed() >> shift) as f64
}

fn size(lua: &Lua, args: MultiValue) -> Result<usize> {
    let text = string(lua, &args, 1, "size")?;
    let text = text.as_bytes();
    let mut format = Format::new(lua, "size", &text)?;
    let mut total = 0_usize;
    while let Some(field) = format.next()? {
        match field.option {
            b's' => return Err(bad_argument(lua, 1, "size", "option 's' has no fixed size")),
            b'c' if field.size == 0 => {
                return Err(bad_argument(
                    lua,
                    1,
                    "size",
                    "option 'c0' has no fixed size",
                ));
            }
            option if !option.is_ascii_alphanumeric() => format.control(option)?,
            _ => {}
        }
        total = total
            .saturating_add(format.padding(total, &field))
            .saturating_add(field.size);
    }
    Ok(total)
}
