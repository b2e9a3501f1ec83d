//! Keeping what a database holds: its changes as records, all of it as a snapshot.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use super::{Engine, State};
use crate::changelog::ChangeLog;
use crate::limits::CallLimits;
use crate::replay;
use crate::snapshot::{self, SnapshotError};

/// The longest that libraries of functions run while a snapshot is loaded.
const LIBRARIES_LIMIT: Duration = Duration::from_secs(10);

impl State {
    /// Hands what was changed to the log. Before the lock is given back, so that the log has the
    /// order of the changes.
    pub(super) fn publish(&mut self) {
        let log = self.side.log.as_ref();
        let damaged = self.side.damaged.is_some();
        self.db.take_effects(|record| {
            if let (Some(log), false) = (log, damaged) {
                log.append(record);
            }
        });
    }
}

impl Engine {
    /// Tells every change from now on to `log`.
    pub fn set_log(&self, log: Arc<dyn ChangeLog>) {
        self.with(|state| {
            state.side.log = Some(log);
            state.db.effects.start();
        });
    }

    /// Makes the changes of a record that [`ChangeLog::append`] was given, on a database that was
    /// as it was then. Call it before [`Engine::set_log`].
    ///
    /// # Errors
    /// If the record makes no sense here; a part of its changes may have been made.
    pub fn replay(&self, record: Vec<u8>) -> Result<(), SnapshotError> {
        self.with(|state| replay::replay(Bytes::from(record), &mut state.db, &mut state.side))
    }

    /// Writes everything to `out`; returns [`Engine::changes`] as of what was written.
    ///
    /// The database is locked while it is encoded to memory, not while `out` is written.
    pub fn save(&self, out: &mut dyn Write) -> io::Result<u64> {
        let state = self.lock();
        if let Some(reason) = &state.side.damaged {
            return Err(io::Error::other(reason.message().to_owned()));
        }
        let changes = state.db.counters.changes;
        let bytes = snapshot::encode(&state.db, &state.side);
        drop(state);
        snapshot::write(&bytes, out)?;
        Ok(changes)
    }

    /// Replaces everything by what [`Engine::save`] wrote; returns the number of keys.
    ///
    /// On an error the database stays as it is. What was saved is loaded whatever the limits of
    /// memory and time are now; a library of functions that cannot be run now is run when it is
    /// first needed.
    pub fn load(&self, input: &mut dyn Read) -> Result<u64, SnapshotError> {
        let body = snapshot::read(input)?;
        // The database before is freed with the result, outside the lock.
        let (keys, _before) = self.with(|state| {
            let deadline = Instant::now() + LIBRARIES_LIMIT;
            let limits = CallLimits::default().deadline(deadline);
            self.open(&mut state.side, &limits);
            let (mut db, mut side) = snapshot::fresh(&state.db, &state.side);
            let keys = snapshot::decode(&body, &mut db, &mut side)?;
            db.set_notify_flags(state.db.notify_flags());
            db.counters.changes = state.db.counters.changes + 1;
            state.side.scripting = side.scripting;
            state.side.count_functions();
            state.side.acl.replace(side.acl);
            state.side.end_refused_streams();
            state.side.damaged = None;
            // Who watches or waits does so of what is there now.
            state.db.watch.cleared(|_| true);
            db.watch = Arc::clone(&state.db.watch);
            db.blocked = std::mem::take(&mut state.db.blocked);
            db.blocked.all_changed();
            db.effects = std::mem::take(&mut state.db.effects);
            db.record_reset(&body);
            let before = std::mem::replace(&mut state.db, db);
            state.serve_blocked();
            Ok::<_, SnapshotError>((keys, before))
        })?;
        Ok(keys)
    }

    /// Replaces everything by what can be read of a damaged snapshot; returns the number of keys.
    ///
    /// # Errors
    /// If reading failed.
    pub fn salvage(&self, input: &mut dyn io::Read) -> io::Result<u64> {
        let body = snapshot::read_damaged(input)?;
        Ok(self.with(|state| {
            let (mut db, mut side) = snapshot::fresh(&state.db, &state.side);
            // What was read before the damage stays.
            let _ = snapshot::decode(&body, &mut db, &mut side);
            db.settle();
            let keys = db.len() as u64;
            state.side.scripting = side.scripting;
            state.side.count_functions();
            state.side.acl.replace(side.acl);
            state.db = db;
            keys
        }))
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        self.lock().db.len() as u64
    }

    /// Begins a snapshot of this moment, to be taken in steps; `at_start` is called at the moment,
    /// with the database locked. What is changed later is not in it.
    ///
    /// # Errors
    /// If one is being taken, or the database is damaged.
    pub fn begin_snapshot(&self, at_start: impl FnOnce()) -> io::Result<Snapshot> {
        self.with(|state| {
            if let Some(reason) = &state.side.damaged {
                return Err(io::Error::other(reason.message().to_owned()));
            }
            if !state.db.begin_capture() {
                return Err(io::Error::other("a snapshot is being taken"));
            }
            state.publish();
            at_start();
            let mut head = Vec::new();
            snapshot::begin(&mut head, &state.db, &state.side);
            Ok(Snapshot {
                engine: self.clone(),
                head,
                skipped: snapshot::skipped(&state.db),
                sum: Xxh3::new(),
                changes: state.db.counters.changes,
                done: false,
            })
        })
    }
}

/// A snapshot that is being taken; dropping it gives it up.
pub struct Snapshot {
    engine: Engine,
    /// What comes before the keys, until it is taken.
    head: Vec<u8>,
    /// What comes after them.
    skipped: Vec<u8>,
    sum: Xxh3,
    changes: u64,
    done: bool,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    /// [`Engine::changes`] as of the moment of the snapshot.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The next bytes, or `None` at the end. Locks the database for about a millisecond.
    ///
    /// # Errors
    /// If all keys were removed at once since the moment of the snapshot.
    #[expect(clippy::should_implement_trait, reason = "it fails")]
    pub fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.done {
            return Ok(None);
        }
        let taken = self.engine.with(|state| state.db.capture_some());
        let taken = taken.ok_or_else(|| {
            self.done = true;
            io::Error::new(
                io::ErrorKind::Interrupted,
                "all keys were removed meanwhile",
            )
        })?;
        self.engine.give_way();
        let mut bytes = std::mem::take(&mut self.head);
        bytes.extend_from_slice(&taken.bytes);
        if let Some(keys) = taken.keys {
            bytes.append(&mut self.skipped);
            snapshot::end(&mut bytes, keys);
            self.done = true;
        }
        self.sum.update(&bytes);
        if self.done {
            bytes.extend_from_slice(&self.sum.digest().to_le_bytes());
        }
        Ok(Some(bytes))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if !self.done {
            self.engine.with(|state| state.db.end_capture());
        }
    }
}
