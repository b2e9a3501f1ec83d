//! Gathering: events that are published at the same time leave in one call.
//!
//! As for commands, there is no background task and no timer: in its first turn a caller joins, in
//! its second, when everybody else had one, it sends what has gathered. Any caller drives the call
//! on, so that one that is dropped holds up nobody; before the call leaves it takes its event back.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use futures_util::{FutureExt as _, future::Shared};

use super::{
    Events, EventsConfig,
    publish::{Draft, MOST_IN_BATCH, Told},
};
use crate::{Error, Result, transport::BoxFuture};

/// Bytes of events in one call, the last one aside.
const MOST_BYTES: usize = 256 * 1024;

/// Where the callers of one history meet.
#[derive(Default)]
pub(super) struct Gathering(Mutex<Option<Arc<Group>>>);

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathering")
    }
}

/// Events of one call: what they do not share, calls do not either.
struct Group {
    config: EventsConfig,
    keyed: bool,
    state: Mutex<State>,
}

enum State {
    Open(Vec<Option<Draft>>),
    Sent(Shared<BoxFuture<'static, Result<Arc<Answers>>>>),
}

/// The epoch, and by seat what became of each event.
type Answers = (Arc<str>, Vec<Option<Told>>);

/// One caller's event in a group.
struct Seat {
    group: Arc<Group>,
    number: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gathering {
    fn join(&self, draft: Draft, config: EventsConfig) -> Seat {
        let keyed = draft.dedup.is_some();
        let mut open = lock(&self.0);
        let group = open
            .take_if(|group| (group.config, group.keyed) == (config, keyed))
            .unwrap_or_else(|| {
                let state = Mutex::new(State::Open(Vec::new()));
                Arc::new(Group {
                    config,
                    keyed,
                    state,
                })
            });
        let mut number = 0;
        if let State::Open(drafts) = &mut *lock(&group.state) {
            number = drafts.len();
            drafts.push(Some(draft));
            let bytes: usize = drafts.iter().flatten().map(|d| d.body.len()).sum();
            if drafts.len() < MOST_IN_BATCH && bytes < MOST_BYTES {
                *open = Some(Arc::clone(&group));
            }
        }
        Seat { group, number }
    }
}

impl Seat {
    /// The call, which leaves now if it has not.
    fn call(&self, events: &Events) -> Shared<BoxFuture<'static, Result<Arc<Answers>>>> {
        // Nobody joins any more.
        lock(&events.gathering.0).take_if(|open| Arc::ptr_eq(open, &self.group));
        let mut state = lock(&self.group.state);
        let seats = match &mut *state {
            State::Sent(call) => return call.clone(),
            State::Open(seats) => mem::take(seats),
        };
        let call = (Box::pin(send(events.clone(), seats)) as BoxFuture<'static, _>).shared();
        *state = State::Sent(call.clone());
        call
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let State::Open(seats) = &mut *lock(&self.group.state)
            && let Some(seat) = seats.get_mut(self.number)
        {
            *seat = None;
        }
    }
}

async fn send(events: Events, seats: Vec<Option<Draft>>) -> Result<Arc<Answers>> {
    let taken: Vec<bool> = seats.iter().map(Option::is_some).collect();
    let drafts: Vec<Draft> = seats.into_iter().flatten().collect();
    let (epoch, told) = events.send(&drafts, None).await?;
    let mut told = told.into_iter();
    let by_seat = taken
        .into_iter()
        .map(|taken| taken.then(|| told.next()).flatten())
        .collect();
    Ok(Arc::new((epoch.into(), by_seat)))
}

impl Events {
    /// Publishes one event together with those of other callers.
    pub(super) async fn publish_gathered(&self, draft: Draft) -> Result<(Arc<str>, Told)> {
        let seat = self.gathering.join(draft, self.config);
        let mut first = true;
        std::future::poll_fn(|cx| {
            if mem::take(&mut first) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        let answers = seat.call(self).await?;
        let told = answers.1.get(seat.number).copied().flatten();
        let told = told.ok_or_else(|| Error::protocol("the script gave no verdict"))?;
        Ok((Arc::clone(&answers.0), told))
    }
}
