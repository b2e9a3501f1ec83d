//! JSON envelopes, with plain or base64 strings.

use base64_simd::{AsOut as _, STANDARD};
use bytes::BytesMut;
use restis_engine::Reply;

/// Beyond this JavaScript numbers lose digits; such integers travel as strings.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// How strings are written.
pub(super) trait Strings {
    fn string(out: &mut BytesMut, bytes: &[u8]);
}

pub(super) struct Plain;
pub(super) struct Base64;

impl Strings for Plain {
    fn string(out: &mut BytesMut, bytes: &[u8]) {
        string(out, bytes);
    }
}

impl Strings for Base64 {
    fn string(out: &mut BytesMut, bytes: &[u8]) {
        let start = out.len() + 1;
        let encoded = STANDARD.encoded_length(bytes.len());
        out.reserve(encoded + 2);
        out.extend_from_slice(b"\"");
        out.resize(start + encoded, 0);
        let written = STANDARD.encode(bytes, out[start..].as_out());
        debug_assert_eq!(written.len(), encoded);
        out.extend_from_slice(b"\"");
    }
}

pub(super) fn envelope<S: Strings>(out: &mut BytesMut, reply: &Reply) {
    if let Reply::Error(line) = reply {
        return error(out, line.message());
    }
    out.extend_from_slice(b"{\"result\":");
    match reply {
        // Clients know a bare OK in every encoding, at this depth only.
        Reply::Simple(text) if text == "OK" => out.extend_from_slice(b"\"OK\""),
        other => value::<S>(out, other),
    }
    out.extend_from_slice(b"}");
}

pub(super) fn error(out: &mut BytesMut, line: &str) {
    out.extend_from_slice(b"{\"error\":");
    string(out, line.as_bytes());
    out.extend_from_slice(b"}");
}

fn value<S: Strings>(out: &mut BytesMut, reply: &Reply) {
    match reply {
        Reply::Nil | Reply::NilArray => out.extend_from_slice(b"null"),
        Reply::Int(n) => integer::<S>(out, *n),
        Reply::Bulk(bytes) => S::string(out, bytes),
        Reply::Simple(text) => S::string(out, text.as_bytes()),
        Reply::Error(line) => error(out, line.message()),
        Reply::Array(items) => {
            out.extend_from_slice(b"[");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b",");
                }
                value::<S>(out, item);
            }
            out.extend_from_slice(b"]");
        }
    }
}

fn integer<S: Strings>(out: &mut BytesMut, n: i64) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(n);
    if n.unsigned_abs() <= MAX_SAFE_INTEGER {
        out.extend_from_slice(text.as_bytes());
    } else {
        S::string(out, text.as_bytes());
    }
}

/// Writes a JSON string; each byte that is not UTF-8 becomes one U+FFFD, as Upstash answers.
pub(super) fn string(out: &mut BytesMut, bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    out.extend_from_slice(b"\"");
    match std::str::from_utf8(bytes) {
        Ok(text) => escaped(out, text.as_bytes()),
        Err(_) => {
            for chunk in bytes.utf8_chunks() {
                escaped(out, chunk.valid().as_bytes());
                for _ in chunk.invalid() {
                    out.extend_from_slice("\u{FFFD}".as_bytes());
                }
            }
        }
    }
    out.extend_from_slice(b"\"");
}

fn escaped(out: &mut BytesMut, text: &[u8]) {
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        let short: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&text[from..at]);
        if short.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let low = HEX[usize::from(byte & 15)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), low]);
        } else {
            out.extend_from_slice(short);
        }
        from = at + 1;
    }
    out.extend_from_slice(&text[from..]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn plain(reply: &Reply) -> String {
        let mut out = BytesMut::new();
        envelope::<Plain>(&mut out, reply);
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn base64(reply: &Reply) -> String {
        let mut out = BytesMut::new();
        envelope::<Base64>(&mut out, reply);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn only_a_top_level_ok_stays_raw() {
        let ok = || Reply::Simple("OK".into());
        assert_eq!(base64(&ok()), r#"{"result":"OK"}"#);
        assert_eq!(base64(&Reply::Array(vec![ok()])), r#"{"result":["T0s="]}"#);
        assert_eq!(
            base64(&Reply::Simple("PONG".into())),
            r#"{"result":"UE9ORw=="}"#
        );
        let stored = Reply::Bulk(Bytes::from_static(b"OK"));
        assert_eq!(base64(&stored), r#"{"result":"T0s="}"#);
    }

    #[test]
    fn bytes_survive_base64_only() {
        let reply = Reply::Bulk(Bytes::from_static(b"a\xff\"\x01"));
        assert_eq!(base64(&reply), r#"{"result":"Yf8iAQ=="}"#);
        assert_eq!(plain(&reply), "{\"result\":\"a\u{FFFD}\\\"\\u0001\"}");
    }

    #[test]
    fn integers_beyond_javascript_are_strings() {
        assert_eq!(
            plain(&Reply::Int(9_007_199_254_740_991)),
            r#"{"result":9007199254740991}"#
        );
        assert_eq!(
            plain(&Reply::Int(9_007_199_254_740_992)),
            r#"{"result":"9007199254740992"}"#
        );
        assert_eq!(
            plain(&Reply::Int(i64::MIN)),
            r#"{"result":"-9223372036854775808"}"#
        );
        let decoded = STANDARD
            .decode_to_vec("OTIyMzM3MjAzNjg1NDc3NTgwNw==")
            .unwrap();
        assert_eq!(decoded, b"9223372036854775807");
        assert_eq!(
            base64(&Reply::Int(i64::MAX)),
            r#"{"result":"OTIyMzM3MjAzNjg1NDc3NTgwNw=="}"#
        );
    }

    #[test]
    fn nested_values_and_holes() {
        let reply = Reply::Array(vec![
            Reply::Nil,
            Reply::Int(-1),
            Reply::Array(vec![Reply::NilArray, Reply::Bulk(Bytes::new())]),
        ]);
        assert_eq!(plain(&reply), r#"{"result":[null,-1,[null,""]]}"#);
    }

    proptest! {
        #[test]
        fn strings_parse_back(text in any::<String>()) {
            let mut out = BytesMut::new();
            string(&mut out, text.as_bytes());
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_bytes_make_valid_json(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut out = BytesMut::new();
            string(&mut out, &bytes);
            let parsed: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(parsed, one_by_one(&bytes));
        }
    }

    /// Takes a character where there is one, else a byte.
    fn one_by_one(mut bytes: &[u8]) -> String {
        let mut out = String::new();
        while !bytes.is_empty() {
            let character = (1..=bytes.len().min(4))
                .find_map(|len| std::str::from_utf8(&bytes[..len]).ok())
                .unwrap_or_default();
            out.push_str(if character.is_empty() {
                "\u{FFFD}"
            } else {
                character
            });
            bytes = &bytes[character.len().max(1)..];
        }
        out
    }

    #[test]
    fn each_invalid_byte_is_one_replacement() {
        for (bytes, count) in [
            (&b"\xff"[..], 1),
            (b"\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
            (b"\xed\xa0\x80", 3),
            (b"\xc0\x80", 2),
        ] {
            let text = plain(&Reply::Bulk(Bytes::copy_from_slice(bytes)));
            assert_eq!(
                text,
                format!("{{\"result\":\"{}\"}}", "\u{FFFD}".repeat(count))
            );
        }
    }
}
