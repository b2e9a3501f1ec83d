//! The functions on Cloudflare Workers; `worker.mjs` loads them, `wrangler.toml` deploys them.
#![cfg(target_family = "wasm")]

use wasm_bindgen::prelude::*;

/// Answers a `fetch` event.
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: JsValue, ctx: JsValue) -> js_sys::Promise {
    restis_handlers::worker::fetch(request, env, ctx)
}
