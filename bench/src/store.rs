//! A server as a process of its own, as it is in real life.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::failure::Failure;
use crate::program::Program;

/// The token of the measured server.
pub(crate) const TOKEN: &str = "TOKEN";

/// `restis serve` with one thread; ends when dropped.
#[derive(Debug)]
pub(crate) struct Store {
    child: Child,
    url: String,
    resp: Option<String>,
}

impl Store {
    pub(crate) fn start() -> Result<Self, Failure> {
        Self::with(&[])
    }

    /// With further arguments.
    pub(crate) fn with(arguments: &[&str]) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("no server: {error}"));
        let mut command = Command::new(Program::Restis.path()?);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RESTIS_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["serve", "--addr", "127.0.0.1:0", "--token", TOKEN])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let banner = child.stdout.take().map(BufReader::new);
        let mut store = Self {
            child,
            url: String::new(),
            resp: None,
        };
        // All of the banner is read: the pipe must never fill.
        for line in banner.into_iter().flat_map(BufReader::lines) {
            let line = line.map_err(failed)?;
            if let Some((_, rest)) = line.split_once("UPSTASH_REDIS_REST_URL=") {
                rest.split(' ')
                    .next()
                    .unwrap_or_default()
                    .clone_into(&mut store.url);
            }
            if let Some((_, address)) = line.split_once("redis://127.") {
                store.resp.get_or_insert_with(|| format!("127.{address}"));
            }
            if line.ends_with("Ctrl-C stops.") {
                break;
            }
        }
        if store.url.is_empty() {
            return Err(Failure::new("the server ended at its start"));
        }
        Ok(store)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The id of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Host and port of the Redis protocol, if it was asked for.
    pub(crate) fn resp(&self) -> Option<&str> {
        self.resp.as_deref()
    }

    /// Host and port.
    pub(crate) fn addr(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of a process: Linux tells it; elsewhere nobody is asked.
pub(crate) fn resident_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}
