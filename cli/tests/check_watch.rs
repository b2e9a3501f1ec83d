//! `restis check --watch`: alerts that fire are told on the terminal and to a webhook.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::TcpListener;
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use support::binary;
use support::checks::{Does, OK, fake, serve};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

fn watch(url: &str, args: &[&str], webhook: &str) -> Output {
    binary()
        .args(["check", "--watch", "0.1", "--url", url, "--token", "t"])
        .args(args)
        .env("RESTIS_ENV_FILES", "false")
        .env("METRICS_ALERT_WEBHOOK", webhook)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_database_that_is_well_fires_nothing() {
    let restis = serve(&["--token", "t"]);
    let output = watch(&restis.url(), &["--count", "3"], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn connections_that_fail_fire_and_a_webhook_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let told = Arc::<Mutex<Vec<String>>>::default();
    let received = Arc::clone(&told);
    let endpoint = fake(None, move |seen| {
        assert!(
            seen.head
                .to_ascii_lowercase()
                .contains("webhook-signature: v1,")
        );
        received.lock().unwrap().push(seen.body.clone());
        Does::Answer(OK, String::new())
    });
    let webhook = format!(r#"{{"url":"{endpoint}/alerts","secrets":["{SECRET}"],"private":true}}"#);
    let output = watch(&url, &["--count", "12", "--json"], &webhook);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = lines
        .iter()
        .map(|line| line["alert"].as_str().unwrap())
        .collect();
    // More than one failure comes before more than five.
    let expected = ["RestisConnectionsFailSometimes", "RestisConnectionsFail"];
    assert_eq!(names, expected, "{lines:?}");
    for (line, threshold) in lines.iter().zip([1.0, 5.0]) {
        assert_eq!(line["status"], "fired");
        assert_eq!(line["threshold"], threshold);
        assert!(line["value"].as_f64().unwrap() > threshold);
    }
    let told = told.lock().unwrap();
    let of_webhook: Vec<Value> = told
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    let names = of_webhook
        .iter()
        .map(|event| event["data"]["alert"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), expected);
    assert!(
        of_webhook
            .iter()
            .all(|event| event["type"] == "restis.alert.fired")
    );
}

#[test]
fn what_cannot_be_watched_is_wrong_usage() {
    for (args, part) in [
        (&["check", "--watch", "0"][..], "0.1 to 3600"),
        (&["check", "sessions", "--watch"], "cannot be used with"),
        (&["check", "--count", "3"], "--watch"),
    ] {
        let output = binary().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let told = text(&output.stderr);
        assert!(told.contains(part), "{told}");
    }
}
