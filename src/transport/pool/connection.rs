//! One HTTP/1.1 connection, driven by whoever waits for its response.
use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{Request, Response, header};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{super::refusal::too_large, RequestBody};
use crate::protocol::error::{Delivery, Error, ErrorKind, Result};

/// Longest head of a response.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Read and not yet taken; an idle connection holds no more memory.
const MAX_BUFFER_BYTES: usize = 128 * 1024;
/// Reserved at once for a body of any announced length.
const MAX_RESERVED_BYTES: usize = 64 * 1024 * 1024;

/// Both ends of a connection: where requests go in, and what does its reading and writing.
pub(super) struct Connection<S = super::Stream>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    sender: SendRequest<RequestBody>,
    /// `None` when the connection has ended.
    driver: Driver<S>,
    requests: u64,
    /// The last response was framed in two ways: what follows cannot be trusted.
    ambiguous: bool,
}

fn interrupted(why: &'static str) -> Error {
    Error::new(ErrorKind::Interrupted, Delivery::MaybeExecuted, why)
}

fn broken(error: hyper::Error) -> Error {
    interrupted("connection broke").with_source(error)
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection<S> {
    pub(super) async fn new(stream: S) -> Result<Self> {
        let (sender, driver) = http1::Builder::new()
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        Ok(Self {
            sender,
            driver: Some(driver),
            requests: 0,
            ambiguous: false,
        })
    }

    /// Whether a request was sent on it before the last one.
    pub(super) fn is_reused(&self) -> bool {
        self.requests > 1
    }

    /// Sends a request; with an error the request itself, if no byte of it was written.
    pub(super) async fn request(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, (Error, Option<Request<RequestBody>>)> {
        self.requests += 1;
        let response = self.sender.try_send_request(request);
        let response = drive(&mut self.driver, response).await.map_err(|mut e| {
            let unsent = e.take_message();
            (broken(e.into_error()), unsent)
        })?;
        let headers = response.headers();
        if let Some(encoding) = headers.get(header::TRANSFER_ENCODING) {
            if !encoding
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"chunked")
            {
                return Err((
                    interrupted("the response has an unknown transfer encoding"),
                    None,
                ));
            }
            self.ambiguous = headers.contains_key(header::CONTENT_LENGTH);
        }
        Ok(response)
    }

    /// Reads a whole body of at most `max` bytes.
    pub(super) async fn body(&mut self, response: Response<Incoming>, max: usize) -> Result<Bytes> {
        let mut body = response.into_body();
        let expected = body.size_hint().lower();
        if expected > max as u64 {
            return Err(too_large());
        }
        let Some(first) = self.piece(&mut body).await? else {
            return Ok(Bytes::new());
        };
        if first.len() > max {
            return Err(too_large());
        }
        if first.len() as u64 == expected && body.is_end_stream() {
            return Ok(first);
        }
        let room = usize::try_from(expected).unwrap_or(usize::MAX);
        let mut whole = BytesMut::with_capacity(room.min(MAX_RESERVED_BYTES));
        whole.extend_from_slice(&first);
        while let Some(piece) = self.piece(&mut body).await? {
            if piece.len() > max - whole.len() {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The next piece of a body; `None` at its end.
    pub(super) async fn piece(&mut self, body: &mut Incoming) -> Result<Option<Bytes>> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
            let Some(frame) = drive(&mut self.driver, frame).await else {
                return Ok(None);
            };
            // Trailers mean nothing here.
            if let Ok(piece) = frame.map_err(broken)?.into_data() {
                return Ok(Some(piece));
            }
        }
    }

    /// Whether it can take another request: it is open, and nothing came since the last response.
    ///
    /// What TLS sends for itself, such as session tickets, does not count.
    pub(super) async fn is_ready(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            advance(&mut self.driver, cx);
            Poll::Ready(self.driver.is_some() && self.sender.is_ready() && !self.ambiguous)
        })
        .await
    }
}

type Driver<S> = Option<http1::Connection<TokioIo<S>, RequestBody>>;

/// Reads and writes what can be; notes the end of the connection.
fn advance<S>(driver: &mut Driver<S>, cx: &mut Context<'_>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Some(running) = driver
        && Pin::new(running).poll(cx).is_ready()
    {
        *driver = None;
    }
}

/// Runs what waits for a connection, and the connection beside it.
async fn drive<S, T>(driver: &mut Driver<S>, work: impl Future<Output = T>) -> T
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        advance(driver, cx);
        work.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests;
