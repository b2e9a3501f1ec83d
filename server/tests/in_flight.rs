//! What requests that have not ended and answers that nobody reads may take.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use restis_server::{Limits, Running, Server};
use support::resp::{Resp, both_doors};
use support::*;

const OTHER: &str = "OTHER";
const OTHER_AUTH: (&str, &str) = ("Authorization", "Bearer OTHER");
const MB: usize = 1 << 20;

/// Two tenants: each may hold half of what there is, or less.
fn two_tenants() -> Running {
    let mut limits = Limits::default();
    limits.request_bytes = MB;
    limits.response_bytes = MB;
    limits.in_flight_bytes = 4 * MB;
    both_doors(Server::builder().token(TOKEN).token(OTHER).limits(limits))
}

/// A request whose body does not end.
fn unfinished(server: &Running, auth: (&str, &str)) -> Connection {
    let mut connection = Connection::open(server.addr());
    let length = ("content-length", "1000000");
    connection.send("POST", "/set/k", &[auth, length], b"");
    connection
}

/// What `find` finds in the end.
fn wait_for<T>(mut find: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    eventually("what is waited for", || {
        found = find();
        found.is_some()
    });
    found.unwrap()
}

/// The megabytes that this process has now, where the system tells.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kilobytes.unwrap_or(0) >> 10
}

#[test]
fn bodies_that_do_not_end_leave_room_for_other_tenants() {
    let server = two_tenants();
    let begun: Vec<Connection> = (0..6)
        .map(|_| {
            let mut connection = unfinished(&server, AUTH);
            // The first bytes: now the rest is waited for.
            connection.reader.get_mut().write_all(b"xxxx").unwrap();
            connection
        })
        .collect();
    // Each takes a megabyte: the third one finds no room.
    let body = vec![b'x'; 900_000];
    let refused = wait_for(|| {
        let response = post(server.addr(), "/set/k", body.clone());
        (response.status == 503).then_some(response)
    });
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.text().contains("nothing was executed"));
    assert_eq!(post(server.addr(), "/set/small/v", "").status, 200);
    let other = request(server.addr(), "POST", "/set/k", &[OTHER_AUTH], &body);
    assert_eq!(other.status, 200);
    drop(begun);
    wait_for(|| (post(server.addr(), "/set/k", body.clone()).status == 200).then_some(()));
}

#[test]
fn answers_that_nobody_reads_leave_room_for_other_tenants() {
    let server = two_tenants();
    let body = vec![b'x'; 800_000];
    for auth in [AUTH, OTHER_AUTH] {
        let stored = request(server.addr(), "POST", "/set/k", &[auth], &body);
        assert_eq!(stored.status, 200);
    }
    let unread: Vec<TcpStream> = (0..6)
        .map(|_| {
            let mut connection = Connection::open(server.addr());
            // More than the system takes.
            for _ in 0..20 {
                connection.send("GET", "/get/k", &[AUTH], b"");
            }
            connection.reader.into_inner()
        })
        .collect();
    let lost = wait_for(|| {
        let response = post(server.addr(), "/get/k", "");
        (response.status == 400).then_some(response)
    });
    assert!(lost.text().contains("the command was executed"), "{lost:?}");
    assert_eq!(post(server.addr(), "/getset/k/v", "").text(), lost.text());
    assert_eq!(
        post(server.addr(), "/get/k", "").text(),
        r#"{"result":"v"}"#
    );
    let other = request(server.addr(), "GET", "/get/k", &[OTHER_AUTH], b"");
    assert_eq!((other.status, other.body.len()), (200, 800_013));
    drop(unread);
}

#[test]
fn commands_that_do_not_end_leave_room_for_other_tenants() {
    let server = two_tenants();
    let mut begun: Vec<Resp> = Vec::new();
    let refused = wait_for(|| {
        let mut resp = Resp::open(&server, TOKEN);
        resp.write(b"*2\r\n$3\r\nGET\r\n$100000000\r\n");
        resp.write(&vec![b'x'; 700_000]);
        let soon = Some(Duration::from_millis(200));
        resp.reader.get_ref().set_read_timeout(soon).unwrap();
        let line = resp.read();
        begun.push(resp);
        (!line.is_empty()).then_some(line)
    });
    assert!(
        refused.starts_with("-ERR too many bytes of requests"),
        "{refused}"
    );
    assert!(begun.len() < 6, "{}", begun.len());
    let large = "x".repeat(700_000);
    assert_eq!(
        Resp::open(&server, OTHER).call(&["SET", "k", &large]),
        "+OK"
    );
    drop(begun);

    let mut multi = Resp::open(&server, TOKEN);
    assert_eq!(multi.line("MULTI"), "+OK");
    let replies: Vec<String> = (0..6).map(|_| multi.call(&["SET", "k", &large])).collect();
    assert_eq!(replies[0], "+QUEUED");
    assert!(replies[5].starts_with("-ERR too many bytes of requests"));
    assert!(multi.line("EXEC").starts_with("-EXECABORT"));
    assert_eq!(multi.call(&["SET", "k", &large]), "+OK");
}

#[test]
fn replies_are_made_as_the_client_reads_them() {
    let server = both_doors(Server::builder().token(TOKEN));
    let mut resp = Resp::open(&server, TOKEN);
    let large = "x".repeat(MB);
    assert_eq!(resp.call(&["SET", "k", &large]), "+OK");
    let before = resident();
    for line in ["", "MULTI"] {
        if !line.is_empty() {
            assert_eq!(resp.line(line), "+OK");
        }
        for n in 0..200 {
            resp.send(&["GET", "k"]);
            resp.send(&["ECHO", &n.to_string()]);
        }
        if !line.is_empty() {
            for _ in 0..400 {
                assert_eq!(resp.read(), "+QUEUED");
            }
            resp.send(&["EXEC"]);
            let mut header = String::new();
            resp.reader.read_line(&mut header).unwrap();
            assert_eq!(header, "*400\r\n");
        }
        for n in 0..200 {
            assert_eq!(resp.read().len(), MB + 1, "{line} {n}");
            assert_eq!(resp.read(), format!("${n}"));
            let more = resident().saturating_sub(before);
            assert!(more < 100, "{more} MB for replies that wait");
        }
    }
}
