//! Transactions that race plain writes, on every backend.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::SocketAddr;

use restis_server::Server;
use support::redis::{ClusterProcess, RedisProcess};
use support::*;

/// 40 transactions against 200 plain writes: each transaction sees its own writes alone.
fn race(addr: SocketAddr) {
    std::thread::scope(|scope| {
        for number in 0..40 {
            scope.spawn(move || {
                let mine = format!("t{number}");
                let body = serde_json::json!([
                    ["SET", "{x}k", mine],
                    ["INCR", "{x}n"],
                    ["GET", "{x}k"],
                    ["INCR", "{x}n"],
                    ["GET", "{x}k"]
                ]);
                let response = post(addr, "/multi-exec", body.to_string());
                let items: Vec<serde_json::Value> = serde_json::from_slice(&response.body)
                    .unwrap_or_else(|_| panic!("{}", response.text()));
                assert_eq!(items[0]["result"], "OK", "{}", response.text());
                assert_eq!(items[2]["result"], mine.as_str(), "{}", response.text());
                assert_eq!(items[4]["result"], mine.as_str(), "{}", response.text());
                let (first, second) = (&items[1]["result"], &items[3]["result"]);
                assert_eq!(first.as_i64().unwrap() + 1, second.as_i64().unwrap());
            });
        }
        for writer in 0..10 {
            scope.spawn(move || {
                let mut connection = Connection::open(addr);
                for number in 0..20 {
                    let body = format!(r#"["SET","{{x}}k","w{writer}-{number}"]"#);
                    let response = connection.request("POST", "/", &[AUTH], body.as_bytes());
                    assert_eq!(response.text(), r#"{"result":"OK"}"#);
                }
            });
        }
    });
    assert_eq!(command(addr, &["GET", "{x}n"]), r#"{"result":"80"}"#);
}

#[test]
fn transactions_are_isolated_on_the_engine() {
    for threads in [1, 3] {
        let server = Server::builder()
            .token(TOKEN)
            .threads(threads)
            .bind("127.0.0.1:0")
            .unwrap();
        race(server.spawn().unwrap().addr());
    }
}

#[test]
fn transactions_are_isolated_on_a_redis() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    for threads in [1, 3] {
        redis.raw("FLUSHALL");
        let server = Server::builder()
            .redis(TOKEN, &redis.url())
            .threads(threads);
        race(server.bind("127.0.0.1:0").unwrap().spawn().unwrap().addr());
    }
}

#[test]
fn transactions_are_isolated_on_a_cluster() {
    let Some(cluster) = ClusterProcess::start() else {
        return;
    };
    let server = redis_server(&cluster.url());
    race(server.addr());
}

#[test]
fn killing_the_server_leaves_no_client_hanging() {
    let server = engine_server();
    let addr = server.addr();
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(move || {
                let Ok(mut connection) = Connection::try_open(addr) else {
                    return;
                };
                for _ in 0..20 {
                    connection.send("POST", "/", &[AUTH], br#"["INCR","n"]"#);
                    match connection.receive(false) {
                        Ok(response) => assert_eq!(response.status, 200),
                        Err(_) => return,
                    }
                }
            });
        }
        eventually("clients are connected", || server.connections() > 10);
        server.stop();
    });
}
