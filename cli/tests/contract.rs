//! The functions against their own API description, by [schemathesis](https://schemathesis.readthedocs.io/).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::process::Command;

use support::{Restis, binary, tool};

/// Requests for each operation, beside those that the description itself suggests.
const REQUESTS: &str = "20";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[test]
fn no_request_gets_a_server_error_or_an_answer_that_is_not_described() {
    if !tool("schemathesis") || !tool("curl") {
        return;
    }
    let restis = Restis::start_by(
        binary()
            .args(["dev", "--ephemeral", "--addr", "127.0.0.1:0"])
            .args(["--functions-addr", "127.0.0.1:0"])
            // A long poll without events takes most of it; a stream lasts that long.
            .env("REQUEST_TIMEOUT", "500")
            .env("EVENTS_STREAM_SECONDS", "1"),
    );
    let functions = restis.exported("API_URL");
    let token = restis.exported("RESTIS_SERVICE_TOKEN");
    let authorization = format!("Authorization: Bearer {token}");
    let run = |arguments: &[&str]| {
        let output = Command::new("schemathesis")
            .arg("run")
            .arg(format!("{functions}/api/openapi.json"))
            .args(["-H", &authorization, "--checks", CHECKS])
            .args(["--max-examples", REQUESTS, "--seed", "1", "--no-color"])
            .args(arguments)
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .output()
            .unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{report}");
        assert!(report.contains("Test cases:"), "{report}");
    };
    run(&[]);
    // Not before: that ended everybody's sessions.
    let signed_in = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-D", "-", "-H", &authorization])
        .args(["-H", "Content-Type: application/json"])
        .args(["-d", r#"{"user":"ada"}"#])
        .arg(format!("{functions}/api/sessions"))
        .output()
        .unwrap();
    let head = String::from_utf8(signed_in.stdout).unwrap();
    let cookie = head.lines().find_map(|l| l.strip_prefix("set-cookie: "));
    let cookie = cookie.unwrap().split(';').next().unwrap();
    // What a browser with a session does; signing in, stepping up and signing out would end that session.
    let cookie = format!("Cookie: {cookie}");
    run(&[
        "-H",
        &cookie,
        "-H",
        "Sec-Fetch-Site: same-origin",
        "--include-path-regex",
        "^/api/session",
        "--exclude-operation-id",
        "postSessions",
        "--exclude-operation-id",
        "postSessionStepUp",
        "--exclude-operation-id",
        "deleteSession",
    ]);
}
