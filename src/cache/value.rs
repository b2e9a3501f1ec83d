//! Values: written by serde, compressed when that helps, as text so that requests can be merged.

use std::borrow::Cow;

use base64_simd::STANDARD_NO_PAD;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Delivery, Error, ErrorKind, Result};

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Codec {
    /// JSON: readable by all, and fields may come and go.
    #[default]
    Json,
    /// [postcard](https://docs.rs/postcard): smaller and faster; a change of the type needs another
    /// [`schema`](super::Keyspace::schema). Feature `postcard`.
    #[cfg(feature = "postcard")]
    Postcard,
}

impl Codec {
    const fn letter(self) -> u8 {
        match self {
            Self::Json => b'j',
            #[cfg(feature = "postcard")]
            Self::Postcard => b'p',
        }
    }
}

/// Written values of up to so many bytes, compressed from so many on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_bytes: usize,
    pub(super) compress_above: usize,
}

/// A value as it is stored.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) form: Form,
    pub(super) payload: String,
    /// Whether it is `None`.
    pub(super) is_absent: bool,
}

/// How a payload is written: codec and compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    codec: u8,
    compression: u8,
}

const PLAIN: u8 = b'-';
const LZ4: u8 = b'l';

impl Form {
    /// Of a value that is not written yet.
    pub(super) const UNWRITTEN: Self = Self {
        codec: PLAIN,
        compression: PLAIN,
    };

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        match *text {
            [codec, compression] => Some(Self { codec, compression }),
            _ => None,
        }
    }

    pub(super) fn letters(self) -> [char; 2] {
        [self.codec.into(), self.compression.into()]
    }
}

pub(super) fn too_large(limit: usize) -> Error {
    let text = format!("a cached value has at most {limit} bytes");
    Error::new(ErrorKind::TooLarge, Delivery::NotSent, text)
}

fn unwritable() -> Error {
    // The cause is left out: serde quotes the value.
    let text = "a cached value cannot be written by its codec";
    Error::new(ErrorKind::InvalidInput, Delivery::NotSent, text)
}

/// # Errors
/// `InvalidInput` for a value that its codec cannot write, `TooLarge` above the limit.
pub(super) fn write<V: Serialize + ?Sized>(
    value: &V,
    codec: Codec,
    limits: Limits,
) -> Result<Written> {
    let (plain, is_absent) = match codec {
        Codec::Json => {
            let text = serde_json::to_string(value).map_err(|_| unwritable())?;
            let is_absent = text == "null";
            (Plain::Text(text), is_absent)
        }
        #[cfg(feature = "postcard")]
        Codec::Postcard => {
            let bytes = postcard::to_allocvec(value).map_err(|_| unwritable())?;
            // Other values than none are one zero byte too.
            let is_absent = bytes == [0] && serde_json::to_string(value).is_ok_and(|t| t == "null");
            (Plain::Bytes(bytes), is_absent)
        }
    };
    let bytes = plain.bytes();
    if bytes.len() > limits.max_bytes {
        return Err(too_large(limits.max_bytes));
    }
    if bytes.len() > limits.compress_above {
        let packed = STANDARD_NO_PAD.encode_to_string(lz4_flex::compress_prepend_size(bytes));
        if packed.len() < bytes.len() {
            return Ok(Written {
                form: Form {
                    codec: codec.letter(),
                    compression: LZ4,
                },
                payload: packed,
                is_absent,
            });
        }
    }
    Ok(Written {
        form: Form {
            codec: codec.letter(),
            compression: PLAIN,
        },
        payload: plain.into_text(),
        is_absent,
    })
}

enum Plain {
    Text(String),
    #[cfg(feature = "postcard")]
    Bytes(Vec<u8>),
}

impl Plain {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            #[cfg(feature = "postcard")]
            Self::Bytes(bytes) => bytes,
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            #[cfg(feature = "postcard")]
            Self::Bytes(bytes) => STANDARD_NO_PAD.encode_to_string(bytes),
        }
    }
}

/// The value of a payload; `None` when it cannot be read, by this codec or within the limit.
pub(super) fn read<V: DeserializeOwned>(
    form: Form,
    payload: &[u8],
    codec: Codec,
    limits: Limits,
) -> Option<V> {
    let plain = plain(form, payload, codec, limits)?;
    match codec {
        Codec::Json => serde_json::from_slice(&plain).ok(),
        #[cfg(feature = "postcard")]
        Codec::Postcard => postcard::from_bytes(&plain).ok(),
    }
}

/// The bytes that a codec wrote, without a copy where they are stored so.
pub(super) fn written(form: Form, payload: &Bytes, codec: Codec, limits: Limits) -> Option<Bytes> {
    match plain(form, payload, codec, limits)? {
        Cow::Borrowed(_) => Some(payload.clone()),
        Cow::Owned(plain) => Some(plain.into()),
    }
}

/// The bytes that a codec wrote.
pub(super) fn plain(
    form: Form,
    payload: &[u8],
    codec: Codec,
    limits: Limits,
) -> Option<Cow<'_, [u8]>> {
    if form.codec != codec.letter() {
        return None;
    }
    let plain: Cow<'_, [u8]> = match (form.compression, codec) {
        (PLAIN, Codec::Json) => payload.into(),
        #[cfg(feature = "postcard")]
        (PLAIN, Codec::Postcard) => STANDARD_NO_PAD.decode_to_vec(payload).ok()?.into(),
        (LZ4, _) => unpack(payload, limits.max_bytes)?.into(),
        _ => return None,
    };
    (plain.len() <= limits.max_bytes).then_some(plain)
}

/// Compressed JSON as it was before.
pub(super) fn unpacked(form: Form, payload: &[u8], limits: Limits) -> Option<(Form, Bytes)> {
    let codec = Codec::Json.letter();
    if form
        != (Form {
            codec,
            compression: LZ4,
        })
    {
        return None;
    }
    let plain = unpack(payload, limits.max_bytes)?;
    let form = Form {
        codec,
        compression: PLAIN,
    };
    Some((form, plain.into()))
}

/// Never more than the limit, whatever the bytes claim.
fn unpack(payload: &[u8], limit: usize) -> Option<Vec<u8>> {
    let packed = STANDARD_NO_PAD.decode_to_vec(payload).ok()?;
    let (size, packed) = packed.split_first_chunk()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
    if size > limit {
        return None;
    }
    let mut plain = vec![0; size];
    let written = lz4_flex::decompress_into(packed, &mut plain).ok()?;
    (written == size).then_some(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const LIMITS: Limits = Limits {
        max_bytes: 10_000,
        compress_above: 1024,
    };

    #[test]
    fn long_values_are_compressed_when_that_makes_them_shorter() {
        let short = write("a", Codec::Json, LIMITS).unwrap();
        assert_eq!(short.form.letters(), ['j', '-']);
        assert_eq!(short.payload, "\"a\"");
        let long = "report ".repeat(1000);
        let packed = write(&long, Codec::Json, LIMITS).unwrap();
        assert_eq!(packed.form.letters(), ['j', 'l']);
        assert!(packed.payload.len() < 200, "{}", packed.payload.len());
        let back: String =
            read(packed.form, packed.payload.as_bytes(), Codec::Json, LIMITS).unwrap();
        assert_eq!(back, long);
    }

    #[test]
    fn what_claims_or_unpacks_to_more_than_the_limit_is_unreadable() {
        let small = Limits {
            max_bytes: 100,
            ..LIMITS
        };
        let long = "x".repeat(5000);
        assert_eq!(
            write(&long, Codec::Json, small).unwrap_err().kind(),
            ErrorKind::TooLarge
        );
        let packed = write(&long, Codec::Json, LIMITS).unwrap();
        let bytes = packed.payload.as_bytes();
        assert!(read::<String>(packed.form, bytes, Codec::Json, small).is_none());
        // A claim of 4 GiB, and one that is too small for what follows.
        for claim in [u32::MAX, 10] {
            let mut raw = STANDARD_NO_PAD.decode_to_vec(bytes).unwrap();
            raw[..4].copy_from_slice(&claim.to_le_bytes());
            let bad = STANDARD_NO_PAD.encode_to_string(raw);
            assert!(read::<String>(packed.form, bad.as_bytes(), Codec::Json, LIMITS).is_none());
        }
    }

    #[test]
    fn only_none_is_absent() {
        assert!(write(&None::<u8>, Codec::Json, LIMITS).unwrap().is_absent);
        assert!(!write("", Codec::Json, LIMITS).unwrap().is_absent);
        #[cfg(feature = "postcard")]
        {
            assert!(
                write(&None::<u8>, Codec::Postcard, LIMITS)
                    .unwrap()
                    .is_absent
            );
            assert!(!write(&false, Codec::Postcard, LIMITS).unwrap().is_absent);
        }
    }

    #[cfg(feature = "postcard")]
    #[test]
    fn another_codec_is_unreadable() {
        let json = write(&7_u8, Codec::Json, LIMITS).unwrap();
        assert!(read::<u8>(json.form, json.payload.as_bytes(), Codec::Postcard, LIMITS).is_none());
        let compact = write(&(7_u8, "ab"), Codec::Postcard, LIMITS).unwrap();
        assert_eq!(compact.payload, "BwJhYg");
        let bytes = compact.payload.as_bytes();
        let back = read::<(u8, String)>(compact.form, bytes, Codec::Postcard, LIMITS);
        assert_eq!(back, Some((7, "ab".to_owned())));
    }
}
