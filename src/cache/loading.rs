//! What a loader gets and returns.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::join_all;

use super::{
    key::Key,
    keyspace::{Lifetime, TagKey},
    marker::{Marker, Read},
    store::Cache,
};
use crate::{Error, Result};

/// Most tags of a value that its keyspace does not imply.
pub(super) const MAX_TAGS: usize = 16;

/// What a loader found, and how long it lives.
#[derive(Debug, Clone)]
pub struct Loaded<V> {
    pub(super) value: V,
    pub(super) lifetime: Option<Lifetime>,
}

impl<V> Loaded<V> {
    /// A value with the lifetime of its keyspace.
    pub fn new(value: V) -> Self {
        Self {
            value,
            lifetime: None,
        }
    }

    /// Lives for another time than the keyspace says.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

/// A load that runs; its loader may add tags.
#[derive(Clone)]
pub struct Loading {
    cache: Cache,
    tags: Arc<Mutex<Vec<(String, Read)>>>,
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading").finish_non_exhaustive()
    }
}

impl Loading {
    pub(super) fn new(cache: &Cache) -> Self {
        Self {
            cache: cache.clone(),
            tags: Arc::default(),
        }
    }

    /// A load of a key that has [tags](super::Key::tagged), which are read before it begins.
    pub(super) async fn of<V>(cache: &Cache, key: &Key<V>) -> Self {
        let loading = Self::new(cache);
        let complete = match key.tags() {
            Ok(tags) => {
                let reads = tags.iter().map(|tag| loading.read(tag.clone()));
                join_all(reads).await.iter().all(Result::is_ok)
            }
            Err(_) => false,
        };
        // Without one of its tags the value must not be stored.
        if !complete {
            loading.lock().push((String::new(), Read::Foreign));
        }
        loading
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Read)>> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a tag that the key does not imply, before the loader reads what the tag stands for: an
    /// invalidation of the tag from then on voids the value.
    ///
    /// It costs a read here, and one more in each read of the value. At most 16 for a load.
    ///
    /// # Errors
    /// `InvalidInput` for one tag more, or that the store did not answer; the value is then not stored.
    pub async fn tag(&self, tag: &TagKey) -> Result<()> {
        self.read(tag.0.clone()).await
    }

    async fn read(&self, tag: String) -> Result<()> {
        let place = {
            let mut tags = self.lock();
            if tags.len() >= MAX_TAGS {
                return Err(Error::invalid_input("a load has at most 16 tags"));
            }
            tags.push((tag.clone(), Read::Foreign));
            tags.len() - 1
        };
        let read = self.cache.read_marker(&tag).await?;
        if let Some((_, known)) = self.lock().get_mut(place) {
            *known = read;
        }
        Ok(())
    }

    /// The tags and what their markers were; `None` when the value can never be valid.
    pub(super) fn seen(&self) -> Option<(Vec<String>, Vec<Marker>)> {
        let tags = self.lock();
        let seen = tags.iter().map(|(_, read)| read.seen());
        let seen = seen.collect::<Option<_>>()?;
        Some((tags.iter().map(|(name, _)| name.clone()).collect(), seen))
    }
}
