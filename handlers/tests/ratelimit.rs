//! The rate limit routes through the router, without sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use restis::{Redis, prelude::*, ratelimit::Limit};
use restis_handlers::{
    AppState, Config, PolicySet, app,
    auth::{Scope, ServiceTokens},
};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

fn router() -> axum::Router {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    let hour = Duration::from_secs(3600);
    let tokens = ServiceTokens::none()
        .with_full_access("root", "ROOT")
        .with(
            "checker",
            "CHECKER",
            &[Scope::RateLimitCheck],
            Some(&["acme"]),
        )
        .with("reader", "READER", &[Scope::EventsRead], None);
    let config = Config {
        tokens,
        policies: PolicySet::default().with("tiny", vec![Limit::fixed_window(2, hour).unwrap()]),
        ..Config::default()
    };
    app(AppState::builder(redis).config(config).build().unwrap())
}

async fn send(
    router: &axum::Router,
    method: &str,
    uri: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> (Response<()>, Value) {
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = match body {
        Some(json) => {
            request = request.header("content-type", "application/json");
            Body::from(json.to_string())
        }
        None => Body::empty(),
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

#[tokio::test]
async fn a_limit_is_checked_peeked_at_and_reset() {
    let router = router();
    let check = || {
        send(
            &router,
            "POST",
            "/api/ratelimit",
            Some("ROOT"),
            Some(json!({ "identifier": "a", "policy": "tiny" })),
        )
    };
    let (response, body) = check().await;
    assert_eq!(
        (response.status(), &body["remaining"]),
        (StatusCode::OK, &json!(1))
    );
    assert_eq!(
        response.headers()["ratelimit-policy"],
        "\"tiny\";q=2;w=3600"
    );
    assert!(
        response.headers()["ratelimit"]
            .to_str()
            .unwrap()
            .starts_with("\"tiny\";r=1;t=")
    );
    check().await;
    let (response, body) = check().await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (&body["code"], &body["remaining"]),
        (&json!("rate-limited"), &json!(0))
    );
    assert_eq!(body["violated-policies"], json!(["tiny"]));
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    assert!(response.headers().contains_key("retry-after"));
    let target = "/api/ratelimit?identifier=a&policy=tiny";
    let (response, body) = send(&router, "GET", target, Some("ROOT"), None).await;
    assert_eq!(
        (response.status(), &body["allowed"]),
        (StatusCode::OK, &json!(false))
    );
    let (response, _) = send(&router, "DELETE", target, Some("ROOT"), None).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(check().await.0.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_there_is_can_be_taken() {
    let router = router();
    let take = async |body: Value| {
        let (response, body) =
            send(&router, "POST", "/api/ratelimit", Some("ROOT"), Some(body)).await;
        (response.status().as_u16(), body["taken"].clone())
    };
    let up_to = |most| json!({ "identifier": "u", "policy": "tiny", "up_to": most });
    assert_eq!(take(up_to(1)).await, (200, json!(1)));
    assert_eq!(take(up_to(5)).await, (200, json!(1)));
    assert_eq!(take(up_to(5)).await, (429, json!(0)));
    assert_eq!(take(up_to(0)).await.0, 400);
    let both = json!({ "identifier": "u", "up_to": 1, "cost": 1 });
    assert_eq!(take(both).await.0, 400);
}

#[tokio::test]
async fn the_configuration_chooses_the_headers() {
    for (name, standard, legacy) in [
        ("standard", true, false),
        ("legacy", false, true),
        ("none", false, false),
    ] {
        let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
        let vars = |var: &str| match var {
            "RATE_LIMIT_HEADERS" => Some(name.to_owned()),
            _ => None,
        };
        let mut config = Config::from_vars(vars).unwrap();
        config.tokens = ServiceTokens::none().with_full_access("root", "ROOT");
        let router = app(AppState::builder(redis).config(config).build().unwrap());
        let body = Some(json!({ "identifier": "a" }));
        let (response, _) = send(&router, "POST", "/api/ratelimit", Some("ROOT"), body).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers().contains_key("ratelimit"),
            standard,
            "{name}"
        );
        assert_eq!(
            response.headers().contains_key("x-ratelimit-limit"),
            legacy,
            "{name}"
        );
    }
}

#[tokio::test]
async fn users_of_an_organisation_share_its_limit() {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    let mut policies = PolicySet::default();
    policies
        .add_json(
            r#"{"plan":{"limits":[{"algorithm":"fixed-window","limit":2,"window":"1w"},
                {"algorithm":"fixed-window","limit":3,"window":"2w","per":"organisation"}]}}"#,
        )
        .unwrap();
    let config = Config {
        tokens: ServiceTokens::none().with_full_access("root", "ROOT"),
        policies,
        ..Config::default()
    };
    let router = app(AppState::builder(redis).config(config).build().unwrap());
    let take = async |organisation: Value, user: &str| {
        let body = json!({ "identifier": user, "policy": "plan", "organisation": organisation });
        let (response, body) =
            send(&router, "POST", "/api/ratelimit", Some("ROOT"), Some(body)).await;
        (
            response.status().as_u16(),
            body["violated-policies"].clone(),
        )
    };
    let acme = || json!("acme");
    assert_eq!(take(acme(), "a").await.0, 200);
    assert_eq!(take(acme(), "a").await.0, 200);
    assert_eq!(take(acme(), "a").await, (429, json!(["plan-1"])));
    assert_eq!(take(acme(), "b").await.0, 200);
    assert_eq!(take(acme(), "c").await, (429, json!(["plan-2"])));
    assert_eq!(take(json!("other"), "c").await.0, 200);
    assert_eq!(take(Value::Null, "c").await.0, 400);
    let target = "/api/ratelimit?policy=plan&identifier=c";
    let (response, _) = send(&router, "GET", target, Some("ROOT"), None).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let target = format!("{target}&organisation=acme");
    let (response, body) = send(&router, "GET", &target, Some("ROOT"), None).await;
    assert_eq!(
        (response.status().as_u16(), &body["remaining"]),
        (200, &json!(0))
    );
}

#[tokio::test]
async fn every_kind_of_caller_gets_what_it_may() {
    let router = router();
    let body = || Some(json!({ "identifier": "a" }));
    let org = |name: &str| Some(json!({ "identifier": "a", "organisation": name }));
    for (token, body, status) in [
        (None, body(), 401),
        (Some("WRONG"), body(), 401),
        (Some("READER"), body(), 403),
        (Some("CHECKER"), body(), 403),
        (Some("CHECKER"), org("other"), 403),
        (Some("CHECKER"), org("acme"), 200),
        (Some("ROOT"), body(), 200),
    ] {
        let (response, _) = send(&router, "POST", "/api/ratelimit", token, body.clone()).await;
        assert_eq!(response.status().as_u16(), status, "{token:?} {body:?}");
    }
    let (response, _) = send(
        &router,
        "DELETE",
        "/api/ratelimit?identifier=a&organisation=acme",
        Some("CHECKER"),
        None,
    )
    .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let (response, _) = send(
        &router,
        "GET",
        "/api/ratelimit/usage",
        Some("CHECKER"),
        None,
    )
    .await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn organisations_do_not_share_counters() {
    let router = router();
    let check = |org: &str| {
        let body = json!({ "identifier": "a", "policy": "tiny", "cost": 2, "organisation": org });
        send(&router, "POST", "/api/ratelimit", Some("ROOT"), Some(body))
    };
    let (one, other) = ("one".to_owned(), "other".to_owned());
    assert_eq!(check(&one).await.0.status(), StatusCode::OK);
    assert_eq!(check(&one).await.0.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(check(&other).await.0.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_question_is_told_what_is_wrong() {
    let router = router();
    for (body, status) in [
        (json!({}), 400),
        (json!({ "identifier": "" }), 400),
        (json!({ "identifier": "x".repeat(5000) }), 400),
        (json!({ "identifier": "a", "cost": -1 }), 400),
        (json!({ "identifier": "a", "cost": 1_u64 << 53 }), 400),
        (json!({ "identifier": "a", "up_to": 1_u64 << 53 }), 400),
        (json!({ "identifier": "a", "policy": "none" }), 404),
        (json!({ "identifier": "a", "organisation": "a/b" }), 400),
        (json!({ "identifier": "a", "surprise": 1 }), 400),
        (json!([]), 400),
    ] {
        let (response, problem) = send(
            &router,
            "POST",
            "/api/ratelimit",
            Some("ROOT"),
            Some(body.clone()),
        )
        .await;
        assert_eq!(response.status().as_u16(), status, "{body}");
        assert!(
            problem["detail"].is_string() && problem["type"].is_string(),
            "{problem}"
        );
    }
    let request = Request::post("/api/ratelimit")
        .header("authorization", "Bearer ROOT")
        .body(Body::from("{}"))
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_counter_that_is_none_is_a_failure_of_the_store() {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    let hour = Duration::from_secs(3600);
    let config = Config {
        tokens: ServiceTokens::none().with_full_access("root", "ROOT"),
        policies: PolicySet::default().with("tiny", vec![Limit::fixed_window(2, hour).unwrap()]),
        ..Config::default()
    };
    let state = AppState::builder(redis.clone()).config(config).build();
    let router = app(state.unwrap());
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    for hour in [0, 1].map(|next| since.as_secs() / 3600 + next) {
        let key = format!("ratelimit:tiny:bad:{hour}");
        redis.rpush(key, ["x"]).await.unwrap();
    }
    let body = json!({ "identifier": "bad", "policy": "tiny" });
    let target = "/api/ratelimit?identifier=bad&policy=tiny";
    for (method, target, body) in [
        ("POST", "/api/ratelimit", Some(body)),
        ("GET", target, None),
    ] {
        let (response, problem) = send(&router, method, target, Some("ROOT"), body).await;
        assert_eq!(
            response.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{method}"
        );
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        assert_eq!(problem["code"], "store-unavailable");
    }
}

#[tokio::test]
async fn a_cost_that_never_fits_is_not_told_to_wait() {
    let router = router();
    let ask = json!({ "identifier": "a", "policy": "tiny", "cost": 3 });
    let (response, body) = send(&router, "POST", "/api/ratelimit", Some("ROOT"), Some(ask)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!response.headers().contains_key("retry-after"));
    assert!(body["retry_after_ms"].is_null(), "{body}");
}

/// A store whose lists have these entries, and the functions over it.
async fn with_lists(entries: &[(&str, &str)]) -> axum::Router {
    let redis = Redis::embedded(restis_engine::Engine::new(restis_engine::Options::default()));
    for (list, entry) in entries {
        let key = format!("ratelimit:default:{list}:all");
        let _: i64 = redis
            .command("SADD")
            .arg(key)
            .arg(*entry)
            .query()
            .await
            .unwrap();
    }
    let policy =
        r#"{"default":{"algorithm":"fixed-window","limit":1,"window":"1h","protection":true}}"#;
    let var = |name: &str| (name == "RATE_LIMIT_POLICIES").then(|| policy.to_owned());
    let mut config = Config::from_vars(var).unwrap();
    config.tokens = ServiceTokens::none().with_full_access("root", "ROOT");
    app(AppState::builder(redis).config(config).build().unwrap())
}

async fn decide(router: &axum::Router, ask: Value) -> (u16, Value) {
    let (response, body) = send(router, "POST", "/api/ratelimit", Some("ROOT"), Some(ask)).await;
    (response.status().as_u16(), body["reason"].clone())
}

#[tokio::test]
async fn an_allowed_address_passes_while_its_identifier_is_blocked() {
    let router = with_lists(&[("allowList", "203.0.113.9")]).await;
    for (status, reason) in [(200, "limit"), (429, "limit"), (429, "cache_block")] {
        let answer = decide(&router, json!({ "identifier": "x" })).await;
        assert_eq!(answer, (status, json!(reason)));
    }
    let listed = json!({ "identifier": "x", "ip": "203.0.113.9" });
    for _ in 0..3 {
        assert_eq!(
            decide(&router, listed.clone()).await,
            (200, json!("allow_list"))
        );
    }
    let other = json!({ "identifier": "x", "ip": "203.0.113.10" });
    assert_eq!(decide(&router, other).await.0, 429);
}

#[tokio::test]
async fn an_entry_of_a_list_matches_its_own_kind_only() {
    let allowed = [
        ("allowList", "203.0.113.9"),
        ("allowList", "#user-agent:probe"),
        ("allowList", "#country:NL"),
        ("allowList", "vip"),
    ];
    let router = with_lists(&allowed).await;
    for (n, passes, ask) in [
        (1, true, json!({ "ip": "203.0.113.9" })),
        (2, false, json!({ "user_agent": "203.0.113.9" })),
        (3, false, json!({ "country": "203.0.113.9" })),
        (4, true, json!({ "user_agent": "probe" })),
        (5, false, json!({ "country": "probe" })),
        (6, true, json!({ "country": "NL" })),
        (7, false, json!({ "user_agent": "NL" })),
        (8, false, json!({ "user_agent": "vip" })),
    ] {
        let mut ask = ask;
        ask["identifier"] = format!("caller-{n}").into();
        decide(&router, ask.clone()).await;
        let (status, _) = decide(&router, ask.clone()).await;
        assert_eq!(status == 200, passes, "{ask}");
    }
    for (identifier, passes) in [
        ("vip", true),
        ("203.0.113.9", false),
        ("probe", false),
        ("NL", false),
    ] {
        decide(&router, json!({ "identifier": identifier })).await;
        let (status, _) = decide(&router, json!({ "identifier": identifier })).await;
        assert_eq!(status == 200, passes, "{identifier}");
    }
    // An entry of the deny list holds whatever organisation a caller names.
    let router = with_lists(&[("denyList", "203.0.113.9"), ("denyList", "mallory")]).await;
    for ask in [
        json!({ "identifier": "a", "ip": "203.0.113.9" }),
        json!({ "identifier": "b", "ip": "203.0.113.9", "organisation": "acme" }),
        json!({ "identifier": "mallory" }),
        json!({ "identifier": "mallory", "organisation": "acme" }),
    ] {
        assert_eq!(decide(&router, ask.clone()).await.0, 403, "{ask}");
    }
}
