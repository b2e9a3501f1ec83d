//! One load of a key at a time in this process; a load that is dropped goes to another caller.
//!
//! In a worker that is one in an event: a load of another event may end with that event.

use crate::transport::RequestContext;
use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// The loads of a process by key; `O` is what a load shares with those who wait for it.
#[derive(Debug)]
pub(super) struct SingleFlight<O> {
    slots: Mutex<Slots<O>>,
}

type Slots<O> = HashMap<RequestContext, HashMap<Arc<str>, Arc<Slot<O>>>>;

#[derive(Debug)]
struct Slot<O>(Mutex<State<O>>);

#[derive(Debug)]
struct State<O> {
    callers: usize,
    is_loading: bool,
    /// How many loads have ended with an outcome.
    finished: u64,
    outcome: Option<O>,
    waiting: Vec<Waker>,
}

impl<O> Default for SingleFlight<O> {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a caller gets when it wants to load.
#[derive(Debug)]
pub(super) enum Turn<O> {
    /// It loads.
    Lead(Lead<O>),
    /// A load that ended after it came.
    Shared(O),
}

impl<O: Clone> SingleFlight<O> {
    /// Announces a caller, before it reads: an outcome from now on is as new as a read of its own.
    pub(super) fn enter(self: &Arc<Self>, key: &str) -> Caller<O> {
        let context = RequestContext::current();
        let mut all = lock(&self.slots);
        let slots = all.entry(context).or_default();
        let (key, slot) = if let Some((key, slot)) = slots.get_key_value(key) {
            (Arc::clone(key), Arc::clone(slot))
        } else {
            let key: Arc<str> = key.into();
            let slot = Arc::new(Slot(Mutex::new(State {
                callers: 0,
                is_loading: false,
                finished: 0,
                outcome: None,
                waiting: Vec::new(),
            })));
            slots.insert(Arc::clone(&key), Arc::clone(&slot));
            (key, slot)
        };
        let mut state = lock(&slot.0);
        state.callers += 1;
        let finished_before = state.finished;
        drop(state);
        Caller {
            all: Arc::clone(self),
            context,
            key,
            slot,
            finished_before,
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.slots).values().map(HashMap::len).sum()
    }
}

/// A caller of a key; the key is forgotten with its last one.
#[derive(Debug)]
pub(super) struct Caller<O> {
    all: Arc<SingleFlight<O>>,
    context: RequestContext,
    key: Arc<str>,
    slot: Arc<Slot<O>>,
    finished_before: u64,
}

impl<O> Drop for Caller<O> {
    fn drop(&mut self) {
        let mut all = lock(&self.all.slots);
        let mut state = lock(&self.slot.0);
        state.callers -= 1;
        if state.callers == 0
            && let Some(slots) = all.get_mut(&self.context)
        {
            slots.remove(&self.key);
            if slots.is_empty() {
                all.remove(&self.context);
            }
        }
    }
}

impl<O: Clone> Caller<O> {
    fn turn_now(&self, state: &mut State<O>) -> Option<Turn<O>> {
        if state.finished > self.finished_before
            && let Some(outcome) = &state.outcome
        {
            return Some(Turn::Shared(outcome.clone()));
        }
        if state.is_loading {
            return None;
        }
        state.is_loading = true;
        state.callers += 1;
        let caller = Self {
            all: Arc::clone(&self.all),
            context: self.context,
            key: Arc::clone(&self.key),
            slot: Arc::clone(&self.slot),
            finished_before: self.finished_before,
        };
        Some(Turn::Lead(Lead { caller }))
    }

    /// The turn of a caller that does not wait; `None` while another one loads.
    pub(super) fn try_turn(&self) -> Option<Turn<O>> {
        self.turn_now(&mut lock(&self.slot.0))
    }

    /// Waits for the load of another caller, or loads.
    pub(super) async fn turn(&self) -> Turn<O> {
        poll_fn(|cx| {
            let mut state = lock(&self.slot.0);
            if let Some(turn) = self.turn_now(&mut state) {
                return Poll::Ready(turn);
            }
            if !state.waiting.iter().any(|one| one.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

/// The right and duty to load; dropped without an outcome, another caller loads.
#[derive(Debug)]
pub(super) struct Lead<O> {
    caller: Caller<O>,
}

impl<O> Lead<O> {
    /// Ends the load with an outcome for all who wait.
    pub(super) fn finish(self, outcome: O) {
        let mut state = lock(&self.caller.slot.0);
        state.finished += 1;
        state.outcome = Some(outcome);
        drop(state);
        drop(self);
    }
}

impl<O> Drop for Lead<O> {
    fn drop(&mut self) {
        let mut state = lock(&self.caller.slot.0);
        state.is_loading = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use futures_util::FutureExt as _;

    fn lead(caller: &Caller<u8>) -> Option<Lead<u8>> {
        match caller.try_turn() {
            Some(Turn::Lead(lead)) => Some(lead),
            _ => None,
        }
    }

    fn shared(caller: &Caller<u8>) -> Option<u8> {
        match caller.turn().now_or_never() {
            Some(Turn::Shared(outcome)) => Some(outcome),
            _ => None,
        }
    }

    #[test]
    fn one_loads_and_the_others_share() {
        let all = Arc::new(SingleFlight::default());
        let (a, b) = (all.enter("k"), all.enter("k"));
        let loading = lead(&a).unwrap();
        assert!(b.turn().now_or_never().is_none());
        // Other keys are independent.
        assert!(lead(&all.enter("other")).is_some());
        loading.finish(7);
        assert_eq!(shared(&b), Some(7));
        // Who comes later reads for itself.
        let late = all.enter("k");
        assert!(lead(&late).is_some());
        drop((a, b, late));
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn each_event_loads_for_itself() {
        let all = Arc::new(SingleFlight::default());
        let enter = || RequestContext::new().enter(|| all.enter("k"));
        let (a, b) = (enter(), enter());
        let loading = lead(&a).unwrap();
        lead(&b).unwrap().finish(2);
        loading.finish(1);
        drop((a, b));
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn a_dropped_load_goes_to_one_of_those_who_wait() {
        let all = Arc::new(SingleFlight::default());
        let (a, b, c) = (all.enter("k"), all.enter("k"), all.enter("k"));
        let loading = lead(&a).unwrap();
        drop(a);
        assert!(lead(&b).is_none());
        drop(loading);
        let next = lead(&b).unwrap();
        assert!(lead(&c).is_none());
        next.finish(1);
        assert_eq!(shared(&c), Some(1));
    }
}
