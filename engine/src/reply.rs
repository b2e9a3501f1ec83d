//! What a command answers.

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::Error;
use crate::num;

/// A reply in the terms of RESP2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A missing value.
    Nil,
    /// A missing array.
    NilArray,
    /// An integer.
    Int(i64),
    /// A byte string.
    Bulk(Bytes),
    /// A status line, such as `OK`.
    Simple(Cow<'static, str>),
    /// An error line; inside an array it belongs to that element.
    Error(Error),
    /// A sequence of replies.
    Array(Vec<Reply>),
}

impl Reply {
    /// The status `OK`.
    pub const fn ok() -> Self {
        Self::Simple(Cow::Borrowed("OK"))
    }

    /// A status line known at compile time.
    pub const fn simple(text: &'static str) -> Self {
        Self::Simple(Cow::Borrowed(text))
    }

    /// A byte string, copied.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Self {
        Self::Bulk(Bytes::copy_from_slice(bytes.as_ref()))
    }

    /// A floating point number as a byte string, formatted as Redis does.
    pub fn double(value: f64) -> Self {
        let mut text = num::DoubleText::new();
        Self::bulk(text.format(value))
    }

    /// An array of replies.
    pub fn array(items: impl IntoIterator<Item = Reply>) -> Self {
        Self::Array(items.into_iter().collect())
    }

    /// An empty array.
    pub const fn empty() -> Self {
        Self::Array(Vec::new())
    }

    /// 1 or 0.
    pub const fn bool(value: bool) -> Self {
        Self::Int(value as i64)
    }

    /// The byte string or `Nil`.
    pub fn opt(value: Option<&Bytes>) -> Self {
        value.map_or(Self::Nil, |bytes| Self::Bulk(bytes.clone()))
    }

    /// Whether this is an error (not looking into arrays).
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// Roughly the bytes this reply takes when it is sent, before any encoding.
    pub fn size(&self) -> usize {
        const FRAMING: usize = 16;
        FRAMING
            + match self {
                Self::Nil | Self::NilArray | Self::Int(_) => 0,
                Self::Bulk(bytes) => bytes.len(),
                Self::Simple(text) => text.len(),
                Self::Error(error) => error.message().len(),
                Self::Array(items) => items.iter().map(Self::size).sum(),
            }
    }

    /// A size as an integer.
    pub(crate) fn len(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<Result<Reply, Error>> for Reply {
    fn from(outcome: Result<Reply, Error>) -> Self {
        outcome.unwrap_or_else(Reply::Error)
    }
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self::Bulk(bytes)
    }
}
