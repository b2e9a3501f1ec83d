//! One value in the format of Redis' DUMP and RESTORE.
//!
//! Strings, lists, sets, sorted sets and hashes go to and from a real Redis (7 and later). Its
//! streams are read; ours, and JSON documents, are written under types of our own, which only this
//! engine reads.

mod listpack;
mod lzf;
mod read;
mod stream;

use bytes::Bytes;
use crc::{CRC_64_REDIS, Crc};

use crate::encoding::write_value;
use crate::value::Value;

pub(crate) use read::Malformed;

const STRING: u8 = 0;
const LIST: u8 = 1;
const SET: u8 = 2;
const ZSET_TEXT: u8 = 3;
const HASH: u8 = 4;
const ZSET: u8 = 5;
const SET_INTSET: u8 = 11;
const HASH_LISTPACK: u8 = 16;
const ZSET_LISTPACK: u8 = 17;
const LIST_QUICKLIST: u8 = 18;
const STREAM: u8 = 15;
const STREAM_NUMBERS: u8 = 19;
const SET_LISTPACK: u8 = 20;
const STREAM_ACTIVE: u8 = 21;
const HASH_EXPIRY: u8 = 24;
const HASH_LISTPACK_EXPIRY: u8 = 25;
/// The code of a library of functions.
const LIBRARY: u8 = 245;
/// Our own: what follows is a value as in a snapshot.
const OWN: u8 = 0xd0;

/// Written: readable from Redis 7.0 on.
const VERSION: u16 = 10;
/// Written with field expiries, which came with Redis 7.4.
const VERSION_EXPIRY: u16 = 12;
/// The newest version that is read.
const VERSION_READ: u16 = 13;

static CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);

/// Version and checksum.
const FOOTER: usize = 10;

/// The payload of DUMP.
pub(crate) fn dump(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let mut version = VERSION;
    match value {
        Value::Str(bytes) => {
            out.push(STRING);
            put(&mut out, bytes);
        }
        Value::List(list) => {
            out.push(LIST);
            put_length(&mut out, list.len());
            list.iter().for_each(|item| put(&mut out, &item));
        }
        Value::Set(set) => {
            out.push(SET);
            put_length(&mut out, set.len());
            set.iter().for_each(|member| put(&mut out, &member));
        }
        Value::ZSet(zset) => {
            out.push(ZSET);
            put_length(&mut out, zset.len());
            // Highest first, as Redis writes: inserting at the head is cheap when it loads.
            for (member, score) in zset.range_rev(0..zset.len()) {
                put(&mut out, &member);
                out.extend_from_slice(&score.to_le_bytes());
            }
        }
        Value::Hash(hash) => {
            let soonest = hash.next_expiry();
            if soonest.is_some() {
                version = VERSION_EXPIRY;
            }
            out.push(if soonest.is_some() { HASH_EXPIRY } else { HASH });
            out.extend(soonest.into_iter().flat_map(u64::to_le_bytes));
            put_length(&mut out, hash.len());
            for (field, value, expiry) in hash.iter_with_expiry() {
                if let Some(soonest) = soonest {
                    let relative = if expiry == 0 { 0 } else { expiry - soonest + 1 };
                    put_length(&mut out, relative as usize);
                }
                put(&mut out, &field);
                put(&mut out, &value);
            }
        }
        Value::Stream(_) | Value::Json(_) | Value::Vectors(_) | Value::Array(_) => {
            out.push(OWN);
            write_value(&mut out, value);
        }
    }
    put_footer(&mut out, version);
    out
}

/// Ends a payload: its version and checksum.
fn put_footer(out: &mut Vec<u8>, version: u16) {
    out.extend_from_slice(&version.to_le_bytes());
    let sum = CRC.checksum(out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The payload of FUNCTION DUMP.
pub(crate) fn dump_libraries<'c>(codes: impl Iterator<Item = &'c [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for code in codes {
        out.push(LIBRARY);
        put(&mut out, code);
    }
    put_footer(&mut out, VERSION);
    out
}

/// The code of the libraries in a sound payload, which may unfold to `most` bytes.
pub(crate) fn restore_libraries(payload: &[u8], most: usize) -> Result<Vec<Bytes>, Malformed> {
    let end = payload.len().checked_sub(FOOTER).ok_or(Malformed)?;
    read::libraries(&payload[..end], most)
}

/// Whether a payload's version and checksum are right.
pub(crate) fn is_sound(payload: &[u8]) -> bool {
    let Some(end) = payload.len().checked_sub(FOOTER) else {
        return false;
    };
    let version = u16::from_le_bytes([payload[end], payload[end + 1]]);
    let (body, sum) = payload.split_at(end + 2);
    // A checksum of zero means that it was switched off.
    version <= VERSION_READ && (sum == [0; 8] || sum == CRC.checksum(body).to_le_bytes())
}

/// The value in a sound payload; fields that expired before `now` are left out. What is compressed
/// may unfold to `most` bytes.
pub(crate) fn restore(payload: &[u8], now: u64, most: usize) -> Result<Value, Malformed> {
    let end = payload.len().checked_sub(FOOTER).ok_or(Malformed)?;
    read::value(&payload[..end], now, most)
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    let length = length as u64;
    if length < 1 << 6 {
        out.push(length as u8);
    } else if length < 1 << 14 {
        out.extend_from_slice(&(0x4000 | length as u16).to_be_bytes());
    } else if let Ok(length) = u32::try_from(length) {
        out.push(0x80);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(0x81);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use crate::hash::Hash;
    use crate::value::Typed;

    #[test]
    fn a_damaged_payload_is_not_sound() {
        let payload = dump(&Value::Str(b"value"[..].into()));
        assert!(is_sound(&payload));
        for at in 0..payload.len() {
            let mut damaged = payload.clone();
            damaged[at] ^= 1;
            assert!(!is_sound(&damaged), "{at}");
            assert!(!is_sound(&payload[..at]), "{at}");
        }
    }

    #[test]
    fn the_payload_of_redis_is_reproduced() {
        // DUMP of the string 10 by Redis, from its documentation (RDB version 9).
        let payload = b"\x00\xc0\n\t\x00\xbem\x06\x89Z(\x00\n";
        assert!(is_sound(payload));
        let Ok(Value::Str(text)) = restore(payload, 0, usize::MAX) else {
            panic!("the payload is a string");
        };
        assert_eq!(*text, *b"10");
    }

    #[test]
    fn fields_keep_their_expiry_unless_it_passed() {
        let mut hash = Hash::default();
        for (field, expiry) in [("a", None), ("b", Some(100)), ("c", Some(5000))] {
            hash.set(field.as_bytes(), b"v");
            hash.set_expiry(field.as_bytes(), expiry);
        }
        let payload = dump(&hash.into_value());
        let Ok(Value::Hash(read)) = restore(&payload, 1000, usize::MAX) else {
            panic!("the payload is a hash");
        };
        assert_eq!(read.len(), 2);
        assert_eq!(read.expiry(b"c"), Some(5000));
        assert_eq!(read.expiry(b"a"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_reading_fail_other_than_by_an_error(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)
        ) {
            let _ = is_sound(&bytes);
            let _ = restore(&bytes, 0, usize::MAX);
        }

        #[test]
        fn no_damaged_value_makes_reading_fail_other_than_by_an_error(
            at in 0usize..60, byte: u8
        ) {
            let mut hash = Hash::default();
            for n in 0..8u8 {
                hash.set(&[n], &[n; 5]);
            }
            let mut payload = dump(&hash.into_value());
            if let Some(place) = payload.get_mut(at) {
                *place = byte;
            }
            let _ = restore(&payload, 0, usize::MAX);
        }
    }
}
