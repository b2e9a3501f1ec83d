//! A connection that ends while its client still sends: the client gets the answer first.
//!
//! A socket that is closed with something unread resets the connection, and with it goes the answer
//! that says why. Here the rest is read and thrown away for a while.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// A client has this long to take its answer while it still sends what nobody reads.
const LINGER: Duration = Duration::from_secs(2);

/// Set where a request was answered before its body was read to the end.
pub(super) type Unread = Arc<AtomicBool>;

/// A request's body that tells when it was not read to the end.
pub(super) struct Watched<B: Body> {
    body: B,
    ended: bool,
    unread: Unread,
}

impl<B: Body> Watched<B> {
    pub(super) fn new(body: B, unread: Unread) -> Self {
        let ended = body.is_end_stream();
        Self {
            body,
            ended,
            unread,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.ended = polled.is_none() || self.body.is_end_stream();
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Watched<B> {
    fn drop(&mut self) {
        if !self.ended {
            self.unread.store(true, Ordering::Relaxed);
        }
    }
}

/// A socket that reads on after its end where a body was not read.
pub(super) struct Lingering<I> {
    io: I,
    unread: Unread,
    /// Our side is closed.
    closed: bool,
    time: Pin<Box<Sleep>>,
}

impl<I: Unpin> Lingering<I> {
    pub(super) fn new(io: I, unread: Unread) -> Self {
        Self {
            io,
            unread,
            closed: false,
            time: Box::pin(tokio::time::sleep(LINGER)),
        }
    }

    fn io(&mut self) -> Pin<&mut I> {
        Pin::new(&mut self.io)
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Lingering<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            ready!(self.io().poll_shutdown(cx))?;
            self.closed = true;
            self.time
                .as_mut()
                .reset(tokio::time::Instant::now() + LINGER);
        }
        if !self.unread.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            // The runtime's budget of reads ends this loop for a client that never stops.
            match self.io().poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.time.as_mut().poll(cx).map(Ok),
            }
        }
    }
}
