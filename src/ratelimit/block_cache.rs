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
    /// From before its question was asked.
    pub(super) mark: Mark,
    /// What the limits were then.
    pub(super) states: SmallVec<[LimitState; 1]>,
}

/// What had been lifted when a question was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    slots: (usize, usize),
    own: u64,
    group: u64,
}

impl Mark {
    /// Whether a block since then was lifted; one without a group is taken out of the map instead.
    fn is_lifted(self, now: Self) -> bool {
        self.group != now.group || (self.slots.1 != ALL && self.own != now.own)
    }
}

/// How often blocks were lifted: of all, and of names by a few of their bytes.
///
/// Names that share a place are asked for once more than they must.
#[derive(Debug)]
struct Marks([AtomicU64; SLOTS]);

const SLOTS: usize = 257;
/// The place of what is lifted for all, and of those without a group.
const ALL: usize = SLOTS - 1;

fn slot(name: &str) -> usize {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return ALL;
    }
    let mix = |sum: usize, byte: &u8| sum.wrapping_mul(31).wrapping_add(usize::from(*byte));
    bytes.iter().rev().take(8).fold(bytes.len(), mix) % ALL
}

impl Default for Marks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Marks {
    fn of(&self, slot: usize) -> u64 {
        self.0.get(slot).map_or(0, |n| n.load(Ordering::Acquire))
    }

    fn now(&self, identifier: usize, group: usize) -> Mark {
        Mark {
            slots: (identifier, group),
            own: self.of(identifier).wrapping_add(self.of(ALL)),
            group: self.of(group),
        }
    }

    fn lift(&self, slot: usize) {
        if let Some(lifted) = self.0.get(slot) {
            lifted.fetch_add(1, Ordering::Release);
        }
    }
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
    marks: Marks,
    blocks: Mutex<Generations<Block>>,
}

impl BlockCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            marks: Marks::default(),
            blocks: Mutex::new(Generations::new(capacity)),
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Generations<Block>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What refuses this cost, if that is known and still holds.
    pub(super) fn find(&self, name: &str, cost: u64, now_ms: u64, mark: Mark) -> Option<Known> {
        let mut blocks = self.blocks();
        let block = blocks.get(name)?;
        if block.known_until_ms <= now_ms || block.mark.is_lifted(mark) {
            blocks.remove(name);
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

    /// The mark of a question that is asked now.
    pub(super) fn mark(&self, identifier: &str, group: &str) -> Mark {
        self.marks.now(slot(identifier), slot(group))
    }

    /// Remembers a refusal, unless blocks were lifted after its question was asked.
    pub(super) fn block(&self, name: &str, block: Block, now_ms: u64) {
        if self.capacity == 0 {
            return;
        }
        let (cost, mark) = (block.cost, block.mark);
        let mut blocks = self.blocks();
        if self.marks.now(mark.slots.0, mark.slots.1) != mark {
            return;
        }
        match blocks.get(name) {
            // The smallest cost is the one that is asked most.
            Some(known) => {
                if known.known_until_ms <= now_ms || cost <= known.cost {
                    *known = block;
                }
            }
            None => blocks.insert(name.into(), block),
        }
    }

    /// Forgets that an identifier is blocked, and everyone else of its group, if it has one.
    pub(super) fn lift(&self, identifier: &str, group: &str) {
        let mut blocks = self.blocks();
        self.marks.lift(slot(identifier));
        if group.is_empty() {
            blocks.remove(identifier);
        } else {
            self.marks.lift(slot(group));
        }
    }

    /// Forgets every block, as when a limit was raised.
    pub(super) fn lift_all(&self) {
        let mut blocks = self.blocks();
        self.marks.lift(ALL);
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

    fn refusal(cost: u64, until_ms: u64, mark: Mark) -> Block {
        let state = LimitState {
            limit: 10,
            remaining: 1,
            reset_ms: until_ms,
            exceeded: true,
        };
        Block {
            until_ms,
            known_until_ms: until_ms,
            cost,
            mark,
            states: smallvec::smallvec![state],
        }
    }

    fn block(cache: &BlockCache, identifier: &str, cost: u64, until_ms: u64, now_ms: u64) {
        let refusal = refusal(cost, until_ms, cache.mark(identifier, ""));
        cache.block(identifier, refusal, now_ms);
    }

    fn known(cache: &BlockCache, identifier: &str, cost: u64, now_ms: u64) -> Option<Known> {
        cache.find(identifier, cost, now_ms, cache.mark(identifier, ""))
    }

    fn until(cache: &BlockCache, identifier: &str, cost: u64, now_ms: u64) -> Option<u64> {
        known(cache, identifier, cost, now_ms)?.retry_at_ms
    }

    #[test]
    fn a_block_ends_exactly_at_its_deadline() {
        let cache = BlockCache::new(8);
        block(&cache, "a", 1, 100, 0);
        assert_eq!(until(&cache, "a", 1, 99), Some(100));
        assert_eq!(until(&cache, "a", 1, 100), None);
        cache.lift("a", "");
        assert_eq!(until(&cache, "a", 1, 50), None);
    }

    #[test]
    fn only_what_is_exact_is_answered() {
        let cache = BlockCache::new(8);
        block(&cache, "a", 5, 100, 0);
        for cost in [4, 6, 10] {
            assert!(known(&cache, "a", cost, 1).is_none(), "{cost}");
        }
        assert_eq!(until(&cache, "a", 5, 1), Some(100));
        let never = known(&cache, "a", 11, 1).unwrap();
        assert_eq!(never.retry_at_ms, None);
        assert!(never.states[0].exceeded);
        block(&cache, "a", 2, 80, 1);
        assert_eq!(until(&cache, "a", 2, 2), Some(80));
    }

    #[test]
    fn a_refusal_from_before_a_lift_is_not_remembered() {
        let cache = BlockCache::new(8);
        for lift in [
            |cache: &BlockCache| cache.lift("a", ""),
            |cache: &BlockCache| cache.lift_all(),
        ] {
            let refusal = refusal(1, 100, cache.mark("a", ""));
            lift(&cache);
            cache.block("a", refusal, 0);
            assert!(known(&cache, "a", 1, 1).is_none());
        }
    }

    #[test]
    fn a_lift_is_for_an_identifier_and_its_group() {
        let cache = BlockCache::new(8);
        let who = [
            ("1", "a", "acme"),
            ("2", "b", "acme"),
            ("3", "a", "other"),
            ("4", "c", "other"),
        ];
        for (name, id, group) in who {
            cache.block(name, refusal(1, 100, cache.mark(id, group)), 0);
        }
        let blocked =
            || who.map(|(name, id, group)| cache.find(name, 1, 1, cache.mark(id, group)).is_some());
        assert_eq!(blocked(), [true; 4]);
        cache.lift("a", "acme");
        assert_eq!(blocked(), [false, false, false, true]);
        // A refusal of someone else that is on its way meanwhile is remembered.
        let mark = cache.mark("someone", "");
        cache.lift("a", "");
        assert_eq!(cache.mark("someone", ""), mark);
    }

    #[test]
    fn a_block_is_known_for_its_time_only() {
        let cache = BlockCache::new(8);
        let refusal = Block {
            known_until_ms: 10,
            ..refusal(1, 100, cache.mark("a", ""))
        };
        cache.block("a", refusal, 0);
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
