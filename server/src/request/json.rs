//! A bounded parser for the two JSON shapes of the protocol.
//!
//! Strings without escapes stay in the body; numbers and booleans keep their source text.
//! Bytes that are not UTF-8 pass unchanged, so that arguments survive whatever they hold.

use bytes::Bytes;

use super::commands::{Commands, RowError};

/// Bodies above this cannot be addressed by 31-bit spans.
pub(crate) const MAX_BODY: usize = (1 << 31) - 1;
/// Nesting that a refused argument may have before the body counts as malformed.
const MAX_DEPTH: usize = 64;

/// The body is not of the expected shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Parses `["SET","k",1]`.
pub(crate) fn command(body: &Bytes) -> Result<Commands, Malformed> {
    let mut parser = Parser::new(body)?;
    parser.expect(b'[')?;
    parser.row()?;
    parser.finish()
}

/// Parses `[["SET","k",1],["GET","k"]]`.
pub(crate) fn pipeline(body: &Bytes) -> Result<Commands, Malformed> {
    let mut parser = Parser::new(body)?;
    parser.expect(b'[')?;
    if parser.peek()? == b']' {
        parser.at += 1;
        return parser.finish();
    }
    loop {
        parser.expect(b'[')?;
        parser.row()?;
        if parser.separator()? {
            return parser.finish();
        }
    }
}

struct Parser<'b> {
    body: &'b [u8],
    at: usize,
    out: Commands,
}

impl<'b> Parser<'b> {
    fn new(body: &'b Bytes) -> Result<Self, Malformed> {
        if body.len() > MAX_BODY {
            return Err(Malformed);
        }
        Ok(Self {
            body,
            at: 0,
            out: Commands::new(body.clone()),
        })
    }

    fn finish(mut self) -> Result<Commands, Malformed> {
        self.blank();
        if self.at == self.body.len() {
            Ok(self.out)
        } else {
            Err(Malformed)
        }
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.body.get(self.at) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space, not consumed.
    fn peek(&mut self) -> Result<u8, Malformed> {
        self.blank();
        self.body.get(self.at).copied().ok_or(Malformed)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    /// Consumes `,` (more follows, `false`) or `]` (the array ends, `true`).
    fn separator(&mut self) -> Result<bool, Malformed> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(false),
            b']' => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// The arguments after an opening bracket, up to and including the closing one.
    fn row(&mut self) -> Result<(), Malformed> {
        if self.peek()? == b']' {
            self.at += 1;
            self.out.end_row(None);
            return Ok(());
        }
        let mut error = None;
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => {
                    self.word(b"null")?;
                    error = error.or(Some(RowError::Null));
                }
                b'[' => {
                    self.skip_nested()?;
                    error = error.or(Some(RowError::Array));
                }
                b'{' => {
                    self.skip_nested()?;
                    error = error.or(Some(RowError::Object));
                }
                _ => return Err(Malformed),
            }
            if self.separator()? {
                self.out.end_row(error);
                return Ok(());
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        let end = self.at + word.len();
        if self.body.get(self.at..end) != Some(word) {
            return Err(Malformed);
        }
        self.out.push_source(self.at, end);
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        if self.body[self.at] == b'-' {
            self.at += 1;
        }
        let whole = self.digits()?;
        if whole > 1 && self.body[self.at - whole] == b'0' {
            return Err(Malformed);
        }
        if self.body.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.body.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.body.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.out.push_source(start, self.at);
        Ok(())
    }

    fn digits(&mut self) -> Result<usize, Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.body.get(self.at) {
            self.at += 1;
        }
        if self.at == start {
            return Err(Malformed);
        }
        Ok(self.at - start)
    }

    fn string(&mut self) -> Result<(), Malformed> {
        let start = self.at + 1;
        let stop = self.stop(start)?;
        if self.body[stop] == b'"' {
            self.out.push_source(start, stop);
            self.at = stop + 1;
            return Ok(());
        }
        let first = self.out.arena().len();
        let mut from = start;
        let mut stop = stop;
        loop {
            let body = self.body;
            self.out.arena().extend_from_slice(&body[from..stop]);
            if body[stop] == b'"' {
                self.out.push_arena(first);
                self.at = stop + 1;
                return Ok(());
            }
            from = self.escape(stop + 1)?;
            stop = self.stop(from)?;
        }
    }

    /// The position of the next quote or backslash.
    fn stop(&self, from: usize) -> Result<usize, Malformed> {
        let rest = self.body.get(from..).ok_or(Malformed)?;
        memchr::memchr2(b'"', b'\\', rest)
            .map(|found| from + found)
            .ok_or(Malformed)
    }

    /// Decodes the escape whose letter stands at `at`; returns where the text goes on.
    fn escape(&mut self, at: usize) -> Result<usize, Malformed> {
        let byte = match self.body.get(at).ok_or(Malformed)? {
            b'"' => b'"',
            b'\\' => b'\\',
            b'/' => b'/',
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(at + 1),
            _ => return Err(Malformed),
        };
        self.out.arena().push(byte);
        Ok(at + 1)
    }

    fn unicode(&mut self, at: usize) -> Result<usize, Malformed> {
        let first = self.hex4(at)?;
        let mut next = at + 4;
        let mut code = u32::from(first);
        if (0xD800..0xDC00).contains(&first)
            && self.body.get(next..next + 2) == Some(b"\\u".as_slice())
        {
            let second = self.hex4(next + 2)?;
            if (0xDC00..0xE000).contains(&second) {
                code = 0x1_0000 + ((code - 0xD800) << 10) + (u32::from(second) - 0xDC00);
                next += 6;
            }
        }
        // A lone surrogate is no character.
        let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut utf8 = [0; 4];
        let text = char.encode_utf8(&mut utf8);
        self.out.arena().extend_from_slice(text.as_bytes());
        Ok(next)
    }

    fn hex4(&self, at: usize) -> Result<u16, Malformed> {
        let digits = self.body.get(at..at + 4).ok_or(Malformed)?;
        digits.iter().try_fold(0_u16, |code, digit| {
            let value = char::from(*digit).to_digit(16).ok_or(Malformed)?;
            Ok(code << 4 | value as u16)
        })
    }

    /// Steps over an array or object that cannot be an argument.
    fn skip_nested(&mut self) -> Result<(), Malformed> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
            if depth > MAX_DEPTH {
                return Err(Malformed);
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), Malformed> {
        let mut from = self.at + 1;
        loop {
            let stop = self.stop(from)?;
            if self.body[stop] == b'"' {
                self.at = stop + 1;
                return Ok(());
            }
            from = stop + 2;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn command(body: &[u8]) -> Result<Commands, Malformed> {
        super::command(&Bytes::copy_from_slice(body))
    }

    fn pipeline(body: &[u8]) -> Result<Commands, Malformed> {
        super::pipeline(&Bytes::copy_from_slice(body))
    }

    fn one(body: &[u8]) -> Vec<Vec<u8>> {
        let commands = command(body).unwrap();
        let args = commands.get(0).unwrap();
        args.iter().map(|arg| arg.to_vec()).collect()
    }

    #[test]
    fn scalars_keep_their_source_text() {
        let args = one(br#" [ "SET" , "k", 1, -2.50, 1e3, 12345678901234567890, true,false ] "#);
        let expected: [&[u8]; 8] = [
            b"SET",
            b"k",
            b"1",
            b"-2.50",
            b"1e3",
            b"12345678901234567890",
            b"true",
            b"false",
        ];
        assert_eq!(args, expected);
    }

    #[test]
    fn escapes_are_decoded() {
        let args = one(br#"["a\"b","\u00e9\ud83d\ude00","x\n\t\\\/","\ud800","plain"]"#);
        assert_eq!(args[0], b"a\"b");
        assert_eq!(args[1], "é😀".as_bytes());
        assert_eq!(args[2], b"x\n\t\\/");
        assert_eq!(args[3], "\u{FFFD}".as_bytes());
        assert_eq!(args[4], b"plain");
    }

    #[test]
    fn raw_bytes_pass_unchanged() {
        assert_eq!(one(b"[\"SET\",\"\xff\x00\"]")[1], b"\xff\x00");
    }

    #[test]
    fn other_shapes_are_malformed() {
        let bodies: [&[u8]; 15] = [
            b"",
            b"{}",
            b"\"PING\"",
            b"[\"PING\"",
            b"[\"PING\",]",
            b"[,]",
            b"[\"PING\"]x",
            b"[01]",
            b"[1.]",
            b"[+1]",
            b"[tru]",
            b"[\"\\x\"]",
            b"[\"\\u12\"]",
            b"[\"a\\",
            b"[[",
        ];
        for body in bodies {
            assert!(command(body).is_err(), "{}", body.escape_ascii());
        }
        for body in [b"[[\"PING\"],\"x\"]".as_slice(), b"[\"PING\"]", b"[[],]"] {
            assert!(pipeline(body).is_err(), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn refused_arguments_are_named() {
        let body = br#"[["a",null],[],["b",["]"]],["c",{"x":"}\""}],["PING"]]"#;
        let commands = pipeline(body).unwrap();
        let errors: Vec<_> = (0..commands.len()).map(|i| commands.get(i).err()).collect();
        let expected = [
            Some(RowError::Null),
            Some(RowError::Empty),
            Some(RowError::Array),
            Some(RowError::Object),
            None,
        ];
        assert_eq!(errors, expected);
        assert_eq!(commands.get(4).unwrap().as_slice(), [b"PING"]);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let body = "[".repeat(100_000);
        assert!(command(body.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(rows in prop::collection::vec(prop::collection::vec(any::<String>(), 1..6), 0..6)) {
            let body = serde_json::to_vec(&rows).unwrap();
            let parsed = pipeline(&body).unwrap();
            prop_assert_eq!(parsed.len(), rows.len());
            for (i, row) in rows.iter().enumerate() {
                let args = parsed.get(i).unwrap();
                let expected: Vec<&[u8]> = row.iter().map(String::as_bytes).collect();
                prop_assert_eq!(args.as_slice(), expected.as_slice());
            }
        }

        #[test]
        fn never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = command(&body).map(|c| c.get(0).map(|args| args.len()));
            let _ = pipeline(&body);
        }

        #[test]
        fn never_panics_on_nearly_json(body in r#"[\[\]{}",:\\u0-9a-ftrn\-. ]{0,60}"#) {
            let _ = command(body.as_bytes());
            let _ = pipeline(body.as_bytes());
        }
    }
}
