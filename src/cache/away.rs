//! While the store does not answer: what this process holds, invalidations that wait.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde::de::DeserializeOwned;

use super::{
    entry::{Age, Entry},
    invalidate::Invalidation,
    key::Key,
    memory::{Held, Mark},
    read::Cached,
    store::Cache,
    value,
};
use crate::Result;

/// The longest time in this process.
const MAX_LOCAL: Duration = Duration::from_secs(5);

/// An invalidation that the store does not know yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queued {
    pub(super) marker: String,
    pub(super) entry: Option<String>,
    pub(super) how: Invalidation,
}

/// Invalidations in their order, each once.
#[derive(Debug)]
pub(super) struct Queue {
    max: usize,
    length: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    all: VecDeque<(u64, Queued)>,
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            length: AtomicUsize::new(0),
            waiting: Mutex::default(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room.
    pub(super) fn push(&self, one: Queued) -> bool {
        let mut waiting = self.waiting();
        // Again at the end: what is on its way may have come before this one.
        waiting.all.retain(|(_, other)| *other != one);
        let has_room = waiting.all.len() < self.max;
        if has_room {
            let number = waiting.next;
            waiting.next += 1;
            waiting.all.push_back((number, one));
        }
        self.length.store(waiting.all.len(), Ordering::Release);
        has_room
    }

    fn all(&self) -> Vec<(u64, Queued)> {
        self.waiting().all.iter().cloned().collect()
    }

    fn remove(&self, done: &[u64]) {
        let mut waiting = self.waiting();
        waiting.all.retain(|(number, _)| !done.contains(number));
        self.length.store(waiting.all.len(), Ordering::Release);
    }
}

/// Forgets what this process holds of a marker, when it is made and when it is dropped: what was read
/// meanwhile may be from before.
pub(super) struct Forget<'a>(&'a Cache, &'a str);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.0.memory.invalidate(self.1);
    }
}

impl Cache {
    pub(super) fn forget<'a>(&'a self, marker: &'a str) -> Forget<'a> {
        self.0.memory.invalidate(marker);
        Forget(self, marker)
    }

    /// Sends the invalidations that wait, before anything is read.
    ///
    /// # Errors
    /// That the store does not answer still.
    pub(super) async fn flush(&self) -> Result<()> {
        if self.0.queue.length.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let all = self.0.queue.all();
        // They leave in one request.
        let sent = join_all(all.iter().map(|(_, one)| self.send(one))).await;
        let mut failed = None;
        let mut done = Vec::new();
        for ((number, _), sent) in all.iter().zip(sent) {
            match sent {
                Ok(()) => done.push(*number),
                Err(error) => failed = Some(error),
            }
        }
        self.0.queue.remove(&done);
        failed.map_or(Ok(()), Err)
    }

    /// Holds a fresh entry in this process for its time.
    ///
    /// `verified` is when its markers were compared, by the monotonic clock.
    pub(super) fn hold<V>(&self, key: &Key<V>, mark: Mark, verified: Duration, entry: &Entry) {
        let local = key.settings.local;
        if local.is_zero() {
            return;
        }
        let head = &entry.head;
        let left = head.fresh_until_ms().saturating_sub(self.now_ms());
        let time = local
            .min(MAX_LOCAL)
            .min(Duration::from_millis(head.fresh_ms / 3))
            .min(Duration::from_millis(left));
        let until = verified + time;
        let mut entry = entry.clone();
        // As the codec wrote it, so that reads need not unpack it, and apart from the reply's buffer.
        match value::unpacked(entry.head.form, &entry.payload, self.limits()) {
            Some((form, payload)) => (entry.head.form, entry.payload) = (form, payload),
            None => entry.payload = bytes::Bytes::copy_from_slice(&entry.payload),
        }
        self.0.memory.insert(&key.names, entry, until, mark);
    }

    /// A fresh value of this process.
    pub(super) fn local<V: DeserializeOwned>(&self, key: &Key<V>) -> Option<Cached<V>> {
        let held = self.held(key)?;
        self.decode_entry(key, &held.entry, Age::Fresh)
    }

    /// A fresh entry of this process.
    pub(super) fn held<V>(&self, key: &Key<V>) -> Option<Arc<Held>> {
        if key.settings.local.is_zero() {
            return None;
        }
        let held = self.0.memory.get(&key.names).filter(|held| {
            let is_over = held.until <= self.0.clock.monotonic();
            let head = &held.entry.head;
            let is_fresh = head.age(self.now_ms(), false) == Age::Fresh;
            !is_over && is_fresh && head.schema == key.settings.schema
        });
        let counter = match held {
            Some(_) => &self.0.local_hits,
            None => &self.0.local_misses,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        held
    }

    /// A value of this process that the store would serve, if it did answer.
    pub(super) fn local_while_away<V: DeserializeOwned>(&self, key: &Key<V>) -> Option<Cached<V>> {
        let (held, age) = self.held_while_away(key)?;
        self.decode_entry(key, &held.entry, age)
    }

    pub(super) fn held_while_away<V>(&self, key: &Key<V>) -> Option<(Arc<Held>, Age)> {
        let held = self.0.memory.get(&key.names)?;
        let age = held.entry.head.age(self.now_ms(), false);
        if age >= Age::OnError || held.entry.head.schema != key.settings.schema {
            return None;
        }
        self.count("cache_away_hits", 1);
        Some((held, age))
    }
}
