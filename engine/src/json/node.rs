//! The document tree.

use indexmap::IndexMap;

/// How deeply values may be nested, everywhere.
pub(crate) const MAX_DEPTH: usize = 128;

/// Members in the order they were added.
pub(crate) type Object = IndexMap<Box<str>, Node, foldhash::fast::RandomState>;

/// A JSON value; integers stay exact.
#[derive(Debug, Clone, Default)]
pub(crate) enum Node {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Only above `i64::MAX`.
    Uint(u64),
    Float(f64),
    Str(Box<str>),
    Array(Vec<Node>),
    Object(Object),
}

impl Node {
    /// What a member of an object costs besides name and value: the name's allocation, hash, index.
    pub(crate) const MEMBER_OVERHEAD: usize = 64;
    /// What a list or an object costs before its first item.
    pub(crate) const COLLECTION_OVERHEAD: usize = 64;

    /// The name JSON.TYPE gives it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Uint(_) => "integer",
            Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self {
            Some(text)
        } else {
            None
        }
    }

    pub(crate) fn as_array(&self) -> Option<&Vec<Node>> {
        if let Self::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }

    pub(crate) fn as_array_mut(&mut self) -> Option<&mut Vec<Node>> {
        if let Self::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }

    pub(crate) fn as_object_mut(&mut self) -> Option<&mut Object> {
        if let Self::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Int(n) => Some(n as f64),
            Self::Uint(n) => Some(n as f64),
            Self::Float(n) => Some(n),
            _ => None,
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        self.as_f64().is_some()
    }

    /// Direct children.
    pub(crate) fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match self {
            Self::Array(items) => Box::new(items.iter()),
            Self::Object(members) => Box::new(members.values()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Levels of nesting: 1 for a scalar.
    pub(crate) fn depth(&self) -> usize {
        1 + self.children().map(Self::depth).max().unwrap_or(0)
    }

    /// Bytes held, estimated.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Str(text) => text.len(),
                Self::Array(items) => {
                    Self::COLLECTION_OVERHEAD + items.iter().map(Self::size).sum::<usize>()
                }
                Self::Object(members) => {
                    let member = |name: &str, value: &Self| {
                        Self::MEMBER_OVERHEAD + name.len() + value.size()
                    };
                    let sizes = members.iter().map(|(name, value)| member(name, value));
                    Self::COLLECTION_OVERHEAD + sizes.sum::<usize>()
                }
                _ => 0,
            }
    }
}

/// Equality of JSON: numbers by value, objects without regard to order.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Uint(a), Self::Uint(b)) => a == b,
            (Self::Int(_), Self::Uint(_)) | (Self::Uint(_), Self::Int(_)) => false,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            (a, b) => matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b),
        }
    }
}
