//! A bounded parser of JSON answers straight into replies.
//!
//! It knows the envelope (`{"result":…}` or `{"error":…}`), decodes base64 while it reads
//! and keeps integers of any size exact.
use base64_simd::STANDARD;
use bytes::Bytes;

use crate::protocol::reply::{Reply, ServerError};

/// Arrays deeper than this are refused: no command nests that far.
const MAX_DEPTH: u32 = 128;

/// So many bytes are looked at for a short integer and what ends it: it never overflows.
const SHORT_NUMBER: usize = 18;

/// The beginning of an answer without white space.
const PLAIN: &[u8] = br#"{"result":"#;

/// What was wrong, with no part of the text.
pub(crate) type Malformed = &'static str;

/// A parsed body.
pub(crate) enum Body {
    /// One envelope: a single command, or a refusal of the whole request.
    One(Reply),
    /// One envelope a command.
    Many(Vec<Reply>),
}

/// Parses a whole body.
pub(crate) fn parse(text: &[u8], base64: bool, expect: usize) -> Result<Body, Malformed> {
    let mut p = Parser {
        text,
        at: 0,
        base64,
    };
    p.space();
    let body = match p.peek() {
        Some(b'{') => Body::One(p.envelope()?),
        Some(b'[') => {
            p.at += 1;
            let mut items = Vec::with_capacity(expect.min(4096));
            p.space();
            if !p.eat(b']') {
                loop {
                    p.space();
                    items.push(p.envelope()?);
                    if p.list_ends(b']')? {
                        break;
                    }
                }
            }
            Body::Many(items)
        }
        Some(_) => return Err("not an envelope"),
        None => return Err("empty body"),
    };
    p.space();
    if p.at == text.len() {
        Ok(body)
    } else {
        Err("text after the envelope")
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    base64: bool,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// After an item: true at the closing byte, false after a comma.
    fn list_ends(&mut self, close: u8) -> Result<bool, Malformed> {
        self.space();
        if self.eat(b',') {
            Ok(false)
        } else if self.eat(close) {
            Ok(true)
        } else {
            Err("list not closed")
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err("unknown literal")
        }
    }

    fn envelope(&mut self) -> Result<Reply, Malformed> {
        // Nearly every envelope is exactly this.
        let start = self.at;
        if self.text[start..].starts_with(PLAIN) {
            self.at += PLAIN.len();
            let reply = self.value(0)?;
            if self.eat(b'}') {
                return Ok(reply);
            }
            self.at = start;
        }
        if !self.eat(b'{') {
            return Err("item is not an envelope");
        }
        self.space();
        let mut reply = None;
        if !self.eat(b'}') {
            loop {
                self.space();
                let key = self.string()?;
                self.space();
                if !self.eat(b':') {
                    return Err("key without value");
                }
                self.space();
                match &*key {
                    b"result" => reply = Some(self.value(0)?),
                    // `"error": null` beside a result is no error.
                    b"error" => {
                        if let Some(line) = self.error()? {
                            reply = Some(Reply::Error(ServerError::new(line)));
                        }
                    }
                    _ => {
                        let base64 = std::mem::replace(&mut self.base64, false);
                        self.value(0)?;
                        self.base64 = base64;
                    }
                }
                if self.list_ends(b'}')? {
                    break;
                }
            }
        }
        reply.ok_or("envelope without result and error")
    }

    fn error(&mut self) -> Result<Option<String>, Malformed> {
        match self.peek() {
            Some(b'"') => Ok(Some(String::from_utf8_lossy(&self.string()?).into_owned())),
            Some(b'n') => self.word(b"null").map(|()| None),
            _ => Err("error is not text"),
        }
    }

    fn value(&mut self, depth: u32) -> Result<Reply, Malformed> {
        match self.peek() {
            Some(b'"') => self.text_value(depth),
            Some(b'n') => self.word(b"null").map(|()| Reply::Nil),
            Some(b't') => self.word(b"true").map(|()| Reply::Int(1)),
            Some(b'f') => self.word(b"false").map(|()| Reply::Int(0)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[') => {
                if depth >= MAX_DEPTH {
                    return Err("nested too deeply");
                }
                self.at += 1;
                let mut items = Vec::new();
                self.space();
                if self.eat(b']') {
                    return Ok(Reply::Array(items));
                }
                loop {
                    self.space();
                    items.push(self.value(depth + 1)?);
                    if self.list_ends(b']')? {
                        return Ok(Reply::Array(items));
                    }
                }
            }
            // An error inside an array, as some proxies write it.
            Some(b'{') => {
                if depth >= MAX_DEPTH {
                    return Err("nested too deeply");
                }
                self.object(depth)
            }
            Some(_) => Err("unknown value"),
            None => Err("body ends early"),
        }
    }

    /// An object in a reply: `{"error": "…"}`, else its keys and values in order.
    fn object(&mut self, depth: u32) -> Result<Reply, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Reply::Array(items));
        }
        loop {
            self.space();
            let key = self.string()?.into_owned();
            self.space();
            if !self.eat(b':') {
                return Err("key without value");
            }
            self.space();
            if items.is_empty() && key == b"error" && self.peek() == Some(b'"') {
                let line = String::from_utf8_lossy(&self.string()?).into_owned();
                return if self.list_ends(b'}')? {
                    Ok(Reply::Error(ServerError::new(line)))
                } else {
                    Err("unknown object")
                };
            }
            items.push(Reply::Bulk(key.into()));
            items.push(self.value(depth + 1)?);
            if self.list_ends(b'}')? {
                return Ok(Reply::Array(items));
            }
        }
    }

    fn text_value(&mut self, depth: u32) -> Result<Reply, Malformed> {
        if self.base64
            && let Some(value) = self.base64_value()
        {
            return Ok(value);
        }
        let raw = self.string()?;
        // Only a top-level OK is sent as it is; `OK` is not padded base64, so a nested
        // one that a server left unencoded is clear too.
        if &*raw == b"OK" {
            return Ok(if depth == 0 {
                Reply::OK
            } else {
                Reply::Bulk(Bytes::from_static(b"OK"))
            });
        }
        if self.base64 {
            // With escapes in it.
            match STANDARD.decode_to_vec(&raw) {
                Ok(value) => Ok(Reply::Bulk(value.into())),
                Err(_) => Err("string is not base64"),
            }
        } else {
            Ok(Reply::Bulk(raw.into_owned().into()))
        }
    }

    /// A string of base64 without escapes; what is anything else stays unread.
    fn base64_value(&mut self) -> Option<Reply> {
        let rest = self.text.get(self.at + 1..)?;
        let raw = rest.get(..memchr::memchr(b'"', rest)?)?;
        let value = STANDARD.decode_to_vec(raw).ok()?;
        self.at += raw.len() + 2;
        Some(Reply::Bulk(value.into()))
    }

    fn number(&mut self) -> Result<Reply, Malformed> {
        let start = self.at;
        // Nearly every number is a short integer.
        let rest = &self.text[start..];
        let digits = rest.strip_prefix(b"-").unwrap_or(rest);
        let mut n = 0;
        for (length, byte) in digits.iter().enumerate().take(SHORT_NUMBER) {
            match byte {
                b'0'..=b'9' => n = n * 10 + i64::from(byte - b'0'),
                b',' | b'}' | b']' if length > 0 => {
                    let signed = digits.len() < rest.len();
                    self.at += length + usize::from(signed);
                    return Ok(Reply::Int(if signed { -n } else { n }));
                }
                _ => break,
            }
        }
        while matches!(
            self.peek(),
            Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
        ) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let as_str = std::str::from_utf8(text).map_err(|_| "bad number")?;
        if let Ok(n) = as_str.parse() {
            return Ok(Reply::Int(n));
        }
        // Beyond 64 bits or a fraction: the digits as they are.
        if as_str.parse::<f64>().is_ok() {
            return Ok(Reply::Bulk(Bytes::copy_from_slice(text)));
        }
        Err("bad number")
    }

    /// A string with its escapes resolved; borrowed when it has none.
    fn string(&mut self) -> Result<std::borrow::Cow<'a, [u8]>, Malformed> {
        if !self.eat(b'"') {
            return Err("not a string");
        }
        let text = self.text;
        let start = self.at;
        let Some(len) = find_special(&text[start..]) else {
            return Err("string not closed");
        };
        self.at = start + len;
        if text[self.at] == b'"' {
            self.at += 1;
            return Ok(text[start..start + len].into());
        }
        let mut out = text[start..self.at].to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out.into());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                Some(_) => return Err("control character in a string"),
                None => return Err("string not closed"),
            }
            let rest = &text[self.at..];
            let Some(len) = find_special(rest) else {
                return Err("string not closed");
            };
            out.extend_from_slice(&rest[..len]);
            self.at += len;
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let byte = self.peek().ok_or("string not closed")?;
        self.at += 1;
        out.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let mut code = u32::from(self.hex4()?);
                if (0xd800..0xdc00).contains(&code) && self.text[self.at..].starts_with(b"\\u") {
                    let back = self.at;
                    self.at += 2;
                    let low = u32::from(self.hex4()?);
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    } else {
                        self.at = back;
                    }
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err("unknown escape"),
        });
        Ok(())
    }

    fn hex4(&mut self) -> Result<u16, Malformed> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .ok_or("string not closed")?;
        self.at += 4;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err("unknown escape");
        }
        std::str::from_utf8(digits)
            .ok()
            .and_then(|d| u16::from_str_radix(d, 16).ok())
            .ok_or("unknown escape")
    }
}

/// Position of the next quote, backslash or control character.
fn find_special(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr2(b'"', b'\\', text).unwrap_or(text.len());
    // The least byte is found many bytes at a time.
    if text[..end].iter().fold(b' ', |least, b| least.min(*b)) < b' ' {
        return text.iter().position(|b| *b < 0x20);
    }
    (end < text.len()).then_some(end)
}
