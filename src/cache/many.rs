//! Many keys at once: one read, one load of what is missing.

use std::future::Future;

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Either, join_all, select},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    entry::Age,
    error::LoadError,
    fetch::Snapshot,
    keep::Began,
    key::{Key, Names},
    lease::Lease,
    load::Outcome,
    loading::{Loaded, Loading},
    read::{Cached, Source, check_count},
    single_flight::{Caller, Lead, Turn},
    store::Cache,
};
use crate::transport::time;

/// How often keys are tried whose loads others began and did not end.
const MAX_ROUNDS: usize = 8;

/// One key that has to be loaded, and what was read of it.
struct Missing<V> {
    place: usize,
    snapshot: Option<Snapshot>,
    /// What is served when the load fails.
    old: Option<Old<V>>,
}

struct Old<V> {
    cached: Cached<V>,
    /// Kept for errors: it is served when the load fails and not before.
    for_errors: bool,
}

impl<V> Missing<V> {
    /// Whether it is served while somebody loads.
    fn is_served(&self) -> bool {
        self.old.as_ref().is_some_and(|old| !old.for_errors)
    }
}

/// One key that this call loads.
struct Leading<V> {
    place: usize,
    key: Key<V>,
    snapshot: Option<Snapshot>,
    lead: Lead<Outcome>,
    lease: Lease,
    loading: Loading,
}

/// Values that were loaded, by their places.
type Running<V> = BoxFuture<'static, Result<Vec<(usize, Cached<V>)>, LoadError>>;

impl Cache {
    /// What is cached under each of up to [`MAX_KEYS`](super::MAX_KEYS) keys, in their order, and what the loader finds
    /// for the others: one read, and one call of the loader with the places of the keys that are
    /// missing or stale.
    ///
    /// The loader returns one value for each place, in their order. Keys that another caller of this
    /// process, or the holder of a [lease](super::Keyspace::lease), loads are waited for; should that
    /// load end without a value, the loader is called once more. Stale values are served as they are
    /// while another caller loads them, or where loads are [deferred](super::CacheBuilder::defer):
    /// then the loader is called for them in a call of its own. Else they are loaded with the
    /// missing ones.
    ///
    /// # Errors
    /// The loader's error, that it took longer than it may or returned another number of values, when
    /// a key has no value to serve instead; and more than [`MAX_KEYS`](super::MAX_KEYS) keys.
    pub async fn get_or_load_many<V, F, L, T, E>(
        &self,
        keys: &[Key<V>],
        load: F,
    ) -> Result<Vec<Cached<V>>, LoadError>
    where
        V: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(Vec<usize>) -> L,
        L: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        check_count(keys.len()).map_err(|error| LoadError::failed(error.into()))?;
        let callers: Vec<_> = keys
            .iter()
            .map(|key| self.0.loads.enter(&key.names.entry))
            .collect();
        let mut found: Vec<Option<Cached<V>>> = keys.iter().map(|_| None).collect();
        let mut places = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            match self.local(key) {
                Some(cached) => put(&mut found, place, cached),
                None => places.push(place),
            }
        }
        let mut missing = self.look_many(keys, places, &mut found).await;
        for round in 0..MAX_ROUNDS {
            if missing.is_empty() {
                break;
            }
            let mut leads = Vec::new();
            let mut others = Vec::new();
            for one in missing {
                let turn = callers.get(one.place).and_then(Caller::try_turn);
                match (turn, one.is_served()) {
                    (Some(Turn::Lead(lead)), _) => leads.push((one, lead)),
                    (Some(Turn::Shared(outcome)), _) => {
                        self.take_shared(keys, one, outcome, &mut found)?;
                    }
                    // Somebody refreshes it.
                    (None, true) => self.serve(one, &mut found),
                    (None, false) => others.push(one),
                }
            }
            if !leads.is_empty() {
                self.load_many(keys, leads, &load, &mut found).await?;
            }
            missing = Vec::new();
            if others.is_empty() {
                break;
            }
            self.count("cache_coalesced", others.len() as u64);
            let turns = others.iter().filter_map(|one| callers.get(one.place));
            let turns = join_all(turns.map(|caller| self.turn(caller))).await;
            let mut again = Vec::new();
            for (one, turn) in others.into_iter().zip(turns) {
                match turn {
                    Some(Turn::Shared(outcome)) => {
                        self.take_shared(keys, one, outcome, &mut found)?;
                    }
                    // The next round takes it up, after another look.
                    Some(Turn::Lead(lead)) => {
                        drop(lead);
                        again.push(one.place);
                    }
                    None if one.old.is_some() => self.serve(one, &mut found),
                    None => return Err(LoadError::timed_out()),
                }
            }
            if round + 1 < MAX_ROUNDS {
                missing = self.look_many(keys, again, &mut found).await;
            }
        }
        let all: Option<Vec<_>> = found.into_iter().collect();
        all.ok_or_else(LoadError::unreadable)
    }

    /// Fills in what can be served, and returns what has to be loaded.
    async fn look_many<V: DeserializeOwned>(
        &self,
        keys: &[Key<V>],
        places: Vec<usize>,
        found: &mut [Option<Cached<V>>],
    ) -> Vec<Missing<V>> {
        let chosen: Vec<_> = places.iter().filter_map(|place| keys.get(*place)).collect();
        let names: Vec<&Names> = chosen.iter().map(|key| &*key.names).collect();
        let snapshots = if names.is_empty() {
            Vec::new()
        } else if let Ok(snapshots) = self.fetch(&names).await {
            snapshots.into_iter().map(Some).collect()
        } else {
            self.count("cache_store_errors", 1);
            names.iter().map(|_| None).collect()
        };
        let looks = chosen.iter().zip(snapshots).map(async |(key, snapshot)| {
            let Some(mut snapshot) = snapshot else {
                return (None, None);
            };
            let judged = self.judge(key, &snapshot).await;
            let found = judged.ok().flatten();
            let cached = found.and_then(|found| Some((self.decode(key, &found)?, found.age)));
            if cached.is_none() && self.complete(&key.names, &mut snapshot).await.is_err() {
                return (None, None);
            }
            (Some(snapshot), cached)
        });
        let mut missing = Vec::new();
        for (place, (snapshot, cached)) in places.iter().zip(join_all(looks).await) {
            match cached {
                Some((cached, age)) if age == Age::Fresh || self.is_paused(keys, *place) => {
                    let fresh = age == Age::Fresh;
                    self.count(
                        if fresh {
                            "cache_hits"
                        } else {
                            "cache_stale_hits"
                        },
                        1,
                    );
                    put(found, *place, cached);
                }
                other => missing.push(Missing {
                    place: *place,
                    snapshot,
                    old: other.map(|(cached, age)| Old {
                        cached,
                        for_errors: age == Age::OnError,
                    }),
                }),
            }
        }
        missing
    }

    fn is_paused<V>(&self, keys: &[Key<V>], place: usize) -> bool {
        let key = keys.get(place);
        key.is_some_and(|key| self.is_throttled(&key.names.entry))
    }

    fn serve<V>(&self, one: Missing<V>, found: &mut [Option<Cached<V>>]) {
        if let Some(old) = one.old {
            self.count("cache_stale_hits", 1);
            put(found, one.place, old.cached);
        }
    }

    fn take_shared<V: DeserializeOwned>(
        &self,
        keys: &[Key<V>],
        one: Missing<V>,
        outcome: Outcome,
        found: &mut [Option<Cached<V>>],
    ) -> Result<(), LoadError> {
        if let Some(key) = keys.get(one.place) {
            let old = one.old.map(|old| old.cached);
            put(found, one.place, self.shared(key, outcome, old)?);
        }
        Ok(())
    }

    async fn load_many<V, F, L, T, E>(
        &self,
        keys: &[Key<V>],
        leads: Vec<(Missing<V>, Lead<Outcome>)>,
        load: &F,
        found: &mut [Option<Cached<V>>],
    ) -> Result<(), LoadError>
    where
        V: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(Vec<usize>) -> L,
        L: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let mut leading = Vec::new();
        let mut old = Vec::new();
        let mut later = Vec::new();
        let began = self.begin();
        let leased = self.lease_many(keys, leads, found).await;
        // Tags are read before the loader begins.
        let loadings = leased.iter().filter_map(|(one, ..)| keys.get(one.place));
        let loadings = join_all(loadings.map(|key| Loading::of(self, key))).await;
        for ((one, lead, lease), loading) in leased.into_iter().zip(loadings) {
            let Some(key) = keys.get(one.place).cloned() else {
                continue;
            };
            let is_later = self.0.defer.is_some() && one.is_served();
            let leading = if is_later { &mut later } else { &mut leading };
            leading.push(Leading {
                place: one.place,
                key,
                snapshot: one.snapshot,
                lead,
                lease,
                loading,
            });
            match one.old {
                Some(stale) if is_later => put(found, one.place, self.stale(stale.cached)),
                stale => old.push((one.place, stale)),
            }
        }
        if let Some(defer) = self.0.defer.as_ref().filter(|_| !later.is_empty()) {
            let places = places_of(&later);
            let running = self.start_many(later, began, load(places));
            defer(running.map(drop).boxed());
        }
        if leading.is_empty() {
            return Ok(());
        }
        let waits = |old: &Option<Old<V>>| old.as_ref().is_none_or(|old| old.for_errors);
        let must_wait = old.iter().any(|(_, old)| waits(old));
        let missing = old.iter().filter(|(_, old)| old.is_none()).count();
        self.count("cache_misses", missing as u64);
        let places = places_of(&leading);
        let running = self.start_many(leading, began, load(places));
        let patience = self.0.config.stale_after.filter(|_| !must_wait);
        let loaded = match patience
            .and_then(|time| time::sleep_until(time::after(time::Instant::now(), time)))
        {
            None => running.await,
            Some(timer) => match select(running, timer).await {
                Either::Left((loaded, _)) => loaded,
                Either::Right(_) => {
                    self.count("cache_slow_loads", 1);
                    Err(LoadError::timed_out())
                }
            },
        };
        match loaded {
            Ok(loaded) => {
                for (place, cached) in loaded {
                    put(found, place, cached);
                }
                Ok(())
            }
            Err(error) => {
                let mut failed = None;
                for (place, old) in old {
                    match old {
                        Some(old) => put(found, place, self.stale(old.cached)),
                        None => failed = Some(error.clone()),
                    }
                }
                failed.map_or(Ok(()), Err)
            }
        }
    }

    /// Takes the leases of the keys that have one. What another process loads is served as it is, or
    /// waited for; it is left out when there is something to serve.
    async fn lease_many<V: DeserializeOwned>(
        &self,
        keys: &[Key<V>],
        leads: Vec<(Missing<V>, Lead<Outcome>)>,
        found: &mut [Option<Cached<V>>],
    ) -> Vec<(Missing<V>, Lead<Outcome>, Lease)> {
        let leased = leads.into_iter().map(async |(mut one, lead)| {
            let Some(key) = keys.get(one.place) else {
                return (one, lead, Lease::None, None);
            };
            let lease = self.lease(key).await;
            if !matches!(lease, Lease::Held) || one.is_served() {
                return (one, lead, lease, None);
            }
            let (snapshot, newer) = self.wait_for_other(key).await;
            one.snapshot = snapshot;
            (one, lead, Lease::None, newer)
        });
        let mut left = Vec::new();
        for (one, lead, lease, newer) in join_all(leased).await {
            match (newer, lease) {
                (Some(newer), _) => put(found, one.place, newer),
                (None, Lease::Held) => self.serve(one, found),
                (None, lease) => left.push((one, lead, lease)),
            }
        }
        left
    }

    /// Starts one load of several keys.
    fn start_many<V, L, T, E>(&self, leading: Vec<Leading<V>>, began: Began, load: L) -> Running<V>
    where
        V: Serialize + Send + 'static,
        L: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let cache = self.clone();
        async move {
            let load = load.map(|loaded| {
                let each = |values: Vec<T>| values.into_iter().map(Into::into).collect();
                loaded.map(each)
            });
            let loaded: Result<Vec<Loaded<V>>, _> = cache.time_limited(load).await;
            let values = loaded.and_then(|values| match values.len() == leading.len() {
                true => Ok(values),
                false => Err(LoadError::miscounted()),
            });
            let values = match values {
                Ok(values) => values,
                Err(error) => {
                    let ended = leading.into_iter().map(async |one| {
                        cache.throttle(&one.key.names.entry);
                        one.lease.release(&cache, &one.key).await;
                        one.lead.finish(Outcome::Failed(error.clone()));
                    });
                    join_all(ended).await;
                    return Err(error);
                }
            };
            // They leave in one request.
            let kept = leading.into_iter().zip(values).map(async |(one, loaded)| {
                let snapshot = one.snapshot.as_ref();
                let kept = cache.keep(&one.key, snapshot, &one.loading, began, &loaded);
                let kept = kept.await;
                one.lease.release(&cache, &one.key).await;
                let head = kept.finish(Some(one.lead));
                let cached = Cached::new(loaded.value, Source::Loaded, &head, cache.now_ms());
                (one.place, cached)
            });
            Ok(join_all(kept).await)
        }
        .boxed()
    }
}

fn places_of<V>(leading: &[Leading<V>]) -> Vec<usize> {
    leading.iter().map(|one| one.place).collect()
}

fn put<V>(found: &mut [Option<Cached<V>>], place: usize, cached: Cached<V>) {
    if let Some(slot) = found.get_mut(place) {
        *slot = Some(cached);
    }
}
