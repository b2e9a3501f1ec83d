//! The in-process transport: the same client on the embedded engine.
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_core::Stream;
use restis_engine::{Caller, Engine, Frame as EngineFrame, Sink, Subscription};

use super::{BoxFuture, Exchange, Frame, FrameStream, Listen, Mode, Transport, TransportResponse};
use crate::protocol::{
    command::Args,
    error::{Error, ErrorKind, Result},
    reply::{Reply, ServerError},
};

/// Executes exchanges on an embedded engine, at once and without a network.
#[derive(Clone)]
pub struct EmbeddedTransport {
    engine: Engine,
    caller: Caller,
}

impl std::fmt::Debug for EmbeddedTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedTransport")
    }
}

impl EmbeddedTransport {
    /// Over an engine; clones of the engine share the data.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            caller: Caller::default(),
        }
    }

    /// Allows reads only, as a read-only token does.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.caller = Caller::read_only();
        self
    }

    /// The engine below, for direct use beside the client.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn run(&self, exchange: &Exchange) -> Result<TransportResponse> {
        exchange.mark_sent();
        let slices = |args: &'_ Args| args.iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let replies = match (exchange.mode, exchange.commands.as_slice()) {
            (Mode::Single, [one]) => {
                let args: Vec<&[u8]> = one.iter().collect();
                vec![reply(self.engine.call_as(&self.caller, &args))]
            }
            (Mode::Single, _) => return Err(Error::invalid_input("not exactly one command")),
            (Mode::Pipeline, all) => {
                let mut replies = Vec::with_capacity(all.len());
                self.engine
                    .batch(&self.caller, all.iter().map(slices), |r| {
                        replies.push(reply(r));
                    });
                replies
            }
            (Mode::Transaction, all) => {
                let commands: Vec<_> = all.iter().map(slices).collect();
                match self.engine.transaction(&self.caller, &commands) {
                    Ok(replies) => replies.into_iter().map(reply).collect(),
                    Err(e) => {
                        let e = Error::from_server(ServerError::new(e.message()));
                        return Err(if e.kind() == ErrorKind::Server {
                            e.with_kind(ErrorKind::Discarded)
                        } else {
                            e
                        });
                    }
                }
            }
        };
        Ok(TransportResponse {
            replies,
            sync_token: None,
            request_bytes: 0,
            reply_bytes: 0,
            status: None,
        })
    }
}

impl Transport for EmbeddedTransport {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        Box::pin(std::future::ready(self.run(exchange)))
    }

    fn answers_at_once(&self) -> bool {
        true
    }

    fn listen(&self, what: Listen) -> BoxFuture<'_, Result<FrameStream>> {
        let queue = Arc::new(Queue::default());
        let sink = Arc::clone(&queue) as Arc<dyn Sink>;
        let none: &[String] = &[];
        let subscription = match &what {
            Listen::Channels(names) => self.engine.subscribe(names, none, sink),
            Listen::Patterns(names) => self.engine.subscribe(none, names, sink),
            Listen::Monitor => self.engine.monitor(sink),
        };
        let frames: FrameStream = Box::pin(Frames {
            queue,
            _subscription: subscription,
        });
        Box::pin(std::future::ready(Ok(frames)))
    }
}

/// Frames that wait for a slow consumer; beyond this it is cut off.
const MAX_QUEUE: usize = 10_000;

#[derive(Default)]
struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    frames: VecDeque<EngineFrame>,
    waker: Option<Waker>,
    overflown: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Queue {
    fn push(&self, frame: EngineFrame) -> bool {
        let mut waiting = self.lock();
        if waiting.frames.len() < MAX_QUEUE {
            waiting.frames.push_back(frame);
        } else {
            waiting.overflown = true;
        }
        let (keep, waker) = (!waiting.overflown, waiting.waker.take());
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
        keep
    }
}

struct Frames {
    queue: Arc<Queue>,
    _subscription: Subscription,
}

impl Stream for Frames {
    type Item = Result<Frame>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut waiting = self.queue.lock();
        loop {
            match waiting.frames.pop_front().map(frame) {
                Some(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                // A kind of frame that this version does not know.
                Some(None) => {}
                None if waiting.overflown => return Poll::Ready(None),
                None => {
                    waiting.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }
}

fn frame(from: EngineFrame) -> Option<Frame> {
    let text = |b: bytes::Bytes| String::from_utf8_lossy(&b).into_owned();
    Some(match from {
        EngineFrame::Subscribed {
            channel: name,
            count,
        }
        | EngineFrame::PatternSubscribed {
            pattern: name,
            count,
        } => Frame::Subscribed {
            name: text(name),
            count: count as u64,
        },
        EngineFrame::Message { channel, payload } => Frame::Message {
            pattern: None,
            channel,
            payload,
        },
        EngineFrame::PatternMessage {
            pattern,
            channel,
            payload,
        } => Frame::Message {
            pattern: Some(text(pattern)),
            channel,
            payload,
        },
        EngineFrame::Monitor(line) => Frame::Line(text(line)),
        _ => return None,
    })
}

fn reply(from: restis_engine::Reply) -> Reply {
    use restis_engine::Reply as From;
    match from {
        From::Nil | From::NilArray => Reply::Nil,
        From::Int(n) => Reply::Int(n),
        From::Bulk(b) => Reply::Bulk(b),
        // Over HTTP only `OK` can be told from a string; be the same here.
        From::Simple(s) if s == "OK" => Reply::OK,
        From::Simple(s) => Reply::Bulk(s.into_owned().into()),
        From::Error(e) => Reply::Error(ServerError::new(e.message())),
        From::Array(items) => Reply::Array(items.into_iter().map(reply).collect()),
    }
}
