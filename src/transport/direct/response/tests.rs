#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! Answers whole, in pieces, hurt and arbitrary.
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt as _;
use proptest::{collection::vec, prelude::*};
use tokio::io::ReadBuf;

use super::*;

/// A stream that gives one piece a read and then ends.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let fits = piece.len().min(buf.remaining());
            buf.put_slice(&piece[..fits]);
            if fits < piece.len() {
                self.0.push_front(piece.split_off(fits));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Cut after each of these many bytes, in turn.
fn pieces(answer: &[u8], lengths: &[usize]) -> Pieces {
    let mut rest = answer;
    let mut all = VecDeque::new();
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let length = lengths
            .next()
            .map_or(rest.len(), |n| (*n).clamp(1, rest.len()));
        let (piece, after) = rest.split_at(length);
        all.push_back(piece.to_vec());
        rest = after;
    }
    Pieces(all)
}

/// What a client understands: status, body, and whether the connection stays usable.
fn read_in(answer: &[u8], lengths: &[usize], max: usize) -> Result<(u16, Bytes, bool)> {
    let mut reader = Reader::new(pieces(answer, lengths));
    let outcome = reader.answer(max).now_or_never().unwrap();
    assert!(reader.buffer.len() <= answer.len());
    outcome.map(|(head, body, reusable)| (head.status.as_u16(), body, reusable))
}

fn read(answer: &[u8], max: usize) -> Result<(u16, Bytes, bool)> {
    let whole = read_in(answer, &[], max);
    let bytewise = read_in(answer, &[1], max);
    // Surplus is only seen when it came with the end of the body.
    let told = |outcome: &Result<(u16, Bytes, bool)>| match outcome {
        Ok((status, body, _)) => Ok((*status, body.clone())),
        Err(e) => Err((e.kind(), e.delivery(), e.status())),
    };
    assert_eq!(told(&whole), told(&bytewise));
    whole
}

/// The same body, read as it comes.
fn read_as_it_comes(answer: &[u8], lengths: &[usize]) -> Result<Vec<u8>> {
    let mut reader = Reader::new(pieces(answer, lengths));
    let reading = async {
        let (_, mut rest) = reader.opening().await?;
        let mut body = Vec::new();
        while let Some(piece) = reader.piece(&mut rest).await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    };
    reading.now_or_never().unwrap()
}

#[test]
fn every_framing_is_read_and_only_sound_connections_are_kept() {
    for (answer, body, kept) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"[..], "hi", true),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nt: v\r\n\r\n", "hi", true),
        (b"HTTP/1.1 200 OK\r\n\r\nhi", "hi", false),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", false),
        (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi", "hi", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi surplus", "hi", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", true),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "", true),
    ] {
        let text = String::from_utf8_lossy(answer);
        let (_, read, reusable) = read(answer, 100).unwrap();
        assert_eq!(read, body, "{text}");
        assert_eq!(reusable, kept, "{text}");
    }
}

#[test]
fn broken_answers_may_have_been_executed() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhixx0\r\n\r\n",
        b"220 smtp.example.com ESMTP\r\n",
    ] {
        let text = String::from_utf8_lossy(answer);
        let error = read(answer, 100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{text}");
        assert_eq!(error.delivery(), Delivery::MaybeExecuted, "{text}");
    }
}

#[test]
fn an_answer_above_the_limit_is_refused_in_every_framing() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n123456789",
    ] {
        let error = read(answer, 8).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}

#[test]
fn a_long_body_is_held_once() {
    let body = vec![b'x'; 3_000_000];
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    answer.extend(body.iter().map(|b| char::from(*b)));
    let mut reader = Reader::new(pieces(answer.as_bytes(), &[5_000]));
    let (_, read, _) = reader.answer(body.len()).now_or_never().unwrap().unwrap();
    assert_eq!(read, body);
    // The connection keeps nothing of it, and nothing was doubled for the last bytes.
    assert!(read.is_unique() && reader.buffer.capacity() == 0);
    let whole = Vec::from(read);
    assert!(
        whole.capacity() < body.len() + 64 * 1024,
        "{}",
        whole.capacity()
    );
}

#[test]
fn heads_and_lines_that_are_too_long_are_refused_in_every_cut() {
    let long = |n| "x".repeat(n);
    let head = |n| {
        format!(
            "HTTP/1.1 200 OK\r\na: {}\r\ncontent-length: 0\r\n\r\n",
            long(n)
        )
    };
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let line = |n| format!("{chunked}0;{}\r\n\r\n", long(n));
    assert!(read(head(8_000).as_bytes(), 0).is_ok());
    assert!(read(line(8_000).as_bytes(), 0).is_ok());
    for answer in [
        line(8_200),
        format!("{chunked}0\r\n{}\r\n", "t: v\r\n".repeat(MAX_EXTRAS)),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_EXTRAS + 1),
        format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "a: b\r\n".repeat(MAX_HEADERS + 1)
        ),
    ] {
        let error = read(answer.as_bytes(), 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
    // Reading this one byte by byte would take long.
    for lengths in [&[][..], &[1000]] {
        let error = read_in(head(66_000).as_bytes(), lengths, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
}

/// A sound answer and its body.
fn sound() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (
        vec(any::<u8>(), 0..300),
        vec(1_usize..40, 0..12),
        "[a-z]{1,8}",
        0..3,
    )
        .prop_map(|(body, chunks, name, form)| {
            let mut bytes = format!("HTTP/1.1 200 OK\r\nx-{name}: {name}\r\n").into_bytes();
            match form {
                0 => {
                    bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                    bytes.extend(&body);
                }
                1 => {
                    bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
                    let mut rest = &body[..];
                    let mut sizes = chunks.iter().copied().chain(std::iter::repeat(64));
                    while !rest.is_empty() {
                        let size = sizes.next().unwrap_or(1).min(rest.len());
                        bytes.extend(format!("{size:x};{name}\r\n").bytes());
                        bytes.extend(&rest[..size]);
                        bytes.extend(b"\r\n");
                        rest = &rest[size..];
                    }
                    bytes.extend(format!("0\r\n{name}: x\r\n\r\n").bytes());
                }
                _ => {
                    bytes.extend(b"\r\n");
                    bytes.extend(&body);
                }
            }
            (bytes, body)
        })
}

proptest! {
    #[test]
    fn a_sound_answer_is_read_however_it_arrives(
        (bytes, body) in sound(),
        lengths in vec(1_usize..50, 1..8),
    ) {
        for lengths in [&[][..], &[1], &lengths] {
            let (status, read, _) = read_in(&bytes, lengths, 1000).unwrap();
            prop_assert_eq!((status, &read[..]), (200, &body[..]));
            prop_assert_eq!(read_as_it_comes(&bytes, lengths).unwrap(), &body[..]);
        }
    }

    #[test]
    fn an_answer_that_ends_early_is_an_interruption(
        (bytes, body) in sound(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(bytes.len());
        match read(&bytes[..cut], 1000) {
            Err(e) => prop_assert_eq!(e.delivery(), Delivery::MaybeExecuted),
            // Only a body that ends with the connection cannot tell.
            Ok((_, read, reusable)) => prop_assert!(!reusable && body.starts_with(&read)),
        }
        match read_as_it_comes(&bytes[..cut], &[3]) {
            Err(e) => prop_assert_eq!(e.delivery(), Delivery::MaybeExecuted),
            Ok(read) => prop_assert!(body.starts_with(&read)),
        }
    }

    #[test]
    fn a_hurt_answer_reads_the_same_in_every_cut(
        (mut bytes, _) in sound(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        put_in in any::<bool>(),
        max in 0_usize..400,
    ) {
        let at = at.index(bytes.len());
        if put_in {
            bytes.insert(at, byte);
        } else {
            bytes[at] = byte;
        }
        if let Ok((_, body, _)) = read(&bytes, max) {
            prop_assert!(body.len() <= max);
        }
    }

    #[test]
    fn arbitrary_bytes_read_the_same_in_every_cut(
        bytes in vec(any::<u8>(), 0..400),
        head in any::<bool>(),
    ) {
        let mut answer = Vec::new();
        if head {
            answer.extend(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        }
        answer.extend(bytes);
        if let Ok((_, body, _)) = read(&answer, 300) {
            prop_assert!(body.len() <= 300);
        }
    }
}
