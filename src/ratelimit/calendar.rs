//! Days and months: their names and their ends, wherever midnight is.

use jiff::{Timestamp, civil::Date, tz::Offset};

use crate::{Error, Result};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: u64 = 3_600_000;

/// A period of the calendar, in UTC unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Calendar {
    unit: Unit,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Day,
    Month,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// Minutes ahead of UTC.
    Offset(i16),
    #[cfg(feature = "time-zones")]
    Zone(zone::Zone),
}

impl Calendar {
    /// Days from midnight to midnight.
    pub const DAY: Self = Self {
        unit: Unit::Day,
        place: Place::Offset(0),
    };
    /// Months from the first to the last day.
    pub const MONTH: Self = Self {
        unit: Unit::Month,
        place: Place::Offset(0),
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
        self.place = Place::Offset(minutes_ahead_of_utc);
        Ok(self)
    }

    /// Takes midnight of a time zone such as `Europe/Berlin`, daylight saving included.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is not in the
    /// [IANA database](https://www.iana.org/time-zones), and without the feature `time-zones`.
    pub fn in_zone(self, name: &str) -> Result<Self> {
        #[cfg(feature = "time-zones")]
        return Ok(Self {
            place: Place::Zone(zone::Zone::named(name)?),
            ..self
        });
        #[cfg(not(feature = "time-zones"))]
        Err(Error::invalid_input(format!(
            "the time zone {name:?} needs the feature `time-zones`"
        )))
    }

    /// No period is longer.
    pub(super) fn longest_ms(self) -> u64 {
        let days = match self.unit {
            Unit::Day => 1,
            Unit::Month => 31,
        };
        let change = match self.place {
            Place::Offset(_) => 0,
            #[cfg(feature = "time-zones")]
            Place::Zone(_) => HOUR_MS,
        };
        days * 24 * HOUR_MS + change
    }

    /// Whether both give their periods the same names.
    pub(super) fn is_named_like(self, other: Self) -> bool {
        self.unit == other.unit
    }

    /// The period's name and its end in unix milliseconds.
    pub(super) fn period(self, now_ms: u64) -> (String, u64) {
        let date = self.date(now_ms);
        let (year, month, day) = (date.year(), date.month(), date.day());
        let (name, next) = match self.unit {
            Unit::Day => (format!("{year:04}-{month:02}-{day:02}"), date.tomorrow()),
            Unit::Month => {
                let next = date.last_of_month().tomorrow();
                (format!("{year:04}-{month:02}"), next)
            }
        };
        (name, self.start_of(next.unwrap_or(Date::MAX)))
    }

    /// The period's start in unix milliseconds.
    pub(super) fn start(self, now_ms: u64) -> u64 {
        let date = self.date(now_ms);
        self.start_of(match self.unit {
            Unit::Day => date,
            Unit::Month => date.first_of_month(),
        })
    }

    fn date(self, now_ms: u64) -> Date {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        match self.place {
            Place::Offset(minutes) => {
                let local = now.saturating_add(i64::from(minutes) * MINUTE_MS);
                Timestamp::from_millisecond(local)
                    .map_or(Date::MAX, |at| Offset::UTC.to_datetime(at).date())
            }
            #[cfg(feature = "time-zones")]
            Place::Zone(zone) => zone.date(now),
        }
    }

    /// When a day starts.
    fn start_of(self, date: Date) -> u64 {
        let start = match self.place {
            Place::Offset(minutes) => Offset::UTC
                .to_timestamp(date.into())
                .map_or(i64::MAX, Timestamp::as_millisecond)
                .saturating_sub(i64::from(minutes) * MINUTE_MS),
            #[cfg(feature = "time-zones")]
            Place::Zone(zone) => zone.start_of(date),
        };
        start.max(0) as u64
    }
}

#[cfg(feature = "time-zones")]
mod zone {
    //! Time zones by name, over jiff.

    use std::sync::{Mutex, PoisonError};

    use jiff::{Timestamp, civil::Date, tz::TimeZone};

    use crate::{Error, Result};

    /// A named time zone; as many are kept as are named in the database at most.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct Zone(&'static TimeZone);

    static KNOWN: Mutex<Vec<&'static TimeZone>> = Mutex::new(Vec::new());

    impl Zone {
        pub(super) fn named(name: &str) -> Result<Self> {
            let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            let same = |zone: &&&TimeZone| {
                zone.iana_name()
                    .is_some_and(|known| known.eq_ignore_ascii_case(name))
            };
            if let Some(zone) = known.iter().find(same) {
                return Ok(Self(zone));
            }
            let zone = TimeZone::get(name).map_err(|_| {
                Error::invalid_input(format!("{name:?} is not a time zone of the IANA database"))
            })?;
            let zone: &'static TimeZone = Box::leak(Box::new(zone));
            known.push(zone);
            Ok(Self(zone))
        }

        pub(super) fn date(self, now_ms: i64) -> Date {
            Timestamp::from_millisecond(now_ms)
                .map_or(Date::MAX, |at| self.0.to_datetime(at).date())
        }

        /// When a day starts, in unix milliseconds; not always at midnight.
        pub(super) fn start_of(self, date: Date) -> i64 {
            let start = self.0.to_ambiguous_zoned(date.into()).compatible();
            start.map_or(i64::MAX, |start| start.timestamp().as_millisecond())
        }
    }

    impl PartialEq for Zone {
        fn eq(&self, other: &Self) -> bool {
            std::ptr::eq(self.0, other.0)
        }
    }
    impl Eq for Zone {}
    impl std::hash::Hash for Zone {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            std::ptr::hash(self.0, state);
        }
    }
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
        assert_eq!(Calendar::DAY.start(now), 1_709_164_800_000);
        assert_eq!(Calendar::MONTH.start(now), 1_706_745_600_000);
        let tokyo = Calendar::DAY.at_offset(9 * 60).unwrap();
        // 21:00 in Tokyo; midnight there is 15:00 UTC.
        assert_eq!(tokyo.period(now), ("2024-02-29".into(), 1_709_218_800_000));
        assert_eq!(
            Calendar::MONTH.period(0),
            ("1970-01".into(), 31 * 86_400_000)
        );
        assert!(Calendar::DAY.at_offset(2000).is_err());
    }

    #[cfg(feature = "time-zones")]
    mod zones {
        use proptest::prelude::*;

        use super::*;

        const HOUR: u64 = HOUR_MS;

        #[test]
        fn a_day_has_23_to_25_hours_where_clocks_are_changed() {
            let berlin = Calendar::DAY.in_zone("Europe/Berlin").unwrap();
            // 2024-03-30T23:00Z is midnight of the 31st, on which summer time starts.
            let spring = 1_711_839_600_000;
            assert_eq!(berlin.period(spring - 1), ("2024-03-30".into(), spring));
            assert_eq!(
                berlin.period(spring),
                ("2024-03-31".into(), spring + 23 * HOUR)
            );
            // 2024-10-26T22:00Z is midnight of the 27th, on which it ends.
            let autumn = 1_729_980_000_000;
            assert_eq!(
                berlin.period(autumn),
                ("2024-10-27".into(), autumn + 25 * HOUR)
            );
            let month = Calendar::MONTH.in_zone("Europe/Berlin").unwrap();
            assert_eq!(month.period(spring).1, 1_711_922_400_000);
            assert_eq!(month.longest_ms(), (31 * 24 + 1) * HOUR);
        }

        #[test]
        fn a_day_without_midnight_starts_an_hour_later() {
            let day = Calendar::DAY.in_zone("America/Sao_Paulo").unwrap();
            // On 2018-11-04 the clocks went from 23:59:59 to 01:00, which is 03:00Z.
            assert_eq!(
                day.period(1_541_300_400_000 - 1),
                ("2018-11-03".into(), 1_541_300_400_000)
            );
        }

        #[test]
        fn only_names_of_the_database_are_taken() {
            for wrong in ["", "Mars/Olympus", "../etc/passwd", "+02:00"] {
                assert!(Calendar::DAY.in_zone(wrong).is_err(), "{wrong}");
            }
            assert_eq!(
                Calendar::DAY.in_zone("asia/tokyo").unwrap(),
                Calendar::DAY.in_zone("Asia/Tokyo").unwrap()
            );
        }

        proptest! {
            #[test]
            fn periods_follow_each_other_without_gap(
                now in 0_u64..4_000_000_000_000,
                zone in proptest::sample::select(vec![
                    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu",
                    "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "Asia/Tehran",
                ]),
            ) {
                for calendar in [Calendar::DAY, Calendar::MONTH] {
                    let calendar = calendar.in_zone(zone).unwrap();
                    let (name, end) = calendar.period(now);
                    prop_assert!(calendar.start(now) <= now);
                    prop_assert_eq!(calendar.start(end), end);
                    prop_assert!(now < end && end - now <= calendar.longest_ms(), "{zone} {now} {end}");
                    prop_assert_eq!(&calendar.period(end - 1), &(name.clone(), end));
                    prop_assert!(calendar.period(end).0 > name);
                }
            }
        }
    }
}
