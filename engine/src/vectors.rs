//! Vectors under ids, and the ones nearest to another.
//!
//! Every query looks at every vector: exact, and fast enough for the sizes a development store has
//! (time grows with the number of vectors times their dimension).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::budget::Budget;
use crate::dict::Dict;

/// How similarity is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Metric {
    #[default]
    Cosine,
    Euclidean,
    Dot,
}

impl Metric {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        [Self::Cosine, Self::Euclidean, Self::Dot]
            .into_iter()
            .find(|metric| text.eq_ignore_ascii_case(metric.name().as_bytes()))
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "COSINE",
            Self::Euclidean => "EUCLIDEAN",
            Self::Dot => "DOT",
        }
    }

    /// How close a vector is to another, whose product with itself is `square`.
    fn closeness(self, vector: &[f32], other: &[f32], square: f64) -> f64 {
        match self {
            Self::Dot => product(vector, other),
            Self::Euclidean => {
                let difference = |(a, b): (&f32, &f32)| f64::from(*a) - f64::from(*b);
                let differences = vector.iter().zip(other).map(difference);
                -differences
                    .map(|difference| difference * difference)
                    .sum::<f64>()
            }
            Self::Cosine => {
                let lengths = (product(vector, vector) * square).sqrt();
                if lengths == 0.0 {
                    0.0
                } else {
                    product(vector, other) / lengths
                }
            }
        }
    }

    /// The closeness as a score from 0 to 1.
    fn score(self, closeness: f64) -> f64 {
        match self {
            Self::Cosine | Self::Dot => f64::midpoint(1.0, closeness).clamp(0.0, 1.0),
            Self::Euclidean => 1.0 / (1.0 - closeness),
        }
    }
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

/// The elements as little-endian bytes.
pub(crate) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|n| n.to_le_bytes()).collect()
}

/// Reads little-endian bytes; `None` unless they are finite numbers, at least one.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Box<[f32]>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if numbers.is_empty() || !rest.is_empty() {
        return None;
    }
    let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
    numbers.map(|n| n.is_finite().then_some(n)).collect()
}

/// A candidate; the greatest is the worst.
#[derive(PartialEq)]
struct Candidate<'v> {
    closeness: f64,
    id: &'v [u8],
}

impl Eq for Candidate<'_> {}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let closer = other.closeness.total_cmp(&self.closeness);
        closer.then_with(|| self.id.cmp(other.id))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Vectors of one dimension under ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vectors {
    dimension: usize,
    metric: Metric,
    by_id: Dict<Box<[f32]>>,
}

impl Vectors {
    pub(crate) fn new(dimension: usize, metric: Metric) -> Self {
        Self {
            dimension,
            metric,
            by_id: Dict::default(),
        }
    }

    pub(crate) const fn dimension(&self) -> usize {
        self.dimension
    }

    pub(crate) const fn metric(&self) -> Metric {
        self.metric
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, id: &[u8]) -> Option<&[f32]> {
        self.by_id.get(id).map(|vector| &**vector)
    }

    /// Adds or replaces; whether the id is new.
    pub(crate) fn set(&mut self, id: &[u8], vector: Box<[f32]>) -> bool {
        self.by_id.insert(id, vector).1.is_none()
    }

    pub(crate) fn remove(&mut self, id: &[u8]) -> bool {
        self.by_id.remove(id).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[f32])> {
        self.by_id.iter().map(|(_, id, vector)| (id, &**vector))
    }

    /// The ids nearest to a vector with their scores, the nearest first, ties by id.
    ///
    /// Looks at no more of them when the budget ends.
    pub(crate) fn nearest(&self, to: &[f32], count: usize, budget: &Budget) -> Vec<(&[u8], f64)> {
        let square = product(to, to);
        let mut best = BinaryHeap::with_capacity(count.min(self.len()) + 1);
        for (id, vector) in self.iter() {
            if budget.spend(1 + self.dimension / 4).is_err() {
                break;
            }
            let closeness = self.metric.closeness(vector, to, square);
            best.push(Candidate { closeness, id });
            if best.len() > count {
                best.pop();
            }
        }
        let best = best.into_sorted_vec().into_iter();
        best.map(|near| (near.id, self.metric.score(near.closeness)))
            .collect()
    }

    /// Roughly the bytes behind this value; constant time.
    pub(crate) fn weight(&self) -> usize {
        let vector = self.dimension * size_of::<f32>();
        size_of::<Self>() + self.by_id.weight() + self.len() * vector
    }
}
