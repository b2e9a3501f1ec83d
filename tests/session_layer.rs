//! The session layer and its extractors in an axum router, on the embedded store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    response::IntoResponse,
    routing::{get, post},
};
use http::{HeaderMap, Request, StatusCode};
use restis::{
    Redis,
    commands::StringCommands as _,
    session::{
        Changes, CurrentSession, NewSession, Rotation, Secrets, Session, SessionConfig, Sessions,
    },
    testing::ManualClock,
    web::SessionLayer,
};
use tower::ServiceExt as _;

struct World {
    redis: Redis,
    sessions: Sessions,
    clock: ManualClock,
}

fn world() -> World {
    let redis = support::engine();
    let clock = ManualClock::new(1_800_000_000_000);
    let secrets = Secrets::new(["0123456789abcdef0123456789abcdef"]).unwrap();
    let sessions = Sessions::builder(redis.clone(), SessionConfig::new(secrets))
        .clock(clock.clone())
        .build()
        .unwrap();
    World {
        redis,
        sessions,
        clock,
    }
}

impl World {
    fn requests(&self) -> u64 {
        self.redis.metrics().snapshot().requests
    }

    /// Handlers that use a session in each of its ways.
    fn app(&self, layer: SessionLayer) -> Router {
        let redis = self.redis.clone();
        Router::new()
            .route("/static", get(async || "no session needed"))
            .route(
                "/me",
                get(async |session: Session| session.user().unwrap_or("?").to_owned()),
            )
            .route(
                "/maybe",
                get(async |session: Option<Session>| session.is_some().to_string()),
            )
            .route(
                "/page",
                get(async move |session: CurrentSession| {
                    let (views, session) = tokio::join!(redis.incr("views"), session.load());
                    format!("{} {}", views.unwrap(), session.unwrap().is_some())
                }),
            )
            .route(
                "/sign-in",
                post(async |session: CurrentSession| {
                    session.sign_in(NewSession::user("ada")).await.unwrap();
                }),
            )
            .route(
                "/cart",
                post(async |session: CurrentSession| {
                    session.change(Changes::new().set("cart", "tea").set("step", &1));
                    session.change(Changes::new().set("step", &2).increment("clicks", 1));
                }),
            )
            .route(
                "/renew",
                post(async |session: CurrentSession| {
                    session.rotate(&Rotation::privilege()).await.unwrap();
                }),
            )
            .route(
                "/sign-out",
                post(async |session: CurrentSession| session.sign_out().await.unwrap().to_string()),
            )
            .layer(layer)
    }

    fn lazy(&self) -> Router {
        self.app(SessionLayer::new(self.sessions.clone()))
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// The cookie as the browser sends it back; none when it was removed.
    fn cookie(&self) -> Option<String> {
        let line = self.headers.get("set-cookie")?.to_str().unwrap();
        let pair = line.split(';').next().unwrap();
        (!pair.ends_with('=')).then(|| pair.to_owned())
    }
}

async fn ask(app: &Router, method: &str, path: &str, cookie: Option<&str>) -> Answer {
    ask_from(app, method, path, cookie, "same-origin").await
}

async fn ask_from(
    app: &Router,
    method: &str,
    path: &str,
    cookie: Option<&str>,
    site: &str,
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("sec-fetch-site", site);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.into_response();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 10_000).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn signed_in(app: &Router) -> String {
    let answer = ask(app, "POST", "/sign-in", None).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.cookie().unwrap()
}

#[tokio::test]
async fn without_a_cookie_or_a_question_the_store_is_not_asked() {
    let world = world();
    let app = world.lazy();
    let cookie = signed_in(&app).await;
    let before = world.requests();
    for (path, cookie) in [("/maybe", None), ("/static", Some(&*cookie))] {
        let answer = ask(&app, "GET", path, cookie).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.cookie().is_none());
    }
    let static_page = ask(&app, "GET", "/static", Some(&cookie)).await;
    assert!(!static_page.headers.contains_key("cache-control"));
    let forged = ask(&app, "GET", "/maybe", Some("__Host-sid=forged")).await;
    assert_eq!(forged.body, "false");
    assert!(forged.headers.contains_key("set-cookie"));
    assert_eq!(world.requests(), before);
}

#[tokio::test]
async fn the_session_is_loaded_once_beside_what_the_handler_reads() {
    let world = world();
    let app = world.lazy();
    let cookie = signed_in(&app).await;
    let before = world.requests();
    let answer = ask(&app, "GET", "/page", Some(&cookie)).await;
    assert_eq!(answer.body, "1 true");
    assert_eq!(answer.headers["vary"], "Cookie");
    assert_eq!(world.requests() - before, 1);
    let eager = world.app(SessionLayer::new(world.sessions.clone()).eager());
    let before = world.requests();
    assert_eq!(
        ask(&eager, "GET", "/page", Some(&cookie)).await.body,
        "2 true"
    );
    assert_eq!(world.requests() - before, 1);
}

#[tokio::test]
async fn an_extractor_refuses_who_has_no_session() {
    let world = world();
    let app = world.lazy();
    let answer = ask(&app, "GET", "/me", None).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(answer.body.contains("urn:restis:problem:session-missing"));
    let cookie = signed_in(&app).await;
    assert_eq!(ask(&app, "GET", "/me", Some(&cookie)).await.body, "ada");
}

#[tokio::test]
async fn a_required_session_is_there_before_the_handler() {
    let world = world();
    let cookie = signed_in(&world.lazy()).await;
    let app = world.app(SessionLayer::new(world.sessions.clone()).required());
    let answer = ask(&app, "GET", "/static", None).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let before = world.requests();
    let answer = ask(&app, "GET", "/me", Some(&cookie)).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "ada"));
    assert_eq!(world.requests() - before, 1);
}

#[tokio::test]
async fn queued_changes_are_one_request_after_the_handler() {
    let world = world();
    let app = world.lazy();
    let cookie = signed_in(&app).await;
    // The first one uploads the script.
    ask(&app, "POST", "/cart", Some(&cookie)).await;
    let before = world.requests();
    let answer = ask(&app, "POST", "/cart", Some(&cookie)).await;
    assert_eq!(answer.status, StatusCode::OK);
    // One read, one write.
    assert_eq!(world.requests() - before, 2);
    let headers = HeaderMap::from_iter([(http::header::COOKIE, cookie.parse().unwrap())]);
    let session = world.sessions.load_from(&headers).await.unwrap();
    let session = session.session().unwrap();
    assert_eq!(session.get::<String>("cart").unwrap().unwrap(), "tea");
    assert_eq!(session.get::<u8>("step").unwrap(), Some(2));
    assert_eq!((session.counter("clicks"), session.version()), (2, 3));
}

#[tokio::test]
async fn changes_that_nobody_took_are_no_success() {
    let world = world();
    let app = world.lazy();
    let answer = ask(&app, "POST", "/cart", None).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.body.contains("session-not-changed"));
    let cookie = signed_in(&app).await;
    ask(&app, "POST", "/sign-out", Some(&cookie)).await;
    let answer = ask(&app, "POST", "/cart", Some(&cookie)).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn signing_in_renewing_and_signing_out_move_the_cookie() {
    let world = world();
    let app = world.lazy();
    let first = signed_in(&app).await;
    let renewed = ask(&app, "POST", "/renew", Some(&first)).await;
    let second = renewed.cookie().unwrap();
    assert_ne!(first, second);
    assert_eq!(ask(&app, "GET", "/maybe", Some(&first)).await.body, "false");
    // Signing in again replaces the session of the browser.
    let third = ask(&app, "POST", "/sign-in", Some(&second)).await;
    let third = third.cookie().unwrap();
    assert_eq!(
        ask(&app, "GET", "/maybe", Some(&second)).await.body,
        "false"
    );
    let out = ask(&app, "POST", "/sign-out", Some(&third)).await;
    assert_eq!(out.body, "true");
    let removal = out.headers["set-cookie"].to_str().unwrap();
    assert!(removal.starts_with("__Host-sid=; Path=/; Max-Age=0"));
    assert_eq!(ask(&app, "GET", "/maybe", Some(&third)).await.body, "false");
}

#[tokio::test]
async fn another_site_changes_nothing_with_a_session() {
    let world = world();
    let app = world.lazy();
    let cookie = signed_in(&app).await;
    let answer = ask_from(&app, "POST", "/cart", Some(&cookie), "cross-site").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains("csrf-failed"));
    assert!(
        answer.body.contains("SESSION_ALLOWED_ORIGINS"),
        "{}",
        answer.body
    );
    let answer = ask_from(&app, "GET", "/me", Some(&cookie), "cross-site").await;
    assert_eq!(answer.status, StatusCode::OK);
    let open = world.app(SessionLayer::new(world.sessions.clone()).allow_cross_site());
    let answer = ask_from(&open, "POST", "/cart", Some(&cookie), "cross-site").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_in_use_is_extended_before_the_answer_or_handed_over() {
    let world = world();
    let app = world.lazy();
    let cookie = signed_in(&app).await;
    let touch_after = Duration::from_secs(12 * 3600);
    world.clock.advance(touch_after);
    // The first one uploads the script.
    ask(&app, "GET", "/me", Some(&cookie)).await;
    world.clock.advance(touch_after);
    let before = world.requests();
    ask(&app, "GET", "/me", Some(&cookie)).await;
    assert_eq!(world.requests() - before, 2);
    ask(&app, "GET", "/me", Some(&cookie)).await;
    assert_eq!(world.requests() - before, 3);

    let held = Arc::new(Mutex::new(Vec::new()));
    let holder = Arc::clone(&held);
    let layer = SessionLayer::new(world.sessions.clone())
        .defer(move |_, work| holder.lock().unwrap().push(work));
    let app = world.app(layer);
    world.clock.advance(touch_after);
    let before = world.requests();
    ask(&app, "GET", "/me", Some(&cookie)).await;
    assert_eq!(world.requests() - before, 1);
    let work = held.lock().unwrap().pop().unwrap();
    work.await;
    assert_eq!(world.requests() - before, 2);
}

#[tokio::test]
async fn while_the_store_is_away_nobody_gets_in() {
    let away = Redis::builder("http://127.0.0.1:1", "TOKEN")
        .max_retries(0)
        .build()
        .unwrap();
    let world = world();
    let cookie = signed_in(&world.lazy()).await;
    let secrets = Secrets::new(["0123456789abcdef0123456789abcdef"]).unwrap();
    let sessions = Sessions::builder(away, SessionConfig::new(secrets))
        .clock(world.clock.clone())
        .build()
        .unwrap();
    for layer in [
        SessionLayer::new(sessions.clone()),
        SessionLayer::new(sessions.clone()).eager(),
        SessionLayer::new(sessions).required(),
    ] {
        let answer = ask(&world.app(layer), "GET", "/me", Some(&cookie)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn a_router_without_the_layer_says_so() {
    let app = Router::new().route("/me", get(async |_: Session| "unreachable"));
    let answer = ask(&app, "GET", "/me", None).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}
