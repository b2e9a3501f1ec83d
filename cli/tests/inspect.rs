//! `restis stat` and `restis keys`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::process::{Command, Output, Stdio};

use restis::{Redis, Reply};
use serde_json::Value;
use support::{Restis, binary};

fn store() -> Restis {
    Restis::start(&["serve", "--addr", "127.0.0.1:0", "--token", "t"])
}

fn command(restis: &Restis, args: &[&str]) -> Command {
    let mut command = binary();
    command
        .args(args)
        .args(["--url", &restis.url(), "--token", "t"]);
    command
        .env("REDIS_COMMAND_TIMEOUT", "60s")
        .env("RESTIS_ENV_FILES", "false");
    command
}

#[track_caller]
fn run(restis: &Restis, args: &[&str]) -> Output {
    let output = command(restis, args).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[track_caller]
fn json(restis: &Restis, args: &[&str]) -> Value {
    serde_json::from_slice(&run(restis, args).stdout).unwrap()
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

/// 300 keys of a user each, ten hashes that never end, and one large key.
fn fill(restis: &Restis) {
    let redis = Redis::builder(restis.url(), "t");
    let redis = redis
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut pipeline = redis.pipeline();
        let command = |name: &str| restis::Command::<Reply>::new(name);
        for i in 0..300 {
            pipeline.add(
                command("SET")
                    .arg(format!("session:user:{i}"))
                    .arg("x")
                    .arg("EX")
                    .arg(600),
            );
        }
        for i in 0..10 {
            pipeline.add(command("HSET").arg(format!("config:{i}")).arg("f").arg("v"));
        }
        pipeline.add(command("SET").arg("huge").arg("x".repeat(100_000)));
        pipeline.exec().await.unwrap();
    });
}

#[test]
fn the_largest_keys_and_prefixes_are_told() {
    let restis = store();
    fill(&restis);
    let told = json(
        &restis,
        &["keys", "--big", "--by-prefix", "--json", "--top", "3"],
    );
    assert_eq!(
        (&told["looked_at"], &told["estimated"]),
        (&311.into(), &false.into()),
        "{told}"
    );
    assert_eq!(told["never_end"], 11);
    let big = &told["biggest"][0];
    assert_eq!(
        (&big["key"], &big["type"], &big["ends"]),
        (&"huge".into(), &"string".into(), &false.into())
    );
    assert!(big["bytes"].as_u64().unwrap() >= 100_000, "{big}");
    assert_eq!(told["biggest"].as_array().unwrap().len(), 3);
    let prefixes = told["prefixes"].as_array().unwrap();
    let of = |name: &str| prefixes.iter().find(|one| one["prefix"] == name).unwrap();
    assert_eq!(of("session:")["keys"], 300);
    assert_eq!(of("config:")["never_end"], 10);
    assert_eq!(prefixes[0]["prefix"], "(no prefix)");
    let told = text(run(
        &restis,
        &["keys", "--by-prefix", "--depth", "2", "--sample", "0"],
    ));
    assert!(
        told.contains("session:user:") && told.contains("311 keys"),
        "{told}"
    );
    let told = text(run(&restis, &["keys", "--big", "--match", "config:*"]));
    assert!(told.contains("config:") && !told.contains("huge"), "{told}");
}

#[test]
fn a_sample_is_scaled_to_all_keys() {
    let restis = store();
    fill(&restis);
    let told = json(
        &restis,
        &["keys", "--by-prefix", "--sample", "200", "--json"],
    );
    assert_eq!(
        (&told["looked_at"], &told["keys"]),
        (&200.into(), &311.into()),
        "{told}"
    );
    assert_eq!(told["estimated"], true);
    // 300 of 311: whatever the draw, at least 189 of 200.
    let sessions = told["prefixes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["prefix"] == "session:");
    assert!(
        (290..=311).contains(&sessions.unwrap()["keys"].as_u64().unwrap()),
        "{told}"
    );
    let told = text(run(&restis, &["keys", "--big", "--sample", "50"]));
    assert!(told.contains("50 of 311 keys, drawn at random"), "{told}");
}

#[test]
fn a_line_tells_what_happened_since_the_one_before() {
    let restis = store();
    fill(&restis);
    let told = text(run(&restis, &["stat", "--count", "2", "--interval", "0.1"]));
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{told}"
    );
    assert!(
        lines[0].contains("ops/s") && lines[1].contains("311"),
        "{told}"
    );
    let told = json(&restis, &["stat", "--once", "--json", "--interval", "0.1"]);
    assert_eq!(told["keys"], 311);
    // The questions themselves are commands.
    assert!(told["ops_per_second"].as_f64().unwrap() > 0.0, "{told}");
    assert!(told["memory_bytes"].as_u64().unwrap() > 100_000, "{told}");
}

#[test]
fn mistakes_are_explained() {
    let restis = store();
    for (args, code, part) in [
        (&["keys"][..], 2, "--big"),
        (&["stat", "--interval", "0"], 2, "0.1 to 3600"),
        (&["stat", "--once", "--count", "2"], 2, "--count"),
    ] {
        let output = command(&restis, args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(part), "{said}");
    }
    let output = command(&restis, &["stat", "--once"])
        .env("UPSTASH_REDIS_REST_URL", "")
        .output();
    assert!(output.unwrap().status.success());
    let mut away = binary();
    let away = away
        .args([
            "keys",
            "--big",
            "--url",
            "http://127.0.0.1:1",
            "--token",
            "t",
        ])
        .output();
    let away = away.unwrap();
    assert_eq!(away.status.code(), Some(1));
    assert!(
        String::from_utf8(away.stderr)
            .unwrap()
            .contains("`restis check` tells more")
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_lines_with_success() {
    let restis = store();
    let mut child = command(&restis, &["stat", "--interval", "0.1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    support::signal("INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn slow_commands_of_a_redis_are_told_by_name_alone() {
    if !support::tool("redis-server") {
        return;
    }
    let socket = std::env::temp_dir().join(format!("restis-inspect-{}.sock", std::process::id()));
    let mut redis = Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--save",
            "",
            "--slowlog-log-slower-than",
            "0",
            "--unixsocket",
        ])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !socket.exists() {
        std::thread::yield_now();
    }
    let url = format!("unix://{}", socket.display());
    let restis = Restis::start(&[
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--token",
        "t",
        "--redis",
        &url,
    ]);
    // Every command is slow there, those of the question too.
    let told = json(&restis, &["stat", "--once", "--json", "--interval", "0.1"]);
    let _ = redis.kill();
    let _ = redis.wait();
    let slow = told["slow"].as_array().unwrap();
    assert!(
        slow.iter().any(|entry| entry["command"] == "INFO"),
        "{told}"
    );
    assert!(told["clients"].as_u64().unwrap() > 0, "{told}");
}
