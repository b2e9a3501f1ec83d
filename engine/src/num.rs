//! Numbers as Redis reads and writes them.

/// Reads an integer as strictly as Redis: no spaces, no `+`, no leading zeros.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    if negative {
        0i64.checked_sub_unsigned(value)
    } else {
        i64::try_from(value).ok()
    }
}

/// Reads a floating point number as C's `strtod` does, the whole text, no NaN.
pub(crate) fn parse_f64(text: &[u8]) -> Option<f64> {
    // Rust takes what C takes, less hexadecimal and more spellings of NaN.
    if text.is_empty() || text[0].is_ascii_whitespace() {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hex) = unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
    {
        let value = parse_hex(hex)?;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    let value: f64 = text.parse().ok()?;
    // C reports a range error for what is too large or too small, which Redis refuses.
    let digits = unsigned.split(['e', 'E']).next().unwrap_or_default();
    if value == 0.0 && digits.bytes().any(|digit| matches!(digit, b'1'..=b'9')) {
        return None;
    }
    let spelled = unsigned.starts_with(['i', 'I']);
    (!value.is_nan() && (spelled || value.is_finite())).then_some(value)
}

/// The infinity or zero that C's `strtod` makes of a number too large or too small for a double.
pub(crate) fn out_of_range(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let spelled = text.iter().any(|byte| matches!(byte, b'n' | b'N'));
    ((value.is_infinite() && !spelled) || value == 0.0).then_some(value)
}

fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0f64;
    for digit in whole.chars() {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let mut scale = 1.0f64;
    for digit in fraction.chars() {
        scale /= 16.0;
        value += f64::from(digit.to_digit(16)?) * scale;
    }
    let value = value * 2f64.powi(exponent);
    value.is_finite().then_some(value)
}

/// A buffer that holds the text of one floating point number.
#[derive(Debug)]
pub(crate) struct DoubleText {
    bytes: [u8; 40],
    len: usize,
}

impl DoubleText {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; 40],
            len: 0,
        }
    }

    /// The shortest text that reads back as `value`, in the layout of Redis 8.
    pub(crate) fn format(&mut self, value: f64) -> &[u8] {
        self.len = 0;
        if value.is_nan() {
            self.put(b"nan");
        } else if value.is_infinite() {
            self.put(if value < 0.0 { b"-inf" } else { b"inf" });
        } else if value == 0.0 {
            self.put(if value.is_sign_negative() {
                b"-0"
            } else {
                b"0"
            });
        } else if let Some(whole) = as_whole(value) {
            self.put(itoa::Buffer::new().format(whole).as_bytes());
        } else {
            self.shortest(value);
        }
        self.as_slice()
    }

    /// The text of the number formatted last.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn put(&mut self, text: &[u8]) {
        for &byte in text {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
    }

    fn zeros(&mut self, count: i32) {
        (0..count).for_each(|_| self.put(b"0"));
    }

    fn shortest(&mut self, value: f64) {
        let mut buffer = ryu::Buffer::new();
        let (digits, count, point) = digits_of(buffer.format_finite(value.abs()));
        let digits = &digits[..count];
        let count = count as i32;
        if value < 0.0 {
            self.put(b"-");
        }
        // value = digits * 10^point
        let exponent = point + count - 1;
        let magnitude = exponent.abs();
        if point >= 0 && magnitude < count + 7 {
            self.put(digits);
            self.zeros(point);
        } else if point < 0 && (point > -7 || magnitude < 4) {
            let split = count + point;
            if split <= 0 {
                self.put(b"0.");
                self.zeros(-split);
                self.put(digits);
            } else {
                self.put(&digits[..split as usize]);
                self.put(b".");
                self.put(&digits[split as usize..]);
            }
        } else {
            self.put(&digits[..1]);
            if count > 1 {
                self.put(b".");
                self.put(&digits[1..]);
            }
            self.put(if exponent < 0 { b"e-" } else { b"e+" });
            self.put(itoa::Buffer::new().format(magnitude).as_bytes());
        }
    }
}

/// The value as an integer when nothing is lost and Redis would print it so.
fn as_whole(value: f64) -> Option<i64> {
    const LIMIT: f64 = (i64::MAX / 2) as f64;
    if !(-LIMIT..=LIMIT).contains(&value) {
        return None;
    }
    let whole = value as i64;
    (whole as f64 == value).then_some(whole)
}

/// Splits a decimal text into its significant digits and the power of ten of the last one.
fn digits_of(text: &str) -> ([u8; 24], usize, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mut point: i32 = exponent.parse().unwrap_or(0);
    let mut digits = [0u8; 24];
    let mut count = 0;
    let mut fraction = false;
    for byte in mantissa.bytes() {
        if byte == b'.' {
            fraction = true;
            continue;
        }
        point -= i32::from(fraction);
        if (count > 0 || byte != b'0') && count < digits.len() {
            digits[count] = byte;
            count += 1;
        }
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
        point += 1;
    }
    (digits, count, point)
}

/// The text of a floating point number, allocated.
pub(crate) fn double_text(value: f64) -> String {
    String::from_utf8_lossy(DoubleText::new().format(value)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_strictly() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("+1", None),
            ("01", None),
            ("-0", None),
            ("-", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("1.0", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), wanted, "{text:?}");
        }
    }

    #[test]
    fn floats_are_laid_out_as_redis_8() {
        for (value, wanted) in [
            (0.1, "0.1"),
            (-0.0, "-0"),
            (3.0, "3"),
            (100_000_000.0, "100000000"),
            (1e17, "100000000000000000"),
            (1e19, "1e+19"),
            (1.5e300, "1.5e+300"),
            (1e-5, "0.00001"),
            (1e-7, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (0.000_123, "0.000123"),
            (123.456, "123.456"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
        ] {
            assert_eq!(double_text(value), wanted);
        }
    }

    #[test]
    fn floats_are_read_as_strtod_reads_them() {
        for (text, wanted) in [
            ("1e3", Some(1000.0)),
            ("+1", Some(1.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("nan", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("1e999", None),
            ("abc", None),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), wanted, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_float_survives_its_text(bits: u64) {
            let value = f64::from_bits(bits);
            proptest::prop_assume!(value.is_finite());
            proptest::prop_assert_eq!(double_text(value).parse::<f64>().ok(), Some(value));
        }

        #[test]
        fn an_integer_survives_its_text(value: i64) {
            proptest::prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
    }
}
