//! What the built function says at start about its variables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    os::unix::ffi::OsStrExt as _,
    process::{Command, Stdio},
};
use support::SERVICE_TOKEN;

const SECRETS: &str = "a secret of the tests that is long enough";

/// The variables of a function that starts; nothing is behind its store's address.
const SOUND: [(&str, &str); 6] = [
    ("UPSTASH_REDIS_REST_URL", "http://127.0.0.1:9"),
    ("UPSTASH_REDIS_REST_TOKEN", "TOKEN"),
    ("RESTIS_SERVICE_TOKEN", SERVICE_TOKEN),
    ("SESSION_SECRETS", SECRETS),
    ("HOST", "127.0.0.1"),
    ("PORT", "0"),
];

/// What the function writes until it ends or listens, and whether it ended.
fn start(vars: &[(&str, &OsStr)]) -> (String, bool) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_app"))
        .env_clear()
        .env("RUST_LOG", "info")
        .envs(SOUND)
        .envs(vars.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut said, mut ended) = (String::new(), true);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said += &line.unwrap();
        said.push('\n');
        if said.contains("address=") {
            ended = false;
            break;
        }
    }
    let _ = child.kill();
    let status = child.wait().unwrap();
    assert!(!ended || !status.success(), "{said}");
    (said, ended)
}

#[test]
fn a_function_with_sound_variables_listens() {
    let (said, ended) = start(&[]);
    assert!(!ended && !said.contains("WARN"), "{said}");
}

#[test]
fn a_variable_that_is_no_utf8_is_named_and_no_function_starts() {
    let damaged = OsStr::from_bytes(b"https://\xff.example, a text of more than sixteen bytes");
    for name in [
        "SESSION_SECRETS",
        "SESSION_ALLOWED_ORIGINS",
        "UPSTASH_REDIS_REST_URL",
        "UPSTASH_REDIS_REST_TOKEN",
        "REDIS_CA_FILE",
        "RESTIS_SERVICE_TOKEN",
        "RESTIS_SERVICE_TOKENS",
        "RATE_LIMIT_POLICIES",
        "EVENTS_GRANT_SECRETS",
        "EVENTS_ENV",
        "TRUSTED_PROXIES",
        "PORT",
        "HOST",
    ] {
        let (said, ended) = start(&[(name, damaged)]);
        assert!(ended, "{name} was taken as it was: {said}");
        assert!(
            said.contains(&format!("{name}: is not UTF-8")),
            "{name}: {said}"
        );
    }
}

#[test]
fn all_that_cannot_be_read_is_told_together() {
    const WRONG: [(&str, &str); 4] = [
        ("UPSTASH_REDIS_REST_URL", "ftp://example.com"),
        ("TRUSTED_PROXIES", "17"),
        ("CACHE_MAX_LOAD", "0"),
        ("SESSION_TTL", "soon"),
    ];
    for chosen in 1..1_u32 << WRONG.len() {
        let is_wrong = |at: usize| chosen >> at & 1 == 1;
        let vars = (0..WRONG.len()).filter(|at| is_wrong(*at));
        let vars: Vec<_> = vars
            .map(|at| (WRONG[at].0, OsStr::new(WRONG[at].1)))
            .collect();
        let (said, ended) = start(&vars);
        assert!(ended && !said.contains("panicked"), "{vars:?}: {said}");
        for (at, (name, _)) in WRONG.iter().enumerate() {
            let told = said.contains(&format!("{name}: "));
            assert_eq!(told, is_wrong(at), "{name} {vars:?}: {said}");
        }
    }
}

#[test]
fn a_damaged_name_of_the_environment_is_no_development() {
    let vars = [
        ("UPSTASH_REDIS_REST_URL", OsStr::new("")),
        ("UPSTASH_REDIS_REST_TOKEN", OsStr::new("")),
        ("EVENTS_ENV", OsStr::new("staging")),
        ("VERCEL_ENV", OsStr::from_bytes(b"production\xff")),
    ];
    let (said, ended) = start(&vars);
    assert!(ended && said.contains("VERCEL_ENV: is not UTF-8"), "{said}");
}

#[test]
fn a_filter_of_logs_that_cannot_be_read_is_named() {
    for filter in [&b"info\xff"[..], b"restis=loud"] {
        // Without the default filter nothing tells that it listens, so it ends by itself.
        let vars = [
            ("RUST_LOG", OsStr::from_bytes(filter)),
            ("PORT", OsStr::new("none")),
        ];
        let (said, ended) = start(&vars);
        assert!(ended && said.contains("RUST_LOG: "), "{said}");
    }
}

#[test]
fn errors_of_the_cookie_name_their_variable() {
    for (vars, name) in [
        (
            &[("SESSION_COOKIE_DOMAIN", "a b")][..],
            "SESSION_COOKIE_DOMAIN",
        ),
        (&[("SESSION_COOKIE_NAME", "a;b")], "SESSION_COOKIE_NAME"),
        (
            &[("SESSION_COOKIE_SAMESITE", "sometimes")],
            "SESSION_COOKIE_SAMESITE",
        ),
        (
            &[("SESSION_COOKIE_INSECURE", "perhaps")],
            "SESSION_COOKIE_INSECURE",
        ),
        (
            &[("SESSION_COOKIE_PARTITIONED", "perhaps")],
            "SESSION_COOKIE_PARTITIONED",
        ),
        (
            &[
                ("SESSION_COOKIE_INSECURE", "true"),
                ("SESSION_COOKIE_SAMESITE", "none"),
            ],
            "SESSION_COOKIE_INSECURE",
        ),
        (
            &[
                ("SESSION_COOKIE_INSECURE", "true"),
                ("SESSION_COOKIE_PARTITIONED", "true"),
            ],
            "SESSION_COOKIE_INSECURE",
        ),
        (
            &[
                ("SESSION_COOKIE_NAME", "__Secure-s"),
                ("SESSION_COOKIE_INSECURE", "true"),
            ],
            "SESSION_COOKIE_INSECURE",
        ),
    ] {
        let vars: Vec<_> = vars.iter().map(|(n, v)| (*n, OsStr::new(*v))).collect();
        let (said, ended) = start(&vars);
        assert!(
            ended && said.contains(&format!("{name}: ")),
            "{vars:?}: {said}"
        );
    }
}

#[test]
fn a_function_without_any_service_token_says_so() {
    let (said, ended) = start(&[("RESTIS_SERVICE_TOKEN", OsStr::new(""))]);
    assert!(
        !ended && said.contains("no service token is accepted"),
        "{said}"
    );
    assert!(said.contains("set RESTIS_SERVICE_TOKEN"), "{said}");
}
