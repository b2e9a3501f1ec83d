//! Leases: one load of a key among all processes, as far as they can agree; never needed for
//! correctness.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{fetch::Snapshot, key::Key, marker::Unique, read::Cached, store::Cache};
use crate::{
    commands::{SetOptions, StringCommands as _},
    transport::time,
};

script_call! {
    Release<'a> = "lua/release.lua".key_locking()
    keys { lease_key }
    args { holder: &'a str }
}

/// The first pause between two looks for another process's value, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(200));
/// Most looks.
const MAX_LOOKS: usize = 300;

#[derive(Debug)]
pub(super) enum Lease {
    /// This process loads.
    Won(Unique),
    /// Another process loads.
    Held,
    /// The keyspace has none, or the store did not answer.
    None,
}

impl Lease {
    pub(super) async fn release<V>(self, cache: &Cache, key: &Key<V>) {
        if let Self::Won(holder) = self {
            let name = cache.stored(&lease_name(key));
            cache.count("cache_trips", 1);
            let call = Release {
                lease_key: &name,
                holder: holder.as_str(),
            };
            // It ends by itself.
            let _ = call.call().idempotent().run::<i64>(&cache.0.redis).await;
        }
    }
}

fn lease_name<V>(key: &Key<V>) -> String {
    format!("#lease:{}", key.names.entry)
}

impl Cache {
    pub(super) async fn lease<V>(&self, key: &Key<V>) -> Lease {
        let (Some(time), Ok(holder)) = (key.settings.lease, Unique::new()) else {
            return Lease::None;
        };
        let options = SetOptions::new().nx().ex(time);
        let name = self.stored(&lease_name(key));
        self.count("cache_trips", 1);
        match self.0.redis.set_with(name, holder.as_str(), options).await {
            Ok(outcome) if outcome.is_set() => {
                self.count("cache_leases_won", 1);
                Lease::Won(holder)
            }
            Ok(_) => {
                self.count("cache_leases_lost", 1);
                Lease::Held
            }
            Err(_) => Lease::None,
        }
    }

    /// Looks for the value of another process until its lease ends.
    pub(super) async fn wait_for_other<V: DeserializeOwned>(
        &self,
        key: &Key<V>,
    ) -> (Option<Snapshot>, Option<Cached<V>>) {
        let longest = key.settings.lease.unwrap_or_default();
        let end = time::after(time::Instant::now(), longest);
        let mut pause = PAUSES.0;
        let mut seen = None;
        for _ in 0..MAX_LOOKS {
            let jittered = pause.mul_f64(0.5 + time::random() / 2.0);
            time::sleep(jittered).await;
            let (snapshot, found) = self.look(key).await;
            if let Some(cached) = self.decode_current(key, found) {
                return (snapshot, Some(cached));
            }
            seen = snapshot;
            if seen.is_none() || time::Instant::now() >= end {
                break;
            }
            pause = (pause * 2).min(PAUSES.1);
        }
        (seen, None)
    }
}
