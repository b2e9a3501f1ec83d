//! A position that proves completeness: epoch, dense offset and a tag of the event there.

use std::{fmt, str::FromStr, sync::Arc};

use sha2::{Digest, Sha256};

use super::Event;
use crate::{Error, Result};

/// A position in one history, `EPOCH.OFFSET.TAG`.
///
/// The epoch belongs to one history of one environment; the tag to one event. A cursor of another
/// history, or of one that lost its newest events and gave their offsets to others, is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    pub(super) epoch: Arc<str>,
    pub(super) offset: u64,
    /// Unknown before the first event, and for an event that was removed.
    pub(super) tag: Option<Tag>,
}

impl Cursor {
    /// The number of the event at this position, dense from 1 within an epoch; 0 is before the first.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The history's epoch: it changes when the history was lost and a new one began.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Whether the event at this position is this one, by its source and id.
    pub fn is_of(&self, event: &Event) -> bool {
        self.tag == Some(Tag::of(event))
    }

    pub(super) fn tag_text(&self) -> String {
        self.tag.map(|tag| tag.to_string()).unwrap_or_default()
    }
}

/// What tells one event from another that got the same offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag(u32);

impl Tag {
    pub(super) fn of(event: &Event) -> Self {
        let mut hash = Sha256::new();
        hash.update(&event.source);
        hash.update([0]);
        hash.update(&event.id);
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        Self(u32::from_be_bytes([a, b, c, d]))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 8 && text.bytes().all(plain))
            .then(|| u32::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.offset)?;
        self.tag.map_or(Ok(()), |tag| write!(f, ".{tag}"))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid_input("a cursor looks like `EPOCH.OFFSET.TAG`");
        let (epoch, rest) = text.split_once('.').ok_or_else(wrong)?;
        let (offset, tag) = match rest.split_once('.') {
            Some((offset, tag)) => (offset, Some(Tag::parse(tag).ok_or_else(wrong)?)),
            None => (rest, None),
        };
        let plain =
            (1..=32).contains(&epoch.len()) && epoch.bytes().all(|b| b.is_ascii_alphanumeric());
        let digits = (1..=16).contains(&offset.len()) && offset.bytes().all(|b| b.is_ascii_digit());
        if !plain || !digits {
            return Err(wrong());
        }
        Ok(Self {
            epoch: epoch.into(),
            offset: offset.parse().map_err(|_| wrong())?,
            tag,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_hostile_texts_are_refused() {
        for text in ["a1b2.42", "a1b2.42.00c0ffee"] {
            let cursor: Cursor = text.parse().unwrap();
            assert_eq!((cursor.to_string().as_str(), cursor.offset()), (text, 42));
        }
        for text in [
            "",
            ".",
            "a.",
            ".1",
            "a.-1",
            "a.+1",
            "a.1.",
            "a.1.2",
            "a.1.00C0FFEE",
            "a.1.+0c0ffee",
            "a.1.00c0ffee.",
            "a b.1",
            "a.99999999999999999999",
            "é.1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_tag_tells_events_apart_by_source_and_id() {
        let event = |source: &str, id: &str| {
            let mut event = Event::new("a", source, serde_json::Value::Null).unwrap();
            id.clone_into(&mut event.id);
            event
        };
        let tag = Tag::of(&event("/a", "1"));
        assert_eq!(Tag::parse(&tag.to_string()), Some(tag));
        assert_eq!(tag, Tag::of(&event("/a", "1")));
        assert_ne!(tag, Tag::of(&event("/a", "2")));
        assert_ne!(tag, Tag::of(&event("/", "a1")));
    }
}
