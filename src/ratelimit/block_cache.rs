//! Identifiers known to be blocked: bounded, with exact deadlines.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use smallvec::SmallVec;

use super::{decision::LimitState, generations::Generations};

/// A refusal that still holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    /// When the same cost fits.
    pub(super) until_ms: u64,
    /// How long the store need not be asked, `until_ms` at most.
    pub(super) known_until_ms: u64,
    pub(super) cost: u64,
    /// What the limits were then.
    pub(super) states: SmallVec<[LimitState; 1]>,
}

/// What is known to refuse a cost.
#[derive(Debug)]
pub(super) struct Known {
    /// When the cost fits; `None` for never.
    pub(super) retry_at_ms: Option<u64>,
    pub(super) states: SmallVec<[LimitState; 1]>,
}

/// Remembers refusals, so that a blocked client costs no request.
#[derive(Debug)]
pub(super) struct BlockCache {
    capacity: usize,
    /// How often blocks were lifted.
    lifted: AtomicU64,
    blocks: Mutex<Generations<Block>>,
}

impl BlockCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            lifted: AtomicU64::new(0),
            blocks: Mutex::new(Generations::new(capacity)),
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Generations<Block>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What refuses this cost, if that is known and still holds.
    pub(super) fn find(&self, identifier: &str, cost: u64, now_ms: u64) -> Option<Known> {
        let mut blocks = self.blocks();
        let block = blocks.get(identifier)?;
        if block.known_until_ms <= now_ms {
            blocks.remove(identifier);
            return None;
        }
        if cost == block.cost {
            return Some(Known {
                retry_at_ms: Some(block.until_ms),
                states: block.states.clone(),
            });
        }
        // A smaller cost may fit, a larger one has to wait longer: how long, only the store knows.
        let never = cost > block.cost && block.states.iter().any(|state| cost > state.limit);
        never.then(|| Known {
            retry_at_ms: None,
            states: block
                .states
                .iter()
                .map(|state| LimitState {
                    exceeded: cost > state.remaining,
                    ..*state
                })
                .collect(),
        })
    }

    /// The mark of a question that is asked now, for [`block`](Self::block).
    pub(super) fn mark(&self) -> u64 {
        self.lifted.load(Ordering::Acquire)
    }

    /// Remembers a refusal, unless blocks were lifted after its question was asked.
    pub(super) fn block(&self, identifier: &str, block: Block, now_ms: u64, mark: u64) {
        if self.capacity == 0 {
            return;
        }
        let cost = block.cost;
        let mut blocks = self.blocks();
        if self.mark() != mark {
            return;
        }
        match blocks.get(identifier) {
            // The smallest cost is the one that is asked most.
            Some(known) => {
                if known.known_until_ms <= now_ms || cost <= known.cost {
                    *known = block;
                }
            }
            None => blocks.insert(identifier.into(), block),
        }
    }

    pub(super) fn lift(&self, identifier: &str) {
        let mut blocks = self.blocks();
        self.lifted.fetch_add(1, Ordering::Release);
        blocks.remove(identifier);
    }

    /// Forgets every block, as when a limit was raised.
    pub(super) fn lift_all(&self) {
        let mut blocks = self.blocks();
        self.lifted.fetch_add(1, Ordering::Release);
        drop(blocks.take_all());
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.blocks().len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn block(cache: &BlockCache, identifier: &str, cost: u64, until_ms: u64, now_ms: u64) {
        let state = LimitState {
            limit: 10,
            remaining: 1,
            reset_ms: until_ms,
            exceeded: true,
        };
        let block = Block {
            until_ms,
            known_until_ms: until_ms,
            cost,
            states: smallvec::smallvec![state],
        };
        cache.block(identifier, block, now_ms, cache.mark());
    }

    fn until(cache: &BlockCache, identifier: &str, cost: u64, now_ms: u64) -> Option<u64> {
        cache.find(identifier, cost, now_ms)?.retry_at_ms
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
    fn only_what_is_exact_is_answered() {
        let cache = BlockCache::new(8);
        block(&cache, "a", 5, 100, 0);
        for cost in [4, 6, 10] {
            assert!(cache.find("a", cost, 1).is_none(), "{cost}");
        }
        assert_eq!(until(&cache, "a", 5, 1), Some(100));
        let never = cache.find("a", 11, 1).unwrap();
        assert_eq!(never.retry_at_ms, None);
        assert!(never.states[0].exceeded);
        block(&cache, "a", 2, 80, 1);
        assert_eq!(until(&cache, "a", 2, 2), Some(80));
    }

    #[test]
    fn a_refusal_from_before_a_lift_is_not_remembered() {
        let cache = BlockCache::new(8);
        let refusal = Block {
            until_ms: 100,
            known_until_ms: 100,
            cost: 1,
            states: SmallVec::new(),
        };
        for lift in [
            |cache: &BlockCache| cache.lift("a"),
            |cache: &BlockCache| cache.lift_all(),
        ] {
            let mark = cache.mark();
            lift(&cache);
            cache.block("a", refusal.clone(), 0, mark);
            assert!(cache.find("a", 1, 1).is_none());
        }
    }

    #[test]
    fn a_block_is_known_for_its_time_only() {
        let cache = BlockCache::new(8);
        let refusal = Block {
            until_ms: 100,
            known_until_ms: 10,
            cost: 1,
            states: SmallVec::new(),
        };
        cache.block("a", refusal, 0, cache.mark());
        assert_eq!(until(&cache, "a", 1, 9), Some(100));
        assert_eq!(until(&cache, "a", 1, 10), None);
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
