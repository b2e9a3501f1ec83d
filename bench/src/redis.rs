//! A `redis-server` of its own on this machine.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use crate::failure::Failure;

/// Keeps nothing on disk; ends when dropped.
#[derive(Debug)]
pub(crate) struct RedisServer {
    child: Child,
    url: String,
}

impl RedisServer {
    /// `None` where there is no `redis-server`.
    pub(crate) fn start() -> Result<Option<Self>, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("no redis-server: {error}"));
        // Redis takes no "any port": this one was free a moment ago.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(failed)?
            .port();
        let spawned = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut server = Self {
            child,
            url: format!("redis://127.0.0.1:{port}"),
        };
        let log = server.child.stdout.take().map(BufReader::new);
        let ready = log
            .into_iter()
            .flat_map(BufReader::lines)
            .map_while(Result::ok)
            .any(|line| line.contains("eady to accept connections"));
        if ready {
            Ok(Some(server))
        } else {
            Err(Failure::new("redis-server ended at its start"))
        }
    }

    /// Host and port.
    pub(crate) fn addr(&self) -> &str {
        self.url.trim_start_matches("redis://")
    }

    /// The id of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
