//! Calls that wait for a key, oldest first.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use bytes::Bytes;

use crate::acl::Caller;
use crate::reply::Reply;

/// Takes the reply of a call that waited. Called while the database is locked: it must not block
/// or call the engine.
pub(crate) type Deliver = Box<dyn FnOnce(Reply) + Send>;

/// A call that waits.
pub(crate) struct BlockedCall {
    pub(crate) caller: Caller,
    pub(crate) args: Vec<Bytes>,
    pub(crate) keys: Vec<Bytes>,
    pub(crate) deliver: Deliver,
}

impl fmt::Debug for BlockedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockedCall").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Line {
    calls: VecDeque<u64>,
    /// The key was written since the line was looked at.
    ready: bool,
}

/// All calls that wait at one database.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    last_id: u64,
    calls: HashMap<u64, BlockedCall>,
    lines: HashMap<Bytes, Line, foldhash::fast::RandomState>,
    ready: VecDeque<Bytes>,
}

impl Blocked {
    /// Adds a call at the end of the lines of its keys; returns its id.
    pub(crate) fn add(&mut self, call: BlockedCall) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        for key in &call.keys {
            let line = self.lines.entry(key.clone()).or_default();
            if line.calls.back() != Some(&id) {
                line.calls.push_back(id);
            }
        }
        self.calls.insert(id, call);
        id
    }

    /// Removes a call; `None`: it has had its reply.
    pub(crate) fn remove(&mut self, id: u64) -> Option<BlockedCall> {
        let call = self.calls.remove(&id)?;
        for key in &call.keys {
            if let Some(line) = self.lines.get_mut(key) {
                line.calls.retain(|other| *other != id);
                if line.calls.is_empty() {
                    self.lines.remove(key);
                }
            }
        }
        Some(call)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&BlockedCall> {
        self.calls.get(&id)
    }

    /// A key was written or removed.
    pub(crate) fn changed(&mut self, key: &[u8]) {
        if self.lines.is_empty() {
            return;
        }
        if let Some((key, line)) = self.lines.get_key_value(key)
            && !line.ready
        {
            let key = key.clone();
            self.ready.push_back(key.clone());
            if let Some(line) = self.lines.get_mut(&key) {
                line.ready = true;
            }
        }
    }

    /// Whether calls may get their replies now.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next key that was written, and who waits for it, the first one first.
    pub(crate) fn next_ready(&mut self) -> Option<(Bytes, Vec<u64>)> {
        loop {
            let key = self.ready.pop_front()?;
            if let Some(line) = self.lines.get_mut(&key) {
                line.ready = false;
                let calls = line.calls.iter().copied().collect();
                return Some((key, calls));
            }
        }
    }

    /// Forgets that this key was written: a call that got nothing did it.
    pub(crate) fn ignore(&mut self, key: &[u8]) {
        if let Some(line) = self.lines.get_mut(key) {
            line.ready = false;
            self.ready.retain(|other| other != key);
        }
    }

    /// Every key that is waited for is looked at.
    pub(crate) fn all_changed(&mut self) {
        let keys: Vec<Bytes> = self.lines.keys().cloned().collect();
        for key in keys {
            self.changed(&key);
        }
    }
}
