//! Subscriptions and the monitor feed as streams that come back after a break.
//!
//! Redis keeps no history of messages: what is published during a break is lost. The stream
//! says so with [`SubscriptionEvent::Lost`] and [`SubscriptionEvent::Resumed`]; on the latter a consumer reads again
//! what it must not miss.
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;

use crate::{
    client::{Redis, batch::Dispatcher},
    protocol::{
        error::{Error, Result},
        reply::{FromReply, Reply},
    },
    transport::{Frame, FrameStream, Listen, time},
};

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(10);

/// What a subscription tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SubscriptionEvent {
    /// A channel or pattern is subscribed, `count` in all.
    Subscribed {
        /// The channel or pattern.
        name: String,
        /// Channels and patterns of this connection.
        count: u64,
    },
    /// A message.
    Message(Message),
    /// A line of the monitor feed.
    Line(String),
    /// The connection is lost; the stream connects again by itself.
    Lost(Error),
    /// Connected again; messages in between were missed.
    Resumed,
}

/// A published message.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The pattern that matched, for pattern subscriptions.
    pub pattern: Option<String>,
    /// The channel; bytes that are not UTF-8 are replaced.
    pub channel: String,
    /// What was published.
    pub payload: Bytes,
    channel_bytes: Bytes,
}

impl Message {
    /// The bytes of the channel.
    pub fn channel_bytes(&self) -> &[u8] {
        &self.channel_bytes
    }

    /// The payload as a type, e.g. `String` or `Json<T>`.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn decode<T: FromReply>(&self) -> Result<T> {
        T::from_reply(Reply::Bulk(self.payload.clone()))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {} bytes)", self.channel, self.payload.len())
    }
}

impl Redis {
    /// Listens to channels; nothing is sent before the stream is polled.
    pub fn subscribe<N: Into<String>>(
        &self,
        channels: impl IntoIterator<Item = N>,
    ) -> Subscription {
        self.listen(Listen::Channels(
            channels.into_iter().map(Into::into).collect(),
        ))
    }

    /// Listens to all channels that match glob patterns.
    pub fn psubscribe<N: Into<String>>(
        &self,
        patterns: impl IntoIterator<Item = N>,
    ) -> Subscription {
        self.listen(Listen::Patterns(
            patterns.into_iter().map(Into::into).collect(),
        ))
    }

    /// Listens to every command that the server runs; for debugging.
    pub fn monitor(&self) -> Subscription {
        self.listen(Listen::Monitor)
    }

    fn listen(&self, what: Listen) -> Subscription {
        let state = State {
            core: Arc::clone(&self.core),
            what,
            frames: None,
            failures: 0,
            gap: false,
            next: None,
            over: false,
        };
        let events = futures_util::stream::unfold(state, |mut state| async move {
            let event = state.event().await?;
            Some((event, state))
        });
        Subscription {
            events: Box::pin(events),
        }
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<SubscriptionEvent>> + Send>>;

/// A stream of events; dropping it ends the subscription.
///
/// It ends by itself only after an error that connecting again cannot mend, such as a
/// refused token.
#[must_use = "a subscription does nothing unless polled"]
pub struct Subscription {
    events: Events,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}

impl Stream for Subscription {
    type Item = Result<SubscriptionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(cx)
    }
}

impl Subscription {
    /// The next event.
    pub async fn next(&mut self) -> Option<Result<SubscriptionEvent>> {
        self.events.next().await
    }

    /// The next message; passes over everything else.
    ///
    /// Who must notice breaks uses [`next`](Self::next).
    pub async fn message(&mut self) -> Option<Result<Message>> {
        loop {
            match self.next().await? {
                Ok(SubscriptionEvent::Message(message)) => return Some(Ok(message)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

struct State {
    core: Arc<Dispatcher>,
    what: Listen,
    frames: Option<FrameStream>,
    /// Attempts to connect since the last frame.
    failures: u32,
    /// Messages may have been missed.
    gap: bool,
    /// What comes after [`SubscriptionEvent::Resumed`].
    next: Option<SubscriptionEvent>,
    over: bool,
}

impl State {
    async fn event(&mut self) -> Option<Result<SubscriptionEvent>> {
        if let Some(event) = self.next.take() {
            return Some(Ok(event));
        }
        while !self.over {
            let Some(frames) = &mut self.frames else {
                if let Some(event) = self.connect().await {
                    return Some(event);
                }
                continue;
            };
            match frames.next().await {
                Some(Ok(frame)) => {
                    self.failures = 0;
                    let event = SubscriptionEvent::from(frame);
                    if std::mem::take(&mut self.gap) {
                        self.next = Some(event);
                        return Some(Ok(SubscriptionEvent::Resumed));
                    }
                    return Some(Ok(event));
                }
                Some(Err(error)) => return Some(self.lost(error)),
                None => return Some(self.lost(Error::ended())),
            }
        }
        None
    }

    /// Notes a break; an error that stays ends the stream.
    fn lost(&mut self, error: Error) -> Result<SubscriptionEvent> {
        self.frames = None;
        self.gap = true;
        self.failures += 1;
        if error.is_unavailable() {
            Ok(SubscriptionEvent::Lost(error))
        } else {
            self.over = true;
            Err(error)
        }
    }

    async fn connect(&mut self) -> Option<Result<SubscriptionEvent>> {
        if self.failures > 0 {
            let ceiling = BASE
                .saturating_mul(1 << (self.failures - 1).min(16))
                .min(CAP);
            time::sleep(ceiling.mul_f64(0.5 + time::random() / 2.0)).await;
        }
        match self.core.listen(self.what.clone()).await {
            Ok(frames) => {
                self.frames = Some(frames);
                None
            }
            // One notice a break is enough.
            Err(error) if error.is_unavailable() && self.gap => {
                self.failures += 1;
                None
            }
            Err(error) => Some(self.lost(error)),
        }
    }
}

impl From<Frame> for SubscriptionEvent {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Subscribed { name, count } => Self::Subscribed { name, count },
            Frame::Message {
                pattern,
                channel,
                payload,
            } => Self::Message(Message {
                pattern,
                channel: String::from_utf8_lossy(&channel).into_owned(),
                payload,
                channel_bytes: channel,
            }),
            Frame::Line(line) => Self::Line(line),
        }
    }
}
