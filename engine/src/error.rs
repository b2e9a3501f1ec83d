//! Error replies.

use std::borrow::Cow;
use std::fmt;

/// An error reply: the whole line, error code included.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Cow<'static, str>);

impl Error {
    /// An error with a text known at compile time.
    pub(crate) const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// An error whose text is made at run time; line breaks become spaces.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.contains(['\r', '\n']) {
            text = text.replace(['\r', '\n'], " ");
        }
        Self(Cow::Owned(text))
    }

    /// The whole line, such as `ERR syntax error`.
    pub fn message(&self) -> &str {
        &self.0
    }

    /// The first word, such as `ERR` or `WRONGTYPE`.
    pub fn code(&self) -> &str {
        self.0.split(' ').next().unwrap_or("ERR")
    }

    pub(crate) fn wrong_arity(name: &str) -> Self {
        Self(Cow::Owned(format!(
            "ERR wrong number of arguments for '{}' command",
            name.to_ascii_lowercase()
        )))
    }

    pub(crate) fn unknown_subcommand(sub: &[u8]) -> Self {
        Self::new(format!(
            "ERR unknown subcommand '{}'. Try HELP.",
            String::from_utf8_lossy(&sub[..sub.len().min(128)])
        ))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?})", self.0)
    }
}

impl std::error::Error for Error {}

pub(crate) const WRONGTYPE: Error =
    Error::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
pub(crate) const SYNTAX: Error = Error::fixed("ERR syntax error");
pub(crate) const NOT_INTEGER: Error = Error::fixed("ERR value is not an integer or out of range");
pub(crate) const NOT_FLOAT: Error = Error::fixed("ERR value is not a valid float");
pub(crate) const OVERFLOW: Error = Error::fixed("ERR increment or decrement would overflow");
pub(crate) const NAN_OR_INF: Error = Error::fixed("ERR increment would produce NaN or Infinity");
pub(crate) const NO_SUCH_KEY: Error = Error::fixed("ERR no such key");
pub(crate) const INDEX_OUT_OF_RANGE: Error = Error::fixed("ERR index out of range");
pub(crate) const OUT_OF_RANGE: Error = Error::fixed("ERR value is out of range");
pub(crate) const NOT_POSITIVE: Error = Error::fixed("ERR value is out of range, must be positive");
pub(crate) const TOO_LONG: Error =
    Error::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
pub(crate) const OOM: Error =
    Error::fixed("OOM command not allowed when used memory > 'maxmemory'.");
