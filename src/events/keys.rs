//! Keys and channels, by environment and organisation.

use super::Environment;
use crate::{Error, ErrorKind, Result};

/// Checks an organisation's name: 1 to 64 letters, digits, `-` and `_`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that tells the rule.
pub fn check_scope(organisation: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if (1..=64).contains(&organisation.len()) && organisation.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::invalid_input(
        "an organisation has 1 to 64 letters, digits, `-` and `_`",
    ))
}

/// A value of another type under a key of ours is lost: a reader sees nothing there.
pub(super) fn unless_lost<T: Default>(read: Result<T>) -> Result<T> {
    read.or_else(|error| match error.kind() {
        ErrorKind::WrongType => {
            tracing::warn!(%error, "a key of the events holds something else");
            Ok(T::default())
        }
        _ => Err(error),
    })
}

/// The names of one history and what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    start: String,
    scope: String,
}

impl Keys {
    pub(super) fn new(environment: Environment, organisation: Option<&str>) -> Self {
        let start = format!("events:{environment}");
        Self {
            start,
            scope: organisation.map_or(String::new(), |o| format!(":{o}")),
        }
    }
    pub(super) fn history(&self) -> String {
        format!("{}:history{}", self.start, self.scope)
    }
    pub(super) fn meta(&self) -> String {
        format!("{}:meta{}", self.start, self.scope)
    }
    pub(super) fn dedup(&self, key: &str) -> String {
        format!("{}:dedup{}:{key}", self.start, self.scope)
    }
    pub(super) fn stats(&self, hour: u64) -> String {
        format!("{}:stats{}:{hour}", self.start, self.scope)
    }
    /// What a client that numbers its events has sent.
    pub(super) fn producer(&self, client: &str) -> String {
        format!("{}:client{}::{client}", self.start, self.scope)
    }
    pub(super) fn subscribers(&self) -> String {
        format!("{}:work", self.start)
    }
    pub(super) fn work(&self, subscriber: &str) -> String {
        format!("{}:work:{subscriber}", self.start)
    }
    pub(super) fn retry(&self, subscriber: &str) -> String {
        format!("{}:work:{subscriber}:retry", self.start)
    }
    pub(super) fn tries(&self, subscriber: &str) -> String {
        format!("{}:work:{subscriber}:tries", self.start)
    }
    pub(super) fn dead_letters(&self) -> String {
        format!("{}:dlq", self.start)
    }
    pub(super) fn failures(&self, hour: u64) -> String {
        format!("{}:stats:failed:{hour}", self.start)
    }
    pub(super) fn breaker(&self, endpoint: &str) -> String {
        format!("{}:breaker:{endpoint}", self.start)
    }
    pub(super) fn coordination(&self) -> String {
        format!("{}:coordination", self.start)
    }
    /// Channels are this and the event's type.
    pub(super) fn channel_prefix(&self) -> String {
        match self.scope.strip_prefix(':') {
            Some(organisation) => format!("{}:org:{organisation}:", self.start),
            None => format!("{}:", self.start),
        }
    }
}
