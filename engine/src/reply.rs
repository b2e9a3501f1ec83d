//! What a command answers.

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::Error;
use crate::num;
use crate::text::Text;

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

    /// The stored byte string or `Nil`.
    pub(crate) fn text(value: Option<Text<'_>>) -> Self {
        value.map_or(Self::Nil, |text| Self::Bulk(text.to_bytes()))
    }

    /// An array of stored byte strings.
    pub(crate) fn texts<'a>(texts: impl Iterator<Item = Text<'a>>) -> Self {
        let mut bulks = Bulks::with_capacity(texts.size_hint().0);
        texts.for_each(|text| bulks.push(&text));
        Self::Array(bulks.into_replies())
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

/// Byte strings as replies, many of which share one buffer.
pub(crate) struct Bulks {
    replies: Vec<Reply>,
    buffer: Vec<u8>,
    lens: Vec<usize>,
}

impl Bulks {
    /// From this length on a string has a buffer of its own.
    const LONG: usize = 1024;
    /// The most bytes that one who keeps a single string keeps with it.
    const SHARED: usize = 8192;

    pub(crate) fn with_capacity(count: usize) -> Self {
        Self {
            replies: Vec::with_capacity(count),
            buffer: Vec::new(),
            lens: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, text: &Text<'_>) {
        if text.len() >= Self::LONG {
            self.share();
            self.replies.push(Reply::Bulk(text.to_bytes()));
        } else {
            self.push_short(text);
        }
    }

    /// Adds a short byte string.
    pub(crate) fn push_short(&mut self, text: &[u8]) {
        if self.buffer.len() + text.len() > Self::SHARED {
            self.share();
        }
        self.buffer.extend_from_slice(text);
        self.lens.push(text.len());
    }

    fn share(&mut self) {
        let buffer = Bytes::from(std::mem::take(&mut self.buffer));
        let mut at = 0;
        for len in self.lens.drain(..) {
            self.replies.push(Reply::Bulk(buffer.slice(at..at + len)));
            at += len;
        }
    }

    pub(crate) fn into_replies(mut self) -> Vec<Reply> {
        self.share();
        self.replies
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
