//! Metrics with their values, ready to be written.

use std::{borrow::Cow, collections::BTreeMap};

use super::registry::{COUNTERS, Metric, MetricKind, TIMINGS, metric};

/// Names and values of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Histogram {
        /// Upper bounds, and how many were in each bucket alone; the last bound is infinite.
        buckets: Vec<(f64, u64)>,
        sum: f64,
    },
}

/// All values of one metric.
#[derive(Debug, Clone)]
pub struct MetricFamily {
    /// The name in JSON.
    pub(crate) name: Cow<'static, str>,
    /// The name in the texts.
    pub(crate) text_name: String,
    pub(crate) kind: MetricKind,
    pub(crate) unit: &'static str,
    pub(crate) help: Cow<'static, str>,
    pub(crate) samples: Vec<(Labels, Value)>,
}

impl MetricFamily {
    /// A metric of another part of the process, without values.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        kind: MetricKind,
        help: impl Into<Cow<'static, str>>,
    ) -> Self {
        let name = name.into();
        Self {
            text_name: name.to_string(),
            name,
            kind,
            unit: "",
            help: help.into(),
            samples: Vec::new(),
        }
    }

    /// Adds a number with its labels.
    pub fn number(&mut self, labels: Vec<(&'static str, String)>, number: f64) {
        self.samples.push((labels, Value::Number(number)));
    }

    /// Adds a histogram with its labels: upper bounds and how many were in each bucket alone, the
    /// last bound infinite, and the sum of all that was measured.
    pub fn histogram(
        &mut self,
        labels: Vec<(&'static str, String)>,
        buckets: Vec<(f64, u64)>,
        sum: f64,
    ) {
        self.samples
            .push((labels, Value::Histogram { buckets, sum }));
    }
}

/// Metrics with their values, in the order of the registry.
#[derive(Debug, Clone, Default)]
pub struct Families {
    pub(super) all: Vec<MetricFamily>,
    pub(super) about: BTreeMap<&'static str, String>,
}

impl Families {
    /// Adds a metric of another part of the process.
    pub fn push(&mut self, family: MetricFamily) {
        self.all.push(family);
    }

    #[cfg(all(feature = "otel", not(target_family = "wasm")))]
    pub(crate) fn all(&self) -> &[MetricFamily] {
        &self.all
    }

    /// Adds a value of a metric of the registry; names that are not there are left out.
    pub(super) fn add(&mut self, name: &str, labels: Labels, value: Value) {
        if let Some(family) = self.all.iter_mut().find(|family| family.name == name) {
            family.samples.push((labels, value));
            return;
        }
        if let Some(metric) = metric(name) {
            self.all.push(MetricFamily::of(metric, (labels, value)));
        }
    }

    pub(super) fn number(&mut self, name: &str, value: f64) {
        self.add(name, Vec::new(), Value::Number(value));
    }

    /// Adds a counter of a building block or of the application.
    pub(super) fn counted(&mut self, name: &str, count: u64) {
        let help = COUNTERS.iter().find(|(known, _)| *known == name);
        self.all.push(MetricFamily {
            name: format!("restis_{name}").into(),
            text_name: format!("restis_{name}_total"),
            kind: MetricKind::Counter,
            unit: "",
            help: help
                .map_or("Counted by the application.", |(_, help)| help)
                .into(),
            samples: vec![(Vec::new(), Value::Number(count as f64))],
        });
    }

    /// Adds a histogram of times of a building block or of the application.
    pub(super) fn timed(&mut self, name: &str, value: Value) {
        let help = TIMINGS.iter().find(|(known, _)| *known == name);
        self.all.push(MetricFamily {
            name: format!("restis_{name}").into(),
            text_name: format!("restis_{name}_seconds"),
            kind: MetricKind::Histogram,
            unit: "seconds",
            help: help
                .map_or("Measured by the application.", |(_, help)| help)
                .into(),
            samples: vec![(Vec::new(), value)],
        });
    }

    /// Notes what the numbers are about, for the JSON: `view` is `instance` or `all`.
    #[must_use]
    pub fn about(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.about.insert(name, text.into());
        self
    }

    /// The value of a metric without labels, by its name in JSON.
    pub fn value(&self, name: &str) -> Option<f64> {
        match self.single(name)? {
            Value::Number(number) => Some(*number),
            Value::Histogram { .. } => None,
        }
    }

    /// What this share of the measurements of a histogram does not exceed, in its unit.
    ///
    /// Measurements count as evenly spread within a bucket, as in PromQL's `histogram_quantile`;
    /// `None` when nothing was measured.
    pub fn quantile(&self, name: &str, share: f64) -> Option<f64> {
        match self.single(name)? {
            Value::Number(_) => None,
            Value::Histogram { buckets, .. } => quantile(buckets, share),
        }
    }

    pub(super) fn single(&self, name: &str) -> Option<&Value> {
        let family = self.all.iter().find(|family| family.name == name)?;
        family.samples.first().map(|(_, value)| value)
    }
}

impl MetricFamily {
    fn of(metric: &Metric, sample: (Labels, Value)) -> Self {
        Self {
            name: metric.name.into(),
            text_name: metric.text_name(),
            kind: metric.kind,
            unit: metric.unit,
            help: metric.help.into(),
            samples: vec![sample],
        }
    }
}

pub(super) fn quantile(buckets: &[(f64, u64)], share: f64) -> Option<f64> {
    let all: u64 = buckets.iter().map(|(_, n)| n).sum();
    let wanted = all as f64 * share;
    let (mut below, mut lower) = (0.0, 0.0);
    for (bound, count) in buckets {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            let within = (wanted - below) / count;
            return Some(if bound.is_finite() {
                lower + (bound - lower) * within
            } else {
                lower
            });
        }
        below += count;
        lower = *bound;
    }
    None
}
