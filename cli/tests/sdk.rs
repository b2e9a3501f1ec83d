//! The official clients from npm and PyPI against the built binary.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use support::{Restis, tool};

/// The directory of the script, with the client installed.
fn installed() -> Option<&'static PathBuf> {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIR.get_or_init(|| {
        if !tool("node") || !tool("npm") {
            return None;
        }
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/node");
        if !["@upstash/redis", "bullmq", "ioredis"]
            .iter()
            .all(|name| dir.join("node_modules").join(name).exists())
        {
            let status = Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--silent"])
                .current_dir(&dir)
                .stdout(Stdio::null())
                .status();
            let done = status.unwrap().success();
            assert!(done || std::env::var_os("CI").is_none(), "npm ci failed");
            if !done {
                return None;
            }
        }
        Some(dir)
    })
    .as_ref()
}

/// A Python that has the client.
fn python() -> Option<PathBuf> {
    if !tool("python3") {
        return None;
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = venv.join("bin/python");
    let done = |command: &mut Command| {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    let requirements =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/requirements.txt");
    let has_client = || {
        done(Command::new(&python).args([
            "-c",
            "import upstash_redis; exit(upstash_redis.__version__ != '1.6.0')",
        ]))
    };
    let ready = has_client()
        || (done(Command::new("python3").args(["-m", "venv"]).arg(&venv))
            && done(
                Command::new(&python)
                    .args(["-m", "pip", "install", "--disable-pip-version-check", "-r"])
                    .arg(&requirements),
            )
            && has_client());
    assert!(
        ready || std::env::var_os("CI").is_none(),
        "no Python client"
    );
    ready.then_some(python)
}

#[test]
fn ioredis_and_bullmq_work_unmodified() {
    if let Some(dir) = installed() {
        let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0", "--resp", "127.0.0.1:0"]);
        let url = restis.exported("REDIS_URL");
        let mut script = Command::new("node");
        script.arg("redis_clients.mjs").current_dir(dir);
        run(&restis, script.env("REDIS_URL", url));
    }
}

fn run_against(restis: &Restis, dir: &Path, script: &str) {
    run(restis, Command::new("node").arg(script).current_dir(dir));
}

fn run(restis: &Restis, script: &mut Command) {
    let output = script
        .env("UPSTASH_REDIS_REST_URL", restis.url())
        .env("UPSTASH_REDIS_REST_TOKEN", restis.token())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}\n{errors}");
}

#[test]
fn the_official_client_works_on_the_engine() {
    if let Some(dir) = installed() {
        let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0"]);
        run_against(&restis, dir, "sdk.mjs");
        run_against(&restis, dir, "upstash.mjs");
    }
}

#[test]
fn the_official_client_works_on_a_redis() {
    let Some(dir) = installed().filter(|_| tool("redis-server")) else {
        return;
    };
    let socket = std::env::temp_dir().join(format!("restis-sdk-{}.sock", std::process::id()));
    let mut redis = Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--save",
            "",
            "--appendonly",
            "no",
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
    let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0", "--redis", &url]);
    let outcome = std::panic::catch_unwind(|| run_against(&restis, dir, "sdk.mjs"));
    let _ = redis.kill();
    let _ = redis.wait();
    let _ = std::fs::remove_file(&socket);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn the_official_python_client_works_on_the_engine() {
    if let Some(python) = python() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/sdk.py");
        let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0"]);
        run(&restis, Command::new(python).arg(script));
    }
}
