//! Spans and metrics as messages.

use prost::Message as _;

use super::{
    message::*,
    operation::{DESTINATION, MESSAGES},
    record::{self, Attributes, Text},
};
use crate::client::metrics::{Families, MetricKind, Snapshot, Timing, Value as Measured, seconds};

/// Sums are those since the start.
const CUMULATIVE: i32 = 2;
const ERROR: i32 = 2;
/// The eight bits of W3C trace flags: sampled.
const SAMPLED: u32 = 1;

fn scope() -> Option<Scope> {
    Some(Scope {
        name: "restis".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Text attributes.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    let attributes = attributes.iter();
    Resource {
        attributes: attributes
            .map(|(key, value)| key_value(key, Value::String(value.clone())))
            .collect(),
    }
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    let value = |text: &Text| match text {
        Text::Constant(text) => Value::String((*text).to_owned()),
        Text::Shared(text) => Value::String(text.as_ref().to_owned()),
        Text::Number(number) => Value::Int(*number),
    };
    let attributes = attributes.iter();
    attributes
        .map(|(key, text)| key_value(key, value(text)))
        .collect()
}

/// The body of an export of spans.
pub(super) fn traces(resource: &Resource, spans: &[record::Span]) -> Vec<u8> {
    let span = |span: &record::Span| Span {
        trace_id: span.context.trace_id.to_vec(),
        span_id: span.context.span_id.to_vec(),
        parent_span_id: span.parent.map_or(Vec::new(), |id| id.to_vec()),
        name: span.name.clone(),
        kind: span.kind as i32,
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns,
        attributes: key_values(&span.attributes),
        status: span.failed.then_some(Status { code: ERROR }),
        flags: SAMPLED,
    };
    let export = ExportTraces {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: scope(),
                spans: spans.iter().map(span).collect(),
            }],
        }],
    };
    export.encode_to_vec()
}

/// Metrics of one process at one moment.
#[derive(Debug)]
pub(super) struct MetricsBatch {
    start_ns: u64,
    now_ns: u64,
    metrics: Vec<Metric>,
}

impl MetricsBatch {
    pub(super) fn new(start_ns: u64, now_ns: u64) -> Self {
        Self {
            start_ns,
            now_ns,
            metrics: Vec::new(),
        }
    }

    /// The body of an export; `None` when nothing was added.
    pub(super) fn into_body(self, resource: &Resource) -> Option<Vec<u8>> {
        let some = !self.metrics.is_empty();
        let export = ExportMetrics {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: scope(),
                    metrics: self.metrics,
                }],
            }],
        };
        some.then(|| export.encode_to_vec())
    }

    /// Adds the histograms of spans; series of one metric come one after another.
    pub(super) fn add_series(&mut self, series: Vec<(&'static str, Attributes, Timing)>) {
        for (name, attributes, timing) in series {
            let point = self.histogram_point(
                &seconds(&timing.buckets),
                timing.total.as_secs_f64(),
                key_values(&attributes),
            );
            if let Some(Metric {
                name: last,
                data: Some(Data::Histogram(histogram)),
                ..
            }) = self.metrics.last_mut()
                && last == name
            {
                histogram.data_points.push(point);
                continue;
            }
            self.metrics.push(Metric {
                name: name.to_owned(),
                description: String::new(),
                unit: "s".to_owned(),
                data: Some(histogram(vec![point])),
            });
        }
    }

    /// Adds how many messages were sent and received.
    pub(super) fn add_messages(&mut self, snapshot: &Snapshot) {
        for (counter, name, operation) in MESSAGES {
            let Some(count) = snapshot.counters.get(counter) else {
                continue;
            };
            let attributes = vec![
                ("messaging.system", "redis".into()),
                ("messaging.operation.name", operation.into()),
                ("messaging.destination.name", DESTINATION.into()),
            ];
            let point = self.number_point(*count as f64, key_values(&attributes));
            self.metrics.push(Metric {
                name: name.to_owned(),
                description: String::new(),
                unit: "{message}".to_owned(),
                data: Some(sum(vec![point])),
            });
        }
    }

    /// Adds metrics of the registry under the names that they have in JSON.
    pub(super) fn add_families(&mut self, families: &Families) {
        for family in families.all() {
            let (mut numbers, mut histograms) = (Vec::new(), Vec::new());
            for (labels, value) in &family.samples {
                let labels = labels.iter();
                let attributes = labels
                    .map(|(key, text)| key_value(key, Value::String(text.clone())))
                    .collect();
                match value {
                    Measured::Number(number) => {
                        numbers.push(self.number_point(*number, attributes));
                    }
                    Measured::Histogram { buckets, sum } => {
                        histograms.push(self.histogram_point(buckets, *sum, attributes));
                    }
                }
            }
            let data = match family.kind {
                MetricKind::Histogram => histogram(histograms),
                MetricKind::Counter => sum(numbers),
                MetricKind::Gauge => Data::Gauge(Gauge {
                    data_points: numbers,
                }),
            };
            self.metrics.push(Metric {
                name: family.name.to_string(),
                description: family.help.to_string(),
                unit: unit(family.unit).to_owned(),
                data: Some(data),
            });
        }
    }

    fn number_point(&self, number: f64, attributes: Vec<KeyValue>) -> NumberPoint {
        NumberPoint {
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.now_ns,
            as_double: Some(number),
            attributes,
        }
    }

    fn histogram_point(
        &self,
        buckets: &[(f64, u64)],
        sum: f64,
        attributes: Vec<KeyValue>,
    ) -> HistogramPoint {
        let bounds = buckets.iter().map(|(bound, _)| *bound);
        HistogramPoint {
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.now_ns,
            count: buckets.iter().map(|(_, count)| count).sum(),
            sum: Some(sum),
            bucket_counts: buckets.iter().map(|(_, count)| *count).collect(),
            explicit_bounds: bounds.filter(|bound| bound.is_finite()).collect(),
            attributes,
        }
    }
}

fn histogram(data_points: Vec<HistogramPoint>) -> Data {
    Data::Histogram(Histogram {
        data_points,
        aggregation_temporality: CUMULATIVE,
    })
}

fn sum(data_points: Vec<NumberPoint>) -> Data {
    Data::Sum(Sum {
        data_points,
        aggregation_temporality: CUMULATIVE,
        is_monotonic: true,
    })
}

/// A unit as UCUM has it.
fn unit(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "bytes" => "By",
        _ => "",
    }
}
