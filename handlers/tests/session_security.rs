//! Security statements that the session routes keep, with their number in OWASP ASVS 5.0, one test each.
//!
//! docs/TESTING.md lists all 32; the others are in `tests/session/security.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::extract::ConnectInfo;
use http::{Request, StatusCode, header};
use restis::{Redis, session::EventKind};
use restis_handlers::{AppState, Config, app};
use serde_json::{Value, json};
use std::{collections::BTreeSet, net::SocketAddr};
use support::{
    browser::{browser, config, cookie, router, sign_in, state, tokens},
    calls::{get, post, send},
};

fn store() -> Redis {
    Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()))
}

// 3.4.2: a foreign origin may not read answers; credentials never go with `*`.
#[tokio::test]
async fn s21_only_listed_origins_may_read_answers() {
    let own = "https://app.example.com";
    let config_of_functions = Config {
        tokens: tokens(),
        cors_origins: vec![own.parse().unwrap()],
        ..Config::default()
    };
    let builder = AppState::builder(store()).config(config_of_functions);
    let listed = app(builder.sessions(config()).build().unwrap());
    for (router, origin, allowed) in [
        (&listed, own, true),
        (&listed, "https://evil.example", false),
        (&listed, "https://app.example.com.evil.example", false),
        (&listed, "null", false),
        (&router(), own, false),
    ] {
        let (cookie, _) = sign_in(router, "u1").await;
        for method in ["GET", "OPTIONS"] {
            let request = browser(method, "/api/session", &cookie)
                .header("origin", origin)
                .header("access-control-request-method", "PATCH");
            let (response, _) = send(router, request, Value::Null).await;
            let told = response.headers().get("access-control-allow-origin");
            let told = told.map(|v| v.to_str().unwrap());
            assert_eq!(told, allowed.then_some(origin), "{method} {origin}");
        }
    }
}

// 14.3.2: no cache keeps what depends on a session, refusals included.
#[tokio::test]
async fn s22_every_answer_about_a_session_is_kept_by_nobody() {
    let router = router();
    let (live, made) = sign_in(&router, "u1").await;
    let id = format!("/api/sessions/{}", made["id"].as_str().unwrap());
    let patch = json!({ "theme": "light" });
    for (request, body, status) in [
        (browser("GET", "/api/session", &live), Value::Null, 200),
        (browser("GET", "/api/session", "a=b"), Value::Null, 200),
        (browser("PATCH", "/api/session", &live), patch.clone(), 200),
        (
            browser("PATCH", "/api/session", &live).header("if-match", "\"v1\""),
            patch.clone(),
            412,
        ),
        (browser("PATCH", "/api/session", "a=b"), patch, 401),
        (
            browser("POST", "/api/session/refresh", &live),
            Value::Null,
            200,
        ),
        (browser("GET", "/api/sessions", &live), Value::Null, 200),
        (
            browser("POST", "/api/sessions/revoke-others", &live),
            Value::Null,
            200,
        ),
        (
            browser("DELETE", "/api/sessions/none", &live),
            Value::Null,
            404,
        ),
        (get("/api/users/u1/sessions", "ROOT"), Value::Null, 200),
        (get("/api/users/u1/epoch", "ROOT"), Value::Null, 200),
        (get("/api/sessions/active", "ROOT"), Value::Null, 200),
        (
            post("/api/session/step-up", "ROOT").header("cookie", "a=b"),
            json!({ "user": "u1" }),
            401,
        ),
        (browser("DELETE", &id, &live), Value::Null, 204),
        (browser("DELETE", "/api/session", &live), Value::Null, 204),
    ] {
        let name = format!("{:?} {:?}", request.method_ref(), request.uri_ref());
        let (response, _) = send(&router, request, body).await;
        assert_eq!(response.status().as_u16(), status, "{name}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{name}");
    }
}

// 14.3.1: signing out can clear what the browser keeps.
#[tokio::test]
async fn s23_signing_out_can_clear_the_browsers_data() {
    let router = router();
    let (cookie, _) = sign_in(&router, "u1").await;
    let plain = browser("DELETE", "/api/session", &cookie);
    let (response, _) = send(&router, plain, Value::Null).await;
    assert!(!response.headers().contains_key("clear-site-data"));
    let (cookie, _) = sign_in(&router, "u1").await;
    let clearing = browser("DELETE", "/api/session?clear=site-data", &cookie);
    let (response, _) = send(&router, clearing, Value::Null).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        response.headers()["clear-site-data"],
        "\"cache\", \"storage\""
    );
    let removed = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(removed.contains("Max-Age=0"), "{removed}");
}

// 8.4.1: one tenant reaches nothing of another one.
#[tokio::test]
async fn s30_a_tenant_reaches_nothing_of_another_one() {
    let router = router();
    let theirs = json!({ "user": "u1", "organisation": "other" });
    let (response, made) = send(&router, post("/api/sessions", "ROOT"), theirs.clone()).await;
    let other = cookie(&response);
    // Neither in the name of the other one, nor of nobody, nor by taking over its session.
    let in_name = |body: Value| send(&router, post("/api/sessions", "ACME"), body);
    assert_eq!(in_name(theirs).await.0.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        in_name(json!({ "user": "u1" })).await.0.status(),
        StatusCode::FORBIDDEN
    );
    let step_up = post("/api/session/step-up", "ACME").header("cookie", &other);
    let (response, _) = send(
        &router,
        step_up,
        json!({ "user": "u1", "organisation": "acme" }),
    )
    .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    for request in [
        get("/api/users/u1/sessions", "ACME"),
        Request::delete("/api/users/u1/sessions").header("authorization", "Bearer ACME"),
        post("/api/sessions/revoke-all", "ACME"),
        get("/api/sessions/active", "ACME"),
    ] {
        let (response, _) = send(&router, request, Value::Null).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    let read = browser("GET", "/api/session", &other);
    let (_, body) = send(&router, read, Value::Null).await;
    assert_eq!(body["session"]["id"], made["id"]);
    assert_eq!(body["session"]["organisation"], "other");
    // Tenants apart by prefix, in one store and under the same secrets.
    let (redis, config) = (store(), config());
    let here = app(state(redis.clone(), config.clone().prefix("here:")));
    let there = app(state(redis, config.prefix("there:")));
    let (cookie, _) = sign_in(&here, "u1").await;
    let (_, body) = send(&there, browser("GET", "/api/session", &cookie), Value::Null).await;
    assert_eq!(body["session"], Value::Null);
    let (_, listed) = send(&there, get("/api/users/u1/sessions", "ROOT"), Value::Null).await;
    assert_eq!(listed, json!([]));
    let all = post("/api/sessions/revoke-all", "ROOT");
    send(&there, all, Value::Null).await;
    let (_, body) = send(&here, browser("GET", "/api/session", &cookie), Value::Null).await;
    assert_eq!(body["session"]["user"], "u1");
}

// 6.3.1, OWASP: whoever tries cookies has to wait; a good cookie from the same address does not.
#[tokio::test]
async fn s32_a_client_that_guesses_cookies_has_to_wait() {
    let state = state(store(), config());
    let router = app(state.clone());
    let (good, _) = sign_in(&router, "u1").await;
    let from = |address: &str, method: &str, uri: &str, cookie: &str| {
        let peer: SocketAddr = format!("{address}:40000").parse().unwrap();
        browser(method, uri, cookie).extension(ConnectInfo(peer))
    };
    let commands = state.redis().metrics().snapshot().batched_commands;
    let mut statuses = Vec::new();
    for n in 0..40 {
        let guess = format!("{good}{n}");
        let uri = if n % 2 == 0 {
            "/api/session"
        } else {
            "/api/sessions"
        };
        let request = from("192.0.2.1", "GET", uri, &guess);
        let (response, body) = send(&router, request, Value::Null).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(body["code"], "rate-limited");
            let wait: u64 = response.headers()["retry-after"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!((1..=60).contains(&wait));
            let removed = response.headers()[header::SET_COOKIE].to_str().unwrap();
            assert!(removed.contains("Max-Age=0"), "it need not be sent again");
        }
        statuses.push(response.status().as_u16());
    }
    let allowed: BTreeSet<u16> = statuses[..30].iter().copied().collect();
    assert_eq!(allowed, BTreeSet::from([200, 401]));
    assert!(statuses[30..].iter().all(|s| *s == 429), "{statuses:?}");
    let sessions = state.sessions().unwrap();
    assert_eq!(sessions.count_of(EventKind::Forged), 40);
    let asked = state.redis().metrics().snapshot().batched_commands - commands;
    assert_eq!(asked, 0, "guesses do not reach the store");
    // Others behind the same address, and other addresses, go on.
    for (address, cookie, user) in [
        ("192.0.2.1", good.as_str(), json!("u1")),
        ("192.0.2.2", &format!("{good}x"), Value::Null),
    ] {
        let request = from(address, "GET", "/api/session", cookie);
        let (response, body) = send(&router, request, Value::Null).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(body["session"]["user"], user);
    }
}

/// The 32 statements of docs/TESTING.md, each with a test that exists.
#[test]
fn the_documented_statements_are_the_tested_ones() {
    let documented = include_str!("../../docs/TESTING.md");
    let tests = [
        include_str!("session_security.rs"),
        include_str!("../../tests/session/security.rs"),
    ];
    for number in 1..=32 {
        let row = documented
            .lines()
            .find(|line| line.starts_with(&format!("| {number} | ")))
            .unwrap_or_else(|| panic!("statement {number} is not documented"));
        let mut cells = row.split(" | ").skip(2);
        let (asvs, test) = (cells.next().unwrap(), cells.next().unwrap());
        let test = test.trim_matches(|c| "` |".contains(c));
        assert!(test.starts_with(&format!("s{number:02}_")), "{row}");
        let wanted = format!("async fn {test}()");
        let before = tests.iter().find_map(|text| text.split_once(&wanted));
        let (before, _) = before.unwrap_or_else(|| panic!("{test} does not exist"));
        // The number stands above the test.
        let comment = before.rsplit("\n\n").next().unwrap();
        let first = asvs.split([',', ' ']).next().unwrap();
        assert!(first == "–" || comment.contains(first), "{test}: {asvs}");
    }
}
