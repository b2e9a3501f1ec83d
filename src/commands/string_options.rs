//! Options of the string commands.

use super::options::{Expiry, ExpiryChange, flag, word_and};
use crate::{Args, ToArg};
use std::time::Duration;

#[derive(Debug, Clone)]
enum Condition {
    Absent,
    Present,
    Equals(Vec<u8>),
    Differs(Vec<u8>),
    DigestEquals(String),
    DigestDiffers(String),
}

impl Condition {
    fn write(&self, a: &mut Args) {
        match self {
            Self::Absent => "NX".write(a),
            Self::Present => "XX".write(a),
            Self::Equals(v) => word_and("IFEQ", v, a),
            Self::Differs(v) => word_and("IFNE", v, a),
            Self::DigestEquals(d) => word_and("IFDEQ", d, a),
            Self::DigestDiffers(d) => word_and("IFDNE", d, a),
        }
    }
}

/// Options of [`StringCommands::set_with`](super::StringCommands::set_with) and [`StringCommands::set_get`](super::StringCommands::set_get).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SetOptions {
    condition: Option<Condition>,
    expiry: Option<Expiry>,
    keep_ttl: bool,
}

impl SetOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }
    /// Only if the key is absent: `NX`.
    pub fn nx(mut self) -> Self {
        self.condition = Some(Condition::Absent);
        self
    }
    /// Only if the key is present: `XX`.
    pub fn xx(mut self) -> Self {
        self.condition = Some(Condition::Present);
        self
    }
    /// Only if the current value equals this one: `IFEQ`.
    pub fn if_eq(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.condition = Some(Condition::Equals(value.into()));
        self
    }
    /// Only if the current value is absent or differs: `IFNE`.
    pub fn if_ne(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.condition = Some(Condition::Differs(value.into()));
        self
    }
    /// Only if the current value has this [digest](super::StringCommands::digest): `IFDEQ`.
    pub fn if_digest_eq(mut self, digest: impl Into<String>) -> Self {
        self.condition = Some(Condition::DigestEquals(digest.into()));
        self
    }
    /// Only if the current value is absent or has another digest: `IFDNE`.
    pub fn if_digest_ne(mut self, digest: impl Into<String>) -> Self {
        self.condition = Some(Condition::DigestDiffers(digest.into()));
        self
    }
    /// Expires after a time: `EX` for whole seconds, else `PX`.
    pub fn ex(mut self, after: Duration) -> Self {
        self.expiry = Some(Expiry::In(after));
        self
    }
    /// Expires at any kind of time.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(expiry);
        self
    }
    /// Keeps the time to live that the key has: `KEEPTTL`.
    pub fn keep_ttl(mut self) -> Self {
        self.keep_ttl = true;
        self
    }
    pub(super) fn write(&self, get: bool, a: &mut Args) {
        if let Some(condition) = &self.condition {
            condition.write(a);
        }
        if get {
            "GET".write(a);
        }
        if let Some(expiry) = self.expiry {
            expiry.write(a);
        }
        if self.keep_ttl {
            "KEEPTTL".write(a);
        }
    }
}

/// Options of [`StringCommands::msetex`](super::StringCommands::msetex).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct MSetExOptions(SetOptions);

impl MSetExOptions {
    /// No option: keys are set without an expiry.
    pub fn new() -> Self {
        Self::default()
    }
    /// Only if none of the keys exists: `NX`.
    pub fn nx(mut self) -> Self {
        self.0 = self.0.nx();
        self
    }
    /// Only if all keys exist: `XX`.
    pub fn xx(mut self) -> Self {
        self.0 = self.0.xx();
        self
    }
    /// When all of them expire.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.0 = self.0.expiry(expiry);
        self
    }
    /// Keeps the time to live that each key has: `KEEPTTL`.
    pub fn keep_ttl(mut self) -> Self {
        self.0 = self.0.keep_ttl();
        self
    }
    pub(super) fn write(&self, a: &mut Args) {
        self.0.write(false, a);
    }
}

/// Options of [`StringCommands::increx`](super::StringCommands::increx): bounds and expiry.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct IncrExOptions<N> {
    low: Option<N>,
    high: Option<N>,
    saturate: bool,
    expiry: Option<ExpiryChange>,
    only_new_expiry: bool,
}

impl<N: ToArg + PartialEq> IncrExOptions<N> {
    /// No option: bounds are those of the type, the expiry stays.
    pub fn new() -> Self {
        Self {
            low: None,
            high: None,
            saturate: false,
            expiry: None,
            only_new_expiry: false,
        }
    }
    /// Adds nothing if the new value would be less: `LBOUND`.
    pub fn at_least(mut self, bound: N) -> Self {
        self.low = Some(bound);
        self
    }
    /// Adds nothing if the new value would be more: `UBOUND`.
    pub fn at_most(mut self, bound: N) -> Self {
        self.high = Some(bound);
        self
    }
    /// Goes to the bound instead of adding nothing: `SATURATE`.
    pub fn saturate(mut self) -> Self {
        self.saturate = true;
        self
    }
    /// Sets when the key expires.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(ExpiryChange::Set(expiry));
        self
    }
    /// Removes the expiry: `PERSIST`.
    pub fn persist(mut self) -> Self {
        self.expiry = Some(ExpiryChange::Persist);
        self
    }
    /// Sets the expiry only if the key has none: `ENX`.
    pub fn only_new_expiry(mut self) -> Self {
        self.only_new_expiry = true;
        self
    }
    /// Writes the increment, unless it is what the server takes by itself, and the options.
    pub(super) fn write(&self, word: &str, increment: N, default: N, a: &mut Args) {
        if increment != default {
            word_and(word, increment, a);
        }
        if let Some(low) = &self.low {
            word_and("LBOUND", low, a);
        }
        if let Some(high) = &self.high {
            word_and("UBOUND", high, a);
        }
        flag(self.saturate, "SATURATE", a);
        if let Some(expiry) = self.expiry {
            expiry.write(a);
        }
        flag(self.only_new_expiry, "ENX", a);
    }
}
