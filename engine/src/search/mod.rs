//! Search: inverted indexes over keys, queried by JSON filters.
//!
//! The keyspace tells the registry which keys were written; an index looks at them before it is
//! used the next time. So writes stay cheap, and a query sees everything written before it. Keys
//! that are removed leave the index at once, because they may be evicted to make room.

mod aggregate;
mod buckets;
mod composite;
mod date;
mod eval;
mod filter;
mod index;
mod operand;
mod pending;
mod postings;
mod query;
mod retriever;
mod schema;
mod terms;
#[cfg(test)]
mod tests;
mod text;
mod ties;

use std::collections::BTreeMap;

use bytes::Bytes;

pub(crate) use aggregate::aggregate;
pub(crate) use eval::Matches;
pub(crate) use index::{Doc, Index, entry_of, field_of};
pub(crate) use operand::invalid;
pub(crate) use query::Query;
pub(crate) use retriever::{Retriever, Rrf};
pub(crate) use schema::{Definition, Field, Kind, Source, Value, at_path};
pub(crate) use text::LANGUAGES;

use crate::budget::Budget;
use crate::error::Error;
use crate::value::Value as Stored;

/// What an alias takes besides its two names.
const ALIAS: usize = 128;

/// What an index is filled from: the keys of a database.
pub(crate) trait Documents {
    /// The value of a key that is there.
    fn value(&self, key: &[u8]) -> Option<&Stored>;

    /// Visits every key.
    fn each_key(&self, visit: &mut dyn FnMut(&[u8]));
}

/// The indexes of a database and their aliases.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    indexes: BTreeMap<Bytes, Index>,
    aliases: BTreeMap<Bytes, Bytes>,
    /// Roughly the bytes definitions and aliases take.
    defined: usize,
}

impl Registry {
    /// Whether there is an index.
    pub(crate) fn is_defined(&self) -> bool {
        !self.indexes.is_empty()
    }

    /// Notes that a key was written.
    pub(crate) fn note(&mut self, key: &[u8]) {
        for index in self.indexes.values_mut() {
            index.note(key);
        }
    }

    /// Forgets a key that was removed, or replaced by what is noted next.
    pub(crate) fn forget(&mut self, key: &[u8]) {
        for index in self.indexes.values_mut() {
            index.forget(key);
        }
    }

    /// Roughly the bytes all indexes take.
    pub(crate) fn weight(&self) -> usize {
        self.defined + self.indexes.values().map(Index::weight).sum::<usize>()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = (&Bytes, &Index)> {
        self.indexes.iter()
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.indexes.contains_key(name)
    }

    /// Whether an alias has this name.
    pub(crate) fn has_alias(&self, name: &[u8]) -> bool {
        self.aliases.contains_key(name)
    }

    pub(crate) fn aliases(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.aliases.iter()
    }

    /// The name of the index a name or an alias stands for.
    pub(crate) fn resolve(&self, name: &[u8]) -> Option<Bytes> {
        let name = self.aliases.get(name).map_or(name, |target| target);
        self.indexes
            .get_key_value(name)
            .map(|(name, _)| name.clone())
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Index> {
        self.indexes.get(name)
    }

    /// The index with everything in it that was written so far; fails if that takes more than
    /// `room` bytes.
    pub(crate) fn fresh(
        &mut self,
        name: &[u8],
        db: &dyn Documents,
        room: usize,
        budget: &Budget,
    ) -> Result<Option<&Index>, Error> {
        let Some(index) = self.indexes.get_mut(name) else {
            return Ok(None);
        };
        index.refresh(db, room, budget)?;
        Ok(Some(index))
    }

    /// Adds an index, with the keys there are unless that is to be skipped.
    pub(crate) fn create(
        &mut self,
        name: &[u8],
        definition: Definition,
        scan: bool,
        db: &dyn Documents,
    ) {
        let mut index = Index::new(definition);
        if scan {
            index.rescan(db);
        } else {
            index.skip(db);
        }
        self.indexes.insert(Bytes::copy_from_slice(name), index);
        self.recount();
    }

    fn recount(&mut self) {
        let indexes = self.indexes.iter();
        let indexes = indexes.map(|(name, index)| name.len() + index.definition.weight());
        let aliases = self.aliases.iter();
        let aliases = aliases.map(|(alias, index)| alias.len() + index.len() + ALIAS);
        self.defined = indexes.sum::<usize>() + aliases.sum::<usize>();
    }

    /// Commands that make these indexes and aliases.
    pub(crate) fn create_commands(&self) -> impl Iterator<Item = Vec<Bytes>> {
        let indexes = self
            .indexes
            .iter()
            .map(|(name, index)| index.definition.create_command(name));
        let alias = |(alias, index): (&Bytes, &Bytes)| {
            vec![
                Bytes::from_static(b"SEARCH.ALIASADD"),
                alias.clone(),
                index.clone(),
            ]
        };
        indexes.chain(self.aliases.iter().map(alias))
    }

    /// Visits what indexes left out since they were made without what was there: the index, and a
    /// key or the last entry of a stream.
    pub(crate) fn each_skipped(&self, db: &dyn Documents, visit: &mut dyn FnMut(&Bytes, &[u8])) {
        for (name, index) in &self.indexes {
            index.each_skipped(db, &mut |told| visit(name, told));
        }
    }

    /// Leaves out again what [`Registry::each_skipped`] told; `false` if that makes no sense.
    pub(crate) fn skip_again(&mut self, name: &[u8], told: &[u8]) -> bool {
        let index = self.indexes.get_mut(name);
        index.is_some_and(|index| index.skip_again(told))
    }

    pub(crate) fn reindex(&mut self, name: &[u8], db: &dyn Documents) -> bool {
        let Some(index) = self.indexes.get_mut(name) else {
            return false;
        };
        index.rescan(db);
        true
    }

    pub(crate) fn drop(&mut self, name: &[u8]) -> bool {
        let dropped = self.indexes.remove(name).is_some();
        self.recount();
        dropped
    }

    /// Points an alias at an index; `true` if it pointed at one before.
    pub(crate) fn add_alias(&mut self, alias: &[u8], index: &[u8]) -> bool {
        let (alias, index) = (Bytes::copy_from_slice(alias), Bytes::copy_from_slice(index));
        let known = self.aliases.insert(alias, index).is_some();
        self.recount();
        known
    }

    pub(crate) fn drop_alias(&mut self, alias: &[u8]) -> bool {
        let known = self.aliases.remove(alias).is_some();
        self.recount();
        known
    }
}
