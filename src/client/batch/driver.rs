//! Sends concurrent commands of one client in one request.
//!
//! There is no background task. The first caller opens a batch and others join it. A caller that
//! is polled for the second time, after all others had their turn, sends the batch. Every caller
//! that is polled also drives the request, so that a caller that is dropped or no longer polled
//! delays no other.
//!
//! The first caller asks to be polled again. The others of its thread and runtime rely on that; a
//! timer wakes all of them if it is not polled.
use std::{
    fmt,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{Dispatcher, Results, attempt, calls::BatchCalls, state::BatchedCall};
use crate::{
    client::metrics::ObservedCall,
    protocol::{error::Error, response_meta::ResponseMeta},
    transport::{
        BoxFuture, RequestContext,
        time::{self, Instant},
    },
};

/// How long callers wait for the first one to be polled again.
pub(super) const PATIENCE: Duration = Duration::from_millis(1);

/// Most calls that a new batch reserves room for.
const MAX_EXPECTED: usize = 256;

/// The open batches, one for each request context, and those in flight.
#[derive(Debug, Default)]
pub(crate) struct Batcher {
    state: Mutex<State>,
    /// An open batch waits for one in flight to end.
    has_waiting: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Arc<Batch>>,
    in_flight: Vec<InFlight>,
    next: u64,
    /// Calls of the last batch that was sent: the next one reserves room for as many.
    expected: usize,
}

#[derive(Debug)]
struct InFlight {
    number: u64,
    context: RequestContext,
    batch: Weak<Batch>,
}

impl State {
    fn open_in(&self, context: RequestContext) -> Option<&Arc<Batch>> {
        let mut open = self.open.iter();
        open.find(|batch| batch.calls.context == context)
    }

    fn in_flight_in(&self, context: RequestContext) -> impl Iterator<Item = &InFlight> {
        let all = self.in_flight.iter();
        all.filter(move |sent| sent.context == context)
    }
}

impl Batcher {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the open batch and counts it as in flight, if the limit permits.
    fn try_start(&self, calls: &Arc<BatchCalls>, max_in_flight: usize) -> Option<u64> {
        let context = calls.context;
        let mut state = self.lock();
        if state.in_flight_in(context).count() >= max_in_flight {
            self.has_waiting.store(true, Ordering::Release);
            return None;
        }
        state.expected = calls.lock().count();
        let number = state.next;
        state.next += 1;
        let is_own = |batch: &Arc<Batch>| Arc::ptr_eq(&batch.calls, calls);
        if let Some(place) = state.open.iter().position(is_own) {
            // Not the last reference: a call of the batch is being polled.
            let batch = Arc::downgrade(&state.open.swap_remove(place));
            state.in_flight.push(InFlight {
                number,
                context,
                batch,
            });
        }
        // Other contexts' may wait still.
        let has_waiting = !state.open.is_empty();
        self.has_waiting.store(has_waiting, Ordering::Release);
        Some(number)
    }

    /// A batch has ended or was abandoned.
    fn end(&self, number: u64, context: RequestContext) {
        let mut state = self.lock();
        state.in_flight.retain(|sent| sent.number != number);
        let next = state.open_in(context).cloned();
        let has_waiting = state.open.len() > usize::from(next.is_some());
        self.has_waiting.store(has_waiting, Ordering::Release);
        drop(state);
        if let Some(next) = next {
            next.calls.wake_all();
        }
    }

    /// Wakes the callers of a context's open batch if it waits for a permit.
    pub(super) fn wake_waiting(&self, context: RequestContext) {
        if !self.has_waiting.load(Ordering::Acquire) {
            return;
        }
        let next = self.lock().open_in(context).cloned();
        if let Some(next) = next {
            next.calls.wake_all();
        }
    }

    /// Takes the open batch if no caller waits for it any more.
    fn take_if_deserted(&self, batch: &Arc<Batch>) -> Option<Arc<Batch>> {
        let mut state = self.lock();
        // Under the lock, so that no call joins meanwhile.
        let place = state.open.iter().position(|open| Arc::ptr_eq(open, batch));
        let place = place.filter(|_| batch.calls.lock().is_deserted())?;
        Some(state.open.swap_remove(place))
    }
}

/// Commands that travel together.
pub(crate) struct Batch {
    calls: Arc<BatchCalls>,
    driver: Mutex<Driver>,
    /// Where it was opened.
    opened_on: time::Thread,
}

enum Driver {
    /// With a timer once a caller relies on the first one.
    Gathering(Option<time::Sleep>),
    Running(BoxFuture<'static, ()>),
    /// Being polled, over, or lost to a panic.
    Away,
    Over,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batch")
    }
}

impl Batch {
    /// Makes progress unless another caller does; returns whether results may have arrived.
    fn drive(&self, core: &Arc<Dispatcher>, turn: Turn, waker: &Waker) -> bool {
        let mut driver = match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(lost)) => lost.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if let (Driver::Gathering(timer), true) = (&mut *driver, turn != Turn::Later) {
            // All others get one turn to join.
            if turn == Turn::Opening || !self.leaves_it_to_opener(core, timer) {
                waker.wake_by_ref();
            }
            return false;
        }
        let mut future = match std::mem::replace(&mut *driver, Driver::Away) {
            Driver::Gathering(_) => {
                self.calls.woken.store(true, Ordering::Release);
                Box::pin(run(Arc::clone(core), Arc::clone(&self.calls))) as BoxFuture<'static, ()>
            }
            Driver::Running(future) => future,
            Driver::Away => {
                self.calls.abandon();
                *driver = Driver::Over;
                return true;
            }
            Driver::Over => {
                *driver = Driver::Over;
                return false;
            }
        };
        // One poll an event, no matter how many callers were woken for it.
        if !self.calls.woken.swap(false, Ordering::AcqRel) {
            *driver = Driver::Running(future);
            return false;
        }
        let any_caller = Waker::from(Arc::clone(&self.calls));
        *driver = match future.as_mut().poll(&mut Context::from_waker(&any_caller)) {
            Poll::Ready(()) => Driver::Over,
            Poll::Pending => Driver::Running(future),
        };
        true
    }

    /// Whether it is enough that the first caller is polled again, or the timer's end.
    fn leaves_it_to_opener(&self, core: &Dispatcher, timer: &mut Option<time::Sleep>) -> bool {
        // Who does not wait for a runtime may be polled where none runs.
        if core.shared.transport.answers_at_once() || self.opened_on != time::current_thread() {
            return false;
        }
        if timer.is_none() {
            let end = time::after(Instant::now(), PATIENCE);
            let mut started = time::sleep_until(end);
            if let Some(timer) = &mut started {
                let every_caller = Waker::from(Arc::clone(&self.calls));
                let mut cx = Context::from_waker(&every_caller);
                if timer.as_mut().poll(&mut cx).is_ready() {
                    return false;
                }
            }
            *timer = started;
        }
        // After its end the timer wakes nobody any more.
        timer.is_some() && !self.calls.roused.load(Ordering::Acquire)
    }
}

/// What a poll is to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The first of the caller that opened the batch.
    Opening,
    /// The first of another.
    Joining,
    Later,
}

/// Runs a batch: waits for a permit, sends it, expires its calls.
async fn run(core: Arc<Dispatcher>, calls: Arc<BatchCalls>) {
    let mut work = pin!(work(&core, &calls));
    let mut timer: Option<(Instant, Option<time::Sleep>)> = None;
    std::future::poll_fn(|cx| {
        loop {
            if work.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let Some(deadline) = calls.lock().earliest() else {
                return Poll::Ready(());
            };
            let (_, sleep) = match &mut timer {
                Some(current) if current.0 == deadline => current,
                other => other.insert((deadline, time::sleep_until(deadline))),
            };
            let Some(sleep) = sleep else {
                return Poll::Pending;
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            calls.expire(Instant::now());
            timer = None;
        }
    })
    .await;
}

async fn work(core: &Arc<Dispatcher>, calls: &Arc<BatchCalls>) {
    let number = std::future::poll_fn(|_| {
        let started = core.batcher.try_start(calls, core.shared.in_flight.get());
        started.map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    let _permit = InFlightPermit {
        batcher: &core.batcher,
        number,
        context: calls.context,
    };
    let shared = &core.shared;
    let joins = !shared.joined_calls.are_rejected();
    for part in calls.take_parts(shared.policy.limits, joins, &*shared.transport) {
        attempt::run(core, calls, part).await;
    }
}

/// Permission to have a request in flight; dropping it lets the next batch start.
struct InFlightPermit<'a> {
    batcher: &'a Batcher,
    number: u64,
    context: RequestContext,
}

impl Drop for InFlightPermit<'_> {
    fn drop(&mut self) {
        self.batcher.end(self.number, self.context);
    }
}

/// One caller's call in a batch; a future of its results.
///
/// Dropping it before the batch is sent removes its commands; later the request goes on for the
/// other callers.
#[must_use = "a pending call must be polled"]
pub(crate) struct PendingCall {
    joined: Option<Joined>,
    failed: Option<Results>,
    observed: ObservedCall,
}

struct Joined {
    core: Arc<Dispatcher>,
    batch: Arc<Batch>,
    number: usize,
    polled: bool,
}

impl fmt::Debug for PendingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingCall")
    }
}

impl PendingCall {
    /// A call that fails without being sent.
    pub(super) fn failed(commands: usize, error: &Error) -> Self {
        let results = (0..commands.max(1)).map(|_| Err(error.clone())).collect();
        Self {
            joined: None,
            failed: Some(results),
            observed: ObservedCall::default(),
        }
    }

    /// Joins the open batch or opens one.
    pub(super) fn join(core: &Arc<Dispatcher>, call: BatchedCall, observed: ObservedCall) -> Self {
        let mut state = core.batcher.lock();
        let expected = state.expected.min(MAX_EXPECTED);
        let context = RequestContext::current();
        let batch = state.open_in(context).cloned().unwrap_or_else(|| {
            let batch = Arc::new(Batch {
                calls: Arc::new(BatchCalls::new(
                    core.shared.metrics.clone(),
                    Arc::downgrade(core),
                    expected,
                )),
                driver: Mutex::new(Driver::Gathering(None)),
                opened_on: time::current_thread(),
            });
            state.open.push(Arc::clone(&batch));
            batch
        });
        let number = batch.calls.join(call);
        drop(state);
        let joined = Joined {
            core: Arc::clone(core),
            batch,
            number,
            polled: false,
        };
        Self {
            joined: Some(joined),
            failed: None,
            observed,
        }
    }
}

impl Future for PendingCall {
    type Output = (ResponseMeta, Results);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(ResponseMeta, Results)> {
        if let Some(results) = self.failed.take() {
            return Poll::Ready((ResponseMeta::default(), results));
        }
        // Polled after completion: there is nothing left to wait for.
        let Some(joined) = &mut self.joined else {
            return Poll::Pending;
        };
        let turn = match (std::mem::replace(&mut joined.polled, true), joined.number) {
            (true, _) => Turn::Later,
            (false, 0) => Turn::Opening,
            (false, _) => Turn::Joining,
        };
        let mut done = joined.batch.calls.poll(joined.number, cx.waker());
        if done.is_none() {
            let mut driven = joined.batch.drive(&joined.core, turn, cx.waker());
            if joined.core.batcher.has_waiting.load(Ordering::Acquire) {
                help_others(&joined.core, cx.waker());
                driven = true;
            }
            if driven {
                done = joined.batch.calls.poll(joined.number, cx.waker());
            }
        }
        match done {
            Some(done) => {
                self.joined = None;
                self.observed.end(&done.1);
                Poll::Ready(done)
            }
            None => Poll::Pending,
        }
    }
}

/// Drives the batches in flight that the open one waits for: their callers may not be polled.
fn help_others(core: &Arc<Dispatcher>, waker: &Waker) {
    let batches: Vec<_> = core
        .batcher
        .lock()
        .in_flight_in(RequestContext::current())
        .filter_map(|sent| sent.batch.upgrade())
        .collect();
    for batch in batches {
        batch.drive(core, Turn::Later, waker);
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let deserted = self.batch.calls.leave(self.number);
        if deserted {
            // Breaks the cycle of client, open batch and its future.
            drop(self.core.batcher.take_if_deserted(&self.batch));
        } else if self.batch.calls.woken.load(Ordering::Acquire) {
            // It may have been the one that was woken to drive.
            self.batch.calls.wake_all();
        }
    }
}
