//! Failures of a database that `restis check` diagnoses, each with its remedy and exit code.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use support::checks::{Does, OK, check, check_with, fake, serve};

#[test]
fn what_a_server_answers_with_has_its_remedy() {
    for (error, code, part) in [
        (
            "READONLY You can't write against a read only replica.",
            5,
            "point to the primary",
        ),
        (
            "NOPERM this user has no permissions to run the 'ping' command",
            5,
            "need the standard token",
        ),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            6,
            "restis keys --big",
        ),
        (
            "ERR max number of clients reached",
            6,
            "too many connections",
        ),
        (
            "ERR max request size exceeded. Limit: 1, Actual: 2",
            6,
            "split it",
        ),
        (
            "LOADING Redis is loading the dataset in memory",
            1,
            "still loads its data",
        ),
        (
            "MISCONF Redis is configured to save RDB snapshots, but it is currently unable to",
            1,
            "cannot save to its disk",
        ),
        (
            "ERR of a kind that nobody knows",
            1,
            "message of the server",
        ),
    ] {
        let url = fake(None, move |_| {
            Does::Answer("400 Bad Request", format!(r#"{{"error":"{error}"}}"#))
        });
        let ran = check(&url, "t");
        let told = ran.told("token");
        assert_eq!(ran.code, Some(code), "{told}");
        assert!(told.contains(part), "{part} not in {told}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_answers_nothing_is_a_firewall_or_another_network() {
    // With a full queue the system drops what asks for a connection, as a firewall does.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    let ran = check(&format!("http://{addr}"), "t");
    let told = ran.told("connection");
    assert_eq!(ran.code, Some(4), "{told}");
    assert!(told.contains("a firewall, a security group"), "{told}");
}

#[test]
fn a_slow_answer_is_judged_and_its_causes_are_told() {
    let restis = serve(&["--token", "t"]);
    for (delay, state, code) in [(150, "warning", 0), (1200, "failed", 1)] {
        let slow = fake(Some(&restis), move |seen| {
            if seen.body == r#"["PING"]"# {
                std::thread::sleep(Duration::from_millis(delay));
            }
            Does::Forward("t")
        });
        let ran = check(&slow, "t");
        let told = ran.told("latency");
        assert_eq!(
            (ran.state("latency"), ran.code),
            (state, Some(code)),
            "{told}"
        );
        for part in ["one region", "CPU, memory and SLOWLOG"] {
            assert!(told.contains(part), "{told}");
        }
    }
}

#[test]
fn a_stream_that_is_held_back_is_told() {
    let restis = serve(&["--token", "t"]);
    let silent = fake(Some(&restis), |seen| {
        match seen.head.contains("subscribe") {
            true => Does::Hang,
            false => Does::Forward("t"),
        }
    });
    let ran = check_with(
        &["--url", &silent, "--token", "t"],
        &[("REDIS_COMMAND_TIMEOUT", "60s")],
    );
    let told = ran.told("messages");
    assert_eq!(
        (ran.state("messages"), ran.code),
        ("failed", Some(1)),
        "{told}"
    );
    assert!(told.contains("buffered or compressed"), "{told}");
}

#[test]
fn a_script_that_answers_another_value_is_told() {
    let restis = serve(&["--token", "t"]);
    // "b3RoZXI=" is "other" in base64.
    let wrong = fake(Some(&restis), |seen| match seen.body.contains("EVALSHA") {
        true => Does::Answer(OK, r#"{"result":"b3RoZXI="}"#.to_owned()),
        false => Does::Forward("t"),
    });
    let ran = check(&wrong, "t");
    let told = ran.told("scripts");
    assert_eq!(ran.code, Some(1), "{told}");
    assert!(told.contains("answers another value"), "{told}");
}

#[test]
fn a_database_that_tells_nothing_of_itself_is_refused() {
    let restis = serve(&["--token", "t"]);
    let closed = fake(Some(&restis), |seen| match seen.body.contains("INFO") {
        true => Does::Answer(
            "400 Bad Request",
            r#"{"error":"NOPERM this user has no permissions to run the 'info' command"}"#
                .to_owned(),
        ),
        false => Does::Forward("t"),
    });
    let ran = check(&closed, "t");
    let told = ran.told("server");
    assert_eq!(
        (ran.state("server"), ran.code),
        ("failed", Some(5)),
        "{told}"
    );
}
