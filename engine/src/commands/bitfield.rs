//! BITFIELD: integers of any width inside a string.

use super::bitmap::{BAD_OFFSET, bit_at};
use super::string::LONGEST;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, NOT_INTEGER, SYNTAX};
use crate::parse;
use crate::reply::Reply;
use crate::text::Str;

/// The width and signedness of a bit field.
#[derive(Clone, Copy, Debug)]
struct Encoding {
    signed: bool,
    bits: u32,
}

impl Encoding {
    fn parse(text: &[u8]) -> Result<Self, Error> {
        const BAD: Error = Error::fixed(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        );
        let (signed, digits) = match text {
            [b'i' | b'I', rest @ ..] => (true, rest),
            [b'u' | b'U', rest @ ..] => (false, rest),
            _ => return Err(BAD),
        };
        let bits = parse::int_or(digits, BAD)?;
        let most = if signed { 64 } else { 63 };
        if !(1..=most).contains(&bits) {
            return Err(BAD);
        }
        let bits = bits as u32;
        Ok(Self { signed, bits })
    }

    fn min(self) -> i128 {
        if self.signed {
            -(1 << (self.bits - 1))
        } else {
            0
        }
    }

    fn max(self) -> i128 {
        (1 << (self.bits - u32::from(self.signed))) - 1
    }

    fn read(self, bytes: &[u8], at: u64) -> i64 {
        let raw = (at..at + u64::from(self.bits))
            .fold(0u64, |acc, bit| (acc << 1) | u64::from(bit_at(bytes, bit)));
        if self.signed && self.bits < 64 && raw >> (self.bits - 1) & 1 == 1 {
            (raw | (u64::MAX << self.bits)) as i64
        } else {
            raw as i64
        }
    }

    fn write(self, bytes: &mut [u8], at: u64, value: i64) {
        for bit in 0..u64::from(self.bits) {
            let on = (value as u64) >> (u64::from(self.bits) - 1 - bit) & 1 == 1;
            let place = at + bit;
            let mask = 1u8 << (7 - (place & 7));
            let byte = &mut bytes[(place >> 3) as usize];
            if on {
                *byte |= mask;
            } else {
                *byte &= !mask;
            }
        }
    }

    /// Brings a value into range; `None`: overflow that must fail.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        if (self.min()..=self.max()).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Fail => None,
            Overflow::Saturate if value < self.min() => Some(self.min() as i64),
            Overflow::Saturate => Some(self.max() as i64),
            Overflow::Wrap => {
                let low = (value as u64) & (u64::MAX >> (64 - self.bits));
                let negative = self.signed && low >> (self.bits - 1) & 1 == 1;
                Some(if negative && self.bits < 64 {
                    (low | (u64::MAX << self.bits)) as i64
                } else {
                    low as i64
                })
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, Debug)]
enum Access {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    encoding: Encoding,
    at: u64,
    access: Access,
}

fn field_offset(text: &[u8], encoding: Encoding) -> Result<u64, Error> {
    let (digits, unit) = match text {
        [b'#', rest @ ..] => (rest, i64::from(encoding.bits)),
        _ => (text, 1),
    };
    // As in Redis the product wraps around.
    let at = parse::int_or(digits, BAD_OFFSET)?.wrapping_mul(unit);
    let at = u64::try_from(at).map_err(|_| BAD_OFFSET)?;
    // As in Redis a field may reach a few bytes beyond the longest string.
    if at >> 3 >= LONGEST as u64 {
        return Err(BAD_OFFSET);
    }
    Ok(at)
}

fn operations(args: Args<'_>) -> Result<Vec<Operation>, Error> {
    let mut out = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut rest = &args[2..];
    loop {
        rest = match rest {
            [] => return Ok(out),
            [word, kind, at, tail @ ..] if parse::is(word, "GET") => {
                let encoding = Encoding::parse(kind)?;
                let at = field_offset(at, encoding)?;
                out.push(Operation {
                    encoding,
                    at,
                    access: Access::Get,
                });
                tail
            }
            [word, kind, at, value, tail @ ..]
                if parse::is(word, "SET") || parse::is(word, "INCRBY") =>
            {
                let encoding = Encoding::parse(kind)?;
                let at = field_offset(at, encoding)?;
                let value = parse::int_or(value, NOT_INTEGER)?;
                let access = if parse::is(word, "SET") {
                    Access::Set(value, overflow)
                } else {
                    Access::Add(value, overflow)
                };
                out.push(Operation {
                    encoding,
                    at,
                    access,
                });
                tail
            }
            [word, mode, tail @ ..] if parse::is(word, "OVERFLOW") => {
                overflow = if parse::is(mode, "WRAP") {
                    Overflow::Wrap
                } else if parse::is(mode, "SAT") {
                    Overflow::Saturate
                } else if parse::is(mode, "FAIL") {
                    Overflow::Fail
                } else {
                    return Err(Error::fixed("ERR Invalid OVERFLOW type specified"));
                };
                tail
            }
            _ => return Err(SYNTAX),
        };
    }
}

fn field_reads(ctx: &Ctx<'_>, key: &[u8], operations: &[Operation]) -> Outcome {
    let bytes = ctx.db.read::<Str>(key)?;
    let bytes = bytes.map_or(&[][..], |text| text);
    Ok(Reply::array(operations.iter().map(|operation| {
        Reply::Int(operation.encoding.read(bytes, operation.at))
    })))
}

fn bitfield(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let operations = operations(args)?;
    let writes = operations
        .iter()
        .filter(|operation| !matches!(operation.access, Access::Get));
    let Some(end) = writes
        .map(|operation| operation.at + u64::from(operation.encoding.bits) - 1)
        .max()
    else {
        return field_reads(ctx, args[1], &operations);
    };
    ctx.grow_string(args[1], (end >> 3) as usize + 1)?;
    let bytes = ctx.db.create::<Str>(args[1])?;
    let (replies, changed) = bytes.edit(|buffer| {
        let len = (end >> 3) as usize + 1;
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let mut changed = false;
        let mut apply = |operation: &Operation| {
            let Operation { encoding, at, .. } = *operation;
            let old = encoding.read(buffer, at);
            let (new, show_old, overflow) = match operation.access {
                Access::Get => return Reply::Int(old),
                // A negative value is a huge one to an unsigned field.
                Access::Set(value, overflow) if !encoding.signed => {
                    (i128::from(value as u64), true, overflow)
                }
                Access::Set(value, overflow) => (i128::from(value), true, overflow),
                Access::Add(by, overflow) => (i128::from(old) + i128::from(by), false, overflow),
            };
            let Some(new) = encoding.fit(new, overflow) else {
                return Reply::Nil;
            };
            encoding.write(buffer, at, new);
            changed = true;
            Reply::Int(if show_old { old } else { new })
        };
        let replies: Vec<Reply> = operations.iter().map(&mut apply).collect();
        (replies, changed)
    });
    if changed {
        ctx.db.notify(Event::STRING, "setbit", args[1]);
    }
    Ok(Reply::Array(replies))
}

fn bitfield_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let operations = operations(args)?;
    if operations
        .iter()
        .any(|operation| !matches!(operation.access, Access::Get))
    {
        return Err(Error::fixed(
            "ERR BITFIELD_RO only supports the GET subcommand",
        ));
    }
    field_reads(ctx, args[1], &operations)
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("BITFIELD", -2, Keys::ONE, Category::Bitmap, bitfield).denyoom(),
    Spec::read("BITFIELD_RO", -2, Keys::ONE, Category::Bitmap, bitfield_ro).fast(),
];

#[cfg(test)]
mod tests {
    use crate::{Engine, Reply};

    fn ints(values: &[i64]) -> Reply {
        Reply::array(values.iter().map(|&value| Reply::Int(value)))
    }

    #[test]
    fn bitfield_overflows_as_told() {
        let engine = Engine::default();
        let run = |mode: &str, value: &str| {
            engine.call(&["BITFIELD", "k", "OVERFLOW", mode, "SET", "u8", "0", value])
        };
        assert_eq!(run("SAT", "-1"), ints(&[0]));
        assert_eq!(run("WRAP", "257"), ints(&[255]));
        assert_eq!(run("FAIL", "300"), Reply::Array(vec![Reply::Nil]));
        assert_eq!(
            engine.call(&["BITFIELD", "k", "GET", "u8", "0"]),
            ints(&[1])
        );
        assert_eq!(
            engine.call(&[
                "BITFIELD", "k", "INCRBY", "i5", "#1", "-1", "GET", "i64", "0"
            ]),
            ints(&[3, 0x00c0_0000_0000_0000])
        );
    }
}
