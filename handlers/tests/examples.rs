//! The examples, as built programs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use http::StatusCode;
use restis::{Redis, commands::StringCommands as _};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};
use support::{SERVICE_TOKEN, lambda};

/// A started example, ended when dropped.
struct Example(Child);

impl Example {
    fn start(name: &str, vars: &[(&str, &str)]) -> Self {
        let directory = Path::new(env!("CARGO_BIN_EXE_app")).parent().unwrap();
        let path = directory.join("examples").join(name);
        // `cargo test` has built it, unless it was told to build a part only.
        if !path.exists() {
            let built = Command::new(env!("CARGO"))
                .args(["build", "--package", "restis-handlers", "--example", name])
                .status();
            assert!(built.unwrap().success());
        }
        let child = Command::new(path)
            .env_clear()
            .envs(vars.iter().copied())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    fn first_line(&mut self) -> String {
        let mut line = String::new();
        let output = self.0.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_axum_application_signs_in_limits_and_has_the_mounted_group() {
    let store = support::store();
    let redis = Redis::builder(store.url(), "TOKEN").build().unwrap();
    redis.set("notice", "closed on Sunday").await.unwrap();
    let mut example = Example::start(
        "axum_app",
        &[
            ("ADDRESS", "127.0.0.1:0"),
            ("UPSTASH_REDIS_REST_URL", store.url()),
            ("UPSTASH_REDIS_REST_TOKEN", "TOKEN"),
            ("RESTIS_SERVICE_TOKEN", SERVICE_TOKEN),
        ],
    );
    let url = example.first_line();
    let http = support::http();
    let same_site = ("sec-fetch-site", "same-origin");

    let me = http.get(format!("{url}/me")).send().await.unwrap();
    assert_eq!(me.status(), StatusCode::UNAUTHORIZED);

    let login = http
        .post(format!("{url}/login"))
        .header(same_site.0, same_site.1);
    let login = login
        .header("content-type", "application/json")
        .body(r#"{"user":"ada"}"#);
    let login = login.send().await.unwrap();
    assert_eq!(login.status(), StatusCode::NO_CONTENT);
    assert!(login.headers().contains_key("ratelimit"));
    let cookie = login.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();

    let me = || http.get(format!("{url}/me")).header("cookie", &cookie);
    let body: Value =
        serde_json::from_str(&me().send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(body, json!({ "user": "ada", "notice": "closed on Sunday" }));

    let logout = http
        .post(format!("{url}/logout"))
        .header(same_site.0, same_site.1);
    let logout = logout.header("cookie", &cookie).send().await.unwrap();
    assert_eq!(logout.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        me().send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );

    let check = || {
        let request = http.post(format!("{url}/api/ratelimit"));
        let request = request.header("content-type", "application/json");
        request.body(r#"{"identifier":"ada"}"#)
    };
    let decision = check().bearer_auth(SERVICE_TOKEN).send().await.unwrap();
    assert_eq!(decision.status(), StatusCode::OK);
    assert!(decision.headers().contains_key("x-request-id"));
    assert_eq!(
        check().send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    // Only this group is there.
    let other = http.get(format!("{url}/api/session")).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_lambda_function_limits_by_the_address_that_aws_saw() {
    let store = support::store();
    let redis = Redis::builder(store.url(), "TOKEN").build().unwrap();
    redis.set("greeting", "good morning").await.unwrap();
    let mut runtime = lambda::FakeLambda::start().await;
    let _example = Example::start(
        "lambda_custom",
        &[
            ("UPSTASH_REDIS_REST_URL", store.url()),
            ("UPSTASH_REDIS_REST_TOKEN", "TOKEN"),
            ("AWS_LAMBDA_RUNTIME_API", &runtime.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "custom"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "-"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "-"),
        ],
    );
    for left in ["1", "0"] {
        let answer = runtime
            .invoke_buffered(lambda::v2("GET", "/", "", &json!({})))
            .await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        assert_eq!(answer["body"], "good morning");
        assert_eq!(answer["headers"]["x-ratelimit-remaining"], left, "{answer}");
    }
    let answer = runtime
        .invoke_buffered(lambda::v1("GET", "/", &json!({})))
        .await;
    assert_eq!(answer["statusCode"], 429, "{answer}");
    let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(problem["code"], "rate-limited");
}
