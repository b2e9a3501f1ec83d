//! Keys that transactions watch.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

type Watchers = HashMap<Bytes, Vec<Arc<AtomicBool>>>;

/// Who is told when a key changes. It has a lock of its own: who no longer watches does not wait
/// for the database.
#[derive(Debug, Default)]
pub(crate) struct WatchList {
    /// Watched keys; lets writes skip the lock.
    keys: AtomicUsize,
    watchers: Mutex<Watchers>,
}

impl WatchList {
    fn lock(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a watcher of a key.
    pub(crate) fn add(&self, key: &Bytes, changed: &Arc<AtomicBool>) {
        let mut watchers = self.lock();
        watchers
            .entry(key.clone())
            .or_default()
            .push(Arc::clone(changed));
        self.keys.store(watchers.len(), Ordering::Release);
    }

    /// Removes a watcher of some keys.
    pub(crate) fn remove<'k>(
        &self,
        keys: impl Iterator<Item = &'k Bytes>,
        changed: &Arc<AtomicBool>,
    ) {
        let mut watchers = self.lock();
        for key in keys {
            if let Some(of_key) = watchers.get_mut(key) {
                of_key.retain(|other| !Arc::ptr_eq(other, changed));
                if of_key.is_empty() {
                    watchers.remove(key);
                }
            }
        }
        self.keys.store(watchers.len(), Ordering::Release);
    }

    /// A key was written or removed.
    pub(crate) fn changed(&self, key: &[u8]) {
        if self.keys.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut watchers = self.lock();
        for changed in watchers.remove(key).into_iter().flatten() {
            changed.store(true, Ordering::Release);
        }
        self.keys.store(watchers.len(), Ordering::Release);
    }

    /// Some keys were removed: those for which `gone` holds.
    pub(crate) fn cleared(&self, gone: impl Fn(&[u8]) -> bool) {
        let watchers = self.lock();
        for (_, of_key) in watchers.iter().filter(|(key, _)| gone(key)) {
            for changed in of_key {
                changed.store(true, Ordering::Release);
            }
        }
    }
}
