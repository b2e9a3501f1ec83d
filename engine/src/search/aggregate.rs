//! Aggregations: figures over the documents that match.

use std::collections::BTreeSet;

use super::buckets;
use super::composite;
use super::index::{Doc, Index};
use super::operand::invalid;
use super::schema::{Field, Value};
use super::terms;
use crate::budget::Budget;
use crate::error::Error;
use crate::json::Node;
use crate::reply::Reply;

/// Aggregations may be nested so deep.
const MAX_NESTING: usize = 8;

/// What a document takes in one aggregation.
const STEPS: usize = 16;

/// Percentiles shown unless told otherwise.
const PERCENTS: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];

/// Runs all aggregations of an object; alternating names and results.
pub(crate) fn aggregate(
    index: &Index,
    docs: &[&Doc],
    spec: &Node,
    nesting: usize,
    budget: &Budget,
) -> Result<Vec<Reply>, Error> {
    let members = spec
        .as_object()
        .ok_or_else(|| invalid("aggregations must be an object"))?;
    if nesting > MAX_NESTING {
        return Err(invalid("aggregations are nested too deeply"));
    }
    let mut replies = Vec::with_capacity(members.len() * 2);
    for (alias, operators) in members {
        budget.spend(1 + docs.len().saturating_mul(STEPS))?;
        let operators = operators
            .as_object()
            .ok_or_else(|| invalid(&format!("aggregation '{alias}' must be an object")))?;
        let nested = operators.get("$aggs");
        let mut named = operators.iter().filter(|(name, _)| &***name != "$aggs");
        let (Some((operator, options)), None) = (named.next(), named.next()) else {
            return Err(invalid(&format!(
                "aggregation '{alias}' needs exactly one operator"
            )));
        };
        let run = Run {
            index,
            docs,
            options: Options::new(operator, options),
            nested,
            nesting,
            budget,
        };
        replies.push(Reply::bulk(&**alias));
        replies.push(Reply::Array(run.dispatch()?));
    }
    Ok(replies)
}

/// The options of one operator.
#[derive(Clone, Copy)]
pub(super) struct Options<'n> {
    operator: &'n str,
    node: &'n Node,
}

/// One aggregation over some documents.
#[derive(Clone, Copy)]
pub(super) struct Run<'r> {
    pub(super) index: &'r Index,
    pub(super) docs: &'r [&'r Doc],
    pub(super) options: Options<'r>,
    pub(super) nested: Option<&'r Node>,
    pub(super) nesting: usize,
    pub(super) budget: &'r Budget,
}

impl<'n> Options<'n> {
    pub(super) const fn new(operator: &'n str, node: &'n Node) -> Self {
        Self { operator, node }
    }

    pub(super) fn get(self, name: &str) -> Option<&'n Node> {
        self.node.as_object()?.get(name)
    }

    pub(super) fn number(self, name: &str) -> Result<Option<f64>, Error> {
        self.get(name).map_or(Ok(None), |node| {
            node.as_f64()
                .map(Some)
                .ok_or_else(|| self.wrong(&format!("{name} must be a number")))
        })
    }

    pub(super) fn text(self, name: &str) -> Option<&'n str> {
        self.get(name)?.as_str()
    }

    pub(super) fn flag(self, name: &str) -> Option<bool> {
        if let Some(Node::Bool(flag)) = self.get(name) {
            Some(*flag)
        } else {
            None
        }
    }

    pub(super) fn wrong(self, reason: &str) -> Error {
        invalid(&format!("{}: {reason}", self.operator))
    }
}

/// Sums from which all statistics follow.
#[derive(Debug, Clone, Copy)]
struct Stats {
    count: usize,
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl<'r> Run<'r> {
    fn dispatch(&self) -> Result<Vec<Reply>, Error> {
        let value = |reply| Ok(vec![Reply::bulk("value"), reply]);
        match self.options.operator {
            "$avg" => value(self.stats()?.average()),
            "$sum" => value(Reply::double(self.stats()?.sum)),
            "$min" => value(self.stats()?.if_any(|stats| stats.min)),
            "$max" => value(self.stats()?.if_any(|stats| stats.max)),
            "$count" => {
                let (at, _) = self.field(false)?;
                value(Reply::len(
                    self.docs.iter().filter(|doc| doc.has(at)).count(),
                ))
            }
            "$cardinality" => value(Reply::len(self.distinct()?)),
            "$stats" => Ok(self.stats()?.basic()),
            "$extendedStats" => {
                let sigma = self.options.number("sigma")?.unwrap_or(2.0);
                Ok(self.stats()?.extended(sigma))
            }
            "$percentiles" => self.percentiles(),
            "$terms" => terms::terms(self),
            "$composite" => composite::composite(self),
            "$range" => buckets::ranges(self),
            "$histogram" => buckets::histogram(self),
            "$dateHistogram" => buckets::date_histogram(self),
            "$facet" => buckets::facet(self),
            operator => Err(invalid(&format!("unknown aggregation '{operator}'"))),
        }
    }

    /// The field that is aggregated; numbers must be FAST.
    pub(super) fn field(&self, numeric: bool) -> Result<(usize, &'r Field), Error> {
        let name = self
            .options
            .text("field")
            .ok_or_else(|| self.options.wrong("field is missing"))?;
        let found = self.index.definition.field(name);
        let (at, field) = found.ok_or_else(|| {
            self.options
                .wrong(&format!("field '{name}' is not in the schema"))
        })?;
        let words = matches!(field.kind, super::Kind::Keyword | super::Kind::Facet);
        if field.kind.is_text() || numeric && words {
            return Err(self
                .options
                .wrong(&format!("field '{name}' is {}", field.kind.name())));
        }
        if !words && !field.fast {
            return Err(self.options.wrong(&format!("field '{name}' must be FAST")));
        }
        Ok((at, field))
    }

    /// The numbers documents hold, `missing` for those that hold none.
    pub(super) fn numbers(&self) -> Result<Vec<f64>, Error> {
        let (at, _) = self.field(true)?;
        let missing = self.options.number("missing")?;
        let mut numbers = Vec::with_capacity(self.docs.len());
        for doc in self.docs {
            let before = numbers.len();
            numbers.extend(doc.numbers(at));
            if numbers.len() == before {
                numbers.extend(missing);
            }
        }
        Ok(numbers)
    }

    fn stats(&self) -> Result<Stats, Error> {
        let empty = Stats {
            count: 0,
            sum: 0.0,
            squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        };
        Ok(self.numbers()?.into_iter().fold(empty, |stats, n| Stats {
            count: stats.count + 1,
            sum: stats.sum + n,
            squares: stats.squares + n * n,
            min: stats.min.min(n),
            max: stats.max.max(n),
        }))
    }

    fn distinct(&self) -> Result<usize, Error> {
        let (at, _) = self.field(false)?;
        let values = self
            .docs
            .iter()
            .filter_map(|doc| doc.values.get(at))
            .flatten();
        let mut numbers = BTreeSet::new();
        let mut words = BTreeSet::new();
        for value in values {
            match value {
                Value::Word(word) => words.insert(&**word),
                number => number.order().is_some_and(|order| numbers.insert(order)),
            };
        }
        Ok(numbers.len() + words.len())
    }

    fn percentiles(&self) -> Result<Vec<Reply>, Error> {
        let mut numbers = self.numbers()?;
        numbers.sort_by(f64::total_cmp);
        let percents: Vec<f64> = match self.options.get("percents") {
            None => PERCENTS.to_vec(),
            Some(node) => {
                let items = node
                    .as_array()
                    .ok_or_else(|| self.options.wrong("percents must be a list"))?;
                let percents: Option<Vec<f64>> = items.iter().map(Node::as_f64).collect();
                percents
                    .filter(|percents| percents.iter().all(|p| (0.0..=100.0).contains(p)))
                    .ok_or_else(|| self.options.wrong("percents must be numbers from 0 to 100"))?
            }
        };
        let at = |percent: f64| interpolate(&numbers, percent).map_or(Reply::Nil, Reply::double);
        let values = if self.options.flag("keyed").unwrap_or(true) {
            Reply::array(
                percents
                    .iter()
                    .flat_map(|&p| [Reply::bulk(format!("{p:?}")), at(p)]),
            )
        } else {
            Reply::array(percents.iter().map(|&p| {
                Reply::Array(vec![
                    Reply::bulk("key"),
                    Reply::double(p),
                    Reply::bulk("value"),
                    at(p),
                ])
            }))
        };
        Ok(vec![Reply::bulk("values"), values])
    }
}

/// The value below which so many percent lie, between two neighbours if need be.
fn interpolate(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = percent / 100.0 * (sorted.len().checked_sub(1)?) as f64;
    let low = *sorted.get(rank.floor() as usize)?;
    let high = *sorted.get(rank.ceil() as usize)?;
    Some(low + (high - low) * rank.fract())
}

impl Stats {
    fn if_any(self, pick: impl Fn(Self) -> f64) -> Reply {
        if self.count == 0 {
            Reply::Nil
        } else {
            Reply::double(pick(self))
        }
    }

    fn average(self) -> Reply {
        self.if_any(|stats| stats.sum / stats.count as f64)
    }

    fn basic(self) -> Vec<Reply> {
        named([
            ("count", Reply::len(self.count)),
            ("min", self.if_any(|stats| stats.min)),
            ("max", self.if_any(|stats| stats.max)),
            ("sum", Reply::double(self.sum)),
            ("avg", self.average()),
        ])
    }

    fn extended(self, sigma: f64) -> Vec<Reply> {
        let count = self.count as f64;
        let mean = self.sum / count;
        // Rounding may push what should be zero below it.
        let spread = (self.squares - self.sum * mean).max(0.0);
        let (population, sampling) = (spread / count, spread / (count - 1.0));
        let number = |value: f64| {
            if value.is_finite() {
                Reply::double(value)
            } else {
                Reply::Nil
            }
        };
        let bound = |variance: f64, sign: f64| number(mean + sign * sigma * variance.sqrt());
        let bounds = named([
            ("upper", bound(population, 1.0)),
            ("lower", bound(population, -1.0)),
            ("upperSampling", bound(sampling, 1.0)),
            ("lowerSampling", bound(sampling, -1.0)),
            ("upperPopulation", bound(population, 1.0)),
            ("lowerPopulation", bound(population, -1.0)),
        ]);
        let mut replies = self.basic();
        replies.extend(named([
            ("sumOfSquares", Reply::double(self.squares)),
            ("variance", number(population)),
            ("variancePopulation", number(population)),
            ("varianceSampling", number(sampling)),
            ("stdDeviation", number(population.sqrt())),
            ("stdDeviationPopulation", number(population.sqrt())),
            ("stdDeviationSampling", number(sampling.sqrt())),
            ("stdDeviationBounds", Reply::Array(bounds)),
        ]));
        replies
    }
}

impl Doc {
    fn has(&self, field: usize) -> bool {
        self.values
            .get(field)
            .is_some_and(|values| !values.is_empty())
    }

    pub(super) fn numbers(&self, field: usize) -> impl Iterator<Item = f64> + '_ {
        self.values
            .get(field)
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
    }
}

pub(super) fn named<const N: usize>(fields: [(&str, Reply); N]) -> Vec<Reply> {
    fields
        .into_iter()
        .flat_map(|(name, value)| [Reply::bulk(name), value])
        .collect()
}
