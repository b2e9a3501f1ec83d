//! Publish and subscribe, and the monitor feed.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::budget::Budget;
use crate::command::Args;
use crate::error::Error;
use crate::glob;

/// Monitors that hear of a command in some microseconds.
const FEW_MONITORS: usize = 4;

/// What a subscriber receives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// A channel is subscribed; `count` subscriptions are held now.
    Subscribed {
        /// The channel.
        channel: Bytes,
        /// How many channels and patterns this subscription holds.
        count: usize,
    },
    /// A pattern is subscribed; `count` subscriptions are held now.
    PatternSubscribed {
        /// The pattern.
        pattern: Bytes,
        /// How many channels and patterns this subscription holds.
        count: usize,
    },
    /// A message on a subscribed channel.
    Message {
        /// The channel.
        channel: Bytes,
        /// The message.
        payload: Bytes,
    },
    /// A message on a channel that fits a subscribed pattern.
    PatternMessage {
        /// The pattern.
        pattern: Bytes,
        /// The channel.
        channel: Bytes,
        /// The message.
        payload: Bytes,
    },
    /// A line of the monitor feed.
    Monitor(Bytes),
}

/// A consumer of frames.
///
/// `push` is called while the database is locked: it must not block, call the engine, or drop a
/// subscription. Put the frame into a bounded queue and return `false` when nobody reads it any
/// more; the consumer is then forgotten.
pub trait Sink: Send + Sync {
    /// Takes a frame; `false`: the consumer is gone.
    fn push(&self, frame: Frame) -> bool;

    /// Whether a monitor wants a line for this command; it is asked before the line is made.
    fn wants(&self, args: &[&[u8]]) -> bool {
        let _ = args;
        true
    }

    /// No frame follows: the user lost the right to listen.
    fn end(&self) {}
}

/// What a subscription to one name takes besides the name.
const SUBSCRIPTION: usize = 128;

struct Consumer {
    id: u64,
    sink: Arc<dyn Sink>,
}

#[derive(Default)]
struct Tables {
    /// Users' subscriptions; those of the default user are never ended.
    owned: HashMap<u64, Owned>,
    channels: HashMap<Bytes, Vec<Consumer>>,
    patterns: Vec<(Bytes, Consumer)>,
    monitors: Vec<Consumer>,
    last_id: u64,
}

/// A subscription that ends when its user may no longer listen.
struct Owned {
    user: Arc<str>,
    channels: Vec<Bytes>,
    patterns: Vec<Bytes>,
    sink: Arc<dyn Sink>,
}

impl Tables {
    fn remove(&mut self, id: u64) {
        self.owned.remove(&id);
        self.channels.retain(|_, consumers| {
            consumers.retain(|consumer| consumer.id != id);
            !consumers.is_empty()
        });
        self.patterns.retain(|(_, consumer)| consumer.id != id);
        self.monitors.retain(|consumer| consumer.id != id);
    }
}

/// All subscriptions of one engine.
#[derive(Default)]
pub(crate) struct Hub {
    tables: Mutex<Tables>,
    /// Channel and pattern subscriptions; lets PUBLISH skip the lock.
    subscriptions: AtomicUsize,
    patterns: AtomicUsize,
    monitors: AtomicUsize,
    /// Roughly the bytes all subscriptions take.
    weight: AtomicUsize,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("subscriptions", &self.subscriptions)
            .field("monitors", &self.monitors)
            .finish_non_exhaustive()
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes and confirms each channel and pattern; returns the id to `leave` with.
    ///
    /// With an owner the subscription ends by [`Hub::end_streams`].
    pub(crate) fn join(
        &self,
        owner: Option<&str>,
        channels: &[Bytes],
        patterns: &[Bytes],
        sink: &Arc<dyn Sink>,
    ) -> u64 {
        let mut tables = self.lock();
        tables.last_id += 1;
        let id = tables.last_id;
        if let Some(user) = owner {
            let owned = Owned {
                user: Arc::from(user),
                channels: channels.to_vec(),
                patterns: patterns.to_vec(),
                sink: Arc::clone(sink),
            };
            tables.owned.insert(id, owned);
        }
        let mut count = 0;
        for channel in channels {
            let consumers = tables.channels.entry(channel.clone()).or_default();
            if !consumers.iter().any(|consumer| consumer.id == id) {
                consumers.push(Consumer {
                    id,
                    sink: Arc::clone(sink),
                });
                count += 1;
            }
            sink.push(Frame::Subscribed {
                channel: channel.clone(),
                count,
            });
        }
        for pattern in patterns {
            let known = tables
                .patterns
                .iter()
                .any(|(other, consumer)| consumer.id == id && other == pattern);
            if !known {
                let consumer = Consumer {
                    id,
                    sink: Arc::clone(sink),
                };
                tables.patterns.push((pattern.clone(), consumer));
                count += 1;
            }
            sink.push(Frame::PatternSubscribed {
                pattern: pattern.clone(),
                count,
            });
        }
        self.recount(&tables);
        id
    }

    pub(crate) fn join_monitor(&self, sink: Arc<dyn Sink>) -> u64 {
        let mut tables = self.lock();
        tables.last_id += 1;
        let id = tables.last_id;
        tables.monitors.push(Consumer { id, sink });
        self.recount(&tables);
        id
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut tables = self.lock();
        tables.remove(id);
        self.recount(&tables);
    }

    /// Ends the subscriptions of users for which `ends` holds: user, channels, patterns.
    pub(crate) fn end_streams(&self, ends: impl Fn(&str, &[Bytes], &[Bytes]) -> bool) {
        let mut tables = self.lock();
        let ended: Vec<u64> = tables
            .owned
            .iter()
            .filter(|(_, owned)| ends(&owned.user, &owned.channels, &owned.patterns))
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            if let Some(owned) = tables.owned.get(&id) {
                owned.sink.end();
            }
            tables.remove(id);
        }
        self.recount(&tables);
    }

    fn recount(&self, tables: &Tables) {
        let channels: usize = tables.channels.values().map(Vec::len).sum();
        let names = tables.channels.keys();
        let patterns = tables.patterns.iter().map(|(pattern, _)| pattern);
        let bytes: usize = names.chain(patterns).map(Bytes::len).sum();
        self.weight.store(
            bytes + (channels + tables.patterns.len()) * SUBSCRIPTION,
            Ordering::Relaxed,
        );
        self.subscriptions
            .store(channels + tables.patterns.len(), Ordering::Release);
        self.patterns
            .store(tables.patterns.len(), Ordering::Release);
        self.monitors
            .store(tables.monitors.len(), Ordering::Release);
    }

    /// Delivers a message; returns how many consumers took it. Delivers nothing when the budget
    /// ends before all patterns are compared.
    pub(crate) fn publish(
        &self,
        channel: &Bytes,
        payload: &Bytes,
        budget: &Budget,
    ) -> Result<usize, Error> {
        if self.subscriptions.load(Ordering::Acquire) == 0 {
            return Ok(0);
        }
        let mut tables = self.lock();
        let fits = |(pattern, _): &(Bytes, Consumer)| glob::matches(pattern, channel, budget);
        let fitting: Vec<bool> = tables.patterns.iter().map(fits).collect();
        budget.check()?;
        let mut fitting = fitting.into_iter();
        let mut taken = 0;
        let mut gone = false;
        let mut deliver = |consumer: &Consumer, frame: Frame| {
            let live = consumer.sink.push(frame);
            taken += usize::from(live);
            gone |= !live;
            live
        };
        if let Some(consumers) = tables.channels.get_mut(channel) {
            consumers.retain(|consumer| {
                let (channel, payload) = (channel.clone(), payload.clone());
                deliver(consumer, Frame::Message { channel, payload })
            });
            if consumers.is_empty() {
                tables.channels.remove(channel);
            }
        }
        tables.patterns.retain(|(pattern, consumer)| {
            if fitting.next() != Some(true) {
                return true;
            }
            let frame = Frame::PatternMessage {
                pattern: pattern.clone(),
                channel: channel.clone(),
                payload: payload.clone(),
            };
            deliver(consumer, frame)
        });
        if gone {
            self.recount(&tables);
        }
        Ok(taken)
    }

    /// Roughly the bytes all subscriptions take.
    pub(crate) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    /// Roughly the bytes a subscription to these names would take.
    pub(crate) fn cost<A: AsRef<[u8]>>(names: &[A]) -> usize {
        let each = |name: &A| name.as_ref().len() + SUBSCRIPTION;
        names.iter().map(each).sum()
    }

    pub(crate) fn has_monitors(&self) -> bool {
        self.monitors.load(Ordering::Acquire) > 0
    }

    /// Whether there are patterns, or more than a few monitors.
    pub(crate) fn is_followed(&self) -> bool {
        self.patterns.load(Ordering::Acquire) > 0
            || self.monitors.load(Ordering::Acquire) > FEW_MONITORS
    }

    pub(crate) fn has_subscriptions(&self) -> bool {
        self.subscriptions.load(Ordering::Acquire) > 0
    }

    /// Sends a line to every monitor that wants the command; it is made once, if at all.
    pub(crate) fn feed_monitors(&self, args: Args<'_>, line: impl FnOnce() -> Bytes) {
        let mut tables = self.lock();
        let before = tables.monitors.len();
        let line = LazyCell::new(line);
        tables.monitors.retain(|Consumer { sink, .. }| {
            !sink.wants(args) || sink.push(Frame::Monitor(Bytes::clone(&line)))
        });
        if tables.monitors.len() != before {
            self.recount(&tables);
        }
    }

    /// Channels with subscribers, in no order.
    pub(crate) fn channels(&self, pattern: &[u8], budget: &Budget) -> Vec<Bytes> {
        let all = glob::is_all(pattern);
        self.lock()
            .channels
            .keys()
            .filter(|channel| all || glob::matches(pattern, channel, budget))
            .cloned()
            .collect()
    }

    /// How many consumers subscribe to this channel by name.
    pub(crate) fn subscribers(&self, channel: &[u8]) -> usize {
        self.lock().channels.get(channel).map_or(0, Vec::len)
    }

    /// How many different patterns are subscribed.
    pub(crate) fn patterns(&self) -> usize {
        let tables = self.lock();
        let mut patterns: Vec<&Bytes> = tables.patterns.iter().map(|(p, _)| p).collect();
        patterns.sort_unstable();
        patterns.dedup();
        patterns.len()
    }
}
