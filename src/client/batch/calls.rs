//! The calls of one batch: their commands, results, deadlines and wakers.
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

use smallvec::{SmallVec, smallvec};

use super::{
    CommandContext, Dispatcher, Results,
    plan::{Limits, Part, Plan},
};
use crate::{
    client::metrics::Metrics,
    protocol::{
        command::Args,
        error::{Delivery, Error, ErrorKind, Result},
        reply::Reply,
        response_meta::ResponseMeta,
    },
    transport::{
        Mode, Transport,
        time::{self, Instant},
    },
};

/// One call: the commands of one caller, kept together and in order.
pub(crate) struct BatchedCall {
    pub(super) mode: Mode,
    deadline: Instant,
    submitted: Instant,
    state: CallState,
    /// Until a batch takes them.
    commands: SmallVec<[Args; 1]>,
    /// Context of each of its commands.
    context: CommandContext,
    slots: SmallVec<[Slot; 1]>,
    /// Slots without a result.
    missing: usize,
    /// The last answer.
    meta: ResponseMeta,
    waker: Option<Waker>,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum CallState {
    Waiting,
    /// Every slot has its result.
    Complete,
    /// The caller has it or does not want it any more.
    Gone,
}

struct Slot {
    /// The command's position in the table.
    index: u16,
    state: SlotState,
}

enum SlotState {
    Queued,
    Started,
    Done(Result<Reply>),
}

impl BatchedCall {
    pub(super) fn new(
        mode: Mode,
        commands: SmallVec<[Args; 1]>,
        context: CommandContext,
        timeout: Duration,
    ) -> Self {
        let now = Instant::now();
        let slot = |args: &Args| Slot {
            index: args.index() as u16,
            state: SlotState::Queued,
        };
        Self {
            mode,
            deadline: time::after(now, timeout),
            submitted: now,
            state: CallState::Waiting,
            // Most calls are of one command: collecting costs more than all else here.
            slots: match &commands[..] {
                [one] => smallvec![slot(one)],
                all => all.iter().map(slot).collect(),
            },
            missing: commands.len(),
            meta: ResponseMeta::default(),
            commands,
            context,
            waker: None,
        }
    }
}

impl fmt::Debug for BatchedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchedCall({} commands)", self.slots.len())
    }
}

#[derive(Debug)]
pub(crate) struct BatchCalls {
    state: Mutex<State>,
    /// Something happened that the driver has not looked at.
    pub(super) woken: AtomicBool,
    /// The driver's waker was used, or the timer of those who wait for the first caller.
    pub(super) roused: AtomicBool,
    /// Nobody waits any more because every deadline passed.
    expired: AtomicBool,
    metrics: Metrics,
    // Futures are not `Send` there, and wakers must be.
    #[cfg(not(target_family = "wasm"))]
    core: Weak<Dispatcher>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<BatchedCall>,
    live: usize,
    earliest: Option<Instant>,
    latest: Option<Instant>,
    /// Whether the current exchange was sent.
    sent: Option<Arc<AtomicBool>>,
    /// An earlier attempt of the current exchange may have been executed.
    doubtful: bool,
    /// Response of the current exchange.
    meta: ResponseMeta,
}

impl BatchCalls {
    /// Reserves room for the expected calls; more may join.
    pub(super) fn new(metrics: Metrics, core: Weak<Dispatcher>, expected: usize) -> Self {
        #[cfg(target_family = "wasm")]
        drop(core);
        Self {
            #[cfg(not(target_family = "wasm"))]
            core,
            state: Mutex::new(State {
                calls: Vec::with_capacity(expected),
                ..State::default()
            }),
            woken: AtomicBool::new(true),
            roused: AtomicBool::new(false),
            expired: AtomicBool::new(false),
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls there were, also those that are gone.
    pub(super) fn count(&self) -> usize {
        self.lock().calls.len()
    }

    /// Adds a call; returns its number.
    pub(super) fn push(&self, call: BatchedCall) -> usize {
        let mut state = self.lock();
        state.live += 1;
        // A driver that waits for a permit must set its timer anew.
        if state.earliest.is_some_and(|d| call.deadline < d) {
            self.woken.store(true, Ordering::Release);
        }
        state.earliest = Some(
            state
                .earliest
                .map_or(call.deadline, |d| d.min(call.deadline)),
        );
        state.latest = Some(state.latest.map_or(call.deadline, |d| d.max(call.deadline)));
        state.calls.push(call);
        state.calls.len() - 1
    }

    /// The results of a call, or its waker is noted.
    pub(super) fn take(&self, number: usize, waker: &Waker) -> Option<(ResponseMeta, Results)> {
        let mut state = self.lock();
        let call = state.calls.get_mut(number)?;
        if call.state != CallState::Complete {
            let old = match &mut call.waker {
                Some(old) if old.will_wake(waker) => None,
                other => other.replace(waker.clone()),
            };
            // A waker may own a task that owns pending calls: not under the lock.
            drop(state);
            drop(old);
            return None;
        }
        call.state = CallState::Gone;
        let results = match std::mem::take(&mut call.slots).into_inner() {
            Ok(one) => one.map(Slot::into_result).into(),
            Err(slots) => slots.into_iter().map(Slot::into_result).collect(),
        };
        Some((call.meta, results))
    }

    /// Notes that a caller is gone; true when none is left.
    pub(super) fn leave(&self, number: usize) -> bool {
        let mut state = self.lock();
        let Some(call) = state.calls.get_mut(number) else {
            return false;
        };
        let was_waiting = call.state == CallState::Waiting;
        call.state = CallState::Gone;
        let waker = call.waker.take();
        if was_waiting {
            state.live -= 1;
        }
        let deserted = state.live == 0;
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
        for (number, call) in self.lock().calls.iter_mut().enumerate() {
            if call.state == CallState::Waiting {
                plan.add(
                    call.mode,
                    number as u32,
                    call.commands.drain(..),
                    &call.context,
                );
            }
        }
        plan.finish()
    }

    /// Notes that an exchange with these commands starts; false when every caller of them is gone.
    pub(super) fn start(&self, items: &[(u32, u32)], sent: Arc<AtomicBool>) -> bool {
        let mut state = self.lock();
        let mut wanted = false;
        for (call, slot) in items {
            if let Some(call) = state.calls.get_mut(*call as usize) {
                wanted |= call.state == CallState::Waiting;
                if let Some(slot) = call.slots.get_mut(*slot as usize) {
                    slot.state = SlotState::Started;
                }
            }
        }
        state.sent = Some(sent);
        state.doubtful = false;
        state.meta = ResponseMeta::default();
        wanted
    }

    /// Notes that an attempt of the current exchange starts.
    pub(super) fn attempt(&self, number: u32) {
        self.lock().meta.attempts = number;
    }

    /// Notes the status of the last answer.
    pub(super) fn answered(&self, status: Option<u16>) {
        self.lock().meta.status = status;
    }

    /// Notes that an attempt of the current exchange may have been executed.
    pub(super) fn doubt(&self) {
        self.lock().doubtful = true;
    }

    /// When the last caller gives up.
    pub(super) fn latest(&self) -> Option<Instant> {
        self.lock().latest
    }

    /// The earliest deadline; `None` when no caller waits.
    pub(super) fn earliest(&self) -> Option<Instant> {
        let state = self.lock();
        if state.live == 0 {
            None
        } else {
            state.earliest
        }
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::Acquire)
    }

    /// Hands out the results of one exchange and wakes the calls that are complete.
    pub(super) fn deliver(
        &self,
        items: &[(u32, u32)],
        results: impl Iterator<Item = Result<Reply>>,
    ) {
        let now = Instant::now();
        let mut wakers: SmallVec<[Waker; 8]> = SmallVec::new();
        let mut state = self.lock();
        state.sent = None;
        let meta = state.meta;
        let mut completed = 0;
        let (mut of, mut waited) = (None, Duration::ZERO);
        for ((number, slot), result) in items.iter().zip(results) {
            let Some(call) = state.calls.get_mut(*number as usize) else {
                continue;
            };
            if of != Some(*number) {
                of = Some(*number);
                waited = now.saturating_duration_since(call.submitted);
            }
            let Some(slot) = call.slots.get_mut(*slot as usize) else {
                continue;
            };
            // Who gave up has its verdict already.
            if call.state != CallState::Waiting || matches!(slot.state, SlotState::Done(_)) {
                continue;
            }
            self.metrics.command(slot.index.into(), waited, &result);
            slot.state = SlotState::Done(result);
            call.meta = meta;
            call.missing -= 1;
            if call.missing == 0 {
                call.state = CallState::Complete;
                completed += 1;
                wakers.extend(call.waker.take());
            }
        }
        state.live -= completed;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Completes calls past their deadline with an error.
    pub(super) fn expire(&self, now: Instant) {
        let mut wakers: SmallVec<[Waker; 8]> = SmallVec::new();
        let mut guard = self.lock();
        let state = &mut *guard;
        let sent = state.doubtful
            || state
                .sent
                .as_ref()
                .is_some_and(|s| s.load(Ordering::Acquire));
        let mut earliest = None;
        let mut completed = 0;
        for call in &mut state.calls {
            if call.state != CallState::Waiting {
                continue;
            }
            if call.deadline > now {
                earliest = Some(earliest.map_or(call.deadline, |d: Instant| d.min(call.deadline)));
                continue;
            }
            for slot in &mut call.slots {
                let (delivery, attempts) = match &slot.state {
                    SlotState::Done(_) => continue,
                    SlotState::Started if sent => (Delivery::MaybeExecuted, state.meta.attempts),
                    SlotState::Started => (Delivery::NotSent, state.meta.attempts),
                    SlotState::Queued => (Delivery::NotSent, 0),
                };
                let error = Error::new(ErrorKind::Timeout, delivery, "no answer in time")
                    .with_attempts(attempts);
                let result = Err(error);
                let waited = now.saturating_duration_since(call.submitted);
                self.metrics.command(slot.index.into(), waited, &result);
                slot.state = SlotState::Done(result);
            }
            call.missing = 0;
            call.state = CallState::Complete;
            completed += 1;
            wakers.extend(call.waker.take());
        }
        state.live -= completed;
        state.earliest = earliest;
        if state.live == 0 {
            self.expired.store(true, Ordering::Release);
        }
        drop(guard);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Fails every call that is left, because the driver panicked.
    pub(super) fn abandon(&self) {
        let error = Error::new(
            ErrorKind::Interrupted,
            Delivery::MaybeExecuted,
            "transport failed",
        );
        let mut wakers: SmallVec<[Waker; 8]> = SmallVec::new();
        let mut state = self.lock();
        for call in &mut state.calls {
            if call.state == CallState::Waiting {
                for slot in &mut call.slots {
                    if !matches!(slot.state, SlotState::Done(_)) {
                        slot.state = SlotState::Done(Err(error.clone()));
                    }
                }
                call.state = CallState::Complete;
                wakers.extend(call.waker.take());
            }
        }
        state.live = 0;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes every caller; the first that is polled drives the request.
    pub(super) fn wake_all(&self) {
        self.woken.store(true, Ordering::Release);
        let mut state = self.lock();
        let wakers: SmallVec<[Waker; 8]> = state
            .calls
            .iter_mut()
            .filter_map(|e| e.waker.take())
            .collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
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
        #[cfg(not(target_family = "wasm"))]
        if let Some(core) = self.core.upgrade() {
            core.batcher.wake_waiting();
        }
    }
}

impl Slot {
    fn into_result(self) -> Result<Reply> {
        match self.state {
            SlotState::Done(result) => result,
            // Complete means that every slot is done.
            SlotState::Queued | SlotState::Started => Err(Error::protocol("no result")),
        }
    }
}
