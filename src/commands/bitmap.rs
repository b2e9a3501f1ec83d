//! Bitmap commands. Source: <https://upstash.com/docs/redis/commands/bitmap>.

use super::options::word_and;
use crate::{Args, Surface, ToArg};
use std::fmt;

/// Unit of a range in a bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitUnit {
    /// Positions count bytes: `BYTE`.
    Byte,
    /// Positions count bits: `BIT`.
    Bit,
}

impl ToArg for BitUnit {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Byte => "BYTE",
            Self::Bit => "BIT",
        }
        .write(a);
    }
}

/// Operation of [`BitmapCommands::bitop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitOp {
    /// Set in every source.
    And,
    /// Set in any source.
    Or,
    /// Set in an odd number of sources.
    Xor,
    /// Inverts the one source.
    Not,
    /// Set in the first and in none of the others.
    Diff,
    /// Set in any of the others and not in the first.
    Diff1,
    /// Set in the first and in any of the others.
    AndOr,
    /// Set in exactly one source.
    One,
}

impl ToArg for BitOp {
    fn write(&self, a: &mut Args) {
        match self {
            Self::And => "AND",
            Self::Or => "OR",
            Self::Xor => "XOR",
            Self::Not => "NOT",
            Self::Diff => "DIFF",
            Self::Diff1 => "DIFF1",
            Self::AndOr => "ANDOR",
            Self::One => "ONE",
        }
        .write(a);
    }
}

/// Width and sign of a field: `u1`–`u63`, `i1`–`i64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitEncoding {
    /// Signed, with this many bits.
    Signed(u8),
    /// Unsigned, with this many bits.
    Unsigned(u8),
}

impl fmt::Display for BitEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(bits) => write!(f, "i{bits}"),
            Self::Unsigned(bits) => write!(f, "u{bits}"),
        }
    }
}

impl ToArg for BitEncoding {
    fn write(&self, a: &mut Args) {
        self.to_string().write(a);
    }
}

/// Where a field begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitOffset {
    /// At this bit.
    Bit(u64),
    /// At this field, counted in the field's own width: `#n`.
    Field(u64),
}

impl ToArg for BitOffset {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Bit(n) => n.write(a),
            Self::Field(n) => format!("#{n}").write(a),
        }
    }
}

/// What happens when a field's number does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BitOverflow {
    /// Wraps around.
    Wrap,
    /// Stays at the smallest or largest number.
    Saturate,
    /// Changes nothing and gives `None`.
    Fail,
}

/// Operations of one [`BitmapCommands::bitfield`], in order.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct BitFieldOps(Vec<BitFieldOp>);

#[derive(Debug, Clone, Copy)]
enum BitFieldOp {
    Get(BitEncoding, BitOffset),
    Set(BitEncoding, BitOffset, i64),
    IncrBy(BitEncoding, BitOffset, i64),
    Overflow(BitOverflow),
}

impl BitFieldOps {
    /// No operation yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Reads a field.
    pub fn get(mut self, encoding: BitEncoding, offset: BitOffset) -> Self {
        self.0.push(BitFieldOp::Get(encoding, offset));
        self
    }
    /// Sets a field; gives the old number.
    pub fn set(mut self, encoding: BitEncoding, offset: BitOffset, value: i64) -> Self {
        self.0.push(BitFieldOp::Set(encoding, offset, value));
        self
    }
    /// Adds to a field; gives the new number.
    pub fn incrby(mut self, encoding: BitEncoding, offset: BitOffset, increment: i64) -> Self {
        self.0.push(BitFieldOp::IncrBy(encoding, offset, increment));
        self
    }
    /// Sets the overflow rule for the operations that follow.
    pub fn overflow(mut self, overflow: BitOverflow) -> Self {
        self.0.push(BitFieldOp::Overflow(overflow));
        self
    }
    fn write(&self, a: &mut Args) {
        for op in &self.0 {
            match *op {
                BitFieldOp::Get(encoding, offset) => {
                    word_and("GET", encoding, a);
                    offset.write(a);
                }
                BitFieldOp::Set(encoding, offset, value) => {
                    word_and("SET", encoding, a);
                    offset.write(a);
                    value.write(a);
                }
                BitFieldOp::IncrBy(encoding, offset, value) => {
                    word_and("INCRBY", encoding, a);
                    offset.write(a);
                    value.write(a);
                }
                BitFieldOp::Overflow(rule) => {
                    let word = match rule {
                        BitOverflow::Wrap => "WRAP",
                        BitOverflow::Saturate => "SAT",
                        BitOverflow::Fail => "FAIL",
                    };
                    word_and("OVERFLOW", word, a);
                }
            }
        }
    }
}

/// Bitmap commands.
pub trait BitmapCommands: Surface {
    /// `BITCOUNT`: how many bits are set.
    fn bitcount(self, key: impl ToArg) -> Self::Out<i64> {
        self.submit(command!("BITCOUNT").arg(key))
    }
    /// `BITCOUNT` in a range, both ends included; negative counts from the end.
    fn bitcount_range(self, key: impl ToArg, range: (i64, i64), unit: BitUnit) -> Self::Out<i64> {
        self.submit(
            command!("BITCOUNT")
                .arg(key)
                .arg(range.0)
                .arg(range.1)
                .arg(unit),
        )
    }
    /// `BITFIELD`: several field operations at once; a result for each.
    fn bitfield(self, key: impl ToArg, operations: BitFieldOps) -> Self::Out<Vec<Option<i64>>> {
        self.submit(command!("BITFIELD").arg(key).opt(|a| operations.write(a)))
    }
    /// `BITFIELD_RO`: reads several fields.
    fn bitfield_ro(
        self,
        key: impl ToArg,
        fields: impl IntoIterator<Item = (BitEncoding, BitOffset)>,
    ) -> Self::Out<Vec<i64>> {
        let fields = fields
            .into_iter()
            .fold(BitFieldOps::new(), |ops, (e, o)| ops.get(e, o));
        self.submit(command!("BITFIELD_RO").arg(key).opt(|a| fields.write(a)))
    }
    /// `BITOP`: combines sources into a destination; its length in bytes.
    fn bitop(
        self,
        op: BitOp,
        destination: impl ToArg,
        keys: impl IntoIterator<Item: ToArg>,
    ) -> Self::Out<i64> {
        self.submit(command!("BITOP").arg(op).arg(destination).args(keys))
    }
    /// `BITPOS`: the first bit that is set (`true`) or clear; -1 when there is none.
    fn bitpos(self, key: impl ToArg, bit: bool) -> Self::Out<i64> {
        self.submit(command!("BITPOS").arg(key).arg(i64::from(bit)))
    }
    /// `BITPOS` from a byte on; negative counts from the end.
    fn bitpos_from(self, key: impl ToArg, bit: bool, start: i64) -> Self::Out<i64> {
        self.submit(command!("BITPOS").arg(key).arg(i64::from(bit)).arg(start))
    }
    /// `BITPOS` in a range, both ends included.
    fn bitpos_range(
        self,
        key: impl ToArg,
        bit: bool,
        range: (i64, i64, BitUnit),
    ) -> Self::Out<i64> {
        let (start, end, unit) = range;
        self.submit(
            command!("BITPOS")
                .arg(key)
                .arg(i64::from(bit))
                .arg(start)
                .arg(end)
                .arg(unit),
        )
    }
    /// `GETBIT`: the bit at an offset.
    fn getbit(self, key: impl ToArg, offset: u64) -> Self::Out<bool> {
        self.submit(command!("GETBIT").arg(key).arg(offset))
    }
    /// `SETBIT`: sets or clears a bit; the old one.
    fn setbit(self, key: impl ToArg, offset: u64, value: bool) -> Self::Out<bool> {
        self.submit(
            command!("SETBIT")
                .arg(key)
                .arg(offset)
                .arg(i64::from(value)),
        )
    }
}

impl<S: Surface> BitmapCommands for S {}
