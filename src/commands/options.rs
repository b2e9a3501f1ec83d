//! Options that several command groups share.

use crate::{Args, ToArg};
use std::time::Duration;

/// When a value or field expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// After a time from now: `EX` for whole seconds, else `PX`.
    In(Duration),
    /// At a unix time in seconds: `EXAT`.
    AtSeconds(u64),
    /// At a unix time in milliseconds: `PXAT`.
    AtMillis(u64),
}

impl Expiry {
    pub(super) fn write(self, a: &mut Args) {
        match self {
            Self::In(d) if d.subsec_nanos() == 0 => word_and("EX", d.as_secs(), a),
            Self::In(d) => word_and("PX", u64::try_from(d.as_millis()).unwrap_or(u64::MAX), a),
            Self::AtSeconds(t) => word_and("EXAT", t, a),
            Self::AtMillis(t) => word_and("PXAT", t, a),
        }
    }
}

/// When a read also changes the time to live: `GETEX`, `HGETEX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiryChange {
    /// Sets a new expiry.
    Set(Expiry),
    /// Removes the expiry: `PERSIST`.
    Persist,
}

impl ExpiryChange {
    pub(super) fn write(self, a: &mut Args) {
        match self {
            Self::Set(expiry) => expiry.write(a),
            Self::Persist => "PERSIST".write(a),
        }
    }
}

/// Condition of the `EXPIRE` family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpireCondition {
    /// Only when there is no expiry: `NX`.
    IfNone,
    /// Only when there is one: `XX`.
    IfSome,
    /// Only when the new one is later: `GT`.
    IfLater,
    /// Only when the new one is earlier: `LT`.
    IfEarlier,
}

impl ToArg for ExpireCondition {
    fn write(&self, a: &mut Args) {
        match self {
            Self::IfNone => "NX",
            Self::IfSome => "XX",
            Self::IfLater => "GT",
            Self::IfEarlier => "LT",
        }
        .write(a);
    }
}

/// `MATCH` and `COUNT` of the scan commands.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ScanOptions {
    pattern: Option<Vec<u8>>,
    count: Option<u64>,
    kind: Option<String>,
}

impl ScanOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Only names that match a glob pattern.
    pub fn matching(mut self, pattern: impl Into<Vec<u8>>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }
    /// How much work one call does, roughly.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
    /// Only keys of a type; for `SCAN` alone.
    pub fn of_type(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }
    pub(crate) fn write(&self, a: &mut Args) {
        if let Some(pattern) = &self.pattern {
            word_and("MATCH", pattern, a);
        }
        if let Some(count) = self.count {
            word_and("COUNT", count, a);
        }
        if let Some(kind) = &self.kind {
            word_and("TYPE", kind, a);
        }
    }
}

/// Whether the call waits for a flush to free the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushMode {
    /// Freed later: `ASYNC`.
    Async,
    /// Freed before the answer: `SYNC`.
    Sync,
}

impl ToArg for FlushMode {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Async => "ASYNC",
            Self::Sync => "SYNC",
        }
        .write(a);
    }
}

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The head.
    Left,
    /// The tail.
    Right,
}

impl ToArg for Side {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Left => "LEFT",
            Self::Right => "RIGHT",
        }
        .write(a);
    }
}

pub(super) fn word_and(word: &str, value: impl ToArg, a: &mut Args) {
    word.write(a);
    value.write(a);
}

/// Writes the number of items, then the items: `numkeys key [key …]`.
pub(super) fn counted<K: ToArg>(items: impl IntoIterator<Item = K>) -> impl FnOnce(&mut Args) {
    let items: Vec<K> = items.into_iter().collect();
    move |a| {
        items.len().write(a);
        for item in items {
            item.write(a);
        }
    }
}

/// Writes pairs as `a b a b`.
pub(super) fn pairs<A: ToArg, B: ToArg>(
    items: impl IntoIterator<Item = (A, B)>,
) -> impl FnOnce(&mut Args) {
    move |a| {
        for (first, second) in items {
            first.write(a);
            second.write(a);
        }
    }
}

/// Writes a word when a flag is set.
pub(super) fn flag(set: bool, word: &str, a: &mut Args) {
    if set {
        word.write(a);
    }
}
