//! Which event types.

use std::fmt;

use super::check_name;
use crate::{Error, Result};

const MAX_PATTERNS: usize = 64;

/// Which event types: `a.b`, everything below `a.*`, or all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeFilter(Option<Vec<Box<str>>>);

impl TypeFilter {
    /// Every type.
    pub fn all() -> Self {
        Self(None)
    }

    /// No type.
    pub fn none() -> Self {
        Self(Some(Vec::new()))
    }

    /// Patterns by comma.
    ///
    /// # Errors
    /// `InvalidInput` for a pattern that is not `a.b`, `a.*` or `*`, or for more than 64.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_list(text.split(',').map(str::trim).filter(|p| !p.is_empty()))
    }

    /// Patterns as a list: each item is one, and a comma or blank in it is no separator.
    ///
    /// # Errors
    /// `InvalidInput` for an item that is not `a.b`, `a.*` or `*`, or for more than 64.
    pub fn from_list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Result<Self> {
        let (mut patterns, mut all) = (Vec::new(), false);
        for item in items {
            let pattern = item.as_ref();
            if pattern == "*" {
                all = true;
                continue;
            }
            if check_name(pattern.strip_suffix(".*").unwrap_or(pattern)).is_err() {
                return Err(Error::invalid_input("a type is `a.b`, `a.*` or `*`"));
            }
            if patterns.len() == MAX_PATTERNS {
                return Err(Error::invalid_input("more than 64 types"));
            }
            patterns.push(pattern.into());
        }
        Ok(Self(if all { None } else { Some(patterns) }))
    }

    /// Whether a type passes.
    pub fn matches(&self, kind: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|p| covers(p, kind)))
    }

    /// What passes both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let (Some(mine), Some(theirs)) = (&self.0, &other.0) else {
            return if self.0.is_none() { other } else { self }.clone();
        };
        let mut both: Vec<Box<str>> = Vec::new();
        for a in mine {
            for b in theirs {
                let narrower = if covers(a, b) {
                    b
                } else if covers(b, a) {
                    a
                } else {
                    continue;
                };
                if !both.contains(narrower) {
                    both.push(narrower.clone());
                }
            }
        }
        Self(Some(both))
    }

    /// Every type, if none was named.
    #[must_use]
    pub fn or_all(self) -> Self {
        if self.is_none() { Self::all() } else { self }
    }

    /// Whether nothing passes.
    pub fn is_none(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }
}

/// Whether a pattern lets through all that another pattern or type does.
fn covers(pattern: &str, other: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => other.starts_with(prefix),
        None => pattern == other,
    }
}

impl fmt::Display for TypeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("*"),
            Some(patterns) if patterns.is_empty() => f.write_str(","),
            Some(patterns) => f.write_str(&patterns.join(",")),
        }
    }
}
