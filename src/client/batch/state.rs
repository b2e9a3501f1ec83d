//! The state of one batch: its calls, what each of them waits for, and what becomes of it.
//!
//! It has no lock, no clock and no effect. A step (join, poll, complete, expire, leave, abandon)
//! takes the time where it needs one, and returns the wakers of the callers that have a result:
//! [`BatchCalls`](super::calls::BatchCalls) uses them after it has released the lock.
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Duration,
};

use smallvec::{SmallVec, smallvec};

use super::{CommandContext, Results};
use crate::{
    protocol::{
        command::Args,
        error::{Delivery, Error, ErrorKind, Result},
        reply::Reply,
        response_meta::ResponseMeta,
    },
    transport::{
        Mode,
        time::{self, Instant},
    },
};

/// Callers to wake.
pub(super) type Wakers = SmallVec<[Waker; 8]>;

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
        now: Instant,
        timeout: Duration,
    ) -> Self {
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

/// The calls of a batch and the exchange that runs for them.
#[derive(Debug, Default)]
pub(super) struct BatchState {
    calls: Vec<BatchedCall>,
    /// Calls that wait.
    live: usize,
    earliest: Option<Instant>,
    latest: Option<Instant>,
    /// The current exchange's flag; its transport sets it when bytes may leave.
    sent: Option<Arc<AtomicBool>>,
    /// An earlier attempt of the current exchange may have been executed.
    doubtful: bool,
    /// Response of the current exchange.
    meta: ResponseMeta,
}

/// What a caller finds when it is polled.
pub(super) enum Polled {
    Done(ResponseMeta, Results),
    /// Its waker is noted; this one is not needed any more.
    Waiting(Option<Waker>),
    /// There is no such call.
    Unknown,
}

impl BatchState {
    /// Reserves room for the expected calls; more may join.
    pub(super) fn with_room(expected: usize) -> Self {
        Self {
            calls: Vec::with_capacity(expected),
            ..Self::default()
        }
    }

    /// How many calls there were, also those that are gone.
    pub(super) fn count(&self) -> usize {
        self.calls.len()
    }

    /// Whether no caller waits.
    pub(super) fn is_deserted(&self) -> bool {
        self.live == 0
    }

    /// The earliest deadline; `None` when no caller waits.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest.filter(|_| self.live > 0)
    }

    /// When the last caller gives up.
    pub(super) fn latest(&self) -> Option<Instant> {
        self.latest
    }

    /// Adds a call; returns its number, and whether its deadline is before all others.
    pub(super) fn join(&mut self, call: BatchedCall) -> (usize, bool) {
        let deadline = call.deadline;
        let is_earlier = self.earliest.is_some_and(|d| deadline < d);
        self.live += 1;
        self.earliest = Some(self.earliest.map_or(deadline, |d| d.min(deadline)));
        self.latest = Some(self.latest.map_or(deadline, |d| d.max(deadline)));
        self.calls.push(call);
        (self.calls.len() - 1, is_earlier)
    }

    /// Takes the results of a call, or notes its waker.
    pub(super) fn poll(&mut self, number: usize, waker: &Waker) -> Polled {
        let Some(call) = self.calls.get_mut(number) else {
            return Polled::Unknown;
        };
        if call.state != CallState::Complete {
            return Polled::Waiting(match &mut call.waker {
                Some(old) if old.will_wake(waker) => None,
                other => other.replace(waker.clone()),
            });
        }
        call.state = CallState::Gone;
        let results = match std::mem::take(&mut call.slots).into_inner() {
            Ok(one) => one.map(Slot::into_result).into(),
            Err(slots) => slots.into_iter().map(Slot::into_result).collect(),
        };
        Polled::Done(call.meta, results)
    }

    /// Notes that a caller is gone; returns its waker.
    pub(super) fn leave(&mut self, number: usize) -> Option<Waker> {
        let call = self.calls.get_mut(number)?;
        if call.state == CallState::Waiting {
            self.live -= 1;
        }
        call.state = CallState::Gone;
        call.waker.take()
    }

    /// Takes the commands of the calls that wait.
    pub(super) fn take_commands(
        &mut self,
        mut each: impl FnMut(Mode, u32, smallvec::Drain<'_, [Args; 1]>, &CommandContext),
    ) {
        for (number, call) in self.calls.iter_mut().enumerate() {
            if call.state == CallState::Waiting {
                let commands = call.commands.drain(..);
                each(call.mode, number as u32, commands, &call.context);
            }
        }
    }

    /// Notes that an exchange with these commands starts; false when every caller of them is gone.
    pub(super) fn start(&mut self, items: &[(u32, u32)], sent: Arc<AtomicBool>) -> bool {
        let mut wanted = false;
        for (call, slot) in items {
            if let Some(call) = self.calls.get_mut(*call as usize) {
                wanted |= call.state == CallState::Waiting;
                if let Some(slot) = call.slots.get_mut(*slot as usize)
                    && matches!(slot.state, SlotState::Queued)
                {
                    slot.state = SlotState::Started;
                }
            }
        }
        self.sent = Some(sent);
        self.doubtful = false;
        self.meta = ResponseMeta::default();
        wanted
    }

    /// Notes that an attempt of the current exchange starts.
    pub(super) fn attempt(&mut self, number: u32) {
        self.meta.attempts = number;
    }

    /// Notes the status of the last answer.
    pub(super) fn answered(&mut self, status: Option<u16>) {
        self.meta.status = status;
    }

    /// Notes that an attempt of the current exchange may have been executed.
    pub(super) fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// Takes the results of one exchange; `record` gets the command's position in the table, how
    /// long it took, and its result.
    pub(super) fn complete(
        &mut self,
        items: &[(u32, u32)],
        results: impl Iterator<Item = Result<Reply>>,
        now: Instant,
        mut record: impl FnMut(usize, Duration, &Result<Reply>),
    ) -> Wakers {
        let mut wakers = Wakers::new();
        self.sent = None;
        let (mut of, mut waited) = (None, Duration::ZERO);
        for ((number, slot), result) in items.iter().zip(results) {
            let Some(call) = self.calls.get_mut(*number as usize) else {
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
            record(slot.index.into(), waited, &result);
            slot.state = SlotState::Done(result);
            call.meta = self.meta;
            call.missing -= 1;
            if call.missing == 0 {
                call.state = CallState::Complete;
                self.live -= 1;
                wakers.extend(call.waker.take());
            }
        }
        wakers
    }

    /// Completes calls past their deadline with an error.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        mut record: impl FnMut(usize, Duration, &Result<Reply>),
    ) -> Wakers {
        let mut wakers = Wakers::new();
        let flag = self.sent.as_ref();
        let sent = self.doubtful || flag.is_some_and(|sent| sent.load(Ordering::Acquire));
        self.earliest = None;
        for call in &mut self.calls {
            if call.state != CallState::Waiting {
                continue;
            }
            if call.deadline > now {
                let earliest = self
                    .earliest
                    .map_or(call.deadline, |d| d.min(call.deadline));
                self.earliest = Some(earliest);
                continue;
            }
            for slot in &mut call.slots {
                let (delivery, attempts) = match &slot.state {
                    SlotState::Done(_) => continue,
                    SlotState::Started if sent => (Delivery::MaybeExecuted, self.meta.attempts),
                    SlotState::Started => (Delivery::NotSent, self.meta.attempts),
                    SlotState::Queued => (Delivery::NotSent, 0),
                };
                let error = Error::new(ErrorKind::Timeout, delivery, "no answer in time")
                    .with_attempts(attempts);
                let result = Err(error);
                let waited = now.saturating_duration_since(call.submitted);
                record(slot.index.into(), waited, &result);
                slot.state = SlotState::Done(result);
            }
            call.missing = 0;
            call.state = CallState::Complete;
            self.live -= 1;
            wakers.extend(call.waker.take());
        }
        wakers
    }

    /// Fails every call that waits, because the driver panicked.
    pub(super) fn abandon(&mut self) -> Wakers {
        let error = Error::new(
            ErrorKind::Interrupted,
            Delivery::MaybeExecuted,
            "transport failed",
        );
        let mut wakers = Wakers::new();
        for call in &mut self.calls {
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
        self.live = 0;
        wakers
    }

    /// Takes the wakers of all callers.
    pub(super) fn take_wakers(&mut self) -> Wakers {
        self.calls
            .iter_mut()
            .filter_map(|call| call.waker.take())
            .collect()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// What can happen to a batch of two calls, the first of which ends at 10 ms, the second at 20 ms.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Start,
        Send,
        Complete,
        Expire(u64),
        Leave(usize),
        Poll(usize),
        Abandon,
    }

    const STEPS: [Step; 10] = [
        Step::Start,
        Step::Send,
        Step::Complete,
        Step::Expire(15),
        Step::Expire(25),
        Step::Leave(0),
        Step::Leave(1),
        Step::Poll(0),
        Step::Poll(1),
        Step::Abandon,
    ];

    struct Machine {
        state: BatchState,
        start: Instant,
        sent: Arc<AtomicBool>,
        results: [Option<Result<Reply>>; 2],
        left: [bool; 2],
        recorded: usize,
    }

    impl Machine {
        fn new(start: Instant) -> Self {
            let mut state = BatchState::with_room(2);
            for ms in [10, 20] {
                let mut ping = Args::new();
                ping.push(b"PING");
                let (context, time) = (CommandContext::default(), Duration::from_millis(ms));
                let call = BatchedCall::new(Mode::Single, smallvec![ping], context, start, time);
                state.join(call);
            }
            Self {
                state,
                start,
                sent: Arc::default(),
                results: [None, None],
                left: [false; 2],
                recorded: 0,
            }
        }

        fn play(&mut self, step: Step) {
            let items = [(0, 0), (1, 0)];
            let recorded = &mut self.recorded;
            let record = |_: usize, _: Duration, _: &Result<Reply>| *recorded += 1;
            match step {
                Step::Start => {
                    self.state.take_commands(|_, _, _, _| {});
                    let _ = self.state.start(&items, Arc::clone(&self.sent));
                }
                Step::Send => self.sent.store(true, Ordering::Release),
                Step::Complete => {
                    let replies = [1, 2].map(|n| Ok(Reply::Int(n)));
                    let now = self.start + Duration::from_millis(5);
                    drop(
                        self.state
                            .complete(&items, replies.into_iter(), now, record),
                    );
                }
                Step::Expire(ms) => {
                    let now = self.start + Duration::from_millis(ms);
                    drop(self.state.expire(now, record));
                }
                Step::Leave(number) => {
                    self.left[number] = true;
                    drop(self.state.leave(number));
                }
                Step::Poll(number) => {
                    if self.left[number] || self.results[number].is_some() {
                        return;
                    }
                    if let Polled::Done(_, mut results) = self.state.poll(number, Waker::noop()) {
                        assert_eq!(results.len(), 1);
                        self.results[number] = results.pop();
                    }
                }
                Step::Abandon => drop(self.state.abandon()),
            }
        }

        /// What must hold after every step.
        fn check(&self) {
            let waiting = |call: &&BatchedCall| call.state == CallState::Waiting;
            assert_eq!(
                self.state.live,
                self.state.calls.iter().filter(waiting).count()
            );
            assert_eq!(self.state.is_deserted(), self.state.earliest().is_none());
            assert!(self.recorded <= 2, "a command is recorded once");
            for (n, result) in (1..).zip(&self.results) {
                match result {
                    Some(Ok(reply)) => assert_eq!(*reply, Reply::Int(n)),
                    Some(Err(error)) if error.kind() == ErrorKind::Timeout => {
                        let is_sent = self.sent.load(Ordering::Acquire);
                        assert!(is_sent || error.delivery() == Delivery::NotSent);
                    }
                    Some(Err(error)) => assert_eq!(error.kind(), ErrorKind::Interrupted),
                    None => {}
                }
            }
        }
    }

    #[test]
    fn every_sequence_of_five_steps_keeps_the_state_consistent() {
        const DEPTH: u32 = 5;
        let start = Instant::now();
        for n in 0..STEPS.len().pow(DEPTH) {
            let (mut machine, mut rest) = (Machine::new(start), n);
            for _ in 0..DEPTH {
                machine.play(STEPS[rest % STEPS.len()]);
                machine.check();
                rest /= STEPS.len();
            }
            // In the end everybody who waits gets a result, once.
            machine.play(Step::Expire(1000));
            for number in [0, 1] {
                machine.play(Step::Poll(number));
                assert!(
                    machine.left[number] || machine.results[number].is_some(),
                    "{n}"
                );
            }
            machine.check();
        }
    }
}
