//! Sparse arrays: byte strings under 64-bit indexes, with a place where values are appended.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;

/// The highest index.
pub(crate) const LAST: u64 = u64::MAX - 1;

/// An array; whoever has none is not different from one that is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Array {
    items: BTreeMap<u64, Bytes>,
    /// The sum of the items' lengths.
    bytes: usize,
    /// Where the next value is appended; `u64::MAX`: nowhere.
    next: u64,
    /// The slots of the ring, 0 if it never was one.
    ring: u64,
}

impl Array {
    /// The number of values.
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    /// One more than the highest index that has a value.
    pub(crate) fn len(&self) -> u64 {
        self.items.last_key_value().map_or(0, |(last, _)| last + 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn get(&self, index: u64) -> Option<&Bytes> {
        self.items.get(&index)
    }

    /// Sets a value; whether there was none.
    pub(crate) fn set(&mut self, index: u64, value: Bytes) -> bool {
        self.bytes += value.len();
        let old = self.items.insert(index, value);
        self.bytes -= old.as_ref().map_or(0, Bytes::len);
        old.is_none()
    }

    pub(crate) fn remove(&mut self, index: u64) -> bool {
        let old = self.items.remove(&index);
        self.bytes -= old.as_ref().map_or(0, Bytes::len);
        old.is_some()
    }

    /// Removes what a range holds; how much that was.
    pub(crate) fn remove_range(&mut self, range: RangeInclusive<u64>) -> usize {
        let held: Vec<u64> = self.range(range).map(|(index, _)| index).collect();
        for &index in &held {
            self.remove(index);
        }
        held.len()
    }

    /// The values in a range, with their indexes.
    pub(crate) fn range(
        &self,
        range: RangeInclusive<u64>,
    ) -> impl DoubleEndedIterator<Item = (u64, &Bytes)> {
        self.items
            .range(range)
            .map(|(index, value)| (*index, value))
    }

    /// Where the next value is appended; `None` behind the highest index.
    pub(crate) fn next(&self) -> Option<u64> {
        (self.next <= LAST).then_some(self.next)
    }

    /// Appends to `next` from now on.
    pub(crate) fn seek(&mut self, next: u64) {
        self.next = next;
    }

    /// Appends values; the index of the last, or `None` if there is no room for them.
    pub(crate) fn append(&mut self, values: &[&[u8]]) -> Option<u64> {
        let more = u64::try_from(values.len()).ok()?.checked_sub(1)?;
        let last = self.next.checked_add(more).filter(|&last| last <= LAST)?;
        for (index, value) in (self.next..=last).zip(values) {
            self.set(index, Bytes::copy_from_slice(value));
        }
        self.next = last + 1;
        Some(last)
    }

    /// Appends values within the slots of a ring; the index of the last.
    pub(crate) fn append_ring(&mut self, slots: u64, values: &[&[u8]]) -> u64 {
        if self.ring != slots {
            self.rebuild(slots);
        }
        let mut last = 0;
        for value in values {
            last = self.next % slots;
            self.set(last, Bytes::copy_from_slice(value));
            self.next = last + 1;
        }
        last
    }

    /// Keeps the latest values that fit, from index 0 on.
    fn rebuild(&mut self, slots: u64) {
        let most = usize::try_from(slots).unwrap_or(usize::MAX);
        let kept: Vec<Bytes> = self.latest(most).flatten().cloned().collect();
        *self = Self {
            ring: slots,
            ..Self::default()
        };
        for value in kept.into_iter().rev() {
            self.set(self.next, value);
            self.next += 1;
        }
    }

    /// The slots before the next one, the latest first, round the end of the array; no more of
    /// them than there are values.
    pub(crate) fn latest(&self, most: usize) -> impl Iterator<Item = Option<&Bytes>> {
        let len = self.len();
        let mut at = self.next;
        (0..most.min(self.count())).map(move |_| {
            at = if at == 0 { len - 1 } else { at - 1 };
            self.get(at)
        })
    }

    /// The stretches of this size that hold anything.
    pub(crate) fn stretches(&self, size: u64) -> usize {
        let (mut count, mut from) = (0, Some(0));
        while let Some((index, _)) = from.and_then(|from| self.items.range(from..).next()) {
            count += 1;
            from = (index / size + 1).checked_mul(size);
        }
        count
    }

    pub(crate) const fn ring(&self) -> u64 {
        self.ring
    }

    /// An array that was a ring of so many slots (0: none) and appends to `next`.
    pub(crate) fn restored(next: u64, ring: u64) -> Self {
        Self {
            next,
            ring,
            ..Self::default()
        }
    }

    /// Where the next value would be appended, as it is stored.
    pub(crate) const fn position(&self) -> u64 {
        self.next
    }

    /// Roughly the bytes behind this value; constant time.
    pub(crate) fn weight(&self) -> usize {
        /// The first node of the items.
        const NODE: usize = 500;
        size_of::<Self>() + NODE + self.bytes + self.count() * (size_of::<(u64, Bytes)>() + 24)
    }
}
