//! Instants and timers of the machine this runs on: Tokio's, in a JavaScript host those of it.
#[cfg(target_family = "wasm")]
mod timer;

use std::{pin::Pin, task::Poll, time::Duration};

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use tokio::time::Instant;

/// A moment; `std::time` panics in a browser or worker, the host's clock does not.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
impl Instant {
    /// This moment.
    pub fn now() -> Self {
        use crate::transport::clock::Clock as _;
        Self(crate::transport::clock::SystemClock::new().monotonic())
    }

    /// A later moment, if there is one.
    pub fn checked_add(self, by: Duration) -> Option<Self> {
        self.0.checked_add(by).map(Self)
    }

    /// The time since another moment; none when that is later.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The time since this moment.
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

/// A time in the far future, for calls without a deadline.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Now plus a duration of any size.
pub(crate) fn after(now: Instant, by: Duration) -> Instant {
    now.checked_add(by.min(FOREVER)).unwrap_or(now)
}

#[cfg(not(target_family = "wasm"))]
pub(crate) type Sleep = Pin<Box<tokio::time::Sleep>>;
#[cfg(target_family = "wasm")]
pub(crate) type Sleep = Pin<Box<send_wrapper::SendWrapper<timer::Timer>>>;

/// A timer, or none where neither a Tokio runtime nor a JavaScript host drives one: there the
/// transport alone limits time.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn sleep_until(at: Instant) -> Option<Sleep> {
    tokio::runtime::Handle::try_current().ok()?;
    Some(Box::pin(tokio::time::sleep_until(at)))
}
#[cfg(target_family = "wasm")]
pub(crate) fn sleep_until(at: Instant) -> Option<Sleep> {
    let timer = timer::Timer::start(at.saturating_duration_since(Instant::now()))?;
    Some(Box::pin(send_wrapper::SendWrapper::new(timer)))
}

/// A thread and the runtime that it works for; no two threads are the same at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thread {
    thread: usize,
    #[cfg(not(target_family = "wasm"))]
    runtime: Option<tokio::runtime::Id>,
}

pub(crate) fn current_thread() -> Thread {
    thread_local!(static MARK: u8 = const { 0 });
    Thread {
        thread: MARK.with(|mark| std::ptr::from_ref(mark).addr()),
        #[cfg(not(target_family = "wasm"))]
        runtime: tokio::runtime::Handle::try_current().ok().map(|h| h.id()),
    }
}

/// Waits where there are timers, else goes on at once.
pub async fn sleep(by: Duration) {
    if let Some(sleep) = sleep_until(after(Instant::now(), by)) {
        sleep.await;
    }
}

/// The output of a future, or `None` once a time has passed.
///
/// Without timers it is awaited to its end.
pub fn timeout<F: Future>(by: Duration, future: F) -> impl Future<Output = Option<F::Output>> {
    timeout_at(after(Instant::now(), by), future)
}

/// The output of a future, or `None` once a moment has passed.
pub fn timeout_at<F: Future>(at: Instant, future: F) -> impl Future<Output = Option<F::Output>> {
    // Some are large, and are moved often otherwise.
    let mut future = Box::pin(future);
    let mut timer = sleep_until(at);
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        match &mut timer {
            Some(timer) => timer.as_mut().poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
}

/// A random number below 1.
pub(crate) fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the jitter is lost, nothing else.
    if getrandom::fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
