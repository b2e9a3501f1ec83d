//! The client against canned HTTP answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use restis::prelude::*;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string, header, method, path},
};

#[tokio::test]
async fn get_decodes_base64() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/"))
        .and(header("authorization", "Bearer TOKEN"))
        .and(header("upstash-encoding", "base64"))
        .and(body_string(r#"["GET","k"]"#))
        .respond_with(
            ResponseTemplate::new(200).set_body_raw(r#"{"result":"aGk="}"#, "application/json"),
        )
        .expect(1)
        .mount(&server)
        .await;
    let redis = Redis::builder(server.uri(), "TOKEN").build().unwrap();
    assert_eq!(
        redis.get::<String>("k").await.unwrap().as_deref(),
        Some("hi")
    );
}

#[tokio::test]
async fn a_pipeline_keeps_errors_apart() {
    let server = MockServer::start().await;
    Mock::given(path("/pipeline"))
        .and(body_string(r#"[["INCR","n"],["GET","s"]]"#))
        .respond_with(ResponseTemplate::new(200).set_body_raw(
            r#"[{"error":"WRONGTYPE Operation against a key"},{"result":"aGk="}]"#,
            "application/json",
        ))
        .expect(1)
        .mount(&server)
        .await;
    let redis = Redis::builder(server.uri(), "TOKEN").build().unwrap();
    let mut p = redis.pipeline();
    let (n, s) = (p.incr("n"), p.get::<String>("s"));
    let mut replies = p.exec().await.unwrap();
    let error = replies.take(n).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(error.command(), Some("INCR"));
    assert_eq!(replies.take(s).unwrap().as_deref(), Some("hi"));
}
