//! The rate limit layer in front of an axum router, on the embedded store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    routing::get,
};
use http::{HeaderMap, Request, StatusCode};
use restis::{
    Redis,
    ratelimit::{Decision, FailurePolicy, Limit, RateLimiter, RateLimiterBuilder},
    web::{RateLimitLayer, Subject, client_ip},
};
use tower::ServiceExt as _;

fn limiter(redis: &Redis, amount: u64) -> RateLimiterBuilder {
    let limit = Limit::fixed_window(amount, Duration::from_secs(3600)).unwrap();
    RateLimiter::builder(redis.clone(), limit)
}

/// Behind one proxy; preflight requests pass.
fn by_ip(limiter: RateLimiter) -> RateLimitLayer {
    RateLimitLayer::new(limiter, |request| {
        let ip = client_ip(&request.headers, None, 1);
        let mut subject = Subject::from_ip(ip);
        if let Some(agent) = request.headers.get("user-agent") {
            subject = subject.user_agent(agent.to_str().unwrap_or_default());
        }
        (request.method != http::Method::OPTIONS).then_some(subject)
    })
    .policy("pages")
}

/// A router that counts the calls of its handler.
fn app(layer: RateLimitLayer) -> (Router, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let handler = async move |decision: Option<Extension<Decision>>| {
        counted.fetch_add(1, Ordering::Relaxed);
        decision.map_or("none".to_owned(), |d| d.remaining().to_string())
    };
    let router = Router::new()
        .route("/", get(handler.clone()).options(handler))
        .layer(layer);
    (router, calls)
}

async fn ask(app: &Router, method: &str, ip: &str, agent: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder()
        .method(method)
        .header("x-forwarded-for", format!("198.51.100.1, {ip}"))
        .header("user-agent", agent)
        .body(Body::empty())
        .unwrap();
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 10_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (parts.status, parts.headers, body)
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_before_the_handler() {
    let (app, calls) = app(by_ip(limiter(&support::engine(), 2).build()));
    for left in ["1", "0"] {
        let (status, headers, body) = ask(&app, "GET", "203.0.113.9", "x").await;
        assert_eq!((status, &*body), (StatusCode::OK, left));
        assert_eq!(headers["ratelimit-policy"], r#""pages";q=2;w=3600"#);
        assert_eq!(headers["x-ratelimit-remaining"], left);
        assert!(!headers.contains_key("retry-after"));
    }
    let (status, headers, body) = ask(&app, "GET", "203.0.113.9", "x").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["type"], "urn:restis:problem:rate-limited");
    assert_eq!(body["policy"], "pages");
    let exact = body["retry_after_ms"].as_u64().unwrap();
    assert_eq!(exact.div_ceil(1000), wait);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    let (status, ..) = ask(&app, "GET", "203.0.113.10", "x").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn what_names_nobody_passes_uncounted() {
    let (app, _) = app(by_ip(limiter(&support::engine(), 1).build()));
    for _ in 0..3 {
        let (status, headers, body) = ask(&app, "OPTIONS", "203.0.113.9", "x").await;
        assert_eq!((status, &*body), (StatusCode::OK, "none"));
        assert!(!headers.contains_key("ratelimit"));
    }
}

#[tokio::test]
async fn who_is_on_a_deny_list_is_forbidden() {
    let limiter = limiter(&support::engine(), 9).protection().build();
    limiter.deny(&["BadBot/1"]).await.unwrap();
    let (app, calls) = app(by_ip(limiter));
    let (status, headers, body) = ask(&app, "GET", "203.0.113.9", "BadBot/1").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(!headers.contains_key("retry-after"));
    assert!(body.contains("urn:restis:problem:denied"), "{body}");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let (status, ..) = ask(&app, "GET", "203.0.113.9", "Browser/1").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn without_a_store_the_failure_policy_decides() {
    let away = Redis::builder("http://127.0.0.1:1", "TOKEN")
        .max_retries(0)
        .build()
        .unwrap();
    for (policy, expected) in [
        (FailurePolicy::Open, StatusCode::OK),
        (FailurePolicy::Closed, StatusCode::SERVICE_UNAVAILABLE),
        (FailurePolicy::Error, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let (app, calls) = app(by_ip(limiter(&away, 1).on_failure(policy).build()));
        let (status, headers, body) = ask(&app, "GET", "203.0.113.9", "x").await;
        assert_eq!(status, expected, "{policy:?}");
        assert!(!headers.contains_key("ratelimit"), "{policy:?}");
        let refused = expected != StatusCode::OK;
        assert_eq!(headers.contains_key("retry-after"), refused, "{policy:?}");
        assert_eq!(body.contains("store-unavailable"), refused, "{policy:?}");
        assert_eq!(calls.load(Ordering::Relaxed), u32::from(!refused));
    }
}

#[tokio::test]
async fn analytics_share_the_request_of_the_handler() {
    use restis::commands::StringCommands as _;
    let redis = support::engine();
    let handler = redis.clone();
    let app = Router::new()
        .route(
            "/",
            get(async move || handler.incr("hits").await.unwrap().to_string()),
        )
        .layer(by_ip(limiter(&redis, 9).analytics().build()));
    ask(&app, "GET", "203.0.113.9", "x").await;
    let before = redis.metrics().snapshot().requests;
    ask(&app, "GET", "203.0.113.9", "x").await;
    assert_eq!(redis.metrics().snapshot().requests - before, 2);
}

#[tokio::test]
async fn without_an_address_a_limit_with_lists_refuses() {
    let (app, calls) = app(by_ip(limiter(&support::engine(), 9).protection().build()));
    let (status, _, body) = ask(&app, "GET", "no address", "x").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(
        body.contains("denied") && body.contains("address"),
        "{body}"
    );
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(ask(&app, "GET", "203.0.113.9", "x").await.0, StatusCode::OK);
}

#[test]
fn a_subject_is_a_network_and_nobody_shares_one_limit() {
    let subject = |ip: &str| {
        format!(
            "{:?}",
            Subject::from_ip(ip.parse::<IpAddr>().ok()).request()
        )
    };
    assert!(subject("2001:db8::1").contains("2001:db8::/64"));
    assert!(subject("nothing").contains("no-address"));
}
