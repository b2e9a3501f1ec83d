//! What waits for subscribers: bounded for each of them, and for all together.
//!
//! The engine must never wait for a subscriber, so that its queue takes what comes. One that is
//! too far behind is let go, and its queue is emptied at once: its socket may stay full for long.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use restis_engine::{Frame, Sink};

use crate::config::Limits;

/// Bytes that a queued frame costs besides its message.
const FRAME_COST: usize = 96;

/// The memory that all queues of a server share.
#[derive(Debug)]
pub(crate) struct Pool {
    each: usize,
    all: usize,
    used: AtomicUsize,
    queues: AtomicUsize,
    /// The message pushed last: most likely it comes again, for the next subscriber.
    last: Mutex<Weak<Message>>,
}

/// A message that waits, counted once however many subscribers it waits for.
#[derive(Debug)]
struct Message {
    bytes: Bytes,
    pool: Arc<Pool>,
}

impl Drop for Message {
    fn drop(&mut self) {
        self.pool.give_back(self.bytes.len());
    }
}

impl Pool {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            each: limits.stream_backlog_bytes,
            all: limits.streams_backlog_bytes,
            used: AtomicUsize::new(0),
            queues: AtomicUsize::new(0),
            last: Mutex::new(Weak::new()),
        })
    }

    /// A queue and its reading end.
    pub(crate) fn queue(self: &Arc<Self>) -> (Arc<Queue>, Queued) {
        self.queues.fetch_add(1, Ordering::Relaxed);
        let queue = Arc::new(Queue {
            pool: Arc::clone(self),
            state: Mutex::new(State::default()),
        });
        (Arc::clone(&queue), Queued(queue))
    }

    /// The bytes that wait now.
    fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether one queue may hold `bytes`: when all hold too much, those that hold more than
    /// their share may not.
    fn allows(&self, bytes: usize) -> bool {
        let share = || self.all / self.queues.load(Ordering::Relaxed).max(1);
        bytes <= self.each && (self.used() <= self.all || bytes <= share())
    }

    fn message(self: &Arc<Self>, bytes: &Bytes) -> Arc<Message> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.upgrade().filter(|known| {
            let (known, bytes) = (&known.bytes, bytes);
            known.as_ptr() == bytes.as_ptr() && known.len() == bytes.len()
        });
        known.unwrap_or_else(|| {
            self.used.fetch_add(bytes.len(), Ordering::Relaxed);
            let message = Arc::new(Message {
                bytes: bytes.clone(),
                pool: Arc::clone(self),
            });
            *last = Arc::downgrade(&message);
            message
        })
    }
}

/// The writing end of a subscriber's queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pool: Arc<Pool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<(Frame, Option<Arc<Message>>)>,
    bytes: usize,
    reader: Option<Waker>,
    /// Nothing more comes.
    ended: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more comes; what waits can still be read.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Ends the queue and drops what waits.
    fn abandon(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.bytes = 0;
        let frames = std::mem::take(&mut state.frames);
        let reader = state.reader.take();
        drop(state);
        self.pool.give_back(FRAME_COST * frames.len());
        wake(reader);
    }
}

fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}

impl Sink for Queue {
    fn push(&self, frame: Frame) -> bool {
        let message = payload(&frame).map(|bytes| self.pool.message(bytes));
        self.pool.used.fetch_add(FRAME_COST, Ordering::Relaxed);
        let mut state = self.lock();
        if state.ended {
            self.pool.give_back(FRAME_COST);
            return false;
        }
        state.bytes += cost(&frame);
        state.frames.push_back((frame, message));
        let fits = self.pool.allows(state.bytes);
        let reader = state.reader.take();
        drop(state);
        if !fits {
            tracing::warn!("a subscriber that reads too slowly was let go");
            self.abandon();
        }
        wake(reader);
        fits
    }

    fn end(&self) {
        Queue::end(self);
    }
}

/// The reading end; dropping it ends the queue.
#[derive(Debug)]
pub(crate) struct Queued(Arc<Queue>);

impl Stream for Queued {
    type Item = Frame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        let mut state = self.0.lock();
        if let Some((frame, _)) = state.frames.pop_front() {
            state.bytes -= cost(&frame);
            self.0.pool.give_back(FRAME_COST);
            return Poll::Ready(Some(frame));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.abandon();
        self.0.pool.queues.fetch_sub(1, Ordering::Relaxed);
    }
}

fn payload(frame: &Frame) -> Option<&Bytes> {
    match frame {
        Frame::Message { payload, .. } | Frame::PatternMessage { payload, .. } => Some(payload),
        Frame::Monitor(line) => Some(line),
        _ => None,
    }
}

fn cost(frame: &Frame) -> usize {
    FRAME_COST + payload(frame).map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(each: usize, all: usize) -> Arc<Pool> {
        Pool::new(&Limits {
            stream_backlog_bytes: each,
            streams_backlog_bytes: all,
            ..Limits::default()
        })
    }

    fn message(payload: &Bytes) -> Frame {
        Frame::Message {
            channel: Bytes::from_static(b"chat"),
            payload: payload.clone(),
        }
    }

    fn bytes(count: usize) -> Bytes {
        Bytes::from(vec![b'x'; count])
    }

    fn next(queued: &mut Queued) -> Poll<Option<Frame>> {
        Pin::new(queued).poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_slow_subscriber_is_let_go_and_its_memory_freed() {
        let pool = pool(2 * FRAME_COST + 4, usize::MAX);
        let (queue, mut queued) = pool.queue();
        assert!(queue.push(message(&bytes(2))));
        assert!(queue.push(message(&bytes(2))));
        assert_eq!(pool.used(), 2 * FRAME_COST + 4);
        assert!(!queue.push(message(&bytes(1))));
        assert_eq!(pool.used(), 0);
        assert_eq!(next(&mut queued), Poll::Ready(None));
        assert!(!queue.push(message(&bytes(1))));
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn what_is_read_makes_room() {
        let pool = pool(FRAME_COST + 10, usize::MAX);
        let (queue, mut queued) = pool.queue();
        for _ in 0..10 {
            assert!(queue.push(message(&bytes(10))));
            assert_eq!(next(&mut queued), Poll::Ready(Some(message(&bytes(10)))));
        }
        assert_eq!(next(&mut queued), Poll::Pending);
        queue.push(message(&bytes(10)));
        queue.end();
        assert_eq!(next(&mut queued), Poll::Ready(Some(message(&bytes(10)))));
        assert_eq!(next(&mut queued), Poll::Ready(None));
        drop(queued);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn one_message_for_many_counts_once() {
        let pool = pool(usize::MAX, usize::MAX);
        let queues: Vec<_> = (0..100).map(|_| pool.queue()).collect();
        let payload = bytes(1000);
        for (queue, _) in &queues {
            queue.push(message(&payload));
        }
        assert_eq!(pool.used(), 1000 + 100 * FRAME_COST);
        drop(queues);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn when_all_hold_too_much_those_beyond_their_share_go() {
        let pool = pool(usize::MAX, 10_000);
        let (slow, _slow) = pool.queue();
        let (quick, _quick) = pool.queue();
        assert!(slow.push(message(&bytes(9_000))));
        assert!(quick.push(message(&bytes(2_000))));
        assert!(quick.push(message(&bytes(1))));
        assert!(!slow.push(message(&bytes(1))));
        assert!(pool.used() < 3_000);
        assert!(quick.push(message(&bytes(5_000))));
    }
}
