//! Tokens: who may do what, on every path.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use restis_server::{Server, Tenants};
use support::redis::RedisProcess;
use support::*;

const UNAUTHORIZED: &str = r#"{"error":"WRONGPASS invalid or missing auth token. See https://docs.upstash.com/redis/troubleshooting/http_unauthorized for details."}"#;

#[test]
fn nothing_runs_without_a_token() {
    let server = engine_server();
    let addr = server.addr();
    let bad: [&[(&str, &str)]; 7] = [
        &[],
        &[("Authorization", "")],
        &[("Authorization", "TOKEN")],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Bearer OTHER")],
        &[("Authorization", "Bearer TOKE")],
        &[("Authorization", "Basic VE9LRU4=")],
    ];
    let set = r#"["SET","pwned","1"]"#;
    let sets = r#"[["SET","pwned","1"]]"#;
    for headers in bad {
        for (target, body) in [
            ("/", set),
            ("//", set),
            ("/set/pwned/1", ""),
            ("/set/pwned", "1"),
            ("/set/pwned/1?_token=", ""),
            ("/set/pwned/1?_token=OTHER", ""),
            ("/pipeline", sets),
            ("//pipeline", sets),
            ("/pipeline/", sets),
            ("/multi-exec", sets),
            ("/subscribe/ch", "[]"),
            ("/psubscribe/*", "[]"),
            ("/monitor", ""),
            ("/publish/ch/m", ""),
            ("/health", ""),
            ("/metrics", ""),
        ] {
            for method in ["GET", "POST", "PUT"] {
                let headers = [headers, &[("Accept", "text/event-stream")]].concat();
                let response = request(addr, method, target, &headers, body);
                assert_eq!(response.status, 401, "{method} {target}");
                assert_eq!(response.text(), UNAUTHORIZED);
            }
        }
    }
    assert_eq!(command(addr, &["DBSIZE"]), r#"{"result":0}"#);
}

#[test]
fn schemes_ignore_case() {
    let server = engine_server();
    let auth = ("authorization", "bearer TOKEN");
    assert_eq!(
        request(server.addr(), "GET", "/ping", &[auth], "").status,
        200
    );
}

#[test]
fn every_token_opens_its_own_database() {
    let mut tenants = Tenants::new();
    tenants.add("A", None);
    tenants.add("B", None);
    tenants.add_read_only("RO", 0).unwrap();
    let server = Server::builder()
        .tenants(tenants)
        .bind("127.0.0.1:0")
        .unwrap();
    let server = server.spawn().unwrap();
    let send = |token: &str, body: &str| {
        let auth = format!("Bearer {token}");
        request(
            server.addr(),
            "POST",
            "/",
            &[("Authorization", &auth)],
            body,
        )
        .text()
    };
    assert_eq!(send("A", r#"["SET","k","of a"]"#), r#"{"result":"OK"}"#);
    assert_eq!(send("B", r#"["GET","k"]"#), r#"{"result":null}"#);
    assert_eq!(send("RO", r#"["GET","k"]"#), r#"{"result":"of a"}"#);
}

fn read_only_rules(server: &restis_server::Running) {
    let auth = ("Authorization", "Bearer RO");
    let send = |target: &str, body: &str| request(server.addr(), "POST", target, &[auth], body);
    let denied = |name: &str| {
        format!(
            "{{\"error\":\"NOPERM this user has no permissions to run the '{name}' command or its subcommand\"}}"
        )
    };
    for (body, name) in [
        (r#"["SET","k","v"]"#, "set"),
        (r#"["flushall"]"#, "flushall"),
        (r#"["KEYS","*"]"#, "keys"),
        (r#"["SCAN","0"]"#, "scan"),
        (r#"["EVAL","return 1","0"]"#, "eval"),
    ] {
        let response = send("/", body);
        assert_eq!((response.status, response.text()), (400, denied(name)));
    }
    assert_eq!(send("/", r#"["PING"]"#).text(), r#"{"result":"PONG"}"#);
    assert_eq!(send("/", r#"["HGETALL","h"]"#).text(), r#"{"result":[]}"#);
    let pipeline = send("/pipeline", r#"[["GET","k"],["DEL","k"]]"#).text();
    assert_eq!(pipeline, format!("[{{\"result\":null}},{}]", denied("del")));
    assert_eq!(
        send("/multi-exec", r#"[["GET","k"],["DEL","k"]]"#).status,
        400
    );
    let stream = [auth, ("Accept", "text/event-stream")];
    assert_eq!(
        request(server.addr(), "POST", "/monitor", &stream, "").status,
        400
    );
}

#[test]
fn read_only_tokens_only_read() {
    let start = |redis: Option<&str>| {
        let mut tenants = Tenants::new();
        tenants.add(TOKEN, redis);
        tenants.add_read_only("RO", 0).unwrap();
        let server = Server::builder()
            .tenants(tenants)
            .bind("127.0.0.1:0")
            .unwrap();
        server.spawn().unwrap()
    };
    read_only_rules(&start(None));
    if let Some(redis) = RedisProcess::start(&[]) {
        read_only_rules(&start(Some(&redis.url())));
    }
}

#[test]
fn equal_tokens_are_refused() {
    let server = Server::builder().token("A").token("A").bind("127.0.0.1:0");
    let error = server.unwrap_err().to_string();
    assert!(error.contains("given twice"), "{error}");
    assert!(!error.contains('A'), "{error}");
}

#[test]
fn tokens_of_users_have_the_users_rights() {
    let server = engine_server();
    let addr = server.addr();
    let token = |reply: String| -> String {
        let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
        reply["result"].as_str().unwrap().to_owned()
    };
    let minted = token(command(addr, &["ACL", "GENTOKEN", "app"]));
    let bearer = format!("Bearer {minted}");
    let auth = [
        ("Authorization", bearer.as_str()),
        ("Accept", "text/event-stream"),
    ];
    let send = |target: &str, body: &str| {
        let response = request(addr, "POST", target, &auth, body);
        (response.status, response.text())
    };
    assert_eq!(send("/", r#"["PING"]"#).0, 401, "no user has it yet");
    let rule = format!(">{minted}");
    let rules = [
        "ACL",
        "SETUSER",
        "app",
        "on",
        &rule,
        "~app:*",
        "&app:*",
        "+get",
        "+set",
        "+subscribe",
    ];
    assert_eq!(command(addr, &rules), r#"{"result":"OK"}"#);
    assert_eq!(
        token(command(addr, &["ACL", "RESTTOKEN", "app", &minted])),
        minted
    );
    assert_eq!(
        send("/", r#"["SET","app:k","v"]"#),
        (200, r#"{"result":"OK"}"#.to_owned())
    );
    assert_eq!(send("/get/app:k", "").1, r#"{"result":"v"}"#);
    for (target, body) in [
        ("/", r#"["SET","other","v"]"#),
        ("/", r#"["DEL","app:k"]"#),
        ("/multi-exec", r#"[["SET","app:k","w"],["DEL","app:k"]]"#),
        ("/subscribe/other", ""),
        ("/psubscribe/app:*", ""),
        ("/monitor", ""),
    ] {
        assert_eq!(send(target, body).0, 400, "{target} {body}");
    }
    let mixed = send("/pipeline", r#"[["GET","app:k"],["DEL","app:k"]]"#).1;
    assert!(
        mixed.starts_with(r#"[{"result":"v"},{"error":"NOPERM "#),
        "{mixed}"
    );
    let mut events = Events::open(addr, "POST", "/subscribe/app:news", &auth, b"");
    events.expect("data: subscribe,app:news,1");
    command(addr, &["ACL", "DELUSER", "app"]);
    assert_eq!(send("/", r#"["GET","app:k"]"#).0, 401);
    assert_eq!(events.next(), None, "the stream ends with its user");
}

#[test]
fn a_token_of_a_user_opens_its_own_database_only() {
    let mut tenants = Tenants::new();
    tenants.add("A", None);
    tenants.add("B", None);
    let server = Server::builder().tenants(tenants);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let send = |token: &str, args: &[&str]| {
        let auth = format!("Bearer {token}");
        let body = serde_json::to_vec(args).unwrap();
        let headers = [("Authorization", auth.as_str())];
        request(server.addr(), "POST", "/", &headers, body).text()
    };
    let minted = |owner: &str| -> String {
        let reply = send(owner, &["ACL", "GENTOKEN", "eve", "pw"]);
        let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
        reply["result"].as_str().unwrap().to_owned()
    };
    let (of_a, of_b) = (minted("A"), minted("B"));
    assert_ne!(of_a, of_b);
    assert_eq!(of_a, minted("A"));
    let set_user = |owner: &str, token: &str| {
        let rule = format!(">{token}");
        send(owner, &["ACL", "SETUSER", "eve", "on", &rule, "~*", "+get"])
    };
    assert!(set_user("B", &of_a).contains("of this database"));
    for (owner, token) in [("A", &of_a), ("B", &of_b)] {
        assert_eq!(set_user(owner, token), r#"{"result":"OK"}"#);
        send(owner, &["SET", "whose", owner]);
    }
    assert_eq!(send(&of_a, &["GET", "whose"]), r#"{"result":"A"}"#);
    assert_eq!(send(&of_b, &["GET", "whose"]), r#"{"result":"B"}"#);
    send("A", &["ACL", "DELUSER", "eve"]);
    assert_eq!(send(&of_a, &["GET", "whose"]), UNAUTHORIZED);
    assert_eq!(send(&of_b, &["GET", "whose"]), r#"{"result":"B"}"#);
}

#[test]
fn a_stream_ends_when_its_user_may_no_longer_listen() {
    let server = engine_server();
    let addr = server.addr();
    let reply = command(addr, &["ACL", "GENTOKEN", "app"]);
    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
    let token = reply["result"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let auth = [("Authorization", bearer.as_str())];
    let rule = format!(">{token}");
    let back = [
        "ACL",
        "SETUSER",
        "app",
        "reset",
        "on",
        &rule,
        "&news",
        "+subscribe",
    ];
    let mut kept = Events::open(addr, "GET", "/subscribe/news", &[AUTH], b"");
    kept.expect("data: subscribe,news,1");
    for loss in ["resetchannels", "off", "-subscribe", "resetpass", "reset"] {
        assert_eq!(command(addr, &back), r#"{"result":"OK"}"#);
        let mut events = Events::open(addr, "GET", "/subscribe/news", &auth, b"");
        events.expect("data: subscribe,news,1");
        command(addr, &["ACL", "SETUSER", "app", "+get", "&more"]);
        command(addr, &["PUBLISH", "news", loss]);
        events.expect(format!("data: message,news,{loss}"));
        kept.expect(format!("data: message,news,{loss}"));
        command(addr, &["ACL", "SETUSER", "app", loss]);
        assert_eq!(events.next(), None, "{loss}");
    }
}
