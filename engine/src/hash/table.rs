//! Hashes of any size, the fields of which may have an expiry.

use std::collections::{BTreeSet, HashMap};

use crate::dict::Dict;
use crate::text::Str;

/// What the expiry of a field takes.
pub(super) const PER_EXPIRY: usize = 80;

/// Expiry of fields: both ways round, so that the next one due is known at once.
#[derive(Clone, Debug, Default)]
struct FieldExpiry {
    of: HashMap<u32, u64, foldhash::fast::RandomState>,
    due: BTreeSet<(u64, u32)>,
}

/// Fields with values by position.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    fields: Dict<Str>,
    value_bytes: usize,
    expiry: Option<Box<FieldExpiry>>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn get(&self, field: &[u8]) -> Option<&Str> {
        self.fields.get(field)
    }

    pub(super) fn contains(&self, field: &[u8]) -> bool {
        self.fields.contains(field)
    }

    /// Sets a field and forgets its expiry; `true`: the field is new.
    pub(super) fn set(&mut self, field: &[u8], value: Str) -> bool {
        let (at, new) = self.put(field, value);
        if !new {
            self.forget_expiry(at);
        }
        new
    }

    /// Sets a field and leaves its expiry as it is; `true`: the field is new.
    pub(super) fn set_keep_expiry(&mut self, field: &[u8], value: Str) -> bool {
        self.put(field, value).1
    }

    fn put(&mut self, field: &[u8], value: Str) -> (u32, bool) {
        self.value_bytes += value.weight();
        let (at, old) = self.fields.insert(field, value);
        self.value_bytes -= old.as_ref().map_or(0, Str::weight);
        (at, old.is_none())
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> Option<Str> {
        let (at, value) = self.fields.remove(field)?;
        self.value_bytes -= value.weight();
        self.forget_expiry(at);
        Some(value)
    }

    /// Fields, values and expiries (0: none) in slot order.
    pub(super) fn iter_with_expiry(&self) -> impl Iterator<Item = (&[u8], &Str, u64)> {
        self.fields.iter().map(|(at, field, value)| {
            let due = self.expiry.as_ref().and_then(|e| e.of.get(&at).copied());
            (field, value, due.unwrap_or(0))
        })
    }

    pub(super) fn dict(&self) -> &Dict<Str> {
        &self.fields
    }

    /// When a field expires, in Unix milliseconds.
    pub(super) fn expiry(&self, field: &[u8]) -> Option<u64> {
        let expiry = self.expiry.as_ref()?;
        expiry.of.get(&self.fields.find(field)?).copied()
    }

    /// Sets or clears the expiry of an existing field.
    pub(super) fn set_expiry(&mut self, field: &[u8], at_ms: Option<u64>) {
        let Some(at) = self.fields.find(field) else {
            return;
        };
        self.forget_expiry(at);
        if let Some(due) = at_ms {
            let expiry = self.expiry.get_or_insert_default();
            expiry.of.insert(at, due);
            expiry.due.insert((due, at));
        }
    }

    fn forget_expiry(&mut self, at: u32) {
        if let Some(expiry) = &mut self.expiry
            && let Some(due) = expiry.of.remove(&at)
        {
            expiry.due.remove(&(due, at));
            if expiry.of.is_empty() {
                self.expiry = None;
            }
        }
    }

    /// When the next field expires.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        let (due, _) = self.expiry.as_ref()?.due.first()?;
        Some(*due)
    }

    /// Removes fields that are due, at most `limit`; returns how many.
    pub(super) fn expire(&mut self, now: u64, limit: usize) -> usize {
        let mut removed = 0;
        while removed < limit {
            let Some(&(due, at)) = self.expiry.as_ref().and_then(|e| e.due.first()) else {
                break;
            };
            if due > now {
                break;
            }
            self.forget_expiry(at);
            if let Some((_, value)) = self.fields.remove_at(at) {
                self.value_bytes -= value.weight();
            }
            removed += 1;
        }
        removed
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>()
            + self.fields.weight()
            + self.value_bytes
            + self.fields.len() * 16
            + self.expiry.as_ref().map_or(0, |e| e.of.len() * PER_EXPIRY)
    }
}
