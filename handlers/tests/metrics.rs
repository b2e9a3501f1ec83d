//! `/api/metrics`: forms, views, and alerts that fire and clear.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use restis::{
    Clock, Redis,
    events::{Endpoint, WebhookKeys},
};
use restis_handlers::{AppState, Config, app, auth::ServiceTokens};
use restis_server::{Running, Server};
use serde_json::Value;
use tower::ServiceExt as _;

const SLOW: &str = "RestisCommandsSlow";
const FAIL: &str = "RestisConnectionsFail";
const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

#[derive(Debug, Clone, Default)]
struct Time(Arc<AtomicU64>);

impl Clock for Time {
    fn now_ms(&self) -> u64 {
        1_700_000_000_000 + self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl Time {
    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

fn config() -> Config {
    Config {
        tokens: ServiceTokens::none().with_full_access("root", "ROOT"),
        ..Config::default()
    }
}

fn embedded() -> Redis {
    Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()))
}

async fn ask(router: &Router, uri: &str, accept: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(uri)
        .header("authorization", "Bearer ROOT")
        .header("accept", accept)
        .body(Body::empty())
        .unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (head.status, head.headers, body)
}

async fn json(router: &Router, uri: &str) -> Value {
    let (status, _, text) = ask(router, uri, "application/json").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn number(json: &Value, name: &str) -> f64 {
    let value = &json["metrics"][name]["samples"][0]["value"];
    value.as_f64().unwrap_or_else(|| panic!("{name}: {json}"))
}

#[tokio::test]
async fn the_form_is_what_accept_or_the_query_asks_for() {
    let state = AppState::builder(embedded()).config(config());
    let router = app(state.build().unwrap());
    ask(&router, "/api/ratelimit?identifier=a", "*/*").await;
    for (uri, accept, kind) in [
        ("/api/metrics", "*/*", "text/plain; version=0.0.4"),
        (
            "/api/metrics",
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "application/openmetrics-text; version=1.0.0",
        ),
        ("/api/metrics", "application/json", "application/json"),
        ("/api/metrics?format=json", "text/plain", "application/json"),
        (
            "/api/metrics?format=openmetrics",
            "*/*",
            "application/openmetrics-text",
        ),
        (
            "/api/metrics?format=prometheus&view=instance",
            "*/*",
            "text/plain",
        ),
    ] {
        let (status, headers, text) = ask(&router, uri, accept).await;
        assert_eq!(status, StatusCode::OK, "{uri}");
        let found = headers["content-type"].to_str().unwrap();
        assert!(found.starts_with(kind), "{uri} {accept}: {found}");
        assert!(text.contains("evalsha"), "{text}");
    }
    for uri in [
        "/api/metrics?format=xml",
        "/api/metrics?view=none",
        "/api/metrics?a=b",
    ] {
        let (status, _, text) = ask(&router, uri, "*/*").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{uri} {text}");
    }
    let all = json(&router, "/api/metrics").await;
    assert_eq!(all["view"], "instance");
    assert_eq!(number(&all, "redis.up"), 1.0);
    assert!(number(&all, "redis.memory.used") > 0.0);
    assert_eq!(number(&all, "redis.connection.failed"), 0.0);
}

#[tokio::test]
async fn all_instances_are_one_view() {
    let engine = restis_engine::Engine::new(restis_engine::Options::default());
    let instance = |seconds| {
        let config = Config {
            metrics_flush: Some(Duration::from_secs(seconds)),
            ..config()
        };
        let redis = Redis::embedded(engine.clone());
        app(AppState::builder(redis).config(config).build().unwrap())
    };
    let (one, other) = (instance(0), instance(0));
    for router in [&one, &one, &one, &other] {
        ask(router, "/api/ratelimit?identifier=a", "*/*").await;
    }
    // What was counted after the last request travels with the next one.
    ask(&one, "/api/health", "*/*").await;
    ask(&other, "/api/health", "*/*").await;
    let all = json(&other, "/api/metrics?view=all").await;
    assert_eq!(all["view"], "all");
    assert_eq!(number(&all, "restis_instances"), 2.0);
    let samples = all["metrics"]["restis_command"]["samples"]
        .as_array()
        .unwrap();
    let peeks = samples.iter().find(|s| s["labels"]["command"] == "evalsha");
    assert_eq!(peeks.unwrap()["count"], 4);
    let own = json(&other, "/api/metrics?view=instance").await;
    let samples = own["metrics"]["restis_command"]["samples"]
        .as_array()
        .unwrap();
    let peeks = samples.iter().find(|s| s["labels"]["command"] == "evalsha");
    assert_eq!(peeks.unwrap()["count"], 1);
}

#[tokio::test]
async fn without_counters_in_the_store_there_is_no_view_of_all() {
    let router = app(AppState::builder(embedded())
        .config(config())
        .build()
        .unwrap());
    let (status, _, text) = ask(&router, "/api/metrics?view=all", "*/*").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("METRICS_FLUSH_SECONDS"), "{text}");
}

/// Takes webhooks and answers each with the next status.
struct Receiver {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for (stream, status) in listener.incoming().zip(statuses) {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !is_whole(&request) {
                    let read = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..read]);
                }
                kept.lock()
                    .unwrap()
                    .push(String::from_utf8(request).unwrap());
                let answer = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { addr, seen }
    }

    /// The messages so far: identifier and data, their signatures checked.
    fn messages(&self, now_s: u64) -> Vec<(String, Value)> {
        let seen = self.seen.lock().unwrap();
        let messages = seen.iter().map(|request| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            let header = |name: &str| {
                let line = head.lines().find_map(|line| {
                    let (found, value) = line.split_once(": ")?;
                    found.eq_ignore_ascii_case(name).then_some(value)
                });
                line.unwrap().to_owned()
            };
            let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
            let keys = WebhookKeys::new([SECRET]).unwrap();
            let signature = header("webhook-signature");
            keys.verify(&id, &time, &signature, body.as_bytes(), now_s)
                .unwrap();
            let event: Value = serde_json::from_str(body).unwrap();
            (id, event)
        });
        messages.collect()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}

fn store(addr: &str, faults: &str) -> Running {
    let builder = Server::builder()
        .token("TOKEN")
        .faults(faults.parse().unwrap());
    builder.bind(addr).unwrap().spawn().unwrap()
}

async fn status(router: &Router, name: &str) -> String {
    let body = json(router, "/api/metrics/alerts").await;
    let alerts = body["alerts"].as_array().unwrap();
    let alert = alerts.iter().find(|alert| alert["name"] == name).unwrap();
    assert!(!alert["remedy"].as_str().unwrap().is_empty());
    alert["status"].as_str().unwrap().to_owned()
}

/// A server whose answers are slow is followed by one whose answers are not.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_fires_on_a_fault_and_clears_after_it_and_somebody_is_told() {
    let receiver = Receiver::start(&[500, 200, 200, 200, 200]);
    let slow = store("127.0.0.1:0", "latency=600ms");
    let addr = slow.addr();
    let time = Time::default();
    let keys = WebhookKeys::new([SECRET]).unwrap();
    let endpoint = format!("http://{}/alerts", receiver.addr);
    let config = Config {
        alert_endpoint: Some(Endpoint::private(&endpoint, keys).unwrap()),
        ..config()
    };
    let redis = Redis::builder(format!("http://{addr}"), "TOKEN");
    let state = AppState::builder(redis.build().unwrap()).config(config);
    let router = app(state.clock(time.clone()).build().unwrap());
    assert_eq!(status(&router, SLOW).await, "unknown");
    time.pass(60);
    assert_eq!(status(&router, SLOW).await, "pending");
    for _ in 0..4 {
        time.pass(60);
        assert_eq!(status(&router, SLOW).await, "pending");
    }
    time.pass(60);
    assert_eq!(status(&router, SLOW).await, "firing");
    // The receiver did not take it: it is told again, and once.
    time.pass(60);
    assert_eq!(status(&router, SLOW).await, "firing");
    time.pass(60);
    assert_eq!(status(&router, SLOW).await, "firing");
    slow.stop();
    let _whole = store(&addr.to_string(), "off");
    // What the evaluations themselves measure is of the minute before.
    for _ in 0..40 {
        ask(&router, "/api/health", "*/*").await;
    }
    time.pass(60);
    status(&router, SLOW).await;
    time.pass(60);
    for _ in 0..40 {
        ask(&router, "/api/health", "*/*").await;
    }
    assert_eq!(status(&router, SLOW).await, "ok");
    let messages = receiver.messages(time.now_ms() / 1000);
    let words: Vec<_> = messages
        .iter()
        .map(|(_, event)| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        words,
        [
            "restis.alert.fired",
            "restis.alert.fired",
            "restis.alert.cleared"
        ]
    );
    assert_eq!(messages[0].0, messages[1].0);
    assert_eq!(messages[0].1["data"]["alert"], SLOW);
    assert_eq!(messages[0].1["data"]["severity"], "warning");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_fail_are_told_within_the_minute() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let time = Time::default();
    let redis = Redis::builder(format!("http://{gone}"), "TOKEN")
        .max_retries(0)
        .breaker_failures(0);
    let state = AppState::builder(redis.build().unwrap()).config(config());
    let state = state.clock(time.clone()).build().unwrap();
    let router = app(state.clone());
    assert_eq!(status(&router, FAIL).await, "unknown");
    for _ in 0..6 {
        ask(&router, "/api/health", "*/*").await;
    }
    let failed = state.redis().metrics().snapshot().connections_failed;
    time.pass(15);
    assert!(failed > 6, "{failed}");
    assert_eq!(status(&router, FAIL).await, "firing");
    assert_eq!(status(&router, "RestisStoreDown").await, "pending");
}
