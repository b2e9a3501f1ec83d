//! Sparse arrays: scanning, searching and adding up.

use bytes::Bytes;
use regex_lite::{Regex, RegexBuilder};

use super::array::{index, shown};
use crate::array::{Array, LAST};
use crate::budget::{Budget, regex_steps};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::{Error, NOT_POSITIVE, SYNTAX};
use crate::glob;
use crate::num;
use crate::parse::{self, Walk};
use crate::reply::Reply;

const MOST_PREDICATES: usize = 250;
const LONGEST_PATTERN: usize = 2048;
const TOO_MANY: Error = Error::fixed("ERR too many predicates");
const BAD_PATTERN: Error = Error::fixed("ERR invalid regular expression");

/// Values of a range with their indexes, backwards if it ends before it starts.
fn walk_range(
    array: Option<&Array>,
    start: u64,
    end: u64,
) -> Box<dyn Iterator<Item = (u64, &Bytes)> + '_> {
    let values = array
        .into_iter()
        .flat_map(move |array| array.range(start.min(end)..=start.max(end)));
    if start <= end {
        Box::new(values)
    } else {
        Box::new(values.rev())
    }
}

fn limit(walk: &mut Walk<'_>) -> Result<usize, Error> {
    match parse::count(walk.need()?)? {
        0 => Err(NOT_POSITIVE),
        limit => Ok(limit),
    }
}

fn pair((index, value): (u64, &Bytes)) -> Reply {
    Reply::array([shown(index), Reply::Bulk(value.clone())])
}

fn scan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (start, end) = (index(args[2])?, index(args[3])?);
    let mut walk = Walk::new(args, 4);
    let mut most = usize::MAX;
    if walk.word("LIMIT") {
        most = limit(&mut walk)?;
    }
    if !walk.is_empty() {
        return Err(SYNTAX);
    }
    let array = ctx.db.read::<Array>(args[1])?;
    Ok(Reply::array(
        walk_range(array, start, end).take(most).map(pair),
    ))
}

/// What a value must be like.
enum Predicate<'a> {
    Exact(&'a [u8]),
    Contains(&'a [u8]),
    Glob(&'a [u8]),
    Pattern(Regex),
}

impl Predicate<'_> {
    /// What it takes to apply this to a value; a glob pattern counts by itself.
    fn steps(&self, value: &[u8]) -> usize {
        match self {
            Self::Exact(_) | Self::Glob(_) => value.len() / 8,
            Self::Contains(part) => part.len().min(value.len()).saturating_mul(value.len()),
            Self::Pattern(pattern) => regex_steps(pattern.as_str(), value),
        }
    }
}

/// How predicates are applied.
#[derive(Default)]
struct Search<'a> {
    predicates: Vec<Predicate<'a>>,
    patterns: Vec<&'a str>,
    all: bool,
    no_case: bool,
    with_values: bool,
    limit: Option<usize>,
}

impl<'a> Search<'a> {
    fn parse(mut walk: Walk<'a>) -> Result<Self, Error> {
        let mut search = Self::default();
        while !walk.is_empty() {
            if walk.word("EXACT") {
                search.predicates.push(Predicate::Exact(walk.need()?));
            } else if walk.word("MATCH") {
                search.predicates.push(Predicate::Contains(walk.need()?));
            } else if walk.word("GLOB") {
                search.predicates.push(Predicate::Glob(walk.need()?));
            } else if walk.word("RE") {
                search.patterns.push(pattern(walk.need()?)?);
            } else if walk.word("AND") {
                search.all = true;
            } else if walk.word("OR") {
                search.all = false;
            } else if walk.word("NOCASE") {
                search.no_case = true;
            } else if walk.word("WITHVALUES") {
                search.with_values = true;
            } else if walk.word("LIMIT") {
                search.limit = Some(limit(&mut walk)?);
            } else {
                return Err(SYNTAX);
            }
        }
        // Whether case counts is known only now.
        for pattern in std::mem::take(&mut search.patterns) {
            let pattern = RegexBuilder::new(pattern)
                .case_insensitive(search.no_case)
                .size_limit(1 << 20)
                .build()
                .map_err(|_| BAD_PATTERN)?;
            search.predicates.push(Predicate::Pattern(pattern));
        }
        match search.predicates.len() {
            0 => Err(SYNTAX),
            1..=MOST_PREDICATES => Ok(search),
            _ => Err(TOO_MANY),
        }
    }

    fn accepts(&self, value: &[u8], budget: &Budget) -> bool {
        let folded = |text: &[u8]| {
            if self.no_case {
                text.to_ascii_lowercase()
            } else {
                text.to_vec()
            }
        };
        let same = folded(value);
        let holds = |predicate: &Predicate<'_>| match predicate {
            _ if budget.spend(1 + predicate.steps(value)).is_err() => false,
            Predicate::Exact(text) => same == folded(text),
            Predicate::Glob(pattern) => glob::matches(&folded(pattern), &same, budget),
            Predicate::Contains([]) => true,
            Predicate::Contains(part) => {
                let part = folded(part);
                same.windows(part.len()).any(|window| window == part)
            }
            Predicate::Pattern(pattern) => pattern.is_match(&String::from_utf8_lossy(value)),
        };
        if self.all {
            self.predicates.iter().all(holds)
        } else {
            self.predicates.iter().any(holds)
        }
    }
}

/// A pattern that is not too long and refers to nothing it matched before.
fn pattern(text: &[u8]) -> Result<&str, Error> {
    let text = std::str::from_utf8(text).map_err(|_| BAD_PATTERN)?;
    if text.len() > LONGEST_PATTERN {
        return Err(Error::fixed("ERR regular expression is too long"));
    }
    Ok(text)
}

fn grep(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let bound = |text: &[u8]| match text {
        b"-" => Ok(0),
        b"+" => Ok(LAST),
        text => index(text),
    };
    let (start, end) = (bound(args[2])?, bound(args[3])?);
    let search = Search::parse(Walk::new(args, 4))?;
    let array = ctx.db.read::<Array>(args[1])?;
    let found = walk_range(array, start, end)
        .take_while(|_| ctx.side.budget.spend(1).is_ok())
        .filter(|(_, value)| search.accepts(value, &ctx.side.budget))
        .take(search.limit.unwrap_or(usize::MAX));
    Ok(if search.with_values {
        Reply::array(found.map(pair))
    } else {
        Reply::array(found.map(|(index, _)| shown(index)))
    })
}

fn aggregate(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (start, end) = (index(args[2])?, index(args[3])?);
    let operation = args[4].to_ascii_uppercase();
    if args.len() != 5 + usize::from(operation == b"MATCH") {
        return Err(SYNTAX);
    }
    let values = walk_range(
        ctx.db.read::<Array>(args[1])?,
        start.min(end),
        start.max(end),
    );
    let mut values = values.map(|(_, value)| value);
    let numbers = |values: &mut dyn Iterator<Item = &Bytes>, fold: fn(f64, f64) -> f64| {
        let numbers = values.filter_map(|value| num::parse_f64(value));
        numbers.reduce(fold).map_or(Reply::Nil, Reply::double)
    };
    let bits = |values: &mut dyn Iterator<Item = &Bytes>, fold: fn(i64, i64) -> i64| {
        let whole = |value: &Bytes| {
            num::parse_i64(value).or_else(|| num::parse_f64(value).map(|number| number as i64))
        };
        let reduced = values.filter_map(whole).reduce(fold);
        reduced.map_or(Reply::Nil, Reply::Int)
    };
    Ok(match &*operation {
        b"SUM" => numbers(&mut values, |a, b| a + b),
        b"MIN" => numbers(&mut values, f64::min),
        b"MAX" => numbers(&mut values, f64::max),
        b"AND" => bits(&mut values, |a, b| a & b),
        b"OR" => bits(&mut values, |a, b| a | b),
        b"XOR" => bits(&mut values, |a, b| a ^ b),
        b"USED" => Reply::len(values.count()),
        b"MATCH" => Reply::len(values.filter(|value| **value == args[5]).count()),
        _ => return Err(SYNTAX),
    })
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("ARSCAN", -4, Keys::ONE, Category::Array, scan),
    Spec::read("ARGREP", -6, Keys::ONE, Category::Array, grep),
    Spec::read("AROP", -5, Keys::ONE, Category::Array, aggregate),
];
