//! Sorted sets: members by score.

mod packed;
mod ranked;
mod skiplist;

use std::ops::Range;

use crate::dict::{Positions, Rng};
use crate::either::Either;
use crate::packed::Packed;
use crate::text::Text;
use ranked::Ranked;

/// The most members of a packed sorted set.
const MEMBERS: usize = 128;
/// The longest member of a packed sorted set.
const LONGEST: usize = 64;

/// The value behind a sorted-set key.
///
/// A small one is packed: members and scores in turn, in order. One that has grown out of that
/// stays ranked.
#[derive(Clone, Debug)]
pub(crate) struct ZSet(Form);

#[derive(Clone, Debug)]
enum Form {
    Packed(Packed),
    Ranked(Box<Ranked>),
}

impl Default for ZSet {
    fn default() -> Self {
        Self(Form::Packed(Packed::default()))
    }
}

impl ZSet {
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.len() / 2,
            Form::Ranked(ranked) => ranked.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) const fn is_packed(&self) -> bool {
        matches!(self.0, Form::Packed(_))
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Form::Packed(packed) => {
                packed::find(packed, member).map(|at| packed.score(packed.after(at)))
            }
            Form::Ranked(ranked) => ranked.score(member),
        }
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        self.score(member).is_some()
    }

    /// Adds a member or changes its score, which is not NaN; returns the score before.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        // Negative zero is zero, as in the compact sets of Redis.
        let score = score + 0.0;
        match &mut self.0 {
            Form::Packed(packed) => {
                let old = packed::find(packed, member);
                if old.is_none() && (packed.len() / 2 >= MEMBERS || member.len() > LONGEST) {
                    self.0 = Form::Ranked(Box::new(ranked(packed)));
                    return self.insert(member, score);
                }
                packed::insert(packed, old, member, score)
            }
            Form::Ranked(ranked) => ranked.insert(member, score),
        }
    }

    /// Removes a member; returns its score.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Packed(packed) => {
                let at = packed::find(packed, member)?;
                let score = packed.score(packed.after(at));
                packed.remove(at, 2);
                Some(score)
            }
            Form::Ranked(ranked) => ranked.remove(member),
        }
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
        match &self.0 {
            Form::Packed(packed) => packed::range(packed, 0..self.len())
                .take_while(|(member, score)| before(member, *score))
                .count(),
            Form::Ranked(ranked) => ranked.partition(before),
        }
    }

    /// Members and scores with these ranks, in order.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (Text<'_>, f64)> {
        match &self.0 {
            Form::Packed(packed) => Either::Left(packed::range(packed, ranks)),
            Form::Ranked(ranked) => Either::Right(ranked.range(ranks).map(slice)),
        }
    }

    /// Members and scores with these ranks, last first.
    pub(crate) fn range_rev(&self, ranks: Range<usize>) -> impl Iterator<Item = (Text<'_>, f64)> {
        match &self.0 {
            Form::Packed(packed) => Either::Left(packed::range_rev(packed, ranks)),
            Form::Ranked(ranked) => Either::Right(ranked.range_rev(ranks).map(slice)),
        }
    }

    /// All members in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Text<'_>, f64)> {
        self.range(0..self.len())
    }

    /// Removes the members with these ranks; returns how many.
    pub(crate) fn remove_ranks(&mut self, ranks: Range<usize>) -> usize {
        match &mut self.0 {
            Form::Packed(packed) => {
                let ranks = ranks.start..ranks.end.min(packed.len() / 2);
                packed.remove(packed.nth(ranks.start * 2), ranks.len() * 2);
                ranks.len()
            }
            Form::Ranked(ranked) => ranked.remove_ranks(ranks),
        }
    }

    /// Member and score at a position.
    pub(crate) fn entry(&self, at: u32) -> Option<(Text<'_>, f64)> {
        match &self.0 {
            Form::Packed(packed) => packed::range(packed, at as usize..self.len()).next(),
            Form::Ranked(ranked) => {
                let (member, score) = ranked.dict().entry(at)?;
                Some((Text::Slice(member), *score))
            }
        }
    }

    /// Visits members and scores from a cursor on as [`crate::dict::Dict::scan`] does, those of a
    /// packed set all at once.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        steps: usize,
        mut visit: impl FnMut(Text<'_>, f64) -> bool,
    ) -> u64 {
        match &self.0 {
            Form::Packed(_) => {
                for (member, score) in self.iter() {
                    visit(member, score);
                }
                0
            }
            Form::Ranked(ranked) => ranked.dict().scan(cursor, steps, |_, member, score| {
                visit(Text::Slice(member), *score)
            }),
        }
    }

    /// Roughly the bytes behind this.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.weight(),
            Form::Ranked(ranked) => ranked.weight(),
        }
    }
}

impl Positions for ZSet {
    fn len(&self) -> usize {
        self.len()
    }

    fn random(&self, rng: &mut Rng) -> Option<u32> {
        match &self.0 {
            Form::Packed(_) => crate::packed::random(self.len(), rng),
            Form::Ranked(ranked) => ranked.dict().random(rng),
        }
    }

    fn all(&self) -> Vec<u32> {
        match &self.0 {
            Form::Packed(_) => (0..self.len() as u32).collect(),
            Form::Ranked(ranked) => ranked.dict().all(),
        }
    }
}

fn slice((member, score): (&[u8], f64)) -> (Text<'_>, f64) {
    (Text::Slice(member), score)
}

fn ranked(packed: &Packed) -> Ranked {
    let mut ranked = Ranked::default();
    for (member, score) in packed::range(packed, 0..packed.len() / 2) {
        ranked.insert(&member, score);
    }
    ranked
}

#[cfg(test)]
mod tests;
