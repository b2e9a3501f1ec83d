//! The first tier: entries in this process, for a short time.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quick_cache::{Weighter, sync::Cache as Map};
use smallvec::SmallVec;

use super::{entry::Entry, key::Names};

/// What an entry takes beside its texts.
const OVERHEAD_BYTES: u64 = 256;
/// Counters of invalidations; names that share one are read from the store once more than they must.
const MARKS: usize = 1024;

/// Entries by name, bounded by bytes.
#[derive(Debug)]
pub(super) struct Memory {
    map: Option<Map<Box<str>, Arc<Held>, Weight>>,
    hasher: RandomState,
    marks: Box<[AtomicU64]>,
    /// How often all was forgotten.
    forgotten: AtomicU64,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Box<str>, Arc<Held>> for Weight {
    fn weight(&self, name: &Box<str>, held: &Arc<Held>) -> u64 {
        let tags = held.entry.tags.iter().map(|tag| tag.len() as u64 + 24);
        let names = held.names.markers.iter().map(|name| name.len() as u64 + 24);
        let markers = held.entry.seen.len() as u64 * 24 + tags.sum::<u64>() + names.sum::<u64>();
        OVERHEAD_BYTES + 2 * name.len() as u64 + held.entry.payload.len() as u64 + markers
    }
}

/// An entry that is held in this process.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) entry: Entry,
    /// By the monotonic clock.
    pub(super) until: Duration,
    mark: Mark,
    names: Arc<Names>,
    /// The counters of its markers.
    places: SmallVec<[u16; 8]>,
}

/// How often the markers of an entry were replaced by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Memory {
    pub(super) fn new(max_bytes: u64) -> Self {
        let items = usize::try_from(max_bytes / 1024).unwrap_or(usize::MAX);
        Self {
            map: (max_bytes > 0).then(|| Map::with_weighter(items.max(1), max_bytes, Weight)),
            hasher: RandomState::new(),
            forgotten: AtomicU64::new(0),
            marks: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn place_of(&self, marker: &str) -> u16 {
        (self.hasher.hash_one(marker) % MARKS as u64) as u16
    }

    fn sum(&self, places: impl IntoIterator<Item = u16>) -> Mark {
        let counts = places
            .into_iter()
            .filter_map(|place| self.marks.get(usize::from(place)));
        // Counts only grow: the sum is the same while each of them is.
        let counts = counts.chain([&self.forgotten]);
        let counts = counts.map(|count| count.load(Ordering::Acquire));
        Mark(counts.fold(0, u64::wrapping_add))
    }

    /// The mark of a read that begins now.
    pub(super) fn mark<'n>(&self, markers: impl IntoIterator<Item = &'n String>) -> Mark {
        let places = markers.into_iter().map(|marker| self.place_of(marker));
        self.sum(places)
    }

    /// Forgets all that has a marker.
    pub(super) fn invalidate(&self, marker: &str) {
        let place = usize::from(self.place_of(marker));
        if let Some(count) = self.marks.get(place) {
            count.fetch_add(1, Ordering::Release);
        }
    }

    /// Forgets everything.
    pub(super) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::Release);
    }

    /// An entry of this process that no invalidation of this process concerns.
    pub(super) fn get(&self, names: &Arc<Names>) -> Option<Arc<Held>> {
        let map = self.map.as_ref()?;
        let held = map.get(&*names.entry)?;
        // Another keyspace of the same pattern may have other tags.
        let same = Arc::ptr_eq(&held.names, names) || held.names.markers == names.markers;
        if same && self.sum(held.places.iter().copied()) == held.mark {
            return Some(held);
        }
        map.remove(&*names.entry);
        None
    }

    /// Holds an entry whose markers were read after `mark`.
    pub(super) fn insert(&self, names: &Arc<Names>, entry: Entry, until: Duration, mark: Mark) {
        // What a loader chose may have been invalidated since.
        if let Some(map) = &self.map
            && entry.tags.is_empty()
        {
            let places = names.markers.iter().map(|marker| self.place_of(marker));
            let held = Held {
                entry,
                until,
                mark,
                names: Arc::clone(names),
                places: places.collect(),
            };
            map.insert(names.entry.as_str().into(), Arc::new(held));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use bytes::Bytes;

    fn names(n: usize) -> Arc<Names> {
        Arc::new(Names {
            entry: format!("values:{{{n}}}"),
            markers: vec![format!("#key:{n}"), format!("#tag:{}", n % 2)],
        })
    }

    fn entry(payload: String) -> Entry {
        let stored = format!("1|j-|0|0|1|0|0|0|0|0|{payload}");
        Entry::parse(&Bytes::from(stored), 0).unwrap()
    }

    #[test]
    fn an_invalidation_forgets_what_has_its_marker_and_what_was_read_before_it() {
        let memory = Memory::new(1 << 20);
        let late = memory.mark(&names(2).markers);
        for n in 0..2 {
            let mark = memory.mark(&names(n).markers);
            memory.insert(&names(n), entry("x".to_owned()), Duration::ZERO, mark);
        }
        assert!(memory.get(&names(0)).is_some());
        memory.invalidate("#tag:0");
        assert!(memory.get(&names(0)).is_none());
        memory.insert(&names(2), entry("x".to_owned()), Duration::ZERO, late);
        assert!(memory.get(&names(2)).is_none());
    }

    #[test]
    fn memory_is_bounded_by_bytes() {
        let memory = Memory::new(1 << 20);
        for n in 0..10_000 {
            let mark = memory.mark(&names(n).markers);
            memory.insert(&names(n), entry("x".repeat(1000)), Duration::ZERO, mark);
        }
        let map = memory.map.as_ref().unwrap();
        assert!(map.weight() <= 1 << 20, "{}", map.weight());
        assert!(map.len() > 100, "{}", map.len());
        let none = Memory::new(0);
        none.insert(
            &names(0),
            entry(String::new()),
            Duration::ZERO,
            none.mark(&[]),
        );
        assert!(none.get(&names(0)).is_none());
    }
}
