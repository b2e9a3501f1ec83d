//! The lines of an export; docs/reference/EXPORT.md describes them.

use std::io::{self, BufRead, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64;

/// The version of the format that is written, and the only one that is read.
pub(super) const VERSION: u32 = 1;
/// A longer line is none of an export: a value has at most 512 MB.
const MAX_LINE: u64 = 1 << 30;
/// What stands before the checksum.
const MARK: &[u8] = b",\"c\":\"";

/// Any bytes, in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text);
        bytes
            .map(Self)
            .map_err(|_| serde::de::Error::custom("not base64"))
    }
}

/// What a key holds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    String,
    List,
    Set,
    Zset,
    Hash,
    Stream,
    Json,
    /// A type that has no form of its own here: the payload of `DUMP`.
    Dump,
}

impl Kind {
    /// The kind of what `TYPE` answers.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "string" => Self::String,
            "list" => Self::List,
            "set" => Self::Set,
            "zset" => Self::Zset,
            "hash" => Self::Hash,
            "stream" => Self::Stream,
            "ReJSON-RL" | "json" => Self::Json,
            _ => Self::Dump,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A key, or a part of one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Record {
    /// The key.
    pub(super) k: Bytes,
    pub(super) t: Kind,
    /// When the key ends, in unix ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) x: Option<u64>,
    /// The number of this part; the first is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) p: u64,
    /// Items, or bytes of a string, in the parts before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) o: u64,
    /// Further parts follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) more: bool,
    /// The items; of a hash names and values, of a sorted set members and scores, of a stream for
    /// each entry its id, the number of its names and values, and those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) d: Vec<Bytes>,
    /// When each field of a hash ends, in unix ms; 0: with the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) e: Vec<u64>,
    /// State of a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) s: Option<StreamState>,
    /// Entries that a group has delivered and that are not acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) g: Option<Pending>,
}

impl Record {
    pub(super) fn new(key: &[u8], kind: Kind) -> Self {
        Self {
            k: Bytes(key.to_vec()),
            t: kind,
            x: None,
            p: 0,
            o: 0,
            more: false,
            d: Vec::new(),
            e: Vec::new(),
            s: None,
            g: None,
        }
    }

    /// About how many bytes it has.
    pub(super) fn size(&self) -> usize {
        let items: usize = self.d.iter().map(|item| item.0.len() + 16).sum();
        let pending = self
            .g
            .as_ref()
            .map_or(0, |pending| pending.entries.len() * 64);
        items + pending + self.k.0.len() + 64
    }
}

/// What a stream has beside its entries.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct StreamState {
    /// The last id that was given.
    pub(super) last: String,
    /// How many entries were ever added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) added: Option<u64>,
    /// The highest id that was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<Group>,
}

/// A consumer group.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) name: Bytes,
    /// The last id that it has delivered.
    pub(super) last: String,
    /// How many entries it has read, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) read: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) consumers: Vec<Bytes>,
}

/// Entries that are delivered and not acknowledged.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Pending {
    pub(super) group: Bytes,
    /// Id, consumer, last delivery in unix ms, number of deliveries.
    pub(super) entries: Vec<(String, Bytes, u64, u64)>,
}

/// One line.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// The first line.
    Export(Header),
    Key(Record),
    /// `SCAN` goes on here: all keys before are written.
    Cursor(String),
    /// The last line.
    End(End),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Header {
    pub(super) version: u32,
    /// Random: tells one export from another.
    pub(super) id: String,
    /// When it began, in unix ms.
    pub(super) at: u64,
    /// The pattern that keys had to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct End {
    pub(super) keys: u64,
    pub(super) records: u64,
}

impl Line {
    /// Writes the line with its checksum; how many bytes that were.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<u64> {
        let mut text = serde_json::to_vec(self)?;
        // Its last brace comes behind the checksum.
        text.pop();
        let sum = xxh3_64(&text);
        text.extend_from_slice(MARK);
        write!(text, "{sum:016x}\"}}")?;
        text.push(b'\n');
        out.write_all(&text)?;
        Ok(text.len() as u64)
    }
}

/// Reads lines, and knows where each began.
pub(super) struct Lines<R> {
    input: R,
    /// The number of the next line, from 1.
    pub(super) number: u64,
    /// Bytes before the next line.
    pub(super) offset: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R, offset: u64) -> Self {
        Self {
            input,
            number: 1,
            offset,
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// A sentence that names the line which is damaged or cut off.
    pub(super) fn next(&mut self) -> Result<Option<Line>, String> {
        let mut text = Vec::new();
        let mut bounded = io::Read::take(&mut self.input, MAX_LINE);
        let read = bounded.read_until(b'\n', &mut text);
        let number = self.number;
        let length = read.map_err(|error| format!("line {number} cannot be read: {error}"))?;
        if length == 0 {
            return Ok(None);
        }
        let line = parse(&text).ok_or_else(|| match text.ends_with(b"\n") {
            true => format!("line {number} is damaged: its checksum is wrong"),
            false => format!("line {number} is cut off"),
        })?;
        self.number += 1;
        self.offset += length as u64;
        Ok(Some(line))
    }
}

fn parse(text: &[u8]) -> Option<Line> {
    let text = text.strip_suffix(b"\n")?;
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let start = text.len().checked_sub(MARK.len() + 18)?;
    let (body, tail) = text.split_at(start);
    let sum = tail.strip_prefix(MARK)?.strip_suffix(b"\"}")?;
    let sum = u64::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if xxh3_64(body) != sum {
        return None;
    }
    let mut json = body.to_vec();
    json.push(b'}');
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_no_byte_may_change() {
        let mut record = Record::new(b"\xff\x00key", Kind::Hash);
        record.d = vec![Bytes(b"f".to_vec()), Bytes(vec![0, 255])];
        record.e = vec![0];
        record.x = Some(1_700_000_000_000);
        let line = Line::Key(record);
        let mut text = Vec::new();
        let written = line.write(&mut text);
        assert!(written.is_ok_and(|length| length == text.len() as u64));
        assert_eq!(parse(&text), Some(line));
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] ^= 1;
            assert_eq!(parse(&damaged), None, "{at}");
            assert_eq!(parse(&text[..at]), None, "{at}");
        }
    }
}
