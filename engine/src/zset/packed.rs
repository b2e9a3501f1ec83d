//! Small sorted sets: members and scores in turn, in order.

use std::ops::Range;

use super::LONGEST;
use crate::packed::{Element, Packed};
use crate::text::Text;

/// The offset of a member.
pub(super) fn find(packed: &Packed, member: &[u8]) -> Option<usize> {
    if member.len() > LONGEST {
        return None;
    }
    packed.find(&Element::new(member), 2)
}

/// Members and scores with these ranks, in order.
pub(super) fn range(packed: &Packed, ranks: Range<usize>) -> impl Iterator<Item = (Text<'_>, f64)> {
    let mut at = packed.nth(ranks.start * 2);
    ranks
        .take_while(|rank| *rank < packed.len() / 2)
        .map(move |_| {
            let (member, score) = (at, packed.after(at));
            at = packed.after(score);
            (packed.text(member), packed.score(score))
        })
}

/// Members and scores with these ranks, last first.
pub(super) fn range_rev(
    packed: &Packed,
    ranks: Range<usize>,
) -> impl Iterator<Item = (Text<'_>, f64)> {
    let ranks = ranks.start..ranks.end.min(packed.len() / 2);
    let mut end = packed.nth(ranks.end * 2);
    ranks.map(move |_| {
        let score = packed.before(end);
        end = packed.before(score);
        (packed.text(end), packed.score(score))
    })
}

/// Adds a member or changes its score, where it is now being told; returns the score before.
pub(super) fn insert(
    packed: &mut Packed,
    known: Option<usize>,
    member: &[u8],
    score: f64,
) -> Option<f64> {
    let old = known.map(|at| packed.score(packed.after(at)));
    if old == Some(score) {
        return old;
    }
    if let Some(at) = known {
        packed.remove(at, 2);
    }
    let mut at = packed.start();
    while at < packed.end() {
        let other = packed.after(at);
        let other_score = packed.score(other);
        if other_score > score || other_score == score && *packed.text(at) > *member {
            break;
        }
        at = packed.after(other);
    }
    // The score first: what is inserted may move the offset.
    let from_end = packed.end() - at;
    packed.insert(at, &Element::score(score));
    let score_size = Element::score(score).size();
    packed.insert(packed.end() - from_end - score_size, &Element::new(member));
    old
}
