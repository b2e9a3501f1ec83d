//! A store that is killed, again and again: what was answered is there afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![cfg(unix)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::{Restis, binary};

const TOKEN: &str = "TOKEN";

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("restis-kill-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Self(dir)
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn serve(&self, sync: &str) -> Restis {
        Restis::start(&[
            "serve",
            "--addr",
            "127.0.0.1:0",
            "--resp",
            "127.0.0.1:0",
            "--token",
            TOKEN,
            "--data",
            self.text(),
            "--sync",
            sync,
        ])
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A connection by one of the two protocols; `None`: it ended.
enum Door {
    Redis(BufReader<TcpStream>),
    Rest(BufReader<TcpStream>),
}

impl Door {
    fn open(restis: &Restis, redis: bool) -> Option<Self> {
        let url = if redis {
            restis.exported("REDIS_URL")
        } else {
            restis.url()
        };
        let address = url.rsplit(['/', '@']).next().unwrap();
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let stream = BufReader::new(stream);
        if !redis {
            return Some(Self::Rest(stream));
        }
        let mut door = Self::Redis(stream);
        (door.call(&[&["AUTH", TOKEN]])? == "+OK").then_some(door)
    }

    /// One command, or several as a transaction; what was answered.
    fn call(&mut self, commands: &[&[&str]]) -> Option<String> {
        match self {
            Self::Redis(stream) => {
                let multi = commands.len() > 1;
                let mut all = commands.to_vec();
                if multi {
                    all.insert(0, &["MULTI"]);
                    all.push(&["EXEC"]);
                }
                let mut out = String::new();
                for command in &all {
                    out.push_str(&format!("*{}\r\n", command.len()));
                    for word in *command {
                        out.push_str(&format!("${}\r\n{word}\r\n", word.len()));
                    }
                }
                stream.get_mut().write_all(out.as_bytes()).ok()?;
                let mut answer = String::new();
                for _ in &all {
                    answer = reply(stream)?;
                }
                Some(answer)
            }
            Self::Rest(stream) => {
                let list = |words: &[&str]| format!("[\"{}\"]", words.join("\",\""));
                let (path, body) = if let [command] = commands {
                    ("/", list(command))
                } else {
                    let all: Vec<String> = commands.iter().map(|c| list(c)).collect();
                    ("/multi-exec", format!("[{}]", all.join(",")))
                };
                let request = format!(
                    "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.get_mut().write_all(request.as_bytes()).ok()?;
                http_body(stream)
            }
        }
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}

/// A reply in one line.
fn reply(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let head = line(stream)?;
    let count = || head[1..].parse::<i64>().unwrap();
    match head.as_bytes()[0] {
        b'$' if count() >= 0 => {
            let mut bytes = vec![0; count() as usize + 2];
            stream.read_exact(&mut bytes).ok()?;
            bytes.truncate(bytes.len() - 2);
            String::from_utf8(bytes).ok()
        }
        b'*' => {
            let items: Option<Vec<String>> = (0..count()).map(|_| reply(stream)).collect();
            Some(items?.join(" "))
        }
        _ => Some(head),
    }
}

fn http_body(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let status = line(stream)?;
    let mut length = 0;
    loop {
        let header = line(stream)?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    assert!(status.contains(" 200 "), "{status}: {body}");
    Some(body)
}

/// What each writer was told: the highest number that was answered, and when each was.
#[derive(Default)]
struct Answered {
    numbers: [AtomicU64; 4],
    times: Mutex<BTreeMap<(usize, u64), Instant>>,
}

/// Writes until the store is gone: counters that always agree, a list that holds every number.
fn write(door: &mut Door, writer: usize, first: u64, answered: &Answered) {
    for number in first.. {
        let text = number.to_string();
        let (a, b) = (format!("a:{writer}"), format!("b:{writer}"));
        let (list, own) = (format!("l:{writer}"), format!("k:{writer}:{}", number % 10));
        let answer = match number % 3 {
            0 => door.call(&[
                &["SET", &a, &text],
                &["RPUSH", &list, &text],
                &["SET", &b, &text],
            ]),
            1 => {
                let script = "redis.call('SET', KEYS[1], ARGV[1]) redis.call('RPUSH', KEYS[2], ARGV[1]) return redis.call('SET', KEYS[3], ARGV[1])";
                door.call(&[&["EVAL", script, "3", &a, &list, &b, &text]])
            }
            _ => {
                let set: [&[&str]; 4] = [
                    &["SET", &a, &text],
                    &["RPUSH", &list, &text],
                    &["SET", &own, &text, "EX", "1000"],
                    &["SET", &b, &text],
                ];
                door.call(&set)
            }
        };
        match answer {
            Some(answer) => assert!(!answer.contains("ERR"), "{answer}"),
            None => return,
        }
        answered.numbers[writer].store(number, Ordering::SeqCst);
        let mut times = answered.times.lock().unwrap();
        times.insert((writer, number), Instant::now());
    }
}

fn random(below: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (u64::from(now.subsec_nanos()) / 7) % below
}

/// What is there of a writer: its last number, each of which is in the list exactly once.
fn stored(door: &mut Door, writer: usize) -> u64 {
    let get = |door: &mut Door, key: &str| {
        let text = door.call(&[&["GET", key]]).unwrap();
        text.parse::<u64>().unwrap_or(0)
    };
    let a = get(door, &format!("a:{writer}"));
    assert_eq!(a, get(door, &format!("b:{writer}")), "half a transaction");
    let list = door.call(&[&["LRANGE", &format!("l:{writer}"), "0", "-1"]]);
    let list = list.unwrap();
    let numbers = list.split(' ').filter(|text| !text.is_empty());
    let numbers: Vec<u64> = numbers.map(|text| text.parse().unwrap()).collect();
    let expected: Vec<u64> = (1..=a).collect();
    assert_eq!(numbers, expected, "writer {writer}");
    a
}

/// Kills a store in the middle of writes and looks what is there, over and over on the same files.
fn rounds(sync: &str) {
    let rounds = std::env::var("KILL_ROUNDS").ok();
    let rounds: u64 = rounds.map_or(20, |rounds| rounds.parse().unwrap());
    let dir = Dir::new(sync);
    let mut last = [0; 4];
    for round in 0..rounds {
        let restis = dir.serve(sync);
        let answered = Arc::new(Answered::default());
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut door = Door::open(&restis, writer % 2 == 0).unwrap();
                let (answered, first) = (Arc::clone(&answered), last[writer] + 1);
                std::thread::spawn(move || write(&mut door, writer, first, &answered))
            })
            .collect();
        // Now and then the log is being rewritten.
        let mut door = Door::open(&restis, true).unwrap();
        let goal = random(400);
        let sum = || -> u64 {
            let now = answered.numbers.iter().zip(last);
            now.map(|(now, last)| now.load(Ordering::SeqCst).saturating_sub(last))
                .sum()
        };
        let mut rewrites = 0;
        while sum() < goal {
            if round % 2 == 1 && rewrites < 3 && sum() > rewrites * 50 {
                let _ = door.call(&[&["BGREWRITEAOF"]]);
                rewrites += 1;
            }
            std::thread::yield_now();
        }
        support::signal("KILL", restis.id());
        let killed = Instant::now();
        for writer in writers {
            writer.join().unwrap();
        }
        drop(restis);
        let restis = dir.serve(sync);
        let mut door = Door::open(&restis, true).unwrap();
        let times = answered.times.lock().unwrap();
        for (writer, last) in last.iter_mut().enumerate() {
            let there = stored(&mut door, writer);
            let told = answered.numbers[writer].load(Ordering::SeqCst).max(*last);
            if sync == "always" {
                assert!(
                    there >= told,
                    "round {round}: {told} was answered, {there} is there"
                );
            } else if let Some(first_lost) = times.get(&(writer, there + 1)) {
                let age = killed.saturating_duration_since(*first_lost);
                assert!(
                    age < Duration::from_secs(1),
                    "round {round}: lost after {age:?}"
                );
            }
            *last = there;
        }
    }
}

#[test]
fn with_always_every_answered_write_survives_a_kill() {
    rounds("always");
}

#[test]
fn with_everysec_a_kill_costs_the_last_second_at_most() {
    rounds("everysec");
}

#[test]
fn damaged_files_stop_the_start_until_they_are_repaired() {
    let dir = Dir::new("repair");
    let restis = dir.serve("always");
    let mut door = Door::open(&restis, true).unwrap();
    for number in 0..10 {
        door.call(&[&["SET", &format!("k{number}"), "value"]])
            .unwrap();
    }
    restis.signal("TERM");
    assert_eq!(restis.wait().0, Some(0));
    let log = dir.0.join("db0.0.log");
    let whole = std::fs::read(&log).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&log, &damaged).unwrap();
    let start = || {
        let args = [
            "serve",
            "--addr",
            "127.0.0.1:0",
            "--token",
            TOKEN,
            "--data",
            dir.text(),
        ];
        binary().args(args).output().unwrap()
    };
    let refused = start();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(
        error.contains("db0.0.log") && error.contains("restis repair"),
        "{error}"
    );
    let repair = || binary().args(["repair", dir.text()]).output().unwrap();
    let output = repair();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("db0: 9 keys are kept"),
        "{text}"
    );
    assert!(
        text.contains("are damaged: the transactions in them are lost"),
        "{text}"
    );
    let restis = dir.serve("always");
    let mut door = Door::open(&restis, true).unwrap();
    assert_eq!(door.call(&[&["DBSIZE"]]).unwrap(), ":9");
    // Who uses the files is not disturbed.
    let output = repair();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && error.contains("another server"),
        "{error}"
    );
    drop(restis);
    let text = String::from_utf8(repair().stdout).unwrap();
    assert_eq!(text, "db0: 9 keys, nothing is damaged\n");
}

/// Files may grow to so many blocks of 512 bytes, until the limit is raised again.
#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    if !support::tool("prlimit") {
        return;
    }
    let dir = Dir::new("full");
    let limited = r#"trap '' XFSZ; ulimit -S -f 64; exec "$0" "$@""#;
    let restis = Restis::start_by(
        Command::new("sh")
            .args(["-c", limited])
            .arg(env!("CARGO_BIN_EXE_restis"))
            .args(["serve", "--addr", "127.0.0.1:0", "--resp", "127.0.0.1:0"])
            .args(["--token", TOKEN, "--data", dir.text(), "--sync", "always"]),
    );
    let value = "v".repeat(1000);
    let mut stored = 0;
    let refused = 'full: loop {
        let mut door = Door::open(&restis, true).unwrap();
        loop {
            match door.call(&[&["SET", &format!("k{stored}"), &value]]) {
                Some(answer) if answer == "+OK" => stored += 1,
                Some(answer) => break 'full answer,
                None => break,
            }
        }
    };
    assert!(
        refused.starts_with("-MISCONF Errors writing to the AOF file: File too large"),
        "{refused}"
    );
    assert!(stored > 10, "{stored}");
    let mut door = Door::open(&restis, true).unwrap();
    let again = door.call(&[&["SET", "k", "v"]]).unwrap();
    assert!(again.starts_with("-MISCONF"), "{again}");
    assert_eq!(door.call(&[&["GET", "k0"]]).unwrap(), value);
    let raised = Command::new("prlimit")
        .args(["--pid", &restis.id().to_string(), "--fsize=unlimited:"])
        .status()
        .unwrap();
    assert!(raised.success());
    let until = Instant::now() + Duration::from_secs(60);
    while door.call(&[&["SET", "after", "v"]]).unwrap() != "+OK" {
        assert!(Instant::now() < until, "writes are still refused");
        std::thread::yield_now();
    }
    support::signal("KILL", restis.id());
    drop(restis);
    let restis = dir.serve("always");
    let mut door = Door::open(&restis, true).unwrap();
    for number in 0..stored {
        assert_eq!(
            door.call(&[&["GET", &format!("k{number}")]]).unwrap(),
            value
        );
    }
    assert_eq!(door.call(&[&["GET", "after"]]).unwrap(), "v");
}
