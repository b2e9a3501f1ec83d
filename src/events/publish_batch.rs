//! Sends events that are published at the same time in one script call.
//!
//! There is no background task and no timer. A caller joins the open batch when it is polled for
//! the first time and sends the batch when it is polled again, after the others had their turn.
//! Every caller drives the call, so that one that is dropped delays no other; an event whose caller
//! is dropped before the batch is sent is taken out.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use futures_util::{FutureExt as _, future::Shared};

use super::{
    Events, EventsConfig,
    publish::{Draft, EventVerdict, MOST_IN_BATCH},
};
use crate::{Error, Result, transport::BoxFuture};

/// Most bytes of events in one call; the last one may exceed it.
const MOST_BYTES: usize = 256 * 1024;

/// The open batch of one history.
#[derive(Default)]
pub(super) struct PublishBatcher(Mutex<Option<Arc<PublishBatch>>>);

impl fmt::Debug for PublishBatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublishBatcher")
    }
}

/// Events of one call; the settings and whether they have dedup keys are the same for all.
struct PublishBatch {
    config: EventsConfig,
    keyed: bool,
    state: Mutex<State>,
}

enum State {
    Open(Vec<Option<Draft>>),
    Sent(Shared<BoxFuture<'static, Result<Arc<BatchVerdicts>>>>),
}

/// The epoch, and the verdict of each event by its number.
type BatchVerdicts = (Arc<str>, Vec<Option<EventVerdict>>);

/// The event of one caller in a batch.
struct PendingEvent {
    batch: Arc<PublishBatch>,
    number: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PublishBatcher {
    fn join(&self, draft: Draft, config: EventsConfig) -> PendingEvent {
        let keyed = draft.dedup.is_some();
        let mut open = lock(&self.0);
        let batch = open
            .take_if(|batch| (batch.config, batch.keyed) == (config, keyed))
            .unwrap_or_else(|| {
                let state = Mutex::new(State::Open(Vec::new()));
                Arc::new(PublishBatch {
                    config,
                    keyed,
                    state,
                })
            });
        let mut number = 0;
        if let State::Open(drafts) = &mut *lock(&batch.state) {
            number = drafts.len();
            drafts.push(Some(draft));
            let bytes: usize = drafts.iter().flatten().map(|d| d.body.len()).sum();
            if drafts.len() < MOST_IN_BATCH && bytes < MOST_BYTES {
                *open = Some(Arc::clone(&batch));
            }
        }
        PendingEvent { batch, number }
    }
}

impl PendingEvent {
    /// Sends the batch unless it was sent; returns the shared call.
    fn call(&self, events: &Events) -> Shared<BoxFuture<'static, Result<Arc<BatchVerdicts>>>> {
        // Closed: no event joins any more.
        lock(&events.publish_batcher.0).take_if(|open| Arc::ptr_eq(open, &self.batch));
        let mut state = lock(&self.batch.state);
        let drafts = match &mut *state {
            State::Sent(call) => return call.clone(),
            State::Open(drafts) => mem::take(drafts),
        };
        let call = (Box::pin(send(events.clone(), drafts)) as BoxFuture<'static, _>).shared();
        *state = State::Sent(call.clone());
        call
    }
}

impl Drop for PendingEvent {
    fn drop(&mut self) {
        if let State::Open(drafts) = &mut *lock(&self.batch.state)
            && let Some(draft) = drafts.get_mut(self.number)
        {
            *draft = None;
        }
    }
}

async fn send(events: Events, drafts: Vec<Option<Draft>>) -> Result<Arc<BatchVerdicts>> {
    let kept: Vec<bool> = drafts.iter().map(Option::is_some).collect();
    let drafts: Vec<Draft> = drafts.into_iter().flatten().collect();
    let (epoch, verdicts) = events.send(&drafts, None).await?;
    let mut verdicts = verdicts.into_iter();
    let by_number = kept
        .into_iter()
        .map(|kept| kept.then(|| verdicts.next()).flatten())
        .collect();
    Ok(Arc::new((epoch.into(), by_number)))
}

impl Events {
    /// Publishes one event in a batch with those of other callers.
    pub(super) async fn publish_batched(&self, draft: Draft) -> Result<(Arc<str>, EventVerdict)> {
        let event = self.publish_batcher.join(draft, self.config);
        let mut first = true;
        std::future::poll_fn(|cx| {
            if mem::take(&mut first) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        let answers = event.call(self).await?;
        let (epoch, verdicts) = &*answers;
        let verdict = verdicts.get(event.number).copied().flatten();
        let verdict = verdict.ok_or_else(|| Error::protocol("the script gave no verdict"))?;
        Ok((Arc::clone(epoch), verdict))
    }
}
