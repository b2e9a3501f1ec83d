//! The thread that writes a log.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::files::{self, Place};
use super::log::{DatabaseLog, recycle};
use super::{SyncPolicy, format};

/// Time in which records gather before they are written together, unless somebody waits.
const GATHER: Duration = Duration::from_millis(5);
/// How often a log is synced that nobody waits for.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long after a failure writing is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// A log is rewritten when it is larger than this and than the snapshot before it, twice.
const REWRITE_FROM: u64 = 64 << 20;
/// How long after a failed rewrite the next one begins by itself.
const REWRITE_RETRY: Duration = Duration::from_secs(30);

/// A log file.
pub(super) trait LogFile: Send {
    /// Appends some of the bytes; returns how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Returns when everything is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl LogFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// What the writer needs besides the queue.
pub(super) trait Host: Send {
    /// A new log with its header, on disk.
    fn create(&self, generation: u64) -> io::Result<Box<dyn LogFile>>;
    /// Starts a rewrite on a thread of its own; it ends by [`DatabaseLog::tell`].
    fn rewrite(&mut self, log: &Arc<DatabaseLog>);
    /// Waits for the end of a rewrite.
    fn finish(&mut self);
}

/// Creates the log of a generation.
pub(super) fn create(place: &Place, generation: u64) -> io::Result<File> {
    let path = place.log(generation);
    let mut file = files::create(&path)?;
    file.write_all(&format::header(generation))?;
    file.sync_all()?;
    place.sync_names();
    Ok(file)
}

/// Writes what a [`DatabaseLog`] takes.
pub(super) struct Writer {
    log: Arc<DatabaseLog>,
    host: Box<dyn Host>,
    file: Box<dyn LogFile>,
    generation: u64,
    /// What is to be written, and how much of it was.
    bytes: Vec<u8>,
    done: usize,
    /// The generation that begins after the bytes.
    switch: Option<u64>,
    written: u64,
    synced: u64,
    sync_at: Option<Instant>,
    wanted: bool,
    /// A sync of this generation failed: what became of its bytes is not known, so that only a
    /// newer snapshot makes them safe.
    distrusted: Option<u64>,
    /// When a rewrite may begin by itself.
    rewrite_after: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        log: Arc<DatabaseLog>,
        host: Box<dyn Host>,
        file: Box<dyn LogFile>,
        generation: u64,
    ) -> Self {
        Self {
            log,
            host,
            file,
            generation,
            bytes: Vec::new(),
            done: 0,
            switch: None,
            written: 0,
            synced: 0,
            sync_at: None,
            wanted: false,
            distrusted: None,
            rewrite_after: None,
        }
    }

    /// Writes until the server stops; what failed at the end, if anything.
    pub(super) fn run(mut self) -> Result<(), String> {
        loop {
            let mut stopping = false;
            if self.bytes.is_empty() && self.switch.is_none() {
                stopping = self.take();
            } else {
                stopping |= self.log.is_stopping();
            }
            self.start_rewrite();
            let outcome = self.work(stopping);
            let failed = outcome.is_err();
            self.report(outcome);
            if stopping && (failed || self.is_done()) {
                self.host.finish();
                let failure = self.log.told().failure;
                // Nothing is written from here on, so nothing may be promised.
                self.log
                    .set_failure(Some("the server has stopped".to_owned()));
                return failure.map_or(Ok(()), Err);
            }
            if failed {
                self.log.pause(RETRY);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.bytes.is_empty() && self.switch.is_none() && self.written == self.log.appended()
    }

    /// Waits for work.
    fn take(&mut self) -> bool {
        let mut until = self.sync_at;
        if self.distrusted.is_some() {
            until = Some(Instant::now() + RETRY);
        }
        let mut work = self.log.take(&mut self.bytes, self.written, until);
        let hurried = work.waited_for || work.stopping || work.switch.is_some();
        if !hurried && !self.bytes.is_empty() {
            self.log.pause(GATHER);
            let mut more = Vec::new();
            let at = self.written + self.bytes.len() as u64;
            let now = Some(Instant::now());
            work = self.log.take(&mut more, at, now);
            self.bytes.append(&mut more);
        }
        self.switch = work.switch;
        self.wanted |= work.waited_for && self.log.policy == SyncPolicy::Always;
        work.stopping
    }

    /// Writes and syncs what is due.
    fn work(&mut self, stopping: bool) -> io::Result<()> {
        while self.done < self.bytes.len() {
            let count = self.file.write(&self.bytes[self.done..])?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.done += count;
            self.written += count as u64;
        }
        if self.done > 0 {
            let count = self.done as u64;
            self.log.tell(|told| told.log_bytes += count);
        }
        recycle(&mut self.bytes);
        self.done = 0;
        if self.written > self.synced && self.sync_at.is_none() {
            self.sync_at = match self.log.policy {
                SyncPolicy::Never => None,
                SyncPolicy::Always | SyncPolicy::EverySecond => Some(Instant::now() + SYNC_EVERY),
            };
        }
        let due = self.sync_at.is_some_and(|at| at <= Instant::now());
        if due || self.wanted || stopping || self.switch.is_some() || self.distrusted.is_some() {
            self.sync()?;
        }
        if let Some(generation) = self.switch {
            self.file = self.host.create(generation)?;
            self.generation = generation;
            self.switch = None;
            self.log.queue().created = generation;
            self.log.changed.notify_all();
            if self.distrusted.is_some() {
                self.sync()?;
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(distrusted) = self.distrusted {
            if self.switch.is_some() {
                // The rewrite that makes it needless has begun.
                return Ok(());
            }
            if self.log.queue().base <= distrusted {
                return Err(io::Error::other(
                    "an earlier sync failed, and no snapshot was written since",
                ));
            }
        }
        let needed = self.written > self.synced || self.distrusted.is_some();
        if needed && let Err(error) = self.file.sync() {
            self.distrusted = Some(self.generation);
            self.log.queue().rewrite_wanted = true;
            return Err(error);
        }
        self.synced = self.written;
        self.distrusted = None;
        self.wanted = false;
        self.sync_at = None;
        Ok(())
    }

    /// Tells those who wait, and the log of the server.
    fn report(&mut self, outcome: io::Result<()>) {
        let before = self.log.told().failure;
        match outcome {
            Err(error) => {
                let text = plain(&error);
                if before.is_none() {
                    tracing::error!("the log cannot be written, writes are refused: {text}");
                }
                if before.as_ref() != Some(&text) {
                    self.log.set_failure(Some(text));
                }
            }
            Ok(()) if before.is_some() => {
                tracing::warn!("the log can be written again");
                self.log.set_failure(None);
            }
            Ok(()) => {}
        }
        let (written, synced) = (self.written, self.synced);
        self.log.progress.send_if_modified(|progress| {
            let changed = (progress.written, progress.synced) != (written, synced);
            (progress.written, progress.synced) = (written, synced);
            changed
        });
    }

    /// Starts a rewrite that is wanted or due.
    fn start_rewrite(&mut self) {
        let told = self.log.told();
        if told.rewriting {
            return;
        }
        let large = told.log_bytes > REWRITE_FROM && told.log_bytes / 2 > told.snapshot_bytes;
        if told.rewrite_failure.is_none() {
            self.rewrite_after = None;
        } else if self.rewrite_after.is_none() {
            self.rewrite_after = Some(Instant::now() + REWRITE_RETRY);
        }
        let may = self.rewrite_after.is_none_or(|at| at <= Instant::now());
        let wanted = std::mem::take(&mut self.log.queue().rewrite_wanted);
        let again = self.distrusted.is_some();
        if (wanted || may && (again || large)) && !self.log.is_stopping() {
            self.rewrite_after = None;
            self.log.tell(|told| told.rewriting = true);
            self.host.rewrite(&self.log);
        }
    }
}

/// The words of an error of the operating system, without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
