//! The gate in an axum router: one request to the store, and nothing done for a refused request.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    routing::{get, post},
};
use http::{HeaderMap, Request, StatusCode};
use restis::{
    Redis, Result,
    commands::StringCommands as _,
    ratelimit::{Decision, Limit, RateLimiter},
    session::{Changes, CurrentSession, NewSession, Secrets, Session, SessionConfig, Sessions},
    web::{Prefetched, RateLimitLayer, RequestGuard, SessionLayer, Subject},
};
use support::Counts;
use tower::ServiceExt as _;

const NOTICE: &str = "only for those who passed";

struct World {
    app: Router,
    counts: Counts,
    sessions: Sessions,
    /// How often a handler ran.
    ran: Arc<AtomicUsize>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    /// Requests to the store that it took.
    requests: usize,
}

fn world(redis: Redis, counts: Counts, most: u64) -> World {
    let secrets = Secrets::new(["0123456789abcdef0123456789abcdef"]).unwrap();
    let sessions = Sessions::new(redis.clone(), SessionConfig::new(secrets)).unwrap();
    let limit = Limit::fixed_window(most, Duration::from_secs(3600)).unwrap();
    let limiter = RateLimiter::builder(redis.clone(), limit).build();
    let limit = RateLimitLayer::new(limiter, |request| {
        let client = request.headers.get("x-client")?.to_str().ok()?;
        Some(Subject::new(client.to_owned()))
    });
    let gate = RequestGuard::new()
        .limit(limit.policy("pages"))
        .session(SessionLayer::new(sessions.clone()).required())
        .read(move |request| {
            let (redis, key) = (redis.clone(), format!("notice:{}", request.uri.path()));
            async move { redis.get::<String>(&key).await }
        });
    let ran = Arc::new(AtomicUsize::new(0));
    let (page, cart) = (ran.clone(), ran.clone());
    let app = Router::new()
        .route(
            "/page",
            get(
                async move |session: Session,
                            Extension(decision): Extension<Decision>,
                            Prefetched(notice): Prefetched<Result<Option<String>>>| {
                    page.fetch_add(1, Ordering::SeqCst);
                    let (user, notice) = (session.user().unwrap_or("?"), notice.unwrap());
                    format!("{user}, {} left: {}", decision.remaining(), notice.unwrap())
                },
            ),
        )
        .route(
            "/cart",
            post(async move |session: CurrentSession| {
                cart.fetch_add(1, Ordering::SeqCst);
                session.change(Changes::new().set("cart", "tea"));
            }),
        )
        .layer(gate);
    World {
        app,
        counts,
        sessions,
        ran,
    }
}

async fn ready(most: u64) -> World {
    let (redis, counts) = support::counting();
    redis.set("notice:/page", NOTICE).await.unwrap();
    let world = world(redis, counts, most);
    // The scripts are uploaded once for all clients of a store.
    let (session, cookie) = world.sign_in().await;
    for (method, path) in [("GET", "/page"), ("POST", "/cart")] {
        let request = request(method, path, path, Some(&cookie), "same-origin");
        assert_eq!(
            world.app.clone().oneshot(request).await.unwrap().status(),
            200
        );
    }
    world.sessions.logout(&session).await.unwrap();
    world.ran.store(0, Ordering::SeqCst);
    world
}

fn request(
    method: &str,
    path: &str,
    client: &str,
    cookie: Option<&str>,
    site: &str,
) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-client", client)
        .header("sec-fetch-site", site);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    request.body(Body::empty()).unwrap()
}

impl World {
    async fn sign_in(&self) -> (Session, String) {
        let session = self.sessions.create(NewSession::user("ada")).await.unwrap();
        let session = session.session().unwrap();
        let cookie = self.sessions.set_cookie(&session);
        let pair = cookie
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        (session, pair)
    }

    async fn ask(&self, method: &str, path: &str, cookie: Option<&str>, site: &str) -> Answer {
        let before = self.counts.requests();
        let request = request(method, path, "client", cookie, site);
        let response = self.app.clone().oneshot(request).await.unwrap();
        let requests = self.counts.requests() - before;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 16).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            requests,
        }
    }

    async fn page(&self, cookie: Option<&str>) -> Answer {
        self.ask("GET", "/page", cookie, "same-origin").await
    }

    fn ran(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }

    /// A refusal with this status and code, for which nothing was done and nothing is told.
    fn refused(answer: &Answer, status: u16, code: &str) {
        assert_eq!(answer.status, status, "{}", answer.body);
        let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["code"], code);
        assert!(!answer.body.contains(NOTICE), "{}", answer.body);
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn limit_session_and_read_are_one_request() {
    let world = ready(10).await;
    let (_, cookie) = world.sign_in().await;
    for left in [9, 8] {
        let answer = world.page(Some(&cookie)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body, format!("ada, {left} left: {NOTICE}"));
        assert_eq!(answer.requests, 1);
        assert_eq!(answer.headers["ratelimit-policy"], "\"pages\";q=10;w=3600");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["vary"], "Cookie");
    }
    assert_eq!(world.ran(), 2);
}

#[tokio::test]
async fn what_the_handler_changes_is_written_once_after_it() {
    let world = ready(10).await;
    let (session, cookie) = world.sign_in().await;
    let answer = world
        .ask("POST", "/cart", Some(&cookie), "same-origin")
        .await;
    assert_eq!((answer.status, answer.requests), (StatusCode::OK, 2));
    let loaded = world.sessions.load(session.token()).await.unwrap();
    let cart: Option<String> = loaded.session().unwrap().get("cart").unwrap();
    assert_eq!(cart.as_deref(), Some("tea"));
}

#[tokio::test]
async fn over_the_limit_the_handler_does_not_run_and_nothing_leaks() {
    let world = ready(1).await;
    let (_, cookie) = world.sign_in().await;
    assert_eq!(world.page(Some(&cookie)).await.status, 200);
    let answer = world.page(Some(&cookie)).await;
    World::refused(&answer, 429, "rate-limited");
    assert_eq!(answer.requests, 1);
    assert!(answer.headers.contains_key("retry-after"));
    // Known to be blocked: neither the session nor the read is asked for.
    let answer = world.page(Some(&cookie)).await;
    World::refused(&answer, 429, "rate-limited");
    assert_eq!((answer.requests, world.ran()), (0, 1));
}

#[tokio::test]
async fn without_a_live_session_the_handler_does_not_run_and_nothing_leaks() {
    let world = ready(10).await;
    let answer = world.page(None).await;
    World::refused(&answer, 401, "session-missing");
    assert_eq!(answer.requests, 0);
    let (session, cookie) = world.sign_in().await;
    world.sessions.logout(&session).await.unwrap();
    let answer = world.page(Some(&cookie)).await;
    World::refused(&answer, 401, "session-missing");
    // The dead cookie is removed.
    let set = answer.headers["set-cookie"].to_str().unwrap();
    assert!(set.contains("Max-Age=0"), "{set}");
    assert_eq!(world.ran(), 0);
}

#[tokio::test]
async fn another_site_is_refused_without_a_request() {
    let world = ready(10).await;
    let (_, cookie) = world.sign_in().await;
    let answer = world
        .ask("POST", "/cart", Some(&cookie), "cross-site")
        .await;
    World::refused(&answer, 403, "csrf-failed");
    assert_eq!((answer.requests, world.ran()), (0, 0));
}

#[tokio::test]
async fn while_the_store_is_away_the_handler_does_not_run() {
    // Signed in elsewhere, with the same secrets.
    let (_, cookie) = ready(10).await.sign_in().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let away = Redis::builder(&url, "TOKEN")
        .max_retries(0)
        .build()
        .unwrap();
    let world = world(away, Counts::default(), 10);
    let answer = world.page(Some(&cookie)).await;
    World::refused(&answer, 503, "store-unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(world.ran(), 0);
}
