//! SUBSCRIBE and its family, MONITOR.
//!
//! Messages wait in one queue a connection, which is bounded and shares the memory of all
//! subscribers. Confirmations are written at once, before any message of what they confirm.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _};
use restis_engine::{Caller, Engine, Frame, Reply, Sink, Subscription};

use super::encode::{self, Version};
use super::names::Kind;
use super::run::not_passed_on;
use super::session::{Session, arity};
use crate::backlog::{Queue, Queued};
use crate::database::Backend;
use crate::reply::resp2;
use crate::rest::StreamPermit;
use crate::texts;

/// The most channels and patterns of one connection.
const MOST: usize = 10_000;

/// What a connection listens to.
#[derive(Default)]
pub(super) struct Subscriptions {
    queue: Option<(Arc<Queue>, Queued, StreamPermit)>,
    channels: BTreeMap<Bytes, Subscription>,
    patterns: BTreeMap<Bytes, Subscription>,
    monitor: Option<Subscription>,
}

impl Subscriptions {
    /// Whether channels or patterns are subscribed.
    pub(super) fn is_active(&self) -> bool {
        self.count() > 0
    }

    fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// The next message; `None`: none follows, since the reader was too slow or lost the right.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        match &mut self.queue {
            Some((_, queued, _)) => queued.next().await,
            None => pending().await,
        }
    }

    /// Whether a message is for what is still subscribed.
    fn wants(&self, frame: &Frame) -> bool {
        match frame {
            Frame::Message { channel, .. } => self.channels.contains_key(channel),
            Frame::PatternMessage { pattern, .. } => self.patterns.contains_key(pattern),
            Frame::Monitor(_) => self.monitor.is_some(),
            // Confirmations are written where the command is answered.
            _ => false,
        }
    }

    fn of(&mut self, kind: Kind) -> &mut BTreeMap<Bytes, Subscription> {
        match kind {
            Kind::PSubscribe | Kind::PUnsubscribe => &mut self.patterns,
            _ => &mut self.channels,
        }
    }
}

impl Session {
    /// Writes a message.
    pub(super) fn frame(&mut self, frame: &Frame) {
        if !self.subscriptions.wants(frame) {
            return;
        }
        let (out, version) = (&mut self.out, self.version);
        match frame {
            Frame::Message { channel, payload } => {
                push(out, version, &[b"message", channel, payload]);
            }
            Frame::PatternMessage {
                pattern,
                channel,
                payload,
            } => push(out, version, &[b"pmessage", pattern, channel, payload]),
            Frame::Monitor(line) => {
                out.extend_from_slice(b"+");
                out.extend_from_slice(line);
                out.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
    }

    /// Writes the messages that wait.
    fn drain(&mut self) {
        while let Some(Some(frame)) = self.subscriptions.next().now_or_never() {
            self.frame(&frame);
        }
    }

    /// The queue of this connection, made with the first subscription.
    fn sink(&mut self) -> Result<Arc<dyn Sink>, String> {
        if let Some((queue, _, _)) = &self.subscriptions.queue {
            return Ok(Arc::clone(queue) as Arc<dyn Sink>);
        }
        let Some(login) = &self.login else {
            return Err(texts::INTERNAL.to_owned());
        };
        let permit = StreamPermit::new(&self.shared, &login.access.database)
            .map_err(|failure| failure.line.into_owned())?;
        let (queue, queued) = self.shared.backlog.queue();
        self.subscriptions.queue = Some((Arc::clone(&queue), queued, permit));
        Ok(queue)
    }

    pub(super) async fn subscribe(&mut self, kind: Kind, args: &[&[u8]]) {
        if let Err(line) = arity(args, -2) {
            return self.error(&line);
        }
        if let Err(line) = self.try_subscribe(kind, args).await {
            self.error(&line);
        }
    }

    async fn try_subscribe(&mut self, kind: Kind, args: &[&[u8]]) -> Result<(), String> {
        let Some(login) = &self.login else {
            return Err(texts::INTERNAL.to_owned());
        };
        let caller = login.access.caller.clone();
        let database = Arc::clone(&login.access.database);
        let Backend::Engine(local) = &database.backend else {
            return Err(not_passed_on(args[0]));
        };
        if self.subscriptions.count() + args.len() - 1 > MOST {
            return Err("ERR too many subscriptions of one connection".to_owned());
        }
        let sink = self.sink()?;
        let known = self.subscriptions.of(kind);
        let mut new: Vec<Bytes> = args[1..]
            .iter()
            .filter(|name| !known.contains_key(**name))
            .map(|name| Bytes::copy_from_slice(name))
            .collect();
        new.sort_unstable();
        new.dedup();
        let join = move |engine: &Engine| {
            let join = |name: Bytes| {
                let (channels, patterns) = match kind {
                    Kind::PSubscribe => (vec![], vec![name.clone()]),
                    _ => (vec![name.clone()], vec![]),
                };
                let joined = engine.subscribe_as(&caller, &channels, &patterns, Arc::clone(&sink));
                joined.map(|subscription| (name, subscription))
            };
            new.into_iter().map(join).collect::<Result<Vec<_>, _>>()
        };
        let joined = local.aside(join).await;
        let joined = joined.map_err(|error| error.message().to_owned())?;
        // What came for what was subscribed before comes before the confirmation.
        self.drain();
        let mut joined: BTreeMap<Bytes, Subscription> = joined.into_iter().collect();
        for name in &args[1..] {
            if let Some((name, subscription)) = joined.remove_entry(*name) {
                self.subscriptions.of(kind).insert(name, subscription);
            }
            let word: &[u8] = match kind {
                Kind::PSubscribe => b"psubscribe",
                _ => b"subscribe",
            };
            self.confirm(word, Some(name));
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, kind: Kind, args: &[&[u8]]) {
        let word: &[u8] = match kind {
            Kind::PUnsubscribe => b"punsubscribe",
            _ => b"unsubscribe",
        };
        self.drain();
        let mut names: Vec<Bytes> = args[1..]
            .iter()
            .map(|name| Bytes::copy_from_slice(name))
            .collect();
        if args.len() == 1 {
            names.extend(self.subscriptions.of(kind).keys().cloned());
            if names.is_empty() {
                return self.confirm(word, None);
            }
        }
        for name in names {
            self.subscriptions.of(kind).remove(&name);
            self.confirm(word, Some(&name));
        }
        if !self.subscriptions.is_active() && self.subscriptions.monitor.is_none() {
            self.subscriptions.queue = None;
        }
    }

    /// Tells what was subscribed or is no longer, and how many are left.
    fn confirm(&mut self, word: &[u8], name: Option<&[u8]>) {
        let count = self.subscriptions.count();
        let mut state = self.client().state();
        state.channels = self.subscriptions.channels.len();
        state.patterns = self.subscriptions.patterns.len();
        drop(state);
        // CLIENT REPLY silences replies, not messages, and this is one.
        let (out, version) = (&mut self.out, self.version);
        encode::push(out, version, 3);
        bulk(out, word);
        match name {
            Some(name) => bulk(out, name),
            None => encode::null(out, version),
        }
        resp2::header(out, b':', count as i64);
    }

    pub(super) fn ping_of_subscriber(&mut self, args: &[&[u8]]) {
        let message = match args {
            [_] => &b""[..],
            [_, message] => message,
            _ => return self.error("ERR wrong number of arguments for 'ping' command"),
        };
        let reply = match self.version {
            Version::Resp2 => Reply::array([Reply::bulk("pong"), Reply::bulk(message)]),
            Version::Resp3 if args.len() == 1 => Reply::simple("PONG"),
            Version::Resp3 => Reply::bulk(message),
        };
        self.reply_of(restis_engine::Shape::Plain, &reply);
    }

    pub(super) fn monitor(&mut self, args: &[&[u8]]) {
        if let Err(line) = arity(args, 1) {
            return self.error(&line);
        }
        let Some(login) = &self.login else {
            return;
        };
        // It shows what everybody does.
        if login.access.caller != Caller::default() {
            return self.error(&texts::no_permission(b"monitor"));
        }
        let database = Arc::clone(&login.access.database);
        let Backend::Engine(local) = &database.backend else {
            return self.error(&not_passed_on(args[0]));
        };
        match self.sink() {
            Ok(sink) => {
                self.subscriptions.monitor = Some(local.engine().monitor(sink));
                self.client().state().monitors = true;
                self.reply(args, &Reply::ok());
            }
            Err(line) => self.error(&line),
        }
    }
}

fn bulk(out: &mut BytesMut, text: &[u8]) {
    resp2::header(out, b'$', text.len() as i64);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

fn push(out: &mut BytesMut, version: Version, parts: &[&[u8]]) {
    encode::push(out, version, parts.len());
    for part in parts {
        bulk(out, part);
    }
}
