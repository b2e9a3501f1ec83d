//! Workers: Cloudflare Workers and other isolates that are handed `fetch` events.
//!
//! The module of a worker exports a function that calls [`fetch`]; `examples/worker` is one. Variables
//! and secrets are the bindings of the worker that are texts. Deferred work runs under
//! `ctx.waitUntil`.

mod convert;
mod event;
mod logs;

use crate::{
    AppState, ConfigError, Host, app,
    deferred::{AfterAnswer, Work},
    problem::Problem,
};
use axum::{Router, response::IntoResponse as _};
use event::Event;
use js_sys::{Function, Promise, Reflect};
use send_wrapper::SendWrapper;
use std::{cell::OnceCell, rc::Rc, sync::Arc};
use tower::ServiceExt as _;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};

pub(crate) use event::spawn;

thread_local!(static APP: OnceCell<Router> = const { OnceCell::new() });

/// Answers a `fetch` event with the whole API, configured by the worker's bindings.
///
/// `env` and `ctx` are what the platform hands over. What is configured is kept for the next event of
/// the isolate; where it is wrong every answer is a 500 and the console tells why.
pub fn fetch(request: web_sys::Request, env: JsValue, ctx: JsValue) -> Promise {
    let built = APP.with(|app| match app.get() {
        Some(app) => Ok(app.clone()),
        None => build(&env).map(|built| app.get_or_init(|| built).clone()),
    });
    match built {
        Ok(app) => fetch_on(app, request, ctx),
        Err(problems) => {
            tracing::error!("{problems}");
            let refusal = Router::new().fallback(async || Problem::internal());
            fetch_on(refusal, request, ctx)
        }
    }
}

/// Answers a `fetch` event with any router; deferred work runs under `ctx.waitUntil`.
pub fn fetch_on(app: Router, request: web_sys::Request, ctx: JsValue) -> Promise {
    let event = Event::start();
    abort_with(&event, &request);
    let answering = Rc::clone(&event);
    event.promise(async move {
        let Some(mut of) = convert::request_of(&request) else {
            let problem = Problem::invalid("this is no request");
            return convert::response_of(&answering, problem.into_response()).await;
        };
        let kept = SendWrapper::new((Rc::clone(&answering), ctx));
        let after = AfterAnswer(Arc::new(move |work: Work| {
            let (event, ctx) = &*kept;
            wait_until(ctx, &event.kept_promise(work));
        }));
        of.extensions_mut().insert(after);
        let Ok(response) = app.oneshot(of).await;
        convert::response_of(&answering, response).await
    })
}

fn wait_until(ctx: &JsValue, promise: &Promise) {
    let wait_until = Reflect::get(ctx, &"waitUntil".into());
    if let Some(wait_until) = wait_until.ok().and_then(|f| f.dyn_into::<Function>().ok()) {
        // Without it the work runs as long as the host lets it.
        let _ = wait_until.call1(ctx, promise);
    }
}

/// Ends the event with its client, where the platform tells.
fn abort_with(event: &Rc<Event>, request: &web_sys::Request) {
    let event = Rc::downgrade(event);
    let gone = Closure::once_into_js(move || {
        if let Some(event) = event.upgrade() {
            event.abort();
        }
    });
    let _ = request
        .signal()
        .add_event_listener_with_callback("abort", gone.unchecked_ref());
}

fn build(env: &JsValue) -> Result<Router, ConfigError> {
    // Another worker of the isolate may have set one: it stays.
    let _ = tracing::subscriber::set_global_default(logs::Console);
    let state = AppState::from_vars(Host::Worker, |name| binding(env, name))?;
    if state.tokens().is_empty() {
        tracing::warn!(
            "no service token is accepted: every route that needs one refuses everybody; set RESTIS_SERVICE_TOKEN or RESTIS_SERVICE_TOKENS"
        );
    }
    Ok(app(state))
}

/// A variable or secret: a text, a number or a flag.
fn binding(env: &JsValue, name: &str) -> Option<String> {
    let value = Reflect::get(env, &name.into()).ok()?;
    if let Some(number) = value.as_f64() {
        return Some(number.to_string());
    }
    value
        .as_string()
        .or_else(|| value.as_bool().map(|flag| flag.to_string()))
}
