//! From bytes to commands: multibulk and inline requests, whole or in any pieces.
//!
//! Pure: no I/O, no clock. Nothing is reserved because of a length that a client announces.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

/// The arguments of one command, the name first.
pub(crate) type Command = Vec<Bytes>;

/// The longest header line: a sign, a number and slack, as in Redis.
const HEADER: usize = 64 << 10;

/// What one command may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of an argument.
    pub(crate) bulk: usize,
    /// Arguments.
    pub(crate) elements: usize,
    /// Bytes of a command that is one line.
    pub(crate) inline: usize,
    /// Bytes of all arguments together.
    pub(crate) command: usize,
}

impl Bounds {
    /// Those of a client that has not shown a token, as in Redis.
    pub(crate) const STRANGER: Self = Self {
        bulk: 16 << 10,
        elements: 10,
        inline: 64 << 10,
        command: 64 << 10,
    };
}

/// Why the connection has to end; the text is Redis' own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Inline,
    Quotes,
    HeaderLength(&'static str),
    Elements,
    StrangerElements,
    Bulk,
    StrangerBulk,
    NoBulk(u8),
    Command,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ERR Protocol error: ")?;
        match self {
            Self::Inline => f.write_str("too big inline request"),
            Self::Quotes => f.write_str("unbalanced quotes in request"),
            Self::HeaderLength(what) => write!(f, "too big {what} count string"),
            Self::Elements => f.write_str("invalid multibulk length"),
            Self::StrangerElements => f.write_str("unauthenticated multibulk length"),
            Self::Bulk => f.write_str("invalid bulk length"),
            Self::StrangerBulk => f.write_str("unauthenticated bulk length"),
            Self::NoBulk(byte) => {
                let shown = byte.escape_ascii();
                write!(f, "expected '$', got '{shown}'")
            }
            Self::Command => f.write_str("too big request"),
        }
    }
}

/// A command of which a part has come.
#[derive(Debug)]
struct Partial {
    /// Arguments that are missing.
    left: usize,
    args: Command,
    /// Bytes of the arguments so far.
    bytes: usize,
    /// The length of the next argument, once its header has come.
    bulk: Option<usize>,
}

impl Partial {
    /// The next argument has this length.
    fn begin_argument(&mut self, length: i64, bounds: &Bounds) -> Result<(), Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::Bulk)?;
        if length > bounds.bulk {
            return Err(if bounds.bulk == Bounds::STRANGER.bulk {
                Malformed::StrangerBulk
            } else {
                Malformed::Bulk
            });
        }
        self.bytes += length;
        if self.bytes > bounds.command {
            return Err(Malformed::Command);
        }
        self.bulk = Some(length);
        Ok(())
    }
}

/// Takes commands off the beginning of a buffer.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    partial: Option<Partial>,
    /// Bytes at the beginning of the buffer that hold no end of a line.
    searched: usize,
}

impl Parser {
    /// Whether nothing of a command has come yet.
    pub(crate) fn is_idle(&self, input: &BytesMut) -> bool {
        self.partial.is_none() && input.is_empty()
    }

    /// Bytes that what has come of a command takes.
    pub(crate) fn bytes(&self, input: &BytesMut) -> usize {
        let partial = self.partial.as_ref();
        let args = partial.map_or(0, |partial| {
            let whole = partial.bytes - partial.bulk.unwrap_or(0);
            whole + partial.args.len() * size_of::<Bytes>()
        });
        input.len() + args
    }

    /// Bytes that the buffer should have room for, at least.
    pub(crate) fn wants(&self, input: &BytesMut) -> usize {
        let bulk = self.partial.as_ref().and_then(|partial| partial.bulk);
        bulk.map_or(0, |bulk| (bulk + 2).saturating_sub(input.len()))
    }

    /// The next command, taken off `input`; `None`: more has to come.
    ///
    /// # Errors
    /// If no command can follow any more.
    pub(crate) fn next(
        &mut self,
        input: &mut BytesMut,
        bounds: &Bounds,
    ) -> Result<Option<Command>, Malformed> {
        loop {
            if let Some(partial) = &mut self.partial {
                if !fill(partial, input, bounds, &mut self.searched)? {
                    return Ok(None);
                }
                let whole = self.partial.take();
                return Ok(whole.map(|whole| whole.args));
            }
            match input.first() {
                None => return Ok(None),
                Some(b'*') => {
                    let what = ("mbulk", Malformed::Elements);
                    let Some(count) = header(input, &mut self.searched, what)? else {
                        return Ok(None);
                    };
                    self.begin(count, bounds)?;
                }
                Some(_) => {
                    let line = line(input, &mut self.searched, bounds.inline);
                    let Some(line) = line.map_err(|TooLong| Malformed::Inline)? else {
                        return Ok(None);
                    };
                    let args = split(&line).ok_or(Malformed::Quotes)?;
                    if !args.is_empty() {
                        return Ok(Some(args));
                    }
                }
            }
        }
    }

    fn begin(&mut self, count: i64, bounds: &Bounds) -> Result<(), Malformed> {
        // Nothing is asked for, as Redis has it.
        let Ok(left @ 1..) = usize::try_from(count) else {
            return Ok(());
        };
        if left > bounds.elements {
            return Err(if bounds.elements == Bounds::STRANGER.elements {
                Malformed::StrangerElements
            } else {
                Malformed::Elements
            });
        }
        self.partial = Some(Partial {
            left,
            args: Command::with_capacity(left.min(64)),
            bytes: 0,
            bulk: None,
        });
        Ok(())
    }
}

/// Adds what has come of a command; `true`: it is whole.
fn fill(
    partial: &mut Partial,
    input: &mut BytesMut,
    bounds: &Bounds,
    searched: &mut usize,
) -> Result<bool, Malformed> {
    while partial.left > 0 {
        let Some(length) = partial.bulk else {
            match input.first() {
                None => return Ok(false),
                Some(b'$') => {}
                Some(other) => return Err(Malformed::NoBulk(*other)),
            }
            let Some(length) = header(input, searched, ("bulk", Malformed::Bulk))? else {
                return Ok(false);
            };
            partial.begin_argument(length, bounds)?;
            continue;
        };
        if input.len() < length + 2 {
            return Ok(false);
        }
        partial.args.push(input.split_to(length).freeze());
        // Redis does not look at the two bytes either.
        input.advance(2);
        partial.bulk = None;
        partial.left -= 1;
    }
    Ok(true)
}

/// The number of a header line, or the error that it is none.
fn header(
    input: &mut BytesMut,
    searched: &mut usize,
    (what, no_number): (&'static str, Malformed),
) -> Result<Option<i64>, Malformed> {
    let line = line(input, searched, HEADER).map_err(|TooLong| Malformed::HeaderLength(what))?;
    line.map(|line| number(&line[1..]).ok_or(no_number))
        .transpose()
}

/// A line that has no end where it should.
struct TooLong;

/// The next line without its end.
fn line(
    input: &mut BytesMut,
    searched: &mut usize,
    most: usize,
) -> Result<Option<BytesMut>, TooLong> {
    let from = (*searched).min(input.len());
    let Some(found) = memchr::memchr(b'\n', &input[from..]) else {
        if input.len() > most {
            return Err(TooLong);
        }
        *searched = input.len();
        return Ok(None);
    };
    *searched = 0;
    let end = from + found;
    if end > most {
        return Err(TooLong);
    }
    let mut line = input.split_to(end);
    input.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    Ok(Some(line))
}

/// A decimal number without spaces, plus signs or leading zeros.
fn number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let text = std::str::from_utf8(text).ok().filter(|_| plain)?;
    text.parse().ok()
}

/// The words of an inline command; `None`: quotes are not closed.
pub(crate) fn split(line: &[u8]) -> Option<Command> {
    let mut words = Command::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at >= line.len() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = line.get(at).filter(|byte| !byte.is_ascii_whitespace()) {
            at = match byte {
                b'"' => double_quoted(line, at + 1, &mut word)?,
                b'\'' => single_quoted(line, at + 1, &mut word)?,
                other => {
                    word.push(*other);
                    at + 1
                }
            };
        }
        words.push(word.into());
    }
}

/// After a closing quote a word ends.
fn closed(line: &[u8], at: usize) -> Option<usize> {
    line.get(at)
        .is_none_or(u8::is_ascii_whitespace)
        .then_some(at)
}

fn double_quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        let byte = *line.get(at)?;
        at += 1;
        match byte {
            b'"' => return closed(line, at),
            b'\\' => {
                let escaped = *line.get(at)?;
                at += 1;
                let hex = (escaped == b'x')
                    .then(|| hex(line.get(at..at + 2)?))
                    .flatten();
                if let Some(byte) = hex {
                    word.push(byte);
                    at += 2;
                    continue;
                }
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
            }
            other => word.push(other),
        }
    }
}

fn single_quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        let byte = *line.get(at)?;
        at += 1;
        match byte {
            b'\'' => return closed(line, at),
            b'\\' if line.get(at) == Some(&b'\'') => {
                word.push(b'\'');
                at += 1;
            }
            other => word.push(other),
        }
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match digits {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    }
}
