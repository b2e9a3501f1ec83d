//! Request bodies within limits, and the three kinds of response bodies.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::config::Limits;
use crate::in_flight::Held;
use crate::sse::EventStream;
use crate::texts::{self, Failure};

/// What of a body is handed over at a time: the rest counts until the client has room for it.
const PIECE: usize = 256 << 10;

/// The body of a response.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    Empty,
    Full(Bytes),
    Stream(Box<EventStream>),
}

impl ReplyBody {
    /// Whether the events of a stream are in base64.
    pub(crate) fn is_base64_stream(&self) -> bool {
        matches!(self, Self::Stream(events) if events.is_base64())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Full(bytes) => bytes.len(),
            Self::Empty | Self::Stream(_) => 0,
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                if bytes.is_empty() {
                    *this = Self::Empty;
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Self::Stream(events) => events
                .poll_next(cx)
                .map(|next| next.map(|b| Ok(Frame::data(b)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// A response's body that ends its request when it is sent or dropped.
#[derive(Debug)]
pub(crate) struct Tracked<T> {
    body: ReplyBody,
    _until: T,
}

impl<T> Tracked<T> {
    pub(crate) fn new(body: ReplyBody, until: T) -> Self {
        Self {
            body,
            _until: until,
        }
    }
}

impl<T: Unpin> Body for Tracked<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client that sends nothing for so long waits for its answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads a request's body, as long as there is room for it; one piece is not copied.
pub(crate) async fn read(
    body: Incoming,
    limits: &Limits,
    held: &mut Held,
) -> Result<Bytes, Failure> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let limit = limits.request_bytes;
    tokio::time::timeout(limits.body_timeout, collect(body, limit, held))
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                texts::BODY_TIMEOUT,
            ))
        })
}

async fn collect(mut body: Incoming, limit: usize, held: &mut Held) -> Result<Bytes, Failure> {
    let declared = body.size_hint().exact();
    if let Some(length) = declared.filter(|length| *length > limit as u64) {
        return Err(too_large(body, limit, length).await);
    }
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    let expected = declared.unwrap_or(0).max(first.len() as u64 * 2);
    let expected = (expected as usize).min(limit);
    hold(held, expected)?;
    let mut all = BytesMut::with_capacity(expected);
    all.extend_from_slice(&first);
    while let Some(piece) = next(&mut body).await? {
        let length = all.len() + piece.len();
        if length > limit {
            drop(all);
            return Err(too_large(body, limit, length as u64).await);
        }
        if length > all.capacity() {
            hold(held, 2 * length)?;
        }
        all.extend_from_slice(&piece);
    }
    if all.len() > limit {
        return Err(Failure::bad_request(texts::too_large(
            limit,
            all.len() as u64,
        )));
    }
    Ok(all.freeze())
}

fn hold(held: &mut Held, bytes: usize) -> Result<(), Failure> {
    if held.set(bytes) {
        return Ok(());
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Err(Failure::new(status, texts::IN_FLIGHT))
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::bad_request(texts::BODY_BROKEN))?;
        if let Ok(data) = frame.into_data()
            && data.has_remaining()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Reads on while more comes, so that the client can finish sending and see the answer.
async fn too_large(mut body: Incoming, limit: usize, mut length: u64) -> Failure {
    let declared = body.size_hint().exact().is_some();
    let mut drained = 0;
    while drained < 4 * limit as u64 {
        match tokio::time::timeout(PAUSE, next(&mut body)).await {
            Ok(Ok(Some(piece))) => {
                drained += piece.len() as u64;
                if !declared {
                    length += piece.len() as u64;
                }
            }
            _ => break,
        }
    }
    Failure::bad_request(texts::too_large(limit, length))
}
