//! Every benchmark runs and prints its ratios. The figures of a debug build mean nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::process::{Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_restis-bench"))
        .args(args)
        .output()
        .unwrap()
}

/// Whether a tool is there; in CI it must be.
fn tool(name: &str, argument: &str) -> bool {
    let mut command = Command::new(name);
    command.arg(argument).stdout(Stdio::null());
    let found = command.stderr(Stdio::null()).status().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "{name} is missing"
    );
    found
}

#[test]
fn the_benchmark_prints_ratios_and_names_missing_peers() {
    let output = run(&["client", "--seconds", "0.05", "--node-modules", "/nowhere"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in [
        "npm install @upstash/redis bun",
        "client construction",
        "sequential GET",
        "64 concurrent GETs",
        "pipeline of 100",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let bare: Vec<_> = text.lines().filter(|l| l.contains("bare socket")).collect();
    assert_eq!(bare.len(), 2, "{text}");
    for line in bare {
        let ratio: f64 = line.split_whitespace().last().unwrap().parse().unwrap();
        assert!(ratio > 0.0 && ratio.is_finite(), "{line}");
    }
}

#[test]
fn the_benchmark_of_events_hears_what_it_publishes_and_reaches_a_thousand_clients() {
    let modules = ["--seconds", "0.05", "--node-modules", "/nowhere"];
    let output = run(&[&["events"][..], &modules].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in [
        "npm install @upstash/redis @upstash/realtime zod bun",
        "64 concurrent events",
        "restis                              1.00 HTTP requests     1.00 commands",
        "published until heard",
        "events caught up with",
        "one event to 1000 clients",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_benchmark_of_memory_weighs_each_kind_of_value_beside_redis() {
    if !tool("redis-server", "--version") || !cfg!(target_os = "linux") {
        return;
    }
    let output = run(&["memory", "--keys", "2000"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for kind in [
        "string of 32 bytes ",
        "hash of 10 fields",
        "set of 20 integers",
    ] {
        let line = text.lines().find(|line| line.starts_with(kind)).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ratio = words.iter().position(|word| *word == "ratio").unwrap();
        let ratio: f64 = words[ratio + 1].parse().unwrap();
        assert!(ratio > 0.0 && ratio.is_finite(), "{line}");
    }
}

#[test]
fn the_benchmark_of_sessions_compares_over_one_redis_and_weighs_sessions() {
    if !tool("redis-server", "--version") {
        return;
    }
    let nowhere = ["--node-modules", "/nowhere", "--tower-sessions", "/nowhere"];
    let small = ["--seconds", "0.05", "--sessions", "2000"];
    let output = run(&[&["sessions"][..], &small, &nowhere].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in [
        "npm install connect-redis express-session redis bun",
        "bench/peers/tower_sessions/Cargo.toml",
        "load, touch and update, 64 sessions at a time",
        "load, touch and update, one after another",
        "2000 sessions of as many users in redis-server",
        "2000 sessions of as many users in restis serve",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let memory: Vec<f64> = text
        .lines()
        .filter_map(|line| line.split_once("index included"))
        .map(|(_, rest)| rest.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(memory.len(), 2, "{text}");
    // Of so few sessions the tables weigh more than of a million.
    assert!((300.0..1000.0).contains(&memory[0]), "{text}");
    assert!((300.0..4000.0).contains(&memory[1]), "{text}");
}

#[test]
fn the_load_that_is_counted_runs() {
    let server = restis_server::Server::builder().token("TOKEN").threads(1);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let url = server.url().to_owned();
    for work in ["sequential", "merged", "pipeline"] {
        let output = run(&["load", work, &url, "2"]);
        assert!(output.status.success(), "{output:?}");
    }
    let output = run(&["load", "merged", "http://127.0.0.1:1", "2"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_benchmark_without_its_function_says_how_to_build_it() {
    let output = run(&["functions", "--app", "/nowhere"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("cargo build --release -p restis-handlers --bin app"),
        "{text}"
    );
}

#[test]
fn the_benchmark_of_latency_counts_in_round_trips() {
    let output = run(&["latency", "--seconds", "0.2", "--node-modules", "/nowhere"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let lines: Vec<_> = text.lines().filter(|l| l.contains("round trips")).collect();
    assert_eq!(lines.len(), 3, "{text}");
    for line in lines {
        let (_, ratio) = line.split_once("in round trips").unwrap();
        let ratio: f64 = ratio.split_whitespace().next().unwrap().parse().unwrap();
        assert!(ratio > 0.5, "{line}");
    }
}

#[test]
fn the_benchmark_of_the_server_compares_with_the_yardstick() {
    if !tool("wrk", "-v") {
        return;
    }
    let output = run(&["server", "--seconds", "0.1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let ratios = text
        .lines()
        .filter(|line| line.contains("axum, constant answer") && line.contains("ratio"));
    assert_eq!(ratios.count(), 6, "{text}");
}

#[test]
fn the_benchmark_of_the_cache_compares_its_stores_and_counts_commands() {
    if !tool("redis-server", "--version") {
        return;
    }
    let output = run(&[
        "cache",
        "--seconds",
        "0.05",
        "--organisations",
        "1000",
        "--windows",
        "1",
        "--busiest",
        "1",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for line in [
        "100 get_or_load of keys that are not cached: 2 requests",
        "memory of a key",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let tag = text
        .lines()
        .find(|line| line.trim_start().starts_with("100000 keys"));
    assert!(
        tag.is_some_and(|line| line.ends_with("1 command")),
        "{text}"
    );
    assert_eq!(text.matches("ratio").count(), 4, "{text}");
}

#[test]
fn the_simulation_of_the_cache_drives_all_strategies() {
    let output = run(&["cache", "--simulate", "--windows", "8", "--busiest", "10"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let row = text.lines().find(|line| line.contains("10   "));
    let row = row.unwrap_or_else(|| panic!("{text}"));
    let numbers: Vec<f64> = row
        .split(['/', '%', ' ', 's'])
        .filter_map(|part| part.parse().ok())
        .collect();
    // Fresh time, load time, rate; then loads and waits of each strategy.
    let [
        _,
        _,
        _,
        naive,
        _,
        single,
        _,
        early,
        _,
        stale,
        waits,
        lease,
        _,
    ] = numbers[..]
    else {
        panic!("{row}");
    };
    assert!(naive > 0.5 && single > 0.5 && early > 0.5, "{row}");
    // Arrivals are the same in every run, and these two roll no dice.
    assert!(lease <= 1.2 && stale > lease && waits == 0.0, "{row}");
}

#[test]
fn the_benchmark_of_edge_runtimes_says_what_it_needs() {
    let output = run(&["edge", "--seconds", "0.05", "--node-modules", "/nowhere"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("npm install @upstash/ratelimit @upstash/redis esbuild"),
        "{text}"
    );
}
