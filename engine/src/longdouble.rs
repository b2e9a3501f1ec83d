//! Floating point with the 64-bit mantissa of C's `long double` on x86.
//!
//! INCRBYFLOAT and HINCRBYFLOAT add in this format and print 17 decimals, which is why Redis says
//! that 0.1 + 0.2 is 0.3. Values are exact: parsing, addition and printing round once each.

use std::cmp::Ordering;
use std::fmt::Write as _;

/// The power of two above which a value counts as infinite.
const MAX_EXPONENT: i64 = 16384;
/// Decimals of the human format.
const DECIMALS: u32 = 17;

/// `mantissa * 2^exponent`, the mantissa's top bit set unless it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongDouble {
    negative: bool,
    mantissa: u64,
    exponent: i64,
}

/// An unsigned integer of any size, least significant limb first, no leading zero limbs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Big(Vec<u64>);

impl Big {
    fn new(value: u64) -> Self {
        Self(if value == 0 { Vec::new() } else { vec![value] })
    }

    fn trim(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn bits(&self) -> i64 {
        self.0.last().map_or(0, |top| {
            self.0.len() as i64 * 64 - i64::from(top.leading_zeros())
        })
    }

    fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = u128::from(addend);
        for limb in &mut self.0 {
            let wide = u128::from(*limb) * u128::from(factor) + carry;
            *limb = wide as u64;
            carry = wide >> 64;
        }
        if carry > 0 {
            self.0.push(carry as u64);
        }
    }

    /// Divides in place; returns the remainder.
    fn divide(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0u128;
        for limb in self.0.iter_mut().rev() {
            let wide = (remainder << 64) | u128::from(*limb);
            *limb = (wide / u128::from(divisor)) as u64;
            remainder = wide % u128::from(divisor);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        remainder as u64
    }

    fn shift_left(&self, bits: u64) -> Self {
        if self.0.is_empty() {
            return self.clone();
        }
        let (limbs, bits) = ((bits / 64) as usize, bits % 64);
        let mut out = vec![0; limbs];
        let mut carry = 0;
        for &limb in &self.0 {
            out.push((limb << bits) | carry);
            carry = if bits == 0 { 0 } else { limb >> (64 - bits) };
        }
        out.push(carry);
        Self(out).trim()
    }

    /// Drops low bits; the second value is how what was dropped compares to a half.
    fn shift_right(&self, bits: u64) -> (Self, Ordering) {
        if bits == 0 {
            return (self.clone(), Ordering::Less);
        }
        let bit = |at: u64| {
            self.0
                .get((at / 64) as usize)
                .is_some_and(|limb| limb >> (at % 64) & 1 == 1)
        };
        let lower = (0..bits - 1).rev().any(bit);
        let dropped = match (bit(bits - 1), lower) {
            (true, true) => Ordering::Greater,
            (true, false) => Ordering::Equal,
            (false, _) => Ordering::Less,
        };
        let (limbs, shift) = ((bits / 64) as usize, bits % 64);
        let kept = self.0.get(limbs..).unwrap_or_default();
        let out = (0..kept.len())
            .map(|at| {
                let high = kept.get(at + 1).copied().unwrap_or(0);
                if shift == 0 {
                    kept[at]
                } else {
                    (kept[at] >> shift) | (high << (64 - shift))
                }
            })
            .collect();
        (Self(out).trim(), dropped)
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.0
            .len()
            .cmp(&other.0.len())
            .then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn add(&self, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.0.len().max(other.0.len()) + 1);
        let mut carry = 0u128;
        for at in 0..self.0.len().max(other.0.len()) {
            let limb = |big: &Self| u128::from(big.0.get(at).copied().unwrap_or(0));
            let wide = limb(self) + limb(other) + carry;
            out.push(wide as u64);
            carry = wide >> 64;
        }
        out.push(carry as u64);
        Self(out).trim()
    }

    /// `self - other`, which is not larger.
    fn subtract(&self, other: &Self) -> Self {
        let mut borrow = false;
        let out = self
            .0
            .iter()
            .enumerate()
            .map(|(at, &limb)| {
                let (value, first) = limb.overflowing_sub(other.0.get(at).copied().unwrap_or(0));
                let (value, second) = value.overflowing_sub(u64::from(borrow));
                borrow = first || second;
                value
            })
            .collect();
        Self(out).trim()
    }

    fn power_of_ten(exponent: u32) -> Self {
        let mut out = Self::new(1);
        for _ in 0..exponent / 19 {
            out.multiply_add(10u64.pow(19), 0);
        }
        out.multiply_add(10u64.pow(exponent % 19), 0);
        out
    }

    fn decimal(mut self) -> String {
        let mut groups = Vec::new();
        while !self.0.is_empty() {
            groups.push(self.divide(10u64.pow(19)));
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        for group in groups.iter().rev() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{group:019}");
        }
        text
    }
}

impl LongDouble {
    pub(crate) const ZERO: Self = Self {
        negative: false,
        mantissa: 0,
        exponent: 0,
    };

    /// The largest number.
    pub(crate) const MAX: Self = Self {
        negative: false,
        mantissa: u64::MAX,
        exponent: MAX_EXPONENT - 64,
    };

    /// The number with the other sign.
    pub(crate) fn negate(self) -> Self {
        Self {
            negative: !self.negative,
            ..self
        }
    }

    /// How two numbers are ordered; zero has no sign.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        let size = |number: Self| (number.exponent, number.mantissa);
        let sign = |number: Self| match number {
            Self { mantissa: 0, .. } => 0,
            Self { negative: true, .. } => -1,
            _ => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => size(self).cmp(&size(other)),
            _ => size(other).cmp(&size(self)),
        })
    }

    /// `value * 2^exponent`, rounded to 64 bits; `sticky`: a bit more than that. `None`: infinite.
    fn round(negative: bool, value: &Big, exponent: i64, sticky: bool) -> Option<Self> {
        let excess = value.bits() - 64;
        if value.0.is_empty() {
            return Some(Self {
                negative,
                ..Self::ZERO
            });
        }
        let (kept, dropped) = if excess > 0 {
            value.shift_right(excess as u64)
        } else {
            (value.shift_left(-excess as u64), Ordering::Less)
        };
        let mut mantissa = kept.0.first().copied().unwrap_or(0);
        let mut exponent = exponent + excess;
        let up = match dropped {
            Ordering::Greater => true,
            Ordering::Equal => sticky || mantissa & 1 == 1,
            Ordering::Less => false,
        };
        if up {
            mantissa = mantissa.wrapping_add(1);
            if mantissa == 0 {
                mantissa = 1 << 63;
                exponent += 1;
            }
        }
        (exponent + 64 <= MAX_EXPONENT).then_some(Self {
            negative,
            mantissa,
            exponent,
        })
    }

    /// Reads a decimal number, the whole text. Infinities are not taken.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.len() > 512 {
            return None;
        }
        if let [b'0', b'x' | b'X', hex @ ..] = text {
            let mut value = Big::new(0);
            for &byte in hex {
                let digit = u64::from(char::from(byte).to_digit(16)?);
                if value.0.is_empty() {
                    value = Big::new(digit);
                } else {
                    value.multiply_add(16, digit);
                }
            }
            return (!hex.is_empty()).then(|| Self::round(negative, &value, 0, false))?;
        }
        let split = text
            .iter()
            .position(|byte| matches!(byte, b'e' | b'E'))
            .unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at(split);
        let mut power = match exponent {
            [] => 0,
            [_, digits @ ..] => std::str::from_utf8(digits).ok()?.parse::<i64>().ok()?,
        };
        let mut digits = Big::new(0);
        let (mut point, mut seen) = (false, false);
        for &byte in mantissa {
            match byte {
                b'.' if !point => point = true,
                b'0'..=b'9' => {
                    seen = true;
                    power = power.checked_sub(i64::from(point))?;
                    let digit = u64::from(byte - b'0');
                    if digits.0.is_empty() {
                        digits = Big::new(digit);
                    } else {
                        digits.multiply_add(10, digit);
                    }
                }
                _ => return None,
            }
        }
        if !seen {
            return None;
        }
        if digits.0.is_empty() {
            return Some(Self {
                negative,
                ..Self::ZERO
            });
        }
        if power > 5000 {
            return None;
        }
        if power < -5500 {
            return Some(Self {
                negative,
                ..Self::ZERO
            });
        }
        let scale = Big::power_of_ten(power.unsigned_abs() as u32);
        if power >= 0 {
            return Self::round(negative, &multiply(&digits, &scale), 0, false);
        }
        let (quotient, shift, sticky) = quotient(&digits, &scale);
        Self::round(negative, &quotient, -shift, sticky)
    }

    /// The sum; `None`: infinite.
    pub(crate) fn add(self, other: Self) -> Option<Self> {
        if self.mantissa == 0 {
            return Some(other);
        }
        if other.mantissa == 0 {
            return Some(self);
        }
        let (high, low) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        let shift = (high.exponent - low.exponent) as u64;
        if shift > 130 {
            return Some(high);
        }
        let a = Big::new(high.mantissa).shift_left(shift);
        let b = Big::new(low.mantissa);
        if high.negative == low.negative {
            return Self::round(high.negative, &a.add(&b), low.exponent, false);
        }
        match a.compare(&b) {
            Ordering::Equal => Some(Self::ZERO),
            Ordering::Greater => Self::round(high.negative, &a.subtract(&b), low.exponent, false),
            Ordering::Less => Self::round(low.negative, &b.subtract(&a), low.exponent, false),
        }
    }

    /// Fixed notation with at most 17 decimals and no trailing zeros.
    pub(crate) fn human(self) -> String {
        let mut scaled = Big::new(self.mantissa);
        let factor = 10u64.pow(DECIMALS);
        scaled.multiply_add(factor, 0);
        let scaled = if self.exponent >= 0 {
            scaled.shift_left(self.exponent as u64)
        } else {
            let (mut kept, dropped) = scaled.shift_right(self.exponent.unsigned_abs());
            let odd = kept.0.first().is_some_and(|limb| limb & 1 == 1);
            if dropped == Ordering::Greater || (dropped == Ordering::Equal && odd) {
                kept = kept.add(&Big::new(1));
            }
            kept
        };
        let digits = scaled.decimal();
        let digits = format!("{digits:0>width$}", width = DECIMALS as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - DECIMALS as usize);
        let fraction = fraction.trim_end_matches('0');
        let sign = if self.negative && (whole != "0" || !fraction.is_empty()) {
            "-"
        } else {
            ""
        };
        if fraction.is_empty() {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction}")
        }
    }
}

fn multiply(a: &Big, b: &Big) -> Big {
    let mut out = vec![0u64; a.0.len() + b.0.len()];
    for (i, &x) in a.0.iter().enumerate() {
        let mut carry = 0u128;
        for (j, &y) in b.0.iter().enumerate() {
            let wide = u128::from(x) * u128::from(y) + u128::from(out[i + j]) + carry;
            out[i + j] = wide as u64;
            carry = wide >> 64;
        }
        out[i + b.0.len()] = carry as u64;
    }
    Big(out).trim()
}

/// `(q, shift, sticky)` with `q = floor(a * 2^shift / b)` of 66 bits at least.
fn quotient(a: &Big, b: &Big) -> (Big, i64, bool) {
    let shift = (b.bits() - a.bits() + 67).max(0);
    let mut rest = a.shift_left(shift as u64);
    let steps = (rest.bits() - b.bits()).max(0) as u64;
    let mut divisor = b.shift_left(steps);
    let mut out = Big::new(0);
    for _ in 0..=steps {
        out = out.shift_left(1);
        if rest.compare(&divisor) != Ordering::Less {
            rest = rest.subtract(&divisor);
            out = out.add(&Big::new(1));
        }
        divisor = divisor.shift_right(1).0;
    }
    (out, shift, !rest.0.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
        parse(a).add(parse(b)).unwrap().human()
    }

    #[test]
    fn sums_are_printed_as_redis_prints_them() {
        // Taken from redis-server 7.0.15.
        for (a, b, wanted) in [
            ("0.1", "0.2", "0.3"),
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "1.1", "4.1"),
            ("-1", "1", "0"),
            ("1e-17", "0", "0.00000000000000001"),
            ("1e-18", "0", "0"),
            ("123456789012345678", "0.5", "123456789012345678.5"),
            ("1e20", "1", "100000000000000000000"),
            ("1", "0x10", "17"),
            ("1236.82", "40.19", "1277.0099999999999999"),
            ("-0.5", "0.25", "-0.25"),
        ] {
            assert_eq!(sum(a, b), wanted, "{a} + {b}");
        }
    }

    #[test]
    fn numbers_are_ordered_by_sign_and_size() {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
        let ordered = ["-1e30", "-2.5", "-0.5", "0", "1e-9", "0.5", "3", "1e30"].map(parse);
        assert!(ordered.is_sorted_by(|a, b| a.compare(*b) == Ordering::Less));
        assert_eq!(parse("-0").compare(LongDouble::ZERO), Ordering::Equal);
        assert_eq!(LongDouble::MAX.add(LongDouble::MAX), None);
        assert_eq!(ordered[7].compare(LongDouble::MAX), Ordering::Less);
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        for text in [
            "", ".", "abc", "1e", "1 ", " 1", "1.2.3", "0x", "inf", "nan", "1e9999",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn integers_add_exactly(a: i32, b: i32) {
            proptest::prop_assert_eq!(
                sum(&a.to_string(), &b.to_string()),
                (i64::from(a) + i64::from(b)).to_string()
            );
        }

        #[test]
        fn small_amounts_of_cents_add_exactly(a in 0u32..500, b in 0u32..500) {
            let text = |cents: u32| format!("{}.{:02}", cents / 100, cents % 100);
            let wanted = text(a + b);
            let wanted = wanted.trim_end_matches('0').trim_end_matches('.');
            proptest::prop_assert_eq!(sum(&text(a), &text(b)), wanted);
        }
    }
}
