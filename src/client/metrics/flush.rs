//! Counters of instances that may end at any time, kept in the store.
//!
//! A serverless instance is frozen and ended without a word. So its totals travel with batches that
//! are sent anyway: at most once in an interval one command is added to a batch, never a request.
//! It writes totals since the instance's start, so that doing it twice changes nothing and the batch
//! may be retried.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::totals::Totals;
use crate::protocol::{
    command::{Args, Command},
    error::{Delivery, Result},
    reply::Reply,
};

/// Keys: the index of instances by the time of their last flush, the instance's hash. Arguments: the
/// instance, the time in milliseconds, how long its hash lives in seconds, whether it has flushed
/// before, then names and numbers. Reply: 1, or 0 when its hash was added to the sum of those that
/// ended: it has to begin anew.
const FLUSH: &str = r"if ARGV[4] == '1' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[2], unpack(ARGV, 5))
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1";

/// How long what an instance wrote is kept when nobody reads it.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Where and how often an instance writes its counters.
#[derive(Debug)]
pub(crate) struct Flusher {
    prefix: String,
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    instance: String,
    last_ms: u64,
    /// What was added to the sum of ended instances, and is not this one's any more.
    baseline: Totals,
    /// What the store may hold of this instance.
    written: Option<Totals>,
    sending: Option<Totals>,
    refused: bool,
}

fn new_instance() -> String {
    let mut bytes = [0; 8];
    // Without randomness instances of one moment could meet; their sums would only be too small.
    let _ = getrandom::fill(&mut bytes);
    format!("{:016x}", u64::from_le_bytes(bytes))
}

impl Flusher {
    pub(super) fn new(prefix: String, every: Duration) -> Self {
        Self {
            prefix,
            every,
            state: Mutex::new(State {
                instance: new_instance(),
                last_ms: 0,
                baseline: Totals::new(),
                written: None,
                sending: None,
                refused: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// This instance, and what of its totals belongs to those that ended.
    pub(super) fn own(&self) -> (String, Totals) {
        let state = self.lock();
        (state.instance.clone(), state.baseline.clone())
    }

    /// The command that writes the totals, if it is time.
    pub(super) fn due(&self, now_ms: u64, totals: impl FnOnce() -> Totals) -> Option<Args> {
        let mut state = self.lock();
        let next = state.last_ms.saturating_add(self.every.as_millis() as u64);
        if state.refused || state.sending.is_some() || now_ms < next {
            return None;
        }
        let totals = totals();
        let own = difference(&totals, &state.baseline);
        if own.is_empty() || state.written.as_ref() == Some(&totals) {
            return None;
        }
        state.last_ms = now_ms;
        let command = Command::<Reply>::new("EVAL")
            .arg(FLUSH)
            .arg(2)
            .arg(index_key(&self.prefix))
            .arg(instance_key(&self.prefix, &state.instance))
            .arg(&state.instance)
            .arg(now_ms)
            .arg(KEPT.as_secs())
            .arg(u8::from(state.written.is_some()));
        let command = own
            .iter()
            .fold(command, |command, (name, n)| command.arg(name).arg(n));
        state.sending = Some(totals);
        Some(command.args)
    }

    /// Notes what became of it.
    pub(crate) fn done(&self, result: Result<Reply>) {
        let mut state = self.lock();
        let Some(sent) = state.sending.take() else {
            return;
        };
        match result {
            Ok(Reply::Int(1)) => state.written = Some(sent),
            Ok(Reply::Int(0)) => {
                // Too long without a request: what was written counts among those that ended.
                let written = state.written.take().unwrap_or_default();
                state.baseline = written;
                state.instance = new_instance();
                state.last_ms = 0;
            }
            Ok(_) => {
                state.refused = true;
                tracing::warn!("the store refuses the counters of this instance: none are kept");
            }
            // It may be there: rather too few than counted twice.
            Err(error) if error.delivery() == Delivery::MaybeExecuted => {
                state.written = Some(sent);
            }
            Err(_) => {}
        }
    }
}

/// What was counted after `before`.
pub(super) fn difference(totals: &Totals, before: &Totals) -> Totals {
    let grown = totals.iter().filter_map(|(name, n)| {
        let before = before.get(name).copied().unwrap_or_default();
        let grown = n.saturating_sub(before);
        (grown > 0).then(|| (name.clone(), grown))
    });
    grown.collect()
}

/// The keys of one prefix share a slot of a cluster.
pub(super) fn index_key(prefix: &str) -> String {
    format!("{{{prefix}}}:instances")
}

pub(super) fn instance_key(prefix: &str, instance: &str) -> String {
    format!("{{{prefix}}}:instance:{instance}")
}

pub(super) fn alerts_key(prefix: &str) -> String {
    format!("{{{prefix}}}:alerts")
}

pub(super) fn ended_key(prefix: &str) -> String {
    format!("{{{prefix}}}:ended")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn totals(n: u64) -> Totals {
        [("n:requests".to_owned(), n)].into()
    }

    fn words(args: &Args) -> Vec<String> {
        args.iter()
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect()
    }

    #[test]
    fn totals_leave_once_in_an_interval_and_only_when_they_grew() {
        let flusher = Flusher::new("metrics:test".into(), Duration::from_secs(60));
        let first = flusher.due(100_000, || totals(1)).unwrap();
        let words = words(&first);
        assert_eq!(words[3], "{metrics:test}:instances");
        assert_eq!(words[8..], ["0", "n:requests", "1"]);
        assert!(flusher.due(900_000, || totals(2)).is_none(), "one is away");
        flusher.done(Ok(Reply::Int(1)));
        assert!(flusher.due(159_999, || totals(2)).is_none());
        assert!(flusher.due(160_000, || totals(1)).is_none());
        assert!(flusher.due(230_000, || totals(2)).is_some());
    }

    #[test]
    fn an_instance_that_was_counted_as_ended_begins_anew() {
        let flusher = Flusher::new("m".into(), Duration::from_secs(60));
        let (before, _) = flusher.own();
        flusher.due(100_000, || totals(5)).unwrap();
        flusher.done(Ok(Reply::Int(1)));
        flusher.due(200_000, || totals(7)).unwrap();
        flusher.done(Ok(Reply::Int(0)));
        let (after, _) = flusher.own();
        assert_ne!(before, after);
        let next = flusher.due(200_001, || totals(9)).unwrap();
        assert_eq!(words(&next)[8..], ["0", "n:requests", "4"]);
    }

    #[test]
    fn a_store_that_refuses_is_not_asked_again() {
        let flusher = Flusher::new("m".into(), Duration::from_secs(60));
        flusher.due(100_000, || totals(5)).unwrap();
        flusher.done(Ok(Reply::Nil));
        assert!(flusher.due(900_000, || totals(6)).is_none());
    }
}
