//! Where a database tells its changes.

use std::fmt;

use crate::error::Error;

/// What keeps the changes of a database, in their order.
///
/// The database is locked while it calls any of these: none of them may block or call the engine.
pub trait ChangeLog: fmt::Debug + Send + Sync {
    /// Takes what one call, chunk of a batch, script or transaction changed, for
    /// [`Engine::replay`](crate::Engine::replay).
    fn append(&self, record: &[u8]);

    /// Why nothing may be changed now: what was changed could not be kept.
    fn refusal(&self) -> Option<Error>;

    /// Starts to write a snapshot and a new log in the background.
    ///
    /// # Errors
    /// If one is being written.
    fn start_rewrite(&self) -> Result<(), Error>;

    /// What INFO, CONFIG GET and LASTSAVE tell.
    fn status(&self) -> LogStatus;
}

/// How the changes of a database are kept.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogStatus {
    /// `always`, `everysec` or `no`.
    pub sync: &'static str,
    /// Whether a snapshot is being written.
    pub rewriting: bool,
    /// Seconds since the Unix epoch at which the last snapshot was complete.
    pub last_snapshot: Option<u64>,
    /// [`Engine::changes`](crate::Engine::changes) as of that snapshot.
    pub saved_changes: u64,
    /// Whether the last snapshot failed.
    pub rewrite_failed: bool,
    /// Whether what was changed cannot be written now.
    pub write_failed: bool,
    /// Bytes of the log files.
    pub log_bytes: u64,
    /// Bytes of the snapshot.
    pub snapshot_bytes: u64,
    /// Whether everything that was changed is on disk.
    pub synced: bool,
}
