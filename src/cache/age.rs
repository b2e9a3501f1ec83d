//! Lifetimes by the age of data: what is about today changes soon, what is about last year does not.

use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::keyspace::Lifetime;

/// Most steps of a table.
const MAX_STEPS: usize = 16;

/// How long values live by the age of the data in them, in days.
///
/// ```
/// use restis::cache::AgeTable;
/// use std::time::Duration;
///
/// let table = AgeTable::standard();
/// // 2026-01-31, 12:00 UTC, and reports that end on these days.
/// let noon = 1_769_860_800_000;
/// assert_eq!(table.lifetime("2026-01-31", 0, noon).fresh(), Duration::from_secs(15));
/// assert_eq!(table.lifetime("2026-01-28", 0, noon).fresh(), Duration::from_secs(60));
/// assert_eq!(table.lifetime("2026-01-24", 0, noon).fresh(), Duration::from_secs(180));
/// assert_eq!(table.lifetime("2026-01-23", 0, noon).fresh(), Duration::from_secs(600));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeTable {
    /// Oldest age of each step, in days, ascending.
    steps: Vec<(u32, Lifetime)>,
    older: Lifetime,
}

impl AgeTable {
    /// Data of today and later is fresh for 15 s and then stale for 45 s; up to 3 days old 60 s and
    /// 2 min; up to 7 days old 3 min and 5 min; older data 10 min and 30 min.
    pub fn standard() -> Self {
        let lifetime = |fresh, stale| {
            Lifetime::new(Duration::from_secs(fresh)).stale(Duration::from_secs(stale))
        };
        Self {
            steps: vec![
                (0, lifetime(15, 45)),
                (3, lifetime(60, 120)),
                (7, lifetime(180, 300)),
            ],
            older: lifetime(600, 1800),
        }
    }

    /// A table of one lifetime for all ages.
    pub fn new(older: Lifetime) -> Self {
        Self {
            steps: Vec::new(),
            older,
        }
    }

    /// Data that is at most so many days old lives for this time; at most 16 steps, more are left
    /// out.
    #[must_use]
    pub fn up_to_days(mut self, days: u32, lifetime: Lifetime) -> Self {
        let place = self.steps.partition_point(|(step, _)| *step < days);
        if self.steps.len() < MAX_STEPS {
            self.steps.insert(place, (days, lifetime));
        }
        self
    }

    /// The lifetime of data that is so many days old; negative for the future.
    pub fn of_days(&self, days: i64) -> Lifetime {
        let step = self.steps.iter().find(|(step, _)| days <= i64::from(*step));
        step.map_or(self.older, |(_, lifetime)| *lifetime)
    }

    /// The shortest lifetime, for data of an unknown age.
    fn shortest(&self) -> Lifetime {
        let all = self.steps.iter().map(|(_, lifetime)| *lifetime);
        all.fold(self.older, |shortest, one| {
            if one.fresh < shortest.fresh {
                one
            } else {
                shortest
            }
        })
    }

    /// The lifetime of data whose newest day is `newest`, written `2026-01-31`, where the day begins
    /// this many minutes before it does in UTC: that of a range of days is the one of its last.
    ///
    /// A text that is no date has the shortest lifetime.
    pub fn lifetime(&self, newest: &str, minutes_ahead_of_utc: i16, now_ms: u64) -> Lifetime {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let local = now.saturating_add(i64::from(minutes_ahead_of_utc) * 60_000);
        self.since(newest, TimeZone::UTC, local)
    }

    /// The same where the day begins by the clocks of a place such as `Europe/Zurich`, also on the
    /// days on which they are changed. Feature `time-zones`.
    ///
    /// A zone that is not known counts as UTC.
    #[cfg(feature = "time-zones")]
    pub fn lifetime_in(&self, newest: &str, zone: &str, now_ms: u64) -> Lifetime {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        self.since(newest, zone, now)
    }

    fn since(&self, newest: &str, zone: TimeZone, now_ms: i64) -> Lifetime {
        let today = Timestamp::from_millisecond(now_ms).map(|now| now.to_zoned(zone).date());
        match (parse_date(newest), today) {
            (Some(day), Ok(today)) => self.of_days(i64::from(
                day.until(today).map_or(0, |span| span.get_days()),
            )),
            _ => self.shortest(),
        }
    }
}

/// A date that is written `2026-01-31`.
fn parse_date(text: &str) -> Option<Date> {
    let shape = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    let is_date = text.len() == 10 && text.bytes().enumerate().all(shape);
    text.parse().ok().filter(|_| is_date)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_769_860_800_000; // 2026-01-31T12:00:00Z

    #[test]
    fn each_boundary_has_two_sides() {
        let table = AgeTable::standard();
        for (newest, fresh, stale) in [
            ("2026-02-03", 15, 45),
            ("2026-01-31", 15, 45),
            ("2026-01-30", 60, 120),
            ("2026-01-28", 60, 120),
            ("2026-01-27", 180, 300),
            ("2026-01-24", 180, 300),
            ("2026-01-23", 600, 1800),
            ("1999-12-31", 600, 1800),
            ("", 15, 45),
            ("2026-02-29", 15, 45),
            ("2026-1-1", 15, 45),
            ("20260123", 15, 45),
            ("2026-01-23T", 15, 45),
        ] {
            let lifetime = table.lifetime(newest, 0, NOON);
            let expected = (Duration::from_secs(fresh), Duration::from_secs(stale));
            assert_eq!((lifetime.fresh, lifetime.stale), expected, "{newest}");
        }
    }

    #[test]
    fn the_day_begins_where_the_property_is() {
        let table = AgeTable::standard();
        let fresh = |minutes, now| table.lifetime("2026-01-31", minutes, now).fresh.as_secs();
        let midnight = NOON + 12 * 3_600_000;
        assert_eq!((fresh(0, midnight - 1), fresh(0, midnight)), (15, 60));
        assert_eq!(
            (
                fresh(60, midnight - 3_600_001),
                fresh(60, midnight - 3_600_000)
            ),
            (15, 60)
        );
        assert_eq!(
            (fresh(-60, midnight), fresh(-60, midnight + 3_600_000)),
            (15, 60)
        );
    }

    #[cfg(feature = "time-zones")]
    #[test]
    fn days_of_23_and_25_hours_end_by_the_clocks_of_the_place() {
        let table = AgeTable::standard();
        let fresh = |day, zone, now| table.lifetime_in(day, zone, now).fresh.as_secs();
        // 2026-03-29 in Zurich is from 23:00 to 22:00 UTC, 2026-10-25 from 22:00 to 23:00 UTC.
        for (day, end) in [
            ("2026-03-29", 1_774_821_600_000),
            ("2026-10-25", 1_792_969_200_000),
        ] {
            assert_eq!(fresh(day, "Europe/Zurich", end - 1), 15, "{day}");
            assert_eq!(fresh(day, "Europe/Zurich", end), 60, "{day}");
        }
        assert_eq!(fresh("2026-01-31", "Nowhere/None", NOON), 15);
    }

    #[test]
    fn a_table_is_in_order_however_it_was_written() {
        let seconds = |n| Lifetime::new(Duration::from_secs(n));
        let table = AgeTable::new(seconds(100))
            .up_to_days(30, seconds(30))
            .up_to_days(1, seconds(1));
        let fresh = |days| table.of_days(days).fresh.as_secs();
        assert_eq!(
            [fresh(-5), fresh(1), fresh(2), fresh(30), fresh(31)],
            [1, 1, 30, 30, 100]
        );
    }
}
