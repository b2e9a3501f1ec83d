//! The `bit` library: 32-bit operations with BitOp's semantics.

use mlua::{Lua, MultiValue, Result, Table, Value};

use super::error::{bad_type, type_name};

/// Builds the library's table.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    let fold = |name: &'static str, combine: fn(u32, u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| {
            let mut value = number(lua, &args, 1, name)?;
            for index in 2..=args.len() {
                value = combine(value, number(lua, &args, index, name)?);
            }
            Ok(value.cast_signed())
        })
    };
    let shift = |name: &'static str, apply: fn(u32, u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| {
            let value = number(lua, &args, 1, name)?;
            let by = number(lua, &args, 2, name)? & 31;
            Ok(apply(value, by).cast_signed())
        })
    };
    let map = |name: &'static str, apply: fn(u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| {
            Ok(apply(number(lua, &args, 1, name)?).cast_signed())
        })
    };
    table.raw_set("band", fold("band", |a, b| a & b)?)?;
    table.raw_set("bor", fold("bor", |a, b| a | b)?)?;
    table.raw_set("bxor", fold("bxor", |a, b| a ^ b)?)?;
    table.raw_set("lshift", shift("lshift", |a, n| a << n)?)?;
    table.raw_set("rshift", shift("rshift", |a, n| a >> n)?)?;
    table.raw_set(
        "arshift",
        shift("arshift", |a, n| (a.cast_signed() >> n).cast_unsigned())?,
    )?;
    table.raw_set("rol", shift("rol", u32::rotate_left)?)?;
    table.raw_set("ror", shift("ror", u32::rotate_right)?)?;
    table.raw_set("tobit", map("tobit", |a| a)?)?;
    table.raw_set("bnot", map("bnot", |a| !a)?)?;
    table.raw_set("bswap", map("bswap", u32::swap_bytes)?)?;
    table.raw_set("tohex", lua.create_function(to_hex)?)?;
    Ok(table)
}

fn to_hex(lua: &Lua, args: MultiValue) -> Result<String> {
    let value = number(lua, &args, 1, "tohex")?;
    let digits = if args.len() >= 2 {
        number(lua, &args, 2, "tohex")?.cast_signed()
    } else {
        8
    };
    let width = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 {
        format!("{value:08X}")
    } else {
        format!("{value:08x}")
    };
    Ok(text[8 - width..].to_owned())
}

/// Argument `index` (from 1) as 32 bits: rounds to the nearest, wraps around.
fn number(lua: &Lua, args: &MultiValue, index: usize, function: &str) -> Result<u32> {
    let value = args.get(index - 1);
    let number = match value {
        Some(Value::Integer(n)) => return Ok(*n as u32),
        Some(Value::Number(n)) => Some(*n),
        Some(Value::String(s)) => lua.coerce_number(Value::String(s.clone()))?,
        _ => None,
    };
    match number {
        // The bits of the number after this addition are its value modulo 2^32, rounded to even.
        Some(n) => Ok((n + 6_755_399_441_055_744.0).to_bits() as u32),
        None => Err(bad_type(
            lua,
            index,
            function,
            "number",
            value.filter(|v| type_name(v) != "no value"),
        )),
    }
}
