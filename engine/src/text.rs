//! Byte strings as they are read, whatever form they are kept in.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// A byte string that a value holds.
#[derive(Clone)]
pub(crate) enum Text<'a> {
    Slice(&'a [u8]),
    /// Large enough that readers share it.
    Shared(&'a Bytes),
    /// Kept as an integer.
    Digits(Digits),
}

/// The decimal digits of an integer.
#[derive(Clone)]
pub(crate) struct Digits {
    bytes: [u8; 20],
    len: u8,
}

impl Text<'_> {
    pub(crate) fn of_int(value: i64) -> Self {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(value).as_bytes();
        // No integer of 64 bits has more than 20 characters.
        let mut bytes = [0; 20];
        bytes[..digits.len()].copy_from_slice(digits);
        let len = digits.len() as u8;
        Self::Digits(Digits { bytes, len })
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Shared(bytes) => (*bytes).clone(),
            other => Bytes::copy_from_slice(other),
        }
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Slice(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Digits(digits) => &digits.bytes[..usize::from(digits.len)],
        }
    }
}

impl AsRef<[u8]> for Text<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

/// A byte string that is kept: a large one is shared with its readers.
#[derive(Clone)]
pub(crate) enum Str {
    Small(Box<[u8]>),
    Shared(Box<Bytes>),
}

/// From this length on a copy costs more than sharing.
const SHARED: usize = 4096;

impl Str {
    pub(crate) fn text(&self) -> Text<'_> {
        match self {
            Self::Small(bytes) => Text::Slice(bytes),
            Self::Shared(bytes) => Text::Shared(bytes),
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Small(bytes) => bytes.into(),
            Self::Shared(bytes) => *bytes,
        }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        self.text().to_bytes()
    }

    /// Changes it in place where no reader shares it, else a copy.
    pub(crate) fn edit<R>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut bytes = match std::mem::take(self) {
            Self::Small(bytes) => bytes.into_vec(),
            Self::Shared(bytes) => Vec::from(*bytes),
        };
        let result = change(&mut bytes);
        *self = bytes.into();
        result
    }

    /// The bytes behind this.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Small(bytes) => bytes.len(),
            Self::Shared(bytes) => size_of::<Bytes>() + bytes.len(),
        }
    }
}

impl Default for Str {
    fn default() -> Self {
        Self::Small(Box::default())
    }
}

impl Deref for Str {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Self {
        if bytes.len() < SHARED {
            Self::Small(bytes.into())
        } else {
            Self::Shared(Box::new(Bytes::copy_from_slice(bytes)))
        }
    }
}

impl From<Bytes> for Str {
    fn from(bytes: Bytes) -> Self {
        if bytes.len() < SHARED {
            Self::Small(bytes.as_ref().into())
        } else {
            Self::Shared(Box::new(bytes))
        }
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() < SHARED {
            Self::Small(bytes.into_boxed_slice())
        } else {
            Self::Shared(Box::new(bytes.into()))
        }
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}
