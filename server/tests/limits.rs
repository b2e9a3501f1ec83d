//! Limits, faults, CORS, the admin address, and how a server ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use restis_server::{Builder, Cors, Limits, Running, Server};
use support::*;

fn start(change: impl FnOnce(Builder) -> Builder) -> Running {
    let builder = change(Server::builder().token(TOKEN));
    builder.bind("127.0.0.1:0").unwrap().spawn().unwrap()
}

fn limited(change: impl FnOnce(&mut Limits)) -> Running {
    let mut limits = Limits::default();
    change(&mut limits);
    start(|builder| builder.limits(limits))
}

#[test]
fn large_requests_and_replies_are_refused() {
    let server = limited(|limits| {
        limits.request_bytes = 1000;
        limits.response_bytes = 500;
        limits.pipeline_commands = 3;
    });
    let addr = server.addr();
    let too_large = |limit: usize, actual: usize| {
        format!(
            "{{\"error\":\"ERR max request size exceeded. Limit: {limit} bytes, Actual: {actual} bytes. See https://upstash.com/docs/redis/troubleshooting/max_request_size_exceeded for details\"}}"
        )
    };
    let response = post(addr, "/set/k", vec![b'x'; 1001]);
    assert_eq!(
        (response.status, response.text()),
        (400, too_large(1000, 1001))
    );
    assert_eq!(post(addr, "/set/k", vec![b'x'; 700]).status, 200);
    let response = post(addr, "/get/k", "");
    assert_eq!(
        (response.status, response.text()),
        (400, too_large(500, 713))
    );
    command(addr, &["SET", "s", "v"]);
    // One command's reply is that command's error; the others have theirs.
    for target in ["/pipeline", "/multi-exec"] {
        let rows = r#"[["GET","k"],["INCR","n"],["GET","s"]]"#;
        let many = post(addr, target, rows);
        assert_eq!(many.status, 200);
        let items: Vec<serde_json::Value> = serde_json::from_slice(&many.body).unwrap();
        let error = items[0]["error"].as_str().unwrap();
        assert!(error.starts_with("ERR max request size exceeded. Limit: 500 bytes"));
        assert!(error.contains("was executed"), "{error}");
        assert_eq!((items.len(), &items[2]["result"]), (3, &"v".into()));
    }
    assert_eq!(post(addr, "/get/n", "").text(), r#"{"result":"2"}"#);
    let response = post(
        addr,
        "/pipeline",
        r#"[["PING"],["PING"],["PING"],["PING"]]"#,
    );
    assert_eq!(response.status, 400);
    assert!(
        response
            .text()
            .contains("Limit: 3 commands, Actual: 4 commands")
    );
}

#[test]
fn chunked_bodies_are_limited_too() {
    let server = limited(|limits| limits.request_bytes = 1000);
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream
        .write_all(b"POST /set/k HTTP/1.1\r\nhost: t\r\nauthorization: Bearer TOKEN\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        .unwrap();
    for _ in 0..20 {
        stream.write_all(b"64\r\n").unwrap();
        stream.write_all(&[b'x'; 100]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 400"), "{text}");
    assert!(
        text.contains("Limit: 1000 bytes, Actual: 2000 bytes"),
        "{text}"
    );
}

#[test]
fn slow_clients_are_let_go() {
    let server = limited(|limits| {
        limits.header_timeout = Duration::from_millis(100);
        limits.body_timeout = Duration::from_millis(100);
    });
    let mut head = TcpStream::connect(server.addr()).unwrap();
    head.write_all(b"GET /ping HTTP/1.1\r\nhost").unwrap();
    let mut text = Vec::new();
    let started = Instant::now();
    head.read_to_end(&mut text).unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    let mut connection = Connection::open(server.addr());
    connection
        .reader
        .get_mut()
        .write_all(b"POST / HTTP/1.1\r\nhost: t\r\nauthorization: Bearer TOKEN\r\ncontent-length: 10\r\n\r\n[")
        .unwrap();
    assert_eq!(connection.receive(false).unwrap().status, 408);
}

#[test]
fn faults_are_injected() {
    let server = start(|builder| builder.faults("off".parse().unwrap()));
    let with = |fault: &str| {
        let mut connection = Connection::open(server.addr());
        let headers = [AUTH, ("restis-fault", fault)];
        connection.send("POST", "/", &headers, br#"["INCR","n"]"#);
        connection.receive(false)
    };
    let error = with("error=100%").unwrap();
    assert_eq!(
        (error.status, error.text().as_str()),
        (500, r#"{"error":"ERR injected fault"}"#)
    );
    assert!(with("drop-before=100%").is_err());
    assert_eq!(command(server.addr(), &["GET", "n"]), r#"{"result":null}"#);
    assert!(with("drop-after=100%").is_err());
    assert_eq!(command(server.addr(), &["GET", "n"]), r#"{"result":"1"}"#);
    let started = Instant::now();
    assert_eq!(with("latency=80ms").unwrap().status, 200);
    assert!(started.elapsed() >= Duration::from_millis(80));
    assert_eq!(with("nonsense").unwrap().status, 400);
    let planned = start(|builder| builder.faults("error=100%".parse().unwrap()));
    assert_eq!(post(planned.addr(), "/ping", "").status, 500);
    let plain = engine_server();
    let headers = [AUTH, ("restis-fault", "error=100%")];
    assert_eq!(
        request(plain.addr(), "GET", "/ping", &headers, "").status,
        200
    );
}

#[test]
fn a_value_that_is_accepted_can_be_read_back() {
    let server = engine_server();
    let value = vec![b'\n'; Limits::default().request_bytes];
    assert_eq!(post(server.addr(), "/set/k", &value).status, 200);
    for header in [None, Some(BASE64), Some(RESP2)] {
        let headers: Vec<_> = [AUTH].into_iter().chain(header).collect();
        let response = request(server.addr(), "GET", "/get/k", &headers, "");
        assert_eq!(response.status, 200, "{header:?}");
        assert!(response.body.len() > value.len());
    }
}

#[test]
fn a_large_value_is_refused_before_it_is_written() {
    let server = engine_server();
    let addr = server.addr();
    assert_eq!(
        command(addr, &["SETRANGE", "big", "200000000", "x"]),
        r#"{"result":200000001}"#
    );
    let started = Instant::now();
    let reply = command(addr, &["GET", "big"]);
    assert!(
        reply.contains("Limit: 10485760 bytes, Actual: 200000014 bytes"),
        "{reply}"
    );
    let rows = serde_json::to_vec(&vec![["GET", "big"]; 400]).unwrap();
    let body = post(addr, "/pipeline", rows).text();
    assert_eq!(body.matches("max request size exceeded").count(), 400);
    // Written out it would be 100 GB.
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_panic_is_the_error_of_its_request() {
    let server = start(|builder| builder.token("OTHER").faults("off".parse().unwrap()));
    let addr = server.addr();
    assert_eq!(command(addr, &["SET", "k", "v"]), r#"{"result":"OK"}"#);
    let mut connection = Connection::open(addr);
    for _ in 0..3 {
        let headers = [AUTH, ("restis-fault", "panic=100%")];
        let response = connection.request("POST", "/", &headers, br#"["GET","k"]"#);
        assert_eq!(response.status, 500);
        assert!(
            response
                .text()
                .starts_with(r#"{"error":"ERR internal error"#)
        );
        let response = connection.request("POST", "/", &[AUTH], br#"["GET","k"]"#);
        assert_eq!(response.text(), r#"{"result":"v"}"#, "the database goes on");
    }
    let other = [("Authorization", "Bearer OTHER")];
    assert_eq!(request(addr, "GET", "/ping", &other, "").status, 200);
}

#[test]
fn cors_is_opt_in() {
    let origin = ("Origin", "https://app.example.com");
    let plain = engine_server();
    let response = request(plain.addr(), "GET", "/ping", &[AUTH, origin], "");
    assert_eq!(response.header("access-control-allow-origin"), None);
    let cors = Cors::new(["https://app.example.com"]).unwrap();
    let server = start(|builder| builder.cors(cors));
    let preflight = request(server.addr(), "OPTIONS", "/pipeline", &[origin], "");
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        Some(origin.1)
    );
    assert!(
        preflight
            .header("access-control-allow-headers")
            .unwrap()
            .contains("authorization")
    );
    let response = request(server.addr(), "GET", "/ping", &[AUTH, origin], "");
    assert_eq!(
        response.header("access-control-allow-origin"),
        Some(origin.1)
    );
    let other = ("Origin", "https://evil.example.com");
    let response = request(server.addr(), "GET", "/ping", &[AUTH, other], "");
    assert_eq!(response.header("access-control-allow-origin"), None);
    let denied = request(server.addr(), "GET", "/ping", &[origin], "");
    assert_eq!(denied.status, 401);
    assert!(denied.header("access-control-allow-origin").is_some());
}

#[test]
fn health_and_metrics_have_their_own_address() {
    let server = start(|builder| builder.admin("127.0.0.1:0".parse().unwrap()));
    let admin = server.admin_addr().unwrap();
    assert_ne!(admin, server.addr());
    post(
        server.addr(),
        "/pipeline",
        r#"[["SET","a","1"],["SET","b","1"]]"#,
    );
    request(server.addr(), "GET", "/ping", &[], "");
    let health = request(admin, "GET", "/health", &[], "");
    assert_eq!(health.status, 200);
    assert!(health.text().contains(r#""status":"ok""#));
    let metrics = request(admin, "GET", "/metrics", &[], "").text();
    for line in [
        "restis_requests_total{kind=\"pipeline\",status=\"2xx\"} 1",
        "restis_requests_total{kind=\"command\",status=\"401\"} 1",
        "restis_commands_total 2",
        "restis_keys{database=\"db0\"} 2",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    assert_eq!(request(admin, "GET", "/get/a", &[AUTH], "").status, 404);
    assert_eq!(request(admin, "POST", "/health", &[], "").status, 405);
}

#[test]
fn a_server_that_drains_is_not_ready_and_serves_on() {
    let server = start(|builder| builder.admin("127.0.0.1:0".parse().unwrap()));
    let admin = server.admin_addr().unwrap();
    let ask = |path: &str| {
        let answer = request(admin, "GET", path, &[], "");
        (answer.status, answer.text())
    };
    assert_eq!(ask("/ready").0, 200);
    server.drain();
    for path in ["/ready", "/health"] {
        let (status, text) = ask(path);
        assert_eq!(status, 503, "{path}");
        assert!(text.contains(r#""status":"draining""#), "{text}");
    }
    assert_eq!(ask("/live").0, 200);
    assert_eq!(post(server.addr(), "/", r#"["PING"]"#).status, 200);
}

#[test]
fn requests_in_flight_finish_at_shutdown() {
    let server = start(|builder| builder.faults("off".parse().unwrap()));
    let mut connection = Connection::open(server.addr());
    let headers = [AUTH, ("restis-fault", "latency=300ms")];
    connection.send("POST", "/", &headers, br#"["PING"]"#);
    eventually("the connection is served", || server.connections() == 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let response = connection.receive(false).unwrap();
            assert_eq!(response.text(), r#"{"result":"PONG"}"#);
        });
        server.stop();
    });
    assert!(TcpStream::connect(server.addr()).is_err());
}

#[test]
fn a_taken_address_is_one_sentence() {
    let server = engine_server();
    let error = Server::builder()
        .token("X")
        .bind(server.addr())
        .unwrap_err();
    assert!(error.is_address_in_use());
    let expected = format!(
        "{} is already in use by another program; choose another address",
        server.addr()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn several_threads_share_the_load() {
    let server = start(|builder| builder.threads(3));
    let addr = server.addr();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(move || {
                let mut connection = Connection::open(addr);
                for _ in 0..50 {
                    let response = connection.request("POST", "/", &[AUTH], br#"["INCR","n"]"#);
                    assert_eq!(response.status, 200);
                }
            });
        }
    });
    assert_eq!(command(addr, &["GET", "n"]), r#"{"result":"600"}"#);
    server.stop();
}

#[test]
fn a_key_that_is_too_long_is_that_commands_error() {
    let server = start(|builder| builder);
    let addr = server.addr();
    let key = "k".repeat(32 * 1024 + 1);
    let error = r#"{"error":"ERR max key size exceeded. Limit: 32768 bytes, Actual: 32769 bytes"}"#;
    let response = post(addr, "/", format!(r#"["SET","{key}","v"]"#));
    assert_eq!((response.status, response.text().as_str()), (400, error));
    let body = format!(r#"[["SET","a","1"],["MGET","a","{key}"],["GET","a"]]"#);
    let response = post(addr, "/pipeline", body);
    let wanted = format!(r#"[{{"result":"OK"}},{error},{{"result":"1"}}]"#);
    assert_eq!((response.status, response.text()), (200, wanted));
}
