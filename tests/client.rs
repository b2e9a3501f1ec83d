//! The client against canned HTTP answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use restis::{prelude::*, transport::Encoding};
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

/// Answers every request the same way.
async fn answering(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(status).set_body_raw(body, content_type))
        .mount(&server)
        .await;
    server
}

fn client(server: &MockServer) -> Redis {
    Redis::builder(server.uri(), "TOKEN")
        .max_retries(0)
        .build()
        .unwrap()
}

#[tokio::test]
async fn every_json_result_is_understood_with_and_without_base64() {
    let text = |s: &str| Reply::Bulk(s.to_owned().into());
    for (encoding, body, reply) in [
        (Encoding::Base64, r#"{"result":"OK"}"#, Reply::OK),
        (Encoding::Base64, r#"{"result":"UE9ORw=="}"#, text("PONG")),
        (Encoding::Base64, r#"{"result":null}"#, Reply::Nil),
        (Encoding::Base64, r#"{"result":-7}"#, Reply::Int(-7)),
        (
            Encoding::Base64,
            r#"{"result":9223372036854775807}"#,
            Reply::Int(i64::MAX),
        ),
        (
            Encoding::Base64,
            r#"{ "result" : [] }"#,
            Reply::Array(vec![]),
        ),
        (
            Encoding::Base64,
            r#"{"result":["T0s=",null,[1,["eA=="]]]}"#,
            Reply::Array(vec![
                text("OK"),
                Reply::Nil,
                Reply::Array(vec![Reply::Int(1), Reply::Array(vec![text("x")])]),
            ]),
        ),
        (
            Encoding::Plain,
            r#"{"result":"UE9ORw=="}"#,
            text("UE9ORw=="),
        ),
        (
            Encoding::Plain,
            r#"{"result":"\u00e4\ud83d\ude00\n"}"#,
            text("ä😀\n"),
        ),
        (
            Encoding::Plain,
            r#"{"result":["a",2,null]}"#,
            Reply::Array(vec![text("a"), Reply::Int(2), Reply::Nil]),
        ),
    ] {
        let server = answering(200, "application/json", body).await;
        let redis = Redis::builder(server.uri(), "TOKEN")
            .encoding(encoding)
            .build()
            .unwrap();
        let got: Reply = redis.command("ANY").query().await.unwrap();
        let same = match (&got, &reply) {
            (Reply::Status(a) | Reply::Bulk(a), Reply::Status(b) | Reply::Bulk(b)) => a == b,
            (a, b) => a == b,
        };
        assert!(same, "{encoding:?} {body}: {got:?}");
    }
}

#[tokio::test]
async fn integers_too_large_for_a_number_stay_exact() {
    for body in [
        r#"{"result":"MTcwMTQxMTgzNDYwNDY5MjMxNzMxNjg3MzAzNzE1ODg0MTA1NzI3"}"#,
        r#"{"result":170141183460469231731687303715884105727}"#,
    ] {
        let server = answering(200, "application/json", body).await;
        let n: i128 = client(&server).command("ANY").query().await.unwrap();
        assert_eq!(n, i128::MAX, "{body}");
    }
}

#[tokio::test]
async fn resp2_is_understood_by_its_content_type() {
    for (body, reply) in [
        ("+OK\r\n", Reply::OK),
        (":5\r\n", Reply::Int(5)),
        ("$-1\r\n", Reply::Nil),
        ("*-1\r\n", Reply::Nil),
        ("$2\r\n\u{0}\u{1}\r\n", Reply::Bulk(vec![0, 1].into())),
        (
            "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            Reply::Array(vec![
                Reply::Bulk("a".into()),
                Reply::Array(vec![Reply::Int(1)]),
            ]),
        ),
    ] {
        let server = answering(200, "application/octet-stream", body).await;
        let redis = Redis::builder(server.uri(), "TOKEN")
            .encoding(Encoding::Resp2)
            .build()
            .unwrap();
        let got: Reply = redis.command("ANY").query().await.unwrap();
        assert_eq!(got, reply, "{body:?}");
        let asked = &server.received_requests().await.unwrap()[0];
        assert_eq!(asked.headers["upstash-response-format"], "resp2");
        assert!(!asked.headers.contains_key("upstash-encoding"));
    }
    let server = answering(400, "application/octet-stream", "-WRONGTYPE Operation\r\n").await;
    let redis = Redis::builder(server.uri(), "TOKEN")
        .encoding(Encoding::Resp2)
        .build()
        .unwrap();
    let error = redis.get::<String>("k").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::WrongType, Some("WRONGTYPE"))
    );
}

#[tokio::test]
async fn every_status_and_error_body_has_its_kind() {
    let json = "application/json";
    for (status, content_type, body, kind, code) in [
        (
            400,
            json,
            r#"{"error":"ERR wrong number of arguments for 'get' command"}"#,
            ErrorKind::Server,
            Some("ERR"),
        ),
        (
            400,
            json,
            r#"{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"}"#,
            ErrorKind::WrongType,
            Some("WRONGTYPE"),
        ),
        (
            400,
            json,
            r#"{"error":"NOSCRIPT No matching script. Please use EVAL."}"#,
            ErrorKind::NoScript,
            Some("NOSCRIPT"),
        ),
        (
            400,
            json,
            r#"{"error":"NOPERM this user has no permissions to run the 'set' command"}"#,
            ErrorKind::NoPermission,
            Some("NOPERM"),
        ),
        (
            401,
            json,
            r#"{"error":"WRONGPASS invalid or missing auth token"}"#,
            ErrorKind::Unauthorized,
            None,
        ),
        (401, "text/plain", "", ErrorKind::Unauthorized, None),
        (405, "text/plain", "", ErrorKind::Gateway, None),
        (
            502,
            "text/html",
            "<html>Bad Gateway</html>",
            ErrorKind::Gateway,
            None,
        ),
        (
            403,
            "text/plain",
            "error code: 1003",
            ErrorKind::NoPermission,
            None,
        ),
        (
            429,
            json,
            r#"{"error":"ERR max daily request limit exceeded"}"#,
            ErrorKind::RateLimited,
            None,
        ),
    ] {
        let server = answering(status, content_type, body).await;
        let error = client(&server).get::<String>("k").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}: {error:?}");
        assert_eq!(error.status(), Some(status));
        if let Some(code) = code {
            assert_eq!(error.code(), Some(code), "{status} {body}");
        }
        assert_eq!(
            server.received_requests().await.unwrap().len(),
            1,
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_envelope_is_a_typed_error() {
    for body in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"result":1,}"#,
        r#"{"other":1}"#,
        "<html>",
        r#"{"result":"%%%"}"#,
    ] {
        let server = answering(200, "application/json", body).await;
        let error = client(&server).get::<String>("k").await.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Protocol | ErrorKind::Gateway | ErrorKind::Decode
            ),
            "{body}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_discarded_transaction_is_one_error_and_a_failed_command_only_its_own() {
    let server = answering(
        400,
        "application/json",
        r#"{"error":"EXECABORT Transaction discarded because of previous errors."}"#,
    )
    .await;
    let mut transaction = client(&server).transaction();
    let _ = transaction.incr("n");
    let error = transaction.exec().await.unwrap_err();
    assert_eq!(error.code(), Some("EXECABORT"));
    let asked = &server.received_requests().await.unwrap()[0];
    assert_eq!(
        (asked.url.path(), asked.body.as_slice()),
        ("/multi-exec", &br#"[["INCR","n"]]"#[..])
    );
    let server = answering(
        200,
        "application/json",
        r#"[{"result":1},{"error":"ERR value is not an integer or out of range"}]"#,
    )
    .await;
    let mut transaction = client(&server).transaction();
    let (good, bad) = (transaction.incr("n"), transaction.incr("s"));
    let mut replies = transaction.exec().await.unwrap();
    assert_eq!(replies.take(good).unwrap(), 1);
    assert_eq!(replies.take(bad).unwrap_err().kind(), ErrorKind::Server);
}

#[tokio::test]
async fn a_base_path_and_slashes_at_its_end_are_kept_apart() {
    for (suffix, expected) in [
        ("", "/"),
        ("/", "/"),
        ("/redis", "/redis"),
        ("/redis/", "/redis"),
    ] {
        let server = answering(200, "application/json", r#"{"result":null}"#).await;
        let redis = Redis::builder(format!("{}{suffix}", server.uri()), "TOKEN")
            .build()
            .unwrap();
        redis.get::<String>("k").await.unwrap();
        let path = server.received_requests().await.unwrap()[0]
            .url
            .path()
            .to_owned();
        assert!(
            path == expected || path == format!("{expected}/"),
            "{suffix}: {path}"
        );
        let mut pipeline = redis.pipeline();
        let _ = (pipeline.get::<String>("a"), pipeline.get::<String>("b"));
        let _ = pipeline.exec().await;
        let path = server.received_requests().await.unwrap()[1]
            .url
            .path()
            .to_owned();
        assert_eq!(
            path,
            format!("{}/pipeline", expected.trim_end_matches('/')),
            "{suffix}"
        );
    }
}
