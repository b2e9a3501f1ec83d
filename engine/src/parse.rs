//! Parsers of arguments shared by all groups.

use std::time::Duration;

use crate::command::Args;
use crate::error::{Error, NOT_FLOAT, NOT_INTEGER, NOT_POSITIVE, SYNTAX};
use crate::num;

/// A time to wait in seconds, zero: without end; texts as in Redis.
pub(crate) fn seconds(text: &[u8]) -> Result<Duration, Error> {
    let seconds = num::parse_f64(text)
        .filter(|seconds| seconds.is_finite())
        .ok_or(Error::fixed("ERR timeout is not a float or out of range"))?;
    if seconds < 0.0 {
        return Err(Error::fixed("ERR timeout is negative"));
    }
    // More than that is for ever to any client.
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| time.as_millis() < i64::MAX as u128)
        .ok_or(Error::fixed("ERR timeout is out of range"))
}

/// An integer argument.
pub(crate) fn int(text: &[u8]) -> Result<i64, Error> {
    num::parse_i64(text).ok_or(NOT_INTEGER)
}

/// An integer argument of a smaller range.
pub(crate) fn int_within(text: &[u8], low: i64, high: i64) -> Result<i64, Error> {
    let value = int(text)?;
    if value < low || value > high {
        return Err(Error::new(format!(
            "ERR value is out of range, value must between {low} and {high}"
        )));
    }
    Ok(value)
}

/// An integer argument with its own error text.
pub(crate) fn int_or(text: &[u8], error: Error) -> Result<i64, Error> {
    num::parse_i64(text).ok_or(error)
}

/// A floating point argument.
pub(crate) fn float(text: &[u8]) -> Result<f64, Error> {
    num::parse_f64(text).ok_or(NOT_FLOAT)
}

/// A count that must not be negative.
pub(crate) fn count(text: &[u8]) -> Result<usize, Error> {
    num::parse_i64(text)
        .and_then(|n| usize::try_from(n).ok())
        .ok_or(NOT_POSITIVE)
}

/// Whether an argument is this word, in any case.
pub(crate) fn is(text: &[u8], word: &str) -> bool {
    text.eq_ignore_ascii_case(word.as_bytes())
}

/// Resolves a start and stop that may count from the end into a half-open range within `len`.
pub(crate) fn index_range(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let size = i64::try_from(len).unwrap_or(i64::MAX);
    let start = if start < 0 {
        start.saturating_add(size).max(0)
    } else {
        start
    };
    let stop = if stop < 0 {
        stop.saturating_add(size)
    } else {
        stop.min(size - 1)
    };
    if start > stop || start >= size {
        return 0..0;
    }
    start as usize..stop as usize + 1
}

/// Walks over the arguments after the fixed ones.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    rest: &'a [&'a [u8]],
}

impl<'a> Walk<'a> {
    /// Starts at the argument with this index.
    pub(crate) fn new(args: Args<'a>, from: usize) -> Self {
        Self {
            rest: args.get(from..).unwrap_or_default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// What has not been taken.
    pub(crate) fn rest(&self) -> &'a [&'a [u8]] {
        self.rest
    }

    /// The next argument, not taken.
    pub(crate) fn peek(&self) -> Option<&'a [u8]> {
        self.rest.first().copied()
    }

    /// Takes the next argument.
    pub(crate) fn take(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Takes the next argument or fails with a syntax error.
    pub(crate) fn need(&mut self) -> Result<&'a [u8], Error> {
        self.take().ok_or(SYNTAX)
    }

    /// Takes an integer or fails with a syntax error.
    pub(crate) fn need_int(&mut self) -> Result<i64, Error> {
        int(self.need()?)
    }

    /// Takes this many arguments or fails with a syntax error.
    pub(crate) fn need_many(&mut self, count: usize) -> Result<&'a [&'a [u8]], Error> {
        if count > self.rest.len() {
            return Err(SYNTAX);
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    /// Takes the next argument if it is this word.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        let hit = self.peek().is_some_and(|next| is(next, word));
        if hit {
            self.rest = &self.rest[1..];
        }
        hit
    }
}
