//! Reads: what is cached, fresh or stale.

use std::{ops::Deref, time::Duration};

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;

use super::{
    entry::{Age, Entry, Head},
    fetch::{Found, Snapshot},
    key::Key,
    store::Cache,
    value,
};
use crate::{Error, Result};

/// Most keys of one call.
pub const MAX_KEYS: usize = 1000;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// It was cached and is fresh.
    Fresh,
    /// It was cached and is stale.
    Stale,
    /// It was loaded by this call, or by another one that this call waited for.
    Loaded,
}

/// A value and what is known of it; dereferences to the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached<V> {
    value: V,
    source: Source,
    age: Duration,
    fresh_for: Duration,
    stale_for: Duration,
}

impl<V> Cached<V> {
    pub(super) fn new(value: V, source: Source, head: &Head, now_ms: u64) -> Self {
        let left = match source {
            Source::Stale => 0,
            _ => head
                .fresh_until_ms()
                .saturating_sub(now_ms)
                .min(head.fresh_ms),
        };
        Self {
            value,
            source,
            age: Duration::from_millis(head.age_ms(now_ms)),
            fresh_for: Duration::from_millis(left),
            stale_for: Duration::from_millis(head.age_ms(now_ms).saturating_sub(head.fresh_ms)),
        }
    }

    /// The value.
    pub fn into_value(self) -> V {
        self.value
    }

    /// Where it came from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Time since its load began.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// How long it stays fresh; nothing when it is stale.
    pub fn fresh_for(&self) -> Duration {
        self.fresh_for
    }

    /// How long ago it stopped being fresh by its age; nothing when it did not.
    pub fn stale_for(&self) -> Duration {
        self.stale_for
    }
}

impl<V> Deref for Cached<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}

impl Cache {
    /// What is cached under a key, fresh or in its stale time; `None` when there is nothing to serve.
    ///
    /// One `MGET`, which any replica may answer. What cannot be read is a miss.
    ///
    /// # Errors
    /// That the store did not answer.
    pub async fn get<V: DeserializeOwned>(&self, key: &Key<V>) -> Result<Option<Cached<V>>> {
        if let Some(cached) = self.local(key) {
            return Ok(Some(cached));
        }
        match self.fetch_one(&key.names).await {
            Ok(snapshot) => self.served(key, &snapshot).await,
            Err(error) => self.local_while_away(key).map(Some).ok_or(error),
        }
    }

    /// What is cached under each of up to [`MAX_KEYS`] keys, in their order: one `MGET`, on a cluster
    /// one for each slot.
    ///
    /// # Errors
    /// `InvalidInput` for more keys, or that the store did not answer.
    pub async fn get_many<V: DeserializeOwned>(
        &self,
        keys: &[Key<V>],
    ) -> Result<Vec<Option<Cached<V>>>> {
        check_count(keys.len())?;
        let mut all: Vec<_> = keys.iter().map(|key| self.local(key)).collect();
        let missing = all
            .iter_mut()
            .zip(keys)
            .filter(|(found, _)| found.is_none());
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() {
            return Ok(all);
        }
        let names: Vec<_> = missing.iter().map(|(_, key)| &*key.names).collect();
        let snapshots = match self.fetch(&names).await {
            Ok(snapshots) => snapshots,
            Err(error) => {
                for (found, key) in missing {
                    *found = self.local_while_away(key);
                }
                let complete = all.iter().all(Option::is_some);
                return if complete { Ok(all) } else { Err(error) };
            }
        };
        let served = missing.iter().zip(&snapshots);
        let served = served.map(|((_, key), snapshot)| self.served(key, snapshot));
        for (cached, (found, _)) in try_join_all(served).await?.into_iter().zip(missing) {
            *found = cached;
        }
        Ok(all)
    }

    /// The bytes of what is cached under a key, as its codec wrote them: JSON that can be sent on as it
    /// is. Else as [`get`](Self::get).
    ///
    /// # Errors
    /// That the store did not answer.
    pub async fn get_bytes<V>(&self, key: &Key<V>) -> Result<Option<Cached<Bytes>>> {
        if let Some(held) = self.held(key) {
            return Ok(self.bytes_of(key, &held.entry, Age::Fresh));
        }
        let snapshot = match self.fetch_one(&key.names).await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let (held, age) = self.held_while_away(key).ok_or(error)?;
                return Ok(self.bytes_of(key, &held.entry, age));
            }
        };
        let found = self.judge(key, &snapshot).await?;
        let found = found.filter(|found| found.age < Age::OnError);
        let served = found.and_then(|found| self.bytes_of(key, &found.entry, found.age));
        self.count_served(served.as_ref());
        Ok(served)
    }

    fn bytes_of<V>(&self, key: &Key<V>, entry: &Entry, age: Age) -> Option<Cached<Bytes>> {
        let (head, payload) = (&entry.head, &entry.payload);
        let bytes = value::written(head.form, payload, key.settings.codec, self.limits());
        self.cached(head, bytes, age)
    }

    async fn served<V: DeserializeOwned>(
        &self,
        key: &Key<V>,
        snapshot: &Snapshot,
    ) -> Result<Option<Cached<V>>> {
        let found = self.judge(key, snapshot).await?;
        let served = self.decode_current(key, found);
        self.count_served(served.as_ref());
        Ok(served)
    }

    fn count_served<V>(&self, served: Option<&Cached<V>>) {
        let counter = match served {
            None => "cache_misses",
            Some(cached) if cached.source == Source::Stale => "cache_stale_hits",
            Some(_) => "cache_hits",
        };
        self.count(counter, 1);
    }

    /// A found value that is not kept for errors alone.
    pub(super) fn decode_current<V: DeserializeOwned>(
        &self,
        key: &Key<V>,
        found: Option<Found>,
    ) -> Option<Cached<V>> {
        let found = found.filter(|found| found.age < Age::OnError)?;
        self.decode(key, &found)
    }

    /// A found value; what its codec cannot read is counted and is none.
    pub(super) fn decode<V: DeserializeOwned>(
        &self,
        key: &Key<V>,
        found: &Found,
    ) -> Option<Cached<V>> {
        self.decode_entry(key, &found.entry, found.age)
    }

    pub(super) fn decode_entry<V: DeserializeOwned>(
        &self,
        key: &Key<V>,
        entry: &Entry,
        age: Age,
    ) -> Option<Cached<V>> {
        let (head, payload) = (&entry.head, &entry.payload);
        let value = value::read(head.form, payload, key.settings.codec, self.limits());
        self.cached(head, value, age)
    }

    /// What was read of an entry, if it could be.
    fn cached<T>(&self, head: &Head, value: Option<T>, age: Age) -> Option<Cached<T>> {
        let Some(value) = value else {
            self.count("cache_unreadable", 1);
            return None;
        };
        let source = match age {
            Age::Fresh => Source::Fresh,
            _ => Source::Stale,
        };
        Some(Cached::new(value, source, head, self.now_ms()))
    }
}

/// # Errors
/// `InvalidInput` for more keys than one call may have.
pub(super) fn check_count(keys: usize) -> Result<()> {
    if keys <= MAX_KEYS {
        return Ok(());
    }
    Err(Error::invalid_input(format!(
        "one call has at most {MAX_KEYS} keys"
    )))
}
