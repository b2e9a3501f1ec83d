//! Many values where nothing fresh is cached.

use futures_util::future::try_join_all;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    entry::{Age, Head},
    fetch::Snapshot,
    key::{Key, Names},
    read::check_count,
    store::{Cache, millis},
    value::{self, Written},
    write::Load,
};
use crate::Result;

impl Cache {
    /// Stores those of up to [`MAX_KEYS`](super::MAX_KEYS) values whose keys hold nothing fresh, and
    /// returns how many: for a cache that is filled before it is asked.
    ///
    /// One read, and one script call for each value that is stored, in one request. What is put or
    /// invalidated since this call began is not undone.
    ///
    /// # Errors
    /// `InvalidInput` for more keys, `TooLarge` for a value above the limit, then nothing is stored;
    /// or that the store did not answer: it may have stored some.
    pub async fn put_missing<V>(&self, values: &[(Key<V>, V)]) -> Result<usize>
    where
        V: Serialize + DeserializeOwned,
    {
        check_count(values.len())?;
        let write = |(key, value): &(Key<V>, V)| {
            key.tags()?;
            value::write(value, key.settings.codec, self.limits())
        };
        let written = values.iter().map(write).collect::<Result<Vec<_>>>()?;
        if written.is_empty() {
            return Ok(0);
        }
        let names: Vec<&Names> = values.iter().map(|(key, _)| &*key.names).collect();
        let snapshots = self.fetch(&names).await?;
        let keys = values.iter().map(|(key, _)| key);
        let each = keys.zip(snapshots).zip(written);
        let stored = each.map(async |((key, snapshot), written)| {
            let found = self.judge(key, &snapshot).await?;
            let fresh = found.filter(|found| found.age == Age::Fresh);
            if fresh.is_some_and(|fresh| self.decode(key, &fresh).is_some()) {
                return Ok(false);
            }
            self.store_missing(key, snapshot, written).await
        });
        let stored = try_join_all(stored).await?;
        Ok(stored.into_iter().filter(|stored| *stored).count())
    }

    async fn store_missing<V>(
        &self,
        key: &Key<V>,
        mut snapshot: Snapshot,
        written: Written,
    ) -> Result<bool> {
        self.complete(&key.names, &mut snapshot).await?;
        let tags = key.tags()?;
        let of_tags = self.read_tags(tags).await?;
        let Some(mut seen) = snapshot.seen() else {
            return Ok(false);
        };
        seen.extend(of_tags);
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
        let load = Load {
            head,
            seen: &seen,
            tags,
            payload: &written.payload,
            kept_ms: millis(lifetime.kept()),
        };
        let _forget = self.forget(key.names.own());
        let stored = self.store_load(&key.names, &load).await?;
        if stored {
            self.count("cache_puts", 1);
            self.count("cache_written_bytes", written.payload.len() as u64);
        }
        Ok(stored)
    }
}
