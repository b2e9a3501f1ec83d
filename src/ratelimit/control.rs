//! What is set and seen beside decisions: dynamic limits, lists, analytics.

use super::{
    analytics::{self, Usage},
    decision::Decision,
    limit::EXACT,
    limiter::RateLimiter,
    lists::{self, ListEntry},
    request::RateLimitRequest,
};
use crate::{
    Error, Result,
    commands::{GenericCommands as _, SetCommands as _, StringCommands as _},
};

impl RateLimiter {
    /// Sets what every identifier may use, `None` for the limiter's own; one limit only.
    ///
    /// # Errors
    /// Without [`dynamic_limits`](super::RateLimiterBuilder::dynamic_limits), for a limit of 2^53 and
    /// more, or whatever the client returns.
    pub async fn set_dynamic_limit(&self, limit: Option<u64>) -> Result<()> {
        self.set_override(format!("{}:dynamic:global", self.0.prefix), limit)
            .await?;
        self.0.blocks.lift_all();
        Ok(())
    }

    /// Sets what one identifier may use; wins over the one for all.
    ///
    /// # Errors
    /// As [`set_dynamic_limit`](Self::set_dynamic_limit).
    pub async fn set_dynamic_limit_of(&self, identifier: &str, limit: Option<u64>) -> Result<()> {
        let key = self.part(identifier)?;
        self.set_override(format!("{}:dynamic:of:{key}", self.0.prefix), limit)
            .await?;
        self.lift(&key);
        Ok(())
    }

    /// Sets what a group may use of its limits; wins over the one for all.
    ///
    /// # Errors
    /// As [`set_dynamic_limit`](Self::set_dynamic_limit).
    pub async fn set_dynamic_limit_of_group(&self, group: &str, limit: Option<u64>) -> Result<()> {
        let key = self.group_part(group)?;
        self.set_override(format!("{}:dynamic:of:{key}", self.0.prefix), limit)
            .await?;
        self.0.blocks.lift_all();
        Ok(())
    }

    async fn set_override(&self, key: String, limit: Option<u64>) -> Result<()> {
        if !self.0.policy.dynamic {
            return Err(Error::invalid_input(
                "build the limiter with dynamic_limits() first",
            ));
        }
        match limit {
            Some(EXACT..) => Err(Error::invalid_input("a dynamic limit is below 2^53")),
            Some(limit) => self.0.redis.set(key, limit).await,
            None => self.0.redis.del([key]).await.map(drop),
        }
    }

    /// The limit for every identifier that is set in the store.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn dynamic_limit(&self) -> Result<Option<u64>> {
        self.0
            .redis
            .get(format!("{}:dynamic:global", self.0.prefix))
            .await
    }

    /// Adds identifiers, addresses, networks, user agents or country codes to the deny list.
    ///
    /// A plain text matches any of them, as with `@upstash/ratelimit`; a [`ListEntry`] of a kind its
    /// own kind only. An identifier is denied in every organisation.
    ///
    /// # Errors
    /// A network that is not /8 to /32, or for IPv6 /16 to /128 in steps of four; what is empty or
    /// longer than 512 bytes; or whatever the client returns.
    pub async fn deny<E: Into<ListEntry>>(
        &self,
        entries: impl IntoIterator<Item = E>,
    ) -> Result<i64> {
        let key = lists::deny_key(&self.0.prefix);
        self.0.redis.sadd(key, members(entries)?).await
    }

    /// Adds entries to the allow list, which wins over the deny list and the limits.
    ///
    /// An entry matches its own kind only: a plain text is an address, a network or an identifier.
    ///
    /// # Errors
    /// As [`deny`](Self::deny).
    pub async fn allow<E: Into<ListEntry>>(
        &self,
        entries: impl IntoIterator<Item = E>,
    ) -> Result<i64> {
        let key = lists::allow_key(&self.0.prefix);
        let added = self.0.redis.sadd(key, members(entries)?).await;
        self.0.blocks.lift_all();
        added
    }

    /// Removes members from both lists.
    ///
    /// # Errors
    /// As [`deny`](Self::deny), of any length.
    pub async fn unlist<E: Into<ListEntry>>(
        &self,
        entries: impl IntoIterator<Item = E>,
    ) -> Result<()> {
        let entries = entries.into_iter().map(Into::into);
        let members: Vec<_> = entries
            .map(|entry| entry.written())
            .collect::<Result<_>>()?;
        let mut pipeline = self.0.redis.pipeline();
        let denied = pipeline.srem(lists::deny_key(&self.0.prefix), &members);
        let allowed = pipeline.srem(lists::allow_key(&self.0.prefix), &members);
        let mut replies = pipeline.exec().await?;
        self.0.blocks.lift_all();
        replies.take(denied)?;
        replies.take(allowed)?;
        Ok(())
    }

    /// Writes one decision to the analytics; await it after the answer, or beside other commands.
    ///
    /// Does nothing unless [`analytics`](super::RateLimiterBuilder::analytics) is on.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn record(&self, request: RateLimitRequest<'_>, decision: &Decision) -> Result<()> {
        if !self.0.policy.analytics {
            return Ok(());
        }
        analytics::record(
            &self.0.redis,
            &self.0.prefix,
            &analytics::name(&request),
            request.country,
            decision,
        )
        .await
    }

    /// What was allowed, refused and denied in the last hours.
    ///
    /// Reads the 10,000 busiest entries of each hour, a thousand in a request for all hours; an
    /// hour with more is marked as [truncated](super::UsageHour::truncated).
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn usage(&self, hours: u32) -> Result<Usage> {
        analytics::usage(&self.0.redis, &self.0.prefix, self.0.clock.now_ms(), hours).await
    }
}

/// Entries as lookups write them.
fn members<E: Into<ListEntry>>(entries: impl IntoIterator<Item = E>) -> Result<Vec<String>> {
    let entries = entries.into_iter().map(Into::into);
    entries.map(|entry| entry.member()).collect()
}
