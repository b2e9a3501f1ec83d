//! Subscriptions and the monitor feed as server-sent events.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use restis_server::{Limits, Server};
use support::redis::RedisProcess;
use support::*;

const ACCEPT: (&str, &str) = ("Accept", "text/event-stream");

fn both(test: impl Fn(SocketAddr)) {
    let server = engine_server();
    test(server.addr());
    server.stop();
    if let Some(redis) = RedisProcess::start(&[]) {
        let server = redis_server(&redis.url());
        test(server.addr());
        server.stop();
    }
}

#[test]
fn subscribers_get_messages() {
    both(|addr| {
        for method in ["GET", "POST"] {
            let mut events = Events::open(
                addr,
                method,
                "/subscribe/chat/c%2F2",
                &[AUTH, ACCEPT, BASE64],
                b"",
            );
            assert_eq!(events.head.status, 200);
            assert_eq!(
                events.head.header("content-type"),
                Some("text/event-stream")
            );
            assert!(events.head.header("upstash-sync-token").is_some());
            events.expect("data: subscribe,chat,1");
            events.expect("data: subscribe,c/2,2");
            assert_eq!(
                command(addr, &["PUBLISH", "chat", "hello, world"]),
                r#"{"result":1}"#
            );
            events.expect("data: message,chat,hello, world");
            let published = request(addr, "POST", "/publish/c%2F2", &[AUTH], b"raw \xff");
            assert_eq!(published.text(), r#"{"result":1}"#);
            events.expect(b"data: message,c/2,raw \xff");
            command(addr, &["PUBLISH", "chat", "two\nlines"]);
            events.expect("data: message,chat,two\ndata: lines");
            drop(events);
            eventually("the subscription is gone", || {
                command(addr, &["PUBLISH", "chat", "x"]) == r#"{"result":0}"#
            });
        }
    });
}

#[test]
fn base64_streams_carry_any_bytes() {
    both(|addr| {
        let headers = [AUTH, ACCEPT, ("restis-stream-encoding", "base64")];
        let mut events = Events::open(addr, "GET", "/psubscribe/news.*", &headers, b"");
        assert_eq!(events.head.header("restis-stream-encoding"), Some("base64"));
        events.expect("data: psubscribe,bmV3cy4q,1");
        let target = "/publish/news.a%2Cb";
        request(addr, "POST", target, &[AUTH], b"a\r\nb\0\xff");
        events.expect("data: pmessage,bmV3cy4q,bmV3cy5hLGI=,YQ0KYgD/");
        let other = [AUTH, ("restis-stream-encoding", "gzip")];
        assert_eq!(request(addr, "GET", "/subscribe/a", &other, "").status, 400);
    });
}

#[test]
fn a_body_of_the_official_client_is_ignored() {
    let server = engine_server();
    let mut events = Events::open(
        server.addr(),
        "POST",
        "/subscribe/chat",
        &[AUTH, ACCEPT],
        b"[]",
    );
    events.expect("data: subscribe,chat,1");
}

#[test]
fn patterns() {
    both(|addr| {
        let mut events = Events::open(addr, "POST", "/psubscribe/user:*", &[AUTH, ACCEPT], b"[]");
        events.expect("data: psubscribe,user:*,1");
        command(addr, &["PUBLISH", "other", "x"]);
        command(addr, &["PUBLISH", "user:7", "hi"]);
        events.expect("data: pmessage,user:*,user:7,hi");
    });
}

#[test]
fn subscriptions_need_a_name() {
    let server = engine_server();
    for target in ["/subscribe", "/subscribe/", "/psubscribe"] {
        let response = request(server.addr(), "POST", target, &[AUTH, ACCEPT], "");
        assert_eq!(response.status, 400, "{target}");
        assert!(response.text().contains("wrong number of arguments"));
    }
}

#[test]
fn the_monitor_needs_an_accept_header() {
    both(|addr| {
        let response = request(addr, "POST", "/monitor", &[AUTH], "");
        assert_eq!(response.status, 400);
        let mut events = Events::open(addr, "POST", "/monitor", &[AUTH, ACCEPT], b"");
        events.expect("data: \"OK\"");
        command(addr, &["SET", "seen", "v"]);
        let event = events.next().unwrap();
        let event = String::from_utf8_lossy(&event).into_owned();
        assert!(
            event.starts_with("data: ") && event.contains("\"SET\" \"seen\" \"v\""),
            "{event}"
        );
    });
}

#[test]
fn streams_are_kept_alive_and_end_at_shutdown() {
    let mut limits = Limits::default();
    limits.stream_keep_alive = Duration::from_millis(20);
    let server = Server::builder()
        .token(TOKEN)
        .limits(limits)
        .bind("127.0.0.1:0")
        .unwrap();
    let server = server.spawn().unwrap();
    let mut events = Events::open(server.addr(), "GET", "/subscribe/chat", &[AUTH], b"");
    events.expect("data: subscribe,chat,1");
    events.expect(": keep-alive");
    events.expect(": keep-alive");
    let handle = server.stop_handle();
    handle.stop();
    while events.next().is_some() {}
    server.wait();
}

#[test]
fn streams_are_limited() {
    let mut limits = Limits::default();
    limits.streams = 1;
    let server = Server::builder()
        .token(TOKEN)
        .limits(limits)
        .bind("127.0.0.1:0")
        .unwrap();
    let server = server.spawn().unwrap();
    let mut first = Events::open(server.addr(), "GET", "/subscribe/a", &[AUTH], b"");
    first.expect("data: subscribe,a,1");
    let second = request(server.addr(), "GET", "/subscribe/a", &[AUTH], "");
    assert_eq!(second.status, 503);
    drop(first);
    eventually("the place is free again", || {
        let events = Events::open(server.addr(), "GET", "/subscribe/a", &[AUTH], b"");
        events.head.status == 200
    });
}

#[test]
fn a_subscriber_that_never_reads_is_let_go() {
    let redis = RedisProcess::start(&[]);
    let url = redis.as_ref().map(RedisProcess::url);
    for url in [None, url] {
        let mut limits = Limits::default();
        limits.stream_backlog_bytes = 5 << 20;
        limits.write_timeout = Duration::from_millis(200);
        let builder = Server::builder().limits(limits);
        let builder = match &url {
            None => builder.token(TOKEN),
            Some(url) => builder.redis(TOKEN, url),
        };
        let server = builder.bind("127.0.0.1:0").unwrap().spawn().unwrap();
        let mut events = Events::open(server.addr(), "GET", "/subscribe/a", &[AUTH], b"");
        events.expect("data: subscribe,a,1");
        // Sockets buffer some megabytes before the server notices.
        let big = "x".repeat(4_000_000);
        eventually("the subscriber is gone", || {
            command(server.addr(), &["PUBLISH", "a", &big]) == r#"{"result":0}"#
        });
        // What the server has already begun to write would stay in memory otherwise.
        eventually("its connection is gone", || server.connections() == 0);
    }
}

#[test]
fn a_client_that_reads_no_answer_is_cut_off() {
    let mut limits = Limits::default();
    limits.write_timeout = Duration::from_millis(200);
    let server = Server::builder()
        .token(TOKEN)
        .limits(limits)
        .bind("127.0.0.1:0")
        .unwrap();
    let server = server.spawn().unwrap();
    let value = "x".repeat(8_000_000);
    command(server.addr(), &["SET", "k", &value]);
    let mut lazy = Connection::open(server.addr());
    let mut quick = Connection::open(server.addr());
    for _ in 0..8 {
        lazy.send("GET", "/get/k", &[AUTH], b"");
    }
    eventually("only the other connection is left", || {
        let response = quick.request("GET", "/get/k", &[AUTH], b"");
        assert_eq!(response.body.len(), value.len() + 13);
        server.connections() == 1
    });
}
