//! The session routes through the router, without sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use restis::{
    Redis,
    session::{Secrets, SessionConfig},
};
use restis_handlers::{
    AppState, app,
    auth::{Scope, ServiceTokens},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

fn router() -> axum::Router {
    router_with(SessionConfig::new(Secrets::random().unwrap()).client_fields(["*"]))
}

fn router_with(config: SessionConfig) -> axum::Router {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    let tokens = ServiceTokens::none().with_full_access("root", "ROOT").with(
        "reader",
        "READER",
        &[Scope::EventsRead],
        None,
    );
    app(AppState::builder(redis)
        .tokens(tokens)
        .sessions(config)
        .build()
        .unwrap())
}

async fn send(
    router: &axum::Router,
    request: http::request::Builder,
    body: Value,
) -> (Response<()>, Value) {
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let response = router
        .clone()
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(parts, ()),
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

fn cookie(response: &Response<()>) -> String {
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn sign_in(router: &axum::Router, user: &str) -> (String, Value) {
    let request = Request::post("/api/sessions")
        .header("authorization", "Bearer ROOT")
        .header("content-type", "application/json");
    let (response, body) = send(
        router,
        request,
        json!({ "user": user, "methods": ["password"], "data": { "theme": "dark" } }),
    )
    .await;
    assert_eq!(response.status(), StatusCode::CREATED, "{body}");
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(
        set.starts_with("__Host-") && set.contains("; Secure; HttpOnly; SameSite=Lax"),
        "{set}"
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
    (cookie(&response), body)
}

fn browser(method: &str, uri: &str, cookie: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json")
}

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
        ("DELETE", "/api/sessions"),
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
