//! What is limited: algorithm, amount and time.

use std::time::Duration;

use crate::{Error, Result};

/// The largest amount and window (ms) that stay exact in a Lua number.
const EXACT: u64 = 1 << 53;

/// One limit: how much in how much time, and how it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    pub(super) kind: Kind,
    /// What may be used: of a window, a bucket, a period.
    pub(super) amount: u64,
    pub(super) window_ms: u64,
    /// Token bucket: tokens of a refill. GCRA: the burst.
    pub(super) rate: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Fixed,
    Sliding,
    Bucket,
    Gcra,
    Calendar(Calendar),
}

/// A period of the calendar in UTC, moved by a fixed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Calendar {
    unit: Unit,
    offset_minutes: i16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Day,
    Month,
}

impl Calendar {
    /// Days from midnight to midnight.
    pub const DAY: Self = Self {
        unit: Unit::Day,
        offset_minutes: 0,
    };
    /// Months from the first to the last day.
    pub const MONTH: Self = Self {
        unit: Unit::Month,
        offset_minutes: 0,
    };

    /// Takes local midnight of a place that is this many minutes ahead of UTC.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) beyond ±18 hours.
    pub fn at_offset(mut self, minutes_ahead_of_utc: i16) -> Result<Self> {
        if minutes_ahead_of_utc.abs() > 18 * 60 {
            return Err(Error::invalid_input(
                "an offset from UTC is at most 18 hours",
            ));
        }
        self.offset_minutes = minutes_ahead_of_utc;
        Ok(self)
    }

    /// The period's name and its end in unix milliseconds.
    pub(super) fn period(self, now_ms: u64) -> (String, u64) {
        const DAY_MS: i64 = 86_400_000;
        let offset = i64::from(self.offset_minutes) * 60_000;
        let day = (now_ms as i64 + offset).div_euclid(DAY_MS);
        let (year, month, day_of_month) = civil(day);
        let (name, end_day) = match self.unit {
            Unit::Day => (format!("{year:04}-{month:02}-{day_of_month:02}"), day + 1),
            Unit::Month => {
                let (next_year, next_month) = if month == 12 {
                    (year + 1, 1)
                } else {
                    (year, month + 1)
                };
                (
                    format!("{year:04}-{month:02}"),
                    days_from_civil(next_year, next_month),
                )
            }
        };
        (name, (end_day * DAY_MS - offset).max(0) as u64)
    }
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Source: <https://howardhinnant.github.io/date_algorithms.html>.
fn civil(day: i64) -> (i64, i64, i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (
        yoe + era * 400 + i64::from(month <= 2),
        month,
        doy - (153 * mp + 2) / 5 + 1,
    )
}

/// The first day of a month, counted from 1970-01-01.
fn days_from_civil(year: i64, month: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
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
    /// As [`fixed_window`](Self::fixed_window), and for a burst of 0.
    pub fn gcra(amount_per_period: u64, period: Duration, burst: u64) -> Result<Self> {
        Self::new(
            Kind::Gcra,
            amount_per_period,
            period,
            amount("a burst", burst)?,
        )
    }

    /// `amount` in each day or month of the calendar.
    ///
    /// # Errors
    /// As [`fixed_window`](Self::fixed_window).
    pub fn calendar(quota: u64, calendar: Calendar) -> Result<Self> {
        let window_ms = match calendar.unit {
            Unit::Day => 86_400_000,
            Unit::Month => 31 * 86_400_000,
        };
        Ok(Self {
            kind: Kind::Calendar(calendar),
            amount: amount("a limit", quota)?,
            window_ms,
            rate: 0,
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
        })
    }

    /// The most that can be used at once.
    pub fn amount(&self) -> u64 {
        if self.kind == Kind::Gcra {
            self.rate
        } else {
            self.amount
        }
    }

    /// The window, interval or period; the longest month of a calendar.
    pub fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms)
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
    fn a_period_has_the_calendars_name_and_end() {
        // 2024-02-29T12:00:00Z, a leap day.
        let now = 1_709_208_000_000;
        assert_eq!(
            Calendar::DAY.period(now),
            ("2024-02-29".into(), 1_709_251_200_000)
        );
        assert_eq!(
            Calendar::MONTH.period(now),
            ("2024-02".into(), 1_709_251_200_000)
        );
        let tokyo = Calendar::DAY.at_offset(9 * 60).unwrap();
        // 21:00 in Tokyo; midnight there is 15:00 UTC.
        assert_eq!(tokyo.period(now), ("2024-02-29".into(), 1_709_218_800_000));
        assert_eq!(
            Calendar::MONTH.period(0),
            ("1970-01".into(), 31 * 86_400_000)
        );
        assert!(Calendar::DAY.at_offset(2000).is_err());
    }

    #[test]
    fn nothing_is_limited_to_zero_or_to_no_time() {
        assert!(Limit::fixed_window(0, Duration::from_secs(1)).is_err());
        assert!(Limit::fixed_window(1, Duration::from_micros(10)).is_err());
        assert!(Limit::token_bucket(0, Duration::from_secs(1), 5).is_err());
        assert!(Limit::gcra(1, Duration::from_secs(1), 0).is_err());
        assert!(Limit::fixed_window(u64::MAX, Duration::from_secs(1)).is_err());
    }
}
