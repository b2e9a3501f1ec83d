//! Writing a snapshot and beginning a new log, while the database serves.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use restis_engine::Engine;

use super::files::{self, Place};
use super::log::DatabaseLog;
use super::writer::{self, Host, LogFile, plain};
use crate::backend::Local;
use crate::database::Database;

/// The files of a database that serves.
pub(super) struct DatabaseHost {
    pub(super) place: Place,
    pub(super) database: Arc<Database>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Host for DatabaseHost {
    fn create(&self, generation: u64) -> io::Result<Box<dyn LogFile>> {
        writer::create(&self.place, generation).map(|file| Box::new(file) as Box<dyn LogFile>)
    }

    fn rewrite(&mut self, log: &Arc<DatabaseLog>) {
        self.finish();
        let (place, database, log) = (
            self.place.clone(),
            Arc::clone(&self.database),
            Arc::clone(log),
        );
        let told = Arc::clone(&log);
        let run = move || {
            let outcome = match database.local() {
                Some(local) => rewrite(&place, local, &log),
                None => Ok(()),
            };
            if let Err(error) = &outcome {
                let name = &database.name;
                tracing::error!(database = name, "the snapshot was not written: {error}");
            }
            ended(&log, outcome);
        };
        let thread = thread::Builder::new()
            .name("restis-rewrite".to_owned())
            .spawn(run);
        match thread {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => ended(&told, Err(error)),
        }
    }

    fn finish(&mut self) {
        // What it came to is told by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn ended(log: &DatabaseLog, outcome: io::Result<()>) {
    log.tell(|told| {
        told.rewriting = false;
        told.rewrites += 1;
        told.rewrite_failure = outcome.err().map(|error| plain(&error));
    });
}

/// How often a rewrite begins again that FLUSHALL interrupts.
const ATTEMPTS: usize = 3;

fn rewrite(place: &Place, local: &Local, log: &DatabaseLog) -> io::Result<()> {
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        outcome = attempt(place, local, log);
        let interrupted = |error: &io::Error| error.kind() == io::ErrorKind::Interrupted;
        if !outcome.as_ref().is_err_and(interrupted) {
            break;
        }
    }
    outcome
}

/// Writes the snapshot of a new generation, and removes what is older.
fn attempt(place: &Place, local: &Local, log: &DatabaseLog) -> io::Result<()> {
    let mut generation = 0;
    let begin = |engine: &Engine| engine.begin_snapshot(|| generation = log.switch());
    let mut snapshot = local.here(begin)?;
    let part = place.part(generation);
    let written = (|| {
        let mut out = BufWriter::new(files::create(&part)?);
        let mut bytes = 0;
        while let Some(some) = local.here(|_| snapshot.next())? {
            out.write_all(&some)?;
            bytes += some.len() as u64;
            if log.is_stopping() {
                return Err(io::Error::other("the server stops"));
            }
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        wait_for_log(log, generation)?;
        fs::rename(&part, place.snapshot(generation))?;
        place.sync_names();
        Ok(bytes)
    })();
    let bytes = written.inspect_err(|_| {
        // A part is removed at the next start, too.
        let _ = fs::remove_file(&part);
    })?;
    log.queue().base = generation;
    log.changed.notify_all();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let log_bytes = fs::metadata(place.log(generation)).map_or(0, |file| file.len());
    log.tell(|told| {
        told.last_snapshot = now.ok().map(|now| now.as_secs());
        told.saved_changes = snapshot.changes();
        told.snapshot_bytes = bytes;
        told.log_bytes = log_bytes;
    });
    if let Err(error) = place.remove_before(generation) {
        tracing::warn!(%error, "an old file cannot be removed");
    }
    Ok(())
}

/// Waits until the log of the generation is there: a snapshot without its log counts as damaged.
fn wait_for_log(log: &DatabaseLog, generation: u64) -> io::Result<()> {
    let queue = log.queue();
    let wait = log
        .changed
        .wait_while(queue, |queue| queue.created < generation && !queue.stopping);
    let queue = wait.unwrap_or_else(PoisonError::into_inner);
    if queue.created < generation {
        return Err(io::Error::other("the server stops"));
    }
    Ok(())
}
