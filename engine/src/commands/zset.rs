//! Sorted sets: members and their scores. Ranges are in `zset_range`, set algebra in `zset_ops`.

use super::generic::{SCAN_STEPS, ScanOptions, Scanned, scan_cursor, scan_reply};
use super::hash::{Draw, draw};
use super::list::{counted_keys, trailing_count};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::dict::Positions;
use crate::error::{Error, SYNTAX};
use crate::num;
use crate::parse::{self, Walk};
use crate::reply::{Bulks, Reply};
use crate::text::Text;
use crate::zset::ZSet;

const NOT_A_NUMBER: Error = Error::fixed("ERR resulting score is not a number (NaN)");

/// Members and scores as one flat array.
pub(super) fn pairs<'a>(
    items: impl Iterator<Item = (Text<'a>, f64)>,
    with_scores: bool,
) -> Vec<Reply> {
    let mut out = Bulks::with_capacity(items.size_hint().0 * (1 + usize::from(with_scores)));
    let mut number = num::DoubleText::new();
    for (member, score) in items {
        out.push(&member);
        if with_scores {
            out.push_short(number.format(score));
        }
    }
    out.into_replies()
}

#[derive(Clone, Copy, Debug, Default)]
struct AddOptions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

impl AddOptions {
    fn parse(walk: &mut Walk<'_>) -> Self {
        let mut options = Self::default();
        loop {
            if walk.word("NX") {
                options.nx = true;
            } else if walk.word("XX") {
                options.xx = true;
            } else if walk.word("GT") {
                options.gt = true;
            } else if walk.word("LT") {
                options.lt = true;
            } else if walk.word("CH") {
                options.ch = true;
            } else if walk.word("INCR") {
                options.incr = true;
            } else {
                return options;
            }
        }
    }

    fn check(self, pairs: usize) -> Result<(), Error> {
        if self.nx && self.xx {
            return Err(Error::fixed(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if u8::from(self.gt) + u8::from(self.nx) + u8::from(self.lt) > 1 {
            return Err(Error::fixed(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.incr && pairs > 1 {
            return Err(Error::fixed(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }

    /// The score to set, `None` if the options forbid a change.
    fn score(self, old: Option<f64>, given: f64) -> Result<Option<f64>, Error> {
        let Some(old) = old else {
            return Ok((!self.xx).then_some(given));
        };
        if self.nx {
            return Ok(None);
        }
        let new = if self.incr { old + given } else { given };
        if new.is_nan() {
            return Err(NOT_A_NUMBER);
        }
        let forbidden = self.gt && new <= old || self.lt && new >= old;
        Ok((!forbidden).then_some(new))
    }
}

fn add(ctx: &mut Ctx<'_>, args: Args<'_>, options: AddOptions, items: &[&[u8]]) -> Outcome {
    let mut parsed = Vec::with_capacity(items.len() / 2);
    for pair in items.chunks_exact(2) {
        parsed.push((parse::float(pair[0])?, pair[1]));
    }
    let key = args[1];
    let missing = ctx.db.read::<ZSet>(key)?.is_none();
    if missing && options.xx {
        return Ok(if options.incr {
            Reply::Nil
        } else {
            Reply::Int(0)
        });
    }
    let zset = ctx.db.create::<ZSet>(key)?;
    let (mut added, mut changed, mut result) = (0, 0, None);
    for (given, member) in parsed {
        let old = zset.score(member);
        result = options.score(old, given)?;
        if let Some(new) = result {
            zset.insert(member, new);
            added += usize::from(old.is_none());
            changed += usize::from(old.is_some_and(|old| old != new));
        }
    }
    if added + changed > 0 {
        let event = if options.incr { "zincr" } else { "zadd" };
        ctx.db.notify(Event::ZSET, event, key);
    }
    Ok(if options.incr {
        result.map_or(Reply::Nil, Reply::double)
    } else {
        Reply::len(added + if options.ch { changed } else { 0 })
    })
}

fn zadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut walk = Walk::new(args, 2);
    let options = AddOptions::parse(&mut walk);
    let items = walk.rest();
    if items.is_empty() || !items.len().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    options.check(items.len() / 2)?;
    add(ctx, args, options, items)
}

fn zincrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = AddOptions {
        incr: true,
        ..AddOptions::default()
    };
    add(ctx, args, options, &args[2..])
}

fn zrem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let Some(zset) = ctx.db.write::<ZSet>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let removed = args[2..]
        .iter()
        .filter(|member| zset.remove(member).is_some())
        .count();
    if removed > 0 {
        ctx.db.notify(Event::ZSET, "zrem", args[1]);
    }
    Ok(Reply::len(removed))
}

fn zcard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::len(
        ctx.db.read::<ZSet>(args[1])?.map_or(0, ZSet::len),
    ))
}

fn zscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let zset = ctx.db.read::<ZSet>(args[1])?;
    let score = zset.and_then(|zset| zset.score(args[2]));
    Ok(score.map_or(Reply::Nil, Reply::double))
}

fn zmscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let zset = ctx.db.read::<ZSet>(args[1])?;
    Ok(Reply::array(args[2..].iter().map(|member| {
        zset.and_then(|zset| zset.score(member))
            .map_or(Reply::Nil, Reply::double)
    })))
}

fn rank(ctx: &mut Ctx<'_>, args: Args<'_>, reverse: bool, name: &str) -> Outcome {
    let with_score = match args {
        [_, _, _] => false,
        [_, _, _, word] if parse::is(word, "WITHSCORE") => true,
        [_, _, _, _] => return Err(SYNTAX),
        _ => return Err(Error::wrong_arity(name)),
    };
    let found = ctx.db.read::<ZSet>(args[1])?.and_then(|zset| {
        let rank = zset.rank(args[2])?;
        let rank = if reverse { zset.len() - 1 - rank } else { rank };
        Some((rank, zset.score(args[2])?))
    });
    Ok(match (found, with_score) {
        (Some((rank, _)), false) => Reply::len(rank),
        (Some((rank, score)), true) => Reply::Array(vec![Reply::len(rank), Reply::double(score)]),
        (None, false) => Reply::Nil,
        (None, true) => Reply::NilArray,
    })
}

fn zrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    rank(ctx, args, false, "zrank")
}

fn zrevrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    rank(ctx, args, true, "zrevrank")
}

/// Removes members from an end; returns them with their scores, the outermost first.
fn pop_end(zset: &mut ZSet, count: usize, max: bool) -> Vec<(Reply, Reply)> {
    let len = zset.len();
    let count = count.min(len);
    let owned = |(member, score): (Text<'_>, f64)| (Reply::bulk(member), Reply::double(score));
    let ranks = if max { len - count..len } else { 0..count };
    let popped = if max {
        zset.range_rev(ranks.clone()).map(owned).collect()
    } else {
        zset.range(ranks.clone()).map(owned).collect()
    };
    zset.remove_ranks(ranks);
    popped
}

const fn pop_event(max: bool) -> &'static str {
    if max { "zpopmax" } else { "zpopmin" }
}

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, max: bool) -> Outcome {
    let count = match args {
        [_, _] => 1,
        [_, _, count] => parse::count(count)?,
        _ => return Err(SYNTAX),
    };
    let Some(zset) = ctx.db.write::<ZSet>(args[1])? else {
        return Ok(Reply::empty());
    };
    let popped = pop_end(zset, count, max);
    if !popped.is_empty() {
        ctx.db.notify(Event::ZSET, pop_event(max), args[1]);
    }
    Ok(Reply::array(
        popped
            .into_iter()
            .flat_map(|(member, score)| [member, score]),
    ))
}

fn zpopmin(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    pop(ctx, args, false)
}

fn zpopmax(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    pop(ctx, args, true)
}

/// One member with its score, the lowest or the highest.
pub(super) fn pop_one(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    max: bool,
) -> Result<Option<Vec<Reply>>, Error> {
    let Some(zset) = ctx.db.write::<ZSet>(key)? else {
        return Ok(None);
    };
    let popped = pop_end(zset, 1, max).pop();
    if popped.is_some() {
        ctx.db.notify(Event::ZSET, pop_event(max), key);
    }
    Ok(popped.map(|(member, score)| vec![member, score]))
}

pub(super) fn zmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut walk = Walk::new(args, 1);
    let keys = counted_keys(&mut walk)?;
    let max = if walk.word("MAX") {
        true
    } else if walk.word("MIN") {
        false
    } else {
        return Err(SYNTAX);
    };
    let count = trailing_count(&mut walk)?;
    for key in keys {
        let Some(zset) = ctx.db.write::<ZSet>(key)? else {
            continue;
        };
        let popped = pop_end(zset, count, max)
            .into_iter()
            .map(|(member, score)| Reply::Array(vec![member, score]));
        let popped = Reply::array(popped);
        ctx.db.notify(Event::ZSET, pop_event(max), key);
        return Ok(Reply::Array(vec![Reply::bulk(key), popped]));
    }
    Ok(Reply::NilArray)
}

fn zrandmember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let what = match args {
        [_, _, count, rest @ ..] => Some(Draw::parse(count, rest, "WITHSCORES")?),
        _ => None,
    };
    let with_scores = args.len() == 4;
    let mut rng = std::mem::take(&mut ctx.db.rng);
    let reply = ctx.db.read::<ZSet>(args[1]).map(|zset| match (what, zset) {
        (None, zset) => zset
            .and_then(|zset| zset.entry(zset.random(&mut rng)?))
            .map_or(Reply::Nil, |(member, _)| Reply::bulk(member)),
        (Some(_), None) => Reply::empty(),
        (Some(what), Some(zset)) => {
            let drawn = draw(zset, &mut rng, what);
            let items = drawn.into_iter().filter_map(|at| zset.entry(at));
            Reply::Array(pairs(items, with_scores))
        }
    });
    ctx.db.rng = rng;
    reply
}

fn zscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    scan_cursor(args[2])?;
    // A missing key answers before the options are looked at.
    if ctx.db.read::<ZSet>(args[1])?.is_none() {
        return Ok(scan_reply(0, Vec::new()));
    }
    let options = ScanOptions::parse(args, 2, Scanned::Members)?;
    if options.no_values {
        return Err(SYNTAX);
    }
    let Some(zset) = ctx.db.read::<ZSet>(args[1])? else {
        return Ok(scan_reply(0, Vec::new()));
    };
    let mut found = Vec::new();
    let cursor = zset.scan(options.cursor, SCAN_STEPS, |member, score| {
        if options.fits(&member, &ctx.side.budget) {
            found.push(Reply::bulk(member));
            found.push(Reply::double(score));
        }
        found.len() / 2 < options.count
    });
    Ok(scan_reply(cursor, found))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("ZADD", -4, Keys::ONE, Category::SortedSet, zadd)
        .denyoom()
        .fast(),
    Spec::read("ZCARD", 2, Keys::ONE, Category::SortedSet, zcard).fast(),
    Spec::write("ZINCRBY", 4, Keys::ONE, Category::SortedSet, zincrby)
        .denyoom()
        .fast(),
    Spec::write("ZMPOP", -4, Keys::Counted(1), Category::SortedSet, zmpop),
    Spec::read("ZMSCORE", -3, Keys::ONE, Category::SortedSet, zmscore).fast(),
    Spec::write("ZPOPMAX", -2, Keys::ONE, Category::SortedSet, zpopmax).fast(),
    Spec::write("ZPOPMIN", -2, Keys::ONE, Category::SortedSet, zpopmin).fast(),
    Spec::read(
        "ZRANDMEMBER",
        -2,
        Keys::ONE,
        Category::SortedSet,
        zrandmember,
    ),
    Spec::read("ZRANK", -3, Keys::ONE, Category::SortedSet, zrank).fast(),
    Spec::write("ZREM", -3, Keys::ONE, Category::SortedSet, zrem).fast(),
    Spec::read("ZREVRANK", -3, Keys::ONE, Category::SortedSet, zrevrank).fast(),
    Spec::read("ZSCAN", -3, Keys::ONE, Category::SortedSet, zscan),
    Spec::read("ZSCORE", 3, Keys::ONE, Category::SortedSet, zscore).fast(),
];
