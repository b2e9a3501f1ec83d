//! What an index covers, and how values become what is indexed.

use bytes::Bytes;

use super::date;
use super::text::{Analysis, LANGUAGES};
use crate::json::Node;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text { stem: bool, whole: bool },
    U64,
    I64,
    F64,
    Bool,
    Date,
    Keyword,
    Facet,
}

/// A field of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) fast: bool,
    /// A text that would be searched by meaning, too, if there were a model.
    pub(crate) hybrid: bool,
    /// The field of the document it is read from, if that has another name.
    pub(crate) from: Option<Box<str>>,
}

/// The type of the keys an index covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Json,
    Hash,
    Text,
    /// The entries of one stream, whose key is the only prefix.
    Stream,
}

/// How an index was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) source: Source,
    pub(crate) prefixes: Vec<Bytes>,
    /// Index into [`LANGUAGES`].
    pub(crate) language: usize,
    pub(crate) fields: Vec<Field>,
}

/// A value that was indexed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// U64, I64, DATE (milliseconds) and BOOL (0 or 1).
    Int(i128),
    Float(f64),
    /// A keyword, a facet path or a term of a text.
    Word(Box<str>),
}

impl Definition {
    /// Roughly the bytes this takes.
    pub(crate) fn weight(&self) -> usize {
        /// What a prefix or a field takes besides its text, the field's postings included.
        const PART: usize = 128;
        let prefixes = self.prefixes.iter().map(|prefix| prefix.len() + PART);
        let fields = self.fields.iter().map(|field| {
            field.name.len() + field.from.as_ref().map_or(0, |from| from.len()) + PART
        });
        2 * PART + prefixes.sum::<usize>() + fields.sum::<usize>()
    }

    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        match self.source {
            Source::Stream => self.prefixes.iter().any(|stream| key == stream),
            _ => self.prefixes.iter().any(|prefix| key.starts_with(prefix)),
        }
    }

    /// The stream whose entries are indexed.
    pub(crate) fn stream(&self) -> Option<&Bytes> {
        self.prefixes
            .first()
            .filter(|_| self.source == Source::Stream)
    }

    pub(crate) fn field(&self, name: &str) -> Option<(usize, &Field)> {
        self.fields
            .iter()
            .enumerate()
            .find(|(_, field)| &*field.name == name)
    }

    /// The arguments of SEARCH.CREATE that make such an index.
    pub(crate) fn create_command(&self, name: &Bytes) -> Vec<Bytes> {
        let word = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let mut args = vec![
            word("SEARCH.CREATE"),
            name.clone(),
            word("ON"),
            word(self.source.name()),
        ];
        if self.source != Source::Stream {
            args.extend([word("PREFIX"), word(&self.prefixes.len().to_string())]);
        }
        args.extend(self.prefixes.iter().cloned());
        args.extend([word("LANGUAGE"), word(self.language_name()), word("SCHEMA")]);
        for field in &self.fields {
            args.extend(field.options().map(word));
        }
        args
    }

    pub(crate) fn language_name(&self) -> &'static str {
        LANGUAGES
            .get(self.language)
            .map_or("english", |(name, _)| name)
    }

    /// How a text field is analysed.
    pub(crate) fn analysis(&self, field: &Field) -> Analysis {
        match field.kind {
            Kind::Text { stem, whole } => Analysis {
                whole,
                stem: (stem && !whole).then_some(self.language),
            },
            _ => Analysis {
                whole: true,
                stem: None,
            },
        }
    }
}

impl Source {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Hash => "HASH",
            Self::Text => "STRING",
            Self::Stream => "STREAM",
        }
    }
}

impl Field {
    /// Name, type and options, as in SEARCH.CREATE and SEARCH.DESCRIBE.
    pub(crate) fn options(&self) -> impl Iterator<Item = &str> {
        let (stem, whole) = match self.kind {
            Kind::Text { stem, whole } => (stem, whole),
            _ => (true, false),
        };
        let from = self.from.as_deref();
        [
            Some(&*self.name),
            Some(if self.hybrid {
                "HYBRID"
            } else {
                self.kind.name()
            }),
            (!stem).then_some("NOSTEM"),
            whole.then_some("NOTOKENIZE"),
            self.fast.then_some("FAST"),
            from.map(|_| "FROM"),
            from,
        ]
        .into_iter()
        .flatten()
    }

    /// The field of the document that is indexed.
    pub(crate) fn path(&self) -> &str {
        self.from.as_deref().unwrap_or(&self.name)
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text { .. } => "TEXT",
            Self::U64 => "U64",
            Self::I64 => "I64",
            Self::F64 => "F64",
            Self::Bool => "BOOL",
            Self::Date => "DATE",
            Self::Keyword => "KEYWORD",
            Self::Facet => "FACET",
        }
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text { .. })
    }

    /// The indexed form of a value that is no text; `None` if it has another type.
    pub(crate) fn value(self, node: &Node) -> Option<Value> {
        let text = node.as_str().map(str::trim);
        match self {
            Self::Text { .. } => None,
            Self::Keyword => text.map(|_| Value::Word(node.as_str().unwrap_or_default().into())),
            Self::Facet => text
                .filter(|path| path.starts_with('/'))
                .map(|path| Value::Word(path.into())),
            Self::Bool => match node {
                Node::Bool(flag) => Some(Value::Int((*flag).into())),
                _ if text.is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1") => {
                    Some(Value::Int(1))
                }
                _ if text.is_some_and(|text| text.eq_ignore_ascii_case("false") || text == "0") => {
                    Some(Value::Int(0))
                }
                _ => None,
            },
            Self::Date => match node {
                Node::Int(millis) => Some(Value::Int((*millis).into())),
                _ => date::parse(text?).map(|millis| Value::Int(millis.into())),
            },
            Self::F64 => {
                let number = node.as_f64().or_else(|| text?.parse().ok())?;
                number.is_finite().then_some(Value::Float(number))
            }
            Self::U64 | Self::I64 => {
                let number = match node {
                    Node::Int(n) => i128::from(*n),
                    Node::Uint(n) => i128::from(*n),
                    Node::Float(n) if n.fract() == 0.0 && n.abs() < 1e18 => *n as i128,
                    _ => text?.parse().ok()?,
                };
                let fits = if self == Self::U64 {
                    u64::try_from(number).is_ok()
                } else {
                    i64::try_from(number).is_ok()
                };
                fits.then_some(Value::Int(number))
            }
        }
    }
}

impl Value {
    /// A key that orders numbers; `None` for words.
    pub(crate) fn order(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Float(number) => Some(float_order(*number)),
            Self::Word(_) => None,
        }
    }

    pub(crate) fn as_word(&self) -> Option<&str> {
        if let Self::Word(word) = self {
            Some(word)
        } else {
            None
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Word(_) => None,
        }
    }
}

/// Maps floats to integers in the same order.
pub(crate) fn float_order(number: f64) -> i128 {
    // Adding zero turns -0 into 0.
    let bits = (number + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    ordered.into()
}

/// The float that [`float_order`] mapped.
pub(crate) fn float_of(order: i128) -> f64 {
    let ordered = order as u64;
    f64::from_bits(if ordered >> 63 == 1 {
        ordered ^ 1 << 63
    } else {
        !ordered
    })
}

/// The value at a dotted path of a document; a member with that very name comes first.
pub(crate) fn at_path<'d>(node: &'d Node, path: &str) -> Option<&'d Node> {
    let members = node.as_object()?;
    if let Some(found) = members.get(path) {
        return Some(found);
    }
    path.match_indices('.')
        .find_map(|(dot, _)| at_path(members.get(path.get(..dot)?)?, path.get(dot + 1..)?))
}
