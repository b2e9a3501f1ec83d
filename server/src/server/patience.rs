//! A socket whose peer has to go on: sending a request's head, taking its answer.
//!
//! An answer that is not taken keeps its memory, and so does a head that is never whole. Hyper
//! waits for the peer for as long as the connection lives; this ends the connection instead.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::peer::{Head, Peer};
use crate::config::Limits;

/// Time for a peer to take the last answer while it still sends what nobody reads.
const LINGER: Duration = Duration::from_secs(2);

/// Fails when the peer makes it wait for too long, or sends too much of a head.
#[derive(Debug)]
pub(super) struct Patience<I> {
    io: I,
    peer: Arc<Peer>,
    limits: Limits,
    head: Head,
    /// Requests that had begun at the last look.
    requests: usize,
    /// Bytes of a head have come, and the clock below is that of the head.
    in_head: bool,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// Our side is closed; set while the peer's rest is thrown away.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<I: Unpin> Patience<I> {
    pub(super) fn new(io: I, peer: Arc<Peer>, limits: Limits) -> Self {
        Self {
            io,
            head: peer.head(),
            peer,
            limits,
            requests: 0,
            in_head: false,
            reading: None,
            writing: None,
            lingering: None,
        }
    }

    fn io(&mut self) -> Pin<&mut I> {
        Pin::new(&mut self.io)
    }

    /// Time for what is awaited between two requests.
    fn time_to_read(&self) -> Duration {
        if self.in_head || self.peer.is_stranger() {
            self.limits.header_timeout
        } else {
            self.limits.idle_timeout
        }
    }

    /// Passes on what could be written; starts or checks the clock when nothing could.
    fn check<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        expire(
            &mut self.writing,
            self.limits.write_timeout,
            "the client does not read its answer",
            cx,
        )
    }
}

/// Starts or checks a clock.
fn expire<T>(
    clock: &mut Option<Pin<Box<Sleep>>>,
    limit: Duration,
    what: &'static str,
    cx: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    let clock = clock.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
    ready!(clock.as_mut().poll(cx));
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
}

impl<I: AsyncRead + Unpin> AsyncRead for Patience<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let requests = this.peer.requests();
        if requests != this.requests {
            // The head was whole.
            this.requests = requests;
            this.reading = None;
            this.in_head = false;
            this.head.clear();
        }
        if this.peer.is_in_request() {
            this.reading = None;
            return this.io().poll_read(cx, buf);
        }
        // Asked for more: what was read is not a whole head.
        if !this.head.fits() {
            let text = "too many bytes of unfinished requests";
            return Poll::Ready(Err(io::Error::other(text)));
        }
        let before = buf.filled().len();
        let read = this.io().poll_read(cx, buf);
        let received = buf.filled().len() - before;
        if received > 0 {
            this.head.add(received);
            if !this.in_head {
                this.in_head = true;
                this.reading = None;
            }
        }
        if read.is_pending() {
            let limit = this.time_to_read();
            return expire(&mut this.reading, limit, "the client sends nothing", cx);
        }
        read
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patience<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = this.io().poll_write(cx, buf);
        this.check(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = this.io().poll_write_vectored(cx, bufs);
        this.check(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = this.io().poll_flush(cx);
        this.check(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            let ended = this.io().poll_shutdown(cx);
            ready!(this.check(ended, cx))?;
        }
        this.linger(cx).map(Ok)
    }
}

impl<I: AsyncRead + Unpin> Patience<I> {
    /// Throws away what the peer still sends: a socket that closes with something unread resets
    /// the connection, and the peer loses the answer that says why.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut unread = self.in_head && self.peer.requests() == self.requests;
        let mut bytes = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            // The runtime's budget of reads ends this loop for a peer that never stops.
            let read = self.io().poll_read(cx, &mut buf);
            match read {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => unread = true,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if !unread && self.lingering.is_none() => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        let sleep = || Box::pin(tokio::time::sleep(LINGER));
        self.lingering.get_or_insert_with(sleep).as_mut().poll(cx)
    }
}
