//! What is special about databases that live in a Redis.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use restis_server::{Server, Tenants};
use support::redis::{ClusterProcess, RedisProcess};
use support::*;

#[test]
fn error_texts_are_the_servers_own() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let server = redis_server(&redis.url());
    let addr = server.addr();
    assert_eq!(
        command(
            addr,
            &["EVALSHA", "ffffffffffffffffffffffffffffffffffffffff", "0"]
        ),
        r#"{"error":"NOSCRIPT No matching script. Please use EVAL."}"#
    );
    assert_eq!(
        command(
            addr,
            &[
                "EVAL",
                "return redis.error_reply('CUSTOM  two  spaces')",
                "0"
            ]
        ),
        r#"{"error":"CUSTOM  two  spaces"}"#
    );
    assert_eq!(
        command(
            addr,
            &["EVAL", "return {1, redis.error_reply('MY err'), 'x'}", "0"]
        ),
        r#"{"result":[1,{"error":"MY err"},"x"]}"#
    );
    for name in ["SHUTDOWN", "DEBUG", "REPLICAOF", "CONFIG\u{ff}"] {
        assert!(
            command(addr, &[name]).contains("is not available"),
            "{name}"
        );
    }
}

#[test]
fn unix_sockets_and_users() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let server = redis_server(&redis.socket_url());
    assert_eq!(
        command(server.addr(), &["SET", "k", "v"]),
        r#"{"result":"OK"}"#
    );
    redis.raw("ACL SETUSER app on >secret ~app:* +@all -flushall");
    let url = format!("redis://app:secret@127.0.0.1:{}", redis.port);
    let server = redis_server(&url);
    assert_eq!(
        command(server.addr(), &["SET", "app:k", "v"]),
        r#"{"result":"OK"}"#
    );
    assert!(command(server.addr(), &["SET", "k", "v"]).starts_with(r#"{"error":"NOPERM "#));
    assert!(command(server.addr(), &["FLUSHALL"]).starts_with(r#"{"error":"NOPERM "#));
    let wrong = format!("redis://app:wrong@127.0.0.1:{}", redis.port);
    let server = redis_server(&wrong);
    let response = post(server.addr(), "/ping", "");
    assert_eq!(response.status, 503);
    assert!(
        response.text().contains("refuses its credentials"),
        "{}",
        response.text()
    );
}

#[test]
fn locking_scripts_keep_their_sha() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let server = redis_server(&redis.url());
    let addr = server.addr();
    let script = "#!lua flags=allow-key-locking\nreturn redis.call('INCR', KEYS[1])";
    let sha = "{\"result\":\"cc4b56d2c5cf6a0eb5d0d59c5d9e0e0f\"}";
    let loaded = command(addr, &["SCRIPT", "LOAD", script]);
    assert_eq!(loaded.len(), sha.len() + 8);
    let sha = &loaded[11..51];
    assert_eq!(
        command(addr, &["EVALSHA", sha, "1", "n"]),
        r#"{"result":1}"#
    );
    assert_eq!(
        command(addr, &["SCRIPT", "EXISTS", sha]),
        r#"{"result":[1]}"#
    );
    assert_eq!(
        command(addr, &["EVAL", script, "1", "n"]),
        r#"{"result":2}"#
    );
    let body = serde_json::json!([["EVALSHA", sha, "1", "n"]]).to_string();
    assert_eq!(post(addr, "/pipeline", &body).text(), r#"[{"result":3}]"#);
    assert_eq!(post(addr, "/multi-exec", &body).text(), r#"[{"result":4}]"#);
}

#[test]
fn select_never_leaks() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let server = redis_server(&redis.url());
    let addr = server.addr();
    assert_eq!(command(addr, &["SELECT", "0"]), r#"{"result":"OK"}"#);
    assert!(command(addr, &["SELECT", "1"]).contains("error"));
    assert!(
        post(addr, "/pipeline", r#"[["SELECT","1"]]"#)
            .text()
            .contains("error")
    );
    assert_eq!(post(addr, "/multi-exec", r#"[["SELECT","1"]]"#).status, 400);
    command(addr, &["EVAL", "redis.call('SELECT', 1) return 1", "0"]);
    for _ in 0..5 {
        command(addr, &["SET", "here", "1"]);
    }
    assert!(redis.raw("EXISTS here").starts_with(":1"));
}

#[test]
fn commands_that_wait_do_not_hold_the_connection() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let server = redis_server(&redis.url());
    let addr = server.addr();
    let started = std::time::Instant::now();
    assert_eq!(command(addr, &["WAIT", "1", "0"]), r#"{"result":0}"#);
    let read = ["XREAD", "BLOCK", "0", "BLOCK", "0", "STREAMS", "s", "$"];
    let refused = command(addr, &read);
    assert!(
        refused.contains("not available: 'XREAD BLOCK'"),
        "{refused}"
    );
    let debug = command(addr, &["SCRIPT", "DEBUG", "SYNC"]);
    assert!(debug.contains("not available"), "{debug}");
    assert_eq!(command(addr, &["PING"]), r#"{"result":"PONG"}"#);
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
}

#[test]
fn databases_of_one_redis_are_apart_or_refused() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let port = redis.port;
    let start = |one: &str, other: &str| {
        let mut tenants = Tenants::new();
        let url = |user: &str| format!("redis://{user}127.0.0.1:{port}/");
        tenants.add("ONE", Some(&(url(one) + "1")));
        tenants.add("OTHER", Some(&(url(other) + "2")));
        Server::builder().tenants(tenants).bind("127.0.0.1:0")
    };
    for (one, other) in [
        ("", ""),
        ("a:p@", ""),
        ("a:p@", "a:p@"),
        ("default:x@", "b:p@"),
    ] {
        let error = start(one, other).unwrap_err().to_string();
        assert!(
            error.contains("ACL SETUSER") && !error.contains(":p@"),
            "{error}"
        );
    }
    for user in ["one", "other"] {
        redis.raw(&format!(
            "ACL SETUSER {user} on >p {APART} ~{user}:* &{user}:*"
        ));
    }
    let server = start("one:p@", "other:p@").unwrap().spawn().unwrap();
    let send = |token: &str, args: &[&str]| {
        let auth = format!("Bearer {token}");
        let body = serde_json::to_vec(args).unwrap();
        request(
            server.addr(),
            "POST",
            "/",
            &[("Authorization", &auth)],
            body,
        )
        .text()
    };
    assert_eq!(
        send("OTHER", &["SET", "other:k", "secret"]),
        r#"{"result":"OK"}"#
    );
    let script = "redis.call('SELECT', 2) return redis.call('GET', 'other:k')";
    for attempt in [
        &["EVAL", script, "0"][..],
        &["GET", "other:k"],
        &["COPY", "other:k", "one:k", "DB", "1"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["FLUSHALL"],
        &["FLUSHDB", "ASYNC"],
        &["SWAPDB", "1", "2"],
        &["EVAL", "return redis.call('FLUSHALL')", "0"],
        &[
            "EVAL",
            "redis.call('SELECT', 2) return redis.call('FLUSHDB')",
            "0",
        ],
        &["EVAL", "return redis.call('SWAPDB', 1, 2)", "0"],
        &[
            "FUNCTION",
            "LOAD",
            "REPLACE",
            "#!lua name=l\nredis.register_function('f', function() end)",
        ],
        &["PUBLISH", "other:c", "m"],
    ] {
        let reply = send("ONE", attempt);
        assert!(
            reply.contains("error") && !reply.contains("secret"),
            "{reply}"
        );
    }
    assert_eq!(send("OTHER", &["GET", "other:k"]), r#"{"result":"secret"}"#);
}

/// What keeps users of one Redis apart, besides keys and channels of their own.
const APART: &str =
    "resetkeys resetchannels +@all -@admin -@dangerous -scan -randomkey -keys -function -pubsub";

#[test]
fn users_of_one_redis_whose_rules_meet_are_refused_until_they_do_not() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let mut tenants = Tenants::new();
    for (token, number) in [("ONE", 1), ("OTHER", 2)] {
        let user = token.to_lowercase();
        let url = format!("redis://{user}:p@127.0.0.1:{}/{number}", redis.port);
        tenants.add(token, Some(&url));
    }
    let server = Server::builder().tenants(tenants).bind("127.0.0.1:0");
    let server = server.unwrap().spawn().unwrap();
    let send = |token: &str, target: &str, body: &str| {
        let auth = format!("Bearer {token}");
        request(
            server.addr(),
            "POST",
            target,
            &[("Authorization", &auth)],
            body,
        )
    };
    redis.raw(&format!(
        "ACL SETUSER other on >p {APART} ~other:* &other:*"
    ));
    redis.raw("ACL SETUSER one on >p");
    for rules in [
        // Every key, channel or command; keys of the other; one command that reaches all.
        "reset on >p ~* &* +@all",
        &format!("{APART} ~* &one:*"),
        &format!("{APART} ~one:* ~other:* &one:*"),
        &format!("{APART} ~one:* allchannels"),
        &format!("{APART} ~one:* &one:* +flushall"),
        &format!("{APART} ~one:* &one:* +flushdb"),
        &format!("{APART} ~one:* &one:* +swapdb"),
        &format!("{APART} ~one:* &one:* +keys"),
        &format!("{APART} ~one:* &one:* +scan"),
        &format!("{APART} ~one:* &one:* +function|load"),
    ] {
        redis.raw(&format!("ACL SETUSER one {rules}"));
        redis.raw("SET kept v");
        for (target, body) in [
            ("/", r#"["GET","one:k"]"#),
            ("/pipeline", r#"[["FLUSHALL"]]"#),
            ("/multi-exec", r#"[["FLUSHALL"]]"#),
            ("/subscribe/one:c", ""),
        ] {
            let response = send("ONE", target, body);
            assert_eq!(
                response.status,
                503,
                "{rules} {target}: {}",
                response.text()
            );
            assert!(response.text().contains("not apart"), "{}", response.text());
        }
        assert!(redis.raw("EXISTS kept").starts_with(":1"), "{rules}");
    }
    let set = send("OTHER", "/", r#"["SET","other:k","v"]"#);
    assert_eq!(set.text(), r#"{"result":"OK"}"#);
    redis.raw(&format!(
        "ACL SETUSER one reset on >p {APART} ~one:* &one:*"
    ));
    let set = send("ONE", "/", r#"["SET","one:k","v"]"#);
    assert_eq!(set.text(), r#"{"result":"OK"}"#);
}

#[test]
fn a_read_only_token_runs_no_script_on_a_redis() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let mut tenants = Tenants::new();
    tenants.add(TOKEN, Some(&redis.url()));
    tenants.add_read_only("RO", 0).unwrap();
    let server = Server::builder().tenants(tenants);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    command(server.addr(), &["SET", "hidden", "1"]);
    let script = r#"["EVAL_RO","return redis.call('KEYS','*')","0"]"#;
    let headers = [("Authorization", "Bearer RO")];
    let reply = request(server.addr(), "POST", "/", &headers, script).text();
    assert!(reply.starts_with(r#"{"error":"NOPERM "#), "{reply}");
}

#[test]
fn an_absent_redis_is_a_clear_error_and_recovery_is_automatic() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let (url, port) = (redis.url(), redis.port);
    let server = Server::builder()
        .redis(TOKEN, &url)
        .admin("127.0.0.1:0".parse().unwrap());
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let addr = server.addr();
    assert_eq!(command(addr, &["PING"]), r#"{"result":"PONG"}"#);
    drop(redis);
    eventually("the Redis is missed", || {
        post(addr, "/ping", "").status == 503
    });
    for (target, body) in [
        ("/", r#"["GET","k"]"#),
        ("/pipeline", r#"[["GET","k"]]"#),
        ("/multi-exec", r#"[["GET","k"]]"#),
        ("/subscribe/c", ""),
    ] {
        let response = post(addr, target, body);
        assert_eq!(response.status, 503, "{target} {}", response.text());
        assert_eq!(response.header("retry-after"), Some("1"));
        let error = "ERR the Redis behind this server cannot be reached; nothing was executed";
        assert_eq!(
            response.text(),
            serde_json::json!({ "error": error }).to_string()
        );
    }
    let admin = server.admin_addr().unwrap();
    assert_eq!(request(admin, "GET", "/health", &[], "").status, 503);
    let _redis = RedisProcess::start_on(port, &[]);
    assert_eq!(command(addr, &["SET", "k", "v"]), r#"{"result":"OK"}"#);
    assert_eq!(request(admin, "GET", "/health", &[], "").status, 200);
}

#[test]
fn a_restart_between_two_requests_is_not_noticed() {
    let Some(redis) = RedisProcess::start(&[]) else {
        return;
    };
    let (url, port) = (redis.url(), redis.port);
    let server = redis_server(&url);
    command(server.addr(), &["PING"]);
    drop(redis);
    let redis = RedisProcess::start_on(port, &[]);
    // The broken connection is noticed while idle, so that this write is sent once, to the new one.
    assert_eq!(command(server.addr(), &["INCR", "n"]), r#"{"result":1}"#);
    assert!(redis.raw("GET n").contains('1'));
}

#[test]
fn clusters() {
    let Some(cluster) = ClusterProcess::start() else {
        return;
    };
    let server = redis_server(&cluster.url());
    let addr = server.addr();
    let sets: Vec<[String; 3]> = (0..300)
        .map(|n| ["SET".into(), format!("k{n}"), format!("v{n}")])
        .collect();
    let response = post(addr, "/pipeline", serde_json::to_vec(&sets).unwrap());
    assert!(!response.text().contains("error"), "{}", response.text());
    assert_eq!(command(addr, &["DBSIZE"]), r#"{"result":300}"#);
    assert_eq!(
        command(addr, &["MGET", "k1", "k2", "no", "k3"]),
        r#"{"result":["v1","v2",null,"v3"]}"#
    );
    assert_eq!(command(addr, &["DEL", "k1", "k2", "k3"]), r#"{"result":3}"#);
    assert_eq!(
        command(
            addr,
            &["EVAL", "return redis.call('GET', KEYS[1])", "1", "k7"]
        ),
        r#"{"result":"v7"}"#
    );
    let mut found = std::collections::BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let step = command(addr, &["SCAN", &cursor, "COUNT", "20"]);
        let step: serde_json::Value = serde_json::from_str(&step).unwrap();
        let keys = step["result"][1].as_array().unwrap();
        found.extend(keys.iter().map(|key| key.as_str().unwrap().to_owned()));
        step["result"][0].as_str().unwrap().clone_into(&mut cursor);
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found.len(), 297);
    // The commands of one key stay in order, whatever node it is on.
    let mut rows = Vec::new();
    for n in 0..300 {
        let key = format!("s{n}");
        rows.push(vec!["DEL".to_owned(), key.clone()]);
        rows.push(vec![
            "XADD".into(),
            key.clone(),
            "1-1".into(),
            "f".into(),
            "v".into(),
        ]);
        rows.push(vec![
            "XGROUP".into(),
            "CREATE".into(),
            key.clone(),
            "g".into(),
            "0".into(),
        ]);
        rows.push(vec!["XLEN".into(), key.clone()]);
        rows.push(vec!["DEL".into(), key]);
    }
    let response = post(addr, "/pipeline", serde_json::to_vec(&rows).unwrap());
    let one = r#"{"result":0},{"result":"1-1"},{"result":"OK"},{"result":1},{"result":1}"#;
    assert_eq!(response.text(), format!("[{}]", [one; 300].join(",")));
    let transaction = post(
        addr,
        "/multi-exec",
        r#"[["SET","{a}1","x"],["GET","{a}1"]]"#,
    );
    assert_eq!(transaction.text(), r#"[{"result":"OK"},{"result":"x"}]"#);
    let crossed = post(addr, "/multi-exec", r#"[["SET","a","x"],["SET","b","x"]]"#);
    assert_eq!(crossed.status, 400);
    assert!(crossed.text().contains("CROSSSLOT"), "{}", crossed.text());
    let wrong = command(addr, &["LPUSH", "k7", "x"]);
    assert_eq!(
        wrong,
        r#"{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"}"#
    );
    let mut events = Events::open(addr, "GET", "/subscribe/chat", &[AUTH], b"");
    events.expect("data: subscribe,chat,1");
    command(addr, &["PUBLISH", "chat", "over the bus"]);
    events.expect("data: message,chat,over the bus");
    assert_eq!(command(addr, &["FLUSHALL"]), r#"{"result":"OK"}"#);
    assert_eq!(command(addr, &["DBSIZE"]), r#"{"result":0}"#);
}

#[test]
fn a_slot_that_moves_is_followed_and_nothing_is_counted_twice() {
    let Some(cluster) = ClusterProcess::start() else {
        return;
    };
    let server = redis_server(&cluster.url());
    let addr = server.addr();
    command(addr, &["INCR", "n"]);
    let integer = |reply: &str| -> i64 { reply.trim_start_matches(':').trim().parse().unwrap() };
    let slot = integer(&cluster.nodes[0].raw("CLUSTER KEYSLOT n"));
    let owns = |number: usize| cluster.nodes[number].raw("EXISTS n").starts_with(":1");
    let from = (0..3).find(|number| owns(*number)).unwrap();
    let to = (from + 1) % 3;
    let id = |number: usize| cluster.nodes[number].raw("CLUSTER MYID")[5..45].to_owned();
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut connection = Connection::open(addr);
            for _ in 0..400 {
                let response = connection.request("POST", "/", &[AUTH], br#"["INCR","n"]"#);
                assert_eq!(response.status, 200, "{}", response.text());
            }
        });
        target.raw(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from)));
        source.raw(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to)));
        source.raw(&format!("MIGRATE 127.0.0.1 {} n 0 5000", target.port));
        // From here until the slot is handed over the source answers ASK.
        assert!(source.raw("GET n").starts_with("-ASK "));
        for node in [target, source] {
            node.raw(&format!("CLUSTER SETSLOT {slot} NODE {}", id(to)));
        }
        writer.join().unwrap();
    });
    assert_eq!(command(addr, &["GET", "n"]), r#"{"result":"401"}"#);
    assert!(target.raw("GET n").ends_with("401\r\n"));
}
