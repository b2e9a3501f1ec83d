//! Live events: one upstream subscription for each history, however many clients listen.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use crate::host::spawn;
use axum::response::sse;
use restis::{
    events::{Cursor, Event, Events, Stored, is_reserved_type},
    pubsub,
    transport::{
        RequestContext,
        time::{Instant, sleep, timeout},
    },
};
use tokio::sync::{broadcast, watch};

/// Messages that a slow client may be behind before it reads the history instead.
const BACKLOG: usize = 256;
/// An upstream without listeners ends after this long.
const LINGER: Duration = Duration::from_secs(5);
/// Without a message the end of the history is asked for this often: a silent break is not seen otherwise.
const POSITION_CHECK: Duration = Duration::from_secs(30);
/// A refused subscription is tried again after this long.
const REFUSED: Duration = Duration::from_secs(5);

/// The channel of hints, beside those of event types.
pub(crate) const COORDINATION: &str = "coordination";

/// What a listener is told.
#[derive(Debug, Clone)]
pub(crate) enum Signal {
    /// An event, with its place.
    Event(Arc<Live>),
    /// An event that only this process knows.
    Local(Arc<Event>),
    /// A hint of another process, as JSON.
    Hint(Arc<str>),
    /// Where the history ends: a reader that is not there missed something.
    End(Option<Cursor>),
    /// Messages may have been missed: read the history.
    Missed,
    /// The upstream broke.
    Lost,
}

/// An event, and the message that every client gets: written once, however many listen.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) stored: Stored,
    pub(crate) frame: sse::Event,
}

/// An event as a message of a stream; its place is the message's id.
pub(crate) fn frame(stored: &Stored) -> sse::Event {
    sse::Event::default()
        .id(stored.cursor.to_string())
        .event(message_name(&stored.event.kind))
        .data(serde_json::to_string(&stored.event).unwrap_or_default())
}

/// The name of an event's message: its type, unless a message of the stream itself has that name.
///
/// No such type is published, but one may have been before it was reserved. No type has a colon.
pub(crate) fn message_name(kind: &str) -> Cow<'_, str> {
    if is_reserved_type(kind) {
        Cow::Owned(format!("stored:{kind}"))
    } else {
        Cow::Borrowed(kind)
    }
}

/// The upstream subscriptions of this process; in a worker each event has its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<Upstreams>>);

type Upstreams = HashMap<String, HashMap<RequestContext, Weak<Upstream>>>;

#[derive(Debug)]
struct Upstream {
    signals: broadcast::Sender<Signal>,
    ready: watch::Receiver<bool>,
}

/// One client's place at the hub.
#[derive(Debug)]
pub(crate) struct Listener {
    signals: broadcast::Receiver<Signal>,
    ready: watch::Receiver<bool>,
    // The upstream lives as long as somebody listens.
    _upstream: Arc<Upstream>,
}

impl Listener {
    /// Waits until the upstream is subscribed: what is published from then on is seen.
    pub(crate) async fn ready(&mut self) {
        let _ = self.ready.wait_for(|ready| *ready).await;
    }

    /// As [`ready`](Self::ready), but not longer than this, nor after the upstream broke.
    ///
    /// Local events do not wait for it.
    pub(crate) async fn ready_within(
        &mut self,
        time: Duration,
        mut local: impl FnMut(&Event),
    ) -> bool {
        let broke = async {
            loop {
                match self.signals.recv().await {
                    Ok(Signal::Local(event)) => local(&event),
                    Ok(Signal::Lost) | Err(broadcast::error::RecvError::Closed) => return,
                    // The history will be read anyway.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                }
            }
        };
        tokio::select! {
            biased;
            ready = self.ready.wait_for(|ready| *ready) => ready.is_ok(),
            () = broke => false,
            () = sleep(time) => false,
        }
    }

    /// The next signal; a listener that was too slow is told to read the history.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.signals.recv().await {
            Ok(signal) => signal,
            Err(broadcast::error::RecvError::Lagged(_)) => Signal::Missed,
            Err(broadcast::error::RecvError::Closed) => Signal::Lost,
        }
    }
}

impl Hub {
    /// Joins the upstream of a history, starting it if nobody listens yet.
    pub(crate) fn listen(&self, events: &Events) -> Listener {
        self.join(events, |signals, set_ready, alive| {
            spawn(follow(events.clone(), signals, set_ready, alive));
        })
    }

    /// Joins without the store: only events of this process come.
    pub(crate) fn listen_locally(&self, events: &Events) -> Listener {
        self.join(events, |_, set_ready, _| {
            set_ready.send_replace(true);
        })
    }

    /// Gives an event to the listeners of this process; says how many.
    pub(crate) fn tell(&self, events: &Events, event: &Event) -> usize {
        let told: Vec<_> = {
            let upstreams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let own = upstreams.get(&events.live_pattern());
            let own = own.into_iter().flat_map(HashMap::values);
            own.filter_map(Weak::upgrade).collect()
        };
        let event = Arc::new(event.clone());
        // Without listeners sending fails, which is an answer too.
        let told = told.iter().map(|upstream| {
            let signal = Signal::Local(Arc::clone(&event));
            upstream.signals.send(signal).unwrap_or(0)
        });
        told.sum()
    }

    fn join(
        &self,
        events: &Events,
        start: impl FnOnce(broadcast::Sender<Signal>, watch::Sender<bool>, Weak<Upstream>),
    ) -> Listener {
        let pattern = events.live_pattern();
        let mut upstreams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let context = RequestContext::current();
        let own = upstreams.get(&pattern);
        let upstream = own
            .and_then(|own| own.get(&context)?.upgrade())
            .unwrap_or_else(|| {
                upstreams.retain(|_, own| {
                    own.retain(|_, upstream| upstream.strong_count() > 0);
                    !own.is_empty()
                });
                let (signals, _) = broadcast::channel(BACKLOG);
                let (set_ready, ready) = watch::channel(false);
                let upstream = Arc::new(Upstream {
                    signals: signals.clone(),
                    ready,
                });
                start(signals, set_ready, Arc::downgrade(&upstream));
                let own = upstreams.entry(pattern).or_default();
                own.insert(context, Arc::downgrade(&upstream));
                upstream
            });
        Listener {
            signals: upstream.signals.subscribe(),
            ready: upstream.ready.clone(),
            _upstream: upstream,
        }
    }
}

/// Reads the upstream until nobody listens any more.
async fn follow(
    events: Events,
    signals: broadcast::Sender<Signal>,
    set_ready: watch::Sender<bool>,
    alive: Weak<Upstream>,
) {
    let pattern = events.live_pattern();
    let prefix = pattern.trim_end_matches('*').to_owned();
    let mut subscription = events.redis().psubscribe([pattern.clone()]);
    let (mut heard, mut renewed) = (Instant::now(), false);
    loop {
        let next = timeout(LINGER, subscription.next()).await;
        if alive.strong_count() == 0 {
            return;
        }
        let signal = match next {
            Some(Some(Ok(pubsub::SubscriptionEvent::Subscribed { .. }))) => {
                set_ready.send_replace(true);
                if !std::mem::take(&mut renewed) {
                    continue;
                }
                Signal::Missed
            }
            Some(Some(Ok(pubsub::SubscriptionEvent::Message(message)))) => {
                heard = Instant::now();
                // Deeper channels belong to organisations.
                let kind = message.channel.strip_prefix(&prefix);
                if kind.is_none_or(|kind| kind.contains(':')) {
                    continue;
                }
                if kind == Some(COORDINATION) {
                    // Not JSON: not one of ours.
                    let Ok(hint) = serde_json::from_slice::<serde_json::Value>(&message.payload)
                    else {
                        continue;
                    };
                    let _ = signals.send(Signal::Hint(hint.to_string().into()));
                    continue;
                }
                match Stored::from_announcement(&message.payload) {
                    Ok(stored) => {
                        let frame = frame(&stored);
                        Signal::Event(Arc::new(Live { stored, frame }))
                    }
                    // Someone else's message: the history tells what is true.
                    Err(_) => Signal::Missed,
                }
            }
            Some(Some(Ok(pubsub::SubscriptionEvent::Resumed))) => {
                set_ready.send_replace(true);
                Signal::Missed
            }
            Some(Some(Ok(pubsub::SubscriptionEvent::Lost(error)))) => {
                tracing::warn!(%error, "the live subscription broke");
                Signal::Lost
            }
            Some(Some(Err(error))) => {
                tracing::error!(%error, "the live subscription is refused");
                let _ = signals.send(Signal::Lost);
                sleep(REFUSED).await;
                (subscription, renewed) = (events.redis().psubscribe([pattern.clone()]), true);
                continue;
            }
            Some(None) => {
                (subscription, renewed) = (events.redis().psubscribe([pattern.clone()]), true);
                continue;
            }
            Some(Some(Ok(_))) => continue,
            None if heard.elapsed() < POSITION_CHECK => continue,
            None => {
                heard = Instant::now();
                match events.end().await {
                    Ok(end) => Signal::End(end),
                    Err(error) => {
                        tracing::warn!(%error, "the history's end is not known");
                        Signal::Lost
                    }
                }
            }
        };
        // Nobody listening at this moment is no failure.
        let _ = signals.send(signal);
    }
}
