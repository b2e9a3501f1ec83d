//! What a key can hold.

use crate::array::Array;
use crate::hash::Hash;
use crate::json::Json;
use crate::list::List;
use crate::set::Set;
use crate::stream::Stream;
use crate::text::Str;
use crate::vectors::Vectors;
use crate::zset::ZSet;

/// What a key holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Str(Str),
    List(List),
    Set(Set),
    Hash(Hash),
    ZSet(ZSet),
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
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::ZSet(zset) => zset.is_empty(),
            Self::Array(array) => array.is_empty(),
            Self::Str(_) | Self::Stream(_) | Self::Json(_) | Self::Vectors(_) => false,
        }
    }

    /// Roughly the bytes behind this value; constant time.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Str(text) => text.weight(),
            Self::List(list) => list.weight(),
            Self::Set(set) => set.weight(),
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

impl Typed for Str {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        match value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Str(self)
    }
}

macro_rules! typed {
    ($($name:ident by $into:expr),*) => {$(
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
                Value::$name($into(self))
            }
        }
    )*};
}

typed!(
    List by std::convert::identity,
    Set by std::convert::identity,
    Hash by std::convert::identity,
    ZSet by std::convert::identity,
    Stream by Box::new,
    Json by Box::new,
    Vectors by Box::new,
    Array by Box::new
);
