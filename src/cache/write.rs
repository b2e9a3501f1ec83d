//! Writes: what a load found, and what a caller knows.

use serde::Serialize;

use super::{
    entry::Head,
    key::{Key, Names, slot},
    keyspace::Lifetime,
    marker::{Marker, Read, Unique},
    store::{Cache, millis},
    value::{self, Written},
};
use crate::{Error, Result};

script_call! {
    Store<'a> = "lua/store.lua".key_locking()
    keys { entry_key }
    args {
        verb: &'a str, ttl_ms: u64, marker_ttl_ms: u64, new_value: &'a str, creates: u8,
        head: &'a str,
        // Those of the keys first, 24 bytes each.
        seen: &'a str,
        payload: &'a str,
    }
}

/// What a load stores.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) head: Head,
    /// Of the markers of the key's names, then of `tags`.
    pub(super) seen: &'a [Marker],
    pub(super) tags: &'a [String],
    pub(super) payload: &'a str,
    /// How long the store keeps it.
    pub(super) kept_ms: u64,
}

impl Cache {
    /// Stores a value that the caller knows to be the newest, for the lifetime of the keyspace.
    ///
    /// One script call. Loads of the key that run meanwhile are void: what they find is not stored. An
    /// invalidation that comes before this call does not touch the value, one that comes after it
    /// does. So a value that was computed from what others change meanwhile is for
    /// [`get_or_load`](Self::get_or_load), which remembers what held before.
    ///
    /// # Errors
    /// `TooLarge` for a value above the limit, or that the store did not answer: it may have stored
    /// the value or not.
    pub async fn put<V: Serialize>(&self, key: &Key<V>, value: &V) -> Result<()> {
        let written = value::write(value, key.settings.codec, self.limits())?;
        self.flush().await?;
        let lifetime = self.lifetime_of(key, &written, key.settings.lifetime);
        let tags = key.tags()?;
        let of_tags = self.read_tags(tags).await?;
        let tags = joined(tags);
        let names = &*key.names;
        let (near, far) = self.markers_by_slot(names);
        // Markers in other slots of a cluster: the script cannot read them.
        let far: Vec<Marker> = if far.is_empty() {
            Vec::new()
        } else {
            let mut snapshot = self.fetch_one(names).await?;
            self.complete(names, &mut snapshot).await?;
            let reads = far.iter().filter_map(|place| snapshot.markers.get(*place));
            // What is void in the end is no error: it is a miss.
            reads
                .map(|read| Read::seen(*read).unwrap_or(Marker::NONE))
                .collect()
        };
        let new = Unique::new()?;
        let _forget = self.forget(names.own());
        let mut head = Head {
            form: written.form,
            schema: key.settings.schema,
            loaded_at_ms: self.now_ms(),
            fresh_ms: 0,
            stale_ms: 0,
            on_error_ms: 0,
            cost_ms: 0,
        };
        head.live_for(lifetime);
        let mut seen = Marker::NONE.as_str().repeat(near.len());
        seen.extend(far.iter().chain(&of_tags).map(Marker::as_str));
        let markers = names.markers.len() + of_tags.len();
        self.count("cache_trips", 1);
        let call = Store {
            entry_key: &self.stored(&names.entry),
            verb: "put",
            ttl_ms: millis(lifetime.kept()).max(1),
            marker_ttl_ms: self.marker_ttl_ms(),
            new_value: new.as_str(),
            creates: u8::from(self.0.config.evicts),
            head: &head.write(markers, tags.len()),
            seen: &seen,
            payload: &(tags + &written.payload),
        };
        let near = near.iter().map(|name| self.stored(name));
        let stored: i64 = call.call().keys(near).run(&self.0.redis).await?;
        self.count("cache_puts", u64::try_from(stored).unwrap_or_default());
        self.hint(&[names.own()]).await;
        self.count("cache_written_bytes", written.payload.len() as u64);
        Ok(())
    }

    /// The markers of further tags.
    pub(super) async fn read_tags(&self, tags: &[String]) -> Result<Vec<Marker>> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let names = Names {
            entry: String::new(),
            markers: tags.to_vec(),
        };
        let mut read = self.fetch_markers(&[&names]).await?;
        let snapshot = read.first_mut().ok_or_else(|| Error::decode("no reply"))?;
        self.complete(&names, snapshot).await?;
        let seen = snapshot.markers.iter();
        let seen = seen.map(|read| read.seen().unwrap_or(Marker::NONE));
        Ok(seen.collect())
    }

    /// The lifetime of a value: that of none, if it is none.
    pub(super) fn lifetime_of<V>(
        &self,
        key: &Key<V>,
        written: &Written,
        lifetime: Lifetime,
    ) -> Lifetime {
        self.cut(match key.settings.absent.filter(|_| written.is_absent) {
            Some(absent) => Lifetime {
                fresh: absent.min(lifetime.fresh),
                ..lifetime
            },
            None => lifetime,
        })
    }

    /// The markers in the slot of the entry, its own first, and the places of the others.
    ///
    /// An entry remembers its markers in this order: near ones come first.
    pub(super) fn markers_by_slot<'n>(&self, names: &'n Names) -> (Vec<&'n str>, Vec<usize>) {
        let of = slot(&names.entry);
        let is_near = |name: &str| !self.0.config.cluster || slot(name) == of;
        let near = names.markers.iter().take_while(|name| is_near(name));
        let near: Vec<_> = near.map(String::as_str).collect();
        let far = (near.len()..names.markers.len()).collect();
        (near, far)
    }

    /// Stores what a load found, unless its key or one of its tags was removed meanwhile; whether it
    /// is valid still.
    pub(super) async fn store_load(&self, names: &Names, load: &Load<'_>) -> Result<bool> {
        let (near, _) = self.markers_by_slot(names);
        let tags = joined(load.tags);
        let seen: String = load.seen.iter().map(Marker::as_str).collect();
        self.count("cache_trips", 1);
        let call = Store {
            entry_key: &self.stored(&names.entry),
            verb: "load",
            ttl_ms: load.kept_ms.max(1),
            marker_ttl_ms: self.marker_ttl_ms(),
            new_value: "",
            creates: 0,
            head: &load.head.write(load.seen.len(), tags.len()),
            seen: &seen,
            payload: &(tags + load.payload),
        };
        let near = near.iter().map(|name| self.stored(name));
        // The second time finds what the first one left, or that the value is void.
        let call = call.call().keys(near).idempotent();
        let stored: i64 = call.run(&self.0.redis).await?;
        Ok(stored == 1)
    }
}

/// Tags as they are stored: a line each.
pub(super) fn joined(tags: &[String]) -> String {
    tags.iter().flat_map(|tag| [tag, "\n"]).collect()
}
