//! Bitmaps: strings seen as bits, the first bit being the highest of the first byte.

use bytes::Bytes;

use super::string::LONGEST;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::parse;
use crate::reply::Reply;
use crate::text::Str;
use crate::value::Value;

pub(super) const BAD_OFFSET: Error =
    Error::fixed("ERR bit offset is not an integer or out of range");
const BAD_BIT: Error = Error::fixed("ERR bit is not an integer or out of range");

/// A bit's position.
pub(super) fn offset(text: &[u8]) -> Result<u64, Error> {
    let at = parse::int_or(text, BAD_OFFSET)?;
    u64::try_from(at)
        .ok()
        .filter(|at| at >> 3 < LONGEST as u64)
        .ok_or(BAD_OFFSET)
}

pub(super) fn bit_at(bytes: &[u8], at: u64) -> bool {
    bytes
        .get((at >> 3) as usize)
        .is_some_and(|byte| byte >> (7 - (at & 7)) & 1 == 1)
}

/// Bytes of all sources that BITOP works on between two looks at what it may still do.
const BLOCK: usize = 1 << 16;

fn setbit(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let at = offset(args[2])?;
    let on = match parse::int_or(args[3], BAD_BIT)? {
        0 => false,
        1 => true,
        _ => return Err(BAD_BIT),
    };
    let byte = (at >> 3) as usize;
    let mask = 1u8 << (7 - (at & 7));
    ctx.grow_string(args[1], byte + 1)?;
    let bytes = ctx.db.create::<Str>(args[1])?;
    let old = bytes.edit(|buffer| {
        if buffer.len() <= byte {
            buffer.resize(byte + 1, 0);
        }
        let old = buffer[byte] & mask != 0;
        if on {
            buffer[byte] |= mask;
        } else {
            buffer[byte] &= !mask;
        }
        old
    });
    ctx.db.notify(Event::STRING, "setbit", args[1]);
    Ok(Reply::bool(old))
}

fn getbit(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let at = offset(args[2])?;
    let bit = ctx
        .db
        .read::<Str>(args[1])?
        .is_some_and(|bytes| bit_at(bytes, at));
    Ok(Reply::bool(bit))
}

/// A range of bits from start, end and unit arguments; `None`: empty.
fn bit_range(start: i64, end: i64, bits: bool, len: usize) -> Option<(u64, u64)> {
    let size = (len as i64) * if bits { 8 } else { 1 };
    let clamp = |at: i64| {
        if at < 0 {
            at.saturating_add(size).max(0)
        } else {
            at
        }
    };
    let (start, end) = (clamp(start), clamp(end).min(size - 1));
    if start > end {
        return None;
    }
    let (start, end) = (start as u64, end as u64);
    Some(if bits {
        (start, end)
    } else {
        (start * 8, end * 8 + 7)
    })
}

fn unit(text: &[u8]) -> Result<bool, Error> {
    if parse::is(text, "BIT") {
        Ok(true)
    } else if parse::is(text, "BYTE") {
        Ok(false)
    } else {
        Err(SYNTAX)
    }
}

fn bitcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let range = match args {
        [_, _] => None,
        [_, _, start, end] => Some((parse::int(start)?, parse::int(end)?, false)),
        [_, _, start, end, word] => {
            let (start, end) = (parse::int(start)?, parse::int(end)?);
            Some((start, end, unit(word)?))
        }
        _ => return Err(SYNTAX),
    };
    let Some(bytes) = ctx.db.read::<Str>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let (start, end, bits) = range.unwrap_or((0, -1, false));
    if start < 0 && end < 0 && start > end {
        return Ok(Reply::Int(0));
    }
    let Some((first, last)) = bit_range(start, end, bits, bytes.len()) else {
        return Ok(Reply::Int(0));
    };
    let (low, high) = ((first >> 3) as usize, (last >> 3) as usize);
    let mut count: u64 = bytes[low..=high]
        .iter()
        .map(|byte| u64::from(byte.count_ones()))
        .sum();
    let before = bytes[low] & !(0xff >> (first & 7));
    let after = (u16::from(bytes[high]) & (0xff >> ((last & 7) + 1))) as u8;
    count -= u64::from(before.count_ones() + after.count_ones());
    Ok(Reply::Int(count as i64))
}

fn bitpos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let wanted = match parse::int(args[2])? {
        0 => false,
        1 => true,
        _ => return Err(Error::fixed("ERR The bit argument must be 1 or 0.")),
    };
    let (start, end, bits) = match &args[3..] {
        [] => (0, None, false),
        [start] => (parse::int(start)?, None, false),
        [start, end] => (parse::int(start)?, Some(parse::int(end)?), false),
        [start, end, word] => {
            let start = parse::int(start)?;
            let bits = unit(word)?;
            (start, Some(parse::int(end)?), bits)
        }
        _ => return Err(SYNTAX),
    };
    let Some(bytes) = ctx.db.read::<Str>(args[1])? else {
        return Ok(Reply::Int(if wanted { -1 } else { 0 }));
    };
    let Some((first, last)) = bit_range(start, end.unwrap_or(-1), bits, bytes.len()) else {
        return Ok(Reply::Int(-1));
    };
    let uniform = if wanted { 0x00 } else { 0xff };
    let mut at = first;
    while at <= last {
        let byte = bytes[(at >> 3) as usize];
        if at.is_multiple_of(8) && byte == uniform {
            at += 8;
            continue;
        }
        if bit_at(bytes, at) == wanted {
            return Ok(Reply::Int(at as i64));
        }
        at += 1;
    }
    // Without an end a string is followed by endless zeros.
    Ok(Reply::Int(if !wanted && end.is_none() {
        bytes.len() as i64 * 8
    } else {
        -1
    }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    And,
    Or,
    Xor,
    Not,
    Diff,
    Diff1,
    AndOr,
    One,
}

impl Op {
    const ALL: [(&'static str, Self); 8] = [
        ("AND", Self::And),
        ("OR", Self::Or),
        ("XOR", Self::Xor),
        ("NOT", Self::Not),
        ("DIFF", Self::Diff),
        ("DIFF1", Self::Diff1),
        ("ANDOR", Self::AndOr),
        ("ONE", Self::One),
    ];

    /// Combines the bytes of all sources at one place.
    fn combine(self, first: u8, rest: impl Iterator<Item = u8>) -> u8 {
        match self {
            Self::Not => !first,
            Self::And => rest.fold(first, |acc, byte| acc & byte),
            Self::Or => rest.fold(first, |acc, byte| acc | byte),
            Self::Xor => rest.fold(first, |acc, byte| acc ^ byte),
            Self::Diff => first & !rest.fold(0, |acc, byte| acc | byte),
            Self::Diff1 => !first & rest.fold(0, |acc, byte| acc | byte),
            Self::AndOr => first & rest.fold(0, |acc, byte| acc | byte),
            Self::One => {
                let (once, twice) = rest.fold((first, 0), |(once, twice), byte| {
                    (once | byte, twice | (once & byte))
                });
                once & !twice
            }
        }
    }
}

fn bitop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (name, op) = Op::ALL
        .into_iter()
        .find(|(name, _)| parse::is(args[1], name))
        .ok_or(SYNTAX)?;
    let (dest, keys) = (args[2], &args[3..]);
    if op == Op::Not && keys.len() != 1 {
        return Err(Error::fixed(
            "ERR BITOP NOT must be called with a single source key.",
        ));
    }
    if matches!(op, Op::Diff | Op::Diff1 | Op::AndOr) && keys.len() < 2 {
        return Err(Error::new(format!(
            "ERR BITOP {name} must be called with at least two source keys."
        )));
    }
    let mut sources = Vec::with_capacity(keys.len());
    for key in keys {
        sources.push(
            ctx.db
                .read::<Str>(key)?
                .map(Str::to_bytes)
                .unwrap_or_default(),
        );
    }
    let len = sources.iter().map(Bytes::len).max().unwrap_or(0);
    ctx.make_room(len)?;
    let byte = |source: &Bytes, at: usize| source.get(at).copied().unwrap_or(0);
    let mut result = Vec::with_capacity(len);
    let block = (BLOCK / sources.len().max(1)).max(1);
    while result.len() < len {
        let block = result.len()..len.min(result.len() + block);
        ctx.side.budget.spend(block.len() * sources.len())?;
        result.extend(block.map(|at| {
            let rest = sources[1..].iter().map(|source| byte(source, at));
            op.combine(byte(&sources[0], at), rest)
        }));
    }
    if len == 0 {
        if ctx.db.remove(dest) {
            ctx.db.notify(Event::GENERIC, "del", dest);
        }
    } else {
        ctx.db.put(dest, Value::Str(result.into()));
        ctx.db.notify(Event::STRING, "set", dest);
    }
    Ok(Reply::len(len))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("BITCOUNT", -2, Keys::ONE, Category::Bitmap, bitcount),
    Spec::write(
        "BITOP",
        -4,
        Keys::Range {
            first: 2,
            last: -1,
            step: 1,
        },
        Category::Bitmap,
        bitop,
    )
    .denyoom(),
    Spec::read("BITPOS", -3, Keys::ONE, Category::Bitmap, bitpos),
    Spec::read("GETBIT", 3, Keys::ONE, Category::Bitmap, getbit).fast(),
    Spec::write("SETBIT", 4, Keys::ONE, Category::Bitmap, setbit).denyoom(),
];

#[cfg(test)]
mod tests {
    use crate::{Engine, Reply};

    #[test]
    fn bitop_knows_the_newer_operations() {
        let engine = Engine::default();
        engine.call(&["MSET", "a", "\x3c", "b", "\x0f", "c", "\x11"]);
        for (op, wanted) in [
            ("DIFF", 0x20),
            ("DIFF1", 0x03),
            ("ANDOR", 0x1c),
            ("ONE", 0x22),
            ("XOR", 0x22),
        ] {
            assert_eq!(
                engine.call(&["BITOP", op, "d", "a", "b", "c"]),
                Reply::Int(1)
            );
            assert_eq!(engine.call(&["GET", "d"]), Reply::bulk([wanted]), "{op}");
        }
    }

    #[test]
    fn bitpos_looks_past_the_end_for_zero_only_without_an_end() {
        let engine = Engine::default();
        engine.call(&["BITFIELD", "k", "SET", "u8", "0", "255"]);
        assert_eq!(engine.call(&["BITPOS", "k", "0"]), Reply::Int(8));
        assert_eq!(
            engine.call(&["BITPOS", "k", "0", "0", "-1"]),
            Reply::Int(-1)
        );
        assert_eq!(
            engine.call(&["BITPOS", "k", "1", "2", "3", "BIT"]),
            Reply::Int(2)
        );
    }

    #[test]
    fn bitcount_counts_parts_of_bytes() {
        let engine = Engine::default();
        engine.call(&["SET", "k", "foobar"]);
        assert_eq!(engine.call(&["BITCOUNT", "k"]), Reply::Int(26));
        assert_eq!(engine.call(&["BITCOUNT", "k", "1", "1"]), Reply::Int(6));
        assert_eq!(
            engine.call(&["BITCOUNT", "k", "5", "30", "BIT"]),
            Reply::Int(17)
        );
    }
}
