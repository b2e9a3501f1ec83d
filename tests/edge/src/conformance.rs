//! The conformance suite and the client's behaviour under faults, as functions for JavaScript.
//!
//! An assertion that fails is a trap: the host gets a `RuntimeError` and the case's name is known.
#![cfg(target_family = "wasm")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a case fails by panicking"
)]

#[path = "../../conformance/behaviours.rs"]
mod behaviours;
#[path = "../../conformance/replies.rs"]
mod replies;

use std::{
    cell::OnceCell,
    future::{Future, IntoFuture as _},
    pin::pin,
    time::Duration,
};

use behaviours::*;
use futures_util::future::{Either, join_all, select};
use replies::*;
use restis::{
    Clock as _, SystemClock,
    cache::{Cache, Keyspace, Source},
    prelude::*,
    pubsub::SubscriptionEvent,
    transport::{Encoding, RequestContext},
};
use wasm_bindgen::prelude::*;

fn client(url: &str, token: &str) -> Redis {
    Redis::builder(url, token).build().unwrap()
}

macro_rules! cases {
    ($($behaviour:ident),+ $(,)?) => {
        /// The names of the conformance cases.
        #[wasm_bindgen]
        pub fn cases() -> Vec<String> {
            vec![$(stringify!($behaviour).to_owned()),+]
        }

        /// Runs one case on an emptied database.
        #[wasm_bindgen]
        pub async fn run_case(url: String, token: String, name: String, resp2: bool) {
            let encoding = if resp2 { Encoding::Resp2 } else { Encoding::Base64 };
            let redis = Redis::builder(url, token).encoding(encoding).build().unwrap();
            redis.flushdb().await.unwrap();
            match &*name {
                $(stringify!($behaviour) => $behaviour(&redis).await,)+
                _ => panic!("no such case"),
            }
        }
    };
}

behaviours::behaviours!(cases);

/// What became of a call: kind, delivery, attempts, status, `Retry-After` in ms, elapsed ms.
async fn outcome<T>(call: impl Future<Output = restis::Result<T>>) -> String {
    let clock = SystemClock::new();
    let start = clock.monotonic();
    let result = call.await;
    let elapsed = clock.monotonic().saturating_sub(start).as_millis();
    match result {
        Ok(_) => format!("ok {elapsed}"),
        Err(error) => {
            let status = error.status().unwrap_or_default();
            let after = error.retry_after().unwrap_or_default().as_millis();
            format!(
                "{} {:?} {} {status} {after} {elapsed}",
                error.kind().as_str(),
                error.delivery(),
                error.attempts(),
            )
        }
    }
}

/// One `INCR` (not repeatable) or `GET`, with so many retries and so much time.
#[wasm_bindgen]
pub async fn call(url: String, command: String, timeout_ms: u32, retries: u32) -> String {
    let redis = Redis::builder(url, "TOKEN")
        .timeout(Duration::from_millis(timeout_ms.into()))
        .max_retries(retries)
        .build()
        .unwrap();
    let call = redis.command(&command).arg("k").query::<Reply>();
    outcome(call.into_future()).await
}

/// Calls one after the other of one client; its breaker opens after three failures for a while.
#[wasm_bindgen]
pub async fn breaker(url: String, calls: u32, open_ms: u32, pause_ms: u32) -> Vec<String> {
    let redis = Redis::builder(url, "TOKEN")
        .max_retries(0)
        .breaker_failures(3)
        .breaker_open_for(Duration::from_millis(open_ms.into()))
        .build()
        .unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..calls {
        outcomes.push(outcome(redis.get::<String>("k").into_future()).await);
    }
    pause(pause_ms).await;
    outcomes.push(outcome(redis.get::<String>("k").into_future()).await);
    outcomes
}

async fn pause(ms: u32) {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        let set = js_sys::Reflect::get(&js_sys::global(), &"setTimeout".into()).unwrap();
        let set: js_sys::Function = set.unchecked_into();
        set.call2(&JsValue::UNDEFINED, &resolve, &ms.into())
            .unwrap();
    });
    wasm_bindgen_futures::JsFuture::from(promise).await.unwrap();
}

/// Requests that so many concurrent `INCR` of one client needed; traps if one was lost.
#[wasm_bindgen]
pub async fn merged(url: String, token: String, calls: u32) -> u32 {
    let redis = client(&url, &token);
    redis.del(["n"]).await.unwrap();
    let before = redis.metrics().snapshot().requests;
    let all = join_all((0..calls).map(|_| redis.incr("n").into_future())).await;
    let requests = redis.metrics().snapshot().requests - before;
    let mut replies: Vec<i64> = all.into_iter().map(Result::unwrap).collect();
    replies.sort_unstable();
    assert!(replies.into_iter().eq(1..=i64::from(calls)));
    requests.try_into().unwrap()
}

/// The first messages of a channel; `subscribed` is called once it listens.
#[wasm_bindgen]
pub async fn messages(
    url: String,
    token: String,
    channel: String,
    count: usize,
    subscribed: js_sys::Function,
) -> Vec<String> {
    let mut subscription = client(&url, &token).subscribe([channel]);
    let mut messages = Vec::new();
    while messages.len() < count {
        match subscription.next().await.unwrap().unwrap() {
            SubscriptionEvent::Subscribed { .. } => {
                subscribed.call0(&JsValue::UNDEFINED).unwrap();
            }
            SubscriptionEvent::Message(message) => messages.push(message.decode().unwrap()),
            other => messages.push(format!("{other:?}")),
        }
    }
    messages
}

/// Some calls are dropped while the request of all is away; what the others got.
#[wasm_bindgen]
pub async fn cancelled(url: String, token: String) -> Vec<i64> {
    let redis = client(&url, &token);
    redis.del(["n"]).await.unwrap();
    let gives_up = |_| async {
        let call = pin!(redis.incr("n").into_future());
        matches!(select(call, pin!(pause(0))).await, Either::Left(_))
    };
    let gone = join_all((0..20).map(gives_up));
    let kept = join_all((0..20).map(|_| redis.incr("n").into_future()));
    let (_, kept) = futures_util::future::join(gone, kept).await;
    kept.into_iter().map(Result::unwrap).collect()
}

thread_local!(static SHARED: OnceCell<Redis> = const { OnceCell::new() });

fn shared(url: &str, token: &str) -> Redis {
    let build = || {
        // Calls that are never answered stay where they are.
        let builder = Redis::builder(url, token).timeout(Duration::from_secs(600));
        builder.max_retries(0).build().unwrap()
    };
    SHARED.with(|redis| redis.get_or_init(build).clone())
}

/// `INCR` by the client that all events of an isolate share, in a context of its own.
#[wasm_bindgen]
pub async fn shared_incr(url: String, token: String, key: String) -> String {
    let redis = shared(&url, &token);
    let work = async { outcome(redis.incr(&key).into_future()).await };
    RequestContext::new().within(work).await
}

/// Requests that the shared client has sent.
#[wasm_bindgen]
pub fn shared_requests(url: String, token: String) -> u32 {
    shared(&url, &token).metrics().snapshot().requests as u32
}

const BLOBS: Keyspace<(u32,), String> = Keyspace::new("blob:{n}")
    .fresh_for(Duration::from_secs(600))
    .local(Duration::from_secs(600));

/// Reads so many keys of 100 kB each, so often; how often they were loaded, and the requests sent.
#[wasm_bindgen]
pub async fn cached(url: String, token: String, keys: u32, rounds: u32) -> Vec<u32> {
    let redis = client(&url, &token);
    let cache = Cache::new(redis.clone()).unwrap();
    let mut loaded = 0;
    for n in (0..rounds).flat_map(|_| 0..keys) {
        // What does not compress.
        let load = move |_| async move {
            let mut state = n + 1;
            let letters = (0..100_000).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b' ' + (state >> 24) as u8 % 95)
            });
            Ok::<String, std::io::Error>(letters.collect())
        };
        let blob = cache.get_or_load(&BLOBS.key((n,)), load).await.unwrap();
        assert_eq!(blob.len(), 100_000);
        loaded += u32::from(blob.source() == Source::Loaded);
    }
    vec![loaded, redis.metrics().snapshot().requests as u32]
}

/// Bytes of memory of this instance.
#[wasm_bindgen]
pub fn memory_bytes() -> f64 {
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: js_sys::ArrayBuffer = memory.buffer().unchecked_into();
    buffer.byte_length().into()
}
