//! The built `app` binary, its store, and fakes of the platforms that start it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "every test binary uses a part of it")]

pub(crate) mod browser;
pub(crate) mod calls;
pub(crate) mod event_calls;
pub(crate) mod function;
pub(crate) mod lambda;
pub(crate) mod platform;
#[cfg(unix)]
pub(crate) mod vercel;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The service token that the started functions accept.
pub(crate) const SERVICE_TOKEN: &str = "service-token-of-the-tests";

/// The REST server over the engine that the functions use.
pub(crate) fn store() -> restis_server::Running {
    let mut tenants = restis_server::Tenants::new();
    tenants.add("TOKEN", None);
    restis_server::Server::builder()
        .tenants(tenants)
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap()
}

/// The built binary, ended when dropped.
pub(crate) struct App {
    child: Child,
    // Kept open: a program whose standard error is closed cannot log.
    stderr: BufReader<ChildStderr>,
}

impl App {
    /// Starts it with these variables and nothing else from the environment.
    pub(crate) fn start(store: &str, vars: &[(&str, &str)]) -> Self {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_app")), store, vars)
    }

    /// The same with another build of it.
    pub(crate) fn start_program(program: &Path, store: &str, vars: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program)
            .env_clear()
            .env("UPSTASH_REDIS_REST_URL", store)
            .env("UPSTASH_REDIS_REST_TOKEN", "TOKEN")
            .env("RESTIS_SERVICE_TOKEN", SERVICE_TOKEN)
            .env("RUST_LOG", "restis_handlers=info")
            .envs(vars.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// Reads standard error until the line that tells the address.
    pub(crate) fn address(&mut self) -> SocketAddr {
        for line in self.stderr.by_ref().lines() {
            let line = line.unwrap();
            if let Some((_, address)) = line.split_once("address=") {
                return address.trim().parse().unwrap();
            }
        }
        panic!("the function ended without listening");
    }

    /// Asks it to stop.
    pub(crate) fn ask_to_stop(&self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Asks it to stop and waits.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.ask_to_stop();
        self.wait()
    }

    /// Waits for its end, not forever.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the function did not end");
            std::thread::yield_now();
        }
    }

    /// Everything that it printed on standard error, after its end.
    pub(crate) fn errors(&mut self) -> String {
        std::io::read_to_string(&mut self.stderr).unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP client.
pub(crate) fn http() -> reqwest::Client {
    // Already installed by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// A port that was free a moment ago, for programs that cannot tell which one they took.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
