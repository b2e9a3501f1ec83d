//! What is limited: algorithm, amount and time.

use std::time::Duration;

use super::{calendar::Calendar, decision::LimitState};
use crate::{Error, Result};

/// The largest amount and window (ms) that stay exact in a Lua number.
pub(super) const EXACT: u64 = 1 << 53;

/// One limit: how much in how much time, and how it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    pub(super) kind: Kind,
    /// What may be used: of a window, a bucket, a period.
    pub(super) amount: u64,
    pub(super) window_ms: u64,
    /// Token bucket: tokens of a refill. GCRA: the burst.
    pub(super) rate: u64,
    /// Whether a group counts in it together.
    pub(super) per_group: bool,
    /// How many limits of the same decision before it would count in the same key.
    pub(super) ordinal: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Fixed,
    Sliding,
    Bucket,
    Gcra,
    Calendar(Calendar),
}

impl Limit {
    /// `amount` in each window; windows are aligned to the unix epoch.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an amount of 0 or above 2^53,
    /// or a window under a millisecond or over 2^53.
    pub fn fixed_window(amount: u64, window: Duration) -> Result<Self> {
        Self::new(Kind::Fixed, amount, window, 0)
    }

    /// `amount` in a window that slides: the previous window counts by its share.
    ///
    /// # Errors
    /// As [`fixed_window`](Self::fixed_window).
    pub fn sliding_window(amount: u64, window: Duration) -> Result<Self> {
        Self::new(Kind::Sliding, amount, window, 0)
    }

    /// A bucket of `capacity` tokens, refilled by `refill` tokens after each interval.
    ///
    /// # Errors
    /// As [`fixed_window`](Self::fixed_window), and for a refill of 0.
    pub fn token_bucket(refill: u64, interval: Duration, capacity: u64) -> Result<Self> {
        Self::new(
            Kind::Bucket,
            capacity,
            interval,
            amount("a refill", refill)?,
        )
    }

    /// `amount` in a period, evenly, with up to `burst` at once.
    ///
    /// # Errors
    /// As [`fixed_window`](Self::fixed_window), for a burst of 0, and for one that takes 2^53 ms and
    /// more to come back.
    pub fn gcra(amount_per_period: u64, period: Duration, burst: u64) -> Result<Self> {
        let burst = amount("a burst", burst)?;
        let limit = Self::new(Kind::Gcra, amount_per_period, period, burst)?;
        if limit.refill_ms() >= EXACT {
            return Err(Error::invalid_input("a burst comes back within 2^53 ms"));
        }
        Ok(limit)
    }

    /// `amount` in each day or month of the calendar.
    ///
    /// # Errors
    /// As [`fixed_window`](Self::fixed_window).
    pub fn calendar(quota: u64, calendar: Calendar) -> Result<Self> {
        Ok(Self {
            kind: Kind::Calendar(calendar),
            amount: amount("a limit", quota)?,
            window_ms: calendar.longest_ms(),
            rate: 0,
            per_group: false,
            ordinal: 0,
        })
    }

    fn new(kind: Kind, quota: u64, window: Duration, rate: u64) -> Result<Self> {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        if !(1..EXACT).contains(&window_ms) {
            return Err(Error::invalid_input(
                "a window is at least one millisecond and at most 2^53",
            ));
        }
        Ok(Self {
            kind,
            amount: amount("a limit", quota)?,
            window_ms,
            rate,
            per_group: false,
            ordinal: 0,
        })
    }

    /// Makes all identifiers of a [group](super::RateLimitRequest::group) share it, such as the users of an
    /// organisation.
    #[must_use]
    pub fn per_group(mut self) -> Self {
        self.per_group = true;
        self
    }

    /// Whether a group shares it.
    pub fn is_per_group(&self) -> bool {
        self.per_group
    }

    /// The most that can be used at once.
    pub fn amount(&self) -> u64 {
        if self.kind == Kind::Gcra {
            self.rate
        } else {
            self.amount
        }
    }

    /// The window, interval or period; the longest day or month of a calendar.
    pub fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
    }

    /// Whether both would count in the same key.
    fn shares_key_with(&self, other: &Self) -> bool {
        use Kind::{Bucket, Calendar, Fixed, Gcra, Sliding};
        self.per_group == other.per_group
            && match (self.kind, other.kind) {
                (Fixed | Sliding, Fixed | Sliding) => self.window_ms == other.window_ms,
                (Bucket, Bucket) => true,
                (Gcra, Gcra) => (self.window_ms, self.amount) == (other.window_ms, other.amount),
                (Calendar(one), Calendar(other)) => one.is_named_like(other),
                _ => false,
            }
    }

    /// Numbers the limits that would share a key, so that every one gets keys of its own.
    pub(super) fn number_shared_keys(limits: &mut [Self]) {
        for at in 0..limits.len() {
            let (before, rest) = limits.split_at_mut(at);
            if let Some(limit) = rest.first_mut() {
                let same = before.iter().filter(|other| limit.shares_key_with(other));
                limit.ordinal = u8::try_from(same.count()).unwrap_or(u8::MAX);
            }
        }
    }

    /// Whether the key of one identifier can be that of another: a bucket's key is the identifier
    /// alone, a window's has the window's number behind it.
    pub(super) fn can_meet(limits: &[Self]) -> bool {
        let has = |is: fn(&Kind) -> bool| limits.iter().any(|limit| is(&limit.kind));
        has(|kind| matches!(kind, Kind::Bucket))
            && has(|kind| matches!(kind, Kind::Fixed | Kind::Sliding | Kind::Calendar(_)))
    }

    /// When there is more than is left now.
    pub(crate) fn more_at_ms(&self, state: &LimitState) -> u64 {
        if self.kind != Kind::Gcra {
            return state.reset_ms;
        }
        // One comes back at a time; the state tells when all are back.
        let missing = state.limit.saturating_sub(state.remaining + 1);
        let step = self.window_ms as f64 / self.amount as f64;
        state
            .reset_ms
            .saturating_sub((missing as f64 * step) as u64)
    }

    /// In which time all of it comes back.
    pub(crate) fn refill_ms(&self) -> u64 {
        match self.kind {
            Kind::Fixed | Kind::Sliding | Kind::Calendar(_) => self.window_ms,
            Kind::Bucket => self
                .amount
                .div_ceil(self.rate)
                .saturating_mul(self.window_ms),
            Kind::Gcra => {
                let all = u128::from(self.window_ms) * u128::from(self.rate);
                u64::try_from(all.div_ceil(u128::from(self.amount))).unwrap_or(u64::MAX)
            }
        }
    }

    pub(super) fn letter(&self) -> &'static str {
        match self.kind {
            Kind::Fixed => "F",
            Kind::Sliding => "S",
            Kind::Bucket => "T",
            Kind::Gcra => "G",
            Kind::Calendar(_) => "C",
        }
    }
}

fn amount(what: &'static str, n: u64) -> Result<u64> {
    if (1..EXACT).contains(&n) {
        return Ok(n);
    }
    Err(Error::invalid_input(format!(
        "{what} is at least 1 and at most 2^53"
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn nothing_is_limited_to_zero_or_to_no_time() {
        assert!(Limit::fixed_window(0, Duration::from_secs(1)).is_err());
        assert!(Limit::fixed_window(1, Duration::from_micros(10)).is_err());
        assert!(Limit::token_bucket(0, Duration::from_secs(1), 5).is_err());
        assert!(Limit::gcra(1, Duration::from_secs(1), 0).is_err());
        assert!(Limit::gcra(1, Duration::from_secs(1), 1 << 50).is_err());
        assert!(Limit::fixed_window(u64::MAX, Duration::from_secs(1)).is_err());
    }
}
