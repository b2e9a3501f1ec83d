//! What an index is asked.

use std::ops::Bound;

use regex_lite::Regex;

use super::text::Fuzziness;

/// What to search for.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    All,
    Nothing,
    /// One term of a text.
    Term {
        field: usize,
        term: String,
    },
    Phrase {
        field: usize,
        terms: Vec<String>,
        slop: u32,
        prefix: Option<String>,
    },
    Prefix {
        field: usize,
        prefix: String,
        stem: String,
    },
    Fuzzy {
        field: usize,
        word: Vec<char>,
        stem: Vec<char>,
        fuzziness: Fuzziness,
    },
    Regex {
        field: usize,
        pattern: Regex,
    },
    /// A keyword, or a facet path with all below it.
    Word {
        field: usize,
        word: String,
    },
    Words {
        field: usize,
        low: Bound<String>,
        high: Bound<String>,
    },
    Numbers {
        field: usize,
        low: Bound<i128>,
        high: Bound<i128>,
    },
    Bool(Clauses),
    Boost(Box<Query>, f64),
}

/// Clauses of a boolean query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clauses {
    pub(crate) must: Vec<Query>,
    pub(crate) should: Vec<Query>,
    pub(crate) must_not: Vec<Query>,
}

pub(super) fn any(should: Vec<Query>) -> Query {
    Query::Bool(Clauses {
        should,
        ..Clauses::default()
    })
}

pub(super) fn phrase_of(field: usize, mut terms: Vec<String>, slop: u32) -> Query {
    match terms.len() {
        0 => Query::Nothing,
        1 => Query::Term {
            field,
            term: terms.remove(0),
        },
        _ => Query::Phrase {
            field,
            terms,
            slop,
            prefix: None,
        },
    }
}
