//! Webhooks as subscribers: one tick delivers what waits.

use std::time::Duration;

use super::{
    Endpoint, Events, Settle, TypeFilter, WebhookClient, WebhookOutcome, keys::check_scope,
};
use crate::{
    Result,
    transport::time::{self, Instant},
};

/// A tick does not begin a delivery with less time left.
const LEAST: Duration = Duration::from_millis(500);
/// Longer than a delivery takes: what a tick that died held is delivered again after it.
const LEASE: Duration = Duration::from_secs(60);

/// An endpoint that gets the events of some types.
#[derive(Debug, Clone)]
pub struct Hook {
    name: String,
    types: TypeFilter,
    endpoint: Endpoint,
}

/// What one tick did for one endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Accepted by the receiver.
    pub delivered: u64,
    /// To be tried again later.
    pub retried: u64,
    /// Given up: see the dead letters.
    pub dead: u64,
    /// The endpoint failed too often; it is left alone for this long.
    pub paused: Option<Duration>,
}

impl Hook {
    /// An endpoint as a subscriber with this name.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for the name.
    pub fn new(name: impl Into<String>, types: TypeFilter, endpoint: Endpoint) -> Result<Self> {
        let name = name.into();
        check_scope(&name)?;
        Ok(Self {
            name,
            types,
            endpoint,
        })
    }

    /// The subscriber's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Events {
    /// Delivers what waits for an endpoint, one event after the other, until a time.
    ///
    /// The first call registers the endpoint: events are kept for it from then on. Calls may
    /// overlap, in one process or several; each event is delivered at least once.
    ///
    /// # Errors
    /// The store's error; what was delivered then may be delivered again.
    pub async fn deliver(
        &self,
        hook: &Hook,
        client: &WebhookClient,
        until: Instant,
    ) -> Result<Delivered> {
        self.register(&hook.name, &hook.types).await?;
        let breaker = self.endpoint_breaker(hook.endpoint.url());
        let worker = self.worker(&hook.name, "webhooks")?.lease(LEASE);
        let mut done = Delivered::default();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left < LEAST {
                return Ok(done);
            }
            done.paused = breaker.ask().await;
            if done.paused.is_some() {
                return Ok(done);
            }
            let (mut work, unreadable) = worker.receive_readable(1).await?;
            done.dead += unreadable;
            let Some(work) = work.pop() else {
                return Ok(done);
            };
            let now_s = self.clock.now_ms() / 1000;
            let delivery = hook.endpoint.deliver(client, &work.event, now_s);
            let delivery = Box::pin(async {
                let outcome = time::timeout(left, delivery).await;
                outcome.unwrap_or_else(|| WebhookOutcome::Retry {
                    after: None,
                    why: "no answer in time".into(),
                })
            });
            let failed = |outcome: &WebhookOutcome| match outcome {
                WebhookOutcome::Delivered => None,
                WebhookOutcome::Retry { .. } => Some("retry"),
                WebhookOutcome::Gone(_) => Some("gone"),
            };
            let metrics = self.redis.metrics();
            let outcome = metrics.measure("events_deliver", delivery, failed).await;
            breaker
                .tell(
                    &work.event,
                    !matches!(outcome, WebhookOutcome::Retry { .. }),
                )
                .await;
            let last = work.deliveries >= worker.most_deliveries();
            let (count, settle) = match outcome {
                WebhookOutcome::Delivered => (&mut done.delivered, Settle::Done),
                WebhookOutcome::Retry { after, why } => {
                    let count = if last {
                        &mut done.dead
                    } else {
                        &mut done.retried
                    };
                    (count, Settle::Later(after.unwrap_or_default(), why))
                }
                WebhookOutcome::Gone(why) => (&mut done.dead, Settle::Dead("gone".into(), why)),
            };
            *count += 1;
            worker.settle(&work, settle).await?;
        }
    }
}
