//! An HTTP/1.1 answer, read from a connection as it comes.
use std::{io, mem::MaybeUninit};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::super::{head::Head, refusal::too_large};
use crate::protocol::error::{Delivery, Error, ErrorKind, Result};

const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_LINE_BYTES: usize = 8 * 1024;
const READ_BYTES: usize = 8 * 1024;
/// An idle connection holds no more memory than this.
const KEPT_BYTES: usize = 64 * 1024;
/// Informational answers before the real one, and trailers after it.
const MAX_EXTRAS: usize = 64;

/// The reading end of a connection.
#[derive(Debug)]
pub(super) struct Reader<S> {
    pub(super) stream: S,
    /// Read and not yet understood; empty between exchanges.
    buffer: BytesMut,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// What is left of a body that is read as it comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rest {
    Bytes(usize),
    OfChunk(usize),
    NextChunk,
    UntilClose,
}

impl From<Framing> for Rest {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Bytes(length),
            Framing::Chunked => Self::NextChunk,
            Framing::UntilClose => Self::UntilClose,
        }
    }
}

/// A head and what follows it.
struct Start {
    head: Head,
    framing: Framing,
    /// The connection may serve another request.
    keep: bool,
}

pub(super) fn broken(e: io::Error) -> Error {
    malformed("connection broke").with_source(e)
}

fn malformed(why: &'static str) -> Error {
    Error::new(ErrorKind::Interrupted, Delivery::MaybeExecuted, why)
}

const LONG_HEAD: &str = "the head of the answer is too long";
const BAD_CHUNK: &str = "a chunk of the answer is malformed";

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(super) fn new(stream: S) -> Self {
        let buffer = BytesMut::new();
        Self { stream, buffer }
    }

    /// Head and body of one answer, and whether the connection can be used again.
    ///
    /// # Errors
    /// `TooLarge` for a body of more than `max` bytes, `Interrupted` for an early end and
    /// for what is not HTTP.
    pub(super) async fn answer(&mut self, max: usize) -> Result<(Head, Bytes, bool)> {
        let start = self.start().await?;
        let body = self
            .body(start.framing, max)
            .await
            .map_err(|e| e.with_status(start.head.status.as_u16()))?;
        let closes = matches!(start.framing, Framing::UntilClose);
        let reusable = start.keep && !closes && self.buffer.is_empty();
        if reusable && body.len() > KEPT_BYTES {
            self.buffer = BytesMut::new();
        }
        Ok((start.head, body, reusable))
    }

    /// The head of one answer, and what [`piece`](Self::piece) reads of its body.
    ///
    /// # Errors
    /// `Interrupted` for an early end and for what is not HTTP.
    pub(super) async fn opening(&mut self) -> Result<(Head, Rest)> {
        let start = self.start().await?;
        Ok((start.head, start.framing.into()))
    }

    /// The next piece of a body, as soon as there is one; `None` at its end.
    ///
    /// # Errors
    /// `Interrupted` for an early end and for malformed chunks.
    pub(super) async fn piece(&mut self, rest: &mut Rest) -> Result<Option<Bytes>> {
        loop {
            match rest {
                Rest::Bytes(0) => return Ok(None),
                Rest::OfChunk(0) => {
                    self.end_of_chunk().await?;
                    *rest = Rest::NextChunk;
                }
                Rest::Bytes(left) | Rest::OfChunk(left) => {
                    if self.buffer.is_empty() {
                        self.more(READ_BYTES).await?;
                    }
                    let piece = self.buffer.split_to(self.buffer.len().min(*left));
                    *left -= piece.len();
                    return Ok(Some(piece.freeze()));
                }
                Rest::NextChunk => {
                    *rest = match self.size_of_chunk().await? {
                        0 => Rest::Bytes(0),
                        size => Rest::OfChunk(size),
                    };
                }
                Rest::UntilClose => {
                    if self.buffer.is_empty() && self.read(READ_BYTES).await? == 0 {
                        *rest = Rest::Bytes(0);
                    } else {
                        return Ok(Some(self.buffer.split().freeze()));
                    }
                }
            }
        }
    }

    /// Reads what is there, with room for so much at least; 0 at the end.
    async fn read(&mut self, room: usize) -> Result<usize> {
        self.buffer.reserve(room);
        self.stream.read_buf(&mut self.buffer).await.map_err(broken)
    }

    /// Reads more; an end here is a break.
    async fn more(&mut self, room: usize) -> Result<()> {
        match self.read(room).await? {
            0 => Err(broken(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// The head of the real answer; informational ones before it are passed over.
    async fn start(&mut self) -> Result<Start> {
        for _ in 0..MAX_EXTRAS {
            let mut start = self.head().await?;
            match start.head.status {
                status if status.is_informational() => continue,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => {
                    start.framing = Framing::Length(0);
                }
                _ => {}
            }
            return Ok(start);
        }
        Err(malformed("only informational answers"))
    }

    async fn head(&mut self) -> Result<Start> {
        loop {
            if !self.buffer.is_empty()
                && let Some((start, length)) = parse(&self.buffer)?
            {
                let _ = self.buffer.split_to(length);
                return if length > MAX_HEAD_BYTES {
                    Err(malformed(LONG_HEAD))
                } else {
                    Ok(start)
                };
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(malformed(LONG_HEAD));
            }
            self.more(READ_BYTES).await?;
        }
    }

    async fn body(&mut self, framing: Framing, max: usize) -> Result<Bytes> {
        match framing {
            Framing::Length(length) if length > max => Err(too_large()),
            Framing::Length(length) => {
                self.need(length).await?;
                Ok(self.buffer.split_to(length).freeze())
            }
            Framing::Chunked => self.chunks(max).await,
            Framing::UntilClose => loop {
                let read = self.read(READ_BYTES).await?;
                if self.buffer.len() > max {
                    return Err(too_large());
                }
                if read == 0 {
                    return Ok(self.buffer.split().freeze());
                }
            },
        }
    }

    async fn need(&mut self, bytes: usize) -> Result<()> {
        while self.buffer.len() < bytes {
            // Exactly the rest: a long body never moves while it arrives.
            self.more(bytes - self.buffer.len()).await?;
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<BytesMut> {
        loop {
            let end = memchr::memchr(b'\n', &self.buffer);
            if let Some(end) = end.filter(|end| *end <= MAX_LINE_BYTES) {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.truncate(end - 1);
                }
                return Ok(line);
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(malformed(BAD_CHUNK));
            }
            self.more(READ_BYTES).await?;
        }
    }

    async fn chunks(&mut self, max: usize) -> Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let size = self.size_of_chunk().await?;
            if size == 0 {
                return Ok(body.freeze());
            }
            if size > max.saturating_sub(body.len()) {
                return Err(too_large());
            }
            self.need(size + 2).await?;
            body.extend_from_slice(&self.buffer.split_to(size));
            self.end_of_chunk().await?;
        }
    }

    /// The size of the next chunk; after the last one, 0, nothing is left of the body.
    async fn size_of_chunk(&mut self) -> Result<usize> {
        let size = chunk_size(&self.line().await?).ok_or_else(|| malformed(BAD_CHUNK))?;
        if size == 0 {
            self.skip_trailers().await?;
        }
        Ok(size)
    }

    async fn end_of_chunk(&mut self) -> Result<()> {
        self.need(2).await?;
        match &self.buffer.split_to(2)[..] {
            b"\r\n" => Ok(()),
            _ => Err(malformed(BAD_CHUNK)),
        }
    }

    /// Trailers mean nothing here.
    async fn skip_trailers(&mut self) -> Result<()> {
        for _ in 0..MAX_EXTRAS {
            if self.line().await?.is_empty() {
                return Ok(());
            }
        }
        Err(malformed("too many trailers"))
    }
}

/// The size in hexadecimal digits, before any extension.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let size = line.split(|b| *b == b';').next()?.trim_ascii();
    let size = std::str::from_utf8(size).ok()?;
    // `from_str_radix` takes a sign.
    let digits = size.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| usize::from_str_radix(size, 16).ok())?
}

/// The head at the beginning of `bytes` and its length, once it is there as a whole.
fn parse(bytes: &[u8]) -> Result<Option<(Start, usize)>> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let length = match httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        &mut headers,
    ) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(malformed("the answer is not HTTP")),
    };
    let status = StatusCode::from_u16(response.code.unwrap_or_default())
        .map_err(|_| Error::protocol("an unknown status"))?;
    let [mut content_type, mut sync_token, mut retry_after, mut date] = [&b""[..]; 4];
    let mut framing = Framing::UntilClose;
    let mut keep = response.version == Some(1);
    for header in response.headers.iter() {
        let value = header.value;
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let length = std::str::from_utf8(value).ok();
            let length = length
                .and_then(|v| v.trim().parse().ok())
                .ok_or_else(|| malformed("the length of the answer is malformed"))?;
            match framing {
                Framing::Length(other) if other != length => {
                    return Err(malformed("the answer has two lengths"));
                }
                // Chunked wins over a length, and such a connection is not trusted further.
                Framing::Chunked => keep = false,
                _ => framing = Framing::Length(length),
            }
        } else if is("transfer-encoding") {
            if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(malformed("the answer has an unknown transfer encoding"));
            }
            keep &= !matches!(framing, Framing::Length(_));
            framing = Framing::Chunked;
        } else if is("connection") {
            let tokens = value.split(|b| *b == b',');
            for token in tokens.map(<[u8]>::trim_ascii) {
                keep &= !token.eq_ignore_ascii_case(b"close");
            }
        } else if is("content-type") {
            content_type = value;
        } else if is("upstash-sync-token") {
            sync_token = value;
        } else if is("retry-after") {
            retry_after = value;
        } else if is("date") {
            date = value;
        }
    }
    let head = Head::from_parts(status, content_type, sync_token, retry_after, date);
    let start = Start {
        head,
        framing,
        keep,
    };
    Ok(Some((start, length)))
}

#[cfg(test)]
mod tests;
