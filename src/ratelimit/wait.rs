//! Waiting for a limit.

use std::time::Duration;

use super::{decision::Decision, limiter::RateLimiter, request::RateLimitRequest};
use crate::{Result, transport::time};

/// The most that a wait is stretched by, so that those who wait do not come back in step.
const SPREAD: Duration = Duration::from_millis(250);

impl RateLimiter {
    /// Asks again after the exact wait until it is allowed, or until the answer would come too late.
    ///
    /// Returns the last decision: a refusal at once when its wait is longer than what is left of
    /// `patience`, when the cost never fits, and for callers on a deny list. Waits are stretched by
    /// up to a tenth, 250 ms at most. Needs a Tokio runtime; elsewhere the first decision is final.
    ///
    /// # Errors
    /// As [`limit`](Self::limit).
    pub async fn wait(
        &self,
        request: RateLimitRequest<'_>,
        patience: Duration,
    ) -> Result<Decision> {
        let end = time::after(time::Instant::now(), patience);
        loop {
            let decision = self.decide(request).await?;
            let Some(wait) = decision.retry_after().filter(|_| !decision.is_allowed()) else {
                return Ok(decision);
            };
            let wait = wait + (wait / 10).min(SPREAD).mul_f64(time::random());
            let left = end.saturating_duration_since(time::Instant::now());
            let Some(sleep) = time::sleep_until(time::after(time::Instant::now(), wait)) else {
                return Ok(decision);
            };
            if wait > left {
                return Ok(decision);
            }
            sleep.await;
        }
    }
}
