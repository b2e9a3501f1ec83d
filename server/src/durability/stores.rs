//! All databases of a server that are kept in a directory.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::SyncPolicy;
use super::files::{self, Place};
use super::log::DatabaseLog;
use super::open::{Opened, open};
use super::rewrite::DatabaseHost;
use super::writer::Writer;
use crate::database::Database;
use crate::texts;

/// Files of databases, loaded and not yet written.
#[derive(Debug)]
pub(crate) struct Stores {
    policy: SyncPolicy,
    opened: Vec<Store>,
    /// Locked as long as it is open.
    lock: File,
}

#[derive(Debug)]
struct Store {
    place: Place,
    database: Arc<Database>,
    opened: Opened,
}

impl Stores {
    /// Loads the databases that have files.
    ///
    /// A database whose files cannot be loaded is closed and its files kept as they are; the
    /// others start, unless there is none.
    pub(crate) fn open(
        dir: &Path,
        policy: SyncPolicy,
        databases: &[Arc<Database>],
    ) -> Result<Self, String> {
        let problem = |error: io::Error| format!("{}: {error}", dir.display());
        fs::create_dir_all(dir).map_err(problem)?;
        // This also tells now instead of at the first write whether the directory can be written.
        let lock = files::lock(dir).map_err(problem)?;
        let mut stores = Vec::new();
        let mut damaged = Vec::new();
        for database in databases {
            let Some(local) = database.local() else {
                continue;
            };
            let place = Place::new(dir, &database.name);
            match open(local.engine(), &place, &database.name) {
                Ok(opened) => stores.push(Store {
                    place,
                    database: Arc::clone(database),
                    opened,
                }),
                Err(text) => {
                    tracing::error!(database = database.name, "{text}");
                    local.engine().mark_damaged(texts::NOT_LOADED);
                    damaged.push(text);
                }
            }
        }
        if !damaged.is_empty() && damaged.len() == databases.len() {
            return Err(damaged.join("\n"));
        }
        Ok(Self {
            policy,
            opened: stores,
            lock,
        })
    }

    /// Writes every change from now on.
    pub(crate) fn start(self) -> io::Result<Saver> {
        let mut writers = Vec::new();
        for store in self.opened {
            let Opened {
                base,
                generation,
                file,
                told,
            } = store.opened;
            let log = Arc::new(DatabaseLog::new(self.policy, base, generation, told));
            let host = DatabaseHost {
                place: store.place,
                database: Arc::clone(&store.database),
                thread: None,
            };
            let writer = Writer::new(Arc::clone(&log), Box::new(host), Box::new(file), generation);
            let thread = thread::Builder::new()
                .name("restis-log".to_owned())
                .spawn(move || writer.run())?;
            if let Some(local) = store.database.local() {
                local.set_log(Arc::clone(&log));
            }
            writers.push((log, thread));
        }
        Ok(Saver(Mutex::new(State::Writing {
            writers,
            _lock: self.lock,
        })))
    }
}

/// The logs of a server that serves; dropping it writes what is left.
#[derive(Debug)]
pub(crate) struct Saver(Mutex<State>);

impl Drop for Saver {
    fn drop(&mut self) {
        // What failed is logged.
        let _ = self.finish();
    }
}

type WriterThread = JoinHandle<Result<(), String>>;

#[derive(Debug)]
enum State {
    Writing {
        writers: Vec<(Arc<DatabaseLog>, WriterThread)>,
        _lock: File,
    },
    Done(Result<(), String>),
}

impl Saver {
    /// Writes what is left; says what failed.
    pub(crate) fn finish(&self) -> Result<(), String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let writing = std::mem::replace(&mut *state, State::Done(Ok(())));
        let outcome = match writing {
            State::Done(outcome) => outcome,
            State::Writing { writers, _lock } => {
                for (log, _) in &writers {
                    log.stop();
                }
                let mut outcome = Ok(());
                for (_, thread) in writers {
                    let ended = thread.join();
                    let ended =
                        ended.unwrap_or_else(|_| Err("the log's thread panicked".to_owned()));
                    outcome = outcome.and(ended.map_err(|error| {
                        format!("what was changed last could not be saved: {error}")
                    }));
                }
                outcome
            }
        };
        *state = State::Done(outcome.clone());
        outcome
    }
}
