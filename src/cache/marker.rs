//! Markers: what was invalidated last, by values that never come again.

use std::fmt;

use base64_simd::{AsOut as _, URL_SAFE_NO_PAD};

use crate::{Error, Result};

/// Bytes of one half.
const HALF: usize = 12;
/// Bytes of a marker.
pub(super) const MARKER_BYTES: usize = 2 * HALF;

/// A value that is never used again: 72 random bits as 12 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unique([u8; HALF]);

impl Unique {
    /// # Errors
    /// `Config` when the system has no random bytes.
    pub(super) fn new() -> Result<Self> {
        let mut random = [0; HALF / 4 * 3];
        getrandom::fill(&mut random).map_err(|_| Error::no_randomness())?;
        let mut text = [0; HALF];
        // 9 bytes are exactly 12 characters.
        let _ = URL_SAFE_NO_PAD.encode(&random, text.as_mut_slice().as_out());
        Ok(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The value of a marker: the last removal and the last expiry; dots where there was none.
///
/// They are two because an expiry after a removal must not bring back what was removed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker([u8; MARKER_BYTES]);

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the markers of now make of a value that remembers those before its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Validity {
    Valid,
    /// It may be served as a stale value.
    Expired,
    /// It must not be served.
    Removed,
}

impl Marker {
    /// No marker: nothing was invalidated.
    pub(super) const NONE: Self = Self([b'.'; MARKER_BYTES]);

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The value of a marker in the store; `None` when it is not one of ours.
    pub(super) fn parse(stored: &[u8]) -> Option<Self> {
        let known = stored.try_into().ok().map(Self)?;
        known.0.is_ascii().then_some(known)
    }

    fn removal(&self) -> &[u8] {
        self.0.split_at(HALF).0
    }

    /// What it says of a value that was loaded when it was `seen`; `now` is missing where there is no
    /// marker.
    ///
    /// A marker that was there and is gone is a miss: what it said is not known any more. One that
    /// never was is a miss only where the store may have evicted it.
    pub(super) fn judge(seen: Self, now: Option<Self>, evicts: bool) -> Validity {
        match now {
            None if seen == Self::NONE && !evicts => Validity::Valid,
            Some(now) if now == seen => Validity::Valid,
            Some(now) if now.removal() == seen.removal() => Validity::Expired,
            None | Some(_) => Validity::Removed,
        }
    }
}

/// A marker as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Missing,
    Known(Marker),
    /// Something else lies there: every value is void.
    Foreign,
}

impl Read {
    pub(super) fn of(stored: Option<&[u8]>) -> Self {
        match stored {
            None => Self::Missing,
            Some(stored) => Marker::parse(stored).map_or(Self::Foreign, Self::Known),
        }
    }

    /// What a value that is loaded now has to remember; `None` when nothing would keep it valid.
    pub(super) fn seen(self) -> Option<Marker> {
        match self {
            Self::Missing => Some(Marker::NONE),
            Self::Known(marker) => Some(marker),
            Self::Foreign => None,
        }
    }

    fn judge(self, seen: Marker, evicts: bool) -> Validity {
        match self {
            Self::Missing => Marker::judge(seen, None, evicts),
            Self::Known(now) => Marker::judge(seen, Some(now), evicts),
            Self::Foreign => Validity::Removed,
        }
    }
}

/// What all markers say of a value: the worst; a value that remembers another number of them is void.
pub(super) fn judge(seen: &[Marker], now: &[Read], evicts: bool) -> Validity {
    if seen.len() != now.len() {
        return Validity::Removed;
    }
    let all = seen.iter().zip(now);
    all.map(|(seen, now)| now.judge(*seen, evicts))
        .max()
        .unwrap_or(Validity::Valid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn marker(text: &str) -> Marker {
        Marker::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_removal_is_final_and_an_expiry_is_not() {
        let none = Marker::NONE;
        let removed = marker("AAAAAAAAAAAA............");
        let then_expired = marker("AAAAAAAAAAAABBBBBBBBBBBB");
        let expired = marker("............BBBBBBBBBBBB");
        for (seen, now, evicts, says) in [
            (none, None, false, Validity::Valid),
            (none, None, true, Validity::Removed),
            (removed, None, false, Validity::Removed),
            (none, Some(removed), false, Validity::Removed),
            (none, Some(expired), false, Validity::Expired),
            // An expiry after a removal brings back nothing.
            (none, Some(then_expired), false, Validity::Removed),
            (removed, Some(then_expired), false, Validity::Expired),
            (expired, Some(expired), true, Validity::Valid),
            (then_expired, Some(removed), false, Validity::Expired),
        ] {
            assert_eq!(Marker::judge(seen, now, evicts), says, "{seen:?} {now:?}");
        }
    }

    #[test]
    fn what_is_no_marker_keeps_nothing_valid() {
        let foreign = Read::of(Some(b"12"));
        assert_eq!(foreign, Read::Foreign);
        assert_eq!(judge(&[Marker::NONE], &[foreign], false), Validity::Removed);
        assert_eq!(judge(&[], &[Read::Missing], false), Validity::Removed);
    }

    #[test]
    fn unique_values_are_twelve_characters_and_differ() {
        let (a, b) = (Unique::new().unwrap(), Unique::new().unwrap());
        assert_ne!(a, b);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(a.as_str().len() == 12 && a.as_str().chars().all(plain));
    }
}
