//! One element of a packed collection.
//!
//! | head | element |
//! |---|---|
//! | `0nnnnnnn` | a number from 0 to 127 |
//! | `10llllll` | a string of up to 63 bytes |
//! | `110lllll` and a byte | a string of up to 8,191 bytes |
//! | `11100nnn` | a number of n + 1 bytes |
//! | `11110000` | a score of 8 bytes |
//!
//! The length at its end is one byte up to 127, else two with the high bit set in the last.

use super::LONGEST;
use crate::num;
use crate::text::Text;

const STRING: u8 = 0x80;
const LONG_STRING: u8 = 0xc0;
const NUMBER: u8 = 0xe0;
const SCORE: u8 = 0xf0;
/// Every number that is smaller is a double, too.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// An element that is looked for or written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    head: [u8; 9],
    head_len: u8,
    body: &'a [u8],
}

impl<'a> Element<'a> {
    /// A byte string of at most [`LONGEST`] bytes; what reads as an integer and is written just so
    /// is kept as one.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        if let Some(number) = num::parse_i64(text) {
            return Self::number(number);
        }
        let len = text.len().min(LONGEST);
        let mut head = [0; 9];
        let head_len = if len < 64 {
            head[0] = STRING | len as u8;
            1
        } else {
            head[0] = LONG_STRING | (len >> 8) as u8;
            head[1] = len as u8;
            2
        };
        Self {
            head,
            head_len,
            body: &text[..len],
        }
    }

    fn number(number: i64) -> Self {
        let mut head = [0; 9];
        if let Ok(small @ 0..=127) = u8::try_from(number) {
            head[0] = small;
            return Self {
                head,
                head_len: 1,
                body: &[],
            };
        }
        let sign = if number < 0 { !number } else { number };
        let bits = 65 - sign.leading_zeros() as usize;
        let bytes = bits.div_ceil(8);
        head[0] = NUMBER | (bytes - 1) as u8;
        head[1..].copy_from_slice(&number.to_le_bytes());
        Self {
            head,
            head_len: 1 + bytes as u8,
            body: &[],
        }
    }

    /// A score, which is not NaN.
    pub(crate) fn score(score: f64) -> Self {
        if score.fract() == 0.0 && score.abs() < EXACT {
            return Self::number(score as i64);
        }
        let mut head = [SCORE; 9];
        head[1..].copy_from_slice(&score.to_le_bytes());
        Self {
            head,
            head_len: 9,
            body: &[],
        }
    }

    fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    fn len(&self) -> usize {
        usize::from(self.head_len) + self.body.len()
    }

    /// The bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        whole(self.len())
    }

    /// Writes it to the start of a buffer, which is long enough.
    pub(super) fn write(&self, out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(usize::from(self.head_len));
        head.copy_from_slice(self.head());
        let (body, tail) = rest.split_at_mut(self.body.len());
        body.copy_from_slice(self.body);
        let len = self.len();
        if len < 128 {
            tail[0] = len as u8;
        } else {
            tail[0] = len as u8;
            tail[1] = 0x80 | (len >> 8) as u8;
        }
    }

    /// Whether the element at an offset is this one.
    pub(super) fn is_at(&self, buffer: &[u8], at: usize) -> bool {
        let from = &buffer[at..];
        from[0] == self.head[0]
            && from.starts_with(self.head())
            && from[usize::from(self.head_len)..].starts_with(self.body)
    }
}

/// The bytes of an element with its length at the end.
const fn whole(len: usize) -> usize {
    if len < 128 { len + 1 } else { len + 2 }
}

fn long_len(buffer: &[u8], at: usize) -> usize {
    usize::from(buffer[at] & 0x1f) << 8 | usize::from(buffer[at + 1])
}

/// The bytes of the element at an offset.
pub(super) fn size_at(buffer: &[u8], at: usize) -> usize {
    let head = buffer[at];
    if head < STRING {
        2
    } else if head < LONG_STRING {
        whole(1 + usize::from(head & 0x3f))
    } else if head < NUMBER {
        whole(2 + long_len(buffer, at))
    } else if head < SCORE {
        3 + usize::from(head & 7)
    } else {
        10
    }
}

/// The bytes of the element that ends at an offset.
pub(super) fn size_before(buffer: &[u8], end: usize) -> usize {
    let last = buffer[end - 1];
    if last < 128 {
        return usize::from(last) + 1;
    }
    (usize::from(last & 0x7f) << 8 | usize::from(buffer[end - 2])) + 2
}

fn number_at(buffer: &[u8], at: usize) -> i64 {
    let head = buffer[at];
    if head < STRING {
        return i64::from(head);
    }
    let len = usize::from(head & 7) + 1;
    let mut bytes = [0; 8];
    bytes[..len].copy_from_slice(&buffer[at + 1..at + 1 + len]);
    let unused = 64 - 8 * len as u32;
    i64::from_le_bytes(bytes) << unused >> unused
}

pub(super) fn text_at(buffer: &[u8], at: usize) -> Text<'_> {
    let head = buffer[at];
    if head < STRING {
        Text::of_int(i64::from(head))
    } else if head < LONG_STRING {
        Text::Slice(&buffer[at + 1..at + 1 + usize::from(head & 0x3f)])
    } else if head < NUMBER {
        Text::Slice(&buffer[at + 2..at + 2 + long_len(buffer, at)])
    } else {
        Text::of_int(number_at(buffer, at))
    }
}

pub(super) fn score_at(buffer: &[u8], at: usize) -> f64 {
    if buffer[at] != SCORE {
        return number_at(buffer, at) as f64;
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&buffer[at + 1..at + 9]);
    f64::from_le_bytes(bytes)
}
