//! What is kept of a key besides its name.

use crate::value::Value;

/// The place of a key that has no expiry.
pub(super) const NOT_VOLATILE: u32 = u32::MAX;
/// What an entry costs besides its key and value.
const ENTRY_OVERHEAD: usize = size_of::<Entry>() + 40;
/// Weights are counted in units of so many bytes, so that few bytes hold a large one.
const WEIGHT_UNIT: usize = 8;

/// A key's value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// The place in `Db::volatile`, if it has an expiry.
    pub(super) volatile: u32,
    /// The weight `Db::used` counts for this entry, in units.
    pub(super) weight: u32,
}

impl Entry {
    /// An entry without an expiry, the weight of which is not counted yet.
    pub(super) const fn new(value: Value) -> Self {
        Self {
            value,
            volatile: NOT_VOLATILE,
            weight: 0,
        }
    }

    pub(super) fn weight(&self) -> usize {
        self.weight as usize * WEIGHT_UNIT
    }

    /// The weight of a value and its key, in units.
    pub(super) fn units(key: &[u8], value: &Value) -> u32 {
        let bytes = value.weight() + key.len() + ENTRY_OVERHEAD;
        u32::try_from(bytes.div_ceil(WEIGHT_UNIT)).unwrap_or(u32::MAX)
    }
}

/// The expiry of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Volatile {
    pub(super) at: u32,
    /// Unix milliseconds.
    pub(super) due: u64,
}

/// When an entry expires; 0: never.
pub(super) fn expire_of(volatile: &[Volatile], entry: &Entry) -> u64 {
    volatile
        .get(entry.volatile as usize)
        .map_or(0, |volatile| volatile.due)
}

pub(super) fn is_due(volatile: &[Volatile], entry: &Entry, now: u64) -> bool {
    entry.volatile != NOT_VOLATILE && (1..=now).contains(&expire_of(volatile, entry))
}
