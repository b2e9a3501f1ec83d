//! Reply types that several command groups share.

use crate::{Error, FromReply, Pairs, Reply, Result};
use std::{fmt, ops::Deref};

/// One page of a scan: where to go on, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The next cursor; `"0"` when the scan is complete.
    pub cursor: String,
    /// What this page holds; may be empty before the end.
    pub items: T,
}

impl<T> Page<T> {
    /// Whether the scan is complete.
    pub fn is_last(&self) -> bool {
        self.cursor == "0"
    }
}

impl<T: FromReply> FromReply for Page<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        let (cursor, items) = <(String, T)>::from_reply(reply)?;
        Ok(Self { cursor, items })
    }
}

/// One value a path of a JSON command; a legacy path's single value counts as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerPath<T>(pub Vec<Option<T>>);

impl<T> Deref for PerPath<T> {
    type Target = Vec<Option<T>>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: FromReply> FromReply for PerPath<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        match reply {
            Reply::Array(items) => items
                .into_iter()
                .map(Option::<T>::from_reply)
                .collect::<Result<_>>()
                .map(Self),
            Reply::Nil => Ok(Self(Vec::new())),
            one => Ok(Self(vec![Some(T::from_reply(one)?)])),
        }
    }
}

/// Named fields of a structured reply; unknown ones are kept.
#[derive(Clone, PartialEq)]
pub struct Fields(Vec<(String, Reply)>);

impl fmt::Debug for Fields {
    /// Names only: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Fields {
    /// Takes one field; `None` when it is absent or null.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) when the value does not fit.
    pub fn take<T: FromReply>(&mut self, name: &str) -> Result<Option<T>> {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, value)) => Option::<T>::from_reply(std::mem::replace(value, Reply::Nil)),
            None => Ok(None),
        }
    }

    /// Takes one field that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) when it is absent or does not fit.
    pub fn need<T: FromReply>(&mut self, name: &str) -> Result<T> {
        self.take(name)?
            .ok_or_else(|| Error::decode(format!("field `{name}` is missing")))
    }

    pub(super) fn put(&mut self, name: &str, value: Reply) {
        if let Some((_, slot)) = self.0.iter_mut().find(|(n, _)| n == name) {
            *slot = value;
        }
    }

    /// The names, in reply order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl FromReply for Fields {
    fn from_reply(reply: Reply) -> Result<Self> {
        Pairs::<String, Reply>::from_reply(reply).map(|pairs| Self(pairs.0))
    }
}

/// The elements of an array reply.
pub(super) fn array(reply: Reply, expected: &'static str) -> Result<Vec<Reply>> {
    match reply {
        Reply::Array(items) => Ok(items),
        Reply::Nil => Ok(Vec::new()),
        _ => Err(Error::decode(format!(
            "expected {expected}, got a single value"
        ))),
    }
}
