//! Invalidation: one command each, however much it concerns.

use super::{
    away::Queued,
    key::{Key, namespace_marker},
    keyspace::{Keyspace, TagKey},
    marker::Unique,
    store::Cache,
};
use crate::{Error, Result};

script_call! {
    Invalidate<'a> = "lua/marker.lua".key_locking()
    keys { marker_key }
    args {
        how: &'a str, new_value: &'a str, ttl_ms: u64,
        // Both may be empty.
        hint_channel: &'a str, hint: &'a str,
    }
}

/// What becomes of the values that an invalidation concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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

/// Whether an invalidation holds for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidated {
    /// The store knows: no process serves what it concerns, but what it [holds](Keyspace::local)
    /// itself for as long as that says.
    Everywhere,
    /// The store did not answer: this process serves nothing of it and sends it before its next read;
    /// it is lost when the process ends. See [`max_queued`](super::CacheConfig::max_queued).
    Queued,
}

impl Cache {
    /// Removes a value, and voids loads of it that run: what they find is not served to others.
    ///
    /// # Errors
    /// That the store did not answer: the value may be removed or not; asking again is safe.
    pub async fn delete<V>(&self, key: &Key<V>) -> Result<Invalidated> {
        let entry = Some(key.names.entry.as_str());
        self.invalidate(key.names.own(), entry, Invalidation::Remove)
            .await
    }

    /// Makes a value stale.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn expire<V>(&self, key: &Key<V>) -> Result<Invalidated> {
        self.invalidate(key.names.own(), None, Invalidation::Expire)
            .await
    }

    /// Removes all values that have a tag, in constant time.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn remove_tag(&self, tag: &TagKey) -> Result<Invalidated> {
        self.invalidate(&tag.0, None, Invalidation::Remove).await
    }

    /// Makes all values stale that have a tag, in constant time.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub async fn expire_tag(&self, tag: &TagKey) -> Result<Invalidated> {
        self.invalidate(&tag.0, None, Invalidation::Expire).await
    }

    /// Removes all values of a keyspace, and of others whose pattern begins with the same word, in
    /// constant time; what they occupied is free after their lifetime.
    ///
    /// # Errors
    /// `InvalidInput` for a keyspace that is [never cleared](Keyspace::never_cleared), else as
    /// [`delete`](Self::delete).
    pub async fn clear<P, V>(&self, keyspace: &Keyspace<P, V>) -> Result<Invalidated> {
        self.invalidate_all(keyspace, Invalidation::Remove).await
    }

    /// Makes all values of a keyspace stale, as [`clear`](Self::clear) removes them.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    pub async fn expire_all<P, V>(&self, keyspace: &Keyspace<P, V>) -> Result<Invalidated> {
        self.invalidate_all(keyspace, Invalidation::Expire).await
    }

    /// Removes or expires all values of the keyspaces whose pattern begins with this word, as
    /// [`clear`](Self::clear) and [`expire_all`](Self::expire_all) do: for programs that do not know the
    /// keyspaces.
    ///
    /// # Errors
    /// `InvalidInput` for what no pattern begins with, else as [`delete`](Self::delete).
    pub async fn invalidate_word(&self, word: &str, how: Invalidation) -> Result<Invalidated> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if word.len() > 200 || !word.bytes().all(is_plain) {
            let text = "a keyspace is named by letters, digits, `_` and `-`";
            return Err(Error::invalid_input(text));
        }
        self.invalidate(&namespace_marker(word), None, how).await
    }

    async fn invalidate_all<P, V>(
        &self,
        of: &Keyspace<P, V>,
        how: Invalidation,
    ) -> Result<Invalidated> {
        if !of.is_cleared() {
            return Err(Error::invalid_input("the keyspace is never cleared"));
        }
        let marker = namespace_marker(of.namespace());
        self.invalidate(&marker, None, how).await
    }

    async fn invalidate(
        &self,
        marker: &str,
        entry: Option<&str>,
        how: Invalidation,
    ) -> Result<Invalidated> {
        let _forget = self.forget(marker);
        let one = Queued {
            marker: marker.to_owned(),
            entry: entry.map(str::to_owned),
            how,
        };
        match self.send(&one).await {
            Ok(()) => {
                self.count(how.counter(), 1);
                Ok(Invalidated::Everywhere)
            }
            Err(error) if error.is_unavailable() && self.0.queue.push(one) => {
                self.count("cache_queued_invalidations", 1);
                Ok(Invalidated::Queued)
            }
            Err(error) => Err(error),
        }
    }

    /// Never sent twice with the same value: a late repeat would bring back what was removed since.
    pub(super) async fn send(&self, one: &Queued) -> Result<()> {
        let new = Unique::new()?;
        self.count("cache_trips", 1);
        let call = Invalidate {
            marker_key: &self.stored(&one.marker),
            how: one.how.word(),
            new_value: new.as_str(),
            ttl_ms: self.marker_ttl_ms(),
            hint_channel: &self.hint_channel(),
            hint: &one.marker,
        };
        let entry = one.entry.iter().map(|entry| self.stored(entry));
        let _: i64 = call.call().keys(entry).run(&self.0.redis).await?;
        Ok(())
    }
}
