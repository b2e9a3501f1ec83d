//! Hints: what other processes invalidate, told by pub/sub; never needed for correctness.

use super::store::Cache;
use crate::{
    Result,
    commands::PubSubCommands as _,
    pubsub::{Message, SubscriptionEvent},
};

/// Most names of one hint; more are one that means all.
const MAX_NAMES: usize = 100;
/// Means all.
const ALL: &str = "*";

impl Cache {
    /// Follows what other processes invalidate and put, and forgets what this process
    /// [holds](super::Keyspace::local) of it at once instead of after its time; for processes that
    /// live long enough to listen, where those who invalidate have [`hints`](super::CacheConfig::hints).
    ///
    /// Runs until its future is dropped: spawn it. Hints that are lost cost nothing but that time;
    /// after a break of the connection everything that is held is forgotten.
    ///
    /// ```no_run
    /// # fn example(cache: restis::cache::Cache) {
    /// tokio::spawn(async move {
    ///     if let Err(error) = cache.follow_hints().await {
    ///         eprintln!("no hints: {error}");
    ///     }
    /// });
    /// # }
    /// ```
    ///
    /// # Errors
    /// What connecting again cannot mend, such as a refused token.
    pub async fn follow_hints(&self) -> Result<()> {
        let channel = self.channel();
        let mut events = self.0.redis.subscribe([channel]);
        while let Some(event) = events.next().await {
            match event? {
                SubscriptionEvent::Message(message) => self.take_hint(&message),
                // What came before, or meanwhile, was not heard.
                SubscriptionEvent::Subscribed { .. }
                | SubscriptionEvent::Lost(_)
                | SubscriptionEvent::Resumed => self.0.memory.forget_all(),
                SubscriptionEvent::Line(_) => {}
            }
        }
        Ok(())
    }

    fn take_hint(&self, message: &Message) {
        self.count("cache_hints", 1);
        let names = std::str::from_utf8(&message.payload).unwrap_or(ALL);
        if names == ALL {
            return self.0.memory.forget_all();
        }
        for name in names.split('\n').take(MAX_NAMES) {
            self.0.memory.invalidate(name);
        }
    }

    fn channel(&self) -> String {
        self.stored("#hints")
    }

    /// The channel of hints; empty without them.
    pub(super) fn hint_channel(&self) -> String {
        match self.0.config.hints {
            true => self.channel(),
            false => String::new(),
        }
    }

    /// Tells others of markers that have been replaced.
    pub(super) async fn hint(&self, markers: &[&str]) {
        if !self.0.config.hints {
            return;
        }
        let names = if markers.len() > MAX_NAMES {
            ALL.to_owned()
        } else {
            markers.join("\n")
        };
        // Those who do not hear it see it after their time.
        let _ = self.0.redis.publish(self.channel(), names).await;
    }
}
