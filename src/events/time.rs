//! Times as events carry them: RFC 3339.

use jiff::{civil::Date, tz::Offset};

const LONGEST: usize = 40;

/// The unix time of an RFC 3339 text in milliseconds; `None` when it is none, or before 1970.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc3339#section-5.6>.
pub fn parse_time(text: &str) -> Option<u64> {
    unix_ms(text).and_then(|ms| u64::try_from(ms).ok())
}

pub(super) fn is_time(text: &str) -> bool {
    unix_ms(text).is_some()
}

fn seconds(hours: i16, minutes: i16) -> i64 {
    i64::from(hours) * 3600 + i64::from(minutes) * 60
}

fn unix_ms(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() > LONGEST || !text.is_ascii() {
        return None;
    }
    let number = |from: usize, len: usize| -> Option<i16> {
        let digits = text.get(from..from + len)?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|b| any.contains(b));
    let shape = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    // 60 is a leap second.
    if !shape || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let date = Date::new(year, month as i8, day as i8).ok()?;
    let midnight = Offset::UTC.to_timestamp(date.into()).ok()?.as_second();
    let mut rest = text.get(19..)?;
    let mut ms = 0_i64;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, after) = fraction.split_at(digits);
        if digits.is_empty() {
            return None;
        }
        ms = format!("{digits:0<3}").get(..3)?.parse().ok()?;
        rest = after;
    }
    let offset = match rest.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 && zone[2] == b':' => {
            let start = text.len() - 5;
            let (hours, minutes) = (number(start, 2)?, number(start + 3, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = seconds(hours, minutes);
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = midnight + seconds(hour, minute) + i64::from(second) - offset;
    Some(seconds * 1000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_fractions_and_zones() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.5Z", 500),
            ("2000-02-29t12:00:00.123456z", 951_825_600_123),
            ("2026-11-21T01:34:46+01:00", 1_795_221_286_000),
            ("2026-11-21 00:34:46Z", 1_795_221_286_000),
            ("2026-11-20T20:04:46-04:30", 1_795_221_286_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] {
            assert_eq!(parse_time(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T01:34:46",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00+25:00",
            "2026-1-01T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-01T00:00:00Zz",
            "2026-01-01T00:00:00é",
            &"9".repeat(100),
        ] {
            assert_eq!(parse_time(text), None, "{text}");
            assert_eq!(is_time(text), text.starts_with("1969"), "{text}");
        }
    }
}
