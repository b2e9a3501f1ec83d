//! Identifiers known to be blocked: bounded, with exact deadlines.

use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::{decision::LimitState, generations::Generations};

/// A refusal that still holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) until_ms: u64,
    /// From which cost on.
    pub(super) cost: u64,
    /// What the limits were then.
    pub(super) states: SmallVec<[LimitState; 1]>,
}

/// Remembers refusals, so that a blocked client costs no request.
#[derive(Debug)]
pub(super) struct BlockCache {
    capacity: usize,
    blocks: Mutex<Generations<Block>>,
}

impl BlockCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            blocks: Mutex::new(Generations::new(capacity)),
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Generations<Block>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What refuses this cost, if that is known and still holds.
    pub(super) fn find(&self, identifier: &str, cost: u64, now_ms: u64) -> Option<Block> {
        let mut blocks = self.blocks();
        let block = blocks.get(identifier)?;
        if block.until_ms <= now_ms {
            blocks.remove(identifier);
            return None;
        }
        // A smaller cost may fit where a larger one did not.
        (cost >= block.cost).then(|| block.clone())
    }

    pub(super) fn block(&self, identifier: &str, block: Block, now_ms: u64) {
        if self.capacity == 0 {
            return;
        }
        let cost = block.cost;
        let mut blocks = self.blocks();
        match blocks.get(identifier) {
            // The smallest refused cost blocks the most; its deadline is the one that counts.
            Some(known) => {
                if known.until_ms <= now_ms || cost <= known.cost {
                    *known = block;
                }
            }
            None => blocks.insert(identifier.into(), block),
        }
    }

    pub(super) fn lift(&self, identifier: &str) {
        self.blocks().remove(identifier);
    }

    /// Forgets every block, as when a limit was raised.
    pub(super) fn lift_all(&self) {
        drop(self.blocks().take_all());
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.blocks().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cache: &BlockCache, identifier: &str, cost: u64, until_ms: u64, now_ms: u64) {
        let block = Block {
            until_ms,
            cost,
            states: SmallVec::new(),
        };
        cache.block(identifier, block, now_ms);
    }

    fn until(cache: &BlockCache, identifier: &str, cost: u64, now_ms: u64) -> Option<u64> {
        cache
            .find(identifier, cost, now_ms)
            .map(|block| block.until_ms)
    }

    #[test]
    fn a_block_ends_exactly_at_its_deadline() {
        let cache = BlockCache::new(8);
        block(&cache, "a", 1, 100, 0);
        assert_eq!(until(&cache, "a", 1, 99), Some(100));
        assert_eq!(until(&cache, "a", 1, 100), None);
        cache.lift("a");
        assert_eq!(until(&cache, "a", 1, 50), None);
    }

    #[test]
    fn a_smaller_cost_is_not_blocked_by_a_larger_one() {
        let cache = BlockCache::new(8);
        block(&cache, "a", 5, 100, 0);
        assert_eq!(until(&cache, "a", 4, 1), None);
        assert_eq!(until(&cache, "a", 6, 1), Some(100));
        block(&cache, "a", 2, 80, 1);
        assert_eq!(until(&cache, "a", 4, 2), Some(80));
    }

    #[test]
    fn without_capacity_nothing_is_kept() {
        let none = BlockCache::new(0);
        block(&none, "a", 1, 100, 0);
        assert_eq!(none.len(), 0);
    }

    #[test]
    fn a_million_blocked_identifiers_take_the_room_of_ten_thousand() {
        let cache = BlockCache::new(10_000);
        for n in 0..1_000_000 {
            block(&cache, &format!("organisation-{n}"), 1, 100, 0);
            if n % 1000 == 0 {
                // Who keeps coming stays known.
                block(&cache, "regular", 1, 100, 0);
            }
        }
        assert!(cache.len() <= 10_000, "{}", cache.len());
        assert_eq!(until(&cache, "organisation-999999", 1, 1), Some(100));
        assert_eq!(until(&cache, "regular", 1, 1), Some(100));
        assert_eq!(until(&cache, "organisation-0", 1, 1), None);
    }

    #[test]
    fn blocks_that_ended_leave() {
        let cache = BlockCache::new(8);
        block(&cache, "a", 1, 100, 0);
        assert_eq!(until(&cache, "a", 1, 100), None);
        assert_eq!(cache.len(), 0);
    }
}
