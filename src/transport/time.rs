//! Instants and timers of the machine this runs on.
use std::{pin::Pin, time::Duration};

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(crate) use tokio::time::Instant;

/// `std::time` panics in a browser or worker; the host's clock does not.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
impl Instant {
    pub(crate) fn now() -> Self {
        use crate::transport::clock::Clock as _;
        Self(crate::transport::clock::SystemClock::new().monotonic())
    }
    pub(crate) fn checked_add(self, by: Duration) -> Option<Self> {
        self.0.checked_add(by).map(Self)
    }
    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
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
pub(crate) type Sleep = Pin<Box<std::future::Pending<()>>>;

/// A timer, or none where no Tokio runtime drives one: there the transport alone limits time.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn sleep_until(at: Instant) -> Option<Sleep> {
    tokio::runtime::Handle::try_current().ok()?;
    Some(Box::pin(tokio::time::sleep_until(at)))
}
#[cfg(target_family = "wasm")]
pub(crate) fn sleep_until(_: Instant) -> Option<Sleep> {
    None
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
pub(crate) async fn pause(by: Duration) {
    if let Some(sleep) = sleep_until(after(Instant::now(), by)) {
        sleep.await;
    }
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
