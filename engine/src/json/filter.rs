//! Conditions within paths: `?(@.price < 10 && @.name =~ "^a")`.

use std::cmp::Ordering;

use regex_lite::{Regex, RegexBuilder};

use super::eval::{Budget, TooComplex};
use super::node::Node;
use super::path::Segment;
use super::path_parser::PathError;
use crate::budget::regex_steps;

/// Bytes that are compared in the time of a visit.
const BYTES_A_VISIT: usize = 64;

/// A condition on one value.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    Exists(Term),
    Compare {
        left: Term,
        comparison: Comparison,
        right: Term,
    },
    Matches {
        left: Term,
        pattern: Regex,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
}

/// One side of a comparison.
#[derive(Debug, Clone)]
pub(super) enum Term {
    Value(Node),
    Path { root: bool, segments: Vec<Segment> },
}

/// The document and the value a condition is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'d> {
    pub(super) root: &'d Node,
    pub(super) current: &'d Node,
}

impl Condition {
    pub(super) fn compare(
        left: Term,
        comparison: Comparison,
        right: Term,
    ) -> Result<Self, PathError> {
        if comparison != Comparison::Matches {
            return Ok(Self::Compare {
                left,
                comparison,
                right,
            });
        }
        // A pattern that is a constant is compiled once; a pattern from the document would let the
        // document decide what is compiled.
        let Term::Value(Node::Str(pattern)) = right else {
            return Err(PathError);
        };
        let pattern = RegexBuilder::new(&pattern)
            .size_limit(1 << 20)
            .build()
            .map_err(|_| PathError)?;
        Ok(Self::Matches { left, pattern })
    }

    pub(super) fn holds(
        &self,
        scope: Scope<'_>,
        budget: &mut Budget<'_>,
    ) -> Result<bool, TooComplex> {
        match self {
            Self::Any(conditions) => {
                for condition in conditions {
                    if condition.holds(scope, budget)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::All(conditions) => {
                for condition in conditions {
                    if !condition.holds(scope, budget)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Not(condition) => condition.holds(scope, budget).map(|holds| !holds),
            Self::Exists(term) => term.value(scope, budget).map(|value| value.is_some()),
            Self::Matches { left, pattern } => {
                let value = left.value(scope, budget)?;
                let Some(text) = value.and_then(Node::as_str) else {
                    return Ok(false);
                };
                budget.take(regex_steps(pattern.as_str(), text.as_bytes()) / BYTES_A_VISIT)?;
                Ok(pattern.is_match(text))
            }
            Self::Compare {
                left,
                comparison,
                right,
            } => {
                let (left, right) = (left.value(scope, budget)?, right.value(scope, budget)?);
                if let (Some(left), Some(right)) = (left, right) {
                    budget.take(left.size().min(right.size()) / BYTES_A_VISIT)?;
                }
                Ok(comparison.holds(left, right))
            }
        }
    }
}

impl Term {
    /// The value, or the first one a path leads to.
    fn value<'a>(
        &'a self,
        scope: Scope<'a>,
        budget: &mut Budget<'_>,
    ) -> Result<Option<&'a Node>, TooComplex> {
        match self {
            Self::Value(value) => Ok(Some(value)),
            Self::Path { root, segments } => {
                let start = if *root { scope.root } else { scope.current };
                budget.first(scope.root, start, segments)
            }
        }
    }
}

impl Comparison {
    fn holds(self, left: Option<&Node>, right: Option<&Node>) -> bool {
        let order = || match (left?, right?) {
            (Node::Str(a), Node::Str(b)) => Some(a.cmp(b)),
            (Node::Int(a), Node::Int(b)) => Some(a.cmp(b)),
            (a, b) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        };
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => order() == Some(Ordering::Less),
            Self::Greater => order() == Some(Ordering::Greater),
            Self::LessOrEqual => order().is_some_and(Ordering::is_le),
            Self::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
            Self::Matches => false,
        }
    }
}
