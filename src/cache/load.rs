//! Reads that load what is missing: one load at a time, early refresh, stale values meanwhile.

use std::future::Future;

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Either, select},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    entry::{Age, Head},
    error::LoadError,
    fetch::{Found, Snapshot},
    key::Key,
    lease::Lease,
    loading::{Loaded, Loading},
    read::{Cached, Source},
    single_flight::{Caller, Lead, Turn},
    store::Cache,
    value,
};
use crate::transport::time;

/// What a load shares with those who wait for it.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Loaded {
        head: Head,
        payload: Bytes,
    },
    Failed(LoadError),
    /// The value cannot be shared: each caller loads for itself.
    Unshared,
}

/// A load that has started: its own caller's value, and the head of its entry.
type Running<V> = BoxFuture<'static, Result<(V, Head), LoadError>>;

impl Cache {
    /// What is cached under a key, or what the loader finds, which is then cached.
    ///
    /// - A fresh value costs one `MGET`. Shortly before it ends, one of its readers loads it anew, the
    ///   likelier the longer its load took.
    /// - A stale value is served while one reader of this process loads: at once where loads are
    ///   [deferred](super::CacheBuilder::defer), else that reader waits for its load.
    /// - Without a value all readers of this process wait for one load. When the reader that loads
    ///   goes away or its loader panics, another one loads.
    /// - When a load fails, a value in its [`on_error`](super::Lifetime::on_error) time is served,
    ///   and the loader is not asked again for a while.
    ///
    /// The value is stored with what its markers were before the load: an invalidation meanwhile
    /// voids it. The caller that loaded gets it in any case. While the store does not answer, loaders
    /// run and their values are not stored.
    ///
    /// # Errors
    /// The loader's error, or that it took longer than
    /// [`load_timeout`](super::CacheConfig::load_timeout), when no value can be served instead.
    pub async fn get_or_load<V, F, L, T, E>(
        &self,
        key: &Key<V>,
        load: F,
    ) -> Result<Cached<V>, LoadError>
    where
        V: Serialize + DeserializeOwned + Send + 'static,
        F: FnOnce(Loading) -> L + Send + 'static,
        L: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        if let Some(cached) = self.local(key) {
            return Ok(cached);
        }
        let caller = self.0.loads.enter(&key.names.entry);
        let (mut snapshot, found) = self.look(key).await;
        if snapshot.is_none()
            && let Some(cached) = self.local_while_away(key)
        {
            return Ok(cached);
        }
        let Some(found) = found else {
            self.count("cache_misses", 1);
            return self.load_first(key, snapshot, &caller, load).await;
        };
        let Some(cached) = self.decode(key, &found) else {
            self.count("cache_misses", 1);
            return self.load_first(key, snapshot, &caller, load).await;
        };
        if found.age == Age::Fresh && !self.is_early(&found.entry.head) {
            self.count("cache_hits", 1);
            return Ok(cached);
        }
        if self.is_throttled(&key.names.entry) {
            return Ok(self.stale(cached));
        }
        let turn = if found.age == Age::OnError {
            self.turn(&caller).await
        } else {
            caller.try_turn()
        };
        let lead = match turn {
            // Somebody else refreshes it.
            None => return Ok(self.stale(cached)),
            Some(Turn::Shared(outcome)) => return self.shared(key, outcome, Some(cached)),
            Some(Turn::Lead(lead)) => lead,
        };
        if found.age == Age::Fresh {
            self.count("cache_early_refreshes", 1);
        }
        let lease = match self.lease(key).await {
            Lease::Held if found.age != Age::OnError => return Ok(self.stale(cached)),
            Lease::Held => {
                let (again, newer) = self.wait_for_other(key).await;
                if let Some(newer) = newer {
                    return Ok(newer);
                }
                snapshot = again;
                Lease::None
            }
            lease => lease,
        };
        let running = self.start(key, snapshot, Some(lead), lease, load);
        match &self.0.defer {
            Some(defer) if found.age != Age::OnError => {
                defer(running.map(drop).boxed());
                Ok(self.stale(cached))
            }
            _ => self.run_or_serve(running, cached).await,
        }
    }

    /// What the loader finds now, which is then cached, whatever is cached already: for a caller that
    /// asks for the present value. It shares a load that another caller of this process has begun.
    ///
    /// # Errors
    /// The loader's error, or that it took too long.
    pub async fn reload<V, F, L, T, E>(&self, key: &Key<V>, load: F) -> Result<Cached<V>, LoadError>
    where
        V: Serialize + DeserializeOwned + Send + 'static,
        F: FnOnce(Loading) -> L + Send + 'static,
        L: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let caller = self.0.loads.enter(&key.names.entry);
        let (snapshot, _) = self.look(key).await;
        let lead = match self.turn(&caller).await {
            Some(Turn::Lead(lead)) => Some(lead),
            Some(Turn::Shared(Outcome::Failed(error))) => return Err(error),
            Some(Turn::Shared(outcome)) => match self.shared(key, outcome, None) {
                Ok(cached) => return Ok(cached),
                Err(_) => None,
            },
            None => None,
        };
        let running = self.start(key, snapshot, lead, Lease::None, load);
        let (value, head) = running.await?;
        Ok(Cached::new(value, Source::Loaded, &head, self.now_ms()))
    }

    /// What can be served, even in its `on_error` time; nothing while the store is away.
    pub(super) async fn look<V>(&self, key: &Key<V>) -> (Option<Snapshot>, Option<Found>) {
        let Ok(mut snapshot) = self.fetch_one(&key.names).await else {
            self.count("cache_store_errors", 1);
            return (None, None);
        };
        let Ok(found) = self.judge(key, &snapshot).await else {
            self.count("cache_store_errors", 1);
            return (None, None);
        };
        if found.is_none() && self.complete(&key.names, &mut snapshot).await.is_err() {
            return (None, None);
        }
        (Some(snapshot), found)
    }

    /// Loads what is not there; waits for who does.
    async fn load_first<V, F, L, T, E>(
        &self,
        key: &Key<V>,
        mut snapshot: Option<Snapshot>,
        caller: &Caller<Outcome>,
        load: F,
    ) -> Result<Cached<V>, LoadError>
    where
        V: Serialize + DeserializeOwned + Send + 'static,
        F: FnOnce(Loading) -> L + Send + 'static,
        L: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let turn = if let Some(turn) = caller.try_turn() {
            Some(turn)
        } else {
            self.count("cache_coalesced", 1);
            let turn = self.turn(caller).await;
            // What was read before the wait may be old.
            if !matches!(turn, Some(Turn::Shared(_))) {
                let (again, found) = self.look(key).await;
                if let Some(cached) = self.decode_current(key, found) {
                    return Ok(cached);
                }
                snapshot = again;
            }
            turn
        };
        let lead = match turn {
            Some(Turn::Lead(lead)) => Some(lead),
            Some(Turn::Shared(Outcome::Failed(error))) => return Err(error),
            Some(Turn::Shared(outcome)) => match self.shared(key, outcome, None) {
                Ok(cached) => return Ok(cached),
                // What another caller cannot share, this one loads for itself.
                Err(_) => None,
            },
            None => None,
        };
        let mut lease = self.lease(key).await;
        if matches!(lease, Lease::Held) {
            let (again, cached) = self.wait_for_other(key).await;
            if let Some(cached) = cached {
                return Ok(cached);
            }
            (snapshot, lease) = (again, Lease::None);
        }
        let (value, head) = self.start(key, snapshot, lead, lease, load).await?;
        Ok(Cached::new(value, Source::Loaded, &head, self.now_ms()))
    }

    /// The turn of a caller; `None` when another one has loaded for longer than it may: its process may
    /// have been frozen, or who took over the load does not run it.
    pub(super) async fn turn(&self, caller: &Caller<Outcome>) -> Option<Turn<Outcome>> {
        let end = time::after(time::Instant::now(), self.0.config.load_timeout);
        match time::sleep_until(end) {
            None => Some(caller.turn().await),
            Some(timer) => match select(Box::pin(caller.turn()), timer).await {
                Either::Left((turn, _)) => Some(turn),
                Either::Right(_) => None,
            },
        }
    }

    /// Runs a load to its end, or until the time that a reader with an old value waits.
    async fn run_or_serve<V: 'static>(
        &self,
        running: Running<V>,
        cached: Cached<V>,
    ) -> Result<Cached<V>, LoadError> {
        let patience = self.0.config.stale_after;
        let timer = patience
            .and_then(|patience| time::sleep_until(time::after(time::Instant::now(), patience)));
        let loaded = match timer {
            None => running.await,
            Some(timer) => match select(running, timer).await {
                Either::Left((loaded, _)) => loaded,
                Either::Right(((), running)) => {
                    self.count("cache_slow_loads", 1);
                    if let Some(defer) = &self.0.defer {
                        defer(running.map(drop).boxed());
                    }
                    return Ok(self.stale(cached));
                }
            },
        };
        Ok(match loaded {
            Ok((value, head)) => Cached::new(value, Source::Loaded, &head, self.now_ms()),
            Err(_) => self.stale(cached),
        })
    }

    pub(super) fn stale<V>(&self, cached: Cached<V>) -> Cached<V> {
        let counter = match cached.source() {
            Source::Fresh => "cache_hits",
            _ => "cache_stale_hits",
        };
        self.count(counter, 1);
        cached
    }

    pub(super) fn shared<V: DeserializeOwned>(
        &self,
        key: &Key<V>,
        outcome: Outcome,
        otherwise: Option<Cached<V>>,
    ) -> Result<Cached<V>, LoadError> {
        let failed = match outcome {
            Outcome::Failed(error) => error,
            Outcome::Unshared => LoadError::unreadable(),
            Outcome::Loaded { head, payload } => {
                match value::read(head.form, &payload, key.settings.codec, self.limits()) {
                    Some(value) => {
                        return Ok(Cached::new(value, Source::Loaded, &head, self.now_ms()));
                    }
                    None => LoadError::unreadable(),
                }
            }
        };
        otherwise.map(|cached| self.stale(cached)).ok_or(failed)
    }

    /// Whether this reader refreshes a fresh value: the sooner its end and the longer its load, the
    /// likelier (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention,
    /// VLDB 2015).
    fn is_early(&self, head: &Head) -> bool {
        let beta = self.0.config.early_refresh;
        if beta <= 0.0 || head.cost_ms == 0 {
            return false;
        }
        let ahead = head.cost_ms as f64 * beta * -(1.0 - time::random()).ln();
        self.now_ms() as f64 + ahead >= head.fresh_until_ms() as f64
    }

    /// Starts a load whose markers were read in `snapshot`; without one its value is not stored.
    pub(super) fn start<V, F, L, T, E>(
        &self,
        key: &Key<V>,
        snapshot: Option<Snapshot>,
        lead: Option<Lead<Outcome>>,
        lease: Lease,
        load: F,
    ) -> Running<V>
    where
        V: Serialize + Send + 'static,
        F: FnOnce(Loading) -> L + Send + 'static,
        L: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let (cache, key) = (self.clone(), key.clone());
        async move {
            let began = cache.begin();
            let loading = Loading::of(&cache, &key).await;
            let load = load(loading.clone()).map(|loaded| loaded.map(Into::<Loaded<V>>::into));
            let loaded = match cache.time_limited(load).await {
                Ok(loaded) => loaded,
                Err(error) => {
                    cache.throttle(&key.names.entry);
                    lease.release(&cache, &key).await;
                    if let Some(lead) = lead {
                        lead.finish(Outcome::Failed(error.clone()));
                    }
                    return Err(error);
                }
            };
            let kept = cache.keep(&key, snapshot.as_ref(), &loading, began, &loaded);
            let kept = kept.await;
            lease.release(&cache, &key).await;
            let head = kept.finish(lead);
            Ok((loaded.value, head))
        }
        .boxed()
    }
}
