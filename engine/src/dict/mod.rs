//! A hash table whose entries keep their place.
//!
//! The table holds positions into a slab of slots. An entry never changes its slot while it lives,
//! so a SCAN cursor is simply a slot position: whatever is present during a whole scan is returned
//! exactly once. A random element is found by drawing slots until one is taken.

mod index;

use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use index::Index;

/// A small, fast generator for random elements; not for secrets.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Default for Rng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng {
    pub(crate) fn new() -> Self {
        Self(RandomState::default().hash_one(0x9e37_79b9_u64))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// Elements that have positions, some of which may be free.
pub(crate) trait Positions {
    fn len(&self) -> usize;

    /// The position of a random element.
    fn random(&self, rng: &mut Rng) -> Option<u32>;

    /// The positions of all elements.
    fn all(&self) -> Vec<u32>;
}

#[derive(Clone)]
struct Slot<V> {
    key: Box<[u8]>,
    value: V,
}

/// A map from byte strings to `V` with stable positions.
///
/// A clone keeps every position, so what refers to positions can be cloned with it.
#[derive(Clone)]
pub(crate) struct Dict<V> {
    index: Index,
    slots: Vec<Option<Slot<V>>>,
    /// Free slots below the end; entries beyond the end are stale and skipped.
    free: Vec<u32>,
    hasher: RandomState,
    key_bytes: usize,
}

impl<V> Default for Dict<V> {
    fn default() -> Self {
        Self {
            index: Index::default(),
            slots: Vec::new(),
            free: Vec::new(),
            hasher: RandomState::default(),
            key_bytes: 0,
        }
    }
}

impl<V> fmt::Debug for Dict<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dict").field("len", &self.len()).finish()
    }
}

impl<V> Dict<V> {
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// The position of a key.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index
            .find(hash, |at| key_at(&self.slots, at) == Some(key))
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&V> {
        self.find(key).and_then(|at| self.value(at))
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let at = self.find(key)?;
        self.value_mut(at)
    }

    /// The key at a position.
    pub(crate) fn key(&self, at: u32) -> Option<&[u8]> {
        key_at(&self.slots, at)
    }

    /// The value at a position.
    pub(crate) fn value(&self, at: u32) -> Option<&V> {
        self.slots
            .get(at as usize)
            .and_then(Option::as_ref)
            .map(|slot| &slot.value)
    }

    pub(crate) fn value_mut(&mut self, at: u32) -> Option<&mut V> {
        self.slots
            .get_mut(at as usize)
            .and_then(Option::as_mut)
            .map(|slot| &mut slot.value)
    }

    /// Key and value at a position.
    pub(crate) fn entry(&self, at: u32) -> Option<(&[u8], &V)> {
        self.slots
            .get(at as usize)
            .and_then(Option::as_ref)
            .map(|slot| (&*slot.key, &slot.value))
    }

    /// Adds or replaces; says where, and what was there before.
    pub(crate) fn insert(&mut self, key: &[u8], value: V) -> (u32, Option<V>) {
        if let Some(at) = self.find(key) {
            let old = self
                .value_mut(at)
                .map(|slot| std::mem::replace(slot, value));
            return (at, old);
        }
        (self.insert_new(key, value), None)
    }

    /// Adds a key that is known to be absent.
    pub(crate) fn insert_new(&mut self, key: &[u8], value: V) -> u32 {
        let at = self.free_slot();
        self.key_bytes += key.len();
        self.slots[at as usize] = Some(Slot {
            key: key.into(),
            value,
        });
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_of = |at| key_at(slots, at).map(|key| hasher.hash_one(key));
        self.index
            .insert(hasher.hash_one(key), at, slots.len(), hash_of);
        at
    }

    fn free_slot(&mut self) -> u32 {
        while let Some(at) = self.free.pop() {
            if self.slots.get(at as usize).is_some_and(Option::is_none) {
                return at;
            }
        }
        // A database of four billion entries would need more memory than its limit allows.
        let at = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(None);
        at
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<(u32, V)> {
        let at = self.find(key)?;
        self.remove_at(at).map(|(_, value)| (at, value))
    }

    pub(crate) fn remove_at(&mut self, at: u32) -> Option<(Box<[u8]>, V)> {
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_of = |at| key_at(slots, at).map(|key| hasher.hash_one(key));
        let hash = hash_of(at)?;
        self.index.remove(hash, at, slots.len(), hash_of);
        let slot = self.slots.get_mut(at as usize)?.take()?;
        self.key_bytes -= slot.key.len();
        if at as usize + 1 == self.slots.len() {
            while matches!(self.slots.last(), Some(None)) {
                self.slots.pop();
            }
        } else {
            self.free.push(at);
        }
        if self.slots.is_empty() {
            self.free = Vec::new();
        }
        self.shrink();
        Some((slot.key, slot.value))
    }

    /// Gives memory back after a mass removal.
    fn shrink(&mut self) {
        if self.slots.capacity() > 256 && self.slots.len() * 8 < self.slots.capacity() {
            self.slots.shrink_to(self.slots.len() * 2);
            let end = self.slots.len();
            self.free.retain(|&at| (at as usize) < end);
            self.free.shrink_to_fit();
        }
    }

    /// Entries in slot order: position, key, value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[u8], &V)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| {
            slot.as_ref()
                .map(|slot| (at as u32, &*slot.key, &slot.value))
        })
    }

    /// Every entry's position is below this.
    pub(crate) fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Keys in slot order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.iter().flatten().map(|slot| &*slot.key)
    }

    /// Visits entries from a cursor on until `visit` says stop or `steps` slots were looked at;
    /// returns the cursor to go on with, 0 when done.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        steps: usize,
        mut visit: impl FnMut(u32, &[u8], &V) -> bool,
    ) -> u64 {
        let Ok(start) = usize::try_from(cursor) else {
            return 0;
        };
        for at in start..self.slots.len().min(start.saturating_add(steps)) {
            if let Some(slot) = &self.slots[at]
                && !visit(at as u32, &slot.key, &slot.value)
            {
                return self.cursor_at(at + 1);
            }
        }
        self.cursor_at(start.saturating_add(steps))
    }

    fn cursor_at(&self, at: usize) -> u64 {
        if at >= self.slots.len() { 0 } else { at as u64 }
    }

    /// The position of a random entry.
    pub(crate) fn random(&self, rng: &mut Rng) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        // Drawing again keeps it uniform; in a nearly empty slab a walk from a random place ends it.
        for _ in 0..256 {
            let at = rng.below(self.slots.len());
            if self.slots[at].is_some() {
                return Some(at as u32);
            }
        }
        let start = rng.below(self.slots.len());
        (start..self.slots.len())
            .chain(0..start)
            .find(|&at| self.slots[at].is_some())
            .map(|at| at as u32)
    }

    /// Roughly the bytes this takes, values behind pointers not counted.
    pub(crate) fn weight(&self) -> usize {
        self.key_bytes
            + self.len() * 16
            + self.slots.len() * size_of::<Option<Slot<V>>>()
            + self.index.weight()
            + self.free.len() * 4
    }
}

impl<V> Positions for Dict<V> {
    fn len(&self) -> usize {
        self.len()
    }

    fn random(&self, rng: &mut Rng) -> Option<u32> {
        self.random(rng)
    }

    fn all(&self) -> Vec<u32> {
        self.iter().map(|(at, _, _)| at).collect()
    }
}

fn key_at<V>(slots: &[Option<Slot<V>>], at: u32) -> Option<&[u8]> {
    slots
        .get(at as usize)
        .and_then(Option::as_ref)
        .map(|slot| &*slot.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn entries_keep_their_place_while_the_index_grows_and_shrinks() {
        let mut dict = Dict::default();
        let mut places = HashMap::new();
        let mut rng = Rng::new();
        // Grows past several steps of the index, then shrinks, with removals all along.
        for round in 0..104_000u32 {
            let key = (rng.below(60_000) as u32).to_le_bytes();
            let grow = round < 80_000;
            if rng.below(10) < if grow { 8 } else { 1 } {
                let (at, _) = dict.insert(&key, round);
                assert_eq!(*places.entry(key).or_insert(at), at);
            } else if let Some((at, _)) = dict.remove(&key) {
                assert_eq!(places.remove(&key), Some(at));
            }
            if !grow && let Some(at) = dict.random(&mut rng) {
                let (key, _) = dict.remove_at(at).unzip();
                let key: [u8; 4] = key
                    .as_deref()
                    .unwrap_or_default()
                    .try_into()
                    .unwrap_or_default();
                assert_eq!(places.remove(&key), Some(at));
            }
        }
        assert_eq!(dict.len(), places.len());
        assert!(!places.is_empty());
        for (key, at) in &places {
            assert_eq!(dict.find(key), Some(*at));
        }
        assert_eq!(dict.iter().count(), places.len());
        let copy = dict.clone();
        assert!(places.iter().all(|(key, at)| copy.find(key) == Some(*at)));
    }

    proptest::proptest! {
        #[test]
        fn behaves_as_a_map(steps in proptest::collection::vec((0u8..3, 0u8..40), 1..300)) {
            let mut dict = Dict::default();
            let mut model = HashMap::new();
            for (value, (what, key)) in steps.into_iter().enumerate() {
                if what == 0 {
                    let removed = dict.remove(&[key]).map(|(_, value)| value);
                    proptest::prop_assert_eq!(removed, model.remove(&key));
                } else {
                    proptest::prop_assert_eq!(dict.insert(&[key], value).1, model.insert(key, value));
                }
                proptest::prop_assert_eq!(dict.len(), model.len());
                proptest::prop_assert_eq!(dict.get(&[key]), model.get(&key));
            }
            proptest::prop_assert_eq!(dict.iter().count(), model.len());
        }
    }
}
