//! Union, intersection and difference of sorted sets (and sets, whose members count 1).

use super::zset::pairs;
use super::zset_range::store;
use crate::budget::Budget;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Db;
use crate::dict::Dict;
use crate::error::{Error, NOT_INTEGER, SYNTAX, WRONGTYPE};
use crate::num;
use crate::parse::Walk;
use crate::reply::Reply;
use crate::set::Set;
use crate::value::Value;
use crate::zset::ZSet;

/// Where members come from.
#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Missing,
    Set(&'a Set),
    ZSet(&'a ZSet),
}

impl<'a> Source<'a> {
    fn find(db: &'a Db, key: &[u8]) -> Result<Self, Error> {
        match db.value(key) {
            None => Ok(Self::Missing),
            Some(Value::Set(set)) => Ok(Self::Set(set)),
            Some(Value::ZSet(zset)) => Ok(Self::ZSet(zset)),
            Some(_) => Err(WRONGTYPE),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Set(set) => set.len(),
            Self::ZSet(zset) => zset.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Set(set) => set.contains(member).then_some(1.0),
            Self::ZSet(zset) => zset.score(member),
        }
    }

    /// Visits members and scores until `visit` says stop.
    fn each(self, mut visit: impl FnMut(&[u8], f64) -> bool) {
        match self {
            Self::Missing => {}
            Self::Set(set) => {
                set.iter().all(|member| visit(&member, 1.0));
            }
            Self::ZSet(zset) => {
                zset.iter().all(|(member, score)| visit(&member, score));
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algebra {
    Union,
    Inter,
    Diff,
}

#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
    /// The weights of the sets that have a member, added.
    Count,
}

impl Aggregate {
    fn weighted(self, score: f64, weight: f64) -> f64 {
        match self {
            Self::Count => weight,
            Self::Sum | Self::Min | Self::Max => score * weight,
        }
    }

    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum | Self::Count => number(a + b),
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }
    }
}

/// Infinity less infinity counts as 0.
fn number(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

#[derive(Debug)]
struct Plan<'a> {
    algebra: Algebra,
    keys: &'a [&'a [u8]],
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

/// The keys after their number, and the arguments after the keys.
fn source_keys<'a>(
    args: Args<'a>,
    at: usize,
    name: &str,
) -> Result<(&'a [&'a [u8]], Walk<'a>), Error> {
    let mut walk = Walk::new(args, at);
    let count = num::parse_i64(walk.need()?).ok_or(NOT_INTEGER)?;
    let count = usize::try_from(count)
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| {
            Error::new(format!(
                "ERR at least 1 input key is needed for '{name}' command"
            ))
        })?;
    let keys = walk.need_many(count)?;
    Ok((keys, walk))
}

/// What it takes to look for a member.
const STEPS: usize = 8;

impl<'a> Plan<'a> {
    fn parse(
        db: &Db,
        args: Args<'a>,
        at: usize,
        algebra: Algebra,
        name: &str,
        scores: bool,
    ) -> Result<Self, Error> {
        let (keys, mut walk) = source_keys(args, at, name)?;
        let count = keys.len();
        // The keys' types come before the options.
        for key in keys {
            Source::find(db, key)?;
        }
        let mut plan = Self {
            algebra,
            keys,
            weights: vec![1.0; count],
            aggregate: Aggregate::Sum,
            with_scores: false,
        };
        while !walk.is_empty() {
            if algebra != Algebra::Diff && walk.word("WEIGHTS") {
                let texts = walk.need_many(count)?;
                for (weight, text) in plan.weights.iter_mut().zip(texts) {
                    *weight = num::parse_f64(text)
                        .ok_or(Error::fixed("ERR weight value is not a float"))?;
                }
            } else if algebra != Algebra::Diff && walk.word("AGGREGATE") {
                plan.aggregate = if walk.word("SUM") {
                    Aggregate::Sum
                } else if walk.word("MIN") {
                    Aggregate::Min
                } else if walk.word("MAX") {
                    Aggregate::Max
                } else if walk.word("COUNT") {
                    Aggregate::Count
                } else {
                    return Err(SYNTAX);
                };
            } else if scores && walk.word("WITHSCORES") {
                plan.with_scores = true;
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(plan)
    }

    fn run(&self, db: &Db, budget: &Budget) -> Result<ZSet, Error> {
        let mut sources = Vec::with_capacity(self.keys.len());
        for (key, &weight) in self.keys.iter().zip(&self.weights) {
            sources.push((Source::find(db, key)?, weight));
        }
        // From the smallest on, as Redis: the order of additions shows in the last digits.
        if self.algebra != Algebra::Diff {
            sources.sort_by_key(|(source, _)| source.len());
        }
        let result = match self.algebra {
            Algebra::Union => self.union(&sources, budget),
            Algebra::Inter => self.intersection(&sources, budget),
            Algebra::Diff => difference(&sources, budget),
        };
        budget.check().map(|()| result)
    }

    fn union(&self, sources: &[(Source<'_>, f64)], budget: &Budget) -> ZSet {
        let mut sums: Dict<f64> = Dict::default();
        for (source, weight) in sources {
            source.each(|member, score| {
                let score = number(self.aggregate.weighted(score, *weight));
                match sums.get_mut(member) {
                    Some(sum) => *sum = self.aggregate.apply(*sum, score),
                    None => drop(sums.insert_new(member, score)),
                }
                budget.spend(STEPS).is_ok()
            });
        }
        let mut result = ZSet::default();
        for (_, member, sum) in sums.iter() {
            result.insert(member, *sum);
        }
        result
    }

    fn intersection(&self, sources: &[(Source<'_>, f64)], budget: &Budget) -> ZSet {
        let mut result = ZSet::default();
        let Some(((smallest, weight), others)) = sources.split_first() else {
            return result;
        };
        smallest.each(|member, score| {
            let start = Some(number(self.aggregate.weighted(score, *weight)));
            let sum = others.iter().fold(start, |sum, (source, weight)| {
                // What is no number stays so until it is added, as in Redis.
                budget.spend(STEPS).ok()?;
                let score = self.aggregate.weighted(source.score(member)?, *weight);
                Some(self.aggregate.apply(sum?, score))
            });
            if let Some(sum) = sum {
                result.insert(member, sum);
            }
            budget.spend(STEPS).is_ok()
        });
        result
    }
}

fn difference(sources: &[(Source<'_>, f64)], budget: &Budget) -> ZSet {
    let mut result = ZSet::default();
    let Some(((first, _), others)) = sources.split_first() else {
        return result;
    };
    first.each(|member, score| {
        if !others
            .iter()
            .any(|(source, _)| budget.spend(STEPS).is_err() || source.score(member).is_some())
        {
            result.insert(member, score);
        }
        budget.spend(STEPS).is_ok()
    });
    result
}

fn show(ctx: &mut Ctx<'_>, args: Args<'_>, algebra: Algebra, name: &str) -> Outcome {
    let plan = Plan::parse(ctx.db, args, 1, algebra, name, true)?;
    let result = plan.run(ctx.db, &ctx.side.budget)?;
    Ok(Reply::Array(pairs(result.iter(), plan.with_scores)))
}

fn save(ctx: &mut Ctx<'_>, args: Args<'_>, algebra: Algebra, name: &'static str) -> Outcome {
    let result =
        Plan::parse(ctx.db, args, 2, algebra, name, false)?.run(ctx.db, &ctx.side.budget)?;
    store(ctx, args[1], result, name)
}

fn zunion(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    show(ctx, args, Algebra::Union, "zunion")
}

fn zinter(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    show(ctx, args, Algebra::Inter, "zinter")
}

fn zdiff(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    show(ctx, args, Algebra::Diff, "zdiff")
}

fn zunionstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    save(ctx, args, Algebra::Union, "zunionstore")
}

fn zinterstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    save(ctx, args, Algebra::Inter, "zinterstore")
}

fn zdiffstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    save(ctx, args, Algebra::Diff, "zdiffstore")
}

fn zintercard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (keys, mut walk) = source_keys(args, 1, "zintercard")?;
    let mut sources = Vec::with_capacity(keys.len());
    for key in keys {
        sources.push(Source::find(ctx.db, key)?);
    }
    let mut limit = 0;
    while !walk.is_empty() {
        if !walk.word("LIMIT") {
            return Err(SYNTAX);
        }
        limit = num::parse_i64(walk.need()?)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or(Error::fixed("ERR LIMIT can't be negative"))?;
    }
    sources.sort_by_key(|source| source.len());
    let mut count = 0;
    if let Some((smallest, others)) = sources.split_first() {
        smallest.each(|member, _| {
            count += usize::from(others.iter().all(|other| other.score(member).is_some()));
            limit == 0 || count < limit
        });
    }
    Ok(Reply::len(count))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("ZDIFF", -3, Keys::Counted(1), Category::SortedSet, zdiff),
    Spec::write(
        "ZDIFFSTORE",
        -4,
        Keys::DestCounted(2),
        Category::SortedSet,
        zdiffstore,
    )
    .denyoom(),
    Spec::read("ZINTER", -3, Keys::Counted(1), Category::SortedSet, zinter),
    Spec::read(
        "ZINTERCARD",
        -3,
        Keys::Counted(1),
        Category::SortedSet,
        zintercard,
    ),
    Spec::write(
        "ZINTERSTORE",
        -4,
        Keys::DestCounted(2),
        Category::SortedSet,
        zinterstore,
    )
    .denyoom(),
    Spec::read("ZUNION", -3, Keys::Counted(1), Category::SortedSet, zunion),
    Spec::write(
        "ZUNIONSTORE",
        -4,
        Keys::DestCounted(2),
        Category::SortedSet,
        zunionstore,
    )
    .denyoom(),
];
