//! Addresses to deny that somebody else lists, fetched from time to time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use url::Url;

use super::{limiter::RateLimiter, lists};
use crate::{
    Error, Result,
    commands::{GenericCommands as _, SetCommands as _, SetOptions, StringCommands as _},
    transport::{address, fetch},
};

const DAY_MS: u64 = 86_400_000;
/// Lists are fetched again at two in the morning, UTC, as `@upstash/ratelimit` does.
const HOUR_OF_CHANGE_MS: u64 = 2 * 3_600_000;
/// Between two looks at whether it is time.
const LOOK_EVERY_MS: u64 = 60_000;
/// Who fetches has so long before somebody else may.
const CLAIM: Duration = Duration::from_secs(30);
const FETCH: Duration = Duration::from_secs(20);
const MAX_BYTES: usize = 16 << 20;
const MAX_ADDRESSES: usize = 500_000;
/// Addresses written in one command.
const CHUNK: usize = 5_000;

/// Where a list of addresses comes from: text with one address or network a line, `#` for comments.
///
/// Clones are the same feed. In JSON its address.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct DenyFeed {
    url: Url,
    next_look_ms: Arc<AtomicU64>,
}

impl TryFrom<String> for DenyFeed {
    type Error = Error;

    fn try_from(url: String) -> Result<Self> {
        Self::new(&url)
    }
}

impl DenyFeed {
    /// A list at an address, such as a level of
    /// [ipsum](https://github.com/stamparm/ipsum), which `@upstash/ratelimit` uses.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for what is not an `https` or `http` address.
    pub fn new(url: &str) -> Result<Self> {
        let wrong = || Error::invalid_input("a deny list comes from an http or https address");
        let url = address::parse(url).ok_or_else(wrong)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong());
        }
        Ok(Self {
            url,
            next_look_ms: Arc::default(),
        })
    }

    /// Whether it is time to look; the next time is a minute later.
    fn may_look(&self, now_ms: u64) -> bool {
        let next = self.next_look_ms.load(Ordering::Relaxed);
        next <= now_ms
            && self
                .next_look_ms
                .compare_exchange(
                    next,
                    now_ms + LOOK_EVERY_MS,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    async fn fetch(&self) -> Result<String> {
        let text = fetch(&self.url, FETCH, MAX_BYTES).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The addresses and networks of a text; what is neither is passed over.
fn addresses(text: &str) -> Vec<String> {
    let lines = text.lines();
    let words = lines.filter_map(|line| line.split('#').next()?.split_whitespace().next());
    let mut found: Vec<String> = words
        .filter_map(lists::network)
        .take(MAX_ADDRESSES)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The next change of lists after this moment.
fn next_change(now_ms: u64) -> u64 {
    (now_ms + DAY_MS - HOUR_OF_CHANGE_MS) / DAY_MS * DAY_MS + HOUR_OF_CHANGE_MS
}

impl RateLimiter {
    /// Fetches the deny list of [`deny_feed`](super::RateLimiterBuilder::deny_feed) anew when it is
    /// time; whether it did.
    ///
    /// For after the answer, as [`record`](Self::record): one process of all fetches a day, at two in
    /// the morning UTC, and each looks once a minute at most. Without a feed it does nothing.
    ///
    /// # Errors
    /// The list is not there or holds no address: the one before stays, and another process tries
    /// again after half a minute. Or whatever the client returns.
    pub async fn refresh_deny_list(&self) -> Result<bool> {
        let Some(feed) = &self.0.policy.deny_list else {
            return Ok(false);
        };
        let now = self.0.clock.now_ms();
        if !feed.may_look(now) {
            return Ok(false);
        }
        let claim = SetOptions::new().nx().ex(CLAIM);
        let status = lists::status_key(&self.0.prefix);
        let claimed = self.0.redis.set_with(status, "pending", claim).await?;
        if !claimed.is_set() {
            return Ok(false);
        }
        let denied = addresses(&feed.fetch().await?);
        if denied.is_empty() {
            return Err(Error::protocol("the deny list holds no address"));
        }
        let valid = Duration::from_millis(next_change(now) - now);
        self.replace_denied_addresses(&denied, valid).await?;
        Ok(true)
    }

    /// Puts other addresses and networks in the place of those that were last put here.
    ///
    /// What [`deny`](Self::deny) added stays. `@upstash/ratelimit` does not fetch a list of its own
    /// while this one is valid.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for what is no address or network, or whatever the client returns.
    pub async fn replace_denied_addresses<S: AsRef<str>>(
        &self,
        addresses: &[S],
        valid: Duration,
    ) -> Result<()> {
        let redis = &self.0.redis;
        let prefix = &self.0.prefix;
        let (all, ours) = (lists::deny_key(prefix), lists::feed_key(prefix));
        let next = format!("{ours}:next");
        redis.del([&next]).await?;
        for chunk in addresses.chunks(CHUNK) {
            let chunk = chunk.iter().map(|address| {
                lists::network(address.as_ref())
                    .ok_or_else(|| Error::invalid_input("not an address or network"))
            });
            redis
                .sadd(&next, chunk.collect::<Result<Vec<_>>>()?)
                .await?;
        }
        let mut change = redis.transaction();
        let _ = change.expire(&next, 300);
        let _ = change.sdiffstore(&all, [&all, &ours]);
        let _ = change.sdiffstore(&ours, [&next, &all]);
        let _ = change.sunionstore(&all, [&all, &ours]);
        let _ = change.del([&next]);
        let until = SetOptions::new().ex(valid);
        let valid = change.set_with(lists::status_key(prefix), "valid", until);
        let _ = change.exec().await?.take(valid)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_line_by_line() {
        let text = "# a list\n203.0.113.9\t3\n198.51.100.0/24 # a network\n\n2001:DB8::1\nnonsense\n203.0.113.9\n";
        assert_eq!(
            addresses(text),
            ["198.51.100.0/24", "2001:db8::1", "203.0.113.9"]
        );
    }

    #[test]
    fn lists_change_at_two_in_the_morning() {
        let two = 1_800_000_000_000 / DAY_MS * DAY_MS + HOUR_OF_CHANGE_MS;
        assert_eq!(next_change(two), two + DAY_MS);
        assert_eq!(next_change(two - 1), two);
        assert_eq!(next_change(two + DAY_MS - 1), two + DAY_MS);
    }

    #[test]
    fn a_process_looks_once_a_minute() {
        let feed = DenyFeed::new("https://example.com/list.txt");
        assert!(feed.is_ok_and(|feed| {
            feed.may_look(5) && !feed.may_look(60_004) && feed.may_look(60_005)
        }));
        assert!(DenyFeed::new("file:///etc/passwd").is_err());
    }
}
