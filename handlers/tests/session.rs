//! The session routes through the router, without sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use http::{Request, StatusCode, header};
use restis::{
    Clock as _, Redis, SystemClock,
    session::{
        Assertion, AssertionKeys, LimitPolicy, NewSession, Secrets, SessionConfig, Sessions,
    },
    testing::ManualClock,
};
use restis_handlers::{AppState, Config, app};
use serde_json::{Value, json};
use std::time::Duration;
use support::{
    browser::{browser, config, cookie, router, router_with, sign_in, state, tokens},
    calls::{get, post, send},
};

#[tokio::test]
async fn a_session_lives_from_sign_in_to_sign_out_and_is_never_revived() {
    let router = router();
    let (cookie, created) = sign_in(&router, "u1").await;
    let (response, body) = send(
        &router,
        browser("GET", "/api/session", &cookie),
        Value::Null,
    )
    .await;
    assert_eq!(
        (&body["session"]["user"], &body["session"]["data"]["theme"]),
        (&json!("u1"), &json!("dark"))
    );
    assert_eq!(body["session"]["id"], created["id"]);
    let tag = response.headers()["etag"].clone();
    let patch = || browser("PATCH", "/api/session", &cookie).header("if-match", tag.clone());
    let (response, body) = send(&router, patch(), json!({ "theme": null, "lang": "de" })).await;
    assert_eq!(
        (response.status(), &body["data"]),
        (StatusCode::OK, &json!({ "lang": "de" }))
    );
    let (response, _) = send(&router, patch(), json!({ "lang": "fr" })).await;
    assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED);
    let (response, _) = send(
        &router,
        browser("DELETE", "/api/session", &cookie),
        Value::Null,
    )
    .await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(
        response.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    let (response, _) = send(
        &router,
        browser("PATCH", "/api/session", &cookie),
        json!({ "lang": "fr" }),
    )
    .await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let (_, body) = send(
        &router,
        browser("GET", "/api/session", &cookie),
        Value::Null,
    )
    .await;
    assert_eq!(body["session"], Value::Null);
    let (response, _) = send(
        &router,
        browser("DELETE", "/api/session?clear=site-data", &cookie),
        Value::Null,
    )
    .await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        response.headers()["clear-site-data"],
        "\"cache\", \"storage\""
    );
}

#[tokio::test]
async fn without_declared_fields_the_browser_changes_nothing() {
    let router = router_with(SessionConfig::new(Secrets::random().unwrap()));
    let (cookie, _) = sign_in(&router, "u1").await;
    let patch = browser("PATCH", "/api/session", &cookie);
    let (response, body) = send(&router, patch, json!({ "theme": "light" })).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let remedy = body["detail"].as_str().unwrap();
    assert!(remedy.contains("SESSION_CLIENT_FIELDS"), "{remedy}");
}

#[tokio::test]
async fn a_change_must_say_its_version_where_that_is_required() {
    let config = SessionConfig::new(Secrets::random().unwrap()).client_fields(["theme"]);
    let router = router_with(config.require_if_match());
    let (cookie, _) = sign_in(&router, "u1").await;
    let patch = || browser("PATCH", "/api/session", &cookie);
    let (response, body) = send(&router, patch(), json!({ "theme": "light" })).await;
    assert_eq!(
        (response.status(), &body["code"]),
        (
            StatusCode::PRECONDITION_REQUIRED,
            &json!("precondition-required")
        )
    );
    let read = browser("GET", "/api/session", &cookie);
    let (response, _) = send(&router, read, Value::Null).await;
    let tag = response.headers()["etag"].clone();
    let (response, _) = send(
        &router,
        patch().header("if-match", tag),
        json!({ "theme": "light" }),
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_browser_changes_declared_fields_only() {
    let config = SessionConfig::new(Secrets::random().unwrap()).client_fields(["theme"]);
    let router = router_with(config);
    let (cookie, _) = sign_in(&router, "u1").await;
    let patch = || browser("PATCH", "/api/session", &cookie);
    let (response, body) = send(
        &router,
        patch(),
        json!({ "theme": "light", "role": "admin" }),
    )
    .await;
    assert_eq!(
        (response.status(), &body["code"], &body["field"]),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!("field-read-only"),
            &json!("role")
        )
    );
    let (response, body) = send(&router, patch(), json!({ "theme": "light" })).await;
    assert_eq!(
        (response.status(), &body["data"]["theme"]),
        (StatusCode::OK, &json!("light"))
    );
}

#[tokio::test]
async fn only_a_service_token_creates_sessions() {
    let router = router();
    for (token, status) in [(None, 401), (Some("WRONG"), 401), (Some("READER"), 403)] {
        let mut request = Request::post("/api/sessions").header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let (response, _) = send(&router, request, json!({ "user": "victim" })).await;
        assert_eq!(response.status().as_u16(), status, "{token:?}");
        assert!(!response.headers().contains_key(header::SET_COOKIE));
    }
}

#[tokio::test]
async fn another_site_changes_nothing_with_the_users_cookie() {
    let router = router();
    let (cookie, _) = sign_in(&router, "u1").await;
    for (method, uri) in [
        ("PATCH", "/api/session"),
        ("DELETE", "/api/session"),
        ("POST", "/api/sessions/revoke-others"),
        ("POST", "/api/session/refresh"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("cookie", &cookie)
            .header("sec-fetch-site", "cross-site")
            .header("content-type", "application/json");
        let (response, body) = send(&router, request, json!({ "a": 1 })).await;
        assert_eq!(
            (response.status(), &body["code"]),
            (StatusCode::FORBIDDEN, &json!("csrf-failed")),
            "{method} {uri}"
        );
    }
    let (_, body) = send(
        &router,
        browser("GET", "/api/session", &cookie),
        Value::Null,
    )
    .await;
    let token = body["csrf_token"].as_str().unwrap();
    let plain = Request::builder()
        .method("PATCH")
        .uri("/api/session")
        .header("cookie", &cookie)
        .header("content-type", "application/json");
    let (response, _) = send(
        &router,
        plain.header("x-csrf-token", token),
        json!({ "a": 1 }),
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_user_sees_and_ends_own_sessions_only_and_an_administrator_ends_all() {
    let router = router();
    let (first, _) = sign_in(&router, "u1").await;
    let (_, second) = sign_in(&router, "u1").await;
    let (other, _) = sign_in(&router, "u2").await;
    let (_, list) = send(
        &router,
        browser("GET", "/api/sessions", &first),
        Value::Null,
    )
    .await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    let id = second["id"].as_str().unwrap();
    let (response, _) = send(
        &router,
        browser("DELETE", &format!("/api/sessions/{id}"), &other),
        Value::Null,
    )
    .await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let (response, _) = send(
        &router,
        browser("DELETE", &format!("/api/sessions/{id}"), &first),
        Value::Null,
    )
    .await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let admin = || Request::delete("/api/users/u1/sessions").header("authorization", "Bearer ROOT");
    let (response, body) = send(&router, admin(), Value::Null).await;
    assert_eq!(
        (response.status(), &body["revoked"]),
        (StatusCode::OK, &json!(1))
    );
    let (_, body) = send(&router, browser("GET", "/api/session", &first), Value::Null).await;
    assert_eq!(body["session"], Value::Null);
    let (_, body) = send(&router, browser("GET", "/api/session", &other), Value::Null).await;
    assert_eq!(body["session"]["user"], "u2");
}

#[tokio::test]
async fn an_administrator_ends_one_session_of_a_user() {
    let router = router();
    let (kept, _) = sign_in(&router, "u1").await;
    let (_, other) = sign_in(&router, "u1").await;
    let id = other["id"].as_str().unwrap();
    let end = |path: String| Request::delete(path).header("authorization", "Bearer ROOT");
    for path in [
        // Another user's, another organisation's, none.
        format!("/api/users/u2/sessions/{id}"),
        format!("/api/users/u1/sessions/{id}?organisation=acme"),
        format!("/api/users/u1/sessions/{}", "x".repeat(65)),
    ] {
        let (response, _) = send(&router, end(path), Value::Null).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
    for path in ["/api/users/u1/sessions/%2E", "/api/users/../sessions/x"] {
        let (response, _) = send(&router, end(path.to_owned()), Value::Null).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    let path = format!("/api/users/u1/sessions/{id}");
    let (response, _) = send(&router, end(path), Value::Null).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let listed = get("/api/users/u1/sessions", "ROOT");
    let (_, listed) = send(&router, listed, Value::Null).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert!(listed[0]["authenticated_ms"].as_u64().is_some());
    let (_, body) = send(&router, browser("GET", "/api/session", &kept), Value::Null).await;
    assert_eq!(body["session"]["user"], "u1");
}

#[tokio::test]
async fn garbage_and_doubled_cookies_are_no_session() {
    let router = router();
    let (cookie, _) = sign_in(&router, "u1").await;
    let name = cookie.split('=').next().unwrap();
    for value in [
        format!("{name}=garbage"),
        format!("{cookie}; {cookie}"),
        format!("{cookie}x"),
        format!("{name}="),
    ] {
        let (response, body) =
            send(&router, browser("GET", "/api/session", &value), Value::Null).await;
        assert_eq!(
            (response.status(), &body["session"]),
            (StatusCode::OK, &Value::Null),
            "{value}"
        );
        let (response, _) = send(
            &router,
            browser("GET", "/api/sessions", &value),
            Value::Null,
        )
        .await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_back_end_names_the_device_keeps_values_and_reads_the_epoch() {
    let config = config().one_per_device().client_fields(["cart"]);
    let router = router_with(config);
    let visit = json!({ "data": { "cart": ["a-1"], "seen": 1 } });
    let (response, _) = send(&router, post("/api/sessions", "ROOT"), visit).await;
    let visitor = cookie(&response);
    let (_, epoch) = send(&router, get("/api/users/u1/epoch", "ROOT"), Value::Null).await;
    let agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/139.0";
    let login = || {
        json!({ "user": "u1", "device_id": "d1", "user_agent": agent, "keep": ["cart"],
            "ip": "203.0.113.9", "epoch": epoch["epoch"] })
    };
    let request = post("/api/sessions", "ROOT").header("cookie", &visitor);
    let (response, body) = send(&router, request, login()).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{body}");
    assert_eq!(body["data"], json!({ "cart": ["a-1"] }));
    let gone = browser("GET", "/api/session", &visitor);
    assert_eq!(
        send(&router, gone, Value::Null).await.1["session"],
        Value::Null
    );
    // The same device again: one session.
    let (_, second) = send(&router, post("/api/sessions", "ROOT"), login()).await;
    let listed = get("/api/users/u1/sessions", "ROOT");
    let (_, listed) = send(&router, listed, Value::Null).await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(
        (
            &listed[0]["id"],
            &listed[0]["device"],
            &listed[0]["network"]
        ),
        (
            &second["id"],
            &json!("Firefox 139 / Linux"),
            &json!("203.0.113.0/24")
        )
    );
    // A login that began before "sign out everywhere" comes too late.
    let everywhere =
        Request::delete("/api/users/u1/sessions").header("authorization", "Bearer ROOT");
    assert_eq!(send(&router, everywhere, Value::Null).await.1["revoked"], 1);
    let (response, body) = send(&router, post("/api/sessions", "ROOT"), login()).await;
    assert_eq!(
        (response.status(), &body["code"]),
        (StatusCode::CONFLICT, &json!("stale-auth"))
    );
}

#[tokio::test]
async fn a_login_over_the_limit_is_refused_where_that_is_configured() {
    let router = router_with(config().max_per_user(1, LimitPolicy::Reject));
    sign_in(&router, "u1").await;
    let login = json!({ "user": "u1" });
    let (response, body) = send(&router, post("/api/sessions", "ROOT"), login).await;
    assert_eq!(
        (response.status(), &body["code"], &body["live"]),
        (StatusCode::CONFLICT, &json!("session-limit"), &json!(1))
    );
}

#[tokio::test]
async fn a_login_that_is_sent_twice_makes_one_session() {
    let router = router();
    let login = || post("/api/sessions", "ROOT").header("idempotency-key", "k1");
    let (first, one) = send(&router, login(), json!({ "user": "u1" })).await;
    let (second, two) = send(&router, login(), json!({ "user": "u1" })).await;
    assert_eq!(
        (first.status(), second.status()),
        (StatusCode::CREATED, StatusCode::OK)
    );
    assert_eq!(one["id"], two["id"]);
}

const LOGIN_SECRET: &str = "the login secret of these tests!";

/// Functions that accept assertions.
fn with_assertions() -> (axum::Router, AssertionKeys) {
    let keys = AssertionKeys::new([LOGIN_SECRET]).unwrap();
    let config = Config {
        tokens: tokens(),
        login_keys: Some(keys.clone()),
        ..Config::default()
    };
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    let state = AppState::builder(redis).config(config);
    let sessions = SessionConfig::new(Secrets::random().unwrap());
    (app(state.sessions(sessions).build().unwrap()), keys)
}

fn page(uri: &str, site: &str) -> http::request::Builder {
    Request::post(uri)
        .header("content-type", "application/json")
        .header("sec-fetch-site", site)
}

#[tokio::test]
async fn a_signed_assertion_signs_in_once_and_only_from_the_site_itself() {
    let (router, keys) = with_assertions();
    let now = SystemClock::new().now_ms();
    let assertion = Assertion::user("u1").unwrap().authenticated_by(["pwd"]);
    let token = keys.sign(&assertion.set("theme", "dark"), now);
    let body = || json!({ "assertion": token, "device": "My phone" });
    let (response, refused) = send(&router, page("/api/sessions", "cross-site"), body()).await;
    assert_eq!(
        (response.status(), &refused["code"]),
        (StatusCode::FORBIDDEN, &json!("csrf-failed"))
    );
    let (response, made) = send(&router, page("/api/sessions", "same-origin"), body()).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["user"], &made["methods"], &made["data"]["theme"]),
        (&json!("u1"), &json!(["pwd"]), &json!("dark"))
    );
    let read = browser("GET", "/api/session", &cookie(&response));
    assert_eq!(
        send(&router, read, Value::Null).await.1["session"]["user"],
        "u1"
    );
    let (response, again) = send(&router, page("/api/sessions", "same-origin"), body()).await;
    assert_eq!(
        (response.status(), &again["code"]),
        (StatusCode::CONFLICT, &json!("assertion-used"))
    );
    assert!(!response.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn an_assertion_that_is_not_sound_signs_nobody_in() {
    let (router, keys) = with_assertions();
    let now = SystemClock::new().now_ms();
    let assertion = Assertion::user("victim").unwrap();
    let others = AssertionKeys::new(["a login secret of somebody else!"]).unwrap();
    let good = keys.sign(&assertion, now);
    for (body, status) in [
        (json!({ "assertion": others.sign(&assertion, now) }), 401),
        (
            json!({ "assertion": keys.sign(&assertion, now - 61_000) }),
            401,
        ),
        (json!({ "assertion": "x.y.z" }), 401),
        (json!({ "assertion": good, "user": "u2" }), 400),
        (
            json!({ "assertion": good, "data": { "role": "admin" } }),
            400,
        ),
        (json!({ "user": "victim" }), 401),
    ] {
        let (response, problem) = send(&router, page("/api/sessions", "same-origin"), body).await;
        assert_eq!(response.status().as_u16(), status, "{problem}");
        assert!(!response.headers().contains_key(header::SET_COOKIE));
        assert!(!problem.to_string().contains("victim"), "{problem}");
    }
    // Without keys nobody can sign anything.
    let page = page("/api/sessions", "same-origin");
    let (response, _) = send(&self::router(), page, json!({ "assertion": good })).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_step_up_replaces_the_identifier_at_once() {
    let (router, keys) = with_assertions();
    let (old, before) = sign_in(&router, "u1").await;
    let verified = |user: &str| json!({ "user": user, "methods": ["otp"] });
    let uri = "/api/session/step-up";
    let by_service = post(uri, "ROOT").header("cookie", &old);
    let (response, after) = send(&router, by_service, verified("u1")).await;
    assert_eq!(response.status(), StatusCode::OK, "{after}");
    assert_eq!(
        (&after["id"], &after["methods"], &after["data"]),
        (&before["id"], &json!(["otp"]), &before["data"])
    );
    let new = cookie(&response);
    assert_ne!(old, new);
    let change = |cookie: &str| browser("POST", "/api/session/refresh", cookie);
    let (response, _) = send(&router, change(&old), Value::Null).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let (response, _) = send(&router, change(&new), Value::Null).await;
    assert_eq!(response.status(), StatusCode::OK);
    // Nobody steps up for somebody else, or alone.
    for (request, body, status) in [
        (browser("POST", uri, &new), verified("u1"), 401),
        (
            post(uri, "READER").header("cookie", &new),
            verified("u1"),
            403,
        ),
        (
            post(uri, "ROOT").header("cookie", &new),
            verified("u2"),
            403,
        ),
        (post(uri, "ROOT").header("cookie", &new), json!({}), 400),
        (post(uri, "ROOT"), verified("u1"), 401),
    ] {
        let (response, body) = send(&router, request, body).await;
        assert_eq!(response.status().as_u16(), status, "{body}");
    }
    // By an assertion, for the same user only.
    let now = SystemClock::new().now_ms();
    for (user, status) in [("u2", 403), ("u1", 200)] {
        let token = keys.sign(&Assertion::user(user).unwrap(), now);
        let step_up = browser("POST", uri, &new);
        let (response, body) = send(&router, step_up, json!({ "assertion": token })).await;
        assert_eq!(response.status().as_u16(), status, "{body}");
    }
}

#[tokio::test]
async fn ending_other_sessions_asks_for_a_fresh_sign_in() {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    let config = config();
    let router = app(state(redis.clone(), config.clone()));
    let (_, other) = sign_in(&router, "u1").await;
    // Signed in two hours ago.
    let then = SystemClock::new().now_ms() - 7_200_000;
    let sessions = Sessions::builder(redis, config).clock(ManualClock::new(then));
    let sessions = sessions.build().unwrap();
    let own = sessions.create(NewSession::user("u1")).await.unwrap();
    let own = own.session().unwrap();
    let set = sessions.set_cookie(&own);
    let old = set.to_str().unwrap().split(';').next().unwrap();
    let revoke = format!("/api/sessions/{}", other["id"].as_str().unwrap());
    for (method, uri) in [
        ("DELETE", revoke.as_str()),
        ("POST", "/api/sessions/revoke-others"),
    ] {
        let (response, body) = send(&router, browser(method, uri, old), Value::Null).await;
        assert_eq!(
            (response.status(), &body["code"], &body["max_age_seconds"]),
            (
                StatusCode::FORBIDDEN,
                &json!("step-up-required"),
                &json!(3600)
            )
        );
    }
    let step_up = post("/api/session/step-up", "ROOT").header("cookie", old);
    let (response, _) = send(
        &router,
        step_up,
        json!({ "user": "u1", "methods": ["otp"] }),
    )
    .await;
    let fresh = cookie(&response);
    let (response, _) = send(&router, browser("DELETE", &revoke, &fresh), Value::Null).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_administrator_counts_and_ends_everybodys_sessions() {
    let router = router();
    let mut cookies = Vec::new();
    for user in ["u1", "u2", "u3"] {
        cookies.push(sign_in(&router, user).await.0);
    }
    let active = get("/api/sessions/active", "ROOT");
    let (_, body) = send(&router, active, Value::Null).await;
    assert_eq!(body, json!({ "active": 3, "exact": false }));
    let (mut uri, mut ended) = ("/api/sessions/revoke-all".to_owned(), 0);
    loop {
        let page = post(&uri, "ROOT");
        let (response, body) = send(&router, page, Value::Null).await;
        assert_eq!(response.status(), StatusCode::OK);
        ended += body["revoked"].as_u64().unwrap();
        let Some(cursor) = body["cursor"].as_str() else {
            break;
        };
        uri = format!("/api/sessions/revoke-all?cursor={cursor}");
    }
    assert_eq!(ended, 3);
    for cookie in &cookies {
        let (_, body) = send(&router, browser("GET", "/api/session", cookie), Value::Null).await;
        assert_eq!(body["session"], Value::Null);
    }
    let wrong = post("/api/sessions/revoke-all?cursor=-1", "ROOT");
    assert_eq!(
        send(&router, wrong, Value::Null).await.0.status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_change_of_whatever_there_is_may_say_so() {
    let router = router_with(config().client_fields(["theme"]).require_if_match());
    let (cookie, _) = sign_in(&router, "u1").await;
    let patch = browser("PATCH", "/api/session", &cookie).header("if-match", "*");
    let (response, body) = send(&router, patch, json!({ "theme": "light" })).await;
    assert_eq!(response.status(), StatusCode::OK, "{body}");
}

#[tokio::test]
async fn a_request_that_uses_a_session_extends_it_when_due() {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    let config = config()
        .client_fields(["a"])
        .touch_every(Duration::from_secs(60));
    let router = app(state(redis.clone(), config.clone()));
    let then = SystemClock::new().now_ms() - 3_600_000;
    let sessions = Sessions::builder(redis.clone(), config).clock(ManualClock::new(then));
    let sessions = sessions.build().unwrap();
    let session = sessions.create(NewSession::user("u1")).await.unwrap();
    let set = sessions.set_cookie(&session.session().unwrap());
    let cookie = set.to_str().unwrap().split(';').next().unwrap();
    let (_, before) = send(&router, browser("GET", "/api/session", cookie), Value::Null).await;
    // The answer came before it was extended; the next one shows it.
    let requests = redis.metrics().snapshot().batched_commands;
    let (_, after) = send(&router, browser("GET", "/api/session", cookie), Value::Null).await;
    let expires = |body: &Value| body["session"]["expires_ms"].as_u64().unwrap();
    assert!(
        expires(&after) >= expires(&before) + 3_600_000,
        "{before} {after}"
    );
    let commands = redis.metrics().snapshot().batched_commands - requests;
    assert_eq!(commands, 1, "not due again: the load alone");
}
