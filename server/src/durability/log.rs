//! The log of a database, as the database and its requests see it.
//!
//! Records are taken while the database is locked and only put in memory; a thread of the
//! database's own writes them. Requests wait for it without holding any thread, so that many of
//! them share one sync.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use restis_engine::{ChangeLog, Error, LogStatus};
use tokio::sync::watch;

use super::SyncPolicy;
use super::format::append_record;

/// Bytes that may wait to be written before requests wait for them.
const BACKLOG: u64 = 64 << 20;
/// A buffer that is larger is given back.
const KEEP: usize = 4 << 20;

/// How far the writer is, in bytes that were ever appended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) written: u64,
    pub(super) synced: u64,
    /// Writing does not work.
    pub(super) failed: bool,
}

/// What the writer is to do.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    /// The generation of what is appended.
    generation: u64,
    /// Where newer generations begin.
    switches: VecDeque<(u64, u64)>,
    /// The newest generation whose log file is there.
    pub(super) created: u64,
    /// The generation of the newest snapshot.
    pub(super) base: u64,
    /// A request waits for a sync.
    waited_for: bool,
    pub(super) rewrite_wanted: bool,
    pub(super) stopping: bool,
}

/// What is told about the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) failure: Option<String>,
    pub(super) rewriting: bool,
    pub(super) rewrite_failure: Option<String>,
    pub(super) last_snapshot: Option<u64>,
    pub(super) saved_changes: u64,
    pub(super) log_bytes: u64,
    pub(super) snapshot_bytes: u64,
    /// Rewrites that have ended.
    pub(super) rewrites: u64,
}

/// Takes the changes of a database.
#[derive(Debug)]
pub(crate) struct DatabaseLog {
    pub(super) policy: SyncPolicy,
    queue: Mutex<Queue>,
    /// The writer waits for work with it, a rewrite for the writer.
    pub(super) changed: Condvar,
    appended: AtomicU64,
    failed: AtomicBool,
    pub(super) progress: watch::Sender<Progress>,
    told: watch::Sender<Told>,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The generation that begins after the bytes.
    pub(super) switch: Option<u64>,
    pub(super) waited_for: bool,
    pub(super) stopping: bool,
}

impl DatabaseLog {
    pub(super) fn new(policy: SyncPolicy, base: u64, generation: u64, told: Told) -> Self {
        let queue = Queue {
            generation,
            base,
            created: generation,
            ..Queue::default()
        };
        Self {
            policy,
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            appended: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            progress: watch::Sender::new(Progress::default()),
            told: watch::Sender::new(told),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that were ever appended.
    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    pub(super) fn told(&self) -> Told {
        self.told.borrow().clone()
    }

    pub(super) fn tell(&self, change: impl FnOnce(&mut Told)) {
        self.told.send_modify(change);
    }

    /// Begins a generation with what is appended next; the database is locked.
    pub(super) fn switch(&self) -> u64 {
        let mut queue = self.queue();
        queue.generation += 1;
        let switch = (self.appended(), queue.generation);
        queue.switches.push_back(switch);
        self.changed.notify_all();
        switch.1
    }

    /// Waits for work; `out` gets what is to be written. Not later than `until`.
    pub(super) fn take(&self, out: &mut Vec<u8>, written: u64, until: Option<Instant>) -> Work {
        let mut queue = self.queue();
        loop {
            let work = !queue.bytes.is_empty() && (self.policy != SyncPolicy::Always)
                || queue.waited_for
                || queue.rewrite_wanted
                || !queue.switches.is_empty();
            let now = Instant::now();
            if work || queue.stopping || until.is_some_and(|until| until <= now) {
                break;
            }
            queue = match until {
                None => self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let waited = self.changed.wait_timeout(queue, until - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let switch = queue.switches.front().copied();
        let end = switch.map_or(queue.bytes.len(), |(at, _)| (at - written) as usize);
        if end == queue.bytes.len() {
            std::mem::swap(out, &mut queue.bytes);
        } else {
            out.extend(queue.bytes.drain(..end));
        }
        Work {
            switch: queue.switches.pop_front().map(|(_, generation)| generation),
            waited_for: std::mem::take(&mut queue.waited_for),
            stopping: queue.stopping,
        }
    }

    /// Waits for so long, or until the server stops.
    pub(super) fn pause(&self, time: Duration) {
        let queue = self.queue();
        let waited = self
            .changed
            .wait_timeout_while(queue, time, |queue| !queue.stopping);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the writer once everything is on disk.
    pub(super) fn stop(&self) {
        self.queue().stopping = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.queue().stopping
    }

    /// Writing does not work, or works again.
    pub(super) fn set_failure(&self, failure: Option<String>) {
        let failed = failure.is_some();
        self.tell(|told| told.failure = failure);
        let tell_waiting = || {
            self.progress
                .send_modify(|progress| progress.failed = failed);
        };
        // A write that is admitted must not meet a failure that is over.
        if !failed {
            tell_waiting();
        }
        self.failed.store(failed, Ordering::Release);
        if failed {
            tell_waiting();
        }
    }

    fn misconfigured(&self) -> Error {
        let failure = self.told.borrow().failure.clone().unwrap_or_default();
        Error::new(format!("MISCONF Errors writing to the AOF file: {failure}"))
    }

    /// Lets the writer look at what was appended by nobody's request.
    pub(crate) fn look(&self) {
        if self.policy == SyncPolicy::Always && self.appended() > self.progress.borrow().synced {
            self.queue().waited_for = true;
            self.changed.notify_all();
        }
    }

    /// Waits until everything so far is as durable as it is to be before an answer.
    ///
    /// `wrote`: whether the answer tells of a write. If that cannot be kept this is the error;
    /// who has only read is answered anyway.
    pub(crate) async fn settled(&self, wrote: bool) -> Result<(), Error> {
        let appended = self.appended();
        let always = self.policy == SyncPolicy::Always;
        let is_enough = |progress: &Progress| match always {
            true => progress.synced >= appended,
            false => appended - progress.written.min(appended) <= BACKLOG,
        };
        if is_enough(&self.progress.borrow()) {
            return Ok(());
        }
        self.queue().waited_for = true;
        self.changed.notify_all();
        let mut progress = self.progress.subscribe();
        let enough = |progress: &Progress| is_enough(progress) || progress.failed;
        let enough = match progress.wait_for(enough).await {
            Ok(progress) => is_enough(&progress),
            Err(_) => false,
        };
        if enough || !wrote || !always {
            return Ok(());
        }
        let error = self.misconfigured();
        Err(Error::new(format!(
            "{}; the command was executed and may be lost",
            error.message()
        )))
    }

    /// Writes a snapshot and a new log now; returns when it is there.
    pub(crate) async fn rewrite(&self) -> Result<(), Error> {
        let before = self.told().rewrites;
        self.start_rewrite()?;
        let mut told = self.told.subscribe();
        let ended = told.wait_for(|told| told.rewrites > before).await;
        let failure = ended.map_or(Some("the server stops".to_owned()), |told| {
            told.rewrite_failure.clone()
        });
        failure.map_or(Ok(()), |failure| {
            Err(Error::new(format!(
                "ERR the snapshot was not written: {failure}"
            )))
        })
    }
}

/// Gives the memory of a large buffer back.
pub(super) fn recycle(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEEP {
        *buffer = Vec::new();
    }
}

impl ChangeLog for DatabaseLog {
    fn append(&self, record: &[u8]) {
        let mut queue = self.queue();
        let first = queue.bytes.is_empty();
        let before = queue.bytes.len();
        let generation = queue.generation;
        append_record(&mut queue.bytes, generation, record);
        let added = (queue.bytes.len() - before) as u64;
        self.appended.fetch_add(added, Ordering::AcqRel);
        drop(queue);
        // Who waits for a sync says so.
        if first && self.policy != SyncPolicy::Always {
            self.changed.notify_all();
        }
    }

    fn refusal(&self) -> Option<Error> {
        self.failed
            .load(Ordering::Acquire)
            .then(|| self.misconfigured())
    }

    fn start_rewrite(&self) -> Result<(), Error> {
        if self.told.borrow().rewriting || std::mem::replace(&mut self.queue().rewrite_wanted, true)
        {
            return Err(Error::new("ERR Background save already in progress"));
        }
        self.changed.notify_all();
        Ok(())
    }

    fn status(&self) -> LogStatus {
        let told = self.told();
        let mut status = LogStatus::default();
        status.sync = self.policy.name();
        status.rewriting = told.rewriting;
        status.last_snapshot = told.last_snapshot;
        status.saved_changes = told.saved_changes;
        status.rewrite_failed = told.rewrite_failure.is_some();
        status.write_failed = told.failure.is_some();
        status.log_bytes = told.log_bytes;
        status.snapshot_bytes = told.snapshot_bytes;
        status.synced = self.progress.borrow().synced >= self.appended();
        status
    }
}
