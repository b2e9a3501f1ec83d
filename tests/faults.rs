//! What goes wrong on a network, and what the client makes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::{future::IntoFuture as _, time::Duration};

use restis::{config::Builder, prelude::*};
use support::faults::{Fault, FaultServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const OK: Fault = Fault::Json(r#"{"result":"OK"}"#);
const ONE: Fault = Fault::Json(r#"{"result":1}"#);
const NIL: Fault = Fault::Json(r#"{"result":null}"#);

fn builder(server: &FaultServer) -> Builder {
    Redis::builder(server.url(), "TOKEN")
        .timeout(Duration::from_millis(1500))
        .breaker_failures(0)
}

/// What one fault does to a read and to a counter.
struct Verdict {
    kind: ErrorKind,
    delivery: Delivery,
    /// Requests for a read that is retried until it works.
    read_requests: usize,
    /// Requests for a counter; above 1 only if the first certainly did not run.
    incr_requests: usize,
}

/// The same for own connections and for a client that was handed in.
async fn check(fault: Fault, verdict: Verdict) {
    check_with(builder, fault.clone(), &verdict).await;
    #[cfg(all(feature = "reqwest", feature = "rustls"))]
    check_with(
        |server| builder(server).http_client(http_client()),
        fault,
        &verdict,
    )
    .await;
}

#[cfg(all(feature = "reqwest", feature = "rustls"))]
fn http_client() -> reqwest::Client {
    // The client was told to bring no TLS provider of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent("mine")
        .build()
        .unwrap()
}

async fn check_with(builder: impl Fn(&FaultServer) -> Builder, fault: Fault, verdict: &Verdict) {
    let name = format!("{fault:?}");
    // A read goes on until it works, where that helps.
    let server = FaultServer::start([fault.clone(), NIL]).await;
    let redis = builder(&server).build().unwrap();
    let read = redis.get::<String>("k").await;
    assert_eq!(
        server.requests(),
        verdict.read_requests,
        "read, {name}: {read:?}"
    );
    if verdict.read_requests > 1 {
        assert_eq!(read.unwrap(), None, "{name}");
    } else {
        assert_eq!(read.unwrap_err().kind(), verdict.kind, "{name}");
    }
    // A counter counts at most once.
    let server = FaultServer::start([fault.clone(), ONE]).await;
    let redis = builder(&server).build().unwrap();
    let counted = redis.incr("n").await;
    assert_eq!(
        server.requests(),
        verdict.incr_requests,
        "incr, {name}: {counted:?}"
    );
    if verdict.incr_requests > 1 {
        assert_eq!(counted.unwrap(), 1, "{name}");
    } else {
        let error = counted.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (verdict.kind, verdict.delivery),
            "{name}"
        );
        assert_eq!(
            (error.command(), error.attempts()),
            (Some("INCR"), 1),
            "{name}: {error:?}"
        );
    }
    // Every command of a batch gets the same verdict.
    let server = FaultServer::start([fault]).await;
    let redis = builder(&server).max_retries(0).build().unwrap();
    let (a, b) = tokio::join!(redis.get::<String>("k"), redis.incr("n"));
    let (a, b) = (a.unwrap_err(), b.unwrap_err());
    assert_eq!(server.requests(), 1, "{name}");
    assert_eq!(server.seen()[0].path(), "/pipeline");
    assert_eq!(
        (a.kind(), a.delivery()),
        (verdict.kind, verdict.delivery),
        "{name}"
    );
    assert_eq!(
        (b.kind(), b.delivery()),
        (verdict.kind, verdict.delivery),
        "{name}"
    );
}

const fn doubtful(kind: ErrorKind) -> Verdict {
    Verdict {
        kind,
        delivery: Delivery::MaybeExecuted,
        read_requests: 2,
        incr_requests: 1,
    }
}

const fn hopeless(kind: ErrorKind, delivery: Delivery) -> Verdict {
    Verdict {
        kind,
        delivery,
        read_requests: 1,
        incr_requests: 1,
    }
}

const fn refused(kind: ErrorKind) -> Verdict {
    Verdict {
        kind,
        delivery: Delivery::NotSent,
        read_requests: 2,
        incr_requests: 2,
    }
}

#[tokio::test]
async fn a_reset_before_the_headers() {
    check(Fault::Reset, doubtful(ErrorKind::Interrupted)).await;
}

#[tokio::test]
async fn a_reset_in_the_middle_of_the_body() {
    check(
        Fault::ResetMidBody(r#"{"result":null}"#),
        doubtful(ErrorKind::Interrupted),
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_is_not_http() {
    check(
        Fault::Raw(b"SSH-2.0-OpenSSH\r\n"),
        doubtful(ErrorKind::Interrupted),
    )
    .await;
}

#[tokio::test]
async fn a_caller_may_promise_that_repeating_does_no_harm() {
    let server = FaultServer::start([Fault::Reset, ONE]).await;
    let redis = builder(&server).build().unwrap();
    assert_eq!(redis.incr("n").idempotent().await.unwrap(), 1);
    assert_eq!(server.requests(), 2);
    // One promise does not cover the neighbours.
    let server = FaultServer::start([Fault::Reset, ONE]).await;
    let redis = builder(&server).build().unwrap();
    let (a, b) = tokio::join!(redis.incr("n").idempotent().into_future(), redis.incr("m"));
    assert!(a.is_err() && b.is_err());
    assert_eq!(server.requests(), 1);
    // Nor does a pipeline's promise end with its first command.
    let two = Fault::Json(r#"[{"result":1},{"result":2}]"#);
    let server = FaultServer::start([Fault::Reset, two]).await;
    let redis = builder(&server).build().unwrap();
    let mut p = redis.pipeline().idempotent();
    let (_, second) = (p.incr("n"), p.incr("n"));
    assert_eq!(p.exec().await.unwrap().take(second).unwrap(), 2);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn truncated_json() {
    let verdict = hopeless(ErrorKind::Protocol, Delivery::MaybeExecuted);
    check(Fault::Json(r#"{"result":nu"#), verdict).await;
}

#[tokio::test]
async fn an_empty_body() {
    check(
        Fault::Json(""),
        hopeless(ErrorKind::Protocol, Delivery::MaybeExecuted),
    )
    .await;
}

#[tokio::test]
async fn an_html_page() {
    let page = Fault::Answer(200, "content-type: text/html\r\n", "<html>Welcome</html>");
    check(page, hopeless(ErrorKind::Gateway, Delivery::MaybeExecuted)).await;
}

#[tokio::test]
async fn another_content_type_than_the_protocols() {
    let image = Fault::Answer(200, "content-type: image/png\r\n", r#"{"result":1}"#);
    let verdict = hopeless(ErrorKind::Gateway, Delivery::MaybeExecuted);
    check(image, verdict).await;
    // JSON that says to be RESP2.
    let bytes = "content-type: application/octet-stream\r\n";
    let verdict = hopeless(ErrorKind::Protocol, Delivery::MaybeExecuted);
    check(Fault::Answer(200, bytes, r#"{"result":1}"#), verdict).await;
}

#[tokio::test]
async fn gateway_errors() {
    const HTML: &str = "content-type: text/html; charset=utf-8\r\n";
    for status in [500, 502, 503, 504] {
        let page = Fault::Answer(status, HTML, "<html>Bad Gateway</html>");
        check(page, doubtful(ErrorKind::Gateway)).await;
    }
    // An address where no database is: it may be the proxy's word, after the database had its turn.
    for status in [404, 405, 410, 418] {
        let page = Fault::Answer(status, HTML, "<html>Not Found</html>");
        check(page, hopeless(ErrorKind::Gateway, Delivery::MaybeExecuted)).await;
    }
    check(
        Fault::Answer(530, HTML, "x"),
        hopeless(ErrorKind::Gateway, Delivery::MaybeExecuted),
    )
    .await;
}

#[tokio::test]
async fn unavailable_with_retry_after_is_a_refusal() {
    let page = Fault::Answer(503, "retry-after: 0\r\n", "");
    check(page, refused(ErrorKind::Gateway)).await;
}

#[tokio::test]
async fn too_many_requests() {
    let page = Fault::Answer(429, "retry-after: 0\r\n", "slow down");
    check(page, refused(ErrorKind::RateLimited)).await;
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_handed_to_the_caller() {
    let server = FaultServer::start([Fault::Answer(429, "retry-after: 30\r\n", "")]).await;
    let redis = builder(&server).build().unwrap();
    let error = redis.get::<String>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert!(error.is_unavailable());
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_wrong_token_is_never_tried_again() {
    let body = r#"{"error":"WRONGPASS invalid or missing auth token"}"#;
    let page = Fault::Answer(401, "content-type: application/json\r\n", body);
    check(page, hopeless(ErrorKind::Unauthorized, Delivery::Executed)).await;
    check(
        Fault::Answer(401, "", ""),
        hopeless(ErrorKind::Unauthorized, Delivery::Executed),
    )
    .await;
    check(
        Fault::Answer(403, "", ""),
        hopeless(ErrorKind::NoPermission, Delivery::Executed),
    )
    .await;
}

#[tokio::test]
async fn a_read_only_token_is_never_tried_again() {
    let body = r#"{"error":"NOPERM this user has no permissions to run the 'incr' command"}"#;
    let page = Fault::Answer(400, "content-type: application/json\r\n", body);
    let server = FaultServer::start([page]).await;
    let error = builder(&server)
        .build()
        .unwrap()
        .incr("n")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::NoPermission, Some("NOPERM"))
    );
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_server_upgrade_passes() {
    let body = r#"{"error":"READONLY Writes are temporarily rejected due to server upgrade"}"#;
    let page = Fault::Answer(400, "content-type: application/json\r\n", body);
    let server = FaultServer::start([page.clone(), page, ONE]).await;
    assert_eq!(
        builder(&server).build().unwrap().incr("n").await.unwrap(),
        1
    );
    assert_eq!(server.requests(), 3);
}

/// Own connections, and a client that was handed in where this build can make one.
fn carriers(server: &FaultServer) -> Vec<Builder> {
    vec![
        builder(server),
        #[cfg(all(feature = "reqwest", feature = "rustls"))]
        builder(server).http_client(http_client()),
    ]
}

#[tokio::test]
async fn another_number_of_replies_than_commands() {
    for body in [
        r#"[{"result":null}]"#,
        r#"[{"result":1},{"result":1},{"result":1}]"#,
        "[]",
    ] {
        let server = FaultServer::start([Fault::Json(body)]).await;
        for (done, builder) in carriers(&server).into_iter().enumerate() {
            let redis = builder.build().unwrap();
            let (a, b) = tokio::join!(redis.get::<String>("k"), redis.incr("n"));
            for error in [a.unwrap_err(), b.unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
                assert_eq!(error.delivery(), Delivery::MaybeExecuted, "{body}");
            }
            assert_eq!(server.requests(), done + 1, "{body}");
        }
    }
}

#[tokio::test]
async fn an_answer_one_byte_at_a_time() {
    const HELLO: &str = r#"{"result":"aGVsbG8="}"#;
    for fault in [Fault::Bytewise(HELLO), Fault::Chunked(HELLO)] {
        let server = FaultServer::start([fault]).await;
        for builder in carriers(&server) {
            let redis = builder.build().unwrap();
            for _ in 0..2 {
                let value: Option<String> = redis.get("k").await.unwrap();
                assert_eq!(value.as_deref(), Some("hello"));
            }
        }
    }
}

#[tokio::test]
async fn sizes_that_no_memory_holds_are_errors_also_without_a_limit() {
    const HEAD: &str = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\n";
    for framing in [
        "transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{\"result\":1}",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffe\r\n{\"result\":1}",
        "transfer-encoding: chunked\r\n\r\n1ffffffffffffffff\r\n{\"result\":1}",
        "content-length: 18446744073709551615\r\n\r\n{\"result\":1}",
        "content-length: 9223372036854775807\r\n\r\n{\"result\":1}",
    ] {
        let response: &[u8] = format!("{HEAD}{framing}").into_bytes().leak();
        let server = FaultServer::start([Fault::Raw(response)]).await;
        for builder in carriers(&server) {
            let redis = builder.max_reply_bytes(usize::MAX).build().unwrap();
            let error = redis.incr("n").await.unwrap_err();
            let expected = [ErrorKind::Interrupted, ErrorKind::TooLarge];
            assert!(expected.contains(&error.kind()), "{framing}: {error:?}");
            assert_eq!(error.delivery(), Delivery::MaybeExecuted, "{framing}");
        }
    }
}

#[tokio::test]
async fn an_oversized_reply() {
    const LONG: &str = r#"{"result":"aGVsbG8gd29ybGQ="}"#;
    for fault in [Fault::Json(LONG), Fault::Chunked(LONG), Fault::Stall(LONG)] {
        let server = FaultServer::start([fault]).await;
        for (done, builder) in carriers(&server).into_iter().enumerate() {
            let redis = builder.max_reply_bytes(20).build().unwrap();
            let error = redis.append("k", "x").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert_eq!(error.delivery(), Delivery::MaybeExecuted);
            assert_eq!(server.requests(), done + 1, "it may have run, and ran once");
        }
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_long_request_is_heard() {
    const REFUSAL: &[u8] = b"HTTP/1.1 413 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut connections = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            connections += 1;
            stream.read_exact(&mut [0; 100]).await.unwrap();
            stream.write_all(REFUSAL).await.unwrap();
            if connections == 2 {
                break;
            }
        }
    });
    let value = "x".repeat(30_000_000);
    for _ in 0..2 {
        let redis = Redis::builder(&*url, "TOKEN").timeout(Duration::from_secs(20));
        let error = redis.build().unwrap().append("k", &value).await;
        let error = error.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery(), error.status()),
            (ErrorKind::TooLarge, Delivery::NotSent, Some(413)),
            "{error}"
        );
    }
    serving.await.unwrap();
}

async fn times_out(fault: Fault) {
    let name = format!("{fault:?}");
    let server = FaultServer::start([fault]).await;
    for (done, builder) in carriers(&server).into_iter().enumerate() {
        let redis = builder.build().unwrap();
        let call = redis.incr("n");
        let error = call.timeout(Duration::from_millis(150)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{name}");
        assert_eq!(error.delivery(), Delivery::MaybeExecuted, "{name}");
        assert_eq!(server.requests(), done + 1, "{name}");
    }
}

#[tokio::test]
async fn silence_stalls_and_late_bytes_end_at_the_deadline() {
    times_out(Fault::Silence).await;
    times_out(Fault::Stall(r#"{"result":"aGVsbG8="}"#)).await;
    times_out(Fault::Late(Duration::from_secs(5), r#"{"result":1}"#)).await;
}

#[tokio::test]
async fn a_slow_first_byte_within_the_deadline_is_fine() {
    let late = Fault::Late(Duration::from_millis(50), r#"{"result":1}"#);
    let server = FaultServer::start([late]).await;
    assert_eq!(
        builder(&server).build().unwrap().incr("n").await.unwrap(),
        1
    );
}

/// An address where nothing listens.
async fn closed_port() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_refused_connection_is_retried_and_was_not_sent() {
    let url = closed_port().await;
    let redis = Redis::builder(url, "TOKEN").max_retries(2).build().unwrap();
    let error = redis.incr("n").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::Connect, Delivery::NotSent)
    );
    assert_eq!(error.attempts(), 3, "NotSent is retried even for a counter");
    assert_eq!(redis.metrics().snapshot().retries, 2);
}

#[tokio::test]
async fn no_retries_means_none() {
    let url = closed_port().await;
    let redis = Redis::builder(url, "TOKEN").max_retries(0).build().unwrap();
    assert_eq!(redis.incr("n").await.unwrap_err().attempts(), 1);
}

#[tokio::test]
async fn an_unknown_host_is_a_connect_error() {
    let redis = Redis::builder("http://no-such-host.invalid", "TOKEN").max_retries(0);
    let error = redis.build().unwrap().incr("n").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::Connect, Delivery::NotSent)
    );
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_failed_tls_handshake_is_a_connect_error() {
    let server = FaultServer::start([OK]).await;
    let url = server.url().replace("http:", "https:");
    let redis = Redis::builder(url, "TOKEN").max_retries(0).build().unwrap();
    let call = redis.incr("n");
    let error = call.timeout(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::Connect, Delivery::NotSent)
    );
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_client_in_a_static_outlives_the_runtimes_that_use_it() {
    let new_runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let serving = tokio::runtime::Runtime::new().unwrap();
    let server = serving.block_on(FaultServer::start([ONE]));
    let redis = builder(&server).max_retries(0).build().unwrap();
    for round in 1..=3 {
        // What one test, or one invocation, leaves behind must not disturb the next.
        let runtime = new_runtime();
        assert_eq!(runtime.block_on(redis.incr("n").into_future()).unwrap(), 1);
        let (a, b) = runtime.block_on(async { tokio::join!(redis.ping(), redis.incr("n")) });
        assert!(a.is_err() && b.is_err(), "one reply to two commands");
        assert_eq!(server.requests(), 2 * round);
    }
    // Nor does a call that ends with its runtime.
    let runtime = new_runtime();
    let lost = redis.clone();
    runtime.spawn(async move { lost.incr("n").await });
    runtime.block_on(tokio::task::yield_now());
    drop(runtime);
    let after = new_runtime().block_on(redis.incr("n").into_future());
    assert_eq!(after.unwrap(), 1);
}

#[tokio::test]
async fn the_breaker_opens_and_closes_again() {
    let bad = Fault::Answer(502, "", "");
    let server = FaultServer::start([bad.clone(), bad.clone(), bad, OK]).await;
    let redis = Redis::builder(server.url(), "TOKEN")
        .max_retries(0)
        .breaker_failures(3)
        .breaker_open_for(Duration::from_millis(50))
        .build()
        .unwrap();
    for _ in 0..3 {
        assert_eq!(
            redis.set("k", "v").await.unwrap_err().kind(),
            ErrorKind::Gateway
        );
    }
    let error = redis.set("k", "v").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::CircuitOpen, Delivery::NotSent)
    );
    assert!(error.is_unavailable());
    assert_eq!(server.requests(), 3);
    // Retry-After of the refusal says when to come back.
    tokio::time::sleep(error.retry_after().unwrap() + Duration::from_millis(1)).await;
    redis.set("k", "v").await.unwrap();
    redis.set("k", "v").await.unwrap();
    assert_eq!(redis.metrics().snapshot().breaker_opened, 1);
}

#[tokio::test]
async fn a_call_that_trips_the_breaker_tells_what_happened() {
    let bad = Fault::Answer(502, "", "");
    let server = FaultServer::start([bad]).await;
    let redis = Redis::builder(server.url(), "TOKEN").breaker_failures(2);
    let redis = redis.max_retries(5).build().unwrap();
    let error = redis.get::<String>("k").await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Gateway, 2));
    assert_eq!(server.requests(), 2);
    assert_eq!(redis.metrics().snapshot().retries, 1);
    let error = redis.get::<String>("k").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::CircuitOpen, 0)
    );
}

#[tokio::test]
async fn an_error_of_the_server_tells_how_it_came() {
    let wrong = r#"{"error":"WRONGTYPE of k"}"#;
    let json = "content-type: application/json\r\n";
    let server = FaultServer::start([
        Fault::Answer(503, "", ""),
        Fault::Answer(400, json, wrong),
        Fault::Json(r#"[{"result":"eA=="},{"error":"WRONGTYPE of k"}]"#),
    ])
    .await;
    let redis = builder(&server).build().unwrap();
    let error = redis.get::<String>("k").await.unwrap_err();
    assert_eq!((error.attempts(), error.status()), (2, Some(400)));
    let mut pipeline = redis.pipeline();
    let (bad, wrong) = (pipeline.get::<i64>("k"), pipeline.get::<i64>("k"));
    let mut replies = pipeline.exec().await.unwrap();
    let came = |error: restis::Error| (error.attempts(), error.status());
    assert_eq!(came(replies.take(bad).unwrap_err()), (1, Some(200)));
    assert_eq!(came(replies.take(wrong).unwrap_err()), (1, Some(200)));
}

#[tokio::test]
async fn a_long_value_that_is_not_text_is_the_body_wherever_it_stands() {
    let server = FaultServer::start([OK]).await;
    let redis = builder(&server).build().unwrap();
    let value = vec![0xff; 200_000];
    let options = SetOptions::new().nx().ex(Duration::from_secs(60));
    let _ = redis.set_with("k", &value, options).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].path(), "/SET/k?NX=EX&60");
    assert_eq!(seen[0].body, value);
    let error = redis.mset([("a", &value), ("b", &value)]).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn the_newest_sync_token_is_echoed_on_the_very_next_request() {
    let with = |token: &'static str| Fault::Answer(200, token, r#"{"result":"OK"}"#);
    let server = FaultServer::start([
        with("upstash-sync-token: a\r\n"),
        with("upstash-sync-token: b\r\n"),
        with(""),
        OK,
    ])
    .await;
    let redis = builder(&server).build().unwrap();
    for _ in 0..4 {
        redis.set("k", "v").await.unwrap();
    }
    let fork = redis.fork();
    fork.set("k", "v").await.unwrap();
    let seen = server.seen();
    let echoed: Vec<_> = seen
        .iter()
        .map(|s| s.header("upstash-sync-token"))
        .collect();
    assert_eq!(echoed, [None, Some("a"), Some("b"), Some("b"), Some("b")]);
    assert_eq!(redis.sync_token().unwrap().as_str(), "b");
}

#[tokio::test]
async fn bytes_that_are_not_text_travel_as_path_and_body() {
    let server = FaultServer::start([OK]).await;
    let redis = builder(&server).build().unwrap();
    let key: &[u8] = b"k/\xff ?#";
    let set = redis.set(key, &b"\x00\xfe"[..]);
    let (set, plain) = tokio::join!(set, redis.set("p", "v"));
    set.unwrap();
    plain.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].path(), "/SET/k%2F%FF%20%3F%23");
    assert_eq!(seen[0].body, b"\x00\xfe");
    assert_eq!(seen[1].text(), r#"["SET","p","v"]"#);
}

#[tokio::test]
async fn a_transaction_with_such_bytes_is_refused_unsent() {
    let server = FaultServer::start([OK]).await;
    let redis = builder(&server).build().unwrap();
    let mut t = redis.transaction();
    let _ = t.set("k", &b"\xff"[..]);
    let error = t.exec().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::InvalidInput, Delivery::NotSent)
    );
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn an_unknown_script_is_uploaded_once_inside_the_same_call() {
    static SCRIPT: Script = Script::new("return ARGV[1]");
    let unknown = r#"{"error":"NOSCRIPT No matching script. Please use EVAL."}"#;
    let server = FaultServer::start([
        Fault::Answer(400, "content-type: application/json\r\n", unknown),
        Fault::Json(r#"{"result":7}"#),
    ])
    .await;
    let redis = builder(&server).build().unwrap();
    assert_eq!(SCRIPT.arg(7).run::<i64>(&redis).await.unwrap(), 7);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    let by_hash = format!(r#"["EVALSHA","{}","0","7"]"#, SCRIPT.sha1());
    assert_eq!(seen[0].text(), by_hash);
    assert_eq!(seen[1].text(), r#"["EVAL","return ARGV[1]","0","7"]"#);
}

#[tokio::test]
async fn the_locking_flag_is_dropped_once_for_a_server_that_rejects_it() {
    static SCRIPT: Script = Script::new("return 1").key_locking();
    let json = "content-type: application/json\r\n";
    let unknown = r#"{"error":"NOSCRIPT No matching script. Please use EVAL."}"#;
    let rejected = r#"{"error":"ERR Unexpected flag in script shebang: allow-key-locking"}"#;
    let server = FaultServer::start([
        Fault::Answer(400, json, unknown),
        Fault::Answer(400, json, rejected),
        ONE,
    ])
    .await;
    let redis = builder(&server).build().unwrap();
    assert_eq!(SCRIPT.key("k").run::<i64>(&redis).await.unwrap(), 1);
    assert_eq!(SCRIPT.key("k").run::<i64>(&redis).await.unwrap(), 1);
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert!(
        seen[1]
            .text()
            .contains("#!lua flags=allow-key-locking\\nreturn 1")
    );
    assert_eq!(seen[2].text(), r#"["EVAL","return 1","1","k"]"#);
    assert_eq!(
        seen[3].text(),
        format!(r#"["EVALSHA","{}","1","k"]"#, SCRIPT.sha1())
    );
}

#[tokio::test]
async fn no_error_tells_a_token_or_a_value() {
    for fault in [
        Fault::Reset,
        Fault::Json("{"),
        Fault::Answer(401, "", ""),
        Fault::Silence,
    ] {
        let server = FaultServer::start([fault]).await;
        let redis = Redis::builder(server.url(), "S3CRET")
            .max_retries(0)
            .build()
            .unwrap();
        let call = redis.set("k", "V4LUE").timeout(Duration::from_millis(100));
        let error = call.await.unwrap_err();
        let mut text = format!("{error} {error:?} {redis:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(e) = source {
            text.extend([e.to_string(), format!("{e:?}")]);
            source = e.source();
        }
        assert!(
            !text.contains("S3CRET") && !text.contains("V4LUE"),
            "{text}"
        );
    }
}

#[cfg(all(feature = "reqwest", feature = "rustls"))]
#[tokio::test]
async fn a_ready_http_client_is_accepted() {
    let server = FaultServer::start([ONE]).await;
    let redis = builder(&server).http_client(http_client()).build().unwrap();
    assert_eq!(redis.incr("n").await.unwrap(), 1);
    assert_eq!(server.seen()[0].header("user-agent"), Some("mine"));
}

#[tokio::test]
async fn telemetry_is_the_sdks_and_can_be_switched_off() {
    let server = FaultServer::start([ONE]).await;
    builder(&server)
        .telemetry(true)
        .build()
        .unwrap()
        .incr("n")
        .await
        .unwrap();
    builder(&server)
        .telemetry(false)
        .build()
        .unwrap()
        .incr("n")
        .await
        .unwrap();
    let seen = server.seen();
    let sdk = |i: usize| seen[i].header("upstash-telemetry-sdk");
    assert!(sdk(0).unwrap().starts_with("restis@v"));
    assert_eq!(sdk(1), None);
}
