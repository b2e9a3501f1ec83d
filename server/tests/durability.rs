//! Databases that survive a restart.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::path::PathBuf;

use restis_server::{Running, Server, StartError, SyncPolicy};
use support::resp::Resp;
use support::*;

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("restis-data-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }

    /// The snapshot after one SAVE.
    fn file(&self) -> PathBuf {
        self.0.join("db0.1.restis")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn start(dir: &Dir) -> Result<Running, StartError> {
    start_with(dir, SyncPolicy::EverySecond)
}

fn start_with(dir: &Dir, sync: SyncPolicy) -> Result<Running, StartError> {
    Server::builder()
        .token(TOKEN)
        .token("SECOND")
        .data(dir.0.clone(), sync)
        .redis_protocol(["127.0.0.1:0".parse().unwrap()])
        .bind("127.0.0.1:0")?
        .spawn()
}

fn save(server: &Running) {
    assert_eq!(Resp::open(server, TOKEN).call(&["SAVE"]), "+OK");
}

/// The files as they are now, as a process that is killed leaves them.
fn copy(dir: &Dir, name: &str) -> Dir {
    let copy = Dir::new(name);
    std::fs::create_dir_all(&copy.0).unwrap();
    for entry in std::fs::read_dir(&dir.0).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
    }
    copy
}

fn names(dir: &Dir) -> Vec<String> {
    let entries = std::fs::read_dir(&dir.0).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("db0"))
        .collect();
    names.sort();
    names
}

#[test]
fn data_survives_a_restart() {
    let dir = Dir::new("restart");
    let server = start(&dir).unwrap();
    command(server.addr(), &["SET", "k", "v", "EX", "1000"]);
    command(server.addr(), &["RPUSH", "l", "a", "b"]);
    server.stop();
    assert_eq!(server.save_error(), None);
    let server = start(&dir).unwrap();
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
fn with_always_an_answer_means_that_the_write_is_in_the_file() {
    let dir = Dir::new("always");
    let server = start_with(&dir, SyncPolicy::Always).unwrap();
    let mut redis = Resp::open(&server, TOKEN);
    for n in 0..20 {
        let key = format!("k{n}");
        if n % 2 == 0 {
            command(server.addr(), &["SET", &key, "v"]);
        } else {
            assert_eq!(redis.call(&["SET", &key, "v"]), "+OK");
        }
        let copy = copy(&dir, "always-copy");
        let second = start(&copy).unwrap();
        let there = command(second.addr(), &["DBSIZE"]);
        assert_eq!(there, format!(r#"{{"result":{}}}"#, n + 1));
    }
}

#[test]
fn a_rewrite_loses_nothing_and_leaves_one_generation() {
    let dir = Dir::new("rewrite");
    let server = start(&dir).unwrap();
    let addr = server.addr();
    let mut redis = Resp::open(&server, TOKEN);
    for n in 0..500 {
        redis.call(&["RPUSH", &format!("list:{}", n % 7), &"item".repeat(40)]);
    }
    let writer = std::thread::spawn(move || {
        for n in 0..500 {
            command(addr, &["RPUSH", &format!("list:{}", n % 7), &n.to_string()]);
        }
    });
    for generation in 1..=3 {
        assert_eq!(redis.call(&["SAVE"]), "+OK");
        let expected = [
            format!("db0.{generation}.log"),
            format!("db0.{generation}.restis"),
        ];
        assert_eq!(names(&dir), expected);
    }
    writer.join().unwrap();
    let sum = |addr| -> usize {
        let length = |n| {
            let answer = command(addr, &["LLEN", &format!("list:{n}")]);
            let digits = answer
                .trim_matches(|c: char| !c.is_ascii_digit())
                .to_owned();
            digits.parse::<usize>().unwrap()
        };
        (0..7).map(length).sum()
    };
    assert_eq!(sum(addr), 1000);
    server.stop();
    let server = start(&dir).unwrap();
    assert_eq!(sum(server.addr()), 1000);
}

#[test]
fn the_commands_about_saving_tell_the_truth() {
    let dir = Dir::new("commands");
    let server = start_with(&dir, SyncPolicy::Always).unwrap();
    let mut redis = Resp::open(&server, TOKEN);
    let has = |info: &str, line: &str| info.split("\r\n").any(|found| found == line);
    redis.call(&["SET", "k", "v"]);
    assert_eq!(redis.call(&["LASTSAVE"]), ":0");
    let info = redis.call(&["INFO", "persistence"]);
    for line in [
        "rdb_changes_since_last_save:1",
        "rdb_last_save_time:0",
        "aof_enabled:1",
        "aof_last_write_status:ok",
        "aof_base_size:0",
        "aof_pending_bio_fsync:0",
    ] {
        assert!(has(&info, line), "{line} in {info}");
    }
    assert_eq!(redis.call(&["SAVE"]), "+OK");
    let saved: u64 = redis.call(&["LASTSAVE"])[1..].parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    assert!(now.unwrap().as_secs() - saved < 100);
    let info = redis.call(&["INFO", "persistence"]);
    let size = std::fs::metadata(dir.0.join("db0.1.restis")).unwrap().len();
    for line in [
        "rdb_changes_since_last_save:0",
        &format!("aof_base_size:{size}"),
    ] {
        assert!(has(&info, line), "{line} in {info}");
    }
    assert_eq!(redis.call(&["BGSAVE"]), "+Background saving started");
    eventually("the snapshot is there", || {
        dir.0.join("db0.2.restis").exists()
    });
    assert_eq!(
        redis.call(&["CONFIG", "GET", "append*"]),
        "*4 $appendfsync $always $appendonly $yes"
    );
    // Without a directory there is nothing to save.
    let none = Server::builder()
        .token(TOKEN)
        .redis_protocol(["127.0.0.1:0".parse().unwrap()])
        .bind("127.0.0.1:0")
        .unwrap()
        .spawn()
        .unwrap();
    let mut redis = Resp::open(&none, TOKEN);
    for name in ["SAVE", "BGSAVE", "BGREWRITEAOF"] {
        assert!(redis.call(&[name]).contains("--data DIR"), "{name}");
    }
    let info = redis.call(&["INFO", "persistence"]);
    assert!(has(&info, "aof_enabled:0"), "{info}");
}

#[test]
fn a_torn_file_is_reported_and_kept() {
    let dir = Dir::new("torn");
    let start = || {
        Server::builder()
            .token(TOKEN)
            .data(dir.0.clone(), SyncPolicy::EverySecond)
            .redis_protocol(["127.0.0.1:0".parse().unwrap()])
            .bind("127.0.0.1:0")?
            .spawn()
    };
    let server = start().unwrap();
    command(server.addr(), &["SET", "k", &"v".repeat(1000)]);
    save(&server);
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
            error.contains("db0.1.restis") && error.contains("restis repair"),
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
    let server = start(&dir).unwrap();
    command(server.addr(), &["SET", "k", "v"]);
    save(&server);
    server.stop();
    let whole = std::fs::read(dir.file()).unwrap();
    let torn = &whole[..whole.len() - 1];
    std::fs::write(dir.file(), torn).unwrap();
    let server = start(&dir).unwrap();
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
    let server = start(&dir).unwrap();
    assert_eq!(command(server.addr(), &["GET", "k"]), r#"{"result":"v"}"#);
    let answer = request(server.addr(), "GET", "/get/k", &second, "");
    assert_eq!(answer.text(), r#"{"result":"second"}"#);
}

#[test]
fn two_servers_cannot_share_a_directory() {
    let dir = Dir::new("shared");
    let first = start(&dir).unwrap();
    command(first.addr(), &["SET", "k", "first"]);
    let error = start(&dir).unwrap_err().to_string();
    assert!(error.contains("another server"), "{error}");
    first.stop();
    let next = start(&dir).unwrap();
    assert_eq!(command(next.addr(), &["GET", "k"]), r#"{"result":"first"}"#);
}

#[cfg(unix)]
#[test]
fn others_cannot_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Dir::new("mode");
    let server = start(&dir).unwrap();
    command(server.addr(), &["SET", "k", "v"]);
    save(&server);
    server.stop();
    let mode = std::fs::metadata(dir.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
