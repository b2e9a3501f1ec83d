//! Which documents hold what, field by field.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::schema::Value;

/// Positions between two elements of a list, so that no phrase spans both.
const ELEMENT_GAP: u32 = 100;

/// Who holds what in one field.
#[derive(Debug)]
pub(crate) enum Postings {
    Text(TextPostings),
    Keywords(BTreeMap<Box<str>, BTreeSet<u64>>),
    /// Paths with all that lead to them.
    Facets(BTreeMap<Box<str>, BTreeSet<u64>>),
    Numbers(BTreeMap<i128, BTreeSet<u64>>),
}

/// Terms with the positions at which documents hold them.
#[derive(Debug, Default)]
pub(crate) struct TextPostings {
    pub(crate) terms: BTreeMap<Box<str>, BTreeMap<u64, Vec<u32>>>,
    /// Terms in each document.
    pub(crate) lengths: HashMap<u64, u32>,
    pub(crate) total: u64,
}

impl Postings {
    pub(super) fn add(&mut self, id: u64, values: &[Value]) {
        match self {
            Self::Text(_) => {}
            Self::Keywords(words) => {
                for word in values.iter().filter_map(Value::as_word) {
                    words.entry(word.into()).or_default().insert(id);
                }
            }
            Self::Facets(words) => {
                for word in values
                    .iter()
                    .filter_map(Value::as_word)
                    .flat_map(path_and_ancestors)
                {
                    words.entry(word.into()).or_default().insert(id);
                }
            }
            Self::Numbers(numbers) => {
                for order in values.iter().filter_map(Value::order) {
                    numbers.entry(order).or_default().insert(id);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, id: u64, values: &[Value]) {
        match self {
            Self::Text(text) => text.remove(id, values),
            Self::Keywords(words) => {
                for word in values.iter().filter_map(Value::as_word) {
                    forget_id(words, word, id);
                }
            }
            Self::Facets(words) => {
                for word in values
                    .iter()
                    .filter_map(Value::as_word)
                    .flat_map(path_and_ancestors)
                {
                    forget_id(words, word, id);
                }
            }
            Self::Numbers(numbers) => {
                for order in values.iter().filter_map(Value::order) {
                    if let Some(ids) = numbers.get_mut(&order) {
                        ids.remove(&id);
                        if ids.is_empty() {
                            numbers.remove(&order);
                        }
                    }
                }
            }
        }
    }
}

impl TextPostings {
    /// Indexes lists of terms; returns the terms, once each.
    pub(super) fn add(&mut self, id: u64, lists: impl Iterator<Item = Vec<String>>) -> Vec<Value> {
        let (mut position, mut length) = (0, 0);
        let mut held: BTreeSet<Box<str>> = BTreeSet::new();
        for list in lists {
            for term in list {
                self.terms
                    .entry(term.as_str().into())
                    .or_default()
                    .entry(id)
                    .or_default()
                    .push(position);
                held.insert(term.into());
                position += 1;
                length += 1;
            }
            position += ELEMENT_GAP;
        }
        if length > 0 {
            self.lengths.insert(id, length);
            self.total += u64::from(length);
        }
        held.into_iter().map(Value::Word).collect()
    }

    pub(super) fn remove(&mut self, id: u64, values: &[Value]) {
        for term in values.iter().filter_map(Value::as_word) {
            forget(&mut self.terms, term, |docs| {
                docs.remove(&id);
                docs.is_empty()
            });
        }
        self.total -= u64::from(self.lengths.remove(&id).unwrap_or(0));
    }
}

/// Applies `empty` to an entry and removes it if that says so.
fn forget<V>(map: &mut BTreeMap<Box<str>, V>, word: &str, empty: impl FnOnce(&mut V) -> bool) {
    if map.get_mut(word).is_some_and(empty) {
        map.remove(word);
    }
}

fn forget_id(map: &mut BTreeMap<Box<str>, BTreeSet<u64>>, word: &str, id: u64) {
    forget(map, word, |ids| {
        ids.remove(&id);
        ids.is_empty()
    });
}

/// A path such as `/a/b` and all that lead to it.
pub(crate) fn path_and_ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .skip(1)
        .filter_map(|(at, _)| path.get(..at))
        .chain([path])
}
