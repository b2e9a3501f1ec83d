//! Numbers and byte strings in a snapshot.

use bytes::Bytes;

/// The bytes make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// Appends a number, seven bits a byte.
pub(crate) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length and bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes a snapshot apart; never reads past the end.
#[derive(Debug)]
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        let first = *self.rest.first().ok_or(Corrupt)?;
        drop(self.rest.split_to(1));
        Ok(first)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Corrupt);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Corrupt)
    }

    /// A count of things that take at least one byte each.
    pub(crate) fn count(&mut self) -> Result<usize, Corrupt> {
        let count = usize::try_from(self.number()?).map_err(|_| Corrupt)?;
        if count > self.rest.len() {
            return Err(Corrupt);
        }
        Ok(count)
    }

    /// A byte string, copied out: a part must not keep the whole snapshot in memory.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, Corrupt> {
        let len = self.count()?;
        Ok(Bytes::copy_from_slice(&self.rest.split_to(len)))
    }

    pub(crate) fn double(&mut self) -> Result<f64, Corrupt> {
        let raw: [u8; 8] = self
            .rest
            .get(..8)
            .and_then(|raw| raw.try_into().ok())
            .ok_or(Corrupt)?;
        drop(self.rest.split_to(8));
        Ok(f64::from_le_bytes(raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn numbers_and_bytes_survive(value: u64, text: Vec<u8>) {
            let mut out = Vec::new();
            put_number(&mut out, value);
            put_bytes(&mut out, &text);
            let mut reader = Reader::new(Bytes::from(out));
            proptest::prop_assert_eq!(reader.number(), Ok(value));
            proptest::prop_assert_eq!(reader.bytes(), Ok(Bytes::from(text)));
            proptest::prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn a_length_past_the_end_is_refused() {
        let mut out = Vec::new();
        put_number(&mut out, u64::MAX);
        assert_eq!(Reader::new(Bytes::from(out)).bytes(), Err(Corrupt));
        assert_eq!(
            Reader::new(Bytes::from_static(&[0xff; 11])).number(),
            Err(Corrupt)
        );
    }
}
