//! Byte strings one after another in one buffer: what small collections are kept in.
//!
//! An element is its head (its kind, and its length or its number), its bytes, and its length once
//! more for the way back. Whoever reads an element gives the offset of one: those come from this
//! buffer, and all elements in it are whole, so that every index below is within it.

mod element;

use std::fmt;

use crate::dict::Rng;
use crate::text::Text;

pub(crate) use element::Element;

/// Where the elements begin and end, and how many there are, two bytes each.
const HEADER: usize = 6;
/// The longest element.
pub(crate) const LONGEST: usize = 8191;
/// The most bytes of a buffer.
const MOST: usize = u16::MAX as usize;

/// Elements in one buffer, which may have room before and behind them.
#[derive(Clone, Default)]
pub(crate) struct Packed(Box<[u8]>);

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Packed {
    fn word(&self, at: usize) -> usize {
        match self.0.get(at..at + 2) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => 0,
        }
    }

    fn set_word(&mut self, at: usize, value: usize) {
        self.0[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    }

    /// The offset of the first element.
    pub(crate) fn start(&self) -> usize {
        self.word(0)
    }

    /// The offset behind the last element.
    pub(crate) fn end(&self) -> usize {
        self.word(2)
    }

    /// How many elements there are.
    pub(crate) fn len(&self) -> usize {
        self.word(4)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that the elements take.
    pub(crate) fn bytes(&self) -> usize {
        self.end() - self.start()
    }

    /// The bytes of the buffer.
    pub(crate) fn weight(&self) -> usize {
        self.0.len()
    }

    /// The offset behind the element at an offset.
    pub(crate) fn after(&self, at: usize) -> usize {
        at + element::size_at(&self.0, at)
    }

    /// The offset of the element before an offset that is not the first.
    pub(crate) fn before(&self, at: usize) -> usize {
        at - element::size_before(&self.0, at)
    }

    /// The offset of an element by its place; the end if there are not so many.
    pub(crate) fn nth(&self, place: usize) -> usize {
        let len = self.len();
        if place >= len {
            return self.end();
        }
        if place <= len / 2 {
            return (0..place).fold(self.start(), |at, _| self.after(at));
        }
        (place..len).fold(self.end(), |at, _| self.before(at))
    }

    /// The element at an offset.
    pub(crate) fn text(&self, at: usize) -> Text<'_> {
        element::text_at(&self.0, at)
    }

    /// The score at an offset.
    pub(crate) fn score(&self, at: usize) -> f64 {
        element::score_at(&self.0, at)
    }

    /// The offset of the element that is equal, among the first and every `step`-th after it.
    pub(crate) fn find(&self, element: &Element<'_>, step: usize) -> Option<usize> {
        let (mut at, end) = (self.start(), self.end());
        while at < end {
            if element.is_at(&self.0, at) {
                return Some(at);
            }
            for _ in 0..step {
                at = self.after(at);
            }
        }
        None
    }

    /// The elements in their order.
    pub(crate) fn iter(&self) -> Iter<'_> {
        self.from(0)
    }

    /// The elements from a place on.
    pub(crate) fn from(&self, place: usize) -> Iter<'_> {
        Iter {
            packed: self,
            front: self.nth(place),
            back: self.end(),
            left: self.len().saturating_sub(place),
        }
    }

    /// Inserts an element at an offset. Whoever does so keeps all elements below 64 KiB together.
    pub(crate) fn insert(&mut self, at: usize, element: &Element<'_>) {
        let at = self.splice(at, 0, element.size());
        element.write(&mut self.0[at..]);
        self.set_word(4, self.len() + 1);
    }

    pub(crate) fn push_back(&mut self, element: &Element<'_>) {
        self.insert(self.end(), element);
    }

    /// Puts an element in the place of the one at an offset.
    pub(crate) fn replace(&mut self, at: usize, element: &Element<'_>) {
        let old = self.after(at) - at;
        let at = self.splice(at, old, element.size());
        element.write(&mut self.0[at..]);
        self.shrink();
    }

    /// Removes some elements from an offset on.
    pub(crate) fn remove(&mut self, at: usize, count: usize) {
        if count == 0 {
            return;
        }
        let behind = (0..count).fold(at, |at, _| self.after(at));
        self.splice(at, behind - at, 0);
        self.set_word(4, self.len() - count);
        if self.is_empty() {
            self.0 = Box::default();
        }
        self.shrink();
    }

    /// Takes the elements from an offset on, before which there are `place`.
    pub(crate) fn split_off(&mut self, at: usize, place: usize) -> Self {
        let (end, left) = (self.end(), self.len() - place);
        let mut tail = Self::default();
        tail.move_to(rounded(HEADER + end - at), HEADER, 0, end - at);
        tail.0[HEADER..HEADER + end - at].copy_from_slice(&self.0[at..end]);
        tail.set_word(2, HEADER + end - at);
        tail.set_word(4, left);
        self.remove(at, left);
        tail
    }

    /// Gives memory back after a large removal.
    fn shrink(&mut self) {
        if self.0.len() > 64 && self.bytes() * 4 < self.0.len() {
            self.move_to(rounded(HEADER + self.bytes()), HEADER, self.end(), 0);
        }
    }

    /// Lets so many bytes take the place of others at an offset; returns where they begin.
    fn splice(&mut self, at: usize, old: usize, new: usize) -> usize {
        let (start, end) = (self.start(), self.end());
        let behind = at + old;
        if new > old {
            let grow = new - old;
            let (before, room) = (start.saturating_sub(HEADER), self.0.len() - end);
            if grow <= before && (at - start < end - behind || grow > room) {
                self.0.copy_within(start..at, start - grow);
                self.set_word(0, start - grow);
                return at - grow;
            }
            if grow > room {
                // What is pushed to the front leaves room there, else room is behind.
                let needed = HEADER + end - start + grow;
                let size = rounded(needed);
                let gap = if at == start && end > start {
                    size - needed
                } else {
                    0
                };
                self.move_to(size, HEADER + gap, behind, grow);
                return HEADER + gap + (at - start);
            }
            self.0.copy_within(behind..end, behind + grow);
            self.set_word(2, end + grow);
        } else {
            let shrink = old - new;
            if at - start < end - behind {
                self.0.copy_within(start..at, start + shrink);
                self.set_word(0, start + shrink);
                return at + shrink;
            }
            self.0.copy_within(behind..end, behind - shrink);
            self.set_word(2, end - shrink);
        }
        at
    }

    /// Moves the elements to a buffer of another size and start, those from an offset on further
    /// behind by some bytes.
    fn move_to(&mut self, size: usize, start: usize, from: usize, gap: usize) {
        let (old_start, old_end, len) = (self.start(), self.end(), self.len());
        let from = from.max(old_start);
        let mut buffer = vec![0; size].into_boxed_slice();
        let split = start + from - old_start;
        let end = split + gap + old_end - from;
        buffer[start..split].copy_from_slice(&self.0[old_start..from]);
        buffer[split + gap..end].copy_from_slice(&self.0[from..old_end]);
        self.0 = buffer;
        self.set_word(0, start);
        self.set_word(2, end);
        self.set_word(4, len);
    }
}

/// The size of a buffer of at least `bytes`: with it an allocator wastes little, and one that grows
/// moves seldom.
pub(crate) fn rounded(bytes: usize) -> usize {
    let step = (bytes.next_power_of_two() / 8).max(8);
    bytes.next_multiple_of(step).min(MOST.max(bytes))
}

/// A random place below a number, which may be zero.
pub(crate) fn random(len: usize, rng: &mut Rng) -> Option<u32> {
    (len > 0).then(|| rng.below(len) as u32)
}

/// Elements from both ends.
#[derive(Clone, Debug)]
pub(crate) struct Iter<'a> {
    packed: &'a Packed,
    front: usize,
    back: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        self.left = self.left.checked_sub(1)?;
        let at = self.front;
        self.front = self.packed.after(at);
        Some(self.packed.text(at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.back = self.packed.before(self.back);
        Some(self.packed.text(self.back))
    }
}

#[cfg(test)]
mod tests;
