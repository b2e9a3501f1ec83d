//! Many keys at once: one read, one load of what is missing.

use std::future::Future;

use futures_util::future::join_all;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    entry::Age,
    error::LoadError,
    fetch::Snapshot,
    key::{Key, Names},
    load::Outcome,
    loading::{Loaded, Loading},
    read::{Cached, Source, check_count},
    single_flight::{Caller, Lead, Turn},
    store::Cache,
};

/// How often keys are tried whose loads others began and did not end.
const MAX_ROUNDS: usize = 8;

/// One key that has to be loaded, and what was read of it.
struct Missing<V> {
    place: usize,
    snapshot: Option<Snapshot>,
    /// What is served when the load fails.
    stale: Option<Cached<V>>,
}

impl Cache {
    /// What is cached under each of up to [`MAX_KEYS`](super::MAX_KEYS) keys, in their order, and what the loader finds
    /// for the others: one read, and one call of the loader with the places of the keys that are
    /// missing or stale.
    ///
    /// The loader returns one value for each place, in their order. Keys that another caller of this
    /// process loads are waited for; should that load end without a value, the loader is called
    /// once more. Stale values are loaded with the missing ones; alone they are served as they are
    /// while another caller loads them.
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
                match (turn, one.stale.is_some()) {
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
                    stale: other.map(|(cached, _)| cached),
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
        if let Some(cached) = one.stale {
            self.count("cache_stale_hits", 1);
            put(found, one.place, cached);
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
            put(found, one.place, self.shared(key, outcome, one.stale)?);
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
        V: Serialize + Send + 'static,
        F: Fn(Vec<usize>) -> L,
        L: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.count("cache_misses", leads.len() as u64);
        let began = self.begin();
        let loadings = leads.iter().filter_map(|(one, _)| keys.get(one.place));
        let loadings = join_all(loadings.map(|key| Loading::of(self, key))).await;
        let places: Vec<usize> = leads.iter().map(|(one, _)| one.place).collect();
        let expected = places.len();
        let loaded = self.time_limited(load(places)).await.and_then(|values| {
            if values.len() == expected {
                Ok(values)
            } else {
                Err(LoadError::miscounted())
            }
        });
        let values = match loaded {
            Ok(values) => values,
            Err(error) => {
                let mut failed = None;
                for (one, lead) in leads {
                    if let Some(key) = keys.get(one.place) {
                        self.throttle(&key.names.entry);
                    }
                    lead.finish(Outcome::Failed(error.clone()));
                    if one.stale.is_some() {
                        self.serve(one, found);
                    } else {
                        failed = Some(error.clone());
                    }
                }
                return failed.map_or(Ok(()), Err);
            }
        };
        // They leave in one request.
        let kept = leads.into_iter().zip(loadings).zip(values).map(
            async |(((one, lead), loading), value)| {
                let loaded: Loaded<V> = value.into();
                let key = keys.get(one.place)?;
                let kept = self.keep(key, one.snapshot.as_ref(), &loading, began, &loaded);
                let head = kept.await.finish(Some(lead));
                let cached = Cached::new(loaded.value, Source::Loaded, &head, self.now_ms());
                Some((one.place, cached))
            },
        );
        for (place, cached) in join_all(kept).await.into_iter().flatten() {
            put(found, place, cached);
        }
        Ok(())
    }
}

fn put<V>(found: &mut [Option<Cached<V>>], place: usize, cached: Cached<V>) {
    if let Some(slot) = found.get_mut(place) {
        *slot = Some(cached);
    }
}
