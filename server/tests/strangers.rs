//! What those without a valid token, and single tenants, can take from others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use restis_engine::{Engine, Frame, Options, Sink};
use restis_server::{Limits, Server, Tenants};
use support::*;

struct Told(Mutex<mpsc::Sender<()>>);

impl Sink for Told {
    fn push(&self, frame: Frame) -> bool {
        if matches!(frame, Frame::Message { .. }) {
            let _ = self.0.lock().unwrap().send(());
        }
        true
    }
}

/// Runs a script in the engine that holds it for `seconds`; returns once it runs.
fn hold(engine: &Engine, seconds: u64) -> std::thread::JoinHandle<()> {
    let (sender, running) = mpsc::channel();
    let subscription = engine.subscribe(&["running"], &[], Arc::new(Told(Mutex::new(sender))));
    let engine = engine.clone();
    let thread = std::thread::spawn(move || {
        let script = "redis.call('PUBLISH', 'running', '1') while true do end";
        engine.call(&["EVAL", script, "0"]);
    });
    running
        .recv_timeout(Duration::from_secs(seconds * 10))
        .unwrap();
    drop(subscription);
    thread
}

#[test]
fn a_refusal_waits_for_no_database() {
    let limit = Duration::from_secs(3);
    let engine = Engine::new(Options::default().script_time_limit(limit));
    let token = |user: &str| {
        let reply = engine.call(&["ACL", "GENTOKEN", user]);
        match reply {
            restis_engine::Reply::Bulk(token) => String::from_utf8(token.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let unknown = token("nobody");
    let server = Server::builder().token(TOKEN).engine(engine.clone());
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let thread = hold(&engine, 3);
    let started = Instant::now();
    for guess in ["garbage", &unknown] {
        let auth = format!("Bearer {guess}");
        let headers = [("Authorization", auth.as_str())];
        let response = request(server.addr(), "POST", "/", &headers, r#"["PING"]"#);
        assert_eq!(response.status, 401);
    }
    assert!(started.elapsed() < limit / 3, "{:?}", started.elapsed());
    thread.join().unwrap();
}

#[test]
fn unfinished_heads_share_a_bound() {
    let mut limits = Limits::default();
    limits.heads_bytes = 400_000;
    let server = Server::builder().token(TOKEN).limits(limits);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let head = format!("GET /ping HTTP/1.1\r\nx: {}", "x".repeat(40_000));
    let mut open: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(server.addr()).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    // A quarter is for one address: three heads of 32 KB beyond what is free.
    eventually("the others are let go", || server.connections() == 3);
    assert_eq!(command(server.addr(), &["PING"]), r#"{"result":"PONG"}"#);
    let mut ended = 0;
    for stream in &mut open {
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let outcome = stream.read(&mut [0; 1]);
        ended += usize::from(!outcome.is_err_and(|error| error.kind() == WOULD_BLOCK));
    }
    assert_eq!(ended, 17);
}

const WOULD_BLOCK: std::io::ErrorKind = std::io::ErrorKind::WouldBlock;

#[test]
fn strangers_of_one_address_leave_connections_for_others() {
    let mut limits = Limits::default();
    limits.connections = 10;
    limits.header_timeout = Duration::from_secs(60);
    let server = Server::builder().token(TOKEN).limits(limits);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let _idle: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(server.addr()).unwrap())
        .collect();
    eventually("half is taken", || server.connections() == 5);
    let refused = Connection::open(server.addr()).receive(false);
    assert!(refused.is_err());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(server.addr()).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut other = Connection {
        reader: std::io::BufReader::new(stream),
    };
    let pong = other.request("POST", "/", &[AUTH], br#"["PING"]"#);
    assert_eq!(pong.text(), r#"{"result":"PONG"}"#);
}

#[test]
fn a_new_connection_must_ask_soon_and_a_known_one_may_wait() {
    let mut limits = Limits::default();
    limits.header_timeout = Duration::from_secs(2);
    let server = Server::builder().token(TOKEN).limits(limits);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let mut known = Connection::open(server.addr());
    known.request("POST", "/", &[AUTH], br#"["PING"]"#);
    let mut stranger = Connection::open(server.addr());
    stranger.request("POST", "/", &[], br#"["PING"]"#);
    let mut silent = TcpStream::connect(server.addr()).unwrap();
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
    eventually("strangers are gone", || server.connections() == 1);
    let pong = known.request("POST", "/", &[AUTH], br#"["PING"]"#);
    assert_eq!(pong.status, 200);
}

#[test]
fn one_tenant_cannot_take_all_streams() {
    let mut limits = Limits::default();
    limits.streams = 8;
    let mut tenants = Tenants::new();
    tenants.add(TOKEN, None);
    tenants.add_read_only("RO", 0).unwrap();
    tenants.add("OTHER", None);
    let server = Server::builder().tenants(tenants).limits(limits);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let open = |token: &str| {
        let auth = format!("Bearer {token}");
        let headers = [("Authorization", auth.as_str())];
        let events = Events::open(server.addr(), "GET", "/subscribe/a", &headers, b"");
        (events.head.status == 200).then_some(events)
    };
    let greedy: Vec<Events> = (0..20).filter_map(|_| open("RO")).collect();
    assert_eq!(greedy.len(), 4);
    assert!(open(TOKEN).is_none(), "the token is of the same database");
    assert!(open("OTHER").is_some());
}
