#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! Responses whole, in pieces, damaged and arbitrary.
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use proptest::{collection::vec, prelude::*};
use tokio::io::ReadBuf;

use super::*;

/// A stream that takes a request and then gives one piece a read.
struct Pieces {
    rest: VecDeque<Vec<u8>>,
    /// After the last piece; otherwise nothing more comes.
    ends: bool,
    asked: bool,
    reader: Option<Waker>,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked || (self.rest.is_empty() && !self.ends) {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(mut piece) = self.rest.pop_front() {
            let fits = piece.len().min(buf.remaining());
            buf.put_slice(&piece[..fits]);
            if fits < piece.len() {
                self.rest.push_front(piece.split_off(fits));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        self.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Cut after each of these many bytes, in turn.
fn pieces(response: &[u8], lengths: &[usize], ends: bool) -> Pieces {
    let mut rest = response;
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
    Pieces {
        rest: all,
        ends,
        asked: false,
        reader: None,
    }
}

fn post() -> Request<RequestBody> {
    let body = RequestBody::new("[]".into(), std::sync::Arc::default());
    Request::post("/")
        .header("host", "localhost")
        .body(body)
        .unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

/// What a client understands: status, body, and whether the connection stays usable.
async fn outcome(stream: Pieces, max: usize) -> Result<(u16, Bytes, bool)> {
    let mut connection = Connection::new(stream).await?;
    let response = connection.request(post()).await.map_err(|(e, _)| e)?;
    let status = response.status().as_u16();
    let body = connection.body(response, max).await?;
    Ok((status, body, connection.is_ready().await))
}

fn read_in(response: &[u8], lengths: &[usize], max: usize) -> Result<(u16, Bytes, bool)> {
    run(outcome(pieces(response, lengths, true), max))
}

fn read(response: &[u8], max: usize) -> Result<(u16, Bytes, bool)> {
    let whole = read_in(response, &[], max);
    let bytewise = read_in(response, &[1], max);
    let told = |outcome: &Result<(u16, Bytes, bool)>| match outcome {
        Ok((status, body, _)) => Ok((*status, body.clone())),
        Err(e) => Err((e.kind(), e.delivery())),
    };
    assert_eq!(told(&whole), told(&bytewise));
    whole
}

/// The same body, read as it arrives.
fn read_as_it_arrives(response: &[u8], lengths: &[usize]) -> Result<Vec<u8>> {
    run(async {
        let mut connection = Connection::new(pieces(response, lengths, true)).await?;
        let response = connection.request(post()).await.map_err(|(e, _)| e)?;
        let (mut incoming, mut body) = (response.into_body(), Vec::new());
        while let Some(piece) = connection.piece(&mut incoming).await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    })
}

#[test]
fn every_framing_is_read_and_only_sound_connections_are_kept() {
    for (response, body, kept) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"[..], "hi", true),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nt: v\r\n\r\n", "hi", true),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", false),
        (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi", "hi", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi surplus", "hi", false),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", true),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "", true),
    ] {
        let text = String::from_utf8_lossy(response);
        let (_, read, ready) = run(outcome(pieces(response, &[], false), 100)).unwrap();
        assert_eq!(read, body, "{text}");
        assert_eq!(ready, kept, "{text}");
        // Once the server has closed it no connection is kept.
        let (_, read, ready) = read_in(response, &[], 100).unwrap();
        assert_eq!((&read[..], ready), (body.as_bytes(), false), "{text}");
    }
    let (_, body, ready) = read(b"HTTP/1.1 200 OK\r\n\r\nhi", 100).unwrap();
    assert_eq!((&body[..], ready), (&b"hi"[..], false));
}

#[test]
fn broken_responses_may_have_been_executed() {
    for response in [
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
        let text = String::from_utf8_lossy(response);
        let error = read(response, 100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{text}");
        assert_eq!(error.delivery(), Delivery::MaybeExecuted, "{text}");
    }
}

#[test]
fn a_request_comes_back_when_the_connection_ended_before_it() {
    let mut ended = pieces(b"", &[], true);
    ended.asked = true;
    let mut connection = run(Connection::new(ended)).unwrap();
    let (error, unsent) = run(connection.request(post())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(unsent.is_some_and(|request| !request.body().is_sent()));
}

#[test]
fn a_response_above_the_limit_is_refused_in_every_framing() {
    for response in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n123456789",
    ] {
        let error = read(response, 8).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(read(response, 9).unwrap().1, "123456789");
    }
}

#[test]
fn sizes_that_no_memory_holds_are_errors_also_without_a_limit() {
    for response in [
        "content-length: 18446744073709551615\r\n\r\nhi",
        "content-length: 18446744073709551614\r\n\r\nhi",
        "content-length: 9223372036854775807\r\n\r\nhi",
        "content-length: 99999999999999999999\r\n\r\nhi",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nhi",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffe\r\nhi",
        "transfer-encoding: chunked\r\n\r\n7fffffffffffffff\r\nhi",
        "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\nffffffffffffffff\r\nhi",
        "transfer-encoding: chunked\r\n\r\n1ffffffffffffffff\r\nhi",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{response}");
        for max in [usize::MAX, usize::MAX - 1, 100] {
            let error = read(response.as_bytes(), max).unwrap_err();
            let expected = [ErrorKind::Interrupted, ErrorKind::TooLarge];
            assert!(expected.contains(&error.kind()), "{response}: {error:?}");
        }
    }
}

#[test]
fn a_long_body_is_held_once() {
    let body = vec![b'x'; 3_000_000];
    let mut response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    response.extend(body.iter().map(|b| char::from(*b)));
    let (_, read, _) = read_in(response.as_bytes(), &[5_000], body.len()).unwrap();
    assert_eq!(read, body);
    assert!(read.is_unique());
    let whole = Vec::from(read);
    assert!(
        whole.capacity() < body.len() + 64 * 1024,
        "{}",
        whole.capacity()
    );
}

#[test]
fn heads_and_lines_that_are_too_long_are_refused() {
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
    for response in [
        head(66_000),
        line(17_000),
        format!("{chunked}0\r\n{}\r\n", "t: v\r\n".repeat(12_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101)),
    ] {
        for lengths in [&[][..], &[1000]] {
            let outcome = read_in(response.as_bytes(), lengths, 0);
            let start = &response[..response.len().min(60)];
            assert!(
                outcome
                    .as_ref()
                    .is_err_and(|e| e.kind() == ErrorKind::Interrupted),
                "{start:?} in pieces of {lengths:?}: {outcome:?}"
            );
        }
    }
}

/// A sound response and its body.
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
    fn a_sound_response_is_read_however_it_arrives(
        (bytes, body) in sound(),
        lengths in vec(1_usize..50, 1..8),
    ) {
        for lengths in [&[][..], &[1], &lengths] {
            let (status, read, _) = read_in(&bytes, lengths, 1000).unwrap();
            prop_assert_eq!((status, &read[..]), (200, &body[..]));
            prop_assert_eq!(read_as_it_arrives(&bytes, lengths).unwrap(), &body[..]);
        }
    }

    #[test]
    fn a_response_that_ends_early_is_an_interruption(
        (bytes, body) in sound(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(bytes.len());
        match read(&bytes[..cut], 1000) {
            Err(e) => prop_assert_eq!(e.delivery(), Delivery::MaybeExecuted),
            // Only a body that ends with the connection cannot tell.
            Ok((_, read, ready)) => prop_assert!(!ready && body.starts_with(&read)),
        }
        match read_as_it_arrives(&bytes[..cut], &[3]) {
            Err(e) => prop_assert_eq!(e.delivery(), Delivery::MaybeExecuted),
            Ok(read) => prop_assert!(body.starts_with(&read)),
        }
    }

    #[test]
    fn a_damaged_response_never_exceeds_the_limit(
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
        if let Ok((_, body, _)) = read_in(&bytes, &[7], max) {
            prop_assert!(body.len() <= max);
        }
    }

    #[test]
    fn arbitrary_bytes_never_exceed_the_limit(
        bytes in vec(any::<u8>(), 0..400),
        head in any::<bool>(),
    ) {
        let mut response = Vec::new();
        if head {
            response.extend(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        }
        response.extend(bytes);
        for lengths in [&[][..], &[1]] {
            if let Ok((_, body, _)) = read_in(&response, lengths, 300) {
                prop_assert!(body.len() <= 300);
            }
        }
    }
}
