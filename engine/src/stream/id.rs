//! Entry ids: milliseconds and a sequence number, ordered.

use std::fmt;

/// The id of one stream entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId {
    pub(crate) ms: u64,
    pub(crate) seq: u64,
}

/// What XADD was asked to use as id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewId {
    /// `*`: clock and next sequence.
    Auto,
    /// `ms-*`: next sequence within the given millisecond.
    AutoSeq(u64),
    /// `ms-seq` or `ms`, which means `ms-0`.
    Given(StreamId),
}

/// One end of a range of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) id: StreamId,
    pub(crate) exclusive: bool,
}

impl StreamId {
    pub(crate) const MIN: Self = Self { ms: 0, seq: 0 };
    pub(crate) const MAX: Self = Self {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    pub(crate) const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Self::MIN
    }

    /// The smallest id above this one.
    pub(crate) fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => self.ms.checked_add(1).map(|ms| Self { ms, seq: 0 }),
        }
    }

    /// The largest id below this one.
    pub(crate) fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => self.ms.checked_sub(1).map(|ms| Self { ms, seq: u64::MAX }),
        }
    }

    /// Parses `ms-seq`; a missing sequence becomes `missing_seq`.
    pub(crate) fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        match text.split_once('-') {
            Some((ms, seq)) => Some(Self {
                ms: digits(ms)?,
                seq: digits(seq)?,
            }),
            None => Some(Self {
                ms: digits(text)?,
                seq: missing_seq,
            }),
        }
    }
}

impl NewId {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text == b"*" {
            return Some(Self::Auto);
        }
        if let Some(ms) = text.strip_suffix(b"-*") {
            return digits(std::str::from_utf8(ms).ok()?).map(Self::AutoSeq);
        }
        StreamId::parse(text, 0).map(Self::Given)
    }
}

impl Bound {
    pub(crate) const fn including(id: StreamId) -> Self {
        Self {
            id,
            exclusive: false,
        }
    }

    /// Parses an id, `-`, `+` or `(id`; a missing sequence becomes `missing_seq`.
    pub(crate) fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        match text {
            b"-" => Some(Self::including(StreamId::MIN)),
            b"+" => Some(Self::including(StreamId::MAX)),
            [b'(', id @ ..] => Some(Self {
                id: StreamId::parse(id, missing_seq)?,
                exclusive: true,
            }),
            id => StreamId::parse(id, missing_seq).map(Self::including),
        }
    }

    /// The first id of the range, `None` if there is none.
    pub(crate) fn first(self) -> Option<StreamId> {
        if self.exclusive {
            self.id.next()
        } else {
            Some(self.id)
        }
    }

    /// The last id of the range, `None` if there is none.
    pub(crate) fn last(self) -> Option<StreamId> {
        if self.exclusive {
            self.id.previous()
        } else {
            Some(self.id)
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Decimal digits, leading zeros too; as C reads them, blanks and a plus in front are skipped.
fn digits(text: &str) -> Option<u64> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn parses_full_partial_and_refuses_garbage() {
        assert_eq!(StreamId::parse(b"5-7", 0), Some(StreamId::new(5, 7)));
        assert_eq!(
            StreamId::parse(b"5", u64::MAX),
            Some(StreamId::new(5, u64::MAX))
        );
        for bad in [
            "",
            "-",
            "5-",
            "-5",
            "a",
            "5-a",
            "1-2-3",
            "18446744073709551616",
            "1-*",
        ] {
            assert_eq!(StreamId::parse(bad.as_bytes(), 0), None, "{bad}");
        }
        assert_eq!(StreamId::parse(b" +1", 0), Some(StreamId::new(1, 0)));
        assert_eq!(NewId::parse(b"12-*"), Some(NewId::AutoSeq(12)));
        assert_eq!(NewId::parse(b"*"), Some(NewId::Auto));
    }

    #[test]
    fn neighbours_carry_over_and_stop_at_the_ends() {
        assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
        assert_eq!(
            StreamId::new(2, 0).previous(),
            Some(StreamId::new(1, u64::MAX))
        );
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.previous(), None);
        assert_eq!(
            Bound::parse(b"(18446744073709551615-18446744073709551615", 0)
                .unwrap()
                .first(),
            None
        );
    }
}
