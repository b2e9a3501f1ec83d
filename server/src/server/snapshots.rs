//! Saving embedded databases to files.
//!
//! A snapshot is written beside the old one and renamed over it, so that there is always a
//! whole one; the engine's checksum tells a torn or foreign file, which is never loaded.
//! A locked file beside them keeps a second server from saving over the first one's.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use restis_engine::Engine;

use super::builder::StartError;
use crate::backend::Local;
use crate::database::Database;
use crate::texts;

/// Files of databases, loaded and not yet being saved.
#[derive(Debug)]
pub(super) struct Snapshots {
    dir: PathBuf,
    interval: Duration,
    files: Vec<Snapshot>,
    /// Locked as long as it is open.
    _lock: File,
}

#[derive(Debug)]
struct Snapshot {
    name: String,
    path: PathBuf,
    database: Arc<Database>,
    /// The changes that the file has.
    saved: u64,
}

impl Snapshots {
    /// Loads the databases that have a file.
    ///
    /// A database whose file cannot be loaded is closed and its file kept as it is; the others
    /// start, unless there is none.
    pub(super) fn open(
        dir: PathBuf,
        interval: Duration,
        databases: &[Arc<Database>],
    ) -> Result<Self, StartError> {
        let problem = |error: io::Error| StartError::new(format!("{}: {error}", dir.display()));
        fs::create_dir_all(&dir).map_err(problem)?;
        // This also tells now instead of at the first save whether the directory can be written.
        let lock = lock(&dir).map_err(problem)?;
        let mut files = Vec::new();
        let mut damaged = Vec::new();
        for database in databases {
            let Some(local) = database.local() else {
                continue;
            };
            let engine = local.engine();
            let path = dir.join(file_name(&database.name));
            match load(engine, &path) {
                Ok(None) => {}
                Ok(Some(keys)) => {
                    tracing::info!(database = database.name, keys, "snapshot loaded");
                }
                Err(error) => {
                    let text = format!(
                        "{}: {error}; nothing was loaded. Restore the file, or move it away to start empty",
                        path.display()
                    );
                    tracing::error!(database = database.name, "{text}");
                    engine.mark_damaged(texts::NOT_LOADED);
                    damaged.push(text);
                    continue;
                }
            }
            files.push(Snapshot {
                name: database.name.clone(),
                path,
                database: Arc::clone(database),
                saved: engine.changes(),
            });
        }
        if !damaged.is_empty() && damaged.len() == databases.len() {
            return Err(StartError::new(damaged.join("\n")));
        }
        Ok(Self {
            dir,
            interval,
            files,
            _lock: lock,
        })
    }

    /// Saves from now on.
    pub(super) fn start(mut self) -> Result<Saver, StartError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let run = move || loop {
            let waited = stopped.recv_timeout(self.interval);
            let outcome = self.save_changed();
            if waited != Err(RecvTimeoutError::Timeout) {
                return outcome;
            }
        };
        let thread = thread::Builder::new()
            .name("restis-save".to_owned())
            .spawn(run)
            .map_err(|error| StartError::new(format!("no thread: {error}")))?;
        Ok(Saver(Mutex::new(State::Saving { stop, thread })))
    }

    /// Saves what has changed; the last failure, if any.
    fn save_changed(&mut self) -> Result<(), String> {
        let mut outcome = Ok(());
        for file in &mut self.files {
            let Some(local) = file.database.local() else {
                continue;
            };
            if local.here(Engine::changes) == file.saved {
                continue;
            }
            match save(local, &file.path, &self.dir) {
                Ok(changes) => file.saved = changes,
                Err(error) => {
                    let text = format!("{} could not be saved: {error}", file.path.display());
                    tracing::error!(database = file.name, "{text}");
                    outcome = Err(text);
                }
            }
        }
        outcome
    }
}

/// Saves at intervals and once more at the end.
#[derive(Debug)]
pub(super) struct Saver(Mutex<State>);

#[derive(Debug)]
enum State {
    Saving {
        stop: mpsc::Sender<()>,
        thread: JoinHandle<Result<(), String>>,
    },
    Done(Result<(), String>),
}

impl Saver {
    /// Saves a last time; says what failed.
    pub(super) fn finish(&self) -> Result<(), String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let saving = std::mem::replace(&mut *state, State::Done(Ok(())));
        let outcome = match saving {
            State::Done(outcome) => outcome,
            State::Saving { stop, thread } => {
                drop(stop);
                let ended = thread.join();
                ended.unwrap_or_else(|_| Err("the saving thread panicked".to_owned()))
            }
        };
        *state = State::Done(outcome.clone());
        outcome
    }
}

/// Loads a file, if there is one; the number of keys.
fn load(engine: &Engine, path: &Path) -> Result<Option<u64>, Box<dyn std::error::Error>> {
    match File::open(path) {
        Ok(file) => Ok(Some(engine.load(&mut BufReader::new(file))?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn save(local: &Local, path: &Path, dir: &Path) -> io::Result<u64> {
    let mut beside = OsString::from(path);
    beside.push(".tmp");
    let beside = PathBuf::from(beside);
    let mut out = BufWriter::new(create(&beside)?);
    let changes = local.here(|engine| engine.save(&mut out))?;
    out.flush()?;
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(&beside, path)?;
    // The new name must survive a power cut, too; not every system can do this.
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
    Ok(changes)
}

/// Claims the directory; the claim ends with the process or with the file.
fn lock(dir: &Path) -> io::Result<File> {
    let file = create(&dir.join(".restis-lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other(
            "another server keeps its data in this directory; both would save over each other",
        )),
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            tracing::warn!(%error, "the data directory cannot be locked");
            Ok(file)
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A new file that only its owner can read.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file name that is different for every database name and harmless for all of them.
fn file_name(database: &str) -> String {
    use std::fmt::Write as _;
    let mut name = String::new();
    for byte in database.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name + ".restis"
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn file_names_are_harmless_and_different() {
        assert_eq!(file_name("db0"), "db0.restis");
        assert_eq!(file_name("../A"), "%2E%2E%2F%41.restis");
    }
}
