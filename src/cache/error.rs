//! Why a load gave no value.

use std::{error::Error as StdError, fmt, sync::Arc};

/// Why a load gave no value; all who waited for the load get the same.
#[derive(Clone)]
pub struct LoadError(Reason);

#[derive(Clone)]
enum Reason {
    Failed(Arc<dyn StdError + Send + Sync>),
    TimedOut,
    Unreadable,
    Miscounted,
}

impl LoadError {
    pub(super) fn failed(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self(Reason::Failed(error.into()))
    }

    pub(super) fn timed_out() -> Self {
        Self(Reason::TimedOut)
    }

    pub(super) fn unreadable() -> Self {
        Self(Reason::Unreadable)
    }

    pub(super) fn miscounted() -> Self {
        Self(Reason::Miscounted)
    }

    /// The loader's error; `None` when it took too long.
    pub fn loader_error(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &self.0 {
            Reason::Failed(error) => Some(&**error),
            _ => None,
        }
    }

    /// Whether the loader took longer than it may.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, Reason::TimedOut)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Reason::Failed(_) => "the loader of a cached value failed",
            Reason::TimedOut => "the loader of a cached value took too long",
            Reason::Unreadable => "the value of another caller's loader cannot be read",
            Reason::Miscounted => "the loader of cached values returned another number of values",
        })
    }
}

impl fmt::Debug for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Failed(error) => f.debug_tuple("LoadError").field(error).finish(),
            _ => fmt::Display::fmt(self, f),
        }
    }
}

impl StdError for LoadError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Reason::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}
