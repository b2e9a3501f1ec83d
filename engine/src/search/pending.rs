//! Keys that were written and not looked at since.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

/// What a key takes here besides its own bytes.
const KEY_WEIGHT: usize = 100;

/// Keys in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    keys: BTreeMap<u64, Bytes>,
    places: HashMap<Bytes, u64, foldhash::fast::RandomState>,
    next: u64,
    key_bytes: usize,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Roughly the bytes this takes; constant time.
    pub(super) fn weight(&self) -> usize {
        self.key_bytes + self.len() * KEY_WEIGHT
    }

    /// Adds a key unless it is there.
    pub(super) fn add(&mut self, key: &[u8]) {
        if self.places.contains_key(key) {
            return;
        }
        let key = Bytes::copy_from_slice(key);
        self.key_bytes += key.len();
        self.places.insert(key.clone(), self.next);
        self.keys.insert(self.next, key);
        self.next += 1;
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.places.contains_key(key)
    }

    pub(super) fn forget(&mut self, key: &[u8]) {
        if let Some(place) = self.places.remove(key) {
            self.keys.remove(&place);
            self.key_bytes -= key.len();
        }
    }

    /// Takes all keys.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Bytes> + use<> {
        std::mem::take(self).keys.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_weigh_nothing_when_gone() {
        let mut pending = Pending::default();
        for key in ["b", "a", "c", "a"] {
            pending.add(key.as_bytes());
        }
        assert!(pending.weight() > 3);
        pending.forget(b"a");
        pending.forget(b"none");
        pending.add(b"a");
        assert_eq!(pending.take().collect::<Vec<_>>(), ["b", "c", "a"]);
        assert_eq!((pending.len(), pending.weight()), (0, 0));
    }
}
