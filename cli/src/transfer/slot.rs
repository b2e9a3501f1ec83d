//! Slots of a Redis Cluster.

use std::borrow::Cow;
use std::sync::OnceLock;

const SLOTS: usize = 16_384;
const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);

/// The slot of a key: that of what stands between the first `{` and the next `}`, if anything does.
fn slot(key: &[u8]) -> usize {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    usize::from(CRC.checksum(tag.unwrap_or(key))) % SLOTS
}

/// A key that is text and has the slot of this one: the key itself, or a number.
///
/// A request with several arguments cannot carry other bytes; declared by a script, it leads to the
/// node that has the key.
pub(super) fn text_key(key: &[u8]) -> Cow<'_, [u8]> {
    static NUMBERS: OnceLock<Vec<u32>> = OnceLock::new();
    if std::str::from_utf8(key).is_ok() {
        return Cow::Borrowed(key);
    }
    let numbers = NUMBERS.get_or_init(|| {
        let mut numbers = vec![None; SLOTS];
        let mut missing = SLOTS;
        // Some 160,000 numbers have every slot.
        for number in 0_u32.. {
            let slot = slot(number.to_string().as_bytes());
            if numbers[slot].is_none() {
                numbers[slot] = Some(number);
                missing -= 1;
            }
            if missing == 0 {
                break;
            }
        }
        numbers.into_iter().flatten().collect()
    });
    Cow::Owned(numbers[slot(key)].to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_slot_of_a_key_of_any_bytes() {
        // The checksum that the specification of Redis Cluster names: 31C3.
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(
            slot(b"foo{}{bar}"),
            usize::from(CRC.checksum(b"foo{}{bar}")) % SLOTS
        );
        for byte in 128..=255_u8 {
            let key = [byte, b'{', byte, b'}'];
            let text = text_key(&key);
            assert!(text.is_ascii());
            assert_eq!(slot(&text), slot(&[byte]));
        }
        assert_eq!(text_key(b"text"), &b"text"[..]);
    }
}
