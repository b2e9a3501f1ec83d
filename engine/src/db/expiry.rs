//! Expiry of keys and fields, and eviction.

use bytes::Bytes;

use super::entry::{NOT_VOLATILE, Volatile, expire_of};
use super::{Db, Event, effects};
use crate::value::Value;

/// How many keys one step of active expiry looks at.
const EXPIRE_STEP: usize = 64;

/// What a step of active expiry found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expired {
    pub(crate) looked_at: usize,
    /// A good part of it was due.
    pub(crate) many: bool,
}

impl Db {
    /// When a key expires: `None` if there is no such key, 0 if never.
    pub(crate) fn expiry(&self, key: &[u8]) -> Option<u64> {
        self.live(key)
            .map(|(_, entry)| expire_of(&self.volatile, entry))
    }

    /// Sets a key's expiry in Unix milliseconds (0: never); says whether there is such a key.
    pub(crate) fn set_expiry(&mut self, key: &[u8], at_ms: u64) -> bool {
        let Some(at) = self.position(key) else {
            return false;
        };
        self.set_expiry_at(at, at_ms);
        // What was written is recorded with its expiry.
        if self.touched.last() != Some(&at) {
            self.effects.expiry(self.now, key, at_ms);
        }
        self.watch.changed(key);
        self.counters.changes += 1;
        true
    }

    pub(super) fn set_expiry_at(&mut self, at: u32, at_ms: u64) {
        self.captured(at);
        let next = self.volatile.len() as u32;
        let Some(entry) = self.keys.value_mut(at) else {
            return;
        };
        if at_ms != 0 && entry.volatile == NOT_VOLATILE {
            entry.volatile = next;
            self.volatile.push(Volatile { at, due: at_ms });
        } else if at_ms != 0 {
            if let Some(volatile) = self.volatile.get_mut(entry.volatile as usize) {
                volatile.due = at_ms;
            }
        } else if entry.volatile != NOT_VOLATILE {
            let place = std::mem::replace(&mut entry.volatile, NOT_VOLATILE);
            self.volatile.swap_remove(place as usize);
            if let Some(moved) = self.volatile.get(place as usize)
                && let Some(entry) = self.keys.value_mut(moved.at)
            {
                entry.volatile = place;
            }
        }
    }

    pub(super) fn expire_at_position(&mut self, at: u32) {
        let key = self.keys.key(at).map(Bytes::copy_from_slice);
        if let (Some(key), true) = (key, self.bury(at)) {
            self.counters.expired += 1;
            self.notify(Event::EXPIRED, "expired", &key);
        }
    }

    pub(super) fn register_field_expiry(&mut self, at: u32, next: Option<u64>) {
        if self.field_expiry.get(&at).copied() == next {
            return;
        }
        self.forget_field_expiry(at);
        if let Some(due) = next {
            self.field_expiry.insert(at, due);
            self.field_due.insert((due, at));
        }
    }

    pub(super) fn forget_field_expiry(&mut self, at: u32) {
        if let Some(due) = self.field_expiry.remove(&at) {
            self.field_due.remove(&(due, at));
        }
    }

    /// Removes keys and fields that are due, a short step; says what it found.
    pub(crate) fn expire_some(&mut self) -> Expired {
        let mut due = 0;
        for _ in 0..EXPIRE_STEP.min(self.volatile.len()) {
            if self.expire_next >= self.volatile.len() {
                self.expire_next = 0;
            }
            let Some(&Volatile { at, .. }) = self.volatile.get(self.expire_next) else {
                break;
            };
            if self.is_due_at(at) {
                // Another key takes the place in `volatile`.
                self.expire_at_position(at);
                due += 1;
            } else {
                self.expire_next += 1;
            }
        }
        let fields = self.expire_fields();
        let all = self.volatile.len() <= EXPIRE_STEP;
        Expired {
            looked_at: if all { usize::MAX } else { EXPIRE_STEP },
            many: due * 10 > EXPIRE_STEP || fields == EXPIRE_STEP,
        }
    }

    /// Removes fields and message ids that are due, a short step; returns how many.
    fn expire_fields(&mut self) -> usize {
        let mut removed = 0;
        while removed < EXPIRE_STEP {
            let Some(&(when, at)) = self.field_due.first() else {
                break;
            };
            if when > self.now {
                break;
            }
            self.captured(at);
            if let Some(key) = self.keys.key(at) {
                self.effects.of_key(self.now, effects::EXPIRE_FIELDS, key);
            }
            // Recorded as what it is, not by what is left.
            let effects = std::mem::take(&mut self.effects);
            self.touched.push(at);
            let (now, limit) = (self.now, EXPIRE_STEP - removed);
            let mut is_hash = false;
            match self.keys.value_mut(at).map(|entry| &mut entry.value) {
                Some(Value::Hash(hash)) => {
                    removed += hash.expire(now, limit);
                    is_hash = true;
                }
                Some(Value::Stream(stream)) => removed += stream.expire(now, limit),
                _ => self.forget_field_expiry(at),
            }
            if let (true, Some(key)) = (is_hash && self.notify != 0, self.keys.key(at)) {
                let key = Bytes::copy_from_slice(key);
                self.notify(Event::HASH, "hexpired", &key);
            }
            self.settle();
            self.effects = effects;
        }
        removed
    }

    /// Removes one random key, of those with an expiry if wanted and there; `false`: nothing to remove.
    pub(crate) fn evict_one(&mut self, volatile_first: bool) -> bool {
        let at = if !volatile_first || self.volatile.is_empty() {
            self.keys.random(&mut self.rng)
        } else {
            let place = self.rng.below(self.volatile.len());
            self.volatile.get(place).map(|volatile| volatile.at)
        };
        let Some(at) = at else {
            return false;
        };
        self.effects.record_values();
        let key = self.keys.key(at).map(Bytes::copy_from_slice);
        if let (Some(key), true) = (key, self.bury(at)) {
            self.counters.evicted += 1;
            self.notify(Event::EVICTED, "evicted", &key);
        }
        true
    }
}
