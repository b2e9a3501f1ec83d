//! The Redis protocol: one store behind two doors, who may do what, and hostile clients.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use restis_server::{Server, Tenants};
use support::redis::RedisProcess;
use support::resp::{Resp, both_doors, one_store};
use support::*;

#[test]
fn a_value_written_through_one_door_is_there_through_the_other() {
    let server = one_store();
    let mut resp = Resp::open(&server, TOKEN);
    assert_eq!(resp.call(&["SET", "k", "from resp"]), "+OK");
    assert_eq!(
        command(server.addr(), &["GET", "k"]),
        r#"{"result":"from resp"}"#
    );
    command(server.addr(), &["HSET", "h", "f", "v"]);
    assert_eq!(resp.line("HGETALL h"), "*2 $f $v");
    // Any bytes, longer than what is read at once.
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    resp.write(b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$300000\r\n");
    resp.write(&bytes);
    resp.write(b"\r\n");
    assert_eq!(resp.read(), "+OK");
    resp.send(&["GET", "b"]);
    let mut got = vec![0; "$300000\r\n".len() + bytes.len() + 2];
    resp.reader.read_exact(&mut got).unwrap();
    assert!(got[9..].starts_with(&bytes));
    assert_eq!(
        command(server.addr(), &["STRLEN", "b"]),
        r#"{"result":300000}"#
    );
}

#[test]
fn nothing_runs_without_a_token() {
    let server = one_store();
    let addr = server.redis_addr().unwrap();
    let mut stranger = Resp::stranger(addr);
    for words in [
        "GET k",
        "PING",
        "INFO",
        "CLIENT LIST",
        "MULTI",
        "SUBSCRIBE c",
        "MONITOR",
        "NONSENSE",
    ] {
        assert_eq!(
            stranger.line(words),
            "-NOAUTH Authentication required.",
            "{words}"
        );
    }
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    for words in [
        "AUTH TOKE",
        "AUTH default OTHER",
        "AUTH nobody TOKEN",
        "HELLO 3 AUTH default x",
    ] {
        assert_eq!(stranger.line(words), wrong, "{words}");
    }
    assert!(stranger.line("HELLO 3").starts_with("-NOAUTH HELLO"));
    assert_eq!(stranger.line("AUTH default TOKEN"), "+OK");
    assert_eq!(stranger.line("PING"), "+PONG");
    assert_eq!(stranger.line("RESET"), "+RESET");
    assert_eq!(stranger.line("PING"), "-NOAUTH Authentication required.");
    // Little is read of who has shown no token.
    for (bytes, line) in [
        ("*11\r\n", "unauthenticated multibulk length"),
        ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        let mut stranger = Resp::stranger(addr);
        stranger.write(bytes.as_bytes());
        assert_eq!(stranger.read(), format!("-ERR Protocol error: {line}"));
        assert_eq!(stranger.read(), "");
    }
}

#[test]
fn tenants_and_readers_stay_what_they_are() {
    let mut tenants = Tenants::new();
    let first = tenants.add("A", None);
    tenants.add("B", None);
    tenants.add_read_only("A-RO", first).unwrap();
    let server = both_doors(Server::builder().tenants(tenants));
    let mut a = Resp::open(&server, "A");
    let mut b = Resp::open(&server, "B");
    let mut reader = Resp::open(&server, "A-RO");
    assert_eq!(a.line("SET k a"), "+OK");
    assert_eq!(b.line("GET k"), "nil");
    assert_eq!(reader.line("GET k"), "$a");
    assert!(reader.line("SET k b").starts_with("-NOPERM"));
    assert!(reader.line("MONITOR").starts_with("-NOPERM"));
    assert!(reader.line("CLIENT LIST").starts_with("-NOPERM"));
    assert!(reader.line("CLIENT PAUSE 1000").starts_with("-NOPERM"));
    assert_eq!(reader.line("MULTI"), "+OK");
    assert!(reader.line("DEL k").starts_with("-NOPERM"));
    assert!(reader.line("EXEC").starts_with("-EXECABORT"));
    // Connections of other tenants are not seen, and not ended.
    assert_eq!(b.line("CLIENT SETNAME theirs"), "+OK");
    assert!(!a.line("CLIENT LIST").contains("theirs"));
    assert_eq!(a.line("CLIENT KILL SKIPME yes TYPE normal"), ":1");
    assert_eq!(reader.line("PING"), "");
    assert_eq!(b.line("PING"), "+PONG");
    // A user of the database, and what becomes of its connection without its token.
    let token = a
        .line("ACL GENTOKEN bob")
        .trim_start_matches('$')
        .to_owned();
    let rules = [
        "ACL",
        "SETUSER",
        "bob",
        "on",
        "~k*",
        "+get",
        "&news",
        "+subscribe",
    ];
    let secret = format!(">{token}");
    assert_eq!(a.call(&[&rules[..], &[&secret]].concat()), "+OK");
    let mut bob = Resp::stranger(server.redis_addr().unwrap());
    assert!(bob.call(&["AUTH", &token]).starts_with("-WRONGPASS"));
    assert_eq!(bob.call(&["AUTH", "bob", &token]), "+OK");
    assert_eq!(bob.line("GET k"), "$a");
    assert!(bob.line("GET other").starts_with("-NOPERM"));
    assert!(bob.line("SUBSCRIBE secrets").starts_with("-NOPERM"));
    assert_eq!(a.line("ACL DELUSER bob"), ":1");
    assert!(bob.line("GET k").starts_with("-NOAUTH"));
    assert_eq!(bob.read(), "");
}

#[test]
fn connection_state_is_the_connections() {
    let server = one_store();
    let mut resp = Resp::open(&server, TOKEN);
    assert_eq!(resp.line("SELECT 0"), "+OK");
    assert_eq!(resp.line("SELECT 1"), "-ERR DB index is out of range");
    assert_eq!(resp.line("CLIENT SETNAME me"), "+OK");
    assert_eq!(resp.line("CLIENT GETNAME"), "$me");
    assert_eq!(resp.line("CLIENT SETINFO LIB-NAME test"), "+OK");
    let list = resp.line("CLIENT LIST");
    assert!(
        list.contains("name=me") && list.contains("lib-name=test"),
        "{list}"
    );
    let hello = resp.line("HELLO 3 SETNAME other");
    assert!(hello.starts_with("%7 $server $redis"), "{hello}");
    assert_eq!(
        resp.line("HELLO 4"),
        "-NOPROTO unsupported protocol version"
    );
    assert_eq!(resp.line("GET none"), "_");
    assert_eq!(resp.line("ZADD z 1.5 a"), ":1");
    assert_eq!(resp.line("ZSCORE z a"), ",1.5");
    assert!(resp.line("CLIENT TRACKING ON").contains("not supported"));
    // Replies can be turned off.
    resp.send(&["CLIENT", "REPLY", "SKIP"]);
    resp.send(&["SET", "k", "1"]);
    assert_eq!(resp.line("GET k"), "$1");
    resp.send(&["CLIENT", "REPLY", "OFF"]);
    resp.send(&["SET", "k", "2"]);
    assert_eq!(resp.line("CLIENT REPLY ON"), "+OK");
    assert_eq!(resp.line("GET k"), "$2");
    assert_eq!(resp.line("QUIT"), "+OK");
    assert_eq!(resp.read(), "");
}

#[test]
fn a_transaction_runs_as_one_or_not_at_all() {
    let server = one_store();
    let mut resp = Resp::open(&server, TOKEN);
    assert_eq!(resp.line("EXEC"), "-ERR EXEC without MULTI");
    assert_eq!(resp.line("MULTI"), "+OK");
    assert_eq!(resp.line("MULTI"), "-ERR MULTI calls can not be nested");
    assert_eq!(resp.line("SET k 1"), "+QUEUED");
    assert_eq!(resp.line("INCR k"), "+QUEUED");
    assert_eq!(resp.line("LPUSH k x"), "+QUEUED");
    let replies = resp.line("EXEC");
    assert!(replies.starts_with("*3 +OK :2 -WRONGTYPE"), "{replies}");
    assert_eq!(resp.line("MULTI"), "+OK");
    assert_eq!(resp.line("SET k 9"), "+QUEUED");
    assert!(
        resp.line("NONSENSE a")
            .starts_with("-ERR unknown command 'NONSENSE'")
    );
    assert!(resp.line("EXEC").starts_with("-EXECABORT"));
    assert_eq!(resp.line("MULTI"), "+OK");
    assert_eq!(resp.line("SET k 9"), "+QUEUED");
    assert_eq!(resp.line("DISCARD"), "+OK");
    assert_eq!(resp.line("GET k"), "$2");
    assert_eq!(resp.line("MULTI"), "+OK");
    assert_eq!(resp.line("EXEC"), "*0");
}

#[test]
fn pipelines_are_answered_in_order() {
    let server = one_store();
    let mut resp = Resp::open(&server, TOKEN);
    let mut bytes = Vec::new();
    for n in 0..2000 {
        bytes.extend_from_slice(format!("INCR n\r\nECHO {n}\r\nLRANGE l 0 -1\r\n").as_bytes());
    }
    resp.write(&bytes);
    for n in 0..2000 {
        assert_eq!(resp.read(), format!(":{}", n + 1));
        assert_eq!(resp.read(), format!("${n}"));
        assert_eq!(resp.read(), "*0");
    }
}

#[test]
fn subscribers_of_both_doors_hear_publishers_of_both() {
    let server = one_store();
    let mut subscriber = Resp::open(&server, TOKEN);
    let mut other = Resp::open(&server, TOKEN);
    assert_eq!(subscriber.line("SUBSCRIBE news"), "*3 $subscribe $news :1");
    assert_eq!(subscriber.line("PSUBSCRIBE n*"), "*3 $psubscribe $n* :2");
    let refused = subscriber.line("GET k");
    assert!(refused.starts_with("-ERR Can't execute 'get'"), "{refused}");
    assert_eq!(
        command(server.addr(), &["PUBLISH", "news", "rest"]),
        r#"{"result":2}"#
    );
    assert_eq!(subscriber.read(), "*3 $message $news $rest");
    assert_eq!(subscriber.read(), "*4 $pmessage $n* $news $rest");
    assert_eq!(subscriber.line("PING"), "*2 $pong $");
    assert_eq!(subscriber.line("UNSUBSCRIBE"), "*3 $unsubscribe $news :1");
    assert_eq!(subscriber.line("PUNSUBSCRIBE"), "*3 $punsubscribe $n* :0");
    assert_eq!(subscriber.line("GET k"), "nil");
    // RESP3: pushes among replies.
    assert!(subscriber.line("HELLO 3").starts_with('%'));
    assert_eq!(subscriber.line("SUBSCRIBE news"), ">3 $subscribe $news :1");
    assert_eq!(other.line("PUBLISH news resp"), ":1");
    assert_eq!(subscriber.read(), ">3 $message $news $resp");
    assert_eq!(subscriber.line("GET k"), "_");
    // A stream over REST hears what is published over RESP.
    let accept = ("Accept", "text/event-stream");
    let mut stream = Events::open(
        server.addr(),
        "GET",
        "/subscribe/news",
        &[AUTH, accept],
        b"",
    );
    stream.expect("data: subscribe,news,1");
    assert_eq!(other.line("PUBLISH news again"), ":2");
    stream.expect("data: message,news,again");
}

#[test]
fn a_monitor_sees_commands_of_both_doors() {
    let server = one_store();
    let mut monitor = Resp::open(&server, TOKEN);
    assert_eq!(monitor.line("MONITOR"), "+OK");
    let mut resp = Resp::open(&server, TOKEN);
    resp.line("SET a 1");
    assert!(monitor.read().ends_with(r#""SET" "a" "1""#));
    command(server.addr(), &["GET", "a"]);
    assert!(monitor.read().ends_with(r#""GET" "a""#));
}

#[test]
fn a_client_that_reads_nothing_is_not_worked_for() {
    let server = one_store();
    let mut slow = Resp::open(&server, TOKEN);
    let value = "x".repeat(1 << 20);
    assert_eq!(slow.call(&["SET", "big", &value]), "+OK");
    // More than sockets hold: the server stops reading requests once replies pile up.
    for _ in 0..200 {
        slow.send(&["GET", "big"]);
    }
    let mut other = Resp::open(&server, TOKEN);
    assert_eq!(other.line("PING"), "+PONG");
    for _ in 0..200 {
        assert_eq!(slow.read().len(), value.len() + 1);
    }
    assert_eq!(slow.line("PING"), "+PONG");
}

#[test]
fn what_is_no_request_ends_the_connection_and_nothing_else() {
    let server = one_store();
    let mut neighbour = Resp::open(&server, TOKEN);
    for (bytes, line) in [
        ("*1\r\n:1\r\n", "expected '$', got ':'"),
        ("*99999999\r\n", "invalid multibulk length"),
        ("*1\r\n$999999999999\r\n", "invalid bulk length"),
        ("SET \"a\r\n", "unbalanced quotes in request"),
        ("*1\r\n*1\r\n*1\r\n", "expected '$', got '*'"),
    ] {
        let mut resp = Resp::open(&server, TOKEN);
        resp.write(bytes.as_bytes());
        assert_eq!(resp.read(), format!("-ERR Protocol error: {line}"));
        assert_eq!(resp.read(), "");
    }
    assert_eq!(neighbour.line("PING"), "+PONG");
}

/// Whether a program is there; in CI it must be.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "no {program}");
    found
}

/// `redis-cli` of Debian, as people use it.
#[test]
fn redis_cli_works_unmodified() {
    if !has("redis-cli") {
        return;
    }
    let server = one_store();
    let port = server.redis_addr().unwrap().port().to_string();
    let url = format!("redis://default:{TOKEN}@127.0.0.1:{port}");
    let command = |args: &[&str]| {
        let mut command = Command::new("redis-cli");
        command.args(["-u", &url, "--no-auth-warning"]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        command
    };
    let text = |output: std::process::Output| {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        String::from_utf8(output.stdout).unwrap() + &errors
    };
    let cli = |args: &[&str]| text(command(args).output().unwrap());
    assert_eq!(cli(&["SET", "key:1", "v"]), "OK\n");
    assert_eq!(cli(&["-3", "HSET", "h", "f", "1"]), "1\n");
    assert_eq!(cli(&["--json", "-3", "HGETALL", "h"]), "{\"f\":\"1\"}\n");
    let mut keys: Vec<String> = cli(&["--scan"]).lines().map(str::to_owned).collect();
    keys.sort();
    assert_eq!(keys, ["h", "key:1"]);
    assert!(cli(&["--bigkeys"]).contains("Biggest"));
    assert!(cli(&["--memkeys"]).contains("1 hashs with"));
    assert!(cli(&["--rdb", "/dev/null"]).contains("`restis export` copies a database"));
    assert_eq!(cli(&["-r", "3", "INCR", "n"]), "1\n2\n3\n");
    let fed = |args: &[&str], input: &str| {
        let mut child = command(args).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        text(child.wait_with_output().unwrap())
    };
    let lines: Vec<String> = (0..1000)
        .map(|n| format!("SET piped:{n} {n}\r\n"))
        .collect();
    assert!(fed(&["--pipe"], &lines.concat()).contains("errors: 0, replies: 1000"));
    assert_eq!(fed(&[], "GET piped:999\nINCR n\n"), "999\n4\n");
    // These two print until they are stopped.
    for (mode, shown) in [("--stat", "1003"), ("--latency", "")] {
        let mut child = command(&[mode, "-i", "1"]).spawn().unwrap();
        let mut first = [0; 160];
        let read = child.stdout.as_mut().unwrap().read(&mut first).unwrap();
        let mut printed = String::from_utf8_lossy(&first[..read]).into_owned();
        while mode == "--stat" && printed.lines().count() < 3 {
            let read = child.stdout.as_mut().unwrap().read(&mut first).unwrap();
            printed.push_str(&String::from_utf8_lossy(&first[..read]));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            !printed.is_empty() && printed.contains(shown),
            "{mode}: {printed}"
        );
    }
    assert!(cli(&["INFO", "server"]).contains("redis_version:"));
    assert_eq!(cli(&["EVAL", "return ARGV[1]", "0", "x"]), "x\n");
}

#[test]
fn redis_benchmark_works_unmodified() {
    if !has("redis-benchmark") {
        return;
    }
    let server = one_store();
    let port = server.redis_addr().unwrap().port().to_string();
    for more in [&["-P", "1"][..], &["-P", "16"], &["-3"]] {
        let output = Command::new("redis-benchmark")
            .args(["-p", &port, "-a", TOKEN, "--csv", "-n", "100", "-c", "10"])
            .args(more)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        // The heading and the twenty tests of its own choice.
        assert_eq!(text.lines().count(), 21, "{text}");
    }
}

#[test]
fn in_front_of_a_redis_commands_pass_and_the_rest_is_refused() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let server = both_doors(Server::builder().redis(TOKEN, &redis.url()));
    let mut resp = Resp::open(&server, TOKEN);
    assert_eq!(resp.line("SET k v"), "+OK");
    assert_eq!(resp.line("GET k"), "$v");
    assert_eq!(resp.line("MULTI"), "+OK");
    assert_eq!(resp.line("INCR n"), "+QUEUED");
    assert_eq!(resp.line("EXEC"), "*1 :1");
    for words in ["SUBSCRIBE c", "BLPOP l 0", "MONITOR", "SHUTDOWN"] {
        let refused = resp.line(words);
        assert!(refused.contains("not available here"), "{words}: {refused}");
    }
}

/// The `redis` crate, in both versions of the protocol.
#[test]
fn the_redis_crate_works_unmodified() {
    let server = one_store();
    let port = server.redis_addr().unwrap().port();
    for version in ["resp2", "resp3"] {
        let url = format!("redis://default:{TOKEN}@127.0.0.1:{port}/0?protocol={version}");
        let mut redis = ::redis::Client::open(url)
            .unwrap()
            .get_connection()
            .unwrap();
        ::redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
        let (set, n): (String, i64) = ::redis::pipe()
            .atomic()
            .cmd("SET")
            .arg("k")
            .arg("v")
            .cmd("INCRBY")
            .arg("n")
            .arg(7)
            .query(&mut redis)
            .unwrap();
        assert_eq!((set.as_str(), n), ("OK", 7));
        ::redis::cmd("ZADD")
            .arg(&["z", "1.5", "a", "2", "b"])
            .exec(&mut redis)
            .unwrap();
        let scored: Vec<(String, f64)> = ::redis::cmd("ZRANGE")
            .arg(&["z", "0", "-1", "WITHSCORES"])
            .query(&mut redis)
            .unwrap();
        assert_eq!(scored, [("a".to_owned(), 1.5), ("b".to_owned(), 2.0)]);
        let (sum,): (i64,) = ::redis::transaction(&mut redis, &["n"], |redis, pipe| {
            let n: i64 = ::redis::cmd("GET").arg("n").query(redis)?;
            pipe.cmd("SET")
                .arg("n")
                .arg(n + 1)
                .ignore()
                .cmd("GET")
                .arg("n")
                .query(redis)
        })
        .unwrap();
        assert_eq!(sum, 8);
        let mut publisher = Resp::open(&server, TOKEN);
        let mut subscriber = redis.as_pubsub();
        subscriber.subscribe("news").unwrap();
        publisher.line("PUBLISH news hello");
        let message = subscriber.get_message().unwrap();
        assert_eq!(message.get_payload::<String>().unwrap(), "hello");
    }
}

/// What GUIs, exporters and clients ask before they work.
#[test]
fn a_server_tells_about_itself() {
    let server = one_store();
    let mut resp = Resp::open(&server, TOKEN);
    assert_eq!(
        resp.line("COMMAND INFO get nonsense"),
        "*2 *10 $get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 *0 *0 nil-array"
    );
    assert_eq!(resp.line("COMMAND GETKEYS MSET a 1 b 2"), "*2 $a $b");
    assert_eq!(resp.line("COMMAND GETKEYS BLPOP a b 0"), "*2 $a $b");
    assert!(resp.line("COMMAND").len() > 5_000);
    assert_eq!(resp.line("CONFIG GET databases"), "*2 $databases $1");
    assert_eq!(
        resp.line("CONFIG GET maxmemory-p*"),
        "*2 $maxmemory-policy $noeviction"
    );
    assert!(resp.line("INFO").contains("connected_clients:1\r\n"));
    assert_eq!(resp.line("MODULE LIST"), "*0");
    // What is slow depends on the machine.
    assert!(resp.line("SLOWLOG GET 10").starts_with('*'));
    assert_eq!(resp.line("ROLE"), "*3 $master :0 *0");
    resp.line("SET k 12");
    assert_eq!(resp.line("OBJECT ENCODING k"), "$int");
    // Over REST it stays as on Upstash.
    assert_eq!(
        command(server.addr(), &["CONFIG", "GET", "databases"]),
        r#"{"result":[]}"#
    );
    assert!(command(server.addr(), &["OBJECT", "ENCODING", "k"]).contains("not available"));
}
