//! Instants as RFC 3339 texts and as milliseconds since the Unix epoch.

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
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    let millis = time.map_or(Some(0), time_of_day)?;
    Some(days * 86_400_000 + millis)
}

/// The text of an instant, in UTC, with milliseconds only where there are any.
pub(crate) fn format(millis: i64) -> String {
    let (days, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
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
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
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

/// When the stretch of the calendar began that an instant lies in, in UTC.
pub(crate) fn start_of(millis: i64, unit: Unit) -> i64 {
    let days = millis.div_euclid(86_400_000);
    let (year, month, _) = civil_from_days(days);
    let days = match unit {
        Unit::Year => days_from_civil(year, 1, 1),
        Unit::Month => days_from_civil(year, month, 1),
        // The epoch was a Thursday.
        Unit::Week => days - (days + 3).rem_euclid(7),
    };
    days * 86_400_000
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

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && year % 100 != 0 || year % 400 == 0
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch in the Gregorian calendar, counted in eras of 400 years from March on.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
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
