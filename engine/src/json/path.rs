//! Paths into documents: JSONPath (`$…`) and the older dot syntax.

use std::fmt;

use super::filter::Condition;
use super::path_parser::{self, PathError};

/// Longest path accepted, in bytes.
pub(super) const MAX_LENGTH: usize = 8 * 1024;

/// A parsed path.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    segments: Vec<Segment>,
    legacy: bool,
    text: Box<str>,
}

/// One step of a path.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// `..`: this level and every level below.
    pub(super) descend: bool,
    pub(super) selectors: Vec<Selector>,
}

/// What a step selects among the children of a value.
#[derive(Debug, Clone)]
pub(super) enum Selector {
    Name(Box<str>),
    Index(i64),
    Wildcard,
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Filter(Condition),
}

/// The last step of a path that names one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last<'a> {
    Name(&'a str),
    Index(i64),
}

impl Path {
    /// Parses a path; without a leading `$` it is in the older syntax, which yields one value.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, PathError> {
        if text.len() > MAX_LENGTH {
            return Err(PathError);
        }
        let text = std::str::from_utf8(text).map_err(|_| PathError)?;
        let is_json_path = text == "$" || text.starts_with("$.") || text.starts_with("$[");
        let expression = match text {
            _ if is_json_path => text.to_owned(),
            "." => "$".to_owned(),
            _ if text.starts_with(['.', '[']) => format!("${text}"),
            _ => format!("$.{text}"),
        };
        let segments = path_parser::parse(&expression)?;
        Ok(Self {
            segments,
            legacy: !is_json_path,
            text: text.into(),
        })
    }

    /// The root in the older syntax, which commands assume without a path.
    pub(crate) fn root() -> Self {
        Self {
            segments: Vec::new(),
            legacy: true,
            text: ".".into(),
        }
    }

    /// Whether the reply is a single value.
    pub(crate) fn is_legacy(&self) -> bool {
        self.legacy
    }

    pub(crate) fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    /// The path as it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The path as JSONPath, for error texts.
    pub(crate) fn expression(&self) -> String {
        match &*self.text {
            "." => "$".to_owned(),
            text if !self.legacy => text.to_owned(),
            text if text.starts_with(['.', '[']) => format!("${text}"),
            text => format!("$.{text}"),
        }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Parent and last step, if every step names exactly one place.
    pub(super) fn split_static(&self) -> Option<(Self, Last<'_>)> {
        let one = |segment: &'_ Segment| !segment.descend && segment.selectors.len() == 1;
        if !self.segments.iter().all(one) {
            return None;
        }
        let (last, parents) = self.segments.split_last()?;
        if parents.iter().any(|s| {
            !matches!(
                s.selectors.first(),
                Some(Selector::Name(_) | Selector::Index(_))
            )
        }) {
            return None;
        }
        let last = match last.selectors.first()? {
            Selector::Name(name) => Last::Name(name),
            Selector::Index(index) => Last::Index(*index),
            _ => return None,
        };
        Some((
            Self {
                segments: parents.to_vec(),
                legacy: self.legacy,
                text: self.text.clone(),
            },
            last,
        ))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expression())
    }
}
