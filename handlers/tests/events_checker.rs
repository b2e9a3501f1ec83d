//! Set and count: every acknowledged event reaches every client, in order, once, whatever breaks.
//!
//! `EVENTS_CHECK=100000` checks that many events; without it 600. Over the engine, over a real Redis, and, where
//! `EVENTS_CHECK_URL` and `EVENTS_CHECK_TOKEN` name one, over a REST database such as Upstash.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures of a long run")]
#![cfg(unix)]

#[path = "../../tests/support/local_redis.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    reason = "shared with the library's tests"
)]
mod local_redis;

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use restis::{
    Redis,
    clock::{Clock as _, SystemClock},
    events::EventsConfig,
};
use restis_engine::{Engine, Options};
use restis_handlers::{AppState, Config, app, auth::ServiceTokens};
use restis_server::{Running, Server};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tower::ServiceExt as _;

const PUBLISHERS: u64 = 4;
const CLIENTS: u64 = 4;
const RESTARTS: u64 = 3;

/// Small and repeatable; the seed is in the name of who draws.
struct Dice(u64);

impl Dice {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// What the server keeps its data in; outlives its restarts.
enum Store {
    Engine(Engine),
    Redis(String),
    /// Somebody else's server, which nothing here can break or stop.
    Rest {
        url: String,
        token: String,
    },
}

impl Store {
    fn start(&self, address: &str) -> Option<Running> {
        let faults: restis_server::FaultPlan =
            "latency=0ms..3ms,error=2%,drop=2%,seed=7".parse().unwrap();
        let server = || {
            let server = Server::builder().threads(1).faults(faults.clone());
            match self {
                Self::Engine(engine) => Some(server.token("TOKEN").engine(engine.clone())),
                Self::Redis(url) => Some(server.redis("TOKEN", url)),
                Self::Rest { .. } => None,
            }
        };
        loop {
            // The port of the server before may not be free at once.
            match server()?.bind(address) {
                Ok(bound) => return Some(bound.spawn().unwrap()),
                Err(error) => assert!(error.is_address_in_use(), "{error}"),
            }
        }
    }
}

fn router(store: &(String, String), total: u64) -> Router {
    let redis = Redis::builder(&store.0, &store.1)
        .timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let config = Config {
        tokens: ServiceTokens::none().with_full_access("root", "ROOT"),
        events: EventsConfig {
            max_events: total + 1000,
            ..EventsConfig::default()
        },
        ..Config::default()
    };
    app(AppState::builder(redis).config(config).build().unwrap())
}

/// Publishes one event until its fate is known; gives its offset and cursor.
async fn publish(router: &Router, history: &str, id: &str) -> (u64, String) {
    loop {
        let body = json!({ "type": "check.event", "id": id, "source": "/checker" });
        let request = Request::post(format!("/api/events/publish?organisation={history}"))
            .header("authorization", "Bearer ROOT")
            .header("content-type", "application/json")
            .header("idempotency-key", id)
            .body(Body::from(body.to_string()));
        let response = router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        match status {
            StatusCode::OK | StatusCode::CREATED => {
                let body: Value = serde_json::from_slice(&bytes).unwrap();
                let cursor = body["cursor"].as_str().unwrap().to_owned();
                return (body["offset"].as_u64().unwrap(), cursor);
            }
            // What happened is not known: the same key again is safe.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other => panic!("{other}"),
        }
    }
}

/// What a client was given, in order, over all its connections.
#[derive(Default)]
struct Heard {
    events: Vec<(u64, String)>,
    connections: u64,
    resets: u64,
}

async fn listen(
    router: Router,
    history: String,
    first: String,
    last: Arc<AtomicU64>,
    seed: u64,
) -> Heard {
    let mut dice = Dice(seed * 7919 + 1);
    let mut heard = Heard::default();
    let mut cursor = first;
    loop {
        let wanted = last.load(Ordering::SeqCst);
        if wanted > 0
            && heard
                .events
                .last()
                .is_some_and(|(offset, _)| *offset >= wanted)
        {
            return heard;
        }
        let request = Request::get(format!("/api/events/stream?organisation={history}"))
            .header("authorization", "Bearer ROOT")
            .header("last-event-id", &cursor)
            .body(Body::empty());
        let response = router.clone().oneshot(request.unwrap()).await.unwrap();
        if response.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        heard.connections += 1;
        let mut body = response.into_body();
        let mut text = String::new();
        let mut left = 1 + dice.draw(60);
        while left > 0 {
            let Ok(frame) = tokio::time::timeout(Duration::from_millis(500), body.frame()).await
            else {
                break;
            };
            let Some(frame) = frame else { break };
            text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
            while let Some((message, rest)) = text.split_once("\n\n") {
                let field = |name: &str| message.lines().find_map(|l| l.strip_prefix(name));
                match (field("event: "), field("id: "), field("data: ")) {
                    (Some("reset"), ..) => heard.resets += 1,
                    (Some("check.event"), Some(id), Some(data)) => {
                        cursor = id.to_owned();
                        let offset = id.split('.').nth(1).unwrap().parse().unwrap();
                        let event: Value = serde_json::from_str(data).unwrap();
                        let name = event["id"].as_str().unwrap().to_owned();
                        heard.events.push((offset, name));
                        left = left.saturating_sub(1);
                    }
                    _ => {}
                }
                text = rest.to_owned();
                // The connection is cut: what was not looked at is lost with it.
                if left == 0 {
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_reaches_every_client_in_order_once_on_the_engine() {
    check(Store::Engine(Engine::new(Options::default()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_reaches_every_client_in_order_once_on_redis() {
    let Some(redis) = local_redis::LocalRedis::start() else {
        return;
    };
    check(Store::Redis(format!("unix://{}", redis.socket().display()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_reaches_every_client_in_order_once_over_rest() {
    let var = |name| std::env::var(name).ok();
    let (Some(url), Some(token)) = (var("EVENTS_CHECK_URL"), var("EVENTS_CHECK_TOKEN")) else {
        println!("skipped: EVENTS_CHECK_URL and EVENTS_CHECK_TOKEN are not set");
        return;
    };
    check(Store::Rest { url, token }).await;
}

async fn check(kept: Store) {
    let total: u64 = std::env::var("EVENTS_CHECK").map_or(600, |n| n.parse().unwrap());
    assert!(total >= PUBLISHERS, "EVENTS_CHECK: at least 4");
    let start = Instant::now();
    let mut store = kept.start("127.0.0.1:0");
    let address = store.as_ref().map(Running::addr);
    let place = match (&store, &kept) {
        (None, Store::Rest { url, token }) => (url.clone(), token.clone()),
        (running, _) => {
            let url = running.as_ref().unwrap().url();
            (url.to_owned(), "TOKEN".to_owned())
        }
    };
    // A history of its own: others may use the same database.
    let now = SystemClock::new().now_ms();
    let history = format!("check-{now}");
    let publisher = router(&place, total);
    let (first, cursor) = publish(&publisher, &history, "first").await;
    assert_eq!(first, 1);
    let last = Arc::new(AtomicU64::new(0));
    // Each client has a process of its own: its own client and subscription.
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let router = router(&place, total);
            let (history, cursor) = (history.clone(), cursor.clone());
            tokio::spawn(listen(router, history, cursor, Arc::clone(&last), n + 1))
        })
        .collect();
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let done = Arc::new(AtomicU64::new(0));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|p| {
            let (router, history, acknowledged, done) = (
                publisher.clone(),
                history.clone(),
                Arc::clone(&acknowledged),
                Arc::clone(&done),
            );
            tokio::spawn(async move {
                for n in 0..total / PUBLISHERS {
                    let id = format!("{p}-{n}");
                    let (offset, _) = publish(&router, &history, &id).await;
                    let before = acknowledged.lock().unwrap().insert(offset, id);
                    assert_eq!(before, None, "an offset was given twice");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut restarts = 0;
    for restart in 1..=RESTARTS {
        while done.load(Ordering::SeqCst) < total * restart / (RESTARTS + 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let (Some(running), Some(address)) = (store.take(), address) {
            running.stop();
            running.wait();
            store = kept.start(&address.to_string());
            restarts += 1;
        }
    }
    for task in publishers {
        task.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    let newest = *acknowledged.keys().next_back().unwrap();
    last.store(newest, Ordering::SeqCst);
    assert_eq!(
        newest,
        1 + total / PUBLISHERS * PUBLISHERS,
        "something is stored twice"
    );
    let expected: Vec<(u64, String)> = acknowledged.into_iter().collect();
    let mut connections = 0;
    for client in clients {
        let wait = Duration::from_secs(60 + total / 50);
        let heard = tokio::time::timeout(wait, client).await.unwrap().unwrap();
        connections += heard.connections;
        assert_eq!(heard.resets, 0, "nothing was trimmed");
        assert!(heard.connections > 1, "no client ever reconnected");
        assert!(
            heard.events == expected,
            "lost, repeated or reordered: {} of {} events over {} connections",
            heard.events.len(),
            expected.len(),
            heard.connections
        );
    }
    println!(
        "{total} events, {CLIENTS} clients with {connections} connections, {restarts} restarts: {:.1} s",
        start.elapsed().as_secs_f64()
    );
}
