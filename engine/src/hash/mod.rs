//! Hashes: fields with values, each of which may have an expiry.

mod table;

use bytes::Bytes;

use crate::dict::{Positions, Rng};
use crate::either::Either;
use crate::packed::{Element, Packed};
use crate::text::{Str, Text};
use table::Table;

/// The most fields of a packed hash.
const FIELDS: usize = 128;
/// The longest field and value of a packed hash.
const LONGEST: usize = 64;

/// The value behind a hash key.
///
/// A small one is packed: fields and values in turn. One that has grown out of that, or has fields
/// that expire, stays a table.
#[derive(Clone, Debug)]
pub(crate) struct Hash(Form);

#[derive(Clone, Debug)]
enum Form {
    Packed(Packed),
    Table(Box<Table>),
}

impl Default for Hash {
    fn default() -> Self {
        Self(Form::Packed(Packed::default()))
    }
}

/// The offset of a field.
fn find(packed: &Packed, field: &[u8]) -> Option<usize> {
    if field.len() > LONGEST {
        return None;
    }
    packed.find(&Element::new(field), 2)
}

impl Hash {
    /// What the expiry of a field takes.
    pub(crate) const PER_EXPIRY: usize = table::PER_EXPIRY;

    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.len() / 2,
            Form::Table(table) => table.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) const fn is_packed(&self) -> bool {
        matches!(self.0, Form::Packed(_))
    }

    pub(crate) fn get(&self, field: &[u8]) -> Option<Text<'_>> {
        match &self.0 {
            Form::Packed(packed) => find(packed, field).map(|at| packed.text(packed.after(at))),
            Form::Table(table) => table.get(field).map(Str::text),
        }
    }

    pub(crate) fn contains(&self, field: &[u8]) -> bool {
        match &self.0 {
            Form::Packed(packed) => find(packed, field).is_some(),
            Form::Table(table) => table.contains(field),
        }
    }

    /// Sets a field and forgets its expiry; `true`: the field is new.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        match &mut self.0 {
            Form::Packed(packed) => match set_packed(packed, field, value) {
                Some(new) => new,
                None => self.table().set(field, value.into()),
            },
            Form::Table(table) => table.set(field, value.into()),
        }
    }

    /// Sets a field and leaves its expiry as it is; `true`: the field is new.
    pub(crate) fn set_keep_expiry(&mut self, field: &[u8], value: &[u8]) -> bool {
        match &mut self.0 {
            Form::Packed(_) => self.set(field, value),
            Form::Table(table) => table.set_keep_expiry(field, value.into()),
        }
    }

    /// The table, which a packed hash becomes.
    fn table(&mut self) -> &mut Table {
        if let Form::Packed(packed) = &self.0 {
            let mut table = Table::default();
            for (field, value) in pairs(packed) {
                table.set(&field, (*value).into());
            }
            self.0 = Form::Table(Box::new(table));
        }
        match &mut self.0 {
            Form::Table(table) => table,
            Form::Packed(_) => unreachable!("it has become a table"),
        }
    }

    pub(crate) fn remove(&mut self, field: &[u8]) -> Option<Bytes> {
        match &mut self.0 {
            Form::Packed(packed) => {
                let at = find(packed, field)?;
                let value = packed.text(packed.after(at)).to_bytes();
                packed.remove(at, 2);
                Some(value)
            }
            Form::Table(table) => table.remove(field).map(Str::into_bytes),
        }
    }

    /// Fields and values in the order of their positions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
        self.iter_with_expiry()
            .map(|(field, value, _)| (field, value))
    }

    /// Fields, values and expiries (0: none) in the order of their positions.
    pub(crate) fn iter_with_expiry(&self) -> impl Iterator<Item = (Text<'_>, Text<'_>, u64)> {
        match &self.0 {
            Form::Packed(packed) => {
                Either::Left(pairs(packed).map(|(field, value)| (field, value, 0)))
            }
            Form::Table(table) => Either::Right(
                table
                    .iter_with_expiry()
                    .map(|(field, value, due)| (Text::Slice(field), value.text(), due)),
            ),
        }
    }

    /// Field and value at a position.
    pub(crate) fn entry(&self, at: u32) -> Option<(Text<'_>, Text<'_>)> {
        match &self.0 {
            Form::Packed(packed) => {
                let at = packed.nth(at as usize * 2);
                (at < packed.end()).then(|| (packed.text(at), packed.text(packed.after(at))))
            }
            Form::Table(table) => table
                .dict()
                .entry(at)
                .map(|(field, value)| (Text::Slice(field), value.text())),
        }
    }

    /// Visits fields and values from a cursor on as [`crate::dict::Dict::scan`] does, those of a
    /// packed hash all at once.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        steps: usize,
        mut visit: impl FnMut(Text<'_>, Text<'_>) -> bool,
    ) -> u64 {
        match &self.0 {
            Form::Packed(packed) => {
                for (field, value) in pairs(packed) {
                    visit(field, value);
                }
                0
            }
            Form::Table(table) => table.dict().scan(cursor, steps, |_, field, value| {
                visit(Text::Slice(field), value.text())
            }),
        }
    }

    /// When a field expires, in Unix milliseconds.
    pub(crate) fn expiry(&self, field: &[u8]) -> Option<u64> {
        match &self.0 {
            Form::Packed(_) => None,
            Form::Table(table) => table.expiry(field),
        }
    }

    /// Sets or clears the expiry of an existing field.
    pub(crate) fn set_expiry(&mut self, field: &[u8], at_ms: Option<u64>) {
        if !self.is_packed() || at_ms.is_some() {
            self.table().set_expiry(field, at_ms);
        }
    }

    /// When the next field expires.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        match &self.0 {
            Form::Packed(_) => None,
            Form::Table(table) => table.next_expiry(),
        }
    }

    /// Removes fields that are due, at most `limit`; returns how many.
    pub(crate) fn expire(&mut self, now: u64, limit: usize) -> usize {
        match &mut self.0 {
            Form::Packed(_) => 0,
            Form::Table(table) => table.expire(now, limit),
        }
    }

    /// Roughly the bytes behind this.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.weight(),
            Form::Table(table) => table.weight(),
        }
    }
}

impl Positions for Hash {
    fn len(&self) -> usize {
        self.len()
    }

    fn random(&self, rng: &mut Rng) -> Option<u32> {
        match &self.0 {
            Form::Packed(_) => crate::packed::random(self.len(), rng),
            Form::Table(table) => table.dict().random(rng),
        }
    }

    fn all(&self) -> Vec<u32> {
        match &self.0 {
            Form::Packed(_) => (0..self.len() as u32).collect(),
            Form::Table(table) => table.dict().all(),
        }
    }
}

fn pairs(packed: &Packed) -> impl Iterator<Item = (Text<'_>, Text<'_>)> {
    let mut texts = packed.iter();
    std::iter::from_fn(move || texts.next().zip(texts.next()))
}

/// Sets a field if the hash stays packed; `true`: the field is new.
fn set_packed(packed: &mut Packed, field: &[u8], value: &[u8]) -> Option<bool> {
    if field.len() > LONGEST || value.len() > LONGEST {
        return None;
    }
    let (field, value) = (Element::new(field), Element::new(value));
    if let Some(at) = packed.find(&field, 2) {
        packed.replace(packed.after(at), &value);
        return Some(false);
    }
    if packed.len() / 2 >= FIELDS {
        return None;
    }
    packed.push_back(&field);
    packed.push_back(&value);
    Some(true)
}

#[cfg(test)]
mod tests;
