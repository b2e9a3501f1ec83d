//! JSON text to Lua values.

use mlua::{Lua, Result, Table, Value};

use super::Settings;
use crate::lua::bounds::Bounds;
use crate::lua::error::raise_at;

/// Decodes one document.
pub(super) fn decode(lua: &Lua, settings: &Settings, text: &[u8]) -> Result<Value> {
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(raise_at(
            lua,
            "JSON parser does not support UTF-16 or UTF-32",
        ));
    }
    let mut decoder = Decoder {
        lua,
        settings,
        text,
        at: 0,
        bounds: Bounds::of(lua)?,
    };
    // A text is held twice for a moment: here and in Lua.
    decoder.bounds.check_room(lua, text.len())?;
    let value = decoder.value()?;
    let token = decoder.next();
    if matches!(token.kind, Kind::End) {
        Ok(value)
    } else {
        Err(decoder.unexpected("the end", &token))
    }
}

enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

/// A table that is being filled.
enum Open {
    Array(Table, i64),
    Object(Table, mlua::LuaString),
}

struct Token {
    kind: Kind,
    at: usize,
}

struct Decoder<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    text: &'a [u8],
    at: usize,
    bounds: Bounds,
}

impl Decoder<'_> {
    fn unexpected(&self, expected: &str, token: &Token) -> mlua::Error {
        let found = match &token.kind {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::Text(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Error(text) => text,
        };
        raise_at(
            self.lua,
            format_args!(
                "Expected {expected} but found {found} at character {}",
                token.at + 1
            ),
        )
    }

    /// Reads one value. Not recursive: a document may be nested deeper than a thread's stack.
    fn value(&mut self) -> Result<Value> {
        let mut open: Vec<Open> = Vec::new();
        let mut token = self.next();
        loop {
            self.bounds.step()?;
            let mut value = match token.kind {
                Kind::Text(text) => Value::String(self.lua.create_string(text)?),
                Kind::Number(number) => Value::Number(number),
                Kind::Boolean(on) => Value::Boolean(on),
                Kind::Null => Value::NULL,
                Kind::ObjectBegin => {
                    self.descend(open.len())?;
                    let table = self.lua.create_table()?;
                    token = self.next();
                    if matches!(token.kind, Kind::ObjectEnd) {
                        Value::Table(table)
                    } else {
                        let key = self.key(token)?;
                        open.push(Open::Object(table, key));
                        token = self.next();
                        continue;
                    }
                }
                Kind::ArrayBegin => {
                    self.descend(open.len())?;
                    let table = self.lua.create_table()?;
                    token = self.next();
                    if matches!(token.kind, Kind::ArrayEnd) {
                        Value::Table(table)
                    } else {
                        open.push(Open::Array(table, 1));
                        continue;
                    }
                }
                _ => return Err(self.unexpected("value", &token)),
            };
            // Puts the value into what is open, which may become a whole value itself.
            loop {
                self.bounds.step()?;
                match open.pop() {
                    None => return Ok(value),
                    Some(Open::Array(table, index)) => {
                        table.raw_set(index, value)?;
                        token = self.next();
                        match token.kind {
                            Kind::ArrayEnd => value = Value::Table(table),
                            Kind::Comma => {
                                open.push(Open::Array(table, index + 1));
                                break;
                            }
                            _ => return Err(self.unexpected("comma or array end", &token)),
                        }
                    }
                    Some(Open::Object(table, key)) => {
                        table.raw_set(key, value)?;
                        token = self.next();
                        match token.kind {
                            Kind::ObjectEnd => value = Value::Table(table),
                            Kind::Comma => {
                                let token = self.next();
                                let key = self.key(token)?;
                                open.push(Open::Object(table, key));
                                break;
                            }
                            _ => return Err(self.unexpected("comma or object end", &token)),
                        }
                    }
                }
            }
            token = self.next();
        }
    }

    /// A key, and the colon after it.
    fn key(&mut self, token: Token) -> Result<mlua::LuaString> {
        let Kind::Text(key) = token.kind else {
            return Err(self.unexpected("object key string", &token));
        };
        let token = self.next();
        if !matches!(token.kind, Kind::Colon) {
            return Err(self.unexpected("colon", &token));
        }
        self.lua.create_string(key)
    }

    fn descend(&self, open: usize) -> Result<()> {
        let depth = open as i64 + 1;
        if depth > self.settings.decode_depth {
            let text = format_args!(
                "Found too many nested data structures ({depth}) at character {}",
                self.at
            );
            return Err(raise_at(self.lua, text));
        }
        Ok(())
    }

    fn next(&mut self) -> Token {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') && self.at < self.text.len() {
            self.at += 1;
        }
        let at = self.at;
        if at >= self.text.len() {
            return Token {
                kind: Kind::End,
                at,
            };
        }
        let rest = &self.text[at..];
        let (kind, length) = match rest[0] {
            b'{' => (Kind::ObjectBegin, 1),
            b'}' => (Kind::ObjectEnd, 1),
            b'[' => (Kind::ArrayBegin, 1),
            b']' => (Kind::ArrayEnd, 1),
            b':' => (Kind::Colon, 1),
            b',' => (Kind::Comma, 1),
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => {
                if !self.settings.decode_invalid && is_invalid_number(rest) {
                    (Kind::Error("invalid number"), 0)
                } else {
                    number(rest)
                }
            }
            _ if rest.starts_with(b"true") => (Kind::Boolean(true), 4),
            _ if rest.starts_with(b"false") => (Kind::Boolean(false), 5),
            _ if rest.starts_with(b"null") => (Kind::Null, 4),
            _ if self.settings.decode_invalid && is_invalid_number(rest) => number(rest),
            _ => (Kind::Error("invalid token"), 0),
        };
        self.at += length;
        Token { kind, at }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn string(&mut self) -> Token {
        let start = self.at;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek(0) {
                b'"' => break,
                0 => {
                    return Token {
                        kind: Kind::Error("unexpected end of string"),
                        at: self.at,
                    };
                }
                b'\\' => {
                    let byte = match self.peek(1) {
                        escaped @ (b'"' | b'\\' | b'/') => escaped,
                        b'b' => 0x08,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 0x0c,
                        b'r' => b'\r',
                        b'u' => {
                            let Some((code, length)) = self.unicode() else {
                                return Token {
                                    kind: Kind::Error("invalid unicode escape code"),
                                    at: self.at,
                                };
                            };
                            let mut utf8 = [0; 4];
                            text.extend_from_slice(code.encode_utf8(&mut utf8).as_bytes());
                            self.at += length;
                            continue;
                        }
                        _ => {
                            return Token {
                                kind: Kind::Error("invalid escape code"),
                                at: self.at,
                            };
                        }
                    };
                    text.push(byte);
                    self.at += 2;
                }
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Token {
            kind: Kind::Text(text),
            at: start,
        }
    }

    /// The code point of `\uXXXX` or a surrogate pair at the cursor, with its length.
    fn unicode(&self) -> Option<(char, usize)> {
        let high = self.hex4(2)?;
        if high & 0xF800 != 0xD800 {
            return char::from_u32(high).map(|c| (c, 6));
        }
        if high & 0x400 != 0 || self.peek(6) != b'\\' || self.peek(7) != b'u' {
            return None;
        }
        let low = self.hex4(8)?;
        if low & 0xFC00 != 0xDC00 {
            return None;
        }
        char::from_u32((((high & 0x3FF) << 10) | (low & 0x3FF)) + 0x1_0000).map(|c| (c, 12))
    }

    fn hex4(&self, ahead: usize) -> Option<u32> {
        (0..4).try_fold(0, |code, i| {
            Some(code << 4 | char::from(self.peek(ahead + i)).to_digit(16)?)
        })
    }
}

/// Hexadecimal, infinite, not a number, or with a leading zero: what `strtod` takes and JSON does not.
fn is_invalid_number(text: &[u8]) -> bool {
    let digits = match text.first() {
        Some(b'-' | b'+') => &text[1..],
        _ => text,
    };
    let lower = |i: usize| digits.get(i).map(u8::to_ascii_lowercase);
    match lower(0) {
        Some(b'0') => matches!(lower(1), Some(b'x' | b'0'..=b'9')),
        Some(b'i') => lower(1) == Some(b'n') && lower(2) == Some(b'f'),
        Some(b'n') => lower(1) == Some(b'a') && lower(2) == Some(b'n'),
        _ => false,
    }
}

/// What `strtod` would read at the start of the text.
fn number(text: &[u8]) -> (Kind, usize) {
    let negative = text.first() == Some(&b'-');
    let signed = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let body = &text[signed..];
    let sign = if negative { -1.0 } else { 1.0 };
    let starts = |word: &[u8]| {
        body.get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    if starts(b"infinity") {
        return (Kind::Number(sign * f64::INFINITY), signed + 8);
    }
    if starts(b"inf") {
        return (Kind::Number(sign * f64::INFINITY), signed + 3);
    }
    if starts(b"nan") {
        return (Kind::Number(f64::NAN), signed + 3);
    }
    if starts(b"0x") {
        let digits = body[2..]
            .iter()
            .take_while(|b| b.is_ascii_hexdigit())
            .count();
        if digits > 0 {
            let value = body[2..2 + digits].iter().fold(0.0, |value, b| {
                value * 16.0 + f64::from(char::from(*b).to_digit(16).unwrap_or(0))
            });
            return (Kind::Number(sign * value), signed + 2 + digits);
        }
    }
    let digits = |from: usize| {
        body[from.min(body.len())..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let whole = digits(0);
    let mut end = whole;
    let mut any = whole > 0;
    if body.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        any |= fraction > 0;
        if any {
            end += 1 + fraction;
        }
    }
    if !any {
        return (Kind::Error("invalid number"), 0);
    }
    if matches!(body.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(body.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let parsed = std::str::from_utf8(&body[..end])
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    match parsed {
        Some(value) => (Kind::Number(sign * value), signed + end),
        None => (Kind::Error("invalid number"), 0),
    }
}
