//! Keeping embedded databases on disk: a snapshot, and a log of what was changed since.
//!
//! Files of a database have a generation. A snapshot `NAME.G.restis` is the state at the moment
//! at which the log `NAME.G.log` begins; without a snapshot generation 0 begins empty, and a
//! snapshot without a number, as older versions wrote it, is that of generation 0. A rewrite begins
//! generation G+1: its log takes what is changed from that moment on, and once the snapshot of
//! that moment is whole it gets its name and generation G is removed. Until then both logs follow
//! the old snapshot.

mod files;
mod format;
mod log;
mod open;
mod repair;
mod rewrite;
mod stores;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use log::DatabaseLog;
pub use repair::{Repaired, repair};
pub(crate) use stores::{Saver, Stores};

use std::fmt;
use std::str::FromStr;

/// When a write is on disk, so that a loss of power cannot undo it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Before its answer.
    Always,
    /// Within about a second.
    #[default]
    EverySecond,
    /// When the operating system finds time.
    Never,
}

impl SyncPolicy {
    /// As Redis' `appendfsync` names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
            Self::Never => "no",
        }
    }
}

impl fmt::Display for SyncPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SyncPolicy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Always, Self::EverySecond, Self::Never]
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or("expected always, everysec or no")
    }
}
