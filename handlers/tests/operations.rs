//! Metrics and cross-origin calls through the router, without sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use restis::Redis;
use restis_handlers::{AppState, Config, Group, app, auth::ServiceTokens, mount};
use tower::ServiceExt as _;

const ORIGIN: &str = "https://app.example.com";

fn state() -> AppState {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    let config = Config {
        tokens: ServiceTokens::none().with_full_access("root", "ROOT"),
        cors_origins: vec![ORIGIN.parse().unwrap()],
        ..Config::default()
    };
    AppState::builder(redis).config(config).build().unwrap()
}

async fn ask(
    router: &axum::Router,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (head.status, head.headers, body)
}

#[tokio::test]
async fn metrics_tell_what_was_asked_of_the_store() {
    let router = app(state());
    let token = [("authorization", "Bearer ROOT")];
    ask(&router, "GET", "/api/ratelimit?identifier=a", &token).await;
    let (status, headers, text) = ask(&router, "GET", "/api/metrics", &token).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let counted = r#"restis_command_seconds_count{command="evalsha"} 1"#;
    assert!(text.lines().any(|line| line == counted), "{text}");
}

#[tokio::test]
async fn a_listed_origin_may_call_and_read_what_it_needs_and_no_other() {
    let router = app(state());
    let from = |origin| [("origin", origin), ("authorization", "Bearer ROOT")];
    let uri = "/api/ratelimit?identifier=a";
    let (_, headers, _) = ask(&router, "GET", uri, &from(ORIGIN)).await;
    assert_eq!(headers["access-control-allow-origin"], ORIGIN);
    assert_eq!(headers["access-control-allow-credentials"], "true");
    let exposed = headers["access-control-expose-headers"].to_str().unwrap();
    for name in [
        "etag",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "x-request-id",
    ] {
        assert!(
            exposed.split(',').any(|e| e.trim() == name),
            "{name}: {exposed}"
        );
    }
    assert!(
        headers
            .get_all("vary")
            .iter()
            .any(|v| v.to_str().unwrap().contains("origin"))
    );
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.com.evil.example",
    ] {
        let (_, headers, _) = ask(&router, "GET", uri, &from(origin)).await;
        assert!(
            !headers.contains_key("access-control-allow-origin"),
            "{origin}"
        );
    }
}

#[tokio::test]
async fn a_preflight_is_answered_for_an_hour() {
    let asked = [
        ("origin", ORIGIN),
        ("access-control-request-method", "DELETE"),
        ("access-control-request-headers", "authorization"),
    ];
    let (status, headers, _) = ask(&app(state()), "OPTIONS", "/api/ratelimit", &asked).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["access-control-max-age"], "3600");
    assert!(
        headers["access-control-allow-methods"]
            .to_str()
            .unwrap()
            .contains("DELETE")
    );
}

#[tokio::test]
async fn a_wrong_method_is_told_which_are_right() {
    let (status, headers, body) = ask(&app(state()), "PUT", "/api/ratelimit", &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let allowed = headers["allow"].to_str().unwrap();
    assert!(
        allowed.contains("POST") && allowed.contains("DELETE"),
        "{allowed}"
    );
    assert!(
        body.contains("urn:restis:problem:method-not-allowed"),
        "{body}"
    );
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = serde_json::to_value(restis_handlers::document()).unwrap();
    let mut names: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.contains(&"getEventsDlqId".to_owned()), "{names:?}");
    assert!(names.contains(&"postRatelimit".to_owned()), "{names:?}");
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[tokio::test]
async fn a_mounted_group_leaves_the_rest_of_the_router_alone() {
    let own = axum::Router::new()
        .route("/", axum::routing::get(async || "mine"))
        .fallback(async || (StatusCode::NOT_FOUND, "my own 404"))
        .merge(mount(state(), &[Group::RateLimit]));
    let (_, headers, body) = ask(&own, "GET", "/", &[("origin", ORIGIN)]).await;
    assert_eq!(body, "mine");
    assert!(!headers.contains_key("x-request-id") && !headers.contains_key("vary"));
    let token = [("authorization", "Bearer ROOT")];
    let (status, headers, _) = ask(&own, "GET", "/api/ratelimit?identifier=a", &token).await;
    assert_eq!(status, StatusCode::OK);
    assert!(headers.contains_key("x-request-id"));
    for elsewhere in ["/api/health", "/elsewhere"] {
        assert_eq!(ask(&own, "GET", elsewhere, &token).await.2, "my own 404");
    }
}
