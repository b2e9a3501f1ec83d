//! RESP2 values.

use bytes::BytesMut;
use restis_engine::Reply;

pub(crate) fn value(out: &mut BytesMut, reply: &Reply) {
    match reply {
        Reply::Nil => out.extend_from_slice(b"$-1\r\n"),
        Reply::NilArray => out.extend_from_slice(b"*-1\r\n"),
        Reply::Int(n) => header(out, b':', *n),
        Reply::Bulk(bytes) => {
            out.reserve(bytes.len() + 16);
            header(out, b'$', bytes.len() as i64);
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Simple(text) => line(out, b'+', text),
        Reply::Error(text) => error(out, text.message()),
        Reply::Array(items) => {
            header(out, b'*', items.len() as i64);
            for item in items {
                value(out, item);
            }
        }
    }
}

pub(crate) fn error(out: &mut BytesMut, text: &str) {
    line(out, b'-', text);
}

pub(crate) fn header(out: &mut BytesMut, kind: u8, n: i64) {
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(&[kind]);
    out.extend_from_slice(buffer.format(n).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A line cannot hold line breaks; they become spaces, as Redis does.
fn line(out: &mut BytesMut, kind: u8, text: &str) {
    out.reserve(text.len() + 3);
    out.extend_from_slice(&[kind]);
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn every_kind_of_value() {
        let mut out = BytesMut::new();
        let reply = Reply::Array(vec![
            Reply::Nil,
            Reply::NilArray,
            Reply::Int(-7),
            Reply::Bulk(Bytes::from_static(b"\xff\r\n")),
            Reply::Simple("OK".into()),
        ]);
        value(&mut out, &reply);
        error(&mut out, "ERR a\nb");
        assert_eq!(
            out.as_ref(),
            b"*5\r\n$-1\r\n*-1\r\n:-7\r\n$3\r\n\xff\r\n\r\n+OK\r\n-ERR a b\r\n"
        );
    }
}
