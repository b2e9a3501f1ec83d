//! Server-sent events: subscriptions and the monitor feed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_core::Stream;
use restis_engine::Frame;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::rest::Shared;

/// Most bytes of events put into one piece of the response.
const PIECE: usize = 64 << 10;

type Frames = Pin<Box<dyn Stream<Item = Frame> + Send>>;

/// The body of a subscription: events, comments that keep it alive, and an end at shutdown.
pub(crate) struct EventStream {
    frames: Frames,
    keep_alive: Interval,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    shared: Arc<Shared>,
    encoding: Encoding,
    /// Held while the stream lives; dropping it ends the subscription.
    _subscription: Box<dyn Send>,
    ended: bool,
}

impl EventStream {
    /// `subscription` is what must live as long as the stream.
    pub(crate) fn new(
        shared: Arc<Shared>,
        encoding: Encoding,
        frames: impl Stream<Item = Frame> + Send + 'static,
        subscription: impl Send + 'static,
    ) -> Self {
        let period = shared
            .limits
            .stream_keep_alive
            .max(Duration::from_millis(10));
        let mut keep_alive = interval_at(Instant::now() + period, period);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = Box::pin(stopped(shared.stop.clone()));
        Self {
            frames: Box::pin(frames),
            keep_alive,
            stop,
            shared,
            encoding,
            _subscription: Box::new(subscription),
            ended: false,
        }
    }

    pub(crate) fn is_base64(&self) -> bool {
        self.encoding == Encoding::Base64
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut out = BytesMut::new();
        let mut events = 0;
        while out.len() < PIECE {
            match self.frames.as_mut().poll_next(cx) {
                Poll::Ready(Some(frame)) => {
                    write_frame(&mut out, &frame, self.encoding);
                    events += 1;
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if !out.is_empty() {
            self.shared.metrics.stream_events.add(events);
            self.keep_alive.reset();
            return Poll::Ready(Some(out.freeze()));
        }
        if self.ended || self.stop.as_mut().poll(cx).is_ready() {
            self.ended = true;
            return Poll::Ready(None);
        }
        if self.keep_alive.poll_tick(cx).is_ready() {
            return Poll::Ready(Some(Bytes::from_static(b": keep-alive\n\n")));
        }
        Poll::Pending
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}

/// Completes when the server stops.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the server is gone altogether.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How names and payloads are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are, like Upstash. A line break continues an event on another `data:` line; which
    /// one it was is lost, and so is where a name with a comma ends.
    Plain,
    /// Each of them in base64: any bytes arrive.
    Base64,
}

/// Writes one event.
fn write_frame(out: &mut BytesMut, frame: &Frame, encoding: Encoding) {
    out.extend_from_slice(b"data: ");
    let text = |out: &mut BytesMut, bytes: &[u8]| match encoding {
        Encoding::Plain => lines(out, bytes),
        Encoding::Base64 => {
            let text = base64_simd::STANDARD.encode_to_string(bytes);
            out.extend_from_slice(text.as_bytes());
        }
    };
    let counted = |out: &mut BytesMut, kind: &[u8], name: &[u8], count: usize| {
        out.extend_from_slice(kind);
        text(out, name);
        out.put_u8(b',');
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    };
    match frame {
        Frame::Subscribed { channel, count } => counted(out, b"subscribe,", channel, *count),
        Frame::PatternSubscribed { pattern, count } => {
            counted(out, b"psubscribe,", pattern, *count);
        }
        Frame::Message { channel, payload } => {
            out.extend_from_slice(b"message,");
            text(out, channel);
            out.put_u8(b',');
            text(out, payload);
        }
        Frame::PatternMessage {
            pattern,
            channel,
            payload,
        } => {
            out.extend_from_slice(b"pmessage,");
            text(out, pattern);
            out.put_u8(b',');
            text(out, channel);
            out.put_u8(b',');
            text(out, payload);
        }
        Frame::Monitor(line) => text(out, line),
        // Frames added later carry nothing that this protocol can tell.
        _ => {}
    }
    out.extend_from_slice(b"\n\n");
}

fn lines(out: &mut BytesMut, mut bytes: &[u8]) {
    while let Some(at) = memchr::memchr2(b'\n', b'\r', bytes) {
        out.extend_from_slice(&bytes[..at]);
        out.extend_from_slice(b"\ndata: ");
        let width = if bytes[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        bytes = &bytes[at + width..];
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(frame: &Frame) -> Vec<u8> {
        let mut out = BytesMut::new();
        write_frame(&mut out, frame, Encoding::Plain);
        out.to_vec()
    }

    fn message(payload: &'static [u8]) -> Frame {
        Frame::Message {
            channel: Bytes::from_static(b"chat"),
            payload: Bytes::from_static(payload),
        }
    }

    #[test]
    fn frames_are_single_lines() {
        let frame = Frame::Subscribed {
            channel: Bytes::from_static(b"chat"),
            count: 1,
        };
        assert_eq!(written(&frame), b"data: subscribe,chat,1\n\n");
        assert_eq!(
            written(&message(b"a,b\xff")),
            b"data: message,chat,a,b\xff\n\n"
        );
        let frame = Frame::PatternMessage {
            pattern: Bytes::from_static(b"u:*"),
            channel: Bytes::from_static(b"u:7"),
            payload: Bytes::from_static(b"hi"),
        };
        assert_eq!(written(&frame), b"data: pmessage,u:*,u:7,hi\n\n");
    }

    #[test]
    fn base64_carries_any_bytes() {
        let frame = Frame::PatternMessage {
            pattern: Bytes::from_static(b"news.*"),
            channel: Bytes::from_static(b"news.a,b"),
            payload: Bytes::from_static(b"a\r\nb\0\xff"),
        };
        let mut out = BytesMut::new();
        write_frame(&mut out, &frame, Encoding::Base64);
        // printf 'news.*' | base64, and so on.
        assert_eq!(
            out.as_ref(),
            b"data: pmessage,bmV3cy4q,bmV3cy5hLGI=,YQ0KYgD/\n\n"
        );
    }

    #[test]
    fn line_breaks_continue_the_event() {
        let expected = b"data: message,chat,a\ndata: b\ndata: c\ndata: \n\n";
        assert_eq!(written(&message(b"a\nb\r\nc\r")), expected);
    }
}
