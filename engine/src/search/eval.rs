//! Which documents match a query, and how well.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeBounds;

use super::index::{Doc, Index};
use super::postings::{Postings, TextPostings};
use super::query::{Clauses, Query};
use super::schema::Value;
use crate::budget::{Budget, regex_steps};

/// Documents with their scores, in the order they were indexed.
pub(crate) type Matches = BTreeMap<u64, f64>;

/// What a document in a list takes.
const STEPS: usize = 8;

/// The usual constants of BM25.
const K1: f64 = 1.2;
const B: f64 = 0.75;

impl Index {
    /// Evaluates a query; what it returns is incomplete when the budget ended.
    pub(crate) fn search(&self, query: &Query, budget: &Budget) -> Matches {
        if budget.spend(1).is_err() {
            return Matches::new();
        }
        let matches = self.evaluate(query, budget);
        // What comes up again must be put together and taken apart.
        let _ = budget.spend(matches.len().saturating_mul(STEPS));
        matches
    }

    fn evaluate(&self, query: &Query, budget: &Budget) -> Matches {
        match query {
            Query::All => self.docs.keys().map(|&id| (id, 1.0)).collect(),
            Query::Nothing => Matches::new(),
            Query::Boost(inner, factor) => self
                .search(inner, budget)
                .into_iter()
                .map(|(id, score)| (id, score * factor))
                .collect(),
            Query::Bool(clauses) => self.combine(clauses, budget),
            Query::Term { field, term } => self
                .text(*field)
                .map(|text| text.term(self, term))
                .unwrap_or_default(),
            Query::Phrase {
                field,
                terms,
                slop,
                prefix,
            } => self
                .text(*field)
                .map(|text| text.phrase(self, terms, (*slop, prefix.as_deref()), budget))
                .unwrap_or_default(),
            Query::Prefix {
                field,
                prefix,
                stem,
            } => self.terms(
                *field,
                budget,
                |_| 1,
                |term| term.starts_with(prefix) || term.starts_with(stem),
            ),
            Query::Fuzzy {
                field,
                word,
                stem,
                fuzziness,
            } => self.terms(
                *field,
                budget,
                |term| word.len() * term.len(),
                |term| {
                    fuzziness.accepts(word, term) || word != stem && fuzziness.accepts(stem, term)
                },
            ),
            Query::Regex { field, pattern } => self.terms(
                *field,
                budget,
                |term| regex_steps(pattern.as_str(), term.as_bytes()),
                |term| pattern.is_match(term),
            ),
            Query::Word { field, word } => match self.postings.get(*field) {
                Some(Postings::Keywords(words) | Postings::Facets(words)) => {
                    constant(words.get(word.as_str()))
                }
                _ => Matches::new(),
            },
            Query::Words { field, low, high } => match self.postings.get(*field) {
                Some(Postings::Keywords(words)) => {
                    // One end is always open, so the range is in order.
                    let ends = (
                        low.as_ref().map(String::as_str),
                        high.as_ref().map(String::as_str),
                    );
                    constant(words.range::<str, _>(ends).map(|(_, ids)| ids))
                }
                _ => Matches::new(),
            },
            Query::Numbers { field, low, high } => match self.postings.get(*field) {
                Some(Postings::Numbers(numbers)) if is_range(low, high) => {
                    constant(numbers.range((*low, *high)).map(|(_, ids)| ids))
                }
                _ => Matches::new(),
            },
        }
    }

    fn combine(&self, clauses: &Clauses, budget: &Budget) -> Matches {
        // Looking at the documents that are left is cheaper than collecting all that fit a range.
        let (mut collected, mut checked): (Vec<&Query>, Vec<&Query>) =
            clauses.must.iter().partition(|query| !query.is_checkable());
        if collected.is_empty() && !checked.is_empty() {
            collected.push(checked.remove(0));
        }
        let mut must = collected
            .into_iter()
            .map(|query| self.search(query, budget));
        let mut matches = Matches::new();
        if let Some(first) = must.next() {
            matches = first;
            for other in must {
                matches.retain(|id, score| {
                    other.get(id).is_some_and(|more| {
                        *score += more;
                        true
                    })
                });
            }
            let _ = budget.spend(matches.len().saturating_mul(checked.len()));
            matches.retain(|id, score| {
                *score += checked.len() as f64;
                self.docs
                    .get(id)
                    .is_some_and(|doc| checked.iter().all(|query| self.accepts(query, doc)))
            });
            for optional in clauses
                .should
                .iter()
                .map(|query| self.search(query, budget))
            {
                for (id, more) in optional {
                    matches.entry(id).and_modify(|score| *score += more);
                }
            }
        } else {
            // Without anything required, one of the options is.
            for option in clauses
                .should
                .iter()
                .map(|query| self.search(query, budget))
            {
                for (id, score) in option {
                    *matches.entry(id).or_default() += score;
                }
            }
        }
        for excluded in clauses
            .must_not
            .iter()
            .map(|query| self.search(query, budget))
        {
            matches.retain(|id, _| !excluded.contains_key(id));
        }
        matches
    }

    /// Whether a document matches a query that [`Query::is_checkable`] says can be checked.
    fn accepts(&self, query: &Query, doc: &Doc) -> bool {
        let values = |field: usize| doc.values.get(field).into_iter().flatten();
        match query {
            Query::Word { field, word } => {
                // A path leads to everything below it.
                let is_path = matches!(self.postings.get(*field), Some(Postings::Facets(_)));
                values(*field).filter_map(Value::as_word).any(|held| {
                    let rest = held.strip_prefix(word.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || is_path && rest.starts_with('/'))
                })
            }
            Query::Words { field, low, high } => {
                let ends = (
                    low.as_ref().map(String::as_str),
                    high.as_ref().map(String::as_str),
                );
                values(*field)
                    .filter_map(Value::as_word)
                    .any(|word| RangeBounds::<str>::contains(&ends, word))
            }
            Query::Numbers { field, low, high } => values(*field)
                .filter_map(Value::order)
                .any(|order| (*low, *high).contains(&order)),
            _ => false,
        }
    }

    fn text(&self, field: usize) -> Option<&TextPostings> {
        match self.postings.get(field) {
            Some(Postings::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Documents with any term that is accepted.
    fn terms(
        &self,
        field: usize,
        budget: &Budget,
        steps: impl Fn(&str) -> usize,
        accept: impl Fn(&str) -> bool,
    ) -> Matches {
        let Some(text) = self.text(field) else {
            return Matches::new();
        };
        let found = text
            .terms
            .iter()
            .filter(|(term, _)| budget.spend(STEPS + steps(term)).is_ok() && accept(term));
        found
            .flat_map(|(_, docs)| docs.keys())
            .map(|&id| (id, 1.0))
            .collect()
    }

    /// The terms of a field that a query names, for highlighting.
    pub(crate) fn named_terms(query: &Query, wanted: usize, terms: &mut HashSet<String>) {
        match query {
            Query::Term { field, term } if *field == wanted => {
                terms.insert(term.clone());
            }
            Query::Phrase {
                field,
                terms: phrase,
                ..
            } if *field == wanted => terms.extend(phrase.iter().cloned()),
            Query::Word { field, word } if *field == wanted => {
                terms.insert(word.clone());
            }
            Query::Boost(inner, _) => Self::named_terms(inner, wanted, terms),
            Query::Bool(clauses) => {
                for query in clauses.must.iter().chain(&clauses.should) {
                    Self::named_terms(query, wanted, terms);
                }
            }
            _ => {}
        }
    }
}

impl Query {
    /// Whether a document alone tells if it matches.
    fn is_checkable(&self) -> bool {
        matches!(
            self,
            Self::Word { .. } | Self::Words { .. } | Self::Numbers { .. }
        )
    }
}

impl TextPostings {
    fn term(&self, index: &Index, term: &str) -> Matches {
        let Some(docs) = self.terms.get(term) else {
            return Matches::new();
        };
        let weight = rarity(index, docs.len());
        docs.iter()
            .map(|(&id, positions)| (id, weight * self.frequency(id, positions.len())))
            .collect()
    }

    fn phrase(
        &self,
        index: &Index,
        terms: &[String],
        (slop, prefix): (u32, Option<&str>),
        budget: &Budget,
    ) -> Matches {
        let Some((last, first)) = terms.split_last() else {
            return Matches::new();
        };
        let mut lists: Vec<BTreeMap<u64, Vec<u32>>> = Vec::with_capacity(terms.len());
        let mut weight = 0.0;
        for term in first {
            let Some(docs) = self.terms.get(term.as_str()) else {
                return Matches::new();
            };
            weight += rarity(index, docs.len());
            if budget.spend(docs.len().saturating_mul(STEPS)).is_err() {
                return Matches::new();
            }
            lists.push(docs.clone());
        }
        let mut ends: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (term, docs) in &self.terms {
            if budget.spend(STEPS).is_err() {
                return Matches::new();
            }
            if **term == **last || prefix.is_some_and(|prefix| term.starts_with(prefix)) {
                for (&id, positions) in docs {
                    ends.entry(id).or_default().extend(positions);
                }
            }
        }
        weight += rarity(index, ends.len());
        for positions in ends.values_mut() {
            positions.sort_unstable();
        }
        lists.push(ends);
        let mut matches = Matches::new();
        for &id in lists.first().into_iter().flat_map(BTreeMap::keys) {
            let positions: Option<Vec<&[u32]>> = lists
                .iter()
                .map(|docs| docs.get(&id).map(Vec::as_slice))
                .collect();
            let each =
                |lists: &Vec<&[u32]>| lists.first().map_or(0, |first| first.len()) * lists.len();
            if budget
                .spend(1 + positions.as_ref().map_or(0, each))
                .is_err()
            {
                break;
            }
            let times = positions.map_or(0, |positions| occurrences(&positions, slop));
            if times > 0 {
                matches.insert(id, weight * self.frequency(id, times));
            }
        }
        matches
    }

    /// What a term that occurs so often adds, less in long documents.
    fn frequency(&self, id: u64, times: usize) -> f64 {
        let average = self.total as f64 / self.lengths.len().max(1) as f64;
        let length = f64::from(self.lengths.get(&id).copied().unwrap_or(0));
        let times = times as f64;
        times * (K1 + 1.0) / (times + K1 * (1.0 - B + B * length / average.max(1.0)))
    }
}

/// How telling a term is that so many documents hold.
fn rarity(index: &Index, holders: usize) -> f64 {
    let (all, holders) = (index.docs.len() as f64, holders as f64);
    (1.0 + (all - holders + 0.5) / (holders + 0.5)).ln()
}

/// How often positions follow each other with at most `slop` others between them.
fn occurrences(lists: &[&[u32]], slop: u32) -> usize {
    let Some((first, rest)) = lists.split_first() else {
        return 0;
    };
    let starts = first.iter().filter(|&&start| {
        let mut at = start;
        for positions in rest {
            let next = positions.partition_point(|&position| position <= at);
            let Some(&position) = positions.get(next) else {
                return false;
            };
            at = position;
        }
        at - start <= rest.len() as u32 + slop
    });
    starts.count()
}

/// Documents that all match equally well.
fn constant<'i>(ids: impl IntoIterator<Item = &'i BTreeSet<u64>>) -> Matches {
    ids.into_iter().flatten().map(|&id| (id, 1.0)).collect()
}

/// Whether the bounds are in order; a range that is not would be a mistake of the caller.
fn is_range(low: &std::ops::Bound<i128>, high: &std::ops::Bound<i128>) -> bool {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    match (low, high) {
        (Unbounded, _) | (_, Unbounded) => true,
        (Excluded(a), Excluded(b)) => a < b,
        (Included(a) | Excluded(a), Included(b) | Excluded(b)) => a <= b,
    }
}
