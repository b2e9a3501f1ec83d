//! Bytes of requests that have begun and of answers that are not taken yet.
//!
//! No limit of a database's memory counts them. Without a bound of their own a tenant could take
//! all memory of the process by requests that never end, or by answers that it does not read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::Limits;
use crate::database::Database;

/// What one request or answer takes without being counted: every connection has buffers.
pub(crate) const FREE: usize = 64 << 10;

/// What all databases of a server hold together.
#[derive(Debug)]
pub(crate) struct InFlight {
    limit: usize,
    /// Whether several databases share it.
    shared: bool,
    held: AtomicUsize,
}

impl InFlight {
    pub(crate) fn new(limits: &Limits, databases: usize) -> Arc<Self> {
        let largest = limits.request_bytes.max(limits.response_bytes);
        Arc::new(Self {
            limit: limits.in_flight_bytes.max(largest.saturating_mul(4)),
            shared: databases > 1,
            held: AtomicUsize::new(0),
        })
    }

    /// Takes bytes for a database; `false`: there is no room.
    ///
    /// A database holds no more than it leaves for the others.
    fn take(&self, own: &AtomicUsize, bytes: usize) -> bool {
        let all = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let of_own = own.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = self
            .limit
            .checked_sub(all)
            .is_some_and(|left| !self.shared || of_own <= left);
        if !fits {
            self.give_back(own, bytes);
        }
        fits
    }

    fn give_back(&self, own: &AtomicUsize, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        own.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes that a request or an answer of a database takes; given back when dropped.
pub(crate) struct Held {
    all: Arc<InFlight>,
    database: Arc<Database>,
    bytes: usize,
}

impl Held {
    /// Nothing yet.
    pub(crate) fn new(all: &Arc<InFlight>, database: &Arc<Database>) -> Self {
        Self {
            all: Arc::clone(all),
            database: Arc::clone(database),
            bytes: 0,
        }
    }

    /// From now on it takes so many bytes; `false`: there is no room, and it takes what it did.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let bytes = if bytes > FREE { bytes } else { 0 };
        let own = &self.database.in_flight;
        match bytes.checked_sub(self.bytes) {
            Some(more) if more > 0 && !self.all.take(own, more) => return false,
            Some(_) => {}
            None => self.all.give_back(own, self.bytes - bytes),
        }
        self.bytes = bytes;
        true
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.bytes).finish()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(databases: usize) -> Arc<InFlight> {
        let limits = Limits {
            in_flight_bytes: 100,
            request_bytes: 1,
            response_bytes: 25,
            ..Limits::default()
        };
        InFlight::new(&limits, databases)
    }

    #[test]
    fn a_database_takes_no_more_than_it_leaves() {
        let all = of(2);
        let (one, other) = (AtomicUsize::new(0), AtomicUsize::new(0));
        assert!(all.take(&one, 50));
        assert!(!all.take(&one, 1));
        assert!(all.take(&other, 25));
        assert!(!all.take(&other, 1));
        all.give_back(&one, 50);
        assert!(all.take(&other, 25));
        all.give_back(&other, 50);
        assert_eq!(all.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_single_database_takes_all() {
        let all = of(1);
        let own = AtomicUsize::new(0);
        assert!(all.take(&own, 100));
        assert!(!all.take(&own, 1));
    }
}
