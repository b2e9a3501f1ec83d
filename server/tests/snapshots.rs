//! Databases that survive a restart.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::path::PathBuf;
use std::time::Duration;

use restis_server::{Running, Server, StartError};
use support::*;

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("restis-data-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("db0.restis")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(dir: &Dir, interval: Duration) -> Result<Running, StartError> {
    Server::builder()
        .token(TOKEN)
        .token("SECOND")
        .data(dir.0.clone(), interval)
        .bind("127.0.0.1:0")?
        .spawn()
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn data_survives_a_restart() {
    let dir = Dir::new("restart");
    let server = start(&dir, HOUR).unwrap();
    command(server.addr(), &["SET", "k", "v", "EX", "1000"]);
    command(server.addr(), &["RPUSH", "l", "a", "b"]);
    assert!(!dir.file().exists());
    server.stop();
    assert_eq!(server.save_error(), None);
    assert!(dir.file().exists());
    let server = start(&dir, HOUR).unwrap();
    assert_eq!(command(server.addr(), &["GET", "k"]), r#"{"result":"v"}"#);
    assert_eq!(
        command(server.addr(), &["LRANGE", "l", "0", "-1"]),
        r#"{"result":["a","b"]}"#
    );
    let ttl = command(server.addr(), &["TTL", "k"]);
    assert!(
        ttl == r#"{"result":1000}"# || ttl == r#"{"result":999}"#,
        "{ttl}"
    );
    let other = [("Authorization", "Bearer SECOND")];
    let response = request(server.addr(), "GET", "/dbsize", &other, "");
    assert_eq!(response.text(), r#"{"result":0}"#);
}

#[test]
fn data_is_saved_at_intervals() {
    let dir = Dir::new("interval");
    let server = start(&dir, Duration::from_millis(20)).unwrap();
    command(server.addr(), &["SET", "k", "v"]);
    eventually("the file is there", || dir.file().exists());
    // Another process that loads the file now finds a whole one.
    std::fs::copy(dir.file(), dir.0.join("copy")).unwrap();
    let copy = Dir::new("interval-copy");
    std::fs::create_dir_all(&copy.0).unwrap();
    std::fs::rename(dir.0.join("copy"), copy.file()).unwrap();
    let second = start(&copy, HOUR).unwrap();
    assert_eq!(command(second.addr(), &["GET", "k"]), r#"{"result":"v"}"#);
    server.stop();
}

#[test]
fn a_torn_file_is_reported_and_kept() {
    let dir = Dir::new("torn");
    let start = || {
        Server::builder()
            .token(TOKEN)
            .data(dir.0.clone(), HOUR)
            .bind("127.0.0.1:0")?
            .spawn()
    };
    let server = start().unwrap();
    command(server.addr(), &["SET", "k", &"v".repeat(1000)]);
    server.stop();
    let whole = std::fs::read(dir.file()).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for bytes in [
        &whole[..whole.len() - 1],
        &whole[..20],
        &changed,
        b"",
        b"something else",
    ] {
        std::fs::write(dir.file(), bytes).unwrap();
        let error = start().unwrap_err().to_string();
        assert!(
            error.contains("db0.restis") && error.contains("nothing was loaded"),
            "{error}"
        );
        assert_eq!(std::fs::read(dir.file()).unwrap(), bytes);
    }
    std::fs::write(dir.file(), whole).unwrap();
    assert!(start().is_ok());
}

#[test]
fn a_torn_file_closes_its_database_only() {
    let dir = Dir::new("torn-one");
    let server = start(&dir, HOUR).unwrap();
    command(server.addr(), &["SET", "k", "v"]);
    server.stop();
    let whole = std::fs::read(dir.file()).unwrap();
    let torn = &whole[..whole.len() - 1];
    std::fs::write(dir.file(), torn).unwrap();
    let server = start(&dir, Duration::from_millis(20)).unwrap();
    for args in [&["GET", "k"][..], &["SET", "k", "new"], &["FLUSHALL"]] {
        let answer = command(server.addr(), args);
        assert!(answer.contains("could not be loaded"), "{answer}");
    }
    let second = [("Authorization", "Bearer SECOND")];
    let answer = request(server.addr(), "GET", "/set/k/second", &second, "");
    assert_eq!(answer.text(), r#"{"result":"OK"}"#);
    server.stop();
    assert_eq!(server.save_error(), None);
    assert_eq!(std::fs::read(dir.file()).unwrap(), torn);
    std::fs::write(dir.file(), whole).unwrap();
    let server = start(&dir, HOUR).unwrap();
    assert_eq!(command(server.addr(), &["GET", "k"]), r#"{"result":"v"}"#);
    let answer = request(server.addr(), "GET", "/get/k", &second, "");
    assert_eq!(answer.text(), r#"{"result":"second"}"#);
}

#[test]
fn two_servers_cannot_share_a_directory() {
    let dir = Dir::new("shared");
    let first = start(&dir, HOUR).unwrap();
    command(first.addr(), &["SET", "k", "first"]);
    let error = start(&dir, HOUR).unwrap_err().to_string();
    assert!(error.contains("another server"), "{error}");
    first.stop();
    let next = start(&dir, HOUR).unwrap();
    assert_eq!(command(next.addr(), &["GET", "k"]), r#"{"result":"first"}"#);
}

#[cfg(unix)]
#[test]
fn others_cannot_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Dir::new("mode");
    let server = start(&dir, HOUR).unwrap();
    command(server.addr(), &["SET", "k", "v"]);
    server.stop();
    let mode = std::fs::metadata(dir.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
