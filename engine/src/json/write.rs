//! Tree to text.

use super::node::Node;
use crate::error::Error;

/// What JSON.GET puts between the parts; empty means compact.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Format<'a> {
    pub(crate) indent: &'a [u8],
    pub(crate) newline: &'a [u8],
    pub(crate) space: &'a [u8],
    /// Writing stops soon after so many bytes; `None`: it does not.
    pub(crate) most: Option<usize>,
}

/// The text has more bytes than may be written.
pub(crate) const TOO_LARGE: Error = Error::fixed("ERR the result is too large");

impl Node {
    /// The compact text.
    pub(crate) fn to_text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Format::default().write(self, 0, &mut out);
        out
    }
}

impl Format<'_> {
    /// Compact, and no more than so many bytes.
    pub(crate) fn within(most: usize) -> Self {
        Self {
            most: Some(most),
            ..Self::default()
        }
    }

    fn is_full(&self, out: &[u8]) -> bool {
        self.most.is_some_and(|most| out.len() > most)
    }

    /// Fails if writing had to stop.
    pub(crate) fn check(&self, out: &[u8]) -> Result<(), Error> {
        if self.is_full(out) {
            Err(TOO_LARGE)
        } else {
            Ok(())
        }
    }

    /// Appends the text of `value`, which is nested `level` deep.
    pub(crate) fn write(&self, value: &Node, level: usize, out: &mut Vec<u8>) {
        match value {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(true) => out.extend_from_slice(b"true"),
            Node::Bool(false) => out.extend_from_slice(b"false"),
            Node::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Node::Uint(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Node::Float(n) => out.extend_from_slice(ryu::Buffer::new().format(*n).as_bytes()),
            Node::Str(text) => write_str(text, out),
            Node::Array(items) => self.write_all(*b"[]", items, level, out, |item, out| {
                self.write(item, level + 1, out);
            }),
            Node::Object(members) => {
                self.write_all(*b"{}", members, level, out, |(name, value), out| {
                    self.write_member(name, out);
                    self.write(value, level + 1, out);
                });
            }
        }
    }

    /// Appends an array of borrowed values.
    pub(crate) fn write_array(&self, values: &[&Node], level: usize, out: &mut Vec<u8>) {
        self.write_all(*b"[]", values, level, out, |value, out| {
            self.write(value, level + 1, out);
        });
    }

    /// Appends a member's name and the colon.
    pub(crate) fn write_member(&self, name: &str, out: &mut Vec<u8>) {
        write_str(name, out);
        out.push(b':');
        out.extend_from_slice(self.space);
    }

    /// Appends brackets, separators and line breaks around what `write` appends for each item.
    pub(crate) fn write_all<I: IntoIterator>(
        &self,
        brackets: [u8; 2],
        items: I,
        level: usize,
        out: &mut Vec<u8>,
        mut write: impl FnMut(I::Item, &mut Vec<u8>),
    ) {
        out.push(brackets[0]);
        let mut empty = true;
        for item in items {
            if self.is_full(out) {
                return;
            }
            if !empty {
                out.push(b',');
            }
            empty = false;
            self.break_line(level + 1, out);
            write(item, out);
        }
        if !empty {
            self.break_line(level, out);
        }
        out.push(brackets[1]);
    }

    fn break_line(&self, level: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.newline);
        for _ in 0..level {
            if self.is_full(out) {
                return;
            }
            out.extend_from_slice(self.indent);
        }
    }
}

/// Appends a quoted string with the escapes serde_json uses.
fn write_str(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(text.as_bytes().get(plain..at).unwrap_or_default());
        plain = at + 1;
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(format!("{byte:04x}").as_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes().get(plain..).unwrap_or_default());
    out.push(b'"');
}
