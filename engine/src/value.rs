//! What a key can hold.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::array::Array;
use crate::dict::Dict;
use crate::hash::Hash;
use crate::json::Json;
use crate::stream::Stream;
use crate::vectors::Vectors;
use crate::zset::ZSet;

/// A list of byte strings that knows its size in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    pub(crate) items: VecDeque<Bytes>,
    /// The sum of the items' lengths; whoever changes an item keeps it.
    pub(crate) bytes: usize,
}

/// A set of byte strings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set(pub(crate) Dict<()>);

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Str(Bytes),
    List(Box<List>),
    Set(Box<Set>),
    Hash(Box<Hash>),
    ZSet(Box<ZSet>),
    Stream(Box<Stream>),
    Json(Box<Json>),
    Vectors(Box<Vectors>),
    Array(Box<Array>),
}

impl Value {
    /// What TYPE answers.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Str(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::ZSet(_) => "zset",
            Self::Stream(_) => "stream",
            Self::Json(_) => "ReJSON-RL",
            Self::Vectors(_) => "vector",
            Self::Array(_) => "array",
        }
    }

    /// Whether the key must vanish: collections do when empty, others never.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.items.is_empty(),
            Self::Set(set) => set.0.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::ZSet(zset) => zset.is_empty(),
            Self::Array(array) => array.is_empty(),
            Self::Str(_) | Self::Stream(_) | Self::Json(_) | Self::Vectors(_) => false,
        }
    }

    /// Roughly the bytes behind this value; constant time.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Str(bytes) => bytes.len(),
            Self::List(list) => {
                size_of::<List>() + list.bytes + list.items.len() * (size_of::<Bytes>() + 16)
            }
            Self::Set(set) => size_of::<Set>() + set.0.weight(),
            Self::Hash(hash) => hash.weight(),
            Self::ZSet(zset) => zset.weight(),
            Self::Stream(stream) => stream.weight(),
            Self::Json(json) => json.weight(),
            Self::Vectors(vectors) => vectors.weight(),
            Self::Array(array) => array.weight(),
        }
    }
}

/// A type a key can hold, for typed access through `Db`.
pub(crate) trait Typed: Sized + Default {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

impl Typed for Bytes {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Str(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::Str(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Str(self)
    }
}

macro_rules! typed {
    ($($name:ident),*) => {$(
        impl Typed for $name {
            fn of(value: &Value) -> Option<&Self> {
                match value {
                    Value::$name(inner) => Some(inner),
                    _ => None,
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$name(inner) => Some(inner),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$name(Box::new(self))
            }
        }
    )*};
}

typed!(List, Set, Hash, ZSet, Stream, Json, Vectors, Array);
