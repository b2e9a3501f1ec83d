//! Options of the sorted set commands.

use super::options::{flag, word_and};
use crate::{Args, ToArg};

/// Options of [`SortedSetCommands::zadd_with`](super::SortedSetCommands::zadd_with).
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct ZAddOptions {
    condition: Option<&'static str>,
    comparison: Option<&'static str>,
    changed: bool,
}

impl ZAddOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Only adds: `NX`.
    pub fn nx(mut self) -> Self {
        self.condition = Some("NX");
        self
    }
    /// Only updates: `XX`.
    pub fn xx(mut self) -> Self {
        self.condition = Some("XX");
        self
    }
    /// Updates only to greater scores: `GT`.
    pub fn gt(mut self) -> Self {
        self.comparison = Some("GT");
        self
    }
    /// Updates only to smaller scores: `LT`.
    pub fn lt(mut self) -> Self {
        self.comparison = Some("LT");
        self
    }
    /// Counts changed members too: `CH`.
    pub fn ch(mut self) -> Self {
        self.changed = true;
        self
    }
    pub(super) fn write(self, a: &mut Args) {
        for word in [self.condition, self.comparison].into_iter().flatten() {
            word.write(a);
        }
        flag(self.changed, "CH", a);
    }
}

/// One end of a range of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score {
    /// This score and beyond.
    Incl(f64),
    /// Beyond this score: `(1.5`.
    Excl(f64),
    /// Below every score: `-inf`.
    Min,
    /// Above every score: `+inf`.
    Max,
}

impl From<f64> for Score {
    fn from(score: f64) -> Self {
        Self::Incl(score)
    }
}

impl ToArg for Score {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Incl(score) => score.write(a),
            Self::Excl(score) => format!("({score}").write(a),
            Self::Min => "-inf".write(a),
            Self::Max => "+inf".write(a),
        }
    }
}

/// One end of a range of members of equal score, by bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lex<'a> {
    /// This member and beyond: `[a`.
    Incl(&'a [u8]),
    /// Beyond this member: `(a`.
    Excl(&'a [u8]),
    /// Below every member: `-`.
    Min,
    /// Above every member: `+`.
    Max,
}

impl ToArg for Lex<'_> {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Incl(member) => [b"[", *member].concat().write(a),
            Self::Excl(member) => [b"(", *member].concat().write(a),
            Self::Min => "-".write(a),
            Self::Max => "+".write(a),
        }
    }
}

/// A range for `ZRANGE` and `ZRANGESTORE`.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct ZRange<'a> {
    bounds: Bounds<'a>,
    reversed: bool,
    limit: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
enum Bounds<'a> {
    Rank(i64, i64),
    Score(Score, Score),
    Lex(Lex<'a>, Lex<'a>),
}

impl<'a> ZRange<'a> {
    /// By rank, both ends included; negative counts from the end.
    pub fn by_rank(start: i64, stop: i64) -> Self {
        Self {
            bounds: Bounds::Rank(start, stop),
            reversed: false,
            limit: None,
        }
    }
    /// By score, from the smaller to the greater end.
    pub fn by_score(min: impl Into<Score>, max: impl Into<Score>) -> Self {
        Self {
            bounds: Bounds::Score(min.into(), max.into()),
            reversed: false,
            limit: None,
        }
    }
    /// By member, for members of equal score.
    pub fn by_lex(min: Lex<'a>, max: Lex<'a>) -> Self {
        Self {
            bounds: Bounds::Lex(min, max),
            reversed: false,
            limit: None,
        }
    }
    /// From the greatest to the smallest: `REV`. Bounds stay (min, max).
    pub fn rev(mut self) -> Self {
        self.reversed = true;
        self
    }
    /// Skips and counts: `LIMIT`; a negative count means all.
    pub fn limit(mut self, offset: i64, count: i64) -> Self {
        self.limit = Some((offset, count));
        self
    }
    pub(super) fn write(self, a: &mut Args) {
        let both = |low: &dyn Fn(&mut Args), high: &dyn Fn(&mut Args), a: &mut Args| {
            if self.reversed {
                high(a);
                low(a);
            } else {
                low(a);
                high(a);
            }
        };
        match self.bounds {
            // Ranks already count from the side that `REV` chooses.
            Bounds::Rank(start, stop) => {
                start.write(a);
                stop.write(a);
            }
            Bounds::Score(min, max) => {
                both(&|a| min.write(a), &|a| max.write(a), a);
                "BYSCORE".write(a);
            }
            Bounds::Lex(min, max) => {
                both(&|a| min.write(a), &|a| max.write(a), a);
                "BYLEX".write(a);
            }
        }
        flag(self.reversed, "REV", a);
        write_limit(self.limit, a);
    }
}

pub(super) fn write_limit(limit: Option<(i64, i64)>, a: &mut Args) {
    if let Some((offset, count)) = limit {
        word_and("LIMIT", offset, a);
        count.write(a);
    }
}

/// How scores of the same member combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Aggregate {
    /// Added.
    Sum,
    /// The smallest.
    Min,
    /// The greatest.
    Max,
    /// The weights of the sets that have the member, added; without weights, how many have it.
    /// Redis 8.8.
    Count,
}

/// Weights and aggregation of unions and intersections.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ZCombine {
    weights: Vec<f64>,
    aggregate: Option<Aggregate>,
}

impl ZCombine {
    /// Weight 1 for each set, scores added.
    pub fn new() -> Self {
        Self::default()
    }
    /// Multiplies the scores of each set; one weight a set.
    pub fn weights(mut self, weights: impl IntoIterator<Item = f64>) -> Self {
        self.weights = weights.into_iter().collect();
        self
    }
    /// How scores of the same member combine.
    pub fn aggregate(mut self, aggregate: Aggregate) -> Self {
        self.aggregate = Some(aggregate);
        self
    }
    pub(super) fn write(&self, a: &mut Args) {
        if !self.weights.is_empty() {
            "WEIGHTS".write(a);
            for weight in &self.weights {
                weight.write(a);
            }
        }
        if let Some(aggregate) = self.aggregate {
            let word = match aggregate {
                Aggregate::Sum => "SUM",
                Aggregate::Min => "MIN",
                Aggregate::Max => "MAX",
                Aggregate::Count => "COUNT",
            };
            word_and("AGGREGATE", word, a);
        }
    }
}

/// The end of a sorted set that is popped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZEnd {
    /// The smallest scores.
    Min,
    /// The greatest scores.
    Max,
}

impl ToArg for ZEnd {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Min => "MIN",
            Self::Max => "MAX",
        }
        .write(a);
    }
}
