//! Invalidation: one command each, however much it concerns.

use super::{
    key::{Key, namespace_marker},
    keyspace::{Keyspace, TagKey},
    marker::Unique,
    store::Cache,
};
use crate::{Error, Result, Script};

static MARKER: Script = Script::new(include_str!("lua/marker.lua")).key_locking();

/// What becomes of the values that an invalidation concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalidation {
    /// They are stale: they may be served as stale values by their rule, and are loaded again.
    Expire,
    /// They are gone: they are never served again.
    Remove,
}

impl Invalidation {
    const fn word(self) -> &'static str {
        match self {
            Self::Expire => "expire",
            Self::Remove => "remove",
        }
    }

    const fn counter(self) -> &'static str {
        match self {
            Self::Expire => "cache_expirations",
            Self::Remove => "cache_removals",
        }
    }
}

impl Cache {
    /// Removes a value, and voids loads of it that run: what they find is not served to others.
    ///
    /// # Errors
    /// That the store did not answer: the value may be removed or not; asking again is safe.
    pub async fn delete<V>(&self, key: &Key<V>) -> Result<()> {
        let entry = Some(key.names.entry.as_str());
        self.invalidate(key.names.own(), entry, Invalidation::Remove)
            .await
    }

    /// Makes a value stale.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn expire<V>(&self, key: &Key<V>) -> Result<()> {
        self.invalidate(key.names.own(), None, Invalidation::Expire)
            .await
    }

    /// Removes all values that have a tag, in constant time.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn remove_tag(&self, tag: &TagKey) -> Result<()> {
        self.invalidate(&tag.0, None, Invalidation::Remove).await
    }

    /// Makes all values stale that have a tag, in constant time.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn expire_tag(&self, tag: &TagKey) -> Result<()> {
        self.invalidate(&tag.0, None, Invalidation::Expire).await
    }

    /// Removes all values of a keyspace, and of others whose pattern begins with the same word, in
    /// constant time; what they occupied is free after their lifetime.
    ///
    /// # Errors
    /// `InvalidInput` for a keyspace that is [never cleared](Keyspace::never_cleared), else as
    /// [`delete`](Self::delete).
    pub async fn clear<P, V>(&self, keyspace: &Keyspace<P, V>) -> Result<()> {
        self.invalidate_all(keyspace, Invalidation::Remove).await
    }

    /// Makes all values of a keyspace stale, as [`clear`](Self::clear) removes them.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    pub async fn expire_all<P, V>(&self, keyspace: &Keyspace<P, V>) -> Result<()> {
        self.invalidate_all(keyspace, Invalidation::Expire).await
    }

    async fn invalidate_all<P, V>(&self, of: &Keyspace<P, V>, how: Invalidation) -> Result<()> {
        if !of.is_cleared() {
            return Err(Error::invalid_input("the keyspace is never cleared"));
        }
        let marker = namespace_marker(of.namespace());
        self.invalidate(&marker, None, how).await
    }

    /// Never sent twice with the same value: a late repeat would bring back what was removed since.
    async fn invalidate(&self, marker: &str, entry: Option<&str>, how: Invalidation) -> Result<()> {
        let new = Unique::new()?;
        let _: i64 = MARKER
            .key(self.stored(marker))
            .keys(entry.map(|entry| self.stored(entry)))
            .arg(how.word())
            .arg(new.as_str())
            .arg(self.marker_ttl_ms())
            .run(&self.0.redis)
            .await?;
        self.count(how.counter(), 1);
        Ok(())
    }
}
