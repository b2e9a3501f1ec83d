//! Many values at once: two commands where the store has `MSETEX`.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use futures_util::future::{try_join, try_join_all};
use serde::Serialize;

use super::{
    entry::Head,
    key::{Key, Names, slot},
    marker::{Marker, Unique},
    read::check_count,
    store::{Cache, millis},
    value,
    write::joined,
};
use crate::{
    Error, Result,
    commands::{Expiry, MSetExOptions, SetOptions, StringCommands as _},
};

/// Most bytes of one command.
const MAX_BYTES: usize = 1 << 20;

type Pairs = Vec<(String, String)>;

impl Cache {
    /// Stores up to [`MAX_KEYS`](super::MAX_KEYS) values that the caller knows to be the newest, as
    /// [`put`](Self::put) does: values of one lifetime are one `MSETEX` of up to 1 MiB, on a cluster one
    /// for each slot; where the store lacks it, commands of one request.
    ///
    /// The markers of the keys are read before. An invalidation that comes meanwhile voids the values.
    ///
    /// # Errors
    /// `InvalidInput` for more keys, `TooLarge` for a value above the limit, then nothing is stored;
    /// or that the store did not answer: it may have stored some.
    pub async fn put_many<V: Serialize>(&self, values: &[(Key<V>, V)]) -> Result<()> {
        check_count(values.len())?;
        let write = |(key, value): &(Key<V>, V)| {
            let written = value::write(value, key.settings.codec, self.limits())?;
            let lifetime = self.lifetime_of(key, &written, key.settings.lifetime);
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
            Ok((head, written.payload, millis(lifetime.kept()).max(1)))
        };
        let written = values.iter().map(write).collect::<Result<Vec<_>>>()?;
        if written.is_empty() {
            return Ok(());
        }
        let named = values.iter().map(|(key, _)| {
            let tags = key.tags()?;
            let markers = key.names.markers.iter().chain(tags).cloned().collect();
            let entry = key.names.entry.clone();
            Ok((Names { entry, markers }, joined(tags)))
        });
        let named = named.collect::<Result<Vec<_>>>()?;
        let names: Vec<&Names> = named.iter().map(|(names, _)| names).collect();
        let mut snapshots = self.fetch_markers(&names).await?;
        let complete = names.iter().zip(&mut snapshots);
        try_join_all(complete.map(|(names, snapshot)| self.complete(names, snapshot))).await?;
        let new = Unique::new()?;
        let own = format!("{}{}", new.as_str(), ".".repeat(12));
        let mut entries: BTreeMap<u64, Pairs> = BTreeMap::new();
        let mut markers = Pairs::new();
        let _forget: Vec<_> = names.iter().map(|names| self.forget(names.own())).collect();
        for (((names, tags), snapshot), (head, payload, kept)) in
            named.iter().zip(&snapshots).zip(written)
        {
            // What is void in the end is no error: it is a miss.
            let seen = snapshot.markers.iter().skip(1);
            let seen = seen.map(|read| read.seen().unwrap_or(Marker::NONE));
            let mut entry = head.write(names.markers.len(), tags.len()) + &own;
            seen.for_each(|marker| entry.push_str(marker.as_str()));
            entry.push_str(tags);
            entry.push_str(&payload);
            self.count("cache_written_bytes", payload.len() as u64);
            let name = names.entry.clone();
            entries.entry(kept).or_default().push((name, entry));
            markers.push((names.own().to_owned(), own.clone()));
        }
        self.count("cache_puts", names.len() as u64);
        self.count("cache_trips", 1);
        // Whichever fails: an entry without its marker, or a marker without its entry, is a miss.
        let markers = self.set_all(markers, self.marker_ttl_ms());
        let entries = entries
            .into_iter()
            .map(|(kept, pairs)| self.set_all(pairs, kept));
        try_join(markers, try_join_all(entries)).await?;
        let own: Vec<_> = names.iter().map(|names| names.own()).collect();
        self.hint(&own).await;
        Ok(())
    }

    /// Sets names for a time, in as few commands as the store allows.
    async fn set_all(&self, pairs: Pairs, ttl_ms: u64) -> Result<()> {
        let expiry = Expiry::In(Duration::from_millis(ttl_ms));
        let one_by_one = |pairs: Vec<(String, String)>| {
            try_join_all(pairs.into_iter().map(move |(name, value)| {
                let set = SetOptions::new().expiry(expiry);
                self.0.redis.set_with(name, value, set).into_future()
            }))
        };
        let pairs = pairs.into_iter();
        let pairs: Pairs = pairs
            .map(|(name, value)| (self.stored(&name), value))
            .collect();
        if self.0.sets_one_by_one.load(Ordering::Relaxed) {
            return one_by_one(pairs).await.map(drop);
        }
        let mut groups: BTreeMap<(u16, usize), (usize, Pairs)> = BTreeMap::new();
        for (name, value) in pairs {
            let slot = if self.0.config.cluster {
                slot(&name)
            } else {
                0
            };
            let last = groups.range((slot, 0)..=(slot, usize::MAX)).next_back();
            let last = last.map_or(0, |((_, part), (bytes, _))| {
                part + usize::from(bytes + value.len() > MAX_BYTES)
            });
            let (bytes, group) = groups.entry((slot, last)).or_default();
            *bytes += name.len() + value.len();
            group.push((name, value));
        }
        let sets = groups.into_values().map(async |(_, group)| {
            let options = MSetExOptions::new().expiry(expiry);
            let items = group.iter().map(|(name, value)| (name, value));
            match self.0.redis.msetex(items, options).await {
                Ok(_) => Ok(()),
                Err(error) if is_unknown(&error) => {
                    self.0.sets_one_by_one.store(true, Ordering::Relaxed);
                    one_by_one(group).await.map(drop)
                }
                Err(error) => Err(error),
            }
        });
        try_join_all(sets).await.map(drop)
    }
}

fn is_unknown(error: &Error) -> bool {
    let text = error.server_message().unwrap_or_default();
    text.to_ascii_lowercase().starts_with("unknown command")
}
