//! One key: the names of its entry and of the markers that can invalidate it.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use super::{
    keyspace::{Lifetime, TagKey},
    loading::MAX_TAGS,
    value::Codec,
};
use crate::{Error, Result};

/// What holds for all keys of a keyspace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) lifetime: Lifetime,
    /// How long it is remembered that there is nothing.
    pub(super) absent: Option<Duration>,
    pub(super) codec: Codec,
    pub(super) schema: u32,
    pub(super) cleared: bool,
    /// The longest time in this process.
    pub(super) local: Duration,
    /// The longest load under a lease.
    pub(super) lease: Option<Duration>,
}

/// A key of a [`Keyspace`](super::Keyspace), made by [`key`](super::Keyspace::key); cheap to clone.
pub struct Key<V> {
    pub(super) names: Arc<Names>,
    pub(super) settings: Settings,
    /// Further tags of what is stored; readers need not know them.
    tags: Arc<[String]>,
    value: PhantomData<fn() -> V>,
}

/// Names without the prefix of the cache.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) entry: String,
    /// The markers in the order in which an entry remembers them: the key's own first.
    pub(super) markers: Vec<String>,
}

impl Names {
    /// The marker of the key itself.
    pub(super) fn own(&self) -> &str {
        self.markers.first().map_or("", String::as_str)
    }
}

/// The marker of all keys of a namespace.
pub(super) fn namespace_marker(namespace: &str) -> String {
    format!("#all:{namespace}")
}

impl<V> Key<V> {
    pub(super) fn new(
        entry: String,
        namespace: &str,
        mut tags: Vec<String>,
        settings: Settings,
    ) -> Self {
        let mut markers = vec![format!("#key:{entry}")];
        markers.append(&mut tags);
        if settings.cleared {
            markers.push(namespace_marker(namespace));
        }
        Self {
            names: Arc::new(Names { entry, markers }),
            settings,
            tags: Arc::default(),
            value: PhantomData,
        }
    }

    /// Gives what is stored under this key another lifetime than the keyspace says, such as one by the
    /// [age of its data](super::AgeTable).
    #[must_use]
    pub fn lives(mut self, lifetime: Lifetime) -> Self {
        self.settings.lifetime = lifetime;
        self
    }

    /// Gives what is stored under this key a tag that its keyspace does not imply.
    ///
    /// Readers need not know it. It costs a read in each write or load, and one in each read of the
    /// value, however many tags there are; at most 16.
    #[must_use]
    pub fn tagged(mut self, tag: &TagKey) -> Self {
        if !self.tags.contains(&tag.0) {
            self.tags = self.tags.iter().chain([&tag.0]).cloned().collect();
        }
        self
    }

    /// The further tags of what is stored.
    ///
    /// # Errors
    /// `InvalidInput` for more than a value may have.
    pub(super) fn tags(&self) -> Result<&[String]> {
        if self.tags.len() > MAX_TAGS {
            return Err(Error::invalid_input("a value has at most 16 tags"));
        }
        Ok(&self.tags)
    }

    /// The name without the prefix of a cache.
    pub fn name(&self) -> &str {
        &self.names.entry
    }
}

impl<V> Clone for Key<V> {
    fn clone(&self) -> Self {
        Self {
            names: Arc::clone(&self.names),
            settings: self.settings,
            tags: Arc::clone(&self.tags),
            value: PhantomData,
        }
    }
}

impl<V> fmt::Debug for Key<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.names.entry).finish()
    }
}

/// The slot of a key in a cluster: CRC16 (XMODEM) of its hash tag, or of all of it.
///
/// Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.
pub(super) fn slot(name: &str) -> u16 {
    let tag = name
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(tag, _)| tag)
        .filter(|tag| !tag.is_empty());
    let crc = tag.unwrap_or(name).bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        // The CRC16 of the specification's example, and what redis-cli says of the others.
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("{user1000}.following"), slot("{user1000}.followers"));
        assert_eq!(slot("foo{bar}{zap}"), slot("bar"));
        assert_ne!(slot("foo{}{bar}"), slot("bar"));
    }
}
