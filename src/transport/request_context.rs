//! What a JavaScript host ties promises and timers to: the event that made them.
use std::{
    cell::Cell,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};

thread_local!(static CURRENT: Cell<RequestContext> = const { Cell::new(RequestContext(0)) });
static NEWEST: AtomicU64 = AtomicU64::new(0);

/// One event of a worker: a request, a queue's messages, a timer of the platform.
///
/// A request that one event sends is lost to all others once the event is cancelled. Calls are
/// therefore merged within an event only, and a client that several events share needs to know
/// which of them polls it: each runs as [`within`](Self::within) its own context.
///
/// ```ignore
/// #[event(fetch)]
/// async fn fetch(request: Request, env: Env, _: Context) -> worker::Result<Response> {
///     RequestContext::new().within(answer(request, env)).await
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestContext(u64);

impl RequestContext {
    /// A context unlike all others of this process.
    #[expect(clippy::new_without_default, reason = "two are never the same")]
    pub fn new() -> Self {
        Self(NEWEST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The context in which a future is being polled, or one for whatever runs in none.
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// Runs a function in this context.
    pub fn enter<T>(self, run: impl FnOnce() -> T) -> T {
        let outer = CURRENT.replace(self);
        let output = run();
        CURRENT.set(outer);
        output
    }

    /// A future that is polled in this context.
    pub fn within<F: Future>(self, future: F) -> Within<F> {
        Within {
            context: self,
            future: Box::pin(future),
        }
    }
}

/// The future of [`RequestContext::within`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Within<F> {
    context: RequestContext,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.context.enter(|| this.future.as_mut().poll(cx))
    }
}
