//! Sorted sets of any size, with ranks in logarithmic time.

use std::ops::Range;

use super::skiplist::SkipList;
use crate::dict::Dict;

/// Members by score.
///
/// Members live in a [`Dict`]; the skip list orders their positions by (score, member) and counts
/// what it jumps over. Every range (by rank, score or member) becomes a range of ranks through
/// [`Ranked::partition`].
#[derive(Clone, Debug, Default)]
pub(super) struct Ranked {
    members: Dict<f64>,
    order: SkipList,
}

impl Ranked {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.members.get(member).copied()
    }

    /// Adds a member or changes its score, which is neither NaN nor negative zero; returns the score before.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let Some(at) = self.members.find(member) else {
            let at = self.members.insert_new(member, score);
            self.order.insert(&self.members, score, at);
            return None;
        };
        let old = self.members.value(at).copied()?;
        if old != score {
            self.order.remove(&self.members, old, at);
            if let Some(slot) = self.members.value_mut(at) {
                *slot = score;
            }
            self.order.insert(&self.members, score, at);
        }
        Some(old)
    }

    /// Removes a member; returns its score.
    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.members.find(member)?;
        let score = self.members.value(at).copied()?;
        self.order.remove(&self.members, score, at);
        self.members.remove_at(at);
        Some(score)
    }

    /// How many members fit `before`, which must be true for a prefix of the order only.
    pub(super) fn partition(&self, before: impl Fn(&[u8], f64) -> bool) -> usize {
        self.order.partition(|at, score| {
            self.members
                .key(at)
                .is_some_and(|member| before(member, score))
        })
    }

    /// Members and scores with these ranks, in order.
    pub(super) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        self.order
            .forward(ranks.start)
            .take(ranks.len())
            .filter_map(|(at, score)| self.members.key(at).map(|member| (member, score)))
    }

    /// Members and scores with these ranks, last first.
    pub(super) fn range_rev(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        self.order
            .backward(ranks.end)
            .take(ranks.len())
            .filter_map(|(at, score)| self.members.key(at).map(|member| (member, score)))
    }

    /// Removes the members with these ranks; returns how many.
    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) -> usize {
        let removed = self.order.remove_ranks(ranks);
        for &at in &removed {
            self.members.remove_at(at);
        }
        removed.len()
    }

    /// Members and scores by position, for ZSCAN.
    pub(super) const fn dict(&self) -> &Dict<f64> {
        &self.members
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.members.weight() + self.order.weight()
    }
}
