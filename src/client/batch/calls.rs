//! The calls of one batch under its lock: applies steps to the state, then wakes callers.
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use super::{
    Dispatcher, Results,
    plan::{Limits, Part, Plan},
    state::{BatchState, BatchedCall, Polled, Wakers},
};
use crate::{
    client::metrics::Metrics,
    protocol::{error::Result, reply::Reply, response_meta::ResponseMeta},
    transport::{RequestContext, Transport, time::Instant},
};

#[derive(Debug)]
pub(crate) struct BatchCalls {
    state: Mutex<BatchState>,
    /// Something happened that the driver has not looked at.
    pub(super) woken: AtomicBool,
    /// The driver's waker was used, or the timer of those who wait for the first caller.
    pub(super) roused: AtomicBool,
    /// Nobody waits any more because every deadline passed.
    expired: AtomicBool,
    metrics: Metrics,
    core: Weak<Dispatcher>,
    /// Where the calls belong.
    pub(super) context: RequestContext,
}

impl BatchCalls {
    /// Reserves room for the expected calls; more of this context may join.
    pub(super) fn new(metrics: Metrics, core: Weak<Dispatcher>, expected: usize) -> Self {
        Self {
            core,
            state: Mutex::new(BatchState::with_room(expected)),
            woken: AtomicBool::new(true),
            roused: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            metrics,
            context: RequestContext::current(),
        }
    }

    /// The state, for a step that wakes nobody.
    pub(super) fn lock(&self) -> MutexGuard<'_, BatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a step, then wakes. A waker may own a task that owns pending calls: not under the lock.
    fn apply(&self, step: impl FnOnce(&mut BatchState) -> Wakers) {
        let wakers = step(&mut self.lock());
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Adds a call; returns its number.
    pub(super) fn join(&self, call: BatchedCall) -> usize {
        let (number, is_earlier) = self.lock().join(call);
        // A driver that waits for a permit must set its timer anew.
        if is_earlier {
            self.woken.store(true, Ordering::Release);
        }
        number
    }

    /// The results of a call, or its waker is noted.
    pub(super) fn poll(&self, number: usize, waker: &Waker) -> Option<(ResponseMeta, Results)> {
        // The old waker is dropped after the lock is released, as in `apply`.
        let polled = self.lock().poll(number, waker);
        match polled {
            Polled::Done(meta, results) => Some((meta, results)),
            Polled::Waiting(old) => {
                drop(old);
                None
            }
            Polled::Unknown => None,
        }
    }

    /// Notes that a caller is gone; true when none is left.
    pub(super) fn leave(&self, number: usize) -> bool {
        let mut state = self.lock();
        let waker = state.leave(number);
        let deserted = state.is_deserted();
        drop(state);
        drop(waker);
        deserted
    }

    /// Takes what the live calls want to have sent, as exchanges.
    pub(super) fn take_parts(
        &self,
        limits: Limits,
        joins: bool,
        transport: &dyn Transport,
    ) -> Vec<Part> {
        let mut plan = Plan::new(limits, joins, transport);
        self.lock()
            .take_commands(|mode, number, commands, context| {
                plan.add(mode, number, commands, context);
            });
        plan.finish()
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Acquire)
    }

    /// Hands out the results of one exchange and wakes the calls that are complete.
    pub(super) fn complete(
        &self,
        items: &[(u32, u32)],
        results: impl Iterator<Item = Result<Reply>>,
    ) {
        let now = Instant::now();
        self.apply(|state| {
            state.complete(items, results, now, |index, waited, result| {
                self.metrics.command(index, waited, result);
            })
        });
    }

    /// Completes calls past their deadline with an error.
    pub(super) fn expire(&self, now: Instant) {
        self.apply(|state| {
            let wakers = state.expire(now, |index, waited, result| {
                self.metrics.command(index, waited, result);
            });
            if state.is_deserted() {
                self.expired.store(true, Ordering::Release);
            }
            wakers
        });
    }

    /// Fails every call that is left, because the driver panicked.
    pub(super) fn abandon(&self) {
        self.apply(BatchState::abandon);
    }

    /// Wakes every caller; the first that is polled drives the request.
    pub(super) fn wake_all(&self) {
        self.woken.store(true, Ordering::Release);
        self.apply(BatchState::take_wakers);
    }
}

/// What the driver registers with the network: any caller may take over.
impl Wake for BatchCalls {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.roused.store(true, Ordering::Release);
        self.wake_all();
        // Callers of the open batch drive this one if its own are not polled.
        if let Some(core) = self.core.upgrade() {
            core.batcher.wake_waiting(self.context);
        }
    }
}
