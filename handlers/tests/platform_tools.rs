//! The platforms' own tools, called as a user calls them: what they build answers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use serde_json::{Value, json};
use std::{
    fs,
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use support::{App, SERVICE_TOKEN, free_port, http, store, vercel::FakeVercel};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Whole builds are among it.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Whether a tool is there and answers; with `CI=true` it has to be.
fn tool(program: &Path, asked: &[&str]) -> bool {
    let output = Command::new(program).args(asked).output();
    let there = output.is_ok_and(|output| output.status.success());
    assert!(
        there || std::env::var_os("CI").is_none(),
        "{} is missing",
        program.display()
    );
    there
}

/// A file tree without what is not uploaded: `.vercelignore`, and what the CLI leaves out itself.
fn upload(from: &Path, to: &Path) {
    let ignored = fs::read_to_string(Path::new(REPOSITORY).join(".vercelignore")).unwrap();
    let ignored: Vec<_> = ignored
        .lines()
        .map(|line| Path::new(REPOSITORY).join(line.trim_start_matches('/')))
        .collect();
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if ignored.contains(&path) || name == ".git" || name == "node_modules" || name == "target" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            upload(&path, &to.join(name));
        } else {
            fs::copy(path, to.join(name)).unwrap();
        }
    }
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A new directory outside of any repository, where the CLI asks its service; gone when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("restis-vercel-{}-{}", std::process::id(), free_port());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The release profile of a user, with less effort.
fn quick(command: &mut Command) -> &mut Command {
    command
        .env_remove("CARGO_TARGET_DIR")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
}

#[tokio::test]
async fn vercel_build_makes_one_function_that_answers_and_publishes_nothing_else() {
    let vercel = Path::new(REPOSITORY).join("tests/vercel/node_modules/.bin/vercel");
    if !tool(&vercel, &["--version"]) {
        return;
    }
    let directory = Directory::new();
    let project = &directory.0;
    let output = project.join(".vercel/output");
    upload(Path::new(REPOSITORY), project);
    fs::create_dir_all(project.join(".vercel")).unwrap();
    // As `vercel link` writes it; with it nothing is asked of Vercel.
    let settings =
        json!({ "createdAt": 1_700_000_000_000_u64, "framework": null, "nodeVersion": "22.x" });
    let linked = json!({ "projectId": "prj_local", "orgId": "team_local", "settings": settings });
    fs::write(project.join(".vercel/project.json"), linked.to_string()).unwrap();
    let built = quick(&mut Command::new(vercel))
        .args(["build", "--token", "local", "--yes"])
        .current_dir(project)
        .env("VERCEL_TELEMETRY_DISABLED", "1")
        // As on Vercel: plain cargo, no cross compiler.
        .env("VERCEL_BUILD_IMAGE", "local")
        .output()
        .unwrap();
    let said = [built.stdout, built.stderr].concat();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&said));

    let made = files(&output);
    let function: Vec<_> = made
        .iter()
        .filter(|p| p.ends_with(".vc-config.json"))
        .collect();
    assert_eq!(function.len(), 1, "{made:?}");
    let config = json_of(function[0]);
    assert_eq!(config["runtime"], "executable");
    assert_eq!(
        (&config["memory"], &config["maxDuration"]),
        (&json!(1024), &json!(60))
    );
    let sources = made
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e != "json"));
    assert_eq!(sources.count(), 0, "{made:?}");
    let executable = config["filePathMap"]["executable"].as_str().unwrap();

    let store = store();
    let mut host = FakeVercel::listen();
    let port = free_port().to_string();
    let vars = [
        ("VERCEL_IPC_PATH", &*host.path()),
        ("VERCEL_DEV_PORT", &*port),
    ];
    let _app = App::start_program(&project.join(executable), store.url(), &vars);
    host.message("server-started").await;
    let answer = http()
        .get(format!("http://127.0.0.1:{port}/api/health"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

/// A program and all that it started, ended when dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn cargo_lambda_watch_serves_the_function() {
    if !tool(Path::new("cargo-lambda"), &["lambda", "--version"]) {
        return;
    }
    let store = store();
    let port = free_port();
    let watch = quick(&mut Command::new("cargo-lambda"))
        .args(["lambda", "watch", "--ignore-changes"])
        .args(["--package", "restis-handlers", "--bin", "app"])
        .args([
            "--invoke-address",
            "127.0.0.1",
            "--invoke-port",
            &port.to_string(),
        ])
        .current_dir(REPOSITORY)
        .env("UPSTASH_REDIS_REST_URL", store.url())
        .env("UPSTASH_REDIS_REST_TOKEN", "TOKEN")
        .env("RESTIS_SERVICE_TOKEN", SERVICE_TOKEN)
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut watch = Group(watch);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(watch.0.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    // The first request waits for the build.
    let answer = http()
        .post(format!(
            "http://127.0.0.1:{port}/lambda-url/app/api/ratelimit"
        ))
        .timeout(PATIENCE)
        .header("authorization", format!("Bearer {SERVICE_TOKEN}"))
        .header("content-type", "application/json")
        .body(r#"{"identifier":"alice"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("ratelimit"));
}

#[test]
fn the_templates_for_lambda_are_valid() {
    for (program, template) in [
        ("cfn-lint", "template.yaml"),
        ("hcl2tojson", "terraform/main.tf"),
    ] {
        if !tool(Path::new(program), &["--version"]) {
            continue;
        }
        let directory = Path::new(REPOSITORY).join("deploy/lambda");
        let checked = Command::new(program).arg(directory.join(template)).output();
        let checked = checked.unwrap();
        let found = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{template}: {found}");
    }
}
