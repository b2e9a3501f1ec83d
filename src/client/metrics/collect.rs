//! The counters of all instances, read from the store.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Metrics,
    flush::{difference, ended_key, index_key, instance_key},
    snapshot::Snapshot,
};
use crate::{
    client::{Redis, Surface as _, pipeline::Handle},
    protocol::{
        command::Command,
        error::{Error, Result},
        reply::Reply,
    },
};

/// An instance that wrote nothing for so long has ended.
const ENDED_AFTER: Duration = Duration::from_secs(3600);
/// How long the sum of ended instances is kept when nobody reads it.
const ENDED_KEPT_S: u64 = 90 * 86_400;
/// Instances that one read looks at, and that one command adds to those that ended.
const MOST: usize = 1000;
const MOST_ENDED: usize = 100;

/// Keys: the index, the sum of ended instances, the hashes of instances. Arguments: how long the sum
/// lives in seconds, the instances.
const END: &str = r"for i = 3, #KEYS do
  if redis.call('ZREM', KEYS[1], ARGV[i - 1]) == 1 then
    local all = redis.call('HGETALL', KEYS[i])
    for j = 1, #all, 2 do
      redis.call('HINCRBY', KEYS[2], all[j], all[j + 1])
    end
    redis.call('DEL', KEYS[i])
  end
end
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1";

type Hash = BTreeMap<String, u64>;

impl Redis {
    /// The counters of all instances that write them ([`Metrics::flush`]), this one's as they
    /// are now, and how many instances there are.
    ///
    /// Two requests, at most three commands more than there are instances. Instances that have been
    /// silent for an hour are added to a sum, so that the counters never fall. Of more than 1,000
    /// instances the newest count.
    ///
    /// # Errors
    /// The store's error; `Config` unless this client writes its counters.
    pub async fn metrics_of_all_instances(&self) -> Result<(Snapshot, usize)> {
        let metrics = self.metrics();
        let flusher = metrics
            .flusher()
            .ok_or_else(|| Error::config("this client keeps no counters in the store"))?;
        let prefix = flusher.prefix();
        let now_ms = Metrics::now_ms();
        let listed = self
            .command("ZRANGE")
            .arg(index_key(prefix))
            .arg(0)
            .arg(MOST - 1)
            .arg("REV")
            .arg("WITHSCORES")
            .query::<BTreeMap<String, f64>>()
            .await?;
        let ended_ms = now_ms.saturating_sub(ENDED_AFTER.as_millis() as u64) as f64;
        let (own, baseline) = flusher.own();
        let mut others = Vec::new();
        let mut ended = Vec::new();
        for (instance, at_ms) in listed {
            match instance {
                instance if instance == own => {}
                instance if at_ms < ended_ms => ended.push(instance),
                instance => others.push(instance),
            }
        }
        let mut pipeline = self.pipeline();
        let mut folded: Vec<Handle<Reply>> = Vec::new();
        for some in ended.chunks(MOST_ENDED) {
            let keys = some.iter().map(|instance| instance_key(prefix, instance));
            let command = Command::<Reply>::new("EVAL")
                .arg(END)
                .arg(some.len() + 2)
                .arg(index_key(prefix))
                .arg(ended_key(prefix))
                .args(keys)
                .arg(ENDED_KEPT_S)
                .args(some);
            folded.push((&mut pipeline).submit(command));
        }
        let hash = |key: String| Command::<Hash>::new("HGETALL").arg(key);
        let mut hashes = vec![(&mut pipeline).submit(hash(ended_key(prefix)))];
        for instance in &others {
            hashes.push((&mut pipeline).submit(hash(instance_key(prefix, instance))));
        }
        let mut replies = pipeline.exec().await?;
        for handle in folded {
            replies.take(handle)?;
        }
        let mut all = metrics.snapshot();
        let mine = difference(&all.totals(), &baseline);
        all.forget_totals();
        all.add_totals(mine.iter().map(|(name, n)| (name.as_str(), *n)));
        for handle in hashes {
            let hash = replies.take(handle)?;
            all.add_totals(hash.iter().map(|(name, n)| (name.as_str(), *n)));
        }
        Ok((all, others.len() + 1))
    }
}
