//! Bytes that are short, as a rule.

/// So many fit without an allocation.
const SHORT: usize = 46;

/// A buffer that lives where it is until it grows beyond a few bytes.
#[derive(Clone)]
pub(crate) enum Buffer {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Vec<u8>),
}

impl Default for Buffer {
    fn default() -> Self {
        Self::Short {
            length: 0,
            bytes: [0; SHORT],
        }
    }
}

impl Buffer {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Makes room for more.
    pub(crate) fn reserve(&mut self, more: usize) {
        match self {
            Self::Short { length, .. } if usize::from(*length) + more <= SHORT => {}
            Self::Short { .. } => self.lengthen(more),
            Self::Long(bytes) => bytes.reserve(more),
        }
    }

    pub(crate) fn extend(&mut self, more: &[u8]) {
        match self {
            Self::Short { length, bytes } => {
                let start = usize::from(*length);
                if let Some(room) = bytes.get_mut(start..start + more.len()) {
                    room.copy_from_slice(more);
                    *length += more.len() as u8;
                } else {
                    self.lengthen(more.len());
                    self.extend(more);
                }
            }
            Self::Long(bytes) => bytes.extend_from_slice(more),
        }
    }

    #[cold]
    fn lengthen(&mut self, more: usize) {
        let short = self.as_slice();
        let mut long = Vec::with_capacity((short.len() + more).max(2 * SHORT));
        long.extend_from_slice(short);
        *self = Self::Long(long);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_stays_whatever_its_length() {
        for step in [1, 7, SHORT - 1, SHORT, SHORT + 1, 1000] {
            let (mut buffer, mut expected) = (Buffer::default(), Vec::new());
            for n in 0..100_u8 {
                let more = vec![n; step];
                if n % 3 == 0 {
                    buffer.reserve(step);
                }
                buffer.extend(&more);
                expected.extend_from_slice(&more);
                assert_eq!(buffer.as_slice(), expected);
                assert_eq!(buffer.len(), expected.len());
            }
        }
    }
}
