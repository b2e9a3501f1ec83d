//! What connections of the Redis protocol need: watched keys, and calls that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{Engine, State, list};
use crate::acl::Caller;
use crate::blocked::BlockedCall;
use crate::error::Error;
use crate::limits::CallLimits;
use crate::options::Dialect;
use crate::parse;
use crate::reply::Reply;
use crate::stream::{Stream, StreamId};
use crate::value::Value;
use crate::watch::WatchList;

/// Keys that a transaction watches, until dropped.
#[derive(Debug)]
pub struct Watched {
    list: Arc<WatchList>,
    /// Keys, and whether each was there.
    keys: Vec<(Bytes, bool)>,
    changed: Arc<AtomicBool>,
}

impl Watched {
    /// How many keys are watched.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is watched.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let keys = self.keys.iter().map(|(key, _)| key);
        self.list.remove(keys, &self.changed);
    }
}

/// What [`Engine::call_or_wait`] comes to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Called {
    /// The reply.
    Reply(Reply),
    /// The call waits; [`Engine::stop_waiting`] ends that.
    Waits {
        /// Names the call.
        id: u64,
        /// How long it may wait; `None`: for ever.
        timeout: Option<Duration>,
        /// The reply when the time is over.
        nothing: Reply,
    },
}

/// Whether a command waits when there is nothing for it: `BLPOP` and its kin, `XREAD` and
/// `XREADGROUP` with `BLOCK`.
pub fn may_wait<A: AsRef<[u8]>>(args: &[A]) -> bool {
    // Most commands are told by the first letter of their name.
    let first = args.first().and_then(|name| name.as_ref().first());
    matches!(first, Some(b'B' | b'b' | b'X' | b'x')) && waits(&list(args)).is_some()
}

/// What a command waits for.
struct Waits {
    timeout: Option<Duration>,
    nothing: Reply,
    /// Where its time to wait is, and the keys of streams.
    streams: bool,
}

fn waits(args: &[&[u8]]) -> Option<Waits> {
    let name = args.first()?.to_ascii_uppercase();
    let seconds = |at: usize| {
        let time = args.get(at).and_then(|text| parse::seconds(text).ok())?;
        Some((!time.is_zero()).then_some(time))
    };
    let last = args.len().checked_sub(1)?;
    let (timeout, nothing) = match &*name {
        b"BLPOP" | b"BRPOP" | b"BZPOPMIN" | b"BZPOPMAX" => (seconds(last)?, Reply::NilArray),
        b"BLMPOP" | b"BZMPOP" => (seconds(1)?, Reply::NilArray),
        b"BLMOVE" | b"BRPOPLPUSH" => (seconds(last)?, Reply::Nil),
        b"XREAD" | b"XREADGROUP" => {
            let (at, _) = stream_options(args)?;
            let text = args.get(at?)?;
            let millis = parse::int(text).ok().and_then(|n| u64::try_from(n).ok())?;
            let time = (millis > 0).then(|| Duration::from_millis(millis));
            return Some(Waits {
                timeout: time,
                nothing: Reply::NilArray,
                streams: true,
            });
        }
        _ => return None,
    };
    Some(Waits {
        timeout,
        nothing,
        streams: false,
    })
}

/// Where the time of BLOCK is, if it is there, and where the keys begin.
fn stream_options(args: &[&[u8]]) -> Option<(Option<usize>, usize)> {
    let mut block = None;
    let mut at = 1;
    while let Some(arg) = args.get(at) {
        let is = |word: &[u8]| arg.eq_ignore_ascii_case(word);
        if is(b"STREAMS") {
            return Some((block, at + 1));
        }
        if is(b"BLOCK") {
            block = Some(at + 1);
        }
        at += match () {
            () if is(b"GROUP") => 3,
            () if is(b"COUNT") || is(b"BLOCK") => 2,
            () => 1,
        };
    }
    None
}

impl Engine {
    /// Watches keys for [`Engine::transaction_if_unchanged`], besides those of `before`.
    pub fn watch<A: AsRef<[u8]>>(&self, keys: &[A], before: Option<Watched>) -> Watched {
        self.with(|state| {
            let mut watched = before.unwrap_or_else(|| Watched {
                list: Arc::clone(&state.db.watch),
                keys: Vec::new(),
                changed: Arc::default(),
            });
            for key in keys {
                let key = Bytes::copy_from_slice(key.as_ref());
                if watched.keys.iter().any(|(known, _)| *known == key) {
                    continue;
                }
                // A key that is due is gone already: that it is removed later changes nothing.
                state.db.remove_due(&key);
                watched.list.add(&key, &watched.changed);
                let there = state.db.exists(&key);
                watched.keys.push((key, there));
            }
            watched
        })
    }

    /// [`Engine::transaction`] unless a watched key was written, created, deleted or expired: then `None`.
    pub fn transaction_if_unchanged<C, A>(
        &self,
        caller: &Caller,
        watched: Option<Watched>,
        commands: &[C],
    ) -> Result<Option<Vec<Reply>>, Error>
    where
        C: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        self.with(|state| {
            let changed = watched.as_ref().is_some_and(|watched| {
                let expired = |(key, there): &(Bytes, bool)| *there && !state.db.exists(key);
                watched.changed.load(Ordering::Acquire) || watched.keys.iter().any(expired)
            });
            if changed {
                return Ok(None);
            }
            self.run_transaction(state, caller, commands).map(Some)
        })
    }

    /// Runs one command; one that may wait and finds nothing waits for its keys, after those that
    /// wait already. `deliver` then gets its reply, unless [`Engine::stop_waiting`] was called before.
    ///
    /// `deliver` is called while the database is locked: it must not block or call the engine.
    pub fn call_or_wait(
        &self,
        caller: &Caller,
        args: &[Bytes],
        deliver: impl FnOnce(Reply) + Send + 'static,
    ) -> Called {
        let words = list(args);
        self.with(|state| {
            self.open(&mut state.side, &self.limits);
            let reply = state.ctx(caller).call(&words);
            state.serve_blocked();
            if !matches!(reply, Reply::Nil | Reply::NilArray) {
                return Called::Reply(reply);
            }
            let Some(waits) = waits(&words) else {
                return Called::Reply(reply);
            };
            let mut args = args.to_vec();
            if waits.streams {
                resolve_last(state, &mut args);
            }
            let mut keys = Vec::new();
            if let Some(spec) = state.side.table.find(words[0]) {
                let moves = waits.nothing == Reply::Nil;
                spec.command.keys.each(&words, |at| {
                    // Of a move only the source is waited for.
                    if !moves || keys.is_empty() {
                        keys.extend(args.get(at).cloned());
                    }
                });
            }
            let id = state.db.blocked.add(BlockedCall {
                caller: caller.clone(),
                args,
                keys,
                deliver: Box::new(deliver),
            });
            Called::Waits {
                id,
                timeout: waits.timeout,
                nothing: waits.nothing,
            }
        })
    }

    /// Ends the waiting of a call; `false`: it has had its reply.
    pub fn stop_waiting(&self, id: u64) -> bool {
        self.with(|state| state.db.blocked.remove(id).is_some())
    }
}

/// The ids `$` and `+` mean the end of a stream at the time of the call.
fn resolve_last(state: &mut State, args: &mut [Bytes]) {
    let words = list(args);
    let Some((_, first)) = stream_options(&words) else {
        return;
    };
    drop(words);
    let count = args.len().saturating_sub(first) / 2;
    for at in first..first + count {
        if matches!(&*args[at + count], b"$" | b"+") {
            let stream = state.db.read::<Stream>(&args[at]).ok().flatten();
            let last = stream.map_or(StreamId::MIN, Stream::last_id);
            args[at + count] = Bytes::from(last.to_string());
        }
    }
}

impl State {
    /// Runs the calls that wait for keys which were written, in their order.
    pub(super) fn serve_blocked(&mut self) {
        if !self.db.blocked.has_ready() {
            return;
        }
        // A round ends with a call served or a key done; what a call writes is looked at as well.
        while let Some((key, calls)) = self.db.blocked.next_ready() {
            for id in calls {
                let Some(call) = self.db.blocked.get(id) else {
                    continue;
                };
                let in_group = call.args[0].eq_ignore_ascii_case(b"XREADGROUP");
                if !self.db.exists(&key) && !in_group {
                    continue;
                }
                let name = call.args[0].to_ascii_uppercase();
                let (caller, args) = (call.caller.clone(), call.args.clone());
                self.side.dialect = Dialect::Redis;
                self.side.budget.open(&CallLimits::default());
                let reply = self.ctx(&caller).call(&list(&args));
                let served = match &reply {
                    Reply::Nil | Reply::NilArray => false,
                    // A key of another type is none to wait for; another wrong key is an error.
                    Reply::Error(error) if !in_group && error.code() == "WRONGTYPE" => {
                        match self.db.value(&key) {
                            Some(Value::List(_)) => matches!(&*name, b"BLMOVE" | b"BRPOPLPUSH"),
                            Some(Value::Stream(_)) => &*name == b"XREAD",
                            _ => false,
                        }
                    }
                    _ => true,
                };
                if !served {
                    self.db.blocked.ignore(&key);
                } else if let Some(call) = self.db.blocked.remove(id) {
                    (call.deliver)(reply);
                }
            }
        }
    }
}
