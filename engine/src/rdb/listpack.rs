//! Listpacks and intsets: Redis' compact lists of strings and integers.

use bytes::Bytes;

use super::read::Malformed;

/// The elements of a listpack.
pub(super) fn elements(bytes: &[u8]) -> Result<Vec<Bytes>, Malformed> {
    let total: [u8; 4] = bytes
        .get(..4)
        .and_then(|b| b.try_into().ok())
        .ok_or(Malformed)?;
    if u32::from_le_bytes(total) as usize != bytes.len() {
        return Err(Malformed);
    }
    let mut rest = bytes.get(6..).ok_or(Malformed)?;
    let mut out = Vec::new();
    loop {
        match rest {
            [0xff] => return Ok(out),
            [] | [0xff, ..] => return Err(Malformed),
            [..] => {}
        }
        let (element, used) = element(rest)?;
        out.push(element);
        rest = rest.get(used + back_length(used)..).ok_or(Malformed)?;
    }
}

/// How many bytes tell the length of an element to someone who walks backwards.
const fn back_length(used: usize) -> usize {
    match used {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        2_097_152..=268_435_455 => 4,
        _ => 5,
    }
}

/// One element, and the bytes it takes.
fn element(bytes: &[u8]) -> Result<(Bytes, usize), Malformed> {
    let text = |header: usize, len: usize| {
        let text = bytes.get(header..header + len).ok_or(Malformed)?;
        Ok((Bytes::copy_from_slice(text), header + len))
    };
    let number = |value: i64, used: usize| {
        let text = itoa::Buffer::new().format(value).to_owned();
        Ok((Bytes::from(text), used))
    };
    let first = *bytes.first().ok_or(Malformed)?;
    let second = || bytes.get(1).copied().map(usize::from).ok_or(Malformed);
    match first {
        0..=0x7f => number(i64::from(first), 1),
        0x80..=0xbf => text(1, usize::from(first & 0x3f)),
        0xc0..=0xdf => {
            let raw = (i64::from(first & 0x1f) << 8) | second()? as i64;
            number(if raw >= 1 << 12 { raw - (1 << 13) } else { raw }, 2)
        }
        0xe0..=0xef => text(2, (usize::from(first & 0x0f) << 8) | second()?),
        0xf0 => {
            let len: [u8; 4] = bytes
                .get(1..5)
                .and_then(|b| b.try_into().ok())
                .ok_or(Malformed)?;
            text(5, u32::from_le_bytes(len) as usize)
        }
        0xf1 => number(signed(bytes, 2)?, 3),
        0xf2 => number(signed(bytes, 3)?, 4),
        0xf3 => number(signed(bytes, 4)?, 5),
        0xf4 => number(signed(bytes, 8)?, 9),
        _ => Err(Malformed),
    }
}

/// A little-endian integer of this many bytes, after one byte of header.
fn signed(bytes: &[u8], size: usize) -> Result<i64, Malformed> {
    integer(bytes.get(1..=size).ok_or(Malformed)?)
}

fn integer(raw: &[u8]) -> Result<i64, Malformed> {
    let last = *raw.last().ok_or(Malformed)?;
    let mut wide = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
    wide.get_mut(..raw.len())
        .ok_or(Malformed)?
        .copy_from_slice(raw);
    Ok(i64::from_le_bytes(wide))
}

/// The members of an intset.
pub(super) fn integers(bytes: &[u8]) -> Result<Vec<i64>, Malformed> {
    let word = |at: usize| -> Result<usize, Malformed> {
        let raw: [u8; 4] = bytes
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .ok_or(Malformed)?;
        Ok(u32::from_le_bytes(raw) as usize)
    };
    let (size, count) = (word(0)?, word(4)?);
    let body = &bytes[8..];
    if !matches!(size, 2 | 4 | 8) || Some(body.len()) != size.checked_mul(count) {
        return Err(Malformed);
    }
    body.chunks_exact(size).map(integer).collect()
}
