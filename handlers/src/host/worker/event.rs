//! One event of a worker: its futures, polled where the platform lets them do I/O.
//!
//! A promise, a timer and a stream belong to the event that made them: in another one they fail, and
//! they end with theirs. A waker may be used while another event runs, as where both wait for one
//! lock. It then resolves a promise of its own event, and the platform goes on there.

use futures_util::{
    FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered,
};
use js_sys::{Function, Promise};
use restis::transport::{RequestContext, time::Instant};
use send_wrapper::SendWrapper;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use wasm_bindgen::{JsValue, closure::Closure};

/// An event that did nothing for so long was cancelled by the platform, which tells nobody.
const SILENT: Duration = Duration::from_secs(600);

thread_local! {
    static EVENTS: RefCell<HashMap<RequestContext, Rc<Event>>> = RefCell::default();
    static CURRENT: RefCell<Option<Rc<Event>>> = const { RefCell::new(None) };
}

type Tasks = RefCell<FuturesUnordered<LocalBoxFuture<'static, ()>>>;

/// The futures of one event.
pub(super) struct Event {
    context: RequestContext,
    /// They end when the client goes away.
    tasks: Tasks,
    /// They do not: `ctx.waitUntil` has them.
    kept: Tasks,
    added: RefCell<Vec<(LocalBoxFuture<'static, ()>, bool)>>,
    signal: Arc<Signal>,
    is_turning: Cell<bool>,
    is_aborted: Cell<bool>,
    turned: Cell<Instant>,
    /// What the promise of the signal calls.
    on_wake: Closure<dyn FnMut(JsValue)>,
}

/// What wakes an event.
struct Signal(SendWrapper<Woken>);

#[derive(Default)]
struct Woken {
    is_set: Cell<bool>,
    /// Ends the promise that the event waits for.
    resolve: RefCell<Option<Function>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.is_set.set(true);
        let resolve = self.0.resolve.borrow_mut().take();
        if let Some(resolve) = resolve {
            // It cannot fail: it is the promise's own.
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    }
}

impl Event {
    /// A new event without futures.
    pub(super) fn start() -> Rc<Self> {
        let lost: Vec<_> = EVENTS.with_borrow_mut(|events| {
            let silent = |event: &Event| event.turned.get().elapsed() > SILENT;
            events.extract_if(|_, event| silent(event)).collect()
        });
        drop(lost);
        Rc::new_cyclic(|this: &Weak<Self>| {
            let this = this.clone();
            Self {
                context: RequestContext::new(),
                tasks: RefCell::default(),
                kept: RefCell::default(),
                added: RefCell::default(),
                signal: Arc::new(Signal(SendWrapper::new(Woken::default()))),
                is_turning: Cell::new(false),
                is_aborted: Cell::new(false),
                turned: Cell::new(Instant::now()),
                on_wake: Closure::new(move |_| {
                    if let Some(event) = this.upgrade() {
                        event.turn();
                    }
                }),
            }
        })
    }

    /// Runs a future as long as the client waits.
    pub(super) fn run(self: &Rc<Self>, future: impl Future<Output = ()> + 'static) {
        self.add(future.boxed_local(), false);
    }

    /// A promise of what a future returns, which runs as long as the client waits.
    pub(super) fn promise(
        self: &Rc<Self>,
        future: impl Future<Output = Result<JsValue, JsValue>> + 'static,
    ) -> Promise {
        self.promised(future, false)
    }

    /// A promise of a future's end, which runs even when the client is gone.
    pub(super) fn kept_promise(
        self: &Rc<Self>,
        future: impl Future<Output = ()> + 'static,
    ) -> Promise {
        let future = async {
            future.await;
            Ok(JsValue::UNDEFINED)
        };
        self.promised(future, true)
    }

    fn promised(
        self: &Rc<Self>,
        future: impl Future<Output = Result<JsValue, JsValue>> + 'static,
        is_kept: bool,
    ) -> Promise {
        let mut settle = None;
        let promise = Promise::new(&mut |resolve, reject| settle = Some((resolve, reject)));
        let task = async move {
            let output = future.await;
            if let Some((resolve, reject)) = settle {
                let settled = match output {
                    Ok(value) => resolve.call1(&JsValue::UNDEFINED, &value),
                    Err(error) => reject.call1(&JsValue::UNDEFINED, &error),
                };
                // Neither can fail: they are the promise's own.
                drop(settled);
            }
        };
        self.add(task.boxed_local(), is_kept);
        promise
    }

    fn add(self: &Rc<Self>, task: LocalBoxFuture<'static, ()>, is_kept: bool) {
        self.added.borrow_mut().push((task, is_kept));
        self.turn();
    }

    /// The client is gone.
    pub(super) fn abort(self: &Rc<Self>) {
        self.is_aborted.set(true);
        self.turn();
    }

    /// Polls what was woken, until all that is left waits.
    fn turn(self: &Rc<Self>) {
        self.signal.0.is_set.set(true);
        if self.is_turning.replace(true) {
            return;
        }
        let outer = CURRENT.replace(Some(Rc::clone(self)));
        while self.signal.0.is_set.replace(false) {
            self.turned.set(Instant::now());
            for (task, is_kept) in self.added.take() {
                let tasks = if is_kept { &self.kept } else { &self.tasks };
                tasks.borrow_mut().push(task);
            }
            if self.is_aborted.get() {
                drop(self.tasks.take());
            }
            self.context.enter(|| {
                self.poll(&self.tasks);
                self.poll(&self.kept);
            });
        }
        CURRENT.set(outer);
        self.is_turning.set(false);
        if self.tasks.borrow().is_empty() && self.kept.borrow().is_empty() {
            EVENTS.with_borrow_mut(|events| events.remove(&self.context));
            return;
        }
        EVENTS.with_borrow_mut(|events| events.insert(self.context, Rc::clone(self)));
        let wait = Promise::new(&mut |resolve, _| {
            self.signal.0.resolve.replace(Some(resolve));
        });
        let _ = wait.then(&self.on_wake);
    }

    fn poll(&self, tasks: &Tasks) {
        let waker = Waker::from(Arc::clone(&self.signal));
        let mut cx = Context::from_waker(&waker);
        let mut tasks = tasks.borrow_mut();
        while let Poll::Ready(Some(())) = tasks.poll_next_unpin(&mut cx) {}
    }
}

/// Runs a future as long as the client of the current event waits.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    let event = CURRENT.with_borrow(Clone::clone);
    if let Some(event) = event {
        event.run(future);
    }
}
