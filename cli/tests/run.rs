//! `restis run`: a store around a command; reset and clock for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::process::{Command, Output};

use support::{Restis, binary, tool};

/// Runs `restis run OPTIONS -- sh -c SCRIPT`.
fn run(options: &[&str], script: &str) -> Output {
    binary()
        .arg("run")
        .args(options)
        .args(["--", "sh", "-c", script])
        .output()
        .unwrap()
}

fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A shell function that calls the store.
const CALL: &str = r#"
call() { curl -sS -H "Authorization: Bearer $UPSTASH_REDIS_REST_TOKEN" "$UPSTASH_REDIS_REST_URL$@"; echo; }
"#;

#[test]
fn the_exit_code_is_the_commands() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        assert_eq!(run(&[], script).status.code(), Some(code), "{script}");
    }
    let missing = binary()
        .args(["run", "--", "/nowhere/program"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(127));
    let text = String::from_utf8_lossy(&missing.stderr);
    assert!(text.contains("/nowhere/program"), "{text}");
    let without = binary().arg("run").output().unwrap();
    assert_eq!(without.status.code(), Some(2));
}

#[test]
fn every_client_finds_the_store_by_its_variables() {
    let names = "test \"$KV_REST_API_URL\" = \"$UPSTASH_REDIS_REST_URL\" && test \"$KV_REST_API_TOKEN\" = \"$UPSTASH_REDIS_REST_TOKEN\" && test \"$KV_URL\" = \"$REDIS_URL\"";
    printed(&run(&[], names));
    if !tool("curl") || !tool("redis-cli") {
        return;
    }
    let both = format!("{CALL} call /set/k/v; redis-cli --no-auth-warning -u \"$REDIS_URL\" get k");
    assert_eq!(printed(&run(&[], &both)), "{\"result\":\"OK\"}\nv\n");
}

#[test]
fn a_reset_returns_to_the_seed_and_the_clock_moves_time() {
    if !tool("curl") {
        return;
    }
    let seed = std::env::temp_dir().join(format!("restis-seed-{}", std::process::id()));
    std::fs::write(
        &seed,
        "# fixtures\nSET greeting \"hello world\" EX 60\n\nRPUSH list a b\n",
    )
    .unwrap();
    let script = format!(
        r#"{CALL}
        call /get/greeting
        call /set/other/x >&2; call /del/list >&2
        call /__restis/reset -X POST
        call /dbsize; call /llen/list; call /ttl/greeting
        call /__restis/clock -d '{{"advance_ms":59000}}' >&2
        call /ttl/greeting
        call /__restis/clock -d '{{"advance_ms":2000}}' >&2
        call /get/greeting
        call /__restis/reset -X POST
        call /ttl/greeting
        call /__restis/clock -d '{{"advance_ms":-1}}'
        call /__restis/clock -d '{{"advance_ms":9223372036854775807}}'
        call /__restis/nothing
        curl -sS -X POST "$UPSTASH_REDIS_REST_URL/__restis/reset"; echo
        "#
    );
    let output = run(&["--seed", seed.to_str().unwrap()], &script);
    std::fs::remove_file(&seed).unwrap();
    let text = printed(&output);
    let lines: Vec<&str> = text.lines().collect();
    let result = |value: &str| format!("{{\"result\":{value}}}");
    assert_eq!(lines[0], result("\"hello world\""));
    assert_eq!(lines[1..4], [result("\"OK\""), result("2"), result("2")]);
    // The seed counts its times from the reset.
    assert!(
        [result("60"), result("59")].contains(&lines[4].to_owned()),
        "{text}"
    );
    assert!(
        [result("1"), result("0")].contains(&lines[5].to_owned()),
        "{text}"
    );
    assert_eq!(lines[6], result("null"));
    assert_eq!(lines[7], result("\"OK\""));
    assert!(
        [result("60"), result("59")].contains(&lines[8].to_owned()),
        "{text}"
    );
    assert_eq!(
        lines[9],
        r#"{"error":"ERR expected {\"advance_ms\": milliseconds}"}"#
    );
    assert_eq!(lines[10], r#"{"error":"ERR a hundred years is the most"}"#);
    assert_eq!(
        lines[11],
        r#"{"error":"ERR there are /__restis/reset and /__restis/clock"}"#
    );
    assert!(lines[12].contains("WRONGPASS"), "{text}");
}

#[test]
fn a_seed_that_fails_is_told_before_the_command_runs() {
    let seed = std::env::temp_dir().join(format!("restis-bad-seed-{}", std::process::id()));
    for (text, part) in [
        ("SET a 1\nLPUSH a 2\n", "command 2 of the seed: WRONGTYPE"),
        ("SET a 1\nSET b \"open\n", "line 2: a quote is not closed"),
    ] {
        std::fs::write(&seed, text).unwrap();
        let output = run(&["--seed", seed.to_str().unwrap()], "echo ran");
        assert!(!output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(part), "{errors}");
        assert!(output.stdout.is_empty());
    }
    std::fs::remove_file(&seed).unwrap();
}

#[test]
fn a_server_in_production_has_no_such_routes() {
    if !tool("curl") {
        return;
    }
    let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0", "--token", "TOKEN"]);
    let url = restis.exported("UPSTASH_REDIS_REST_URL");
    let output = Command::new("curl")
        .args(["-sS", "-X", "POST", "-H", "Authorization: Bearer TOKEN"])
        .arg(format!("{url}/__restis/reset"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("`restis dev` and `restis run` only"),
        "{text}"
    );
}
