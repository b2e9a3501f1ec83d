//! Live events: one upstream subscription for each history, however many clients listen.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use restis::{
    events::{Events, Stored},
    pubsub,
};
use tokio::sync::{broadcast, watch};

/// Messages that a slow client may be behind before it reads the history instead.
const BACKLOG: usize = 256;
/// An upstream without listeners ends after this long.
const LINGER: Duration = Duration::from_secs(5);

/// What a listener is told.
#[derive(Debug, Clone)]
pub(crate) enum Signal {
    /// An event, with its place.
    Event(Arc<Stored>),
    /// Messages may have been missed: read the history.
    Resumed,
    /// The upstream broke.
    Lost,
}

/// The upstream subscriptions of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<HashMap<String, Weak<Upstream>>>>);

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

    /// The next signal; a listener that was too slow is told to read the history.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.signals.recv().await {
            Ok(signal) => signal,
            Err(broadcast::error::RecvError::Lagged(_)) => Signal::Resumed,
            Err(broadcast::error::RecvError::Closed) => Signal::Lost,
        }
    }
}

impl Hub {
    /// Joins the upstream of a history, starting it if nobody listens yet.
    pub(crate) fn listen(&self, events: &Events) -> Listener {
        let pattern = events.live_pattern();
        let mut upstreams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let upstream = upstreams
            .get(&pattern)
            .and_then(Weak::upgrade)
            .unwrap_or_else(|| {
                upstreams.retain(|_, upstream| upstream.strong_count() > 0);
                let upstream = start(events, &pattern);
                upstreams.insert(pattern.clone(), Arc::downgrade(&upstream));
                upstream
            });
        Listener {
            signals: upstream.signals.subscribe(),
            ready: upstream.ready.clone(),
            _upstream: upstream,
        }
    }
}

/// Starts the task that reads the upstream; it ends when nobody listens any more.
fn start(events: &Events, pattern: &str) -> Arc<Upstream> {
    let (signals, _) = broadcast::channel(BACKLOG);
    let (set_ready, ready) = watch::channel(false);
    let upstream = Arc::new(Upstream {
        signals: signals.clone(),
        ready,
    });
    let alive = Arc::downgrade(&upstream);
    let mut subscription = events.redis().psubscribe([pattern]);
    let prefix = pattern.trim_end_matches('*').to_owned();
    tokio::spawn(async move {
        loop {
            let next = tokio::time::timeout(LINGER, subscription.next()).await;
            if alive.strong_count() == 0 {
                return;
            }
            let signal = match next {
                Ok(None) => return,
                Ok(Some(Ok(pubsub::Event::Subscribed { .. }))) => {
                    set_ready.send_replace(true);
                    continue;
                }
                Ok(Some(Ok(pubsub::Event::Message(message)))) => {
                    // Deeper channels belong to organisations.
                    if message
                        .channel
                        .strip_prefix(&prefix)
                        .is_none_or(|kind| kind.contains(':'))
                    {
                        continue;
                    }
                    match Stored::from_announcement(&message.payload) {
                        Ok(stored) => Signal::Event(Arc::new(stored)),
                        // Someone else's message: the history tells what is true.
                        Err(_) => Signal::Resumed,
                    }
                }
                Ok(Some(Ok(pubsub::Event::Resumed))) => {
                    set_ready.send_replace(true);
                    Signal::Resumed
                }
                Ok(Some(Ok(pubsub::Event::Lost(error)))) => {
                    tracing::warn!(%error, "the live subscription broke");
                    Signal::Lost
                }
                Err(_) | Ok(Some(Ok(_))) => continue,
                Ok(Some(Err(error))) => {
                    tracing::error!(%error, "the live subscription is refused");
                    let _ = signals.send(Signal::Lost);
                    return;
                }
            };
            // Nobody listening at this moment is no failure.
            let _ = signals.send(signal);
        }
    });
    upstream
}
