//! What one request may take: time, and the turn of others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use restis_server::{Limits, Running, Server};
use support::*;

const ENDLESS: &str = "redis.call('PUBLISH', 'running', '1') while true do end";

fn server(request_time: Duration) -> Running {
    let mut limits = Limits::default();
    limits.request_time = request_time;
    let builder = Server::builder().token(TOKEN).token("OTHER").limits(limits);
    builder.bind("127.0.0.1:0").unwrap().spawn().unwrap()
}

fn five_scripts() -> String {
    serde_json::to_string(&vec![["EVAL", ENDLESS, "0"]; 5]).unwrap()
}

/// The events of the tenant whose scripts run, opened before they do.
fn running(server: &Running) -> Events {
    let mut events = Events::open(server.addr(), "GET", "/subscribe/running", &[AUTH], b"");
    events.expect("data: subscribe,running,1");
    events
}

#[test]
fn the_commands_of_a_request_share_one_time() {
    let limit = Duration::from_secs(1);
    let server = server(limit);
    for target in ["/pipeline", "/multi-exec"] {
        let started = Instant::now();
        let response = post(server.addr(), target, five_scripts());
        let took = started.elapsed();
        assert!(took >= limit && took < limit * 4, "{target} {took:?}");
        let items: Vec<serde_json::Value> = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(items.len(), 5);
        assert!(items.iter().all(|item| item["error"].is_string()));
    }
}

#[test]
fn a_client_that_is_gone_stops_its_commands() {
    let server = server(Duration::from_secs(600));
    let mut events = running(&server);
    for target in ["/pipeline", "/multi-exec"] {
        let mut gone = Connection::open(server.addr());
        gone.send("POST", target, &[AUTH], five_scripts().as_bytes());
        events.expect("data: message,running,1");
        drop(gone);
        // It waits for its turn, which comes when the scripts have ended.
        assert_eq!(command(server.addr(), &["PING"]), r#"{"result":"PONG"}"#);
    }
}

#[test]
fn another_tenant_is_served_while_a_script_runs() {
    let server = server(Duration::from_secs(600));
    let mut events = running(&server);
    let mut busy = Connection::open(server.addr());
    busy.send("POST", "/pipeline", &[AUTH], five_scripts().as_bytes());
    events.expect("data: message,running,1");
    let other = [("Authorization", "Bearer OTHER")];
    for (target, body) in [
        ("/", r#"["SET","k","v"]"#),
        ("/", r#"["EVAL","return 1","0"]"#),
        ("/pipeline", r#"[["KEYS","*"],["GET","k"]]"#),
        ("/multi-exec", r#"[["GET","k"]]"#),
    ] {
        let response = request(server.addr(), "POST", target, &other, body);
        assert_eq!(response.status, 200, "{target} {body}");
    }
    // It stops with its client, and the server with it.
    drop(busy);
    server.stop();
}
