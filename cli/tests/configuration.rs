//! `restis config`: where values come from, what is wrong with them, and the table of all of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use support::binary;

/// A directory that ends with the test, in which the binary runs with an environment of its own.
struct Directory(PathBuf);

impl Directory {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let path =
            std::env::temp_dir().join(format!("restis-config-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for (file, text) in files {
            fs::write(path.join(file), text).unwrap();
        }
        Self(path)
    }

    fn restis(&self, args: &[&str], vars: &[(&str, &str)]) -> Output {
        let mut command = binary();
        let program = command.get_program().to_owned();
        command = Command::new(program);
        command.env_clear().envs(vars.iter().copied());
        command.args(args).current_dir(&self.0).output().unwrap()
    }

    fn json(&self, vars: &[(&str, &str)]) -> (Value, Option<i32>) {
        let output = self.restis(&["config", "--json"], vars);
        let json = serde_json::from_slice(&output.stdout);
        let json = json.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (json, output.status.code())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn variable<'j>(json: &'j Value, name: &str) -> &'j Value {
    let all = json["variables"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap()
}

fn texts(json: &Value) -> Vec<String> {
    let all = json.as_array().unwrap();
    all.iter()
        .map(|one| one.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn each_value_is_shown_with_its_source_and_no_secret() {
    let files = [
        (
            ".env",
            "UPSTASH_REDIS_REST_URL=https://example.upstash.io\nREDIS_MAX_RETRIES=1\nSESSION_TTL=60\n",
        ),
        (".env.production", "REDIS_MAX_RETRIES=2\nSESSION_TTL=120\n"),
        (
            ".env.local",
            "# mine\nUPSTASH_REDIS_REST_TOKEN='hunter2-hunter2'\nREDIS_MAX_RETRIES=3\n",
        ),
        (".env.development", "SESSION_TTL=1\n"),
    ];
    let directory = Directory::with("sources", &files);
    let vars = [
        ("APP_ENV", "prod"),
        ("REDIS_MAX_RETRIES", "4"),
        ("SESSION_SECRETS", "hunter2-hunter2-hunter2-hunter2-"),
    ];
    let (json, code) = directory.json(&vars);
    assert_eq!(
        (code, &json["problems"]),
        (Some(0), &Value::Array(Vec::new()))
    );
    assert_eq!(json["environment"], "production");
    assert_eq!(
        texts(&json["files"]),
        [".env.local", ".env.production", ".env"]
    );
    for (name, value, source, file, line) in [
        ("REDIS_MAX_RETRIES", Some("4"), "environment", None, None),
        (
            "SESSION_TTL",
            Some("120"),
            "file",
            Some(".env.production"),
            Some(2),
        ),
        (
            "UPSTASH_REDIS_REST_TOKEN",
            Some("(secret, 15 characters)"),
            "file",
            Some(".env.local"),
            Some(2),
        ),
        (
            "SESSION_SECRETS",
            Some("(secret, 32 characters)"),
            "environment",
            None,
            None,
        ),
        ("CACHE_MAX_LOAD", None, "default", None, None),
    ] {
        let shown = variable(&json, name);
        assert_eq!(shown["value"], Value::from(value), "{shown}");
        assert_eq!(shown["source"], source, "{shown}");
        assert_eq!(shown["file"], Value::from(file), "{shown}");
        assert_eq!(shown["line"], Value::from(line), "{shown}");
    }
    for args in [&["config"][..], &["config", "--all"]] {
        let text = String::from_utf8(directory.restis(args, &vars).stdout).unwrap();
        assert!(
            text.contains("(.env.local:2)") && !text.contains("hunter2"),
            "{text}"
        );
    }
    assert!(!json.to_string().contains("hunter2"));
}

#[test]
fn every_problem_is_told_at_once_with_exit_code_1() {
    let directory = Directory::with(
        "problems",
        &[(".env", "REDIS_COMMAND_TIMEOUT=soon\nhunter2\n")],
    );
    let vars = [
        (
            "REDIS_URL",
            "redis://default:hunter2@redis-1.c1.us-east-1-2.ec2.redns.redis-cloud.com:12345",
        ),
        ("TRUSTED_PROXIES", "17"),
        ("SESSION_TTL", "soon"),
        ("CACHE_MAX_LOAD", "0"),
        ("RESTIS_THREADS", "0"),
        ("SESSION_TTLS", "5"),
    ];
    let (json, code) = directory.json(&vars);
    let problems = texts(&json["problems"]).join("\n");
    assert_eq!(code, Some(1), "{problems}");
    for part in [
        ".env:2: use NAME=value",
        "REDIS_URL: Redis Cloud has no REST API: run `restis serve --redis",
        "REDIS_COMMAND_TIMEOUT: use a time from 1ms to 1h",
        "TRUSTED_PROXIES: use a whole number from 0 to 16",
        "SESSION_TTL: use a time",
        "CACHE_MAX_LOAD: use a time",
        "restis serve: invalid value '0' for '--threads",
    ] {
        assert!(problems.contains(part), "{part} not in\n{problems}");
    }
    let notes = texts(&json["notes"]).join("\n");
    assert!(
        notes.contains("SESSION_TTLS: nothing reads it; did you mean SESSION_TTL?"),
        "{notes}"
    );
    assert!(!json.to_string().contains("hunter2"), "{json}");
    // What is asked for in production is missing.
    let (json, code) = Directory::with("missing", &[]).json(&[("NODE_ENV", "production")]);
    assert!(
        json["problems"][0]
            .as_str()
            .unwrap()
            .contains("NODE_ENV says"),
        "{json}"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn the_files_can_be_left_out() {
    let directory = Directory::with("off", &[(".env", "SESSION_TTL=soon")]);
    assert_eq!(directory.json(&[]).1, Some(1));
    let (json, code) = directory.json(&[("RESTIS_ENV_FILES", "false")]);
    assert_eq!((code, texts(&json["files"]).len()), (Some(0), 0));
}

#[test]
fn options_have_their_defaults_from_files_which_the_help_does_not_show() {
    let files = [(
        ".env",
        "RESTIS_THREADS=0\nRESTIS_TOKEN=hunter2\nRESTIS_ADDR=127.0.0.1:0\n",
    )];
    let directory = Directory::with("options", &files);
    let output = directory.restis(&["serve"], &[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("--threads"), "{error}");
    let help = directory.restis(&["serve", "--help"], &[]);
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("RESTIS_TOKEN") && !help.contains("hunter2"),
        "{help}"
    );
}

#[test]
fn a_file_that_names_every_variable_is_written_once() {
    let directory = Directory::with("init", &[]);
    let output = directory.restis(&["config", "init"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = fs::read_to_string(directory.0.join(".env.example")).unwrap();
    assert!(
        text.lines()
            .all(|line| line.is_empty() || line.starts_with('#')),
        "{text}"
    );
    for (name, _) in listed() {
        assert!(text.contains(&format!("\n# {name}=\n")), "{name}");
    }
    let again = directory.restis(&["config", "init"], &[]);
    let error = String::from_utf8(again.stderr).unwrap();
    assert_eq!(
        (again.status.code(), error.contains("--force")),
        (Some(1), true),
        "{error}"
    );
    let forced = directory.restis(&["config", "init", "--force"], &[]);
    assert_eq!(forced.status.code(), Some(0));
    let named = directory.restis(&["config", "init", "here"], &[]);
    assert!(named.status.success() && directory.0.join("here").exists());
}

/// Unit and range of each variable.
fn listed() -> BTreeMap<String, String> {
    let output = support::run(&["config", "list", "--json"]);
    let json: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    json.iter()
        .map(|one| (text(one, "name"), text(one, "form")))
        .collect()
}

/// `LOW–HIGH` in a form.
fn range(form: &str) -> Option<(u64, u64)> {
    let (before, after) = form.split_once('–')?;
    let low = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    let high = after.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

#[test]
fn the_ranges_of_the_table_are_those_that_are_refused_beyond() {
    // Read by a program of its own, at start.
    let others = ["PORT"];
    let ranges: Vec<_> = listed()
        .into_iter()
        .filter(|(name, _)| !others.contains(&&**name))
        .filter_map(|(name, form)| Some((name, range(&form)?)))
        .collect();
    assert!(ranges.len() >= 20, "{ranges:?}");
    let directory = Directory::with("ranges", &[]);
    // Each by itself: some may not stand beside others.
    for (name, (low, high)) in ranges {
        let mut values = vec![
            (low.to_string(), false),
            (high.to_string(), false),
            ((high + 1).to_string(), true),
        ];
        values.extend(low.checked_sub(1).map(|below| (below.to_string(), true)));
        for (value, refused) in values {
            // Without an endpoint the variables of OpenTelemetry are for other programs.
            let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
            let (json, _) = directory.json(&[(&name, &value), collector]);
            let problems = texts(&json["problems"]);
            let option = format!("--{}", name.trim_start_matches("RESTIS_").to_lowercase());
            // Within the range a value may still contradict another one.
            let of_range = |problem: &String| {
                let named = problem.starts_with(&format!("{name}: "));
                let named = named && (refused || problem.contains(": use a "));
                named || (problem.starts_with("restis serve") && problem.contains(&option))
            };
            assert_eq!(
                problems.iter().any(of_range),
                refused,
                "{name}={value}: {problems:?}"
            );
        }
    }
}

/// `RESTIS_WRITE_DOCS=1` writes the tables instead.
#[test]
fn the_tables_of_the_document_are_those_of_the_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/CONFIG.md");
    let document = fs::read_to_string(path).unwrap();
    let tables = String::from_utf8(support::run(&["config", "list"]).stdout).unwrap();
    let mut expected = document.clone();
    for group in tables.split("\n## ") {
        let (title, rest) = group.trim_start_matches("## ").split_once('\n').unwrap();
        let table = rest.trim();
        let start = document.find(&format!("## {title}\n")).expect(title);
        let section = &document[start..];
        let section = &section[..section[3..]
            .find("\n## ")
            .map_or(section.len(), |at| at + 3)];
        let from = section
            .find("Read by ")
            .unwrap_or_else(|| panic!("{title}: no table"));
        let rows = section[from..].find("| variable |").unwrap() + from;
        let to = section[rows..]
            .find("\n\n")
            .map_or(section.trim_end().len(), |at| rows + at);
        expected = expected.replace(&section[from..to], table);
    }
    if std::env::var_os("RESTIS_WRITE_DOCS").is_some() {
        fs::write(path, expected).unwrap();
        return;
    }
    assert!(
        document == expected,
        "docs/reference/CONFIG.md differs: run this test with RESTIS_WRITE_DOCS=1"
    );
}
