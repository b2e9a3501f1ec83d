//! Merging: concurrent commands of one client leave in one request.
//!
//! There is no background task. The first caller opens a flight; others join it. Whoever is
//! polled for the second time, that is after everybody else had their turn, sends what has
//! gathered. Any caller that is polled drives the request on, so that one that is dropped or not
//! polled any more holds up nobody.
//!
//! The first caller asks to be polled again. The others of its thread and runtime leave it to
//! that one; a timer wakes all of them should it not be polled.
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

use super::{
    Dispatcher, Results, attempt,
    board::{Board, Entry},
};
use crate::{
    protocol::{error::Error, response_meta::ResponseMeta},
    transport::{
        BoxFuture,
        time::{self, Instant},
    },
};

/// How long callers wait for the first one to be polled again.
pub(super) const PATIENCE: Duration = Duration::from_millis(1);

/// A flight is made for no more calls than that at once.
const MOST_EXPECTED: usize = 256;

/// Which flight gathers and how many are under way.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    state: Mutex<State>,
    /// The gathering flight waits for one under way to end.
    gated: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    open: Option<Arc<Flight>>,
    under_way: Vec<(u64, Weak<Flight>)>,
    next: u64,
    /// Calls of the last flight that left: the next one is made for as many.
    calls: usize,
}

impl Merger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gathering flight leaves the gate, if there is room.
    fn depart(&self, board: &Arc<Board>, max_in_flight: usize) -> Option<u64> {
        let mut state = self.lock();
        if state.under_way.len() >= max_in_flight {
            self.gated.store(true, Ordering::Release);
            return None;
        }
        self.gated.store(false, Ordering::Release);
        state.calls = board.calls();
        let number = state.next;
        state.next += 1;
        if let Some(flight) = state.open.take_if(|f| Arc::ptr_eq(&f.board, board)) {
            // Not the last reference: a ticket of the flight is being polled.
            state.under_way.push((number, Arc::downgrade(&flight)));
        }
        Some(number)
    }

    /// A flight has ended or was abandoned.
    fn arrive(&self, number: u64) {
        let mut state = self.lock();
        state.under_way.retain(|(n, _)| *n != number);
        self.gated.store(false, Ordering::Release);
        let next = state.open.clone();
        drop(state);
        if let Some(next) = next {
            next.board.wake_all();
        }
    }

    /// Wakes the callers at the gate, if there are any.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn wake_gated(&self) {
        if !self.gated.load(Ordering::Acquire) {
            return;
        }
        let next = self.lock().open.clone();
        if let Some(next) = next {
            next.board.wake_all();
        }
    }

    /// The gathering flight when nobody waits for it any more.
    fn take_if_deserted(&self, flight: &Arc<Flight>) -> Option<Arc<Flight>> {
        let mut state = self.lock();
        // Decided under the lock, as nobody joins meanwhile.
        if state.open.as_ref().is_some_and(|f| Arc::ptr_eq(f, flight))
            && flight.board.earliest().is_none()
        {
            return state.open.take();
        }
        None
    }
}

/// Commands that travel together.
pub(crate) struct Flight {
    board: Arc<Board>,
    driver: Mutex<Driver>,
    /// Where it was opened.
    place: time::Place,
}

enum Driver {
    /// With a timer once somebody leaves it to the first caller to be polled again.
    Gathering(Option<time::Sleep>),
    Running(BoxFuture<'static, ()>),
    /// Being polled, over, or lost to a panic.
    Away,
    Over,
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight")
    }
}

impl Flight {
    /// Makes progress unless somebody else is at it; whether a result may have come.
    fn drive(&self, core: &Arc<Dispatcher>, turn: Turn, waker: &Waker) -> bool {
        let mut driver = match self.driver.try_lock() {
            Ok(driver) => driver,
            Err(TryLockError::Poisoned(lost)) => lost.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if let (Driver::Gathering(timer), true) = (&mut *driver, turn != Turn::Later) {
            // Everybody else gets one turn to join.
            if turn == Turn::Opening || !self.leaves_it_to_opener(core, timer) {
                waker.wake_by_ref();
            }
            return false;
        }
        let mut future = match std::mem::replace(&mut *driver, Driver::Away) {
            Driver::Gathering(_) => {
                self.board.woken.store(true, Ordering::Release);
                Box::pin(run(Arc::clone(core), Arc::clone(&self.board))) as BoxFuture<'static, ()>
            }
            Driver::Running(future) => future,
            Driver::Away => {
                self.board.abandon();
                *driver = Driver::Over;
                return true;
            }
            Driver::Over => {
                *driver = Driver::Over;
                return false;
            }
        };
        // One poll an event, no matter how many callers were woken for it.
        if !self.board.woken.swap(false, Ordering::AcqRel) {
            *driver = Driver::Running(future);
            return false;
        }
        let any_caller = Waker::from(Arc::clone(&self.board));
        *driver = match future.as_mut().poll(&mut Context::from_waker(&any_caller)) {
            Poll::Ready(()) => Driver::Over,
            Poll::Pending => Driver::Running(future),
        };
        true
    }

    /// Whether it is enough that the first caller is polled again, or the timer's end.
    fn leaves_it_to_opener(&self, core: &Dispatcher, timer: &mut Option<time::Sleep>) -> bool {
        // Who does not wait for a runtime may be polled where none runs.
        if core.shared.transport.answers_at_once() || self.place != time::place() {
            return false;
        }
        if timer.is_none() {
            let end = time::after(Instant::now(), PATIENCE);
            let mut started = time::sleep_until(end);
            if let Some(timer) = &mut started {
                let every_caller = Waker::from(Arc::clone(&self.board));
                let mut cx = Context::from_waker(&every_caller);
                if timer.as_mut().poll(&mut cx).is_ready() {
                    return false;
                }
            }
            *timer = started;
        }
        // After its end the timer wakes nobody any more.
        timer.is_some() && !self.board.roused.load(Ordering::Acquire)
    }
}

/// What a poll is to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The first of the caller that opened the flight.
    Opening,
    /// The first of another.
    Joining,
    Later,
}

/// The whole life of a flight from the gate on.
async fn run(core: Arc<Dispatcher>, board: Arc<Board>) {
    let mut work = pin!(work(&core, &board));
    let mut timer: Option<(Instant, Option<time::Sleep>)> = None;
    std::future::poll_fn(|cx| {
        loop {
            if work.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let Some(deadline) = board.earliest() else {
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
            board.expire(Instant::now());
            timer = None;
        }
    })
    .await;
}

async fn work(core: &Arc<Dispatcher>, board: &Arc<Board>) {
    let number = std::future::poll_fn(|_| {
        let departed = core.merger.depart(board, core.shared.in_flight.get());
        departed.map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    let _seat = Seat {
        merger: &core.merger,
        number,
    };
    let shared = &core.shared;
    let joins = !shared.joined_calls.are_rejected();
    for part in board.take_parts(shared.policy.limits, joins, &*shared.transport) {
        attempt::run(core, board, part).await;
    }
}

/// Frees the place of a flight, however it ends.
struct Seat<'a> {
    merger: &'a Merger,
    number: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.merger.arrive(self.number);
    }
}

/// A place of one call in a flight; a future of its results.
///
/// Dropping it before the flight has left takes its commands out; later it leaves the
/// request to the others.
#[must_use = "a ticket must be polled"]
pub(crate) struct Ticket {
    seat: Option<Place>,
    failed: Option<Results>,
}

struct Place {
    core: Arc<Dispatcher>,
    flight: Arc<Flight>,
    number: usize,
    polled: bool,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

impl Ticket {
    /// A call that fails without being sent.
    pub(super) fn failed(commands: usize, error: &Error) -> Self {
        let results = (0..commands.max(1)).map(|_| Err(error.clone())).collect();
        Self {
            seat: None,
            failed: Some(results),
        }
    }

    /// Joins the gathering flight or opens one.
    pub(super) fn join(core: &Arc<Dispatcher>, entry: Entry) -> Self {
        let mut state = core.merger.lock();
        let calls = state.calls.min(MOST_EXPECTED);
        let flight = state.open.get_or_insert_with(|| {
            Arc::new(Flight {
                board: Arc::new(Board::new(
                    core.shared.metrics.clone(),
                    Arc::downgrade(core),
                    calls,
                )),
                driver: Mutex::new(Driver::Gathering(None)),
                place: time::place(),
            })
        });
        let (flight, number) = (Arc::clone(flight), flight.board.push(entry));
        drop(state);
        let place = Place {
            core: Arc::clone(core),
            flight,
            number,
            polled: false,
        };
        Self {
            seat: Some(place),
            failed: None,
        }
    }
}

impl Future for Ticket {
    type Output = (ResponseMeta, Results);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(ResponseMeta, Results)> {
        if let Some(results) = self.failed.take() {
            return Poll::Ready((ResponseMeta::default(), results));
        }
        // Polled after completion: there is nothing left to wait for.
        let Some(place) = &mut self.seat else {
            return Poll::Pending;
        };
        let turn = match (std::mem::replace(&mut place.polled, true), place.number) {
            (true, _) => Turn::Later,
            (false, 0) => Turn::Opening,
            (false, _) => Turn::Joining,
        };
        let mut done = place.flight.board.take(place.number, cx.waker());
        if done.is_none() {
            let mut driven = place.flight.drive(&place.core, turn, cx.waker());
            if place.core.merger.gated.load(Ordering::Acquire) {
                help_others(&place.core, cx.waker());
                driven = true;
            }
            if driven {
                done = place.flight.board.take(place.number, cx.waker());
            }
        }
        match done {
            Some(done) => {
                self.seat = None;
                Poll::Ready(done)
            }
            None => Poll::Pending,
        }
    }
}

/// Drives the flights that hold up the gate: their own callers may not be polled.
fn help_others(core: &Arc<Dispatcher>, waker: &Waker) {
    let flights: Vec<_> = core
        .merger
        .lock()
        .under_way
        .iter()
        .filter_map(|(_, f)| f.upgrade())
        .collect();
    for flight in flights {
        flight.drive(core, Turn::Later, waker);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let deserted = self.flight.board.leave(self.number);
        if deserted {
            // Breaks the cycle of client, gathering flight and its future.
            drop(self.core.merger.take_if_deserted(&self.flight));
        } else if self.flight.board.woken.load(Ordering::Acquire) {
            // It may have been the one that was woken to drive.
            self.flight.board.wake_all();
        }
    }
}
