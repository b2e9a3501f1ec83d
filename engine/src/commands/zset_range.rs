//! Ranges of sorted sets by rank, score and member.

use std::ops::Range;

use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::num;
use crate::options::Dialect;
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::value::Typed;
use crate::zset::ZSet;

use super::zset::pairs;

/// One end of a range of scores.
#[derive(Clone, Copy, Debug)]
struct ScoreBound {
    value: f64,
    exclusive: bool,
}

impl ScoreBound {
    fn parse(text: &[u8]) -> Result<Self, Error> {
        let (exclusive, digits) = match text {
            [b'(', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        // Redis reads up to a zero byte and takes nothing for zero; other than in scores, hexadecimal
        // is no number.
        let end = digits.iter().position(|byte| *byte == 0);
        let digits = &digits[..end.unwrap_or(digits.len())];
        let value = if digits.is_empty() {
            Some(0.0)
        } else {
            let hexadecimal = digits.iter().any(|byte| matches!(byte, b'x' | b'X'));
            num::parse_f64(digits)
                .filter(|_| !hexadecimal)
                .or_else(|| num::out_of_range(digits))
        };
        let value = value.ok_or(Error::fixed("ERR min or max is not a float"))?;
        Ok(Self { value, exclusive })
    }
}

/// One end of a range of members.
#[derive(Clone, Copy, Debug)]
enum LexBound<'a> {
    Lowest,
    Highest,
    Inclusive(&'a [u8]),
    Exclusive(&'a [u8]),
}

impl<'a> LexBound<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, Error> {
        match text {
            b"-" => Ok(Self::Lowest),
            b"+" => Ok(Self::Highest),
            [b'[', rest @ ..] => Ok(Self::Inclusive(rest)),
            [b'(', rest @ ..] => Ok(Self::Exclusive(rest)),
            _ => Err(Error::fixed("ERR min or max not valid string range item")),
        }
    }

    /// Whether a member lies before a range that starts here.
    fn before_start(self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Inclusive(bound) => member < bound,
            Self::Exclusive(bound) => member <= bound,
        }
    }

    /// Whether a member lies within a range that ends here.
    fn before_end(self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Inclusive(bound) => member <= bound,
            Self::Exclusive(bound) => member < bound,
        }
    }
}

/// A range that still has to be found in a sorted set.
#[derive(Clone, Copy, Debug)]
enum Bounds<'a> {
    Rank(i64, i64),
    Score(ScoreBound, ScoreBound),
    Lex(LexBound<'a>, LexBound<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

impl<'a> Bounds<'a> {
    fn parse(by: By, low: &'a [u8], high: &'a [u8]) -> Result<Self, Error> {
        Ok(match by {
            By::Rank => Self::Rank(parse::int(low)?, parse::int(high)?),
            By::Score => Self::Score(ScoreBound::parse(low)?, ScoreBound::parse(high)?),
            By::Lex => Self::Lex(LexBound::parse(low)?, LexBound::parse(high)?),
        })
    }

    /// The ranks within the bounds; ranks given in reverse count from the other end.
    fn ranks(self, zset: &ZSet, reverse: bool) -> Range<usize> {
        let (start, end) = match self {
            Self::Rank(start, stop) => {
                let len = zset.len();
                let range = parse::index_range(start, stop, len);
                if reverse {
                    return len - range.end..len - range.start;
                }
                return range;
            }
            Self::Score(min, max) => (
                zset.partition(|_, score| {
                    score < min.value || (min.exclusive && score == min.value)
                }),
                zset.partition(|_, score| {
                    score < max.value || (!max.exclusive && score == max.value)
                }),
            ),
            Self::Lex(min, max) => (
                zset.partition(|member, _| min.before_start(member)),
                zset.partition(|member, _| max.before_end(member)),
            ),
        };
        start..end.max(start)
    }
}

/// A whole range query.
#[derive(Debug)]
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    limit: Option<(i64, i64)>,
    with_scores: bool,
}

/// What the command's name has settled already.
#[derive(Clone, Copy, Debug)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    /// Whether WITHSCORES may be asked for.
    scores: bool,
}

impl<'a> Query<'a> {
    /// Parses `min max [options]` from the argument with this index on.
    fn parse(dialect: Dialect, args: Args<'a>, at: usize, form: Form) -> Result<Self, Error> {
        let (first, second) = (args[at], args[at + 1]);
        let mut by = form.by.unwrap_or(By::Rank);
        let mut reverse = form.reverse.unwrap_or(false);
        let (mut limit, mut with_scores, mut chosen) = (None, false, form.by.is_some());
        let mut walk = Walk::new(args, at + 2);
        while !walk.is_empty() {
            if form.scores && walk.word("WITHSCORES") {
                with_scores = true;
            } else if walk.word("LIMIT") {
                limit = Some((walk.need_int()?, walk.need_int()?));
            } else if form.reverse.is_none() && !reverse && walk.word("REV") {
                reverse = true;
            } else if !chosen && walk.word("BYSCORE") {
                (by, chosen) = (By::Score, true);
            } else if !chosen && walk.word("BYLEX") {
                (by, chosen) = (By::Lex, true);
            } else {
                return Err(SYNTAX);
            }
        }
        // Upstash takes a LIMIT of ranks.
        let unlimited = limit.is_none_or(|(_, count)| count == -1);
        if dialect == Dialect::Redis && by == By::Rank && !unlimited {
            return Err(Error::fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(Error::fixed(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        // In reverse the higher bound comes first; ranks keep their order.
        let (low, high) = if reverse && by != By::Rank {
            (second, first)
        } else {
            (first, second)
        };
        Ok(Self {
            bounds: Bounds::parse(by, low, high)?,
            reverse,
            limit,
            with_scores,
        })
    }

    fn ranks(&self, zset: &ZSet) -> Range<usize> {
        let Range { start, end } = self.bounds.ranks(zset, self.reverse);
        let Some((offset, count)) = self.limit else {
            return start..end;
        };
        let Ok(offset) = usize::try_from(offset) else {
            return start..start;
        };
        let offset = offset.min(end - start);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if self.reverse {
            let end = end - offset;
            end - count.min(end - start)..end
        } else {
            let start = start + offset;
            start..start + count.min(end - start)
        }
    }
}

fn range(ctx: &mut Ctx<'_>, args: Args<'_>, form: Form) -> Outcome {
    let query = Query::parse(ctx.side.dialect, args, 2, form)?;
    let Some(zset) = ctx.db.read::<ZSet>(args[1])? else {
        return Ok(Reply::empty());
    };
    let ranks = query.ranks(zset);
    Ok(Reply::Array(if query.reverse {
        pairs(zset.range_rev(ranks), query.with_scores)
    } else {
        pairs(zset.range(ranks), query.with_scores)
    }))
}

fn zrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let form = Form {
        by: None,
        reverse: None,
        scores: true,
    };
    range(ctx, args, form)
}

const fn fixed(by: By, reverse: bool) -> Form {
    Form {
        by: Some(by),
        reverse: Some(reverse),
        scores: true,
    }
}

fn zrevrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, fixed(By::Rank, true))
}

fn zrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, fixed(By::Score, false))
}

fn zrevrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, fixed(By::Score, true))
}

fn zrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, fixed(By::Lex, false))
}

fn zrevrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, fixed(By::Lex, true))
}

fn zrangestore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let form = Form {
        by: None,
        reverse: None,
        scores: false,
    };
    let query = Query::parse(ctx.side.dialect, args, 3, form)?;
    let mut result = ZSet::default();
    if let Some(zset) = ctx.db.read::<ZSet>(args[2])? {
        for (member, score) in zset.range(query.ranks(zset)) {
            result.insert(&member, score);
        }
    }
    store(ctx, args[1], result, "zrangestore")
}

/// Puts a result in place of a key; an empty one removes the key.
pub(super) fn store(ctx: &mut Ctx<'_>, key: &[u8], result: ZSet, event: &'static str) -> Outcome {
    let len = result.len();
    if len > 0 {
        let result = result.into_value();
        ctx.keep(&result)?;
        ctx.db.put(key, result);
        ctx.db.notify(Event::ZSET, event, key);
    } else if ctx.db.remove(key) {
        ctx.db.notify(Event::GENERIC, "del", key);
    }
    Ok(Reply::len(len))
}

fn count(ctx: &mut Ctx<'_>, args: Args<'_>, by: By) -> Outcome {
    let bounds = Bounds::parse(by, args[2], args[3])?;
    let zset = ctx.db.read::<ZSet>(args[1])?;
    Ok(Reply::len(
        zset.map_or(0, |zset| bounds.ranks(zset, false).len()),
    ))
}

fn zcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    count(ctx, args, By::Score)
}

fn zlexcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    count(ctx, args, By::Lex)
}

fn remove(ctx: &mut Ctx<'_>, args: Args<'_>, by: By, event: &'static str) -> Outcome {
    let bounds = Bounds::parse(by, args[2], args[3])?;
    let Some(zset) = ctx.db.write::<ZSet>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let removed = zset.remove_ranks(bounds.ranks(zset, false));
    if removed > 0 {
        ctx.db.notify(Event::ZSET, event, args[1]);
    }
    Ok(Reply::len(removed))
}

fn zremrangebyrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    remove(ctx, args, By::Rank, "zremrangebyrank")
}

fn zremrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    remove(ctx, args, By::Score, "zremrangebyscore")
}

fn zremrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    remove(ctx, args, By::Lex, "zremrangebylex")
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("ZCOUNT", 4, Keys::ONE, Category::SortedSet, zcount).fast(),
    Spec::read("ZLEXCOUNT", 4, Keys::ONE, Category::SortedSet, zlexcount).fast(),
    Spec::read("ZRANGE", -4, Keys::ONE, Category::SortedSet, zrange),
    Spec::read(
        "ZRANGEBYLEX",
        -4,
        Keys::ONE,
        Category::SortedSet,
        zrangebylex,
    ),
    Spec::read(
        "ZRANGEBYSCORE",
        -4,
        Keys::ONE,
        Category::SortedSet,
        zrangebyscore,
    ),
    Spec::write(
        "ZRANGESTORE",
        -5,
        Keys::TWO,
        Category::SortedSet,
        zrangestore,
    )
    .denyoom(),
    Spec::write(
        "ZREMRANGEBYLEX",
        4,
        Keys::ONE,
        Category::SortedSet,
        zremrangebylex,
    ),
    Spec::write(
        "ZREMRANGEBYRANK",
        4,
        Keys::ONE,
        Category::SortedSet,
        zremrangebyrank,
    ),
    Spec::write(
        "ZREMRANGEBYSCORE",
        4,
        Keys::ONE,
        Category::SortedSet,
        zremrangebyscore,
    ),
    Spec::read("ZREVRANGE", -4, Keys::ONE, Category::SortedSet, zrevrange),
    Spec::read(
        "ZREVRANGEBYLEX",
        -4,
        Keys::ONE,
        Category::SortedSet,
        zrevrangebylex,
    ),
    Spec::read(
        "ZREVRANGEBYSCORE",
        -4,
        Keys::ONE,
        Category::SortedSet,
        zrevrangebyscore,
    ),
];
