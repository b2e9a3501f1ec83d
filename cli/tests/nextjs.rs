//! `examples/nextjs`: built, started in front of `restis dev`, and used in a browser.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{Restis, tool};

/// The started site, ended when dropped.
struct Site(Child);

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The example with its packages; they are many, so outside CI only where they are installed.
fn example() -> Option<PathBuf> {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    if !tool("node") || !tool("npm") || !tool(&chromium) {
        return None;
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/nextjs");
    if directory.join("node_modules/next").exists() {
        return Some(directory);
    }
    std::env::var_os("CI")?;
    let status = Command::new("npm")
        .args([
            "install",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            "--silent",
        ])
        .current_dir(&directory)
        .status();
    assert!(status.unwrap().success(), "npm install failed");
    Some(directory)
}

#[test]
fn the_site_signs_in_shows_live_notes_and_signs_out() {
    let Some(directory) = example() else {
        return;
    };
    let restis = Restis::start(&[
        "dev",
        "--ephemeral",
        "--addr",
        "127.0.0.1:0",
        "--functions-addr",
        "127.0.0.1:0",
    ]);
    let functions = restis.exported("API_URL");
    let token = restis.exported("RESTIS_SERVICE_TOKEN");
    let next = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command
            .arg("node_modules/next/dist/bin/next")
            .args(arguments)
            .current_dir(&directory)
            .env("API_URL", &functions)
            .env("RESTIS_SERVICE_TOKEN", &token)
            .env("NEXT_TELEMETRY_DISABLED", "1");
        command
    };
    let built = next(&["build"]).output().unwrap();
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{errors}");

    let mut started = next(&["start", "--hostname", "127.0.0.1", "--port", "0"]);
    let mut site = Site(started.stdout(Stdio::piped()).spawn().unwrap());
    // Kept until the end: a program whose standard output is closed ends.
    let mut lines = BufReader::new(site.0.stdout.take().unwrap()).lines();
    let address = lines
        .find_map(|line| Some(line.unwrap().split_once("Local:")?.1.trim().to_owned()))
        .expect("the site's address");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/node/nextjs.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(address)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}
