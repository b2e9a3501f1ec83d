//! Scripts that hold a database for long: what other clients are told, and how they end them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use restis_server::{Running, Server};
use support::TOKEN;
use support::resp::{Resp, both_doors, one_store};

const ENDLESS: &[&str] = &["EVAL", "while true do redis.call('PING') end", "0"];
const BUSY: &str = "-BUSY Redis is busy running a script";

/// A store whose clients are told at once that a script runs.
fn impatient() -> (Running, Resp) {
    let server = both_doors(Server::builder().token(TOKEN).anonymous_redis_protocol());
    let mut resp = Resp::stranger(server.redis_addr().unwrap());
    assert_eq!(resp.line("CONFIG SET busy-reply-threshold 10"), "+OK");
    (server, resp)
}

/// A client whose script runs.
fn busy(server: &Running, script: &[&str]) -> Resp {
    let mut resp = Resp::stranger(server.redis_addr().unwrap());
    resp.send(script);
    resp
}

fn until_busy(resp: &mut Resp) {
    while !resp.line("PING").starts_with(BUSY) {}
}

#[test]
fn others_are_told_and_end_it() {
    let (server, mut resp) = impatient();
    let mut author = busy(&server, ENDLESS);
    until_busy(&mut resp);
    assert!(resp.line("FUNCTION KILL").starts_with(BUSY));
    assert!(resp.line("GET k").starts_with(BUSY));
    assert_eq!(resp.line("SCRIPT KILL"), "+OK");
    let reply = author.read();
    assert!(
        reply.contains("Script killed by user with SCRIPT KILL"),
        "{reply}"
    );
    assert_eq!(resp.line("PING"), "+PONG");
    assert_eq!(author.line("PING"), "+PONG");
    assert!(resp.line("SCRIPT KILL").starts_with("-NOTBUSY"));
}

#[test]
fn functions_have_a_command_of_their_own() {
    let (server, mut resp) = impatient();
    let code = "#!lua name=l\nredis.register_function('f', function() while true do end end)";
    resp.send(&["FUNCTION", "LOAD", code]);
    assert_eq!(resp.read(), "$l");
    let mut author = busy(&server, &["FCALL", "f", "0"]);
    until_busy(&mut resp);
    assert!(resp.line("SCRIPT KILL").starts_with(BUSY));
    assert_eq!(resp.line("FUNCTION KILL"), "+OK");
    let reply = author.read();
    assert!(
        reply.contains("killed by user with FUNCTION KILL"),
        "{reply}"
    );
}

#[test]
fn what_has_written_ends_whole() {
    let (server, mut resp) = impatient();
    let script = "redis.call('SET', KEYS[1], 'begun') for i = 1, 3e8 do end \
                  redis.call('SET', KEYS[1], 'done') return 1";
    let mut author = busy(&server, &["EVAL", script, "1", "k"]);
    until_busy(&mut resp);
    assert!(resp.line("SCRIPT KILL").starts_with("-UNKILLABLE"));
    // Its end, or that of its time.
    let reply = author.read();
    assert!(
        reply == ":1" || reply.starts_with("-BUSY Command ran longer"),
        "{reply}"
    );
}

#[test]
fn a_transaction_that_meets_it_is_discarded_whole() {
    let (server, mut resp) = impatient();
    let mut other = Resp::stranger(server.redis_addr().unwrap());
    assert_eq!(resp.line("SET k 1"), "+OK");
    for queued_before in [true, false] {
        assert_eq!(other.line("MULTI"), "+OK");
        if queued_before {
            assert_eq!(other.line("INCR k"), "+QUEUED");
        }
        let mut author = busy(&server, ENDLESS);
        until_busy(&mut resp);
        let outcome = if queued_before {
            other.line("EXEC")
        } else {
            assert!(other.line("INCR k").starts_with(BUSY));
            other.line("EXEC")
        };
        assert!(
            outcome.starts_with("-EXECABORT Transaction discarded because of: BUSY"),
            "{outcome}"
        );
        assert_eq!(resp.line("SCRIPT KILL"), "+OK");
        assert!(author.read().contains("killed by user"));
        assert_eq!(other.line("GET k"), "$1");
    }
}

#[test]
fn by_default_a_client_waits_and_a_stranger_ends_nothing() {
    let server = one_store();
    let mut author = Resp::open(&server, TOKEN);
    author.send(&["EVAL", "for i = 1, 3e7 do end return 7", "0"]);
    let mut resp = Resp::open(&server, TOKEN);
    assert_eq!(resp.line("PING"), "+PONG");
    assert_eq!(author.read(), ":7");
}
