//! `restis check`: every failure has its sentence and exit code, and no key stays behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use support::checks::{Does, OK, Ran, ask, check, check_with, fake, serve};
use support::{Restis, binary};

#[test]
fn a_store_that_is_well_passes_and_has_no_key_left() {
    let restis = serve(&["--token", "t"]);
    let ran = check(&restis.url(), "t");
    assert_eq!(ran.code, Some(0), "{} {}", ran.json, ran.errors);
    let names = [
        "name",
        "connection",
        "token",
        "commands",
        "scripts",
        "clock",
        "messages",
        "latency",
        "merged",
        "pipeline",
        "server",
        "memory",
        "eviction",
        "sessions",
        "rate limit",
        "cache",
        "events",
    ];
    for name in names {
        assert_eq!(ran.state(name), "ok", "{name}: {}", ran.json);
    }
    assert_eq!(
        ask(&restis.url(), "t", r#"["KEYS","*"]"#)["result"],
        Value::Array(Vec::new())
    );
    assert!(
        ran.check("latency").unwrap()["data"]["p99_us"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[test]
fn a_group_is_checked_with_the_connection_alone() {
    let restis = serve(&["--token", "t"]);
    let url = restis.url();
    for (group, name) in [
        ("sessions", "sessions"),
        ("ratelimit", "rate limit"),
        ("events", "events"),
        ("cache", "cache"),
    ] {
        let ran = check_with(
            &[group, "--url", &url, "--token", "t"],
            &[("REDIS_COMMAND_TIMEOUT", "60s")],
        );
        assert_eq!((ran.code, ran.state(name)), (Some(0), "ok"), "{}", ran.json);
        assert_eq!(
            ran.json["checks"].as_array().unwrap().len(),
            7,
            "{}",
            ran.json
        );
    }
}

#[test]
fn each_check_is_shown_as_a_line_with_the_plot_of_the_times() {
    let restis = serve(&["--token", "t"]);
    let output = binary()
        .args([
            "check",
            "--url",
            &restis.url(),
            "--token",
            "t",
            "--requests",
            "20",
        ])
        .env("REDIS_COMMAND_TIMEOUT", "60s")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "  ok      token: the token is accepted\n",
        "p50 ",
        "█",
        " passed, ",
    ] {
        assert!(text.contains(part), "{part} not in {text}");
    }
    assert!(!text.contains('\x1b'), "no colours without a terminal");
    assert!(
        text.lines().all(|line| line.chars().count() <= 110),
        "{text}"
    );
}

#[test]
fn what_is_not_configured_is_wrong_usage() {
    for (args, vars, parts) in [
        (
            &[][..],
            &[][..],
            &["no database is configured", "--url"][..],
        ),
        (
            &["--url", "redis://default:hunter2@10.0.0.1:6379"],
            &[],
            &["restis serve --redis", "private address"],
        ),
        (
            &[],
            &[(
                "REDIS_URL",
                "rediss://:hunter2@a.b.cache.amazonaws.com:6379",
            )],
            &[
                "REDIS_URL: Amazon ElastiCache has no REST API",
                "in its VPC",
            ],
        ),
        (
            &[],
            &[("UPSTASH_REDIS_REST_URL", "https://example.upstash.io")],
            &["UPSTASH_REDIS_REST_TOKEN: not set"],
        ),
        (&["bogus"], &[], &["sessions, ratelimit, events, cache"]),
        (&["--requests", "0"], &[], &["--requests"]),
    ] {
        let ran = check_with(args, vars);
        assert_eq!(ran.code, Some(2), "{args:?} {}", ran.errors);
        for part in parts {
            assert!(ran.errors.contains(part), "{part} not in {}", ran.errors);
        }
        assert!(!ran.errors.contains("hunter2"), "{}", ran.errors);
    }
}

#[test]
fn what_cannot_be_reached_has_exit_code_4() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let ran = check(&refused, "t");
    let told = ran.told("connection");
    assert_eq!(ran.code, Some(4), "{told}");
    assert!(
        told.contains("nothing listens there: is the server started"),
        "{told}"
    );
    let ran = check("http://a-name-that-is-none.invalid", "t");
    let told = ran.told("name");
    assert_eq!(ran.code, Some(4), "{told}");
    assert!(
        told.contains("cannot be resolved") && told.contains("spelling"),
        "{told}"
    );
    let silent = fake(None, |_| Does::Hang);
    let ran = check_with(
        &["--url", &silent, "--token", "t"],
        &[("REDIS_COMMAND_TIMEOUT", "200ms")],
    );
    let told = ran.told("token");
    assert_eq!(ran.code, Some(4), "{told}");
    assert!(told.contains("did not answer in time"), "{told}");
    let closing = fake(None, |_| Does::Close);
    let ran = check(&closing, "t");
    let told = ran.told("token");
    assert_eq!(ran.code, Some(4), "{told}");
    assert!(told.contains("the connection broke"), "{told}");
    let page = fake(None, |_| Does::Answer(OK, "<html>hello</html>".to_owned()));
    let ran = check(&page, "t");
    let told = ran.told("token");
    assert_eq!(ran.code, Some(4), "{told}");
    assert!(told.contains("something else than the REST API"), "{told}");
}

#[test]
fn what_is_refused_has_exit_code_5() {
    let restis = serve(&["--token", "t", "--read-only-token", "r"]);
    let ran = check(&restis.url(), "wrong");
    let told = ran.told("token");
    assert_eq!(ran.code, Some(5), "{told}");
    assert!(
        told.contains("UPSTASH_REDIS_REST_TOKEN") && !told.contains("wrong-"),
        "{told}"
    );
    let ran = check(&restis.url(), "r");
    let told = ran.told("commands");
    assert_eq!((ran.code, ran.state("token")), (Some(5), "ok"), "{told}");
    assert!(told.contains("read-only one"), "{told}");
}

#[test]
fn what_is_limited_has_exit_code_6() {
    for (status, body, part) in [
        (
            "429 Too Many Requests",
            r#"{"error":"too many requests"}"#,
            "send fewer",
        ),
        (
            "400 Bad Request",
            r#"{"error":"ERR max daily request limit exceeded. Limit: 10000, Usage: 10000."}"#,
            "plan's limit",
        ),
    ] {
        let url = fake(None, move |_| Does::Answer(status, body.to_owned()));
        let ran = check(&url, "t");
        let told = ran.told("token");
        assert_eq!(ran.code, Some(6), "{told}");
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let restis = serve(&["--token", "t"]);
    let skewed = fake(Some(&restis), |seen| match seen.body.contains("TIME") {
        true => Does::Answer(OK, r#"{"result":[1000000000,0]}"#.to_owned()),
        false => Does::Forward("t"),
    });
    let ran = check_with(
        &["ratelimit", "--url", &skewed, "--token", "t"],
        &[("REDIS_COMMAND_TIMEOUT", "60s")],
    );
    let told = ran.told("clock");
    assert_eq!(ran.code, Some(1), "{told}");
    assert!(told.contains("s behind") && told.contains("NTP"), "{told}");
}

/// Databases of which none sees what another one was told, as replicas that lag.
const DATABASES: [&str; 16] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p",
];

/// Each request that has the word goes to the next database.
fn lagging(restis: &Restis, word: &'static str) -> String {
    let turn = AtomicUsize::new(0);
    fake(Some(restis), move |seen| {
        let named = seen.body.contains(word) || seen.head.contains(word);
        let turn = if named {
            turn.fetch_add(1, Ordering::SeqCst)
        } else {
            0
        };
        Does::Forward(DATABASES[turn % DATABASES.len()])
    })
}

#[test]
fn reads_that_do_not_see_writes_are_told_for_each_block() {
    let restis = serve(&["--token", &DATABASES.join(",")]);
    for (word, name, part) in [
        (
            "value",
            "commands",
            "GET answers another value than SET wrote",
        ),
        ("session:", "sessions", "not found after it was created"),
        (":limit", "rate limit", "all three are let through"),
        ("check:{check}", "cache", "not found after it was stored"),
        ("events:", "events", "not in its history"),
    ] {
        let ran = check(&lagging(&restis, word), "t");
        let told = ran.told(name);
        assert_eq!((ran.code, ran.state(name)), (Some(1), "failed"), "{told}");
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn scripts_and_messages_that_fail_are_told() {
    let restis = serve(&["--token", "t"]);
    let without_scripts = fake(Some(&restis), |seen| match seen.body.contains("EVAL") {
        true => Does::Answer(
            "400 Bad Request",
            r#"{"error":"ERR unknown command 'EVALSHA'"}"#.to_owned(),
        ),
        false => Does::Forward("t"),
    });
    let ran = check(&without_scripts, "t");
    let told = ran.told("scripts");
    assert_eq!(ran.code, Some(1), "{told}");
    assert!(told.contains("lacks this command"), "{told}");
    let without_streams = fake(Some(&restis), |seen| {
        match seen.head.contains("subscribe") {
            true => Does::Close,
            false => Does::Forward("t"),
        }
    });
    let ran = check(&without_streams, "t");
    assert_eq!(
        (ran.code, ran.state("messages")),
        (Some(4), "failed"),
        "{}",
        ran.json
    );
}

#[test]
fn what_the_server_tells_of_itself_is_judged() {
    let restis = serve(&["--token", "t"]);
    let info = "# Server\r\nredis_version:7.2.0\r\n# Memory\r\nused_memory:95\r\nmaxmemory:100\r\n\
                maxmemory_policy:allkeys-lru\r\n# Clients\r\nconnected_clients:99\r\nmaxclients:100\r\n\
                # Stats\r\nkeyspace_hits:600\r\nkeyspace_misses:400\r\n";
    // Told as text of bytes, so that the encoding that is asked for does not matter.
    let told = fake(Some(&restis), move |seen| {
        match seen.body.contains("INFO") {
            true => Does::Answer(OK, format!(r#"{{"result":"{}"}}"#, base64(info))),
            false => Does::Forward("t"),
        }
    });
    let ran = check(&told, "t");
    assert_eq!(ran.code, Some(6), "{}", ran.json);
    for (name, state, parts) in [
        ("memory", "failed", &["95 % → give every key a TTL"][..]),
        (
            "eviction",
            "failed",
            &["the policy is allkeys-lru", "noeviction"],
        ),
        (
            "clients",
            "failed",
            &["99 of 100 connections", "too many connections"],
        ),
        (
            "hit rate",
            "warning",
            &["60 % of the reads", "lifetimes may be too short"],
        ),
        ("server", "ok", &["Redis 7.2.0"]),
    ] {
        let told = ran.told(name);
        assert_eq!(ran.state(name), state, "{told}");
        for part in parts {
            assert!(told.contains(part), "{part} not in {told}");
        }
    }
}

/// Standard base64; the input is a multiple of nothing in particular.
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let mut group = 0_u32;
        for at in 0..3 {
            group = group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * at) & 63) as usize];
            encoded.push(if at <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    encoded
}

/// A certificate in files that end with the test.
struct Certificate(PathBuf);

impl Certificate {
    /// For a name, from and until so many days from now.
    fn new(host: &str, days: std::ops::Range<i64>) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path =
            std::env::temp_dir().join(format!("restis-check-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let now = std::time::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs()
            .cast_signed();
        let at = |days: i64| {
            let seconds = now + days * 86_400;
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.cast_unsigned())
        };
        (params.not_before, params.not_after) = (at(days.start), at(days.end));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(path.join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(path.join("key.pem"), key.serialize_pem()).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Checks a server that has it; with or without trusting it.
    fn check(&self, trusted: bool) -> Ran {
        let (cert, key) = (self.file("cert.pem"), self.file("key.pem"));
        let restis = serve(&["--token", "t", "--tls-cert", &cert, "--tls-key", &key]);
        let url = restis.url().replace("127.0.0.1", "localhost");
        let mut vars = vec![("REDIS_COMMAND_TIMEOUT", "60s")];
        if trusted {
            vars.push(("REDIS_CA_FILE", &cert));
        }
        check_with(&["cache", "--url", &url, "--token", "t"], &vars)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn certificates_are_judged() {
    let good = Certificate::new("localhost", -1..300);
    let ran = good.check(true);
    let told = ran.told("certificate");
    assert_eq!(
        (ran.code, ran.state("certificate")),
        (Some(0), "ok"),
        "{told} {}",
        ran.json
    );
    assert!(
        told.contains("for 299 days") || told.contains("for 300 days"),
        "{told}"
    );
    for (certificate, trusted, part) in [
        (&good, false, "unknown authority → set REDIS_CA_FILE"),
        (&Certificate::new("localhost", -10..-1), true, "has expired"),
        (&Certificate::new("localhost", 1..10), true, "not valid yet"),
        (
            &Certificate::new("example.com", -1..300),
            true,
            "the certificate is not for localhost",
        ),
    ] {
        let ran = certificate.check(trusted);
        let told = ran.told("certificate");
        assert_eq!(
            (ran.code, ran.state("certificate")),
            (Some(4), "failed"),
            "{told}"
        );
        assert!(told.contains(part), "{told}");
    }
    let ran = Certificate::new("localhost", -1..5).check(true);
    assert_eq!(
        (ran.code, ran.state("certificate")),
        (Some(0), "warning"),
        "{}",
        ran.json
    );
    // Neither speaks the other's language.
    let plain = serve(&["--token", "t"]);
    let ran = check(&plain.url().replace("http://", "https://"), "t");
    assert_eq!(
        (ran.code, ran.state("certificate")),
        (Some(4), "failed"),
        "{}",
        ran.json
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_check_leaves_no_key() {
    let restis = serve(&["--token", "t"]);
    let hanging = fake(Some(&restis), |seen| {
        match seen.body.contains("EVALSHA") || seen.body.contains("GET") {
            true => Does::Hang,
            false => Does::Forward("t"),
        }
    });
    let mut child = binary()
        .args(["check", "--url", &hanging, "--token", "t"])
        .env("REDIS_COMMAND_TIMEOUT", "60s")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The key is there once the GET behind it hangs.
    while ask(&restis.url(), "t", r#"["DBSIZE"]"#)["result"] != 1 {
        std::thread::yield_now();
    }
    support::signal("INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(ask(&restis.url(), "t", r#"["DBSIZE"]"#)["result"], 0);
}
