//! Requests that nobody sends on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use support::*;

/// A small generator with a fixed seed: failures repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

const COMMANDS: [&str; 24] = [
    "SET", "GET", "LPUSH", "LRANGE", "HSET", "HGETALL", "ZADD", "ZRANGE", "XADD", "XRANGE", "EVAL",
    "SCAN", "SETRANGE", "BITFIELD", "GEOADD", "PFADD", "JSON.SET", "JSON.GET", "EXPIRE", "SORT",
    "FUNCTION", "ACL", "OBJECT", "CONFIG",
];
const ARGUMENTS: [&str; 24] = [
    "\"k\"",
    "\"\"",
    "0",
    "-1",
    "1",
    "9223372036854775807",
    "-9223372036854775808",
    "1e400",
    "nan",
    "\"nan\"",
    "\"*\"",
    "\"(\"",
    "\"[\"",
    "\"+\"",
    "\"$\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "true",
    "null",
    "[]",
    "{}",
    "\"return redis.call(ARGV[1])\"",
    "\"18446744073709551616\"",
    "\"BYSCORE\"",
];

#[test]
fn random_commands_always_get_an_answer() {
    let server = engine_server();
    let mut random = Random(0x5EED);
    let mut connection = Connection::open(server.addr());
    for _ in 0..4_000 {
        let mut row = vec![format!("\"{}\"", COMMANDS[random.below(COMMANDS.len())])];
        for _ in 0..random.below(7) {
            row.push(ARGUMENTS[random.below(ARGUMENTS.len())].to_owned());
        }
        let row = format!("[{}]", row.join(","));
        let (target, body) = match random.below(4) {
            0 => ("/pipeline", format!("[{row},{row}]")),
            1 => ("/multi-exec", format!("[{row}]")),
            _ => ("/", row),
        };
        let response = connection.request("POST", target, &[AUTH], body.as_bytes());
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&response.body);
        assert!(parsed.is_ok(), "{target} {body}: {}", response.text());
        assert!(matches!(response.status, 200 | 400), "{target} {body}");
    }
    assert_eq!(command(server.addr(), &["PING"]), r#"{"result":"PONG"}"#);
}

#[test]
fn random_bytes_do_no_harm() {
    let server = engine_server();
    let mut random = Random(0xBAD);
    for round in 0..300 {
        let mut bytes: Vec<u8> = match round % 3 {
            0 => Vec::new(),
            1 => b"POST / HTTP/1.1\r\nauthorization: Bearer TOKEN\r\ncontent-length: 40\r\n\r\n"
                .to_vec(),
            _ => b"GET /".to_vec(),
        };
        bytes.extend((0..random.below(200)).map(|_| random.next() as u8));
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    assert_eq!(command(server.addr(), &["PING"]), r#"{"result":"PONG"}"#);
}

#[test]
fn nothing_is_answered_to_a_request_cut_short() {
    let server = engine_server();
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nauthorization: Bearer TOKEN\r\ncontent-length: 100\r\n\r\n[\"SET\",\"cut\",\"1\"]")
        .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(
        command(server.addr(), &["GET", "cut"]),
        r#"{"result":null}"#
    );
}

#[test]
fn requests_may_be_sent_ahead() {
    let server = engine_server();
    let mut connection = Connection::open(server.addr());
    for _ in 0..50 {
        connection.send("POST", "/", &[AUTH], br#"["INCR","n"]"#);
    }
    for number in 1..=50 {
        let response = connection.receive(false).unwrap();
        assert_eq!(response.text(), format!("{{\"result\":{number}}}"));
    }
}

#[test]
fn deeply_nested_values_end_no_thread() {
    let server = engine_server();
    let nested = |levels: &str| {
        let unpack = r"return cmsgpack.unpack(string.rep('\145', ARGV[1]) .. '\1')";
        command(server.addr(), &["EVAL", unpack, "0", levels])
    };
    assert_eq!(nested("10"), r#"{"result":[[[[[[[[[[1]]]]]]]]]]}"#);
    for levels in ["512", "100000"] {
        assert!(nested(levels).contains("error"), "{levels}");
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert!(command(server.addr(), &["JSON.SET", "k", "$", &deep]).contains("error"));
    assert_eq!(command(server.addr(), &["PING"]), r#"{"result":"PONG"}"#);
}
