//! Sets of byte strings.

mod ints;

use bytes::Bytes;

use crate::dict::{Dict, Positions, Rng};
use crate::either::Either;
use crate::num;
use crate::packed::{self, Element, Packed};
use crate::text::Text;
use ints::Ints;

/// The most members of a set of integers in one buffer.
const INTS: usize = 512;
/// The most members of a packed set.
const MEMBERS: usize = 128;
/// The longest member of a packed set.
const LONGEST: usize = 64;

/// The value behind a set key.
///
/// A small one is packed, or sorted integers if it has no other members. One that has grown out of
/// that stays a table.
#[derive(Clone, Debug)]
pub(crate) struct Set(Form);

#[derive(Clone, Debug)]
enum Form {
    Ints(Ints),
    Packed(Packed),
    Table(Box<Dict<()>>),
}

impl Default for Set {
    fn default() -> Self {
        Self(Form::Ints(Ints::default()))
    }
}

impl Set {
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.len(),
            Form::Packed(packed) => packed.len(),
            Form::Table(table) => table.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name that Redis has for its form.
    pub(crate) const fn encoding(&self) -> &'static str {
        match self.0 {
            Form::Ints(_) => "intset",
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Form::Ints(ints) => num::parse_i64(member).is_some_and(|value| ints.contains(value)),
            Form::Packed(packed) => {
                member.len() <= LONGEST && packed.find(&Element::new(member), 1).is_some()
            }
            Form::Table(table) => table.contains(member),
        }
    }

    /// Adds a member; `true`: it is new.
    pub(crate) fn insert(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Form::Ints(ints) => {
                let value = num::parse_i64(member);
                if let Some(value) = value
                    && (ints.len() < INTS || ints.contains(value))
                {
                    return ints.insert(value);
                }
                if value.is_none() && ints.len() < MEMBERS && member.len() <= LONGEST {
                    self.pack();
                } else {
                    self.tabulate();
                }
                self.insert(member)
            }
            Form::Packed(packed) => {
                let element = Element::new(member);
                if member.len() <= LONGEST && packed.find(&element, 1).is_some() {
                    return false;
                }
                if packed.len() < MEMBERS && member.len() <= LONGEST {
                    packed.push_back(&element);
                    return true;
                }
                self.tabulate();
                self.insert(member)
            }
            Form::Table(table) => table.insert(member, ()).1.is_none(),
        }
    }

    fn pack(&mut self) {
        let mut packed = Packed::default();
        for member in self.iter() {
            packed.push_back(&Element::new(&member));
        }
        self.0 = Form::Packed(packed);
    }

    fn tabulate(&mut self) {
        let mut table = Dict::default();
        for member in self.iter() {
            table.insert_new(&member, ());
        }
        self.0 = Form::Table(Box::new(table));
    }

    /// Removes a member; `true`: it was there.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Form::Ints(ints) => num::parse_i64(member).is_some_and(|value| ints.remove(value)),
            Form::Packed(packed) => {
                let at = (member.len() <= LONGEST)
                    .then(|| packed.find(&Element::new(member), 1))
                    .flatten();
                if let Some(at) = at {
                    packed.remove(at, 1);
                }
                at.is_some()
            }
            Form::Table(table) => table.remove(member).is_some(),
        }
    }

    /// Removes and returns the members at these positions.
    pub(crate) fn take(&mut self, positions: &[u32]) -> Vec<Bytes> {
        if let Form::Table(table) = &mut self.0 {
            let taken = positions.iter().filter_map(|&at| table.remove_at(at));
            return taken.map(|(member, ())| member.into()).collect();
        }
        let taken: Vec<Bytes> = positions
            .iter()
            .filter_map(|&at| self.get(at).map(|member| member.to_bytes()))
            .collect();
        for member in &taken {
            self.remove(member);
        }
        taken
    }

    /// The member at a position.
    pub(crate) fn get(&self, at: u32) -> Option<Text<'_>> {
        match &self.0 {
            Form::Ints(ints) => ints.get(at as usize).map(Text::of_int),
            Form::Packed(packed) => {
                let at = packed.nth(at as usize);
                (at < packed.end()).then(|| packed.text(at))
            }
            Form::Table(table) => table.key(at).map(Text::Slice),
        }
    }

    /// Members in the order of their positions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Text<'_>> {
        match &self.0 {
            Form::Ints(ints) => Either::Left(ints.iter().map(Text::of_int)),
            Form::Packed(packed) => Either::Right(Either::Left(packed.iter())),
            Form::Table(table) => Either::Right(Either::Right(table.keys().map(Text::Slice))),
        }
    }

    /// Visits members from a cursor on as [`Dict::scan`] does, those of a small set all at once.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        steps: usize,
        mut visit: impl FnMut(Text<'_>) -> bool,
    ) -> u64 {
        if let Form::Table(table) = &self.0 {
            return table.scan(cursor, steps, |_, member, ()| visit(Text::Slice(member)));
        }
        for member in self.iter() {
            visit(member);
        }
        0
    }

    /// Roughly the bytes behind this.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.weight(),
            Form::Packed(packed) => packed.weight(),
            Form::Table(table) => size_of::<Dict<()>>() + table.weight(),
        }
    }
}

impl Positions for Set {
    fn len(&self) -> usize {
        self.len()
    }

    fn random(&self, rng: &mut Rng) -> Option<u32> {
        match &self.0 {
            Form::Table(table) => table.random(rng),
            Form::Ints(_) | Form::Packed(_) => packed::random(self.len(), rng),
        }
    }

    fn all(&self) -> Vec<u32> {
        match &self.0 {
            Form::Table(table) => table.all(),
            Form::Ints(_) | Form::Packed(_) => (0..self.len() as u32).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
