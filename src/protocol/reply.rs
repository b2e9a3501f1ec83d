//! Replies and what they decode into.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    hash::{BuildHasher, Hash},
    str,
};

pub use crate::protocol::json::Json;
use bytes::Bytes;

use crate::protocol::error::{Error, Result};

/// One reply of the server, lossless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// An integer.
    Int(i64),
    /// A stored or computed string, any bytes.
    Bulk(Bytes),
    /// A status such as `OK`.
    Status(Bytes),
    /// A list of replies.
    Array(Vec<Reply>),
    /// An error reply.
    Error(ServerError),
}

impl Reply {
    /// The status `OK`.
    pub const OK: Self = Self::Status(Bytes::from_static(b"OK"));

    /// What it is, for messages: never its value.
    pub fn shape(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Int(_) => "an integer",
            Self::Bulk(_) => "a string",
            Self::Status(_) => "a status",
            Self::Array(_) => "an array",
            Self::Error(_) => "an error",
        }
    }

    /// The bytes of a string or status.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(b) | Self::Status(b) => Some(b),
            _ => None,
        }
    }

    fn unexpected(self, wanted: &'static str) -> Error {
        match self {
            Self::Error(e) => Error::from_server(e),
            other => Error::decode(format!("expected {wanted}, got {}", other.shape())),
        }
    }

    /// The elements of an array reply.
    ///
    /// # Errors
    /// A decode error for any other shape, the server's error for an error.
    pub fn into_array(self) -> Result<Vec<Reply>> {
        match self {
            Self::Array(items) => Ok(items),
            other => Err(other.unexpected("an array")),
        }
    }
}

/// The text of an error reply, e.g. `WRONGTYPE Operation against a key …`.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError(Box<str>);

impl ServerError {
    /// From the whole line.
    pub fn new(line: impl Into<Box<str>>) -> Self {
        Self(line.into())
    }

    /// First word when it looks like a code, else `ERR`.
    pub fn code(&self) -> &str {
        self.split().0
    }

    /// The text after the code.
    pub fn message(&self) -> &str {
        self.split().1
    }

    /// The whole line as the server sent it.
    pub fn line(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_upgrade(&self) -> bool {
        self.code() == "READONLY" && self.0.contains("server upgrade")
    }

    fn split(&self) -> (&str, &str) {
        let (word, rest) = self.0.split_once(' ').unwrap_or((&self.0, ""));
        let is_code = !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if is_code {
            (word, rest)
        } else {
            ("ERR", &self.0)
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerError({:?})", &self.0)
    }
}

/// A type that a reply can become.
#[diagnostic::on_unimplemented(
    message = "a reply cannot become `{Self}`",
    note = "to read a struct that is stored as JSON, derive `serde::Deserialize` and ask for `Json<{Self}>` of this crate"
)]
pub trait FromReply: Sized {
    /// Decodes a reply.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) when the shape does not fit, the
    /// server's error when the reply is one.
    fn from_reply(reply: Reply) -> Result<Self>;

    /// Decodes a list of this type; `u8` alone differs: its list is one string.
    #[doc(hidden)]
    fn list_from_reply(reply: Reply) -> Result<Vec<Self>> {
        each(reply)
    }

    /// Whether nothing is there; a hash differs: a missing one is an empty one.
    #[doc(hidden)]
    fn is_absent(reply: &Reply) -> bool {
        matches!(reply, Reply::Nil)
    }
}

impl FromReply for Reply {
    fn from_reply(reply: Reply) -> Result<Self> {
        match reply {
            Self::Error(e) => Err(Error::from_server(e)),
            other => Ok(other),
        }
    }
}

/// Accepts any reply but an error.
impl FromReply for () {
    fn from_reply(reply: Reply) -> Result<Self> {
        Reply::from_reply(reply).map(drop)
    }
}

/// `0`/`1`, or `OK` as true.
impl FromReply for bool {
    fn from_reply(reply: Reply) -> Result<Self> {
        match reply {
            Reply::Int(0) => Ok(false),
            Reply::Int(1) => Ok(true),
            Reply::Status(s) if &s[..] == b"OK" => Ok(true),
            Reply::Int(_) => Err(Error::decode("expected 0 or 1, got another integer")),
            other => Err(other.unexpected("0 or 1")),
        }
    }
}

fn parse<T: str::FromStr>(bytes: &[u8], wanted: &'static str) -> Result<T> {
    str::from_utf8(bytes)
        .ok()
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| Error::decode(format!("expected {wanted}, got other text")))
}

macro_rules! integers {
    ($($t:ty),+) => {$(
        impl FromReply for $t {
            fn from_reply(reply: Reply) -> Result<Self> {
                match reply {
                    Reply::Int(n) => n.try_into().map_err(|_| {
                        Error::decode(concat!("integer out of range of ", stringify!($t)))
                    }),
                    Reply::Bulk(b) | Reply::Status(b) => parse(&b, concat!("an integer of type ", stringify!($t))),
                    other => Err(other.unexpected("an integer")),
                }
            }
        }
    )+};
}
integers!(i8, i16, i32, i64, i128, isize, u16, u32, u64, u128, usize);

macro_rules! floats {
    ($($t:ty),+) => {$(
        impl FromReply for $t {
            fn from_reply(reply: Reply) -> Result<Self> {
                match reply {
                    Reply::Bulk(b) | Reply::Status(b) => parse(&b, "a number"),
                    Reply::Int(n) => Ok(n as $t),
                    other => Err(other.unexpected("a number")),
                }
            }
        }
    )+};
}
floats!(f32, f64);

impl FromReply for Bytes {
    fn from_reply(reply: Reply) -> Result<Self> {
        match reply {
            Reply::Bulk(b) | Reply::Status(b) => Ok(b),
            Reply::Int(n) => Ok(Bytes::copy_from_slice(
                itoa::Buffer::new().format(n).as_bytes(),
            )),
            other => Err(other.unexpected("a string")),
        }
    }
}

impl FromReply for u8 {
    fn from_reply(reply: Reply) -> Result<Self> {
        u16::from_reply(reply)?
            .try_into()
            .map_err(|_| Error::decode("integer out of range of u8"))
    }

    fn list_from_reply(reply: Reply) -> Result<Vec<Self>> {
        Bytes::from_reply(reply).map(Vec::from)
    }
}

impl FromReply for String {
    fn from_reply(reply: Reply) -> Result<Self> {
        Self::from_utf8(Vec::from(Bytes::from_reply(reply)?))
            .map_err(|_| Error::decode("expected UTF-8 text, got other bytes; ask for Vec<u8>"))
    }
}

impl FromReply for Box<str> {
    fn from_reply(reply: Reply) -> Result<Self> {
        String::from_reply(reply).map(Into::into)
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        if T::is_absent(&reply) {
            return Ok(None);
        }
        T::from_reply(reply).map(Some)
    }
}

fn each<T: FromReply, C: FromIterator<T>>(reply: Reply) -> Result<C> {
    reply
        .into_array()?
        .into_iter()
        .enumerate()
        .map(|(i, item)| T::from_reply(item).map_err(|e| e.at(i)))
        .collect()
}

impl<T: FromReply> FromReply for Vec<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        T::list_from_reply(reply)
    }
}

impl<T: FromReply + Eq + Hash, S: BuildHasher + Default> FromReply for HashSet<T, S> {
    fn from_reply(reply: Reply) -> Result<Self> {
        each(reply)
    }
}

impl<T: FromReply + Ord> FromReply for BTreeSet<T> {
    fn from_reply(reply: Reply) -> Result<Self> {
        each(reply)
    }
}

/// Pairs in the order of the reply, flat (`[k, v, k, v]`) or nested (`[[k, v], …]`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs<K, V>(pub Vec<(K, V)>);

impl<K: FromReply, V: FromReply> FromReply for Pairs<K, V> {
    fn from_reply(reply: Reply) -> Result<Self> {
        pairs(reply, |error, _| Err(error)).map(Self)
    }
}

/// The pairs of a map: a value that does not fit is told by its key.
fn entries<K: FromReply, V: FromReply>(reply: Reply) -> Result<Vec<(K, V)>> {
    pairs(reply, |error, key| match key.as_bytes() {
        Some(name) => Ok(error.at_field(name)),
        None => Err(error),
    })
}

/// `name` places the error of a value by its key, or hands it back to be placed by index.
fn pairs<K: FromReply, V: FromReply>(
    reply: Reply,
    name: impl Fn(Error, &Reply) -> Result<Error, Error>,
) -> Result<Vec<(K, V)>> {
    // The value first: its key is still there to be named.
    let pair = |key: Reply, value: Reply, place: &dyn Fn(Error, usize) -> Error| {
        let value =
            V::from_reply(value).map_err(|e| name(e, &key).unwrap_or_else(|e| place(e, 1)))?;
        Ok((K::from_reply(key).map_err(|e| place(e, 0))?, value))
    };
    let items = reply.into_array()?;
    let nested = !items.is_empty()
        && items
            .iter()
            .all(|i| matches!(i, Reply::Array(pair) if pair.len() == 2));
    if !nested && items.len() % 2 == 1 {
        return Err(Error::decode("expected pairs, got an odd number of items"));
    }
    let mut out = Vec::with_capacity(if nested { items.len() } else { items.len() / 2 });
    let mut items = items.into_iter();
    while let Some(first) = items.next() {
        let i = out.len();
        out.push(match first {
            Reply::Array(two) if nested => {
                let mut two = two.into_iter();
                let mut next = || two.next().unwrap_or(Reply::Nil);
                pair(next(), next(), &|e, part| e.at(part).at(i))?
            }
            key => {
                let value = items.next().unwrap_or(Reply::Nil);
                pair(key, value, &|e, part| e.at(2 * i + part))?
            }
        });
    }
    Ok(out)
}

impl<K, V> IntoIterator for Pairs<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: FromReply + Eq + Hash, V: FromReply, S: BuildHasher + Default> FromReply
    for HashMap<K, V, S>
{
    fn from_reply(reply: Reply) -> Result<Self> {
        Ok(entries(reply)?.into_iter().collect())
    }
}

impl<K: FromReply + Ord, V: FromReply> FromReply for BTreeMap<K, V> {
    fn from_reply(reply: Reply) -> Result<Self> {
        Ok(entries(reply)?.into_iter().collect())
    }
}

macro_rules! tuples {
    ($(($n:literal: $($t:ident $i:literal),+))+) => {$(
        impl<$($t: FromReply),+> FromReply for ($($t,)+) {
            fn from_reply(reply: Reply) -> Result<Self> {
                let items = reply.into_array()?;
                if items.len() != $n {
                    return Err(Error::decode(format!(
                        concat!("expected ", $n, " items, got {}"), items.len()
                    )));
                }
                let mut items = items.into_iter();
                Ok(($($t::from_reply(items.next().unwrap_or(Reply::Nil)).map_err(|e| e.at($i))?,)+))
            }
        }
    )+};
}
tuples! {
    (1: A 0)
    (2: A 0, B 1)
    (3: A 0, B 1, C 2)
    (4: A 0, B 1, C 2, D 3)
    (5: A 0, B 1, C 2, D 3, E 4)
    (6: A 0, B 1, C 2, D 3, E 4, F 5)
    (7: A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
