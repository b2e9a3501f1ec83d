//! The built binary on each platform: plain HTTP, Vercel, AWS Lambda.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use serde_json::json;
use support::{App, free_port, http, lambda, store, vercel::FakeVercel};

#[tokio::test]
async fn plain_http_answers_and_stops_on_sigterm() {
    let store = store();
    let mut app = App::start(store.url(), &[("PORT", "0"), ("HOST", "127.0.0.1")]);
    let base = format!("http://{}", app.address());
    let health = http()
        .get(format!("{base}/api/health"))
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), 200);
    assert!(health.headers().contains_key("x-request-id"));
    assert!(health.text().await.unwrap().contains(r#""status":"ok""#));
    let missing = http()
        .get(format!("{base}/elsewhere"))
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), 404);
    assert_eq!(
        missing.headers()["content-type"],
        "application/problem+json"
    );
    assert!(app.terminate().success());
}

#[tokio::test]
async fn plain_http_answers_503_while_the_store_is_away() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let mut app = App::start(&nobody, &[("PORT", "0"), ("HOST", "127.0.0.1")]);
    let health = http()
        .get(format!("http://{}/api/health", app.address()))
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), 503);
}

#[tokio::test]
async fn a_wrong_configuration_ends_with_every_problem_named() {
    let mut app = App::start(
        "",
        &[
            ("PORT", "0"),
            ("TRUSTED_PROXIES", "many"),
            ("RESTIS_SERVICE_TOKEN", "short"),
        ],
    );
    assert!(!app.wait().success());
    let errors = app.errors();
    for name in [
        "UPSTASH_REDIS_REST_URL",
        "TRUSTED_PROXIES",
        "RESTIS_SERVICE_TOKEN",
    ] {
        assert!(errors.contains(name), "{name} is missing from: {errors}");
    }
}

#[tokio::test]
async fn vercel_is_told_of_the_start_and_of_each_requests_end() {
    let store = store();
    let mut host = FakeVercel::listen();
    let port = free_port().to_string();
    let _app = App::start(
        store.url(),
        &[
            ("VERCEL_IPC_PATH", &host.path()),
            ("VERCEL_DEV_PORT", &port),
        ],
    );
    let started = host.message("server-started").await;
    assert_eq!(started["payload"]["httpPort"].to_string(), port);
    let ping = http()
        .get(format!("http://127.0.0.1:{port}/_vercel/ping"))
        .send()
        .await
        .unwrap();
    assert_eq!(ping.text().await.unwrap(), "OK");
    let health = http()
        .get(format!("http://127.0.0.1:{port}/api/health"))
        .header("x-vercel-internal-invocation-id", "inv-1")
        .header("x-vercel-internal-request-id", "7")
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), 200);
    assert!(health.text().await.unwrap().contains(r#""status":"ok""#));
    let end = host.message("end").await;
    assert_eq!(
        end["payload"]["context"],
        json!({ "invocationId": "inv-1", "requestId": 7 })
    );
}

#[tokio::test]
async fn lambda_answers_every_kind_of_event() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let vars = [
        ("AWS_LAMBDA_RUNTIME_API", &*api.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", "app"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
        ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
    ];
    let _app = App::start(store.url(), &vars);
    let events = [
        lambda::v2("GET", "/api/health", "", &json!({})),
        lambda::v1("GET", "/api/health", &json!({})),
        lambda::alb("GET", "/api/health", &json!({})),
    ];
    for event in events {
        let answer = api.invoke_buffered(event).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert!(
            answer["body"]
                .as_str()
                .unwrap()
                .contains(r#""status":"ok""#),
            "{answer}"
        );
    }
    let missing = api
        .invoke_buffered(lambda::v2("GET", "/nowhere", "", &json!({})))
        .await;
    assert_eq!(missing["statusCode"], 404);
    assert_eq!(
        missing["headers"]["content-type"],
        "application/problem+json"
    );
}

#[tokio::test]
async fn no_header_or_address_ends_an_invocation() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let vars = [
        ("AWS_LAMBDA_RUNTIME_API", &*api.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", "app"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
    ];
    let _app = App::start(store.url(), &vars);
    let mut events = Vec::new();
    for host in [
        "",
        "a b",
        "a:99999",
        "[::1",
        "999.999.999.999",
        "a?b#c",
        "user@a",
        "ü",
    ] {
        let headers = json!({ "headers": { "host": host } });
        events.push((200, lambda::v2("GET", "/api/health", "", &headers)));
        events.push((200, lambda::v1("GET", "/api/health", &headers)));
        let several =
            json!({ "headers": { "host": host }, "multiValueHeaders": { "host": [host, host] } });
        events.push((200, lambda::alb("GET", "/api/health", &several)));
    }
    for scheme in ["", "ht tp", "ftp", "https, http"] {
        let headers = json!({ "headers": { "x-forwarded-proto": scheme } });
        events.push((200, lambda::v2("GET", "/api/health", "", &headers)));
        events.push((200, lambda::v1("GET", "/api/health", &headers)));
    }
    for query in ["q=a b", "q=<é>", "#", "\\^{|}\"", "%"] {
        events.push((200, lambda::v2("GET", "/api/health", query, &json!({}))));
        let queries = json!({ "queryStringParameters": { "q": query } });
        events.push((200, lambda::v1("GET", "/api/health", &queries)));
    }
    let long = "x".repeat(70_000);
    for path in ["*", ":99999999", "", &format!("/{long}")] {
        events.push((404, lambda::v2("GET", path, "", &json!({}))));
        events.push((404, lambda::v1("GET", path, &json!({}))));
        events.push((404, lambda::alb("GET", path, &json!({}))));
    }
    events.push((404, lambda::v2("GET", "/api/health", &long, &json!({}))));
    for (status, event) in events {
        let answer = api.invoke_buffered(event.clone()).await;
        let shown: String = event.to_string().chars().take(400).collect();
        assert_eq!(answer["statusCode"], status, "{shown}: {answer}");
    }
}

#[tokio::test]
async fn lambda_streams_where_the_platform_does() {
    let store = store();
    let mut api = lambda::FakeLambda::start().await;
    let vars = [
        ("AWS_LAMBDA_RUNTIME_API", &*api.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", "app"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
        ("LAMBDA_INVOKE_MODE", "RESPONSE_STREAM"),
    ];
    let _app = App::start(store.url(), &vars);
    let answer = api
        .invoke(lambda::v2("GET", "/api/health", "", &json!({})))
        .await;
    assert_eq!(
        answer.headers["lambda-runtime-function-response-mode"],
        "streaming"
    );
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let (prelude, body) = text.split_once("\0\0\0\0\0\0\0\0").unwrap();
    let prelude: serde_json::Value = serde_json::from_str(prelude).unwrap();
    assert_eq!(prelude["statusCode"], 200);
    assert!(body.contains(r#""status":"ok""#));
}
