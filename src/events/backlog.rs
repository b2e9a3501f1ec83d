//! What waits: work of each subscriber, and dead letters.

use std::collections::BTreeMap;

use super::{Events, keys::unless_lost, subscribers::subscribers};
use crate::{Result, commands::StreamEntry, prelude::*};

/// Work or dead letters that wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// How many.
    pub waiting: u64,
    /// When the oldest came, unix milliseconds by the store's clock.
    pub oldest_ms: Option<u64>,
}

impl Backlog {
    fn of(waiting: u64, oldest: &[StreamEntry<()>]) -> Self {
        let ms = |entry: &StreamEntry<()>| entry.id.split('-').next()?.parse().ok();
        Self {
            waiting,
            oldest_ms: oldest.first().and_then(ms),
        }
    }
}

impl Events {
    /// What waits for each subscriber, in work or to be tried again.
    ///
    /// Two requests, however many subscribers there are.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn backlogs(&self) -> Result<BTreeMap<String, Backlog>> {
        let fields = self.redis.hgetall(self.keys.subscribers()).await;
        let names = subscribers(unless_lost(fields)?);
        let waiting = names.map(|(name, _)| async move {
            let backlog = self.waiting(&self.keys.work(&name)).await?;
            Ok((name, backlog))
        });
        futures_util::future::try_join_all(waiting)
            .await
            .map(BTreeMap::from_iter)
    }

    /// The dead letters.
    ///
    /// # Errors
    /// Whatever the client returns.
    pub async fn dead_letter_backlog(&self) -> Result<Backlog> {
        self.waiting(&self.keys.dead_letters()).await
    }

    async fn waiting(&self, stream: &str) -> Result<Backlog> {
        let (waiting, oldest) = futures_util::future::join(
            self.redis.xlen(stream).into_future(),
            self.redis
                .xrange::<()>(stream, "-", "+", Some(1))
                .into_future(),
        )
        .await;
        let waiting = unless_lost(waiting)?.unsigned_abs();
        Ok(Backlog::of(waiting, &unless_lost(oldest)?))
    }
}
