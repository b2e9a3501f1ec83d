//! Settings of Redis that its tests make and read back. None of them changes anything here.

use std::collections::BTreeMap;

/// Names and what they are at first.
const SETTINGS: [(&str, &str); 47] = [
    ("active-expire-effort", "1"),
    ("appendfsync", "everysec"),
    ("appendonly", "no"),
    ("bind", "127.0.0.1"),
    ("busy-reply-threshold", "5000"),
    ("client-query-buffer-limit", "1073741824"),
    ("databases", "1"),
    ("dbfilename", "dump.rdb"),
    ("hash-max-listpack-entries", "128"),
    ("hash-max-listpack-value", "64"),
    ("hll-sparse-max-bytes", "3000"),
    ("hz", "10"),
    ("latency-monitor-threshold", "0"),
    ("latency-tracking", "yes"),
    ("lazyfree-lazy-expire", "no"),
    ("lazyfree-lazy-server-del", "no"),
    ("lazyfree-lazy-user-del", "no"),
    ("list-compress-depth", "0"),
    ("list-max-listpack-size", "-2"),
    ("loglevel", "notice"),
    ("maxmemory", "0"),
    ("maxmemory-clients", "0"),
    ("maxmemory-policy", "noeviction"),
    ("maxmemory-samples", "5"),
    ("min-replicas-to-write", "0"),
    ("proto-max-bulk-len", "536870912"),
    ("rdb-key-save-delay", "0"),
    ("rdbcompression", "yes"),
    ("repl-backlog-size", "1048576"),
    ("repl-ping-replica-period", "10"),
    ("replicaof", ""),
    ("replica-read-only", "yes"),
    ("replica-serve-stale-data", "yes"),
    ("sanitize-dump-payload", "no"),
    ("save", ""),
    ("set-max-intset-entries", "512"),
    ("set-max-listpack-entries", "128"),
    ("set-max-listpack-value", "64"),
    ("shutdown-on-sigint", "default"),
    ("shutdown-on-sigterm", "default"),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("timeout", "0"),
    ("tracking-table-max-keys", "1000000"),
    ("zset-max-listpack-entries", "128"),
    ("zset-max-listpack-value", "64"),
    ("io-threads", "1"),
];

/// Older names of settings.
const ALIASES: [(&str, &str); 8] = [
    ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
    ("hash-max-ziplist-value", "hash-max-listpack-value"),
    ("list-max-ziplist-size", "list-max-listpack-size"),
    ("lua-time-limit", "busy-reply-threshold"),
    ("slaveof", "replicaof"),
    ("slave-read-only", "replica-read-only"),
    ("zset-max-ziplist-entries", "zset-max-listpack-entries"),
    ("zset-max-ziplist-value", "zset-max-listpack-value"),
];

/// What CONFIG SET has set.
#[derive(Debug)]
pub(crate) struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// All settings, or none.
    pub(crate) fn new(offered: bool) -> Self {
        let all = SETTINGS.iter().filter(|_| offered);
        let mut values: BTreeMap<_, _> = all
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        for (alias, name) in ALIASES.iter().filter(|_| offered) {
            values.insert(alias, values.get(name).cloned().unwrap_or_default());
        }
        Self(values)
    }

    /// Every setting and its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether a value may be set, and why not; `None`: there is no such setting.
    pub(crate) fn check(&self, name: &[u8], value: &[u8]) -> Option<Result<(), &'static str>> {
        let name = String::from_utf8_lossy(name).to_lowercase();
        let kept = self.0.get(name.as_str())?;
        let value = String::from_utf8_lossy(value);
        let is_number = kept.trim_end_matches('%').parse::<i64>().is_ok();
        Some(if is_number {
            check_number(&value)
        } else {
            Ok(())
        })
    }

    /// Keeps a value; `false`: there is no such setting.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) -> bool {
        let name = String::from_utf8_lossy(name).to_lowercase();
        let value = String::from_utf8_lossy(value);
        let alias = ALIASES.iter().find_map(|(alias, of)| {
            (*alias == name)
                .then_some(*of)
                .or((*of == name).then_some(*alias))
        });
        let names = [Some(name.as_str()), alias];
        let mut found = false;
        for name in names.into_iter().flatten() {
            if let Some(kept) = self.0.get_mut(name) {
                *kept = value.clone().into_owned();
                found = true;
            }
        }
        found
    }
}

/// Whether a text is a number, a size or a percentage.
fn check_number(text: &str) -> Result<(), &'static str> {
    if let Some(percent) = text.strip_suffix('%') {
        return match percent.parse::<u32>() {
            Ok(0..=100) => Ok(()),
            _ => Err("percentage argument must be less or equal to 100"),
        };
    }
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    match digits.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(_) => Err("argument must be a memory value"),
    }
}
