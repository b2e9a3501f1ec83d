//! Identifiers known to be blocked: bounded, with exact deadlines.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
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
    blocks: Mutex<HashMap<Box<str>, Block>>,
}

impl BlockCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            blocks: Mutex::default(),
        }
    }

    /// When this cost may be tried again, if that is known and still ahead.
    pub(super) fn blocked_until(&self, identifier: &str, cost: u64, now_ms: u64) -> Option<u64> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let block = blocks.get(identifier)?;
        // A smaller cost may fit where a larger one did not.
        (block.until_ms > now_ms && cost >= block.cost).then_some(block.until_ms)
    }

    pub(super) fn block(&self, identifier: &str, cost: u64, until_ms: u64, now_ms: u64) {
        if self.capacity == 0 {
            return;
        }
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = blocks.get_mut(identifier) {
            // The smallest refused cost blocks the most; its deadline is the one that counts.
            if known.until_ms <= now_ms || cost <= known.cost {
                *known = Block { until_ms, cost };
            }
            return;
        }
        if blocks.len() >= self.capacity {
            blocks.retain(|_, block| block.until_ms > now_ms);
        }
        if blocks.len() >= self.capacity {
            // Any one will do: losing a block costs one request, never a wrong decision.
            let victim = blocks.keys().next().cloned();
            if let Some(victim) = victim {
                blocks.remove(&victim);
            }
        }
        blocks.insert(identifier.into(), Block { until_ms, cost });
    }

    pub(super) fn lift(&self, identifier: &str) {
        self.blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(identifier);
    }

    /// Forgets every block, as when a limit was raised.
    pub(super) fn lift_all(&self) {
        self.blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
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
    fn the_cache_never_grows_beyond_its_capacity() {
        let cache = BlockCache::new(16);
        for i in 0..1000 {
            cache.block(&i.to_string(), 1, 1_000_000, i);
        }
        assert_eq!(cache.len(), 16);
        let none = BlockCache::new(0);
        none.block("a", 1, 100, 0);
        assert_eq!(none.len(), 0);
    }
}
