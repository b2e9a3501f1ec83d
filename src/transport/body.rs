//! The body of a request; it notes when a connection first asks for it.
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

pub(crate) struct RequestBody {
    bytes: Bytes,
    sent: Arc<AtomicBool>,
}

impl RequestBody {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self::new(Bytes::new(), Arc::default())
    }

    pub(crate) fn new(bytes: Bytes, sent: Arc<AtomicBool>) -> Self {
        Self { bytes, sent }
    }
}

#[cfg(test)]
impl RequestBody {
    /// Whether a connection has asked for it.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent.store(true, Ordering::Release);
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
