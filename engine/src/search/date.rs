//! Instants as RFC 3339 texts and as milliseconds since the Unix epoch.

use jiff::{SignedDuration, civil::Date};

const EPOCH: Date = jiff::civil::date(1970, 1, 1);
const DAY: i64 = 86_400_000;

/// Milliseconds of a text such as `2026-01-10T10:00:00.5+01:00` or `2026-01-10`.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (
        number(parts.next()?, 4)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    let millis = time.map_or(Some(0), time_of_day)?;
    Some(midnight(date) + millis)
}

/// The text of an instant, in UTC, with milliseconds only where there are any; the number of an
/// instant beyond the years that RFC 3339 has.
pub(crate) fn format(millis: i64) -> String {
    let Some(date) = date_of(millis).filter(|date| date.year() >= 0) else {
        return millis.to_string();
    };
    let rest = millis.rem_euclid(DAY);
    let (hour, minute, second, fraction) = (
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1000 % 60,
        rest % 1000,
    );
    let fraction = if fraction == 0 {
        String::new()
    } else {
        format!(".{fraction:03}")
    };
    format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// A stretch of the calendar.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Year,
    Month,
    /// From Monday on.
    Week,
}

impl Unit {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "year" => Some(Self::Year),
            "month" => Some(Self::Month),
            "week" => Some(Self::Week),
            _ => None,
        }
    }
}

/// When the stretch of the calendar began that an instant lies in, in UTC; an instant beyond the
/// calendar is a stretch of its own.
pub(crate) fn start_of(millis: i64, unit: Unit) -> i64 {
    let Some(date) = date_of(millis) else {
        return millis;
    };
    let first = match unit {
        Unit::Year => date.first_of_year(),
        Unit::Month => date.first_of_month(),
        Unit::Week => {
            let weekday = date.weekday().to_monday_zero_offset();
            date.saturating_sub(SignedDuration::from_hours(24 * i64::from(weekday)))
        }
    };
    midnight(first)
}

/// The day of an instant, in UTC.
fn date_of(millis: i64) -> Option<Date> {
    let days = SignedDuration::from_hours(24 * millis.div_euclid(DAY));
    EPOCH.checked_add(days).ok()
}

/// When a day begins, in UTC.
fn midnight(date: Date) -> i64 {
    date.duration_since(EPOCH).as_secs() * 1000
}

fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Milliseconds of `10:00:00.5Z`; the offset is subtracted.
fn time_of_day(text: &str) -> Option<i64> {
    let zone = text.find(['Z', 'z', '+', '-']);
    let (clock, offset) = text.split_at(zone.unwrap_or(text.len()));
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (second, fraction) = match parts.next().unwrap_or("00").split_once('.') {
        Some((second, fraction)) => (second, fraction),
        None => (parts_second(clock), ""),
    };
    let second = number(second, 2)?;
    if hour > 23 || minute > 59 || second > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let offset = match offset {
        "" | "Z" | "z" => 0,
        signed => {
            let (hours, minutes) = signed.get(1..)?.split_once(':')?;
            let minutes = number(hours, 2)? * 60 + number(minutes, 2)?;
            if signed.starts_with('-') {
                -minutes
            } else {
                minutes
            }
        }
    };
    Some(((hour * 60 + minute - offset) * 60 + second) * 1000 + millis)
}

/// The seconds of a clock without a fraction; `00` if it has none.
fn parts_second(clock: &str) -> &str {
    clock.splitn(3, ':').nth(2).unwrap_or("00")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instants_are_read() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-01-10T10:00:00.000Z", Some(1_768_039_200_000)),
            ("2026-01-10T11:00:00.25+01:00", Some(1_768_039_200_250)),
            ("2026-01-10", Some(1_768_003_200_000)),
            ("2026-01-10T10:00Z", Some(1_768_039_200_000)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-01-10T25:00:00Z", None),
            ("tomorrow", None),
            ("2026-01-10T10:00:00.-5Z", None),
            ("", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn stretches_of_the_calendar_begin_where_they_do() {
        let at = |text| parse(text).unwrap();
        for (unit, text, wanted) in [
            (Unit::Year, "2024-02-29T12:00:00Z", "2024-01-01"),
            (Unit::Month, "2024-02-29T23:59:59.999Z", "2024-02-01"),
            (Unit::Week, "2024-02-29", "2024-02-26"),
            (Unit::Week, "2024-02-26", "2024-02-26"),
            (Unit::Week, "2024-02-25T23:59:59Z", "2024-02-19"),
            (Unit::Week, "1969-12-31T23:59:59Z", "1969-12-29"),
        ] {
            assert_eq!(start_of(at(text), unit), at(wanted), "{text} {unit:?}");
        }
        for millis in [i64::MIN, i64::MAX] {
            assert_eq!(start_of(millis, Unit::Week), millis);
            assert_eq!(format(millis), millis.to_string());
        }
    }

    proptest! {
        #[test]
        fn a_formatted_instant_reads_back(millis in -62_135_596_800_000i64..253_402_300_800_000) {
            prop_assert_eq!(parse(&format(millis)), Some(millis));
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:+.\\- é]{0,30}") {
            let _ = parse(&text);
        }
    }
}
