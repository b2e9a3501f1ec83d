//! The built function, tried as somebody would who wants what is not his, or who speaks HTTP as clients do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use http::HeaderMap;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, time::Duration};
use support::{
    SERVICE_TOKEN,
    function::{Function, cookie},
    store,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A token that may do everything for one organisation.
const ACME: &str = "the-token-of-acme-only";
const POLICIES: &str = r#"{"default":{"algorithm":"token-bucket","refill":1,"interval":"1h","capacity":2},"window":{"algorithm":"fixed-window","limit":2,"window":"1h"}}"#;

fn tokens() -> String {
    let digest = Sha256::digest(ACME);
    let hex = digest.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    json!([{ "name": "acme", "sha256": hex, "scopes": ["*"], "organisations": ["acme"] }])
        .to_string()
}

fn started(store: &str, vars: &[(&str, &str)]) -> Function {
    let tokens = tokens();
    let usual = [
        ("RESTIS_SERVICE_TOKENS", tokens.as_str()),
        ("RATE_LIMIT_POLICIES", POLICIES),
    ];
    Function::start(store, &[&usual[..], vars].concat())
}

async fn live(function: &Function, cookie: &str) -> bool {
    let (status, _, body) = function
        .browser("GET", "/api/session", cookie, Value::Null)
        .await;
    assert_eq!(status, 200, "{body}");
    !body["session"].is_null()
}

#[tokio::test]
async fn a_token_of_one_organisation_reaches_no_user_of_another() {
    let store = store();
    let function = started(store.url(), &[("SESSION_MAX_PER_USER", "2")]);
    let root = async |body: Value| function.token("POST", "/api/sessions", body).await;
    let (_, headers, made) =
        root(json!({ "user": "victim", "organisation": "other", "data": { "cart": "c" } })).await;
    let theirs = cookie(&headers);
    let (_, headers, _) = root(json!({ "user": "victim" })).await;
    let unbound = cookie(&headers);
    let (_, headers, _) = root(json!({ "organisation": "other", "data": { "cart": "c" } })).await;
    let visitor = cookie(&headers);

    // What the token may not name.
    for organisation in [json!("other"), Value::Null, json!("Acme"), json!("acme ")] {
        let body = json!({ "user": "victim", "organisation": organisation });
        let (status, headers, body) = function.with(ACME, "POST", "/api/sessions", body).await;
        assert!(
            matches!(status, 400 | 403),
            "{organisation}: {status} {body}"
        );
        assert!(!headers.contains_key("set-cookie"));
    }
    for query in [
        "",
        "?organisation=other",
        "?organisation=",
        "?organisation=acme&organisation=other",
        "?organisation=acme%2Cother",
    ] {
        for (method, path) in [
            ("GET", "sessions"),
            ("DELETE", "sessions"),
            ("GET", "epoch"),
        ] {
            let path = format!("/api/users/victim/{path}{query}");
            let (status, _, body) = function.with(ACME, method, &path, Value::Null).await;
            assert!(
                matches!(status, 400 | 403),
                "{method} {path}: {status} {body}"
            );
        }
    }
    for (method, path) in [
        ("GET", "/api/sessions/active"),
        ("POST", "/api/sessions/revoke-all"),
    ] {
        let (status, _, body) = function.with(ACME, method, path, Value::Null).await;
        assert_eq!(status, 403, "{method} {path}: {body}");
    }

    // What the same user id of its own organisation gives it.
    let own = json!({ "user": "victim", "organisation": "acme", "keep": ["cart"] });
    let bearer = format!("Bearer {ACME}");
    let both = [
        ("authorization", bearer.as_str()),
        ("cookie", visitor.as_str()),
    ];
    let (status, headers, kept) = function
        .call("POST", "/api/sessions", &both, own.clone())
        .await;
    assert_eq!(
        (status, &kept["data"]["cart"]),
        (201, &Value::Null),
        "{kept}"
    );
    let ours = cookie(&headers);
    let (_, _, listed) = function
        .browser("GET", "/api/sessions", &ours, Value::Null)
        .await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let one = format!("/api/sessions/{}", made["id"].as_str().unwrap());
    assert_eq!(
        function.browser("DELETE", &one, &ours, Value::Null).await.0,
        404
    );
    let (_, _, ended) = function
        .browser("POST", "/api/sessions/revoke-others", &ours, Value::Null)
        .await;
    assert_eq!(ended["revoked"], 0);
    for _ in 0..5 {
        assert_eq!(
            function
                .with(ACME, "POST", "/api/sessions", own.clone())
                .await
                .0,
            201
        );
    }
    let (_, _, ended) = function
        .with(
            ACME,
            "DELETE",
            "/api/users/victim/sessions?organisation=acme",
            Value::Null,
        )
        .await;
    assert_eq!(ended["revoked"], 2, "the cap is the organisation's own");
    assert!(live(&function, &theirs).await && live(&function, &unbound).await);
    // A token of all ends all.
    let (_, _, ended) = function
        .token("DELETE", "/api/users/victim/sessions", Value::Null)
        .await;
    assert_eq!(ended["revoked"], 2);
    assert!(!live(&function, &theirs).await && !live(&function, &unbound).await);
}

/// A browser's cookies by what tells them apart: name, domain, path, and whether they are partitioned.
#[derive(Default)]
struct Jar(Vec<([String; 4], String)>);

impl Jar {
    fn take(&mut self, headers: &HeaderMap) {
        for set in headers.get_all("set-cookie") {
            let mut parts = set.to_str().unwrap().split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let rest: Vec<&str> = parts.collect();
            let of = |name: &str| {
                let found = rest.iter().find_map(|part| part.strip_prefix(name));
                found.unwrap_or_default().to_owned()
            };
            let partitioned = rest.contains(&"Partitioned").to_string();
            let key = [name.to_owned(), of("Domain="), of("Path="), partitioned];
            self.0.retain(|(k, _)| *k != key);
            if of("Max-Age=") != "0" {
                self.0.push((key, value.to_owned()));
            }
        }
    }

    fn header(&self) -> String {
        let pairs = self
            .0
            .iter()
            .map(|(key, value)| format!("{}={value}", key[0]));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

#[tokio::test]
async fn whoever_has_cookies_of_an_older_configuration_can_sign_in_again() {
    let name = ("SESSION_COOKIE_NAME", "app_sid");
    let domain = ("SESSION_COOKIE_DOMAIN", "example.com");
    let partitioned = ("SESSION_COOKIE_PARTITIONED", "true");
    let none = ("SESSION_COOKIE_SAMESITE", "none");
    for (before, after) in [
        (vec![name], vec![name, domain]),
        (vec![name, domain], vec![name]),
        (vec![name], vec![name, partitioned, none]),
        (vec![name, partitioned, none], vec![name, domain]),
        (vec![name, domain, partitioned, none], vec![name, domain]),
    ] {
        let store = store();
        let mut jar = Jar::default();
        let bearer = format!("Bearer {SERVICE_TOKEN}");
        let sign_in = async |function: &Function, jar: &mut Jar| {
            let cookies = jar.header();
            let headers = [
                ("authorization", bearer.as_str()),
                ("cookie", &cookies),
                ("host", "app.example.com"),
            ];
            let (status, headers, body) = function
                .call("POST", "/api/sessions", &headers, json!({ "user": "u1" }))
                .await;
            assert_eq!(status, 201, "{body}");
            jar.take(&headers);
        };
        let read = async |function: &Function, jar: &mut Jar| {
            let cookies = jar.header();
            let headers = [
                ("cookie", cookies.as_str()),
                ("sec-fetch-site", "same-origin"),
                ("host", "app.example.com"),
            ];
            let (status, headers, body) = function
                .call("GET", "/api/session", &headers, Value::Null)
                .await;
            assert_eq!(status, 200, "{body}");
            jar.take(&headers);
            body["session"]["user"].clone()
        };
        let old = started(store.url(), &before);
        sign_in(&old, &mut jar).await;
        drop(old);
        let new = started(store.url(), &after);
        // Back ends that forward no cookie make the second one.
        let mut second = Jar::default();
        sign_in(&new, &mut second).await;
        jar.0.extend(second.0);
        read(&new, &mut jar).await;
        sign_in(&new, &mut jar).await;
        assert_eq!(
            read(&new, &mut jar).await,
            "u1",
            "{before:?} {after:?}: {}",
            jar.header()
        );
    }
}

/// Sends bytes as they are, and reads what comes back until the end.
async fn exchange(function: &Function, bytes: &[u8]) -> String {
    let address = function.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let whole = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(30), whole)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_cannot_be_taken_and_a_path_that_is_no_text_are_problems() {
    let store = store();
    let function = started(
        store.url(),
        &[("REQUEST_TIMEOUT", "300"), ("MAX_BODY_BYTES", "2000")],
    );
    let paths = [
        "/api/sessions",
        "/api/events/publish",
        "/api/ratelimit",
        "/api/events/sync",
    ];
    let problem = |answer: &str, status: &str| {
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(
            answer.contains("application/problem+json") && answer.contains("\"detail\":"),
            "{answer}"
        );
    };
    let head = |path: &str, more: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {SERVICE_TOKEN}\r\ncontent-type: application/json\r\n{more}\r\n\r\n"
        )
    };
    for path in paths {
        for stalled in [
            head(path, "content-length: 100") + "{",
            head(path, "content-length: 100"),
            head(path, "transfer-encoding: chunked") + "1\r\n{\r\n",
        ] {
            problem(&exchange(&function, stalled.as_bytes()).await, "408");
        }
        for coding in ["gzip", "br", "GZIP, identity", "identity, deflate", "*", ""] {
            let more = format!("content-length: 2\r\ncontent-encoding: {coding}");
            let answer = exchange(&function, (head(path, &more) + "{}").as_bytes()).await;
            problem(&answer, "415");
            assert!(answer.contains("accept-encoding: identity"), "{answer}");
        }
        let large = format!("{{\"x\":\"{}\"}}", "y".repeat(2000));
        for large in [
            head(path, &format!("content-length: {}", large.len())) + &large,
            head(path, "content-length: 99999999999"),
            head(path, "transfer-encoding: chunked")
                + &format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
        ] {
            let answer = exchange(&function, large.as_bytes()).await;
            problem(&answer, "413");
            assert!(answer.contains("2000 bytes"), "{answer}");
        }
    }
    for (method, path) in [
        ("GET", "/api/users/%FF/sessions"),
        ("DELETE", "/api/users/%C3%28/sessions"),
        ("GET", "/api/events/dlq/%80"),
        ("PUT", "/api/cache/entries/%ED%A0%80"),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {SERVICE_TOKEN}\r\ncontent-length: 0\r\n\r\n"
        );
        problem(&exchange(&function, request.as_bytes()).await, "400");
    }
}

#[tokio::test]
async fn a_refusal_that_no_wait_ends_names_no_wait() {
    let store = store();
    let function = started(store.url(), &[]);
    for policy in ["default", "window"] {
        let ask = |cost: u64| json!({ "identifier": "a", "policy": policy, "cost": cost });
        for never in [3, 100, 1_000_000] {
            let (status, headers, body) =
                function.token("POST", "/api/ratelimit", ask(never)).await;
            assert_eq!(status, 429, "{body}");
            assert!(!headers.contains_key("retry-after"), "{headers:?}");
            assert!(body["retry_after_ms"].is_null(), "{body}");
        }
        assert_eq!(
            function.token("POST", "/api/ratelimit", ask(2)).await.0,
            200,
            "refusals cost nothing"
        );
        let (status, headers, body) = function.token("POST", "/api/ratelimit", ask(1)).await;
        assert_eq!(status, 429, "{body}");
        let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=3600).contains(&seconds), "{seconds}");
        assert!(
            body["retry_after_ms"].as_u64().unwrap() <= seconds * 1000,
            "{body}"
        );
    }
}

/// Clients send on for a while, and have to see the answer all the same.
#[tokio::test]
async fn who_sends_too_much_is_told_so() {
    let store = store();
    let function = started(store.url(), &[]);
    let bearer = format!("Bearer {SERVICE_TOKEN}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let send = async |path: &str, headers: &[(&str, &str)], bytes: usize| {
        let (status, _, answer) = function
            .text("POST", path, headers, "x".repeat(bytes))
            .await;
        (status, answer["code"].as_str().unwrap().to_owned())
    };
    for path in ["/api/sessions", "/api/events/publish", "/api/nowhere"] {
        for megabytes in [2, 8, 20] {
            let answer = send(path, &headers, megabytes << 20).await;
            assert_eq!(answer, (413, "too-large".to_owned()), "{path}");
        }
    }
    // The same for what is refused for another reason.
    let coded = [&headers[..], &[("content-encoding", "gzip")]].concat();
    for _ in 0..10 {
        let (all, publish) = (1 << 20, "/api/events/publish");
        assert_eq!(send("/api/nowhere", &headers, all).await.0, 404);
        assert_eq!(send(publish, &coded, all).await.0, 415);
        assert_eq!(send(publish, &headers[1..], all).await.0, 401);
    }
}
