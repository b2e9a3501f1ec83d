//! Reading entries and markers: one `MGET`, on a cluster one for each slot, in one request.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures_util::future::try_join_all;
use smallvec::SmallVec;

use super::{
    entry::{Age, Entry},
    key::{Key, Names, slot},
    marker::{self, Marker, Read, Unique, Validity},
    memory::Mark,
    store::Cache,
};
use crate::{Result, commands::StringCommands as _};

script_call! {
    CreateMarkers<'a> = "lua/create.lua".key_locking()
    keys {}
    args { new_value: &'a str, ttl_ms: u64 }
}

/// What was read of one key.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) stored: Option<Bytes>,
    /// The markers of the key's names.
    pub(super) markers: SmallVec<[Read; 4]>,
    /// Before the read: when, and what this process had invalidated.
    pub(super) began: Duration,
    pub(super) mark: Mark,
}

/// An entry that may be served, and how.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entry: Entry,
    pub(super) age: Age,
}

impl Snapshot {
    /// What a value that is loaded from now on remembers; `None` when it could never be valid.
    pub(super) fn seen(&self) -> Option<Vec<Marker>> {
        self.markers.iter().map(|marker| marker.seen()).collect()
    }
}

impl Cache {
    /// Values of names in the order of the names, which may repeat.
    pub(super) async fn read_names(&self, names: &[&str]) -> Result<Vec<Option<Bytes>>> {
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(names.len());
        let mut distinct: Vec<&str> = Vec::with_capacity(names.len());
        for name in names {
            places.entry(name).or_insert_with(|| {
                distinct.push(name);
                distinct.len() - 1
            });
        }
        let mut groups: Vec<(u16, Vec<usize>)> = Vec::new();
        for (place, name) in distinct.iter().enumerate() {
            let slot = if self.0.config.cluster { slot(name) } else { 0 };
            match groups.iter_mut().find(|(of, _)| *of == slot) {
                Some((_, group)) => group.push(place),
                None => groups.push((slot, vec![place])),
            }
        }
        let redis = &self.0.redis;
        self.count("cache_trips", 1);
        let reads = groups.iter().map(|(_, group)| {
            let names = group.iter().filter_map(|place| distinct.get(*place));
            let names: Vec<_> = names.map(|name| self.stored(name)).collect();
            redis.mget::<Bytes>(names).into_future()
        });
        let replies: Vec<Vec<Option<Bytes>>> = try_join_all(reads).await?;
        let mut values = vec![None; distinct.len()];
        for ((_, group), reply) in groups.iter().zip(replies) {
            for (place, value) in group.iter().zip(reply) {
                if let Some(slot) = values.get_mut(*place) {
                    *slot = value;
                }
            }
        }
        let value = |name: &&str| places.get(name).and_then(|place| values.get(*place));
        Ok(names
            .iter()
            .map(|name| value(name).cloned().flatten())
            .collect())
    }

    /// Entries with their markers.
    pub(super) async fn fetch(&self, keys: &[&Names]) -> Result<Vec<Snapshot>> {
        self.flush().await?;
        let local_hits = self.0.local_hits.swap(0, Ordering::Relaxed);
        self.count("cache_local_hits", local_hits);
        let local_misses = self.0.local_misses.swap(0, Ordering::Relaxed);
        self.count("cache_local_misses", local_misses);
        let began = self.0.clock.monotonic();
        let marks = keys.iter().map(|key| self.0.memory.mark(&key.markers));
        let marks: Vec<_> = marks.collect();
        let mut names = Vec::with_capacity(keys.len() * 4);
        for key in keys {
            names.push(key.entry.as_str());
            names.extend(key.markers.iter().map(String::as_str));
        }
        let mut values = self.read_names(&names).await?.into_iter();
        let mut snapshots = Vec::with_capacity(keys.len());
        for (key, mark) in keys.iter().zip(marks) {
            let stored = values.next().flatten();
            let markers = values.by_ref().take(key.markers.len());
            let markers = markers.map(|value| Read::of(value.as_deref())).collect();
            snapshots.push(Snapshot {
                stored,
                markers,
                began,
                mark,
            });
        }
        Ok(snapshots)
    }

    /// The markers of keys alone.
    pub(super) async fn fetch_markers(&self, keys: &[&Names]) -> Result<Vec<Snapshot>> {
        self.flush().await?;
        let began = self.0.clock.monotonic();
        let markers = |key: &&Names| self.0.memory.mark(&key.markers);
        let marks: Vec<_> = keys.iter().map(markers).collect();
        let names = keys.iter().flat_map(|key| &key.markers);
        let names: Vec<_> = names.map(String::as_str).collect();
        let mut values = self.read_names(&names).await?.into_iter();
        let snapshot = |(key, mark): (&&Names, Mark)| {
            let markers = values.by_ref().take(key.markers.len());
            Snapshot {
                stored: None,
                markers: markers.map(|value| Read::of(value.as_deref())).collect(),
                began,
                mark,
            }
        };
        Ok(keys.iter().zip(marks).map(snapshot).collect())
    }

    pub(super) async fn fetch_one(&self, key: &Names) -> Result<Snapshot> {
        let snapshot = self.fetch(&[key]).await?.pop();
        snapshot.ok_or_else(|| crate::Error::decode("fewer replies than keys"))
    }

    /// One marker, created where the store may evict it.
    pub(super) async fn read_marker(&self, name: &str) -> Result<Read> {
        let names = Names {
            entry: String::new(),
            markers: vec![name.to_owned()],
        };
        self.flush().await?;
        let value = self.read_names(&[name]).await?.pop().flatten();
        let mut snapshot = Snapshot {
            stored: None,
            markers: SmallVec::from_iter([Read::of(value.as_deref())]),
            began: self.0.clock.monotonic(),
            mark: self.0.memory.mark(&names.markers),
        };
        self.complete(&names, &mut snapshot).await?;
        Ok(snapshot.markers.first().copied().unwrap_or(Read::Foreign))
    }

    /// Creates the markers that a snapshot misses, where the store may evict them, and those that hold
    /// something else.
    pub(super) async fn complete(&self, key: &Names, snapshot: &mut Snapshot) -> Result<()> {
        let evicts = self.0.config.evicts;
        let is_needed = |read: Read| match read {
            Read::Missing => evicts,
            Read::Known(_) => false,
            Read::Foreign => true,
        };
        let missing = snapshot.markers.iter_mut().zip(&key.markers);
        let missing = missing.filter(|(read, _)| is_needed(**read));
        let mut missing: Vec<(&mut Read, &String)> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        let new = Unique::new()?;
        self.count("cache_trips", 1);
        // On a cluster each has a call of its own; they leave in one request.
        let at_once = if self.0.config.cluster {
            1
        } else {
            missing.len()
        };
        let calls = missing.chunks(at_once).map(|chunk| {
            let names: Vec<_> = chunk.iter().map(|(_, name)| self.stored(name)).collect();
            let call = CreateMarkers {
                new_value: new.as_str(),
                ttl_ms: self.marker_ttl_ms(),
            };
            call.call().keys(names).run::<Vec<Bytes>>(&self.0.redis)
        });
        let created = try_join_all(calls).await?.into_iter().flatten();
        for ((read, _), value) in missing.iter_mut().zip(created) {
            **read = Read::of(Some(&value));
        }
        Ok(())
    }

    /// What a snapshot holds that may be served; unreadable entries are counted and are none.
    ///
    /// Tags that the loader chose cost another read.
    pub(super) async fn judge<V>(
        &self,
        key: &Key<V>,
        snapshot: &Snapshot,
    ) -> Result<Option<Found>> {
        let Some(stored) = &snapshot.stored else {
            return Ok(None);
        };
        let Some(entry) = Entry::parse(stored, key.settings.schema) else {
            self.count("cache_unreadable", 1);
            return Ok(None);
        };
        let mut markers = snapshot.markers.clone();
        if !entry.tags.is_empty() {
            let names: Vec<_> = entry.tags.iter().map(String::as_str).collect();
            let values = self.read_names(&names).await?;
            markers.extend(values.iter().map(|value| Read::of(value.as_deref())));
        }
        let validity = marker::judge(&entry.seen, &markers, self.0.config.evicts);
        if validity == Validity::Removed {
            return Ok(None);
        }
        let age = entry.head.age(self.now_ms(), validity == Validity::Expired);
        if age == Age::Fresh {
            self.hold(key, snapshot.mark, snapshot.began, &entry);
        }
        self.count("cache_read_bytes", stored.len() as u64);
        Ok((age != Age::Over).then_some(Found { entry, age }))
    }
}
