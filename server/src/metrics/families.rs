//! The numbers of one scrape.

use std::borrow::Cow;
use std::collections::HashMap;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It rises and falls.
    Gauge,
    /// How often which size was measured.
    Histogram,
    /// Percentiles.
    Summary,
    /// A counter whose name does not end in `_total`, which OpenMetrics has no type for.
    Unknown,
}

impl MetricKind {
    /// A counter, if its name is that of one.
    pub(super) fn counter(name: &str) -> Self {
        if name.ends_with("_total") {
            Self::Counter
        } else {
            Self::Unknown
        }
    }
}

pub(crate) type Labels = Vec<(&'static str, String)>;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number.
    Number(f64),
    /// How often which size was measured.
    Histogram {
        /// Upper bounds and how many were in each bucket alone; the last bound is infinite.
        buckets: Vec<(f64, u64)>,
        /// All sizes together.
        sum: f64,
    },
    /// Percentiles.
    Summary {
        /// Percentages as redis_exporter writes them, and what they are.
        quantiles: Vec<(&'static str, f64)>,
        /// All sizes together.
        sum: f64,
        /// How many there were.
        count: f64,
    },
}

/// All samples of one name.
#[derive(Debug)]
#[non_exhaustive]
pub struct Family {
    /// The name in Prometheus' text format.
    pub name: Cow<'static, str>,
    /// What it tells.
    pub help: Cow<'static, str>,
    /// What it is.
    pub kind: MetricKind,
    /// Names and values of labels, and what was measured.
    pub samples: Vec<(Vec<(&'static str, String)>, Value)>,
}

/// Families in the order in which they were first named.
#[derive(Debug, Default)]
pub(crate) struct Families {
    all: Vec<Family>,
    by_name: HashMap<Cow<'static, str>, usize>,
}

impl Families {
    /// Adds a sample; the first one of a name says what the family is.
    pub(super) fn add(
        &mut self,
        (kind, name, help): (
            MetricKind,
            impl Into<Cow<'static, str>>,
            impl Into<Cow<'static, str>>,
        ),
        labels: Labels,
        value: Value,
    ) {
        let name = name.into();
        let at = *self.by_name.entry(name).or_insert_with_key(|name| {
            self.all.push(Family {
                name: name.clone(),
                help: help.into(),
                kind,
                samples: Vec::new(),
            });
            self.all.len() - 1
        });
        if let Some(family) = self.all.get_mut(at) {
            family.samples.push((labels, value));
        }
    }

    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        value: f64,
    ) {
        self.add(
            (MetricKind::Gauge, name, help),
            labels,
            Value::Number(value),
        );
    }

    pub(super) fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
        value: f64,
    ) {
        let kind = MetricKind::counter(name);
        self.add((kind, name, help), labels, Value::Number(value));
    }

    pub(super) fn into_vec(self) -> Vec<Family> {
        self.all
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Family> {
        self.all.iter()
    }

    /// The sum of all samples of a family.
    pub(super) fn sum(&self, name: &str) -> Option<f64> {
        let family = self.all.get(*self.by_name.get(name)?)?;
        let number = |(_, value): &(Labels, Value)| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        };
        Some(family.samples.iter().filter_map(number).sum())
    }
}
