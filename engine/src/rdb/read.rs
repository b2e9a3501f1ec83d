//! Reading a value.

use bytes::Bytes;

use super::listpack;
use super::stream::{Form, stream};
use super::{
    HASH, HASH_EXPIRY, HASH_LISTPACK, HASH_LISTPACK_EXPIRY, LIBRARY, LIST, LIST_QUICKLIST, OWN,
    SET, SET_INTSET, SET_LISTPACK, STREAM, STREAM_ACTIVE, STREAM_NUMBERS, STRING, ZSET,
    ZSET_LISTPACK, ZSET_TEXT, lzf,
};
use crate::encoding::{Reader, read_value};
use crate::hash::Hash;
use crate::json;
use crate::list::{End, List};
use crate::num;

use crate::set::Set;
use crate::value::{Typed, Value};
use crate::zset::ZSet;

/// The payload makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The most bytes that the compressed strings of a payload may claim to be.
const MOST_UNFOLDED: usize = 512 << 20;

/// Takes a payload apart; never reads past the end. Knows how much may yet be unfolded.
pub(super) struct Input<'a>(&'a [u8], usize);

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// A length, or the number of a special string encoding.
    fn length_or_encoding(&mut self) -> Result<(u64, bool), Malformed> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => (u64::from(first), false),
            1 => (
                (u64::from(first & 0x3f) << 8) | u64::from(self.byte()?),
                false,
            ),
            2 if first == 0x80 => (u64::from(u32::from_be_bytes(self.array()?)), false),
            2 if first == 0x81 => (u64::from_be_bytes(self.array()?), false),
            3 => (u64::from(first & 0x3f), true),
            _ => return Err(Malformed),
        })
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        match self.length_or_encoding()? {
            (number, false) => Ok(number),
            _ => Err(Malformed),
        }
    }

    /// A count of elements that take at least one byte each.
    pub(super) fn count_or_none(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        (count <= self.0.len()).then_some(count).ok_or(Malformed)
    }

    /// The same, and never zero.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.count_or_none()?;
        (count > 0).then_some(count).ok_or(Malformed)
    }

    /// Counts what becomes larger than it is written.
    pub(super) fn unfold(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.1 = self.1.checked_sub(bytes).ok_or(Malformed)?;
        Ok(())
    }

    pub(super) fn string(&mut self) -> Result<Bytes, Malformed> {
        let integer = |value: i64| Bytes::from(itoa::Buffer::new().format(value).to_owned());
        match self.length_or_encoding()? {
            (len, false) => {
                let len = usize::try_from(len).map_err(|_| Malformed)?;
                self.take(len).map(Bytes::copy_from_slice)
            }
            (0, true) => Ok(integer(i64::from(i8::from_le_bytes(self.array()?)))),
            (1, true) => Ok(integer(i64::from(i16::from_le_bytes(self.array()?)))),
            (2, true) => Ok(integer(i64::from(i32::from_le_bytes(self.array()?)))),
            (3, true) => {
                let size = |number: u64| usize::try_from(number).map_err(|_| Malformed);
                let (packed, len) = (size(self.number()?)?, size(self.number()?)?);
                self.unfold(len)?;
                lzf::decompress(self.take(packed)?, len)
                    .map(Bytes::from)
                    .ok_or(Malformed)
            }
            _ => Err(Malformed),
        }
    }

    /// The elements of a listpack inside a string, in groups of `group`.
    fn listpack(&mut self, group: usize) -> Result<Vec<Bytes>, Malformed> {
        let elements = listpack::elements(&self.string()?)?;
        if elements.is_empty() || !elements.len().is_multiple_of(group) {
            return Err(Malformed);
        }
        Ok(elements)
    }

    /// A score as text with its length, or one of three special lengths.
    fn score_text(&mut self) -> Result<f64, Malformed> {
        match self.byte()? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => Err(Malformed),
            len => score(self.take(usize::from(len))?),
        }
    }
}

fn score(text: &[u8]) -> Result<f64, Malformed> {
    num::parse_f64(text).ok_or(Malformed)
}

pub(super) fn value(bytes: &[u8], now: u64, most: usize) -> Result<Value, Malformed> {
    let mut input = Input(bytes, most.min(MOST_UNFOLDED));
    let value = match input.byte()? {
        STRING => Value::Str(input.string()?.into()),
        LIST => list(&mut input)?.into_value(),
        LIST_QUICKLIST => quicklist(&mut input)?.into_value(),
        SET => set(&mut input)?.into_value(),
        SET_INTSET => {
            let mut set = Set::default();
            for member in listpack::integers(&input.string()?)? {
                set.insert(itoa::Buffer::new().format(member).as_bytes());
            }
            set.into_value()
        }
        SET_LISTPACK => {
            let mut set = Set::default();
            for member in input.listpack(1)? {
                set.insert(&member);
            }
            set.into_value()
        }
        kind @ (ZSET | ZSET_TEXT) => zset(&mut input, kind == ZSET)?.into_value(),
        ZSET_LISTPACK => {
            let mut zset = ZSet::default();
            for pair in input.listpack(2)?.chunks_exact(2) {
                zset.insert(&pair[0], score(&pair[1])?);
            }
            zset.into_value()
        }
        HASH => hash(&mut input, None, now)?.into_value(),
        HASH_EXPIRY => {
            let soonest = u64::from_le_bytes(input.array()?);
            hash(&mut input, Some(soonest), now)?.into_value()
        }
        HASH_LISTPACK => {
            let mut hash = Hash::default();
            for pair in input.listpack(2)?.chunks_exact(2) {
                hash.set(&pair[0], &pair[1]);
            }
            hash.into_value()
        }
        HASH_LISTPACK_EXPIRY => {
            input.array::<8>()?;
            let mut hash = Hash::default();
            for triple in input.listpack(3)?.chunks_exact(3) {
                let expiry = num::parse_i64(&triple[2])
                    .and_then(|at| u64::try_from(at).ok())
                    .ok_or(Malformed)?;
                put_field(&mut hash, &triple[0], &triple[1], expiry, now);
            }
            hash.into_value()
        }
        kind @ (STREAM | STREAM_NUMBERS | STREAM_ACTIVE) => {
            let form = Form {
                numbers: kind != STREAM,
                active: kind == STREAM_ACTIVE,
            };
            Value::Stream(Box::new(stream(&mut input, form)?))
        }
        OWN => {
            if json::most_bytes(input.0) > most {
                return Err(Malformed);
            }
            let mut reader = Reader::new(Bytes::copy_from_slice(input.0));
            let value = read_value(&mut reader).map_err(|_| Malformed)?;
            input.0 = if reader.is_empty() { &[] } else { input.0 };
            value
        }
        _ => return Err(Malformed),
    };
    if !input.0.is_empty() {
        return Err(Malformed);
    }
    Ok(value)
}

pub(super) fn libraries(bytes: &[u8], most: usize) -> Result<Vec<Bytes>, Malformed> {
    let mut input = Input(bytes, most.min(MOST_UNFOLDED));
    let mut codes = Vec::new();
    while !input.0.is_empty() {
        if input.byte()? != LIBRARY {
            return Err(Malformed);
        }
        codes.push(input.string()?);
    }
    Ok(codes)
}

fn put_field(hash: &mut Hash, field: &[u8], value: &[u8], expiry: u64, now: u64) {
    if expiry != 0 && expiry <= now {
        return;
    }
    hash.set(field, value);
    if expiry != 0 {
        hash.set_expiry(field, Some(expiry));
    }
}

fn list(input: &mut Input<'_>) -> Result<List, Malformed> {
    let mut list = List::default();
    for _ in 0..input.count()? {
        list.push(End::Right, &input.string()?);
    }
    Ok(list)
}

fn quicklist(input: &mut Input<'_>) -> Result<List, Malformed> {
    const PLAIN: u64 = 1;
    const PACKED: u64 = 2;
    let mut list = List::default();
    for _ in 0..input.count()? {
        match input.number()? {
            PLAIN => list.push(End::Right, &input.string()?),
            PACKED => {
                for item in input.listpack(1)? {
                    list.push(End::Right, &item);
                }
            }
            _ => return Err(Malformed),
        }
    }
    Ok(list)
}

fn set(input: &mut Input<'_>) -> Result<Set, Malformed> {
    let mut set = Set::default();
    for _ in 0..input.count()? {
        set.insert(&input.string()?);
    }
    Ok(set)
}

fn zset(input: &mut Input<'_>, binary: bool) -> Result<ZSet, Malformed> {
    let mut zset = ZSet::default();
    for _ in 0..input.count()? {
        let member = input.string()?;
        let score = if binary {
            f64::from_le_bytes(input.array()?)
        } else {
            input.score_text()?
        };
        if score.is_nan() {
            return Err(Malformed);
        }
        zset.insert(&member, score);
    }
    Ok(zset)
}

/// A hash; with the soonest expiry each field is preceded by its own, relative to that, plus one.
fn hash(input: &mut Input<'_>, soonest: Option<u64>, now: u64) -> Result<Hash, Malformed> {
    let mut hash = Hash::default();
    for _ in 0..input.count()? {
        let expiry = match soonest {
            None => 0,
            Some(soonest) => match input.number()? {
                0 => 0,
                relative => soonest.checked_add(relative - 1).ok_or(Malformed)?,
            },
        };
        let (field, value) = (input.string()?, input.string()?);
        put_field(&mut hash, &field, &value, expiry, now);
    }
    Ok(hash)
}
