//! Browsers with a session, and the functions that gave it to them.

use super::calls::{post, send};
use http::{Request, Response, StatusCode, header};
use restis::{
    Redis,
    session::{Secrets, SessionConfig},
};
use restis_handlers::{
    AppState, app,
    auth::{Scope, ServiceTokens},
};
use serde_json::{Value, json};

/// `ROOT` may do everything, `READER` read events, `ACME` everything for one organisation.
pub(crate) fn tokens() -> ServiceTokens {
    ServiceTokens::none()
        .with_full_access("root", "ROOT")
        .with("reader", "READER", &[Scope::EventsRead], None)
        .with("acme", "ACME", &Scope::ALL, Some(&["acme"]))
}

pub(crate) fn config() -> SessionConfig {
    SessionConfig::new(Secrets::random().unwrap())
}

pub(crate) fn router() -> axum::Router {
    router_with(config().client_fields(["*"]))
}

pub(crate) fn router_with(config: SessionConfig) -> axum::Router {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    app(state(redis, config))
}

pub(crate) fn state(redis: Redis, config: SessionConfig) -> AppState {
    let state = AppState::builder(redis).tokens(tokens());
    state.sessions(config).build().unwrap()
}

/// The cookie that an answer sets.
pub(crate) fn cookie(response: &Response<()>) -> String {
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

pub(crate) async fn sign_in(router: &axum::Router, user: &str) -> (String, Value) {
    let login = json!({ "user": user, "methods": ["password"], "data": { "theme": "dark" } });
    let (response, body) = send(router, post("/api/sessions", "ROOT"), login).await;
    assert_eq!(response.status(), StatusCode::CREATED, "{body}");
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(
        set.starts_with("__Host-") && set.contains("; Secure; HttpOnly; SameSite=Lax"),
        "{set}"
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
    (cookie(&response), body)
}

/// A request of a page of the site itself.
pub(crate) fn browser(method: &str, uri: &str, cookie: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json")
}
