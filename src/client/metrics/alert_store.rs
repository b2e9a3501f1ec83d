//! What evaluations of alerts have to know of each other, kept in the store.

use super::{alerts::AlertMemory, flush::alerts_key};
use crate::{
    client::Redis,
    protocol::error::{Error, Result},
};

/// Key: the memory. Arguments: what it was, what it becomes, how long it is kept in seconds. Reply:
/// 1, or 0 when another evaluation was first.
const REPLACE: &str = r"local was = redis.call('GET', KEYS[1]) or ''
if was ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1";

const KEPT_S: u64 = 7 * 86_400;

/// A memory as it was read.
#[derive(Debug, Clone, Default)]
pub struct StoredAlerts(String);

impl Redis {
    /// What the last evaluation of alerts left, by whichever instance; one command.
    ///
    /// # Errors
    /// The store's error; `Config` unless this client writes its counters.
    pub async fn load_alerts(&self) -> Result<(AlertMemory, StoredAlerts)> {
        let key = self.alerts_key()?;
        let text = self.command("GET").arg(key).query::<Option<String>>();
        let text = text.await?.unwrap_or_default();
        // What cannot be read is as if it were not there.
        let memory = serde_json::from_str(&text).unwrap_or_default();
        Ok((memory, StoredAlerts(text)))
    }

    /// Keeps it for the next evaluation; `false` when another one was first. One command.
    ///
    /// # Errors
    /// The store's error.
    pub async fn save_alerts(&self, memory: &AlertMemory, before: &StoredAlerts) -> Result<bool> {
        let key = self.alerts_key()?;
        let text = serde_json::to_string(memory)
            .map_err(|_| Error::invalid_input("the alerts cannot be written as JSON"))?;
        let command = self.command("EVAL").arg(REPLACE).arg(1).arg(key);
        let command = command.arg(&before.0).arg(text).arg(KEPT_S);
        command.query::<bool>().await
    }

    fn alerts_key(&self) -> Result<String> {
        let flusher = self.metrics().flusher();
        let flusher =
            flusher.ok_or_else(|| Error::config("this client keeps no counters in the store"))?;
        Ok(alerts_key(flusher.prefix()))
    }
}
