//! The database that Redis' own tests open without a token: only where nobody else is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use restis_server::{Server, StartError};
use support::TOKEN;
use support::resp::{Resp, both_doors, one_store};

fn bind(rest: &str, redis: &str) -> Result<Server, StartError> {
    Server::builder()
        .token(TOKEN)
        .redis_protocol([redis.parse().unwrap()])
        .anonymous_redis_protocol()
        .bind(rest)
}

#[test]
fn an_open_database_is_served_at_loopback_addresses_only() {
    assert!(bind("127.0.0.1:0", "127.0.0.1:0").is_ok());
    for (rest, redis) in [("0.0.0.0:0", "127.0.0.1:0"), ("127.0.0.1:0", "0.0.0.0:0")] {
        let error = bind(rest, redis).unwrap_err().to_string();
        assert!(error.contains("use 127.0.0.1"), "{error}");
    }
}

#[test]
fn it_opens_without_a_token_and_again_after_reset() {
    let server = both_doors(Server::builder().token(TOKEN).anonymous_redis_protocol());
    let mut resp = Resp::stranger(server.redis_addr().unwrap());
    assert_eq!(resp.line("SET k v"), "+OK");
    assert_eq!(resp.line("RESET"), "+RESET");
    assert_eq!(resp.line("GET k"), "$v");
    assert_eq!(resp.line("DEBUG SET-ACTIVE-EXPIRE 1"), "+OK");
    assert_eq!(resp.line("CONFIG SET hash-max-listpack-entries 7"), "+OK");
    assert_eq!(
        resp.line("CONFIG GET hash-max-ziplist-entries"),
        "*2 $hash-max-ziplist-entries $7"
    );
}

#[test]
fn what_is_for_tests_is_offered_nowhere_else() {
    let server = one_store();
    let mut resp = Resp::open(&server, TOKEN);
    let reply = resp.line("CONFIG SET hash-max-listpack-entries 7");
    assert!(reply.starts_with("-ERR Unknown option"), "{reply}");
    for words in ["DEBUG JMAP", "PFDEBUG ENCODING k"] {
        let reply = resp.line(words);
        assert!(reply.starts_with("-ERR unknown command"), "{reply}");
    }
    assert_eq!(resp.line("COMMAND INFO debug"), "*1 nil-array");
}
