//! Settings from environment variables and `.env` files: one grammar, every problem at once.

mod dotenv;
pub(crate) mod environment;
mod files;

pub use self::{
    environment::Environment,
    files::{EnvFiles, FileVariable},
};

use std::{
    cell::RefCell,
    fmt::{self, Display},
    ops::RangeInclusive,
    time::Duration,
};

/// The unit of a time that is written as a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Unit {
    fn ms(self) -> u64 {
        match self {
            Self::Milliseconds => 1,
            Self::Seconds => 1000,
        }
    }
}

impl Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
        })
    }
}

/// From the largest to the smallest, in milliseconds.
const SUFFIXES: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a time such as `500ms`, `1.5s`, `1m`, `2h`, `1d` or `1w`; a bare number counts `unit`.
///
/// Parts of a millisecond are rounded, as `@upstash/ratelimit` does. `None` for any other text and
/// for times of 2^64 milliseconds and more.
///
/// ```
/// use restis::variables::{Unit, parse_duration};
/// use std::time::Duration;
///
/// assert_eq!(parse_duration("1.5s", Unit::Seconds), Some(Duration::from_millis(1500)));
/// assert_eq!(parse_duration("250", Unit::Milliseconds), Some(Duration::from_millis(250)));
/// assert_eq!(parse_duration("soon", Unit::Seconds), None);
/// ```
pub fn parse_duration(text: &str, unit: Unit) -> Option<Duration> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let ms = match suffix.trim() {
        "" => unit.ms(),
        suffix => SUFFIXES.iter().find(|(name, _)| *name == suffix)?.1,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let whole: u64 = whole.parse().ok()?;
    let part = part.parse::<u64>().ok()?.checked_mul(ms)?;
    whole
        .checked_mul(ms)?
        .checked_add((part + scale / 2) / scale)
        .map(Duration::from_millis)
}

/// Writes a time in the largest unit that divides it.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let fits = |(_, unit): &&(&str, u64)| ms > 0 && ms.is_multiple_of(u128::from(*unit));
        let (suffix, unit) = SUFFIXES.iter().find(fits).unwrap_or(&("s", 1000));
        write!(f, "{}{suffix}", ms / u128::from(*unit))
    }
}

/// The value of a variable of this process; `None` when it is not set.
///
/// What is no UTF-8 is replaced by U+FFFD, which [`Variables`] reports as a problem of the variable:
/// `std::env::var(name).ok()` would count a damaged value as not set.
///
/// ```
/// use restis::variables::{Variables, of_process};
///
/// let vars = Variables::new(&of_process);
/// assert_eq!(vars.text("A_VARIABLE_THAT_NOBODY_SETS"), None);
/// ```
pub fn of_process(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(value.to_string_lossy().into_owned())
}

/// The value of a variable of this process, else of the [`EnvFiles`] of its directory.
///
/// The highest that sets it counts, even when it sets an empty value, which means not set.
///
/// ```
/// use restis::variables::{Variables, get};
///
/// let vars = Variables::new(&get);
/// assert_eq!(vars.text("A_VARIABLE_THAT_NOBODY_SETS"), None);
/// ```
pub fn get(name: &str) -> Option<String> {
    of_process(name).or_else(|| {
        let found = EnvFiles::of_process().get(name)?;
        Some(found.value.to_owned())
    })
}

/// Reads variables by name and collects what is wrong with them.
///
/// An empty value counts as not set; space around a value is ignored; a value with U+FFFD, which
/// stands for what is no UTF-8, is a problem. Each problem is
/// `NAME: what to write`; those of this type never repeat the value, which may be a secret.
///
/// ```
/// use restis::variables::{Unit, Variables};
/// use std::time::Duration;
///
/// let lookup = |name: &str| (name == "PAGE_TIMEOUT").then(|| "soon".to_owned());
/// let mut vars = Variables::new(&lookup);
/// let range = Duration::from_millis(1)..=Duration::from_secs(60);
/// assert_eq!(vars.duration("PAGE_TIMEOUT", Unit::Milliseconds, range), None);
/// assert_eq!(vars.number("PAGE_SIZE", 1..=100), None);
/// assert_eq!(vars.into_problems().len(), 1);
/// ```
pub struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
    /// Names of variables that are no UTF-8; reading needs no `&mut`.
    damaged: RefCell<Vec<String>>,
}

impl fmt::Debug for Variables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables")
            .field("problems", &self.problems())
            .finish_non_exhaustive()
    }
}

impl<'a> Variables<'a> {
    /// Reads from any source, such as `&`[`get`].
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
            damaged: RefCell::default(),
        }
    }

    /// The text of a variable, trimmed; `None` when it is not set or empty, or, with a problem, when
    /// it is no UTF-8.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        if value.contains(char::REPLACEMENT_CHARACTER) {
            let mut damaged = self.damaged.borrow_mut();
            if !damaged.iter().any(|known| known == name) {
                damaged.push(name.to_owned());
            }
            return None;
        }
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The items of a list that is separated by commas, trimmed; an empty item stays.
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        let items = text.split(',').map(|item| item.trim().to_owned());
        Some(items.collect())
    }

    /// What `parse` makes of the text; its error becomes a problem and must not repeat a secret.
    pub fn parsed<T, E: Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, error);
                None
            }
        }
    }

    /// A whole number in a range.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.parsed(name, |text| {
            let number = text.parse().ok().filter(|n| range.contains(n));
            number.ok_or_else(|| match (range.start(), range.end()) {
                (0, &u64::MAX) => "use a whole number".to_owned(),
                (low, &u64::MAX) => format!("use a whole number from {low}"),
                (low, high) => format!("use a whole number from {low} to {high}"),
            })
        })
    }

    /// A time in a range; a bare number counts `unit`.
    pub fn duration(
        &mut self,
        name: &str,
        unit: Unit,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.parsed(name, |text| {
            let time = parse_duration(text, unit).filter(|time| range.contains(time));
            time.ok_or_else(|| {
                let (least, most) = (Time(*range.start()), Time(*range.end()));
                format!(
                    "use a time from {least} to {most}, such as 500ms, 1.5s, 1m, 2h, 1d or 1w; \
                     a bare number counts {unit}"
                )
            })
        })
    }

    /// `true` or `1`, `false` or `0`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err("use true or false"),
        })
    }

    /// One of some words, in upper or lower case.
    pub fn one_of<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(name, |text| {
            let is = |(word, _): &&(&str, T)| word.eq_ignore_ascii_case(text);
            let found = choices.iter().find(is).map(|(_, value)| *value);
            found.ok_or_else(|| {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                format!("use one of {}", words.join(", "))
            })
        })
    }

    /// Notes a problem of a variable: what to write instead.
    pub fn problem(&mut self, name: &str, what: impl Display) {
        self.problems.push(format!("{name}: {what}"));
    }

    /// The problems so far: of variables that are no UTF-8, then in the order in which they were noted.
    pub fn problems(&self) -> Vec<String> {
        let damaged = self.damaged.borrow();
        let damaged = damaged.iter().map(|name| format!("{name}: is not UTF-8"));
        damaged.chain(self.problems.iter().cloned()).collect()
    }

    /// Every problem, as [`problems`](Self::problems) lists them.
    pub fn into_problems(self) -> Vec<String> {
        self.problems()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1 m", 60_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("2w", 1_209_600_000),
            ("1.5s", 1500),
            ("0.25 m", 15_000),
            ("0.4ms", 0),
            ("0.5ms", 1),
            ("7", 7000),
        ] {
            let time = parse_duration(text, Unit::Seconds).unwrap();
            assert_eq!(time.as_millis(), ms, "{text}");
        }
        let seven = parse_duration("7", Unit::Milliseconds);
        assert_eq!(seven, Some(Duration::from_millis(7)));
        for text in [
            "",
            "s",
            "-1s",
            ".5s",
            "1.s",
            "1.2.3s",
            "1y",
            "0.00000000000000000001s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_duration(text, Unit::Seconds), None, "{text}");
        }
    }

    #[test]
    fn a_problem_names_the_variable_its_range_and_its_unit() {
        let lookup = |_: &str| Some(" hunter2 ".to_owned());
        let mut vars = Variables::new(&lookup);
        let day = Duration::from_secs(86_400);
        vars.duration("TTL", Unit::Seconds, Duration::from_secs(1)..=400 * day);
        vars.duration("WAIT", Unit::Milliseconds, Duration::ZERO..=day / 48);
        vars.number("SIZE", 1..=10);
        vars.number("COUNT", 0..=u64::MAX);
        vars.flag("ON");
        vars.one_of("MODE", &[("off", 0), ("exact", 1)]);
        let examples = "such as 500ms, 1.5s, 1m, 2h, 1d or 1w";
        assert_eq!(
            vars.into_problems(),
            [
                &format!(
                    "TTL: use a time from 1s to 400d, {examples}; a bare number counts seconds"
                ),
                &format!(
                    "WAIT: use a time from 0s to 30m, {examples}; a bare number counts milliseconds"
                ),
                "SIZE: use a whole number from 1 to 10",
                "COUNT: use a whole number",
                "ON: use true or false",
                "MODE: use one of off, exact",
            ]
        );
    }

    #[test]
    fn an_empty_value_counts_as_not_set() {
        let lookup = |_: &str| Some(" \n".to_owned());
        let mut vars = Variables::new(&lookup);
        assert_eq!(vars.flag("ON"), None);
        assert_eq!(vars.list("LIST"), None);
        assert!(vars.into_problems().is_empty());
    }

    #[test]
    fn a_value_that_is_no_utf8_is_a_problem_of_its_variable() {
        let lookup =
            |name: &str| Some(if name == "SECRET" { "a\u{fffd}b" } else { "1" }.to_owned());
        let mut vars = Variables::new(&lookup);
        assert_eq!(vars.text("SECRET"), None);
        assert_eq!(vars.flag("SECRET"), None);
        assert_eq!(vars.flag("ON"), Some(true));
        assert_eq!(vars.into_problems(), ["SECRET: is not UTF-8"]);
    }
}
