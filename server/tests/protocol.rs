//! Every form of request and reply, byte for byte, on the engine and on a real Redis.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::SocketAddr;

use support::redis::RedisProcess;
use support::*;

/// Runs a test over the engine, and over a Redis where there is one.
fn both(test: impl Fn(SocketAddr)) {
    let server = engine_server();
    test(server.addr());
    server.stop();
    if let Some(redis) = RedisProcess::start(&[]) {
        let server = redis_server(&redis.url());
        test(server.addr());
        server.stop();
    }
}

#[test]
fn body_commands() {
    both(|addr| {
        let response = post(addr, "/", r#"["SET","k","v","EX",100]"#);
        assert_eq!(response.status, 200);
        assert_eq!(response.text(), r#"{"result":"OK"}"#);
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(
            post(addr, "/", r#"["get","k"]"#).text(),
            r#"{"result":"v"}"#
        );
        assert_eq!(
            post(addr, "//", r#"["ttl","k"]"#).text(),
            r#"{"result":100}"#
        );
        assert_eq!(
            post(addr, "/", r#"["SET","t",true]"#).text(),
            r#"{"result":"OK"}"#
        );
        assert_eq!(
            post(addr, "/", r#"["GET","t"]"#).text(),
            r#"{"result":"true"}"#
        );
        assert_eq!(post(addr, "/", r#"["SET","n",1.50]"#).status, 200);
        assert_eq!(
            post(addr, "/", r#"["GET","n"]"#).text(),
            r#"{"result":"1.50"}"#
        );
        assert_eq!(
            post(addr, "/", r#"["GET","no"]"#).text(),
            r#"{"result":null}"#
        );
    });
}

#[test]
fn path_commands() {
    both(|addr| {
        let get = |target: &str| request(addr, "GET", target, &[AUTH], "").text();
        assert_eq!(get("/set/foo/bar"), r#"{"result":"OK"}"#);
        assert_eq!(get("/GET/foo"), r#"{"result":"bar"}"#);
        assert_eq!(get("/get/foo/"), r#"{"result":"bar"}"#);
        assert_eq!(get("/set/a%2Fb/x%20y+z"), r#"{"result":"OK"}"#);
        assert_eq!(get("/get/a%2Fb"), r#"{"result":"x y+z"}"#);
        assert_eq!(get("/ping"), r#"{"result":"PONG"}"#);
        let put = request(addr, "PUT", "/set/foo", &[AUTH], "by put");
        assert_eq!(put.text(), r#"{"result":"OK"}"#);
        assert_eq!(get("/get/foo"), r#"{"result":"by put"}"#);
        let response = request(addr, "POST", "/set/foo?EX=100&NX&GET", &[AUTH], "2");
        assert_eq!(response.text(), r#"{"result":"by put"}"#);
        assert_eq!(get("/set/ttl/v?EX=100"), r#"{"result":"OK"}"#);
        assert_eq!(get("/ttl/ttl"), r#"{"result":100}"#);
        let head = request(addr, "HEAD", "/get/foo", &[AUTH], "");
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("19"))
        );
    });
}

#[test]
fn tokens_in_the_query_are_no_arguments() {
    both(|addr| {
        let get = |target: &str| request(addr, "GET", target, &[], "");
        assert_eq!(
            get("/set/k/v?_token=TOKEN&EX=10").text(),
            r#"{"result":"OK"}"#
        );
        assert_eq!(get("/get/k?_token=TOKEN").text(), r#"{"result":"v"}"#);
        assert_eq!(get("/get/k?_token=OTHER").status, 401);
        let pipeline = request(addr, "POST", "/pipeline?_token=TOKEN", &[], r#"[["PING"]]"#);
        assert_eq!(pipeline.text(), r#"[{"result":"PONG"}]"#);
    });
}

#[test]
fn binary_values_survive_both_ways() {
    both(|addr| {
        let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let stored = request(addr, "POST", "/set/bin", &[AUTH], &bytes);
        assert_eq!(stored.text(), r#"{"result":"OK"}"#);
        let resp = request(addr, "GET", "/get/bin", &[AUTH, RESP2], "");
        assert_eq!(
            resp.header("content-type"),
            Some("application/octet-stream")
        );
        let mut expected = b"$70000\r\n".to_vec();
        expected.extend_from_slice(&bytes);
        expected.extend_from_slice(b"\r\n");
        assert!(resp.body == expected);
        assert_eq!(
            request(addr, "GET", "/set/k%ff%00/%fe", &[AUTH], "").status,
            200
        );
        let base64 = request(addr, "GET", "/get/k%ff%00", &[AUTH, BASE64], "");
        assert_eq!(base64.text(), r#"{"result":"/g=="}"#);
        let lossy = request(addr, "GET", "/get/k%ff%00", &[AUTH], "");
        assert_eq!(lossy.text(), "{\"result\":\"\u{FFFD}\"}");
    });
}

#[test]
fn base64_leaves_only_a_top_level_ok() {
    both(|addr| {
        let send = |body: &str| request(addr, "POST", "/", &[AUTH, BASE64], body).text();
        assert_eq!(send(r#"["SET","k","OK"]"#), r#"{"result":"OK"}"#);
        assert_eq!(send(r#"["GET","k"]"#), r#"{"result":"T0s="}"#);
        assert_eq!(send(r#"["PING"]"#), r#"{"result":"UE9ORw=="}"#);
        assert_eq!(send(r#"["MGET","k","no"]"#), r#"{"result":["T0s=",null]}"#);
        let error = send(r#"["INCR","k"]"#);
        assert_eq!(
            error,
            r#"{"error":"ERR value is not an integer or out of range"}"#
        );
        let pipeline = request(
            addr,
            "POST",
            "/pipeline",
            &[AUTH, BASE64],
            r#"[["SET","k","v"],["GET","k"]]"#,
        );
        assert_eq!(pipeline.text(), r#"[{"result":"OK"},{"result":"dg=="}]"#);
    });
}

#[test]
fn big_integers_are_exact() {
    both(|addr| {
        command(addr, &["SET", "n", "9007199254740991"]);
        assert_eq!(
            command(addr, &["INCRBY", "n", "0"]),
            r#"{"result":9007199254740991}"#
        );
        assert_eq!(
            command(addr, &["INCR", "n"]),
            r#"{"result":"9007199254740992"}"#
        );
        let resp = request(addr, "POST", "/incr/n", &[AUTH, RESP2], "");
        assert_eq!(resp.text(), ":9007199254740993\r\n");
    });
}

#[test]
fn errors_of_single_commands() {
    both(|addr| {
        command(addr, &["SET", "s", "x"]);
        let cases = [
            (
                r#"["LPUSH","s","a"]"#,
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                r#"["GET"]"#,
                "ERR wrong number of arguments for 'get' command",
            ),
            ("{}", "ERR failed to parse command"),
            ("", "ERR failed to parse command"),
            (r#"["GET","k""#, "ERR failed to parse command"),
            ("[]", "ERR empty command"),
            (
                r#"["SET","k",null]"#,
                "ERR unsupported arg type: %!q(<nil>): <nil>",
            ),
            (
                r#"["SET","k",["a"]]"#,
                "ERR unsupported arg type: []interface {}",
            ),
            (
                r#"["SET","k",{"a":1}]"#,
                "ERR unsupported arg type: map[string]interface {}",
            ),
            (
                r#"["auth","x"]"#,
                "ERR Command \"AUTH\" is not allowed in REST or it has a special context path",
            ),
        ];
        for (body, error) in cases {
            let response = post(addr, "/", body);
            let expected = serde_json::json!({ "error": error }).to_string();
            assert_eq!(
                (response.status, response.text()),
                (400, expected),
                "{body}"
            );
        }
        let resp = request(addr, "POST", "/", &[AUTH, RESP2], r#"["LPUSH","s","a"]"#);
        assert_eq!(resp.status, 400);
        assert!(resp.text().starts_with("-WRONGTYPE "), "{}", resp.text());
    });
}

#[test]
fn connection_bound_and_blocking_commands_are_refused() {
    both(|addr| {
        for name in [
            "AUTH",
            "HELLO",
            "RESET",
            "QUIT",
            "MULTI",
            "EXEC",
            "DISCARD",
            "WATCH",
            "UNWATCH",
            "UNSUBSCRIBE",
            "PUNSUBSCRIBE",
            "CLIENT",
        ] {
            let expected = format!(
                "{{\"error\":\"ERR Command \\\"{name}\\\" is not allowed in REST or it has a special context path\"}}"
            );
            let path = format!("/{}/x", name.to_lowercase());
            assert_eq!(post(addr, &path, "").text(), expected);
            let body = format!("[[\"{name}\",\"x\"]]");
            assert_eq!(
                post(addr, "/pipeline", &body).text(),
                format!("[{expected}]")
            );
            let transaction = post(addr, "/multi-exec", &body);
            assert_eq!((transaction.status, transaction.text()), (400, expected));
        }
        for name in ["SUBSCRIBE", "PSUBSCRIBE", "MONITOR"] {
            assert_eq!(post(addr, "/", format!("[\"{name}\",\"x\"]")).status, 400);
        }
        for name in [
            "BLPOP",
            "BRPOP",
            "BLMOVE",
            "BLMPOP",
            "BRPOPLPUSH",
            "BZPOPMIN",
            "BZPOPMAX",
            "BZMPOP",
        ] {
            let response = post(addr, "/", format!("[\"{name}\",\"k\",\"0\"]"));
            let start =
                format!("{{\"error\":\"ERR Command is not available: '{name}'. See https://");
            assert!(response.text().starts_with(&start), "{}", response.text());
        }
    });
}

#[test]
fn pipelines() {
    both(|addr| {
        let body = r#"[["SET","k","v"],["INCR","k"],[],["GET",null],["WATCH","k"],["GET","k"]]"#;
        let response = post(addr, "/pipeline", body);
        assert_eq!(response.status, 200);
        assert_eq!(
            response.text(),
            concat!(
                r#"[{"result":"OK"},{"error":"ERR value is not an integer or out of range"},"#,
                r#"{"error":"ERR empty pipeline command"},"#,
                r#"{"error":"ERR unsupported arg type: %!q(<nil>): <nil>"},"#,
                r#"{"error":"ERR Command \"WATCH\" is not allowed in REST or it has a special context path"},"#,
                r#"{"result":"v"}]"#
            )
        );
        for target in ["//pipeline", "/pipeline/"] {
            assert_eq!(
                post(addr, target, r#"[["PING"]]"#).text(),
                r#"[{"result":"PONG"}]"#
            );
        }
        let empty = post(addr, "/pipeline", "[]");
        assert_eq!(
            (empty.status, empty.text().as_str()),
            (400, r#"{"error":"ERR empty pipeline request"}"#)
        );
        for body in ["", r#"["PING"]"#, r#"{"a":1}"#, r#"[["PING"],1]"#] {
            let response = post(addr, "/pipeline", body);
            assert_eq!(
                (response.status, response.text().as_str()),
                (400, r#"{"error":"ERR failed to parse pipeline request"}"#)
            );
        }
        let resp = request(
            addr,
            "POST",
            "/pipeline",
            &[AUTH, RESP2],
            r#"[["SET","k","1"],["INCR","k"],["GET","no"],["HGET","k","f"]]"#,
        );
        assert!(
            resp.text().starts_with("+OK\r\n:2\r\n$-1\r\n-WRONGTYPE "),
            "{}",
            resp.text()
        );
    });
}

#[test]
fn long_pipelines_keep_their_order() {
    both(|addr| {
        let rows: Vec<[&str; 2]> = vec![["INCR", "n"]; 5000];
        let response = post(addr, "/pipeline", serde_json::to_vec(&rows).unwrap());
        let items: Vec<serde_json::Value> = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(items.len(), 5000);
        for (index, item) in items.iter().enumerate() {
            assert_eq!(item["result"], index + 1);
        }
    });
}

#[test]
fn transactions() {
    both(|addr| {
        let run = |body: &str| {
            let response = post(addr, "/multi-exec", body);
            (response.status, response.text())
        };
        let ok =
            run(r#"[["SET","k","1"],["INCR","k"],["LPUSH","k","x"],["GET","k"],["SELECT","0"]]"#);
        assert_eq!(
            ok,
            (
                200,
                concat!(
                    r#"[{"result":"OK"},{"result":2},"#,
                    r#"{"error":"WRONGTYPE Operation against a key holding the wrong kind of value"},"#,
                    r#"{"result":"2"},{"result":"OK"}]"#
                )
                .to_owned()
            )
        );
        let discarded =
            r#"{"error":"EXECABORT Transaction discarded because of previous errors."}"#;
        assert_eq!(
            run(r#"[["SET","k","9"],["GET"]]"#),
            (400, discarded.to_owned())
        );
        assert_eq!(
            run(r#"[["SET","k","9"],["NOSUCH"]]"#),
            (400, discarded.to_owned())
        );
        assert_eq!(run(r#"[["SET","k","9"],["GET",null]]"#).0, 400);
        assert_eq!(run(r#"[["SET","k","9"],[]]"#).0, 400);
        assert_eq!(
            run("[]"),
            (400, r#"{"error":"ERR empty pipeline request"}"#.to_owned())
        );
        assert_eq!(command(addr, &["GET", "k"]), r#"{"result":"2"}"#);
        // Always JSON, whatever format is asked for.
        let resp = request(addr, "POST", "/multi-exec", &[AUTH, RESP2], r#"[["PING"]]"#);
        assert_eq!(resp.text(), r#"[{"result":"PONG"}]"#);
        let base64 = request(
            addr,
            "POST",
            "/multi-exec",
            &[AUTH, BASE64],
            r#"[["PING"],["SET","a","b"]]"#,
        );
        assert_eq!(base64.text(), r#"[{"result":"UE9ORw=="},{"result":"OK"}]"#);
    });
}

#[test]
fn formats_are_checked() {
    let server = engine_server();
    let addr = server.addr();
    let with = |headers: &[(&str, &str)]| {
        let headers = [&[AUTH], headers].concat();
        request(addr, "POST", "/", &headers, r#"["PING"]"#).status
    };
    assert_eq!(with(&[("Upstash-Response-Format", "json")]), 200);
    assert_eq!(with(&[("upstash-response-format", "RESP2")]), 200);
    assert_eq!(with(&[("Upstash-Response-Format", "xml")]), 400);
    assert_eq!(with(&[RESP2, BASE64]), 400);
    assert_eq!(with(&[("Upstash-Encoding", "zip")]), 400);
    assert_eq!(with(&[("Content-Type", "text/plain")]), 200);
}

#[test]
fn methods() {
    let server = engine_server();
    for method in ["DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let response = request(server.addr(), method, "/get/k", &[AUTH], "");
        assert_eq!(response.status, 405, "{method}");
        assert!(response.text().starts_with(r#"{"error":"ERR "#));
        assert_eq!(response.header("allow"), Some("GET, HEAD, POST, PUT"));
    }
}

#[test]
fn sync_tokens_change_and_anything_is_accepted() {
    let server = engine_server();
    let mut connection = Connection::open(server.addr());
    let mut seen = Vec::new();
    for token in ["", "my-new-sync-token", "%", "AAAA=="] {
        for (target, body) in [
            ("/", r#"["PING"]"#),
            ("/pipeline", r#"[["PING"]]"#),
            ("/", "{}"),
        ] {
            let headers = [AUTH, ("upstash-sync-token", token)];
            let response = connection.request("POST", target, &headers, body.as_bytes());
            seen.push(response.header("upstash-sync-token").unwrap().to_owned());
        }
    }
    let denied = connection.request("POST", "/", &[], b"[\"PING\"]");
    seen.push(denied.header("upstash-sync-token").unwrap().to_owned());
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
    assert!(seen.iter().all(|token| !token.is_empty()));
}

#[test]
fn request_ids_are_kept() {
    let server = engine_server();
    let response = request(
        server.addr(),
        "GET",
        "/ping",
        &[AUTH, ("X-Request-Id", "abc-1")],
        "",
    );
    assert_eq!(response.header("x-request-id"), Some("abc-1"));
    let response = request(server.addr(), "GET", "/ping", &[AUTH], "");
    assert!(
        response
            .header("x-request-id")
            .is_some_and(|id| !id.is_empty())
    );
}
