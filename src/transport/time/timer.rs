//! Timers of a JavaScript host: `setTimeout` and `clearTimeout`.
use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};

/// The longest time that `setTimeout` takes, in milliseconds.
const LONGEST_MS: f64 = 2_147_483_647.0;

/// Ready once a time has passed; dropping it ends the host's timer.
#[derive(Debug)]
pub(crate) struct Timer {
    state: Rc<RefCell<State>>,
    id: JsValue,
    _callback: Closure<dyn FnMut()>,
}

#[derive(Debug, Default)]
struct State {
    over: bool,
    waker: Option<Waker>,
}

fn function(name: &str) -> Option<Function> {
    Reflect::get(&js_sys::global(), &JsValue::from_str(name))
        .ok()?
        .dyn_into()
        .ok()
}

impl Timer {
    /// `None` where the host has no timers.
    ///
    /// A time of more than 24 days ends after 24 days.
    pub(super) fn start(by: Duration) -> Option<Self> {
        let set_timeout = function("setTimeout")?;
        let state = Rc::new(RefCell::new(State::default()));
        let ended = Rc::clone(&state);
        let callback = Closure::<dyn FnMut()>::new(move || {
            let mut state = ended.borrow_mut();
            state.over = true;
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        let ms = (by.as_secs_f64() * 1e3).ceil().min(LONGEST_MS);
        let id = set_timeout
            .call2(
                &JsValue::UNDEFINED,
                callback.as_ref().unchecked_ref(),
                &JsValue::from_f64(ms),
            )
            .ok()?;
        Some(Self {
            state,
            id,
            _callback: callback,
        })
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.over {
            return Poll::Ready(());
        }
        let old = state.waker.replace(cx.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if self.state.borrow().over {
            return;
        }
        if let Some(clear_timeout) = function("clearTimeout") {
            // It cannot fail for an id of the host's own.
            let _ = clear_timeout.call1(&JsValue::UNDEFINED, &self.id);
        }
    }
}
