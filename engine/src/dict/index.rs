//! The hash index of a dictionary, which grows a little with every change.

use hashbrown::HashTable;

/// From this many entries on the index grows step by step instead of at once.
const GRADUAL: usize = 8192;
/// How many positions one change moves to the new table.
const STEP: usize = 16;

/// Positions by the hash of their keys.
///
/// While the index grows there are two tables. New entries go to the new one, and with every
/// change the entries of a few more positions follow. Those that have followed are found in the
/// new table first; what is left of them in the old one refers to a position that is free or holds
/// another key, so that a lookup, which compares keys, passes over it.
#[derive(Clone, Default)]
pub(super) struct Index {
    table: HashTable<u32>,
    old: Option<HashTable<u32>>,
    /// Positions below this have followed.
    moved: u32,
    len: usize,
}

impl Index {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The position with this hash that `is` accepts.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let find = |table: &HashTable<u32>| table.find(hash, |&at| is(at)).copied();
        find(&self.table).or_else(|| self.old.as_ref().and_then(find))
    }

    /// Adds a position whose key is not in the index. `hash_of` tells the hash of an occupied
    /// position below `end`.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        at: u32,
        end: usize,
        hash_of: impl Fn(u32) -> Option<u64>,
    ) {
        self.advance(end, &hash_of);
        if self.old.is_none() && self.table.len() == self.table.capacity() && self.len >= GRADUAL {
            self.begin(self.len * 2);
        }
        self.table
            .insert_unique(hash, at, |&at| hash_of(at).unwrap_or_default());
        self.len += 1;
    }

    /// Removes a position that is in the index, the key still in its place.
    pub(super) fn remove(
        &mut self,
        hash: u64,
        at: u32,
        end: usize,
        hash_of: impl Fn(u32) -> Option<u64>,
    ) {
        self.advance(end, &hash_of);
        let is = |&other: &u32| other == at;
        if let Ok(entry) = self.table.find_entry(hash, is) {
            entry.remove();
        } else if let Some(old) = &mut self.old
            && let Ok(entry) = old.find_entry(hash, is)
        {
            entry.remove();
        }
        self.len -= 1;
        if self.old.is_none() && self.table.capacity() > 256 && self.len * 8 < self.table.capacity()
        {
            if self.len >= GRADUAL {
                self.begin(self.len * 2);
            } else {
                self.table
                    .shrink_to(self.len * 2, |&at| hash_of(at).unwrap_or_default());
            }
        }
    }

    fn begin(&mut self, capacity: usize) {
        let table = HashTable::with_capacity(capacity);
        self.old = Some(std::mem::replace(&mut self.table, table));
        self.moved = 0;
    }

    /// Lets the next few positions follow.
    fn advance(&mut self, end: usize, hash_of: impl Fn(u32) -> Option<u64>) {
        if self.old.is_none() {
            return;
        }
        for _ in 0..STEP {
            if self.moved as usize >= end {
                self.old = None;
                return;
            }
            let at = self.moved;
            self.moved += 1;
            if let Some(hash) = hash_of(at)
                && self.table.find(hash, |&other| other == at).is_none()
            {
                self.table
                    .insert_unique(hash, at, |&at| hash_of(at).unwrap_or_default());
            }
        }
    }

    /// Bytes taken: a position and a control byte for each place.
    pub(super) fn weight(&self) -> usize {
        self.len * 6
    }
}
