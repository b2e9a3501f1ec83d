//! Hashes: fields with values, each of which may have an expiry.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use crate::dict::{Dict, Rng};

/// Expiry of fields: both ways round, so that the next one due is known at once.
#[derive(Clone, Debug, Default)]
struct FieldExpiry {
    of: HashMap<u32, u64, foldhash::fast::RandomState>,
    due: BTreeSet<(u64, u32)>,
}

/// The value behind a hash key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hash {
    fields: Dict<Bytes>,
    value_bytes: usize,
    expiry: Option<Box<FieldExpiry>>,
}

impl Hash {
    /// What the expiry of a field takes.
    pub(crate) const PER_EXPIRY: usize = 80;

    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(crate) fn get(&self, field: &[u8]) -> Option<&Bytes> {
        self.fields.get(field)
    }

    pub(crate) fn contains(&self, field: &[u8]) -> bool {
        self.fields.contains(field)
    }

    /// Sets a field and forgets its expiry; `true`: the field is new.
    pub(crate) fn set(&mut self, field: &[u8], value: Bytes) -> bool {
        let (at, new) = self.put(field, value);
        if !new {
            self.forget_expiry(at);
        }
        new
    }

    /// Sets a field and leaves its expiry as it is; `true`: the field is new.
    pub(crate) fn set_keep_expiry(&mut self, field: &[u8], value: Bytes) -> bool {
        self.put(field, value).1
    }

    fn put(&mut self, field: &[u8], value: Bytes) -> (u32, bool) {
        self.value_bytes += value.len();
        let (at, old) = self.fields.insert(field, value);
        self.value_bytes -= old.as_ref().map_or(0, Bytes::len);
        (at, old.is_none())
    }

    pub(crate) fn remove(&mut self, field: &[u8]) -> Option<Bytes> {
        let (at, value) = self.fields.remove(field)?;
        self.value_bytes -= value.len();
        self.forget_expiry(at);
        Some(value)
    }

    /// Fields and values in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Bytes)> {
        self.fields.iter().map(|(_, field, value)| (field, value))
    }

    /// Fields, values and expiries (0: none) in slot order.
    pub(crate) fn iter_with_expiry(&self) -> impl Iterator<Item = (&[u8], &Bytes, u64)> {
        self.fields.iter().map(|(at, field, value)| {
            let due = self.expiry.as_ref().and_then(|e| e.of.get(&at).copied());
            (field, value, due.unwrap_or(0))
        })
    }

    pub(crate) fn dict(&self) -> &Dict<Bytes> {
        &self.fields
    }

    pub(crate) fn random(&self, rng: &mut Rng) -> Option<(&[u8], &Bytes)> {
        self.fields.random(rng).and_then(|at| self.fields.entry(at))
    }

    /// When a field expires, in Unix milliseconds.
    pub(crate) fn expiry(&self, field: &[u8]) -> Option<u64> {
        let expiry = self.expiry.as_ref()?;
        expiry.of.get(&self.fields.find(field)?).copied()
    }

    /// Sets or clears the expiry of an existing field.
    pub(crate) fn set_expiry(&mut self, field: &[u8], at_ms: Option<u64>) {
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
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        let (due, _) = self.expiry.as_ref()?.due.first()?;
        Some(*due)
    }

    /// Removes fields that are due, at most `limit`; returns how many.
    pub(crate) fn expire(&mut self, now: u64, limit: usize) -> usize {
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
                self.value_bytes -= value.len();
            }
            removed += 1;
        }
        removed
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + self.fields.weight()
            + self.value_bytes
            + self.fields.len() * 16
            + self
                .expiry
                .as_ref()
                .map_or(0, |e| e.of.len() * Self::PER_EXPIRY)
    }
}
