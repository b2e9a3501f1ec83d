//! What is stored under a key: a head, the markers seen before the load, the payload; all text.

use std::fmt::Write as _;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    keyspace::Lifetime,
    marker::{MARKER_BYTES, Marker},
    value::Form,
};

/// The version of this format; what another one wrote is a miss.
const FORMAT: &str = "1";
/// Most markers of one entry.
const MAX_MARKERS: usize = 64;

/// What an entry says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) form: Form,
    pub(super) schema: u32,
    /// When its load began, by the clock of who wrote it.
    pub(super) loaded_at_ms: u64,
    pub(super) fresh_ms: u64,
    pub(super) stale_ms: u64,
    pub(super) on_error_ms: u64,
    /// How long the load took.
    pub(super) cost_ms: u64,
}

/// Where a value is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    Fresh,
    /// May be served while it is loaded again.
    Stale,
    /// May be served when a load fails.
    OnError,
    Over,
}

impl Head {
    pub(super) fn live_for(&mut self, lifetime: Lifetime) {
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.fresh_ms = ms(lifetime.fresh);
        self.stale_ms = ms(lifetime.stale);
        self.on_error_ms = ms(lifetime.on_error);
    }

    /// When it stops being fresh.
    pub(super) fn fresh_until_ms(&self) -> u64 {
        self.loaded_at_ms.saturating_add(self.fresh_ms)
    }

    /// How old it is; one from the future is new.
    pub(super) fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.loaded_at_ms)
    }

    pub(super) fn age(&self, now_ms: u64, expired: bool) -> Age {
        let age = self.age_ms(now_ms);
        let over = age.saturating_sub(self.fresh_ms);
        if age < self.fresh_ms && !expired {
            Age::Fresh
        } else if over < self.stale_ms {
            Age::Stale
        } else if over < self.on_error_ms {
            Age::OnError
        } else {
            Age::Over
        }
    }

    /// The text before the markers; the names of tags that the loader chose follow them.
    pub(super) fn write(&self, markers: usize, tag_bytes: usize) -> String {
        let [codec, compression] = self.form.letters();
        let mut out = String::with_capacity(64);
        // Writing to a `String` does not fail.
        let _ = write!(
            out,
            "{FORMAT}|{codec}{compression}|{}|{}|{}|{}|{}|{}|{markers}|{tag_bytes}|",
            self.schema,
            self.loaded_at_ms,
            self.fresh_ms,
            self.stale_ms,
            self.on_error_ms,
            self.cost_ms,
        );
        out
    }
}

/// A stored entry.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) head: Head,
    /// The markers of the key's names, then those of `tags`.
    pub(super) seen: SmallVec<[Marker; 4]>,
    /// Markers of tags that the loader chose.
    pub(super) tags: Vec<String>,
    pub(super) payload: Bytes,
}

impl Entry {
    /// `None` when this is no entry of this format and schema.
    pub(super) fn parse(stored: &Bytes, schema: u32) -> Option<Self> {
        let mut rest = &stored[..];
        let mut field = || {
            let end = memchr::memchr(b'|', rest)?;
            let (field, after) = rest.split_at(end);
            rest = after.get(1..)?;
            Some(field)
        };
        let number = |field: Option<&[u8]>| -> Option<u64> {
            std::str::from_utf8(field?).ok()?.parse().ok()
        };
        if field()? != FORMAT.as_bytes() {
            return None;
        }
        let head = Head {
            form: Form::parse(field()?)?,
            schema: u32::try_from(number(field())?).ok()?,
            loaded_at_ms: number(field())?,
            fresh_ms: number(field())?,
            stale_ms: number(field())?,
            on_error_ms: number(field())?,
            cost_ms: number(field())?,
        };
        let markers = usize::try_from(number(field())?).ok()?;
        let tag_bytes = usize::try_from(number(field())?).ok()?;
        if head.schema != schema || markers > MAX_MARKERS {
            return None;
        }
        let (seen, rest) = rest.split_at_checked(markers * MARKER_BYTES)?;
        let (tags, payload) = rest.split_at_checked(tag_bytes)?;
        let seen = seen.chunks_exact(MARKER_BYTES).map(Marker::parse);
        let tags = std::str::from_utf8(tags).ok()?.split_terminator('\n');
        let tags: Vec<_> = tags.take(markers + 1).map(str::to_owned).collect();
        // Each has a marker: whoever wrote more would make readers read as many keys.
        if tags.len() > markers {
            return None;
        }
        Some(Self {
            head,
            seen: seen.collect::<Option<_>>()?,
            tags,
            payload: stored.slice_ref(payload),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::time::Duration;

    fn head() -> Head {
        let mut head = Head {
            form: Form::parse(b"j-").unwrap(),
            schema: 3,
            loaded_at_ms: 1_000,
            fresh_ms: 0,
            stale_ms: 0,
            on_error_ms: 0,
            cost_ms: 12,
        };
        let second = Duration::from_secs(1);
        head.live_for(Lifetime::new(second).stale(second).on_error(second * 5));
        head
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let text = head().write(2, 4);
        assert_eq!(text, "1|j-|3|1000|1000|1000|5000|12|2|4|");
        let seen = "A".repeat(24) + &".".repeat(24);
        let stored = Bytes::from(format!("{text}{seen}#a\nb{{\"x|y\":1}}"));
        let entry = Entry::parse(&stored, 3).unwrap();
        assert_eq!(entry.head, head());
        assert_eq!(entry.seen.len(), 2);
        assert_eq!(entry.seen[1], Marker::NONE);
        assert_eq!(entry.tags, ["#a", "b"]);
        assert_eq!(&entry.payload[..], b"{\"x|y\":1}");
        assert!(Entry::parse(&stored, 4).is_none());
    }

    #[test]
    fn what_is_cut_or_foreign_is_no_entry() {
        let stored = format!("{}{}x", head().write(1, 2), "A".repeat(24));
        for cut in 0..stored.len() {
            let cut = Bytes::from(stored.as_bytes()[..cut].to_vec());
            assert!(Entry::parse(&cut, 3).is_none(), "{cut:?}");
        }
        for foreign in [
            "",
            "{\"a\":1}",
            "2|j-|3|1|1|1|1|1|0|0|x",
            "1|j|3|1|1|1|1|1|0|0|x",
            "1|j-|3|-1|1|1|1|1|0|0|x",
            "1|j-|3|1|1|1|1|1|99999999999999999999|0|x",
            "1|j-|3|1|1|1|1|1|768614336404564651|0|x",
            // A tag without a marker.
            "1|j-|3|1|1|1|1|1|0|2|a\nx",
        ] {
            assert!(
                Entry::parse(&Bytes::from(foreign), 3).is_none(),
                "{foreign}"
            );
        }
    }

    #[test]
    fn an_age_changes_exactly_at_its_boundary() {
        let head = head();
        for (now, expired, age) in [
            // A clock that is behind does not make it older.
            (0, false, Age::Fresh),
            (1_999, false, Age::Fresh),
            (2_000, false, Age::Stale),
            (2_999, false, Age::Stale),
            (3_000, false, Age::OnError),
            (6_999, false, Age::OnError),
            (7_000, false, Age::Over),
            (1_000, true, Age::Stale),
            (u64::MAX, true, Age::Over),
        ] {
            assert_eq!(head.age(now, expired), age, "{now}");
        }
    }
}
