//! What is counted, seen from outside.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use restis::{
    Args, Redis, ToArg,
    metrics::{
        COUNTERS, Families, METRICS, MetricsFormat, TIMINGS,
        alerts::{ALERTS, prometheus_rules},
    },
    prelude::*,
};
use restis_engine::{Engine, Options};

#[tokio::test]
async fn what_does_not_fit_and_what_is_not_sent_is_counted_by_kind() {
    struct Unwritable;
    impl ToArg for Unwritable {
        fn write(&self, out: &mut Args) {
            out.push(b"");
            out.fail(Error::new(
                ErrorKind::InvalidInput,
                Delivery::NotSent,
                "unwritable",
            ));
        }
    }
    let redis = Redis::embedded(Engine::new(Options::default()));
    redis.set("k", "text").await.unwrap();
    redis.get::<u64>("k").await.unwrap_err();
    let mut p = redis.pipeline();
    let (get, incr) = (p.get::<u64>("k"), p.incr("k"));
    let mut replies = p.exec().await.unwrap();
    replies.take(get).unwrap_err();
    replies.take(incr).unwrap_err();
    redis.set("k", Unwritable).await.unwrap_err();
    Script::new("return 'text'")
        .call()
        .run::<u64>(&redis)
        .await
        .unwrap_err();

    let snapshot = redis.metrics().snapshot();
    let errors = |command| &*snapshot.commands[command].errors_by_kind;
    assert_eq!(errors("GET"), [(ErrorKind::Decode, 2)]);
    assert_eq!(errors("INCR"), [(ErrorKind::Server, 1)]);
    assert_eq!(errors("SET"), [(ErrorKind::InvalidInput, 1)]);
    assert_eq!(errors("EVALSHA"), [(ErrorKind::Decode, 1)]);
    let set = &snapshot.commands["SET"];
    assert_eq!((set.count, set.errors), (1, 1));
    let kinds = [
        (ErrorKind::InvalidInput, 1),
        (ErrorKind::Server, 1),
        (ErrorKind::Decode, 3),
    ];
    assert_eq!(snapshot.errors, kinds);
    let line = "restis_command_failures_total{command=\"get\",kind=\"decode\"} 2\n";
    assert!(snapshot.to_string().contains(line));
}

/// The names that the project's documents ask for.
const ASKED: [&str; 15] = [
    "redis.connection.active",
    "redis.connection.failed",
    "redis.reconnections",
    "redis.command.duration",
    "redis.ops_per_second",
    "redis.hit_rate",
    "redis.memory.used",
    "redis.memory.fragmentation",
    "redis.keys.expired",
    "redis.sessions.active",
    "redis.sessions.created",
    "redis.sessions.expired",
    "redis.ratelimit.blocked",
    "redis.ratelimit.allowed",
    "redis.up",
];

/// Everything with a value: what a store tells is made up.
fn everything(redis: &Redis) -> Families {
    let families = redis.metrics().snapshot().families();
    families
        .with_store(|_| Some(2.0))
        .with_sessions(3)
        .with_instances(4)
}

#[tokio::test]
async fn every_form_has_the_names_that_were_asked_for() {
    let redis = Redis::embedded(Engine::new(Options::default()));
    redis.set("k", "v").await.unwrap();
    let all = everything(&redis);
    let json: serde_json::Value = serde_json::from_str(&all.render(MetricsFormat::Json)).unwrap();
    let text = all.render(MetricsFormat::Prometheus);
    let open = all.render(MetricsFormat::OpenMetrics);
    for name in ASKED {
        assert!(json["metrics"][name].is_object(), "{name}");
        let prefix = format!("\n{}", name.replace('.', "_"));
        assert!(format!("\n{text}").contains(&prefix), "{name}");
        assert!(open.contains(&prefix), "{name}");
    }
    let duration = &json["metrics"]["redis.command.duration"]["samples"][0];
    assert_eq!(duration["count"], 1);
    for share in ["p50", "p95", "p99"] {
        assert!(duration[share].as_f64().unwrap() > 0.0, "{duration}");
    }
    assert_eq!(
        json["metrics"]["redis.hit_rate"]["samples"][0]["value"],
        0.5
    );
    assert!(open.ends_with("# EOF\n"));
}

/// Whether promtool is there; in CI it must be.
fn promtool() -> Option<Command> {
    let found = Command::new("promtool")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "promtool is missing"
    );
    found.then(|| Command::new("promtool"))
}

#[tokio::test]
async fn promtool_has_no_objection_to_the_text() {
    let Some(mut tool) = promtool() else { return };
    let redis = Redis::embedded(Engine::new(Options::default()));
    redis.set("k", "v").await.unwrap();
    redis.get::<u64>("k").await.unwrap_err();
    redis.metrics().count("my_own", 1);
    let text = everything(&redis).to_string();
    let mut tool = tool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = tool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = tool.wait_with_output().unwrap();
    let objections = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(objections, "");
    assert!(output.status.success());
}

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Compares a file with what it is made from, or writes it where `RESTIS_WRITE_DOCS` is set.
fn is_written(path: &str, text: &str) {
    if std::env::var_os("RESTIS_WRITE_DOCS").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), text).unwrap();
    }
    assert!(
        file(path) == text,
        "{path} differs: run this test with RESTIS_WRITE_DOCS=1"
    );
}

#[test]
fn the_reference_is_that_of_the_registry() {
    let path = "docs/reference/METRICS.md";
    let old = file(path);
    let mut text = String::new();
    let mut rest = old.as_str();
    for (name, rows) in [
        ("metrics", metric_rows()),
        ("counters", counter_rows()),
        ("alerts", alert_rows()),
    ] {
        let mark = format!("<!-- {name} -->\n");
        let (before, after) = rest.split_once(&mark).unwrap();
        let (_, after) = after.split_once("\n\n").unwrap();
        text += before;
        text += &mark;
        text += &rows;
        text += "\n";
        rest = after;
    }
    text += rest;
    is_written(path, &text);
}

fn metric_rows() -> String {
    let mut rows = String::from("| JSON | text | type | labels | tells |\n|---|---|---|---|---|\n");
    for metric in METRICS {
        let labels = metric.labels.join(", ");
        rows += &format!(
            "| `{}` | `{}` | {} | {} | {} |\n",
            metric.name,
            metric.text_name(),
            metric.kind.as_str(),
            labels,
            metric.help
        );
    }
    rows
}

fn counter_rows() -> String {
    let mut rows = String::from("| counted as | text | tells |\n|---|---|---|\n");
    for (name, help) in COUNTERS {
        rows += &format!("| `{name}` | `restis_{name}_total` | {help} |\n");
    }
    for (name, help) in TIMINGS {
        rows += &format!("| `{name}` | `restis_{name}_seconds` | {help} |\n");
    }
    rows
}

fn alert_rows() -> String {
    let mut rows =
        String::from("| alert | severity | fires when | for | first |\n|---|---|---|---|---|\n");
    for alert in ALERTS {
        rows += &format!(
            "| `{}` | {} | {} | {} s | {} |\n",
            alert.name,
            alert.severity.as_str(),
            alert.summary,
            alert.lasts.as_secs(),
            alert.remedy
        );
    }
    rows
}

#[test]
fn the_rules_are_those_of_the_table_and_promtool_takes_them() {
    is_written("deploy/monitoring/restis.rules.yml", &prometheus_rules());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring");
    for args in [
        ["check", "rules", "restis.rules.yml"],
        ["test", "rules", "restis.rules.test.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        let Some(mut tool) = promtool() else { return };
        let output = tool.args(args).current_dir(&dir).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{args:?} {said}");
    }
    // Each alert is tested.
    let tests = file("deploy/monitoring/restis.rules.test.yml");
    for alert in ALERTS {
        let fires = format!("alertname: {}\n", alert.name);
        let clears = format!("alertname: {}, exp_alerts: [] }}", alert.name);
        assert!(tests.contains(&fires), "{} does not fire", alert.name);
        assert!(tests.contains(&clears), "{} does not clear", alert.name);
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let json: serde_json::Value =
        serde_json::from_str(&file("deploy/monitoring/grafana-dashboard.json")).unwrap();
    let mut known: Vec<String> = METRICS
        .iter()
        .map(restis::metrics::Metric::text_name)
        .collect();
    // Those of `restis serve`, which its own tests hold.
    known.extend(
        [
            "redis_up",
            "redis_memory_used_bytes",
            "redis_memory_max_bytes",
            "redis_commands_processed_total",
            "redis_commands_total",
            "redis_commands_duration_seconds_total",
            "redis_keyspace_hits_total",
            "redis_keyspace_misses_total",
            "redis_db_keys",
            "redis_expired_keys_total",
            "redis_evicted_keys_total",
            "redis_connected_clients",
            "redis_rejected_connections_total",
            "redis_errors_total",
            "redis_net_input_bytes_total",
            "redis_net_output_bytes_total",
            "redis_slowlog_length",
            "restis_request_seconds",
        ]
        .map(str::to_owned),
    );
    let panels = json["panels"].as_array().unwrap();
    let exprs = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap();
        targets
            .iter()
            .map(|target| target["expr"].as_str().unwrap())
    });
    let mut asked = 0;
    for expr in exprs {
        let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|w| w.starts_with("redis_") || w.starts_with("restis_")) {
            let name = word.trim_end_matches("_bucket");
            assert!(known.iter().any(|known| known == name), "{name}");
            asked += 1;
        }
    }
    assert!(asked > 20);
}

fn sources(dir: &Path, out: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            out.push_str(text.split("#[cfg(test)]").next().unwrap());
        }
    }
}

#[test]
fn what_the_sources_count_is_in_the_registry() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for dir in [
        "src/ratelimit",
        "src/session",
        "src/cache",
        "src/events",
        "handlers/src",
    ] {
        sources(&root.join(dir), &mut text);
    }
    let blocks = ["cache_", "events_", "ratelimit_", "sessions_"];
    let named = [
        "ratelimit_allowed",
        "ratelimit_refused",
        "sessions_created",
        "sessions_expired",
    ];
    let mut found = std::collections::BTreeSet::new();
    for after in [
        "count(\"",
        ".observe(\"",
        "=> \"",
        "            (\"",
        "                \"",
    ] {
        for part in text.split(after).skip(1) {
            let name = part.split('"').next().unwrap();
            let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if plain && blocks.iter().any(|block| name.starts_with(block)) {
                found.insert(name);
            }
        }
    }
    assert!(found.len() > 30, "{found:?}");
    for name in found {
        // A reason of a refusal.
        if name == "cache_block" {
            continue;
        }
        let known = COUNTERS
            .iter()
            .chain(TIMINGS)
            .any(|(known, _)| *known == name);
        assert!(
            known || named.contains(&name),
            "{name} is not in the registry"
        );
    }
}
