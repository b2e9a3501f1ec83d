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
            many @ Reply::Array(_) => Vec::from_reply(many).map(Self),
            Reply::Nil => Ok(Self(Vec::new())),
            one => Ok(Self(vec![Some(T::from_reply(one)?)])),
        }
    }
}

/// The keys of each object; `None` where the match is no object.
///
/// A legacy path has one object; when that is empty, or the key is absent, there is none here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKeys(pub Vec<Option<Vec<String>>>);

impl Deref for ObjectKeys {
    type Target = Vec<Option<Vec<String>>>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromReply for ObjectKeys {
    fn from_reply(reply: Reply) -> Result<Self> {
        // A JSONPath gives a list of lists, a legacy path one list of names.
        let is_name = |item: &Reply| item.as_bytes().is_some();
        match reply {
            Reply::Array(items) if items.first().is_some_and(is_name) => {
                Vec::from_reply(Reply::Array(items)).map(|keys| Self(vec![Some(keys)]))
            }
            Reply::Nil => Ok(Self(Vec::new())),
            each => Vec::from_reply(each).map(Self),
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
            Some((_, value)) => {
                let value = std::mem::replace(value, Reply::Nil);
                Option::from_reply(value).map_err(|e| e.at_field(name.as_bytes()))
            }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::commands::{
        AutoClaim, ConsumerInfo, GeoMatch, SearchMatch, StreamEntry, StreamInfo, VectorMatch,
    };
    use std::collections::{BTreeMap, HashMap};

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(text.into())
    }

    fn wrong() -> Reply {
        bulk("S3CRET")
    }

    fn array<const N: usize>(items: [Reply; N]) -> Reply {
        Reply::Array(items.into())
    }

    fn flat<const N: usize>(items: [&'static str; N]) -> Reply {
        array(items.map(bulk))
    }

    /// The place that an error tells, after it was seen to tell no value.
    fn place<T: FromReply>(reply: Reply) -> String {
        let Err(error) = T::from_reply(reply) else {
            return "it fits".into();
        };
        let told = error.to_string();
        assert!(!told.contains("S3CRET"), "{told}");
        error.path().into()
    }

    #[test]
    fn a_reply_that_does_not_fit_is_told_by_its_place() {
        let many = array([Reply::Nil, bulk("1"), wrong()]);
        assert_eq!(place::<PerPath<i64>>(many), "[2]");
        let geo = || array([bulk("m"), array([bulk("1"), wrong()])]);
        assert_eq!(place::<Vec<GeoMatch<String>>>(array([geo()])), "[0][1][1]");
        let geo = array([wrong(), bulk("2")]);
        assert_eq!(place::<GeoMatch<i64>>(geo), "[0]");
        let entry = array([bulk("1-1"), flat(["price", "S3CRET"])]);
        let claim = array([bulk("0-0"), array([entry]), array([])]);
        assert_eq!(
            place::<AutoClaim<StreamEntry<Pairs<String, u64>>>>(claim),
            "[1][0][1][1]"
        );
        let claim = array([bulk("0-0"), array([]), wrong()]);
        assert_eq!(place::<AutoClaim<String>>(claim), "[2]");
        let found = array([bulk("k"), wrong()]);
        assert_eq!(place::<Vec<SearchMatch>>(array([found])), "[0][1]");
        let near = flat(["id", "S3CRET"]);
        assert_eq!(place::<Vec<VectorMatch>>(array([near])), "[0][1]");
    }

    #[test]
    fn a_field_that_does_not_fit_is_told_by_its_name() {
        let info = flat(["name", "c", "pending", "S3CRET"]);
        assert_eq!(place::<Vec<ConsumerInfo>>(array([info])), "[0].pending");
        let info = flat([
            "length",
            "1",
            "last-generated-id",
            "1-1",
            "groups",
            "S3CRET",
        ]);
        assert_eq!(place::<StreamInfo<String>>(info), "groups");
        let map = || flat(["a", "1", "visits", "S3CRET"]);
        assert_eq!(place::<HashMap<String, u64>>(map()), "visits");
        assert_eq!(place::<BTreeMap<String, Option<u64>>>(map()), "visits");
        let nested = array([array([bulk("a"), bulk("1")]), flat(["visits", "S3CRET"])]);
        assert_eq!(place::<BTreeMap<String, u64>>(nested), "visits");
        assert_eq!(place::<BTreeMap<u64, u64>>(flat(["S3CRET", "1"])), "[0]");
        assert_eq!(place::<Pairs<String, u64>>(map()), "[3]");
        let inner = array([bulk("a"), flat(["1", "S3CRET"])]);
        assert_eq!(place::<HashMap<String, Vec<i64>>>(inner), "a[1]");
        let odd = flat(["two\nlines", "S3CRET"]);
        assert_eq!(place::<HashMap<String, u64>>(odd), r#"["two\nlines"]"#);
        let long = array([Reply::Bulk("x".repeat(1000).into()), wrong()]);
        assert!(place::<HashMap<String, u64>>(long).len() < 100);
    }
}
