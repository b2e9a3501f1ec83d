//! Running a loader, and storing what it found.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures_util::future::{Either, select};
use serde::Serialize;

use super::{
    entry::{Entry, Head},
    error::LoadError,
    fetch::Snapshot,
    key::Key,
    keyspace::Lifetime,
    load::Outcome,
    loading::{Loaded, Loading},
    single_flight::Lead,
    store::{Cache, millis},
    value::{self, Written},
    write::Load,
};
use crate::transport::time;

impl Cache {
    pub(super) fn begin(&self) -> Began {
        Began {
            unix_ms: self.now_ms(),
            monotonic: self.0.clock.monotonic(),
        }
    }

    /// Runs a loader for as long as it may take.
    pub(super) async fn time_limited<T, E>(
        &self,
        load: impl Future<Output = Result<T, E>>,
    ) -> Result<T, LoadError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let end = time::after(time::Instant::now(), self.0.config.load_timeout);
        let counted = Counted::new(self);
        let loaded = match time::sleep_until(end) {
            None => Some(load.await),
            Some(timer) => match select(Box::pin(load), timer).await {
                Either::Left((loaded, _)) => Some(loaded),
                Either::Right(_) => None,
            },
        };
        match loaded {
            Some(Ok(value)) => {
                counted.ended("cache_loads");
                Ok(value)
            }
            Some(Err(error)) => {
                counted.ended("cache_load_errors");
                Err(LoadError::failed(error.into()))
            }
            None => {
                counted.ended("cache_load_timeouts");
                Err(LoadError::timed_out())
            }
        }
    }

    /// Stores what was loaded.
    pub(super) fn keep<'a, V: Serialize>(
        &'a self,
        key: &'a Key<V>,
        snapshot: Option<&'a Snapshot>,
        loading: &'a Loading,
        began: Began,
        loaded: &Loaded<V>,
    ) -> impl Future<Output = Kept> + Send + use<'a, V> {
        let written = value::write(&loaded.value, key.settings.codec, self.limits());
        let lifetime = loaded.lifetime.unwrap_or(key.settings.lifetime);
        self.keep_written(key, snapshot, loading, began, lifetime, written)
    }

    async fn keep_written<V>(
        &self,
        key: &Key<V>,
        snapshot: Option<&Snapshot>,
        loading: &Loading,
        began: Began,
        lifetime: Lifetime,
        written: crate::Result<Written>,
    ) -> Kept {
        let took = began.elapsed(self);
        let mut head = Head {
            form: value::Form::UNWRITTEN,
            schema: key.settings.schema,
            loaded_at_ms: began.unix_ms,
            fresh_ms: 0,
            stale_ms: 0,
            on_error_ms: 0,
            cost_ms: millis(took),
        };
        head.live_for(self.cut(lifetime));
        let Ok(written) = written else {
            self.count("cache_unwritable", 1);
            return Kept::Unshared(head);
        };
        let lifetime = self.lifetime_of(key, &written, lifetime);
        head.form = written.form;
        head.live_for(lifetime);
        let payload = written.payload;
        let shared = |payload: String| Kept::Shared(head, payload.into());
        let Some(snapshot) = snapshot else {
            return shared(payload);
        };
        let (Some(mut seen), Some((tags, of_tags))) = (snapshot.seen(), loading.seen()) else {
            return Kept::Unshared(head);
        };
        seen.extend(of_tags);
        let kept = lifetime.kept().saturating_sub(took);
        if took > self.0.config.max_load || kept.is_zero() {
            return Kept::Unshared(head);
        }
        let load = Load {
            head,
            seen: &seen,
            tags: &tags,
            payload: &payload,
            kept_ms: millis(kept),
        };
        let verified = self.0.clock.monotonic();
        match self.store_load(&key.names, &load).await {
            Ok(true) => {
                self.count("cache_written_bytes", payload.len() as u64);
                let entry = Entry {
                    head,
                    seen: seen.iter().copied().collect(),
                    tags,
                    payload: payload.into(),
                };
                self.hold(key, snapshot.mark, verified, &entry);
                Kept::Shared(head, entry.payload)
            }
            Ok(false) => {
                self.count("cache_voided_loads", 1);
                Kept::Void(head)
            }
            Err(_) => {
                self.count("cache_store_errors", 1);
                shared(payload)
            }
        }
    }
}

/// Counts a load by its outcome, also one that is dropped or panics.
struct Counted<'a> {
    cache: &'a Cache,
    began: Began,
    outcome: &'static str,
}

impl<'a> Counted<'a> {
    fn new(cache: &'a Cache) -> Self {
        Self {
            cache,
            began: cache.begin(),
            outcome: "cache_dropped_loads",
        }
    }

    fn ended(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let took = self.began.elapsed(self.cache);
        self.cache.count(self.outcome, 1);
        self.cache.0.redis.metrics().observe("cache_load", took);
    }
}

/// What became of a loaded value.
#[derive(Debug)]
pub(super) enum Kept {
    /// Those who wait get it too.
    Shared(Head, Bytes),
    /// It was invalidated meanwhile; those who wait may have come later.
    Void(Head),
    /// It cannot be shared.
    Unshared(Head),
}

impl Kept {
    /// Tells those who wait.
    pub(super) fn finish(self, lead: Option<Lead<Outcome>>) -> Head {
        let (head, outcome) = match self {
            Self::Shared(head, payload) => (head, Some(Outcome::Loaded { head, payload })),
            Self::Void(head) => (head, None),
            Self::Unshared(head) => (head, Some(Outcome::Unshared)),
        };
        match (lead, outcome) {
            (Some(lead), Some(outcome)) => lead.finish(outcome),
            (lead, _) => drop(lead),
        }
        head
    }
}

/// When a load began, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Began {
    unix_ms: u64,
    monotonic: Duration,
}

impl Began {
    /// The longer time of both clocks: one may have stood still while the process was frozen.
    fn elapsed(self, cache: &Cache) -> Duration {
        let wall = Duration::from_millis(cache.now_ms().saturating_sub(self.unix_ms));
        let monotonic = cache.0.clock.monotonic().saturating_sub(self.monotonic);
        wall.max(monotonic)
    }
}
