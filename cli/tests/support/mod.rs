//! The built binary as a child process.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests share it in parts"
)]

pub(crate) mod checks;
pub(crate) mod stores;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A `restis` process that ends with the test.
pub(crate) struct Restis {
    child: Option<Child>,
    stdout: BufReader<ChildStdout>,
    /// The banner, up to its last line.
    pub(crate) banner: String,
}

impl Restis {
    /// Starts the binary and waits for its banner.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_by(binary().args(args))
    }

    /// The same by a command of one's own.
    pub(crate) fn start_by(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.ends_with("Ctrl-C stops.\n") {
            let read = stdout.read_line(&mut banner).unwrap();
            assert!(read > 0, "the process ended after: {banner}");
        }
        Self {
            child: Some(child),
            stdout,
            banner,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The value of a variable that the banner exports.
    pub(crate) fn exported(&self, name: &str) -> String {
        let start = self.banner.find(&format!("{name}=")).unwrap() + name.len() + 1;
        let rest = &self.banner[start..];
        rest[..rest.find([' ', '\n']).unwrap()].to_owned()
    }

    pub(crate) fn url(&self) -> String {
        self.exported("UPSTASH_REDIS_REST_URL")
    }

    pub(crate) fn token(&self) -> String {
        self.exported("UPSTASH_REDIS_REST_TOKEN")
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.id());
    }

    /// Waits for the end; the exit code and what was printed after the banner.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let mut child = self.child.take().unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (child.wait().unwrap().code(), rest)
    }
}

impl Drop for Restis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a signal; the shell's own `kill` is there on every system.
pub(crate) fn signal(name: &str, process: u32) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {process}")])
        .status();
    assert!(status.unwrap().success());
}

/// The binary, with none of its variables set.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_restis"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RESTIS_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    binary().args(args).output().unwrap()
}

/// Whether a tool is there; in CI it must be.
pub(crate) fn tool(name: &str) -> bool {
    let found = Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "{name} is missing"
    );
    found
}
