//! Commands that wait, and transactions that watch, over the Redis protocol.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use restis_server::Running;
use support::redis::RedisProcess;
use support::resp::{Resp, one_store};
use support::*;

/// Waits until so many connections wait for a key.
fn until_waiting(control: &mut Resp, count: usize) {
    eventually("connections wait", || {
        let list = control.line("CLIENT LIST");
        list.matches("flags=b").count() == count
    });
}

fn open(server: &Running) -> Resp {
    Resp::open(server, TOKEN)
}

#[test]
fn who_waits_first_is_served_first() {
    let server = one_store();
    let mut control = open(&server);
    let mut waiting: Vec<Resp> = (0..4).map(|_| open(&server)).collect();
    for (at, resp) in waiting.iter_mut().enumerate() {
        // Each in its own way: the line is one.
        let words = [
            "BLPOP other l 0",
            "BRPOP l 0",
            "BLMOVE l to LEFT RIGHT 0",
            "BLMPOP 0 1 l LEFT COUNT 9",
        ];
        resp.send(&words[at].split(' ').collect::<Vec<_>>());
        until_waiting(&mut control, at + 1);
    }
    assert_eq!(control.line("RPUSH l a b c d e"), ":5");
    assert_eq!(waiting[0].read(), "*2 $l $a");
    assert_eq!(waiting[1].read(), "*2 $l $e");
    assert_eq!(waiting[2].read(), "$b");
    assert_eq!(waiting[3].read(), "*2 $l *2 $c $d");
    assert_eq!(control.line("LRANGE to 0 -1"), "*1 $b");
    assert_eq!(control.line("EXISTS l"), ":0");
}

#[test]
fn a_push_through_rest_a_script_or_a_transaction_ends_the_waiting() {
    let server = one_store();
    let mut control = open(&server);
    let mut waiting = open(&server);
    let mut wait = |control: &mut Resp, words: &str| {
        waiting.send(&words.split(' ').collect::<Vec<_>>());
        until_waiting(control, 1);
    };
    wait(&mut control, "BLPOP l 0");
    command(server.addr(), &["RPUSH", "l", "rest"]);
    let mut read = open(&server);
    std::mem::swap(&mut read, &mut waiting);
    assert_eq!(read.read(), "*2 $l $rest");
    for (pushes, value) in [
        (
            vec!["EVAL", "redis.call('rpush', 'l', 'script') return 1", "0"],
            "script",
        ),
        (vec!["COPY", "source", "l"], "copied"),
        (vec!["RENAME", "source", "l"], "copied"),
    ] {
        control.line("RPUSH source copied");
        read.send(&["BLPOP", "l", "0"]);
        until_waiting(&mut control, 1);
        control.call(&pushes);
        assert_eq!(read.read(), format!("*2 $l ${value}"));
        control.line("DEL source l");
    }
    // Within MULTI a push and a pop cancel out: nobody is served.
    read.send(&["BLPOP", "l", "0"]);
    until_waiting(&mut control, 1);
    for words in ["MULTI", "RPUSH l x", "LPOP l", "EXEC"] {
        control.line(words);
    }
    assert_eq!(control.line("RPUSH l y"), ":1");
    assert_eq!(read.read(), "*2 $l $y");
}

#[test]
fn waiting_ends_with_its_time_its_client_or_a_word() {
    let server = one_store();
    let mut control = open(&server);
    let mut resp = open(&server);
    assert_eq!(resp.line("BLPOP l 0.01"), "nil-array");
    assert_eq!(resp.line("BLMOVE l to LEFT LEFT 0.01"), "nil");
    assert_eq!(resp.line("XREAD BLOCK 10 STREAMS s $"), "nil-array");
    assert_eq!(
        resp.line("BLPOP l x"),
        "-ERR timeout is not a float or out of range"
    );
    assert_eq!(resp.line("BLPOP l -1"), "-ERR timeout is negative");
    let id = resp.line("CLIENT ID").trim_start_matches(':').to_owned();
    for (mode, reply) in [
        ("TIMEOUT", "nil-array"),
        ("ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    ] {
        resp.send(&["BLPOP", "l", "0"]);
        until_waiting(&mut control, 1);
        assert_eq!(control.call(&["CLIENT", "UNBLOCK", &id, mode]), ":1");
        assert_eq!(resp.read(), reply);
        assert_eq!(control.call(&["CLIENT", "UNBLOCK", &id]), ":0");
    }
    // A client that is gone takes nothing.
    resp.send(&["BLPOP", "l", "0"]);
    until_waiting(&mut control, 1);
    drop(resp);
    until_waiting(&mut control, 0);
    assert_eq!(control.line("RPUSH l kept"), ":1");
    assert_eq!(control.line("LRANGE l 0 -1"), "*1 $kept");
    // Within MULTI nothing waits.
    for words in ["MULTI", "BLPOP none 0"] {
        control.line(words);
    }
    assert_eq!(control.line("EXEC"), "*1 nil-array");
}

#[test]
fn commands_behind_one_that_waits_wait_as_well() {
    let server = one_store();
    let mut control = open(&server);
    let mut resp = open(&server);
    resp.write(b"BLPOP l 0\r\nECHO after\r\n");
    until_waiting(&mut control, 1);
    control.line("RPUSH l x");
    assert_eq!(resp.read(), "*2 $l $x");
    assert_eq!(resp.read(), "$after");
}

#[test]
fn streams_and_sorted_sets_are_waited_for() {
    let server = one_store();
    let mut control = open(&server);
    let mut reader = open(&server);
    let mut worker = open(&server);
    control.line("XADD s 1-1 f old");
    control.line("XGROUP CREATE s g $");
    reader.line("HELLO 3");
    reader.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]);
    worker.send(&[
        "XREADGROUP",
        "GROUP",
        "g",
        "c",
        "BLOCK",
        "0",
        "STREAMS",
        "s",
        ">",
    ]);
    until_waiting(&mut control, 2);
    assert_eq!(control.line("XADD s 2-1 f new"), "$2-1");
    assert_eq!(reader.read(), "%1 $s *1 *2 $2-1 *2 $f $new");
    assert_eq!(worker.read(), "*1 *2 $s *1 *2 $2-1 *2 $f $new");
    // A group that goes is told to who waits for it.
    worker.send(&[
        "XREADGROUP",
        "GROUP",
        "g",
        "c",
        "BLOCK",
        "0",
        "STREAMS",
        "s",
        ">",
    ]);
    until_waiting(&mut control, 1);
    control.line("DEL s");
    assert!(worker.read().starts_with("-NOGROUP"), "the group is gone");
    worker.send(&["BZPOPMIN", "z", "0"]);
    until_waiting(&mut control, 1);
    control.line("SET z text");
    control.line("DEL z");
    assert_eq!(control.line("ZADD z 2 b 1 a"), ":2");
    assert_eq!(worker.read(), "*3 $z $a $1");
}

#[test]
fn a_watched_key_that_changes_ends_the_transaction() {
    let server = one_store();
    let mut other = open(&server);
    let mut resp = open(&server);
    for (change, runs) in [
        ("SET k 2", false),
        ("DEL k", false),
        ("EXPIRE k 100", false),
        ("FLUSHALL", false),
        ("RENAME k j", false),
        ("GET k", true),
        ("SET unrelated 1", true),
    ] {
        other.line("FLUSHALL");
        other.line("SET k 1");
        assert_eq!(resp.line("WATCH k"), "+OK");
        other.line(change);
        resp.line("MULTI");
        resp.line("SET done 1");
        let expected = if runs { "*1 +OK" } else { "nil-array" };
        assert_eq!(resp.line("EXEC"), expected, "{change}");
    }
    // A key that comes, and one that expires.
    other.line("FLUSHALL");
    resp.line("WATCH new");
    command(server.addr(), &["SET", "new", "from rest"]);
    resp.line("MULTI");
    assert_eq!(resp.line("EXEC"), "nil-array");
    other.line("SET short 1 PX 5");
    resp.line("WATCH short");
    eventually("the key is gone", || other.line("EXISTS short") == ":0");
    resp.line("MULTI");
    assert_eq!(resp.line("EXEC"), "nil-array");
    // UNWATCH, DISCARD and EXEC forget.
    for forget in ["UNWATCH", "DISCARD"] {
        resp.line("WATCH k");
        if forget == "DISCARD" {
            resp.line("MULTI");
        }
        assert_eq!(resp.line(forget), "+OK");
        other.line("INCR k");
        resp.line("MULTI");
        assert_eq!(resp.line("EXEC"), "*0");
    }
}

/// Counts by WATCH from several connections: no increment is lost.
#[test]
fn optimistic_counters_lose_nothing() {
    let server = one_store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut resp = open(&server);
                let mut done = 0;
                while done < 50 {
                    resp.line("WATCH n");
                    let n: i64 = resp
                        .line("GET n")
                        .trim_start_matches('$')
                        .parse()
                        .unwrap_or(0);
                    resp.line("MULTI");
                    resp.call(&["SET", "n", &(n + 1).to_string()]);
                    done += i32::from(resp.line("EXEC") == "*1 +OK");
                }
            });
        }
    });
    assert_eq!(open(&server).line("GET n"), "$200");
}

/// The same words to a Redis and to us: the same replies.
#[test]
fn replies_are_those_of_redis() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let server = one_store();
    let mut ours = open(&server);
    let mut theirs = Resp::stranger(([127, 0, 0, 1], redis.port).into());
    for words in [
        "PING",
        "PING hi",
        "ECHO x",
        "SELECT 0",
        "GET",
        "get a b",
        "NONSENSE a b",
        "EXEC",
        "DISCARD",
        "UNWATCH",
        "WATCH",
        "MULTI",
        "MULTI",
        "WATCH k",
        "SET k v",
        "GET k",
        "EXEC",
        "MULTI",
        "NONSENSE",
        "EXEC",
        "RPUSH l a b c",
        "BLPOP l 0",
        "BRPOP x l 0",
        "BLMPOP 0 2 x l LEFT",
        "BLPOP l",
        "BLPOP l a",
        "BLPOP l -1",
        "RPUSH l a b c",
        "BLMOVE l m LEFT RIGHT 0",
        "BRPOPLPUSH l m 0",
        "BLMOVE l m UP LEFT 0",
        "LRANGE m 0 -1",
        "ZADD z 1 a 2 b 3 c",
        "BZPOPMIN z 0",
        "BZPOPMAX z 0",
        "BZMPOP 0 1 z MIN COUNT 2",
        "BLPOP k 0",
        "SUBSCRIBE c",
        "PING",
        "UNSUBSCRIBE c",
        "PSUBSCRIBE p*",
        "PUNSUBSCRIBE",
        "UNSUBSCRIBE",
        "SUBSCRIBE",
        "CLIENT SETNAME x",
        "CLIENT GETNAME",
        "CLIENT SETNAME",
        "CLIENT NOPE",
        "CLIENT REPLY x",
        "CLIENT KILL 1.1.1.1:1",
        "CLIENT NO-EVICT on",
        "HELLO 9",
        "HELLO x",
        "HELLO 2 NOPE",
    ] {
        assert_eq!(ours.line(words), theirs.line(words), "{words}");
    }
    // In RESP3, where the replies have more types.
    assert!(ours.line("HELLO 3").starts_with("%7"));
    assert!(theirs.line("HELLO 3").starts_with("%7"));
    for words in [
        "HSET h f v",
        "HGETALL h",
        "SADD s m",
        "SMEMBERS s",
        "GET none",
        "ZADD z 1.5 a",
        "ZSCORE z a",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZPOPMIN z",
        "ZADD z 1 a",
        "BZPOPMIN z 0",
        "ZADD z 1 a",
        "BZMPOP 0 1 z MIN",
        "XADD x 1-1 f v",
        "XREAD BLOCK 1 STREAMS x 0",
        "BLPOP none 0.01",
        "MULTI",
        "HGETALL h",
        "EXEC",
        "FUNCTION STATS",
        "SUBSCRIBE c",
        "PING",
        "GET k",
        "UNSUBSCRIBE",
    ] {
        assert_eq!(ours.line(words), theirs.line(words), "{words}");
    }
}
