//! LZF decompression.

/// Decompresses to exactly `len` bytes.
pub(super) fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    // A byte of input gives at most 264 bytes of output.
    if len / 264 > input.len() {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut input = input.iter().copied();
    while let Some(control) = input.next() {
        let high = usize::from(control >> 5);
        if high == 0 {
            for _ in 0..=control {
                out.push(input.next()?);
            }
        } else {
            let run = if high == 7 {
                usize::from(input.next()?) + 9
            } else {
                high + 2
            };
            let distance = (usize::from(control & 0x1f) << 8) + usize::from(input.next()?) + 1;
            let start = out.len().checked_sub(distance)?;
            for at in start..start + run {
                out.push(*out.get(at)?);
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_overlapping_runs_are_expanded() {
        // "ab", then ten bytes from two before.
        assert_eq!(
            decompress(&[1, b'a', b'b', 0xe0, 1, 1], 12).as_deref(),
            Some(b"abababababab".as_slice())
        );
        assert_eq!(decompress(&[1, b'a'], 2), None);
        assert_eq!(decompress(&[0x20, 5], 3), None);
    }
}
