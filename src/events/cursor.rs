//! A position that proves completeness: epoch and dense offset.

use std::{fmt, str::FromStr};

use crate::{Error, Result};

/// A position in one history, `EPOCH.OFFSET`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    pub(super) epoch: String,
    pub(super) offset: u64,
}

impl Cursor {
    /// The number of the event at this position, dense from 1 within an epoch; 0 is before the first.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The history's epoch: it changes when the history was lost and began anew.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.offset)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid_input("a cursor looks like `EPOCH.OFFSET`");
        let (epoch, offset) = text.split_once('.').ok_or_else(wrong)?;
        let plain =
            (1..=32).contains(&epoch.len()) && epoch.bytes().all(|b| b.is_ascii_alphanumeric());
        let digits = (1..=16).contains(&offset.len()) && offset.bytes().all(|b| b.is_ascii_digit());
        if !plain || !digits {
            return Err(wrong());
        }
        Ok(Self {
            epoch: epoch.to_owned(),
            offset: offset.parse().map_err(|_| wrong())?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_hostile_texts_are_refused() {
        let cursor: Cursor = "a1b2.42".parse().unwrap();
        assert_eq!(
            (cursor.to_string().as_str(), cursor.offset()),
            ("a1b2.42", 42)
        );
        for text in [
            "",
            ".",
            "a.",
            ".1",
            "a.-1",
            "a.+1",
            "a.1.2",
            "a b.1",
            "a.99999999999999999999",
            "é.1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
