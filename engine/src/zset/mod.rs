//! Sorted sets: members by score, with ranks in logarithmic time.

mod skiplist;

use std::ops::Range;

use crate::dict::{Dict, Rng};
use skiplist::SkipList;

/// The value behind a sorted-set key.
///
/// Members live in a [`Dict`]; the skip list orders their positions by (score, member) and counts
/// what it jumps over. Every range (by rank, score or member) becomes a range of ranks through
/// [`ZSet::partition`].
#[derive(Clone, Debug, Default)]
pub(crate) struct ZSet {
    members: Dict<f64>,
    order: SkipList,
}

impl ZSet {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.members.get(member).copied()
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    /// Adds a member or changes its score, which is not NaN; returns the score before.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        // Negative zero is zero, as in the compact sets of Redis.
        let score = score + 0.0;
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
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.members.find(member)?;
        let score = self.members.value(at).copied()?;
        self.order.remove(&self.members, score, at);
        self.members.remove_at(at);
        Some(score)
    }

    /// How many members come before this one.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.partition(|other, other_score| {
            other_score < score || (other_score == score && other < member)
        }))
    }

    /// How many members fit `before`, which must be true for a prefix of the order only.
    pub(crate) fn partition(&self, before: impl Fn(&[u8], f64) -> bool) -> usize {
        self.order.partition(|at, score| {
            self.members
                .key(at)
                .is_some_and(|member| before(member, score))
        })
    }

    /// Members and scores with these ranks, in order.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        self.order
            .forward(ranks.start)
            .take(ranks.len())
            .filter_map(|(at, score)| self.members.key(at).map(|member| (member, score)))
    }

    /// Members and scores with these ranks, last first.
    pub(crate) fn range_rev(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        self.order
            .backward(ranks.end)
            .take(ranks.len())
            .filter_map(|(at, score)| self.members.key(at).map(|member| (member, score)))
    }

    /// All members in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.range(0..self.len())
    }

    /// Removes the members with these ranks; returns how many.
    pub(crate) fn remove_ranks(&mut self, ranks: Range<usize>) -> usize {
        let removed = self.order.remove_ranks(ranks);
        for &at in &removed {
            self.members.remove_at(at);
        }
        removed.len()
    }

    pub(crate) fn random(&self, rng: &mut Rng) -> Option<(&[u8], f64)> {
        let at = self.members.random(rng)?;
        self.members
            .entry(at)
            .map(|(member, score)| (member, *score))
    }

    /// Members and scores by position, for ZSCAN.
    pub(crate) const fn dict(&self) -> &Dict<f64> {
        &self.members
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.members.weight() + self.order.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_set_that_lost_members_is_whole() {
        let mut zset = ZSet::default();
        for member in ["a", "b", "c"] {
            zset.insert(member.as_bytes(), 1.0);
        }
        zset.remove(b"a");
        let copy = zset.clone();
        assert_eq!(
            copy.iter().collect::<Vec<_>>(),
            zset.iter().collect::<Vec<_>>()
        );
        assert_eq!(copy.len(), 2);
    }

    #[test]
    fn equal_scores_are_ordered_by_member() {
        let mut zset = ZSet::default();
        for member in ["b", "a", "c"] {
            zset.insert(member.as_bytes(), 1.0);
        }
        let members: Vec<&[u8]> = zset.iter().map(|(member, _)| member).collect();
        assert_eq!(members, [b"a", b"b", b"c"]);
        assert_eq!(zset.rank(b"c"), Some(2));
    }

    proptest::proptest! {
        #[test]
        fn ranks_and_ranges_agree_with_a_sorted_vector(
            steps in proptest::collection::vec((0u8..3, 0u16..200, -5i8..5), 1..400)
        ) {
            let mut zset = ZSet::default();
            let mut model: Vec<(f64, Vec<u8>)> = Vec::new();
            for (what, member, score) in steps {
                let (member, score) = (member.to_string().into_bytes(), f64::from(score));
                if what == 0 {
                    let known = model.iter().position(|(_, m)| *m == member);
                    proptest::prop_assert_eq!(zset.remove(&member), known.map(|at| model[at].0));
                    if let Some(at) = known { model.remove(at); }
                } else if what == 1 && model.len() > 10 {
                    let start = usize::from(member[0]) % model.len();
                    let end = (start + 3).min(model.len());
                    proptest::prop_assert_eq!(zset.remove_ranks(start..end), end - start);
                    model.drain(start..end);
                } else {
                    zset.insert(&member, score);
                    model.retain(|(_, m)| *m != member);
                    model.push((score, member));
                    model.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
                }
                proptest::prop_assert_eq!(zset.len(), model.len());
            }
            for (rank, (score, member)) in model.iter().enumerate() {
                proptest::prop_assert_eq!(zset.rank(member), Some(rank));
                proptest::prop_assert_eq!(zset.score(member), Some(*score));
            }
            let forward: Vec<_> = zset.iter().map(|(m, s)| (s, m.to_vec())).collect();
            proptest::prop_assert_eq!(&forward, &model);
            let mut backward: Vec<_> =
                zset.range_rev(0..zset.len()).map(|(m, s)| (s, m.to_vec())).collect();
            backward.reverse();
            proptest::prop_assert_eq!(&backward, &model);
        }
    }
}
