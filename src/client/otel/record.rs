//! What was observed and is not exported yet.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::context::SpanContext;
use crate::{client::metrics::Timing, transport::time::Instant};

/// Spans that wait for an export; further ones are dropped.
const MOST_SPANS: usize = 2048;
/// Series of histograms; further ones count as one, as the specification asks.
const MOST_SERIES: usize = 2000;
pub(super) const OVERFLOW: &str = "otel.metric.overflow";

/// The value of an attribute. Text is a constant, a route of a router or the address of a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Text {
    Constant(&'static str),
    Shared(Arc<str>),
    Number(i64),
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::Constant(text)
    }
}

pub(super) type Attributes = Vec<(&'static str, Text)>;

/// What a span is to the other side; the numbers are those of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanKind {
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) context: SpanContext,
    pub(super) parent: Option<[u8; 8]>,
    pub(super) kind: SpanKind,
    pub(super) name: String,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) attributes: Attributes,
    pub(super) failed: bool,
}

/// Spans and histograms of a process.
#[derive(Debug, Default)]
pub(super) struct Record {
    spans: Vec<Span>,
    dropped: u64,
    series: BTreeMap<(&'static str, Attributes), Timing>,
}

impl Record {
    fn add(&mut self, span: Span) {
        if self.spans.len() < MOST_SPANS {
            self.spans.push(span);
        } else {
            self.dropped += 1;
        }
    }

    fn measure(&mut self, metric: &'static str, attributes: Attributes, took: Duration) {
        let mut series = (metric, attributes);
        if self.series.len() >= MOST_SERIES && !self.series.contains_key(&series) {
            series.1 = vec![(OVERFLOW, Text::Constant("true"))];
        }
        self.series.entry(series).or_default().add(took);
    }

    /// The spans, and how many had no place among them.
    pub(super) fn take_spans(&mut self) -> (Vec<Span>, u64) {
        (
            std::mem::take(&mut self.spans),
            std::mem::take(&mut self.dropped),
        )
    }

    /// Keeps spans that could not be exported, as far as there is room.
    pub(super) fn put_back(&mut self, mut spans: Vec<Span>) {
        std::mem::swap(&mut self.spans, &mut spans);
        for span in spans {
            self.add(span);
        }
    }

    pub(super) fn series(&self) -> Vec<(&'static str, Attributes, Timing)> {
        let series = self.series.iter();
        series
            .map(|((metric, attributes), timing)| (*metric, attributes.clone(), timing.clone()))
            .collect()
    }
}

/// A span that has begun.
#[derive(Debug)]
pub(super) struct OpenSpan {
    pub(super) context: SpanContext,
    parent: Option<[u8; 8]>,
    kind: SpanKind,
    start_ns: u64,
    begun: Instant,
}

/// What is known at the end of a span: `metric` gets the attributes that are not `detail`.
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) metric: &'static str,
    pub(super) attributes: Attributes,
    pub(super) detail: Attributes,
    pub(super) failed: bool,
}

impl OpenSpan {
    pub(super) fn begin(kind: SpanKind, parent: Option<SpanContext>) -> Self {
        Self {
            context: SpanContext::below(parent),
            parent: parent.map(|parent| parent.span_id),
            kind,
            start_ns: now_ns(),
            begun: Instant::now(),
        }
    }

    pub(super) fn end(self, record: &mut Record, ended: Ended) {
        let took = Instant::now().saturating_duration_since(self.begun);
        record.measure(ended.metric, ended.attributes.clone(), took);
        if !self.context.sampled {
            return;
        }
        let mut attributes = ended.attributes;
        attributes.extend(ended.detail);
        record.add(Span {
            context: self.context,
            parent: self.parent,
            kind: self.kind,
            name: ended.name,
            start_ns: self.start_ns,
            end_ns: self.start_ns.saturating_add(took.as_nanos() as u64),
            attributes,
            failed: ended.failed,
        });
    }
}

pub(super) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(attributes: Attributes) -> Ended {
        Ended {
            name: "GET".to_owned(),
            metric: "db.client.operation.duration",
            attributes,
            detail: Vec::new(),
            failed: false,
        }
    }

    #[test]
    fn spans_and_series_are_bounded() {
        let mut record = Record::default();
        for number in 0..3000 {
            let span = OpenSpan::begin(SpanKind::Client, None);
            span.end(&mut record, ended(vec![("n", Text::Number(number))]));
        }
        assert_eq!(record.series().len(), MOST_SERIES + 1);
        let (spans, dropped) = record.take_spans();
        assert_eq!(
            (spans.len(), dropped),
            (MOST_SPANS, 3000 - MOST_SPANS as u64)
        );
        record.put_back(spans);
        assert_eq!(record.take_spans().0.len(), MOST_SPANS);
    }
}
