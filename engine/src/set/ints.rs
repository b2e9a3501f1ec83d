//! Sets of integers in one buffer, in ascending order.

use std::fmt;

use crate::packed::rounded;

/// The width of an integer, then how many there are.
const HEADER: usize = 3;

/// Integers of 2, 4 or 8 bytes each, whatever the widest needs.
///
/// The buffer is empty or has its header, and room for every integer that the header counts.
#[derive(Clone, Default)]
pub(super) struct Ints(Box<[u8]>);

impl fmt::Debug for Ints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

const fn width_of(value: i64) -> usize {
    if value == value as i16 as i64 {
        2
    } else if value == value as i32 as i64 {
        4
    } else {
        8
    }
}

impl Ints {
    fn width(&self) -> usize {
        self.0.first().map_or(2, |&width| usize::from(width))
    }

    pub(super) fn len(&self) -> usize {
        match self.0.get(1..HEADER) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => 0,
        }
    }

    fn set_len(&mut self, len: usize) {
        self.0[1..HEADER].copy_from_slice(&(len as u16).to_le_bytes());
    }

    /// The integer at a place, which there is.
    fn at(&self, place: usize) -> i64 {
        let width = self.width();
        let from = HEADER + place * width;
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(&self.0[from..from + width]);
        let unused = 64 - 8 * width as u32;
        i64::from_le_bytes(bytes) << unused >> unused
    }

    pub(super) fn get(&self, place: usize) -> Option<i64> {
        (place < self.len()).then(|| self.at(place))
    }

    /// Where an integer is, or would be.
    fn find(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            let found = self.at(middle);
            if found == value {
                return Ok(middle);
            }
            if found < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Err(low)
    }

    pub(super) fn contains(&self, value: i64) -> bool {
        self.find(value).is_ok()
    }

    /// Moves the integers to another buffer.
    fn move_to(&mut self, width: usize, len: usize) {
        let mut buffer = vec![0; rounded(HEADER + len * width)].into_boxed_slice();
        buffer[0] = width as u8;
        for (place, value) in self.iter().enumerate() {
            let from = HEADER + place * width;
            buffer[from..from + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        buffer[1..HEADER].copy_from_slice(&(self.len() as u16).to_le_bytes());
        self.0 = buffer;
    }

    /// Adds an integer; `true`: it is new.
    pub(super) fn insert(&mut self, value: i64) -> bool {
        let Err(place) = self.find(value) else {
            return false;
        };
        let len = self.len();
        let width = self.width().max(width_of(value));
        if width != self.width() || self.0.len() < HEADER + (len + 1) * width {
            self.move_to(width, len + 1);
        }
        let from = HEADER + place * width;
        self.0.copy_within(from..HEADER + len * width, from + width);
        self.0[from..from + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.set_len(len + 1);
        true
    }

    /// Removes an integer; `true`: it was there.
    pub(super) fn remove(&mut self, value: i64) -> bool {
        let Ok(place) = self.find(value) else {
            return false;
        };
        let (len, width) = (self.len(), self.width());
        let from = HEADER + place * width;
        self.0.copy_within(from + width..HEADER + len * width, from);
        self.set_len(len - 1);
        if len == 1 {
            self.0 = Box::default();
        } else if self.0.len() > 64 && len * width * 4 < self.0.len() {
            self.move_to(width, len - 1);
        }
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.len()).map(|place| self.at(place))
    }

    pub(super) fn weight(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        #[test]
        fn behaves_as_an_ordered_set(
            steps in proptest::collection::vec((0u8..3, -300i64..300, 0u32..48), 1..400)
        ) {
            let mut ints = Ints::default();
            let mut model = BTreeSet::new();
            for (what, value, shift) in steps {
                let value = if shift > 40 { value << shift } else { value };
                if what == 0 {
                    proptest::prop_assert_eq!(ints.remove(value), model.remove(&value));
                } else {
                    proptest::prop_assert_eq!(ints.insert(value), model.insert(value));
                }
                proptest::prop_assert_eq!(ints.len(), model.len());
                proptest::prop_assert!(ints.contains(value) == model.contains(&value));
            }
            proptest::prop_assert!(ints.iter().eq(model.iter().copied()));
            proptest::prop_assert_eq!(ints.get(model.len()), None);
        }
    }

    #[test]
    fn integers_are_as_wide_as_the_widest() {
        let mut ints = Ints::default();
        for value in [
            i64::MIN,
            i64::MAX,
            0,
            -1,
            40_000,
            -40_000,
            32_767,
            3_000_000_000,
        ] {
            assert!(ints.insert(value));
        }
        assert!(ints.iter().is_sorted());
        assert_eq!(ints.get(0), Some(i64::MIN));
        let mut small = Ints::default();
        for value in 0..20 {
            small.insert(value);
        }
        assert!(small.weight() < 50, "{}", small.weight());
    }
}
