//! Identifiers known to be blocked: bounded, with exact deadlines.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A block: until when, from which cost on.
#[derive(Debug, Clone, Copy)]
struct Block {
    until_ms: u64,
    cost: u64,
}

/// Remembers refusals, so that a blocked client costs no request.
#[derive(Debug)]
pub(super) struct BlockCache {
    capacity: usize,
    blocks: Mutex<Blocks>,
}

/// Two generations: what is asked for moves to the young one, and when that is full the old one
/// goes as a whole. So every step takes constant time, also while an attack fills the cache, and
/// clients that keep knocking stay known.
#[derive(Debug, Default)]
struct Blocks {
    young: HashMap<Box<str>, Block>,
    old: HashMap<Box<str>, Block>,
}

impl Blocks {
    /// The block of this identifier, moved to the young ones; `half` of the capacity fits there.
    fn get(&mut self, identifier: &str, half: usize) -> Option<&mut Block> {
        if let Some((identifier, block)) = self.old.remove_entry(identifier) {
            self.insert(identifier, block, half);
        }
        self.young.get_mut(identifier)
    }

    fn insert(&mut self, identifier: Box<str>, block: Block, half: usize) {
        if self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(identifier, block);
    }

    fn remove(&mut self, identifier: &str) {
        self.young.remove(identifier);
        self.old.remove(identifier);
    }
}

impl BlockCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            blocks: Mutex::default(),
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn half(&self) -> usize {
        (self.capacity / 2).max(1)
    }

    /// When this cost may be tried again, if that is known and still ahead.
    pub(super) fn blocked_until(&self, identifier: &str, cost: u64, now_ms: u64) -> Option<u64> {
        let mut blocks = self.blocks();
        let block = *blocks.get(identifier, self.half())?;
        if block.until_ms <= now_ms {
            blocks.remove(identifier);
            return None;
        }
        // A smaller cost may fit where a larger one did not.
        (cost >= block.cost).then_some(block.until_ms)
    }

    pub(super) fn block(&self, identifier: &str, cost: u64, until_ms: u64, now_ms: u64) {
        if self.capacity == 0 {
            return;
        }
        let block = Block { until_ms, cost };
        let mut blocks = self.blocks();
        match blocks.get(identifier, self.half()) {
            // The smallest refused cost blocks the most; its deadline is the one that counts.
            Some(known) => {
                if known.until_ms <= now_ms || cost <= known.cost {
                    *known = block;
                }
            }
            None => blocks.insert(identifier.into(), block, self.half()),
        }
    }

    pub(super) fn lift(&self, identifier: &str) {
        self.blocks().remove(identifier);
    }

    /// Forgets every block, as when a limit was raised.
    pub(super) fn lift_all(&self) {
        *self.blocks() = Blocks::default();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let blocks = self.blocks();
        blocks.young.len() + blocks.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_exactly_at_its_deadline() {
        let cache = BlockCache::new(8);
        cache.block("a", 1, 100, 0);
        assert_eq!(cache.blocked_until("a", 1, 99), Some(100));
        assert_eq!(cache.blocked_until("a", 1, 100), None);
        cache.lift("a");
        assert_eq!(cache.blocked_until("a", 1, 50), None);
    }

    #[test]
    fn a_smaller_cost_is_not_blocked_by_a_larger_one() {
        let cache = BlockCache::new(8);
        cache.block("a", 5, 100, 0);
        assert_eq!(cache.blocked_until("a", 4, 1), None);
        assert_eq!(cache.blocked_until("a", 6, 1), Some(100));
        cache.block("a", 2, 80, 1);
        assert_eq!(cache.blocked_until("a", 4, 2), Some(80));
    }

    #[test]
    fn the_cache_never_grows_beyond_its_capacity_and_keeps_who_is_asked_for() {
        for capacity in [1, 2, 15, 16] {
            let cache = BlockCache::new(capacity);
            for i in 0..1000 {
                cache.block("knocking", 1, 1_000_000, i);
                cache.block(&i.to_string(), 1, 1_000_000, i);
                assert!(
                    cache.len() <= capacity.max(2),
                    "{} of {capacity}",
                    cache.len()
                );
                let known = cache.blocked_until("knocking", 1, i).is_some();
                assert!(known || capacity <= 2);
            }
        }
        let none = BlockCache::new(0);
        none.block("a", 1, 100, 0);
        assert_eq!(none.len(), 0);
    }

    #[test]
    fn blocks_that_ended_leave() {
        let cache = BlockCache::new(8);
        cache.block("a", 1, 100, 0);
        assert_eq!(cache.blocked_until("a", 1, 100), None);
        assert_eq!(cache.len(), 0);
    }
}
