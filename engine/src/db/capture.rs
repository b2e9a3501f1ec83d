//! A snapshot of one moment, taken in steps while the keys go on changing.
//!
//! Entries keep their position, so a cursor over positions says what was taken. A change to an
//! entry that was not yet takes it first; an entry that is new is none of that moment.

use std::collections::HashSet;

use super::Db;
use super::entry::{expire_of, is_due};
use crate::encoding::{put_bytes, put_number, write_value};
use crate::value::Value;

/// Begins a key in a snapshot.
pub(crate) const KEY: u8 = 1;

/// Positions that one step looks at, at most.
const STEP: u32 = 4096;
/// Bytes after which a step ends.
const STEP_BYTES: usize = 128 << 10;

/// Appends a key with its expiry and value.
pub(crate) fn put_entry(out: &mut Vec<u8>, key: &[u8], value: &Value, expiry: u64) {
    out.push(KEY);
    put_number(out, expiry);
    put_bytes(out, key);
    write_value(out, value);
}

/// How far a snapshot is.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Positions below are taken.
    next: u32,
    /// Positions from `next` on that are taken or new.
    done: HashSet<u32, foldhash::fast::RandomState>,
    out: Vec<u8>,
    keys: u64,
    /// What is due at this time is not there.
    now: u64,
    /// Positions that a step looks at, at most.
    step: u32,
}

/// What a step took.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    /// The number of keys, with the last step.
    pub(crate) keys: Option<u64>,
}

impl Db {
    /// Begins a snapshot of this moment; `false`: one is being taken.
    pub(crate) fn begin_capture(&mut self) -> bool {
        if self.capture.is_some() {
            return false;
        }
        self.capture = Some(Box::new(Capture {
            next: 0,
            done: HashSet::default(),
            out: Vec::new(),
            keys: 0,
            now: self.now,
            step: STEP,
        }));
        true
    }

    /// Makes steps shorter.
    #[cfg(test)]
    pub(crate) fn capture_at_most(&mut self, step: u32) {
        if let Some(capture) = &mut self.capture {
            capture.step = step;
        }
    }

    /// Takes some more; `None`: everything was removed meanwhile, or the snapshot was given up.
    pub(crate) fn capture_some(&mut self) -> Option<Captured> {
        let capture = self.capture.as_ref()?;
        let (first, step) = (capture.next, capture.step);
        let end = self.keys.end();
        for at in first..end.min(first.saturating_add(step)) {
            self.captured(at);
            let capture = self.capture.as_mut()?;
            capture.next = at + 1;
            capture.done.remove(&at);
            if capture.out.len() >= STEP_BYTES {
                break;
            }
        }
        let capture = self.capture.as_mut()?;
        let bytes = std::mem::take(&mut capture.out);
        let keys = (capture.next >= end).then_some(capture.keys);
        if keys.is_some() {
            self.capture = None;
        }
        Some(Captured { bytes, keys })
    }

    /// Gives the snapshot up.
    pub(crate) fn end_capture(&mut self) {
        self.capture = None;
    }

    /// An entry is about to change: a snapshot takes it before, once.
    pub(super) fn captured(&mut self, at: u32) {
        let Some(capture) = &mut self.capture else {
            return;
        };
        if at < capture.next || !capture.done.insert(at) {
            return;
        }
        if let Some((key, entry)) = self.keys.entry(at)
            && !is_due(&self.volatile, entry, capture.now)
        {
            let expire = expire_of(&self.volatile, entry);
            put_entry(&mut capture.out, key, &entry.value, expire);
            capture.keys += 1;
        }
    }

    /// An entry is new: a snapshot leaves it out.
    pub(super) fn left_out(&mut self, at: u32) {
        if let Some(capture) = &mut self.capture
            && at >= capture.next
        {
            capture.done.insert(at);
        }
    }
}
