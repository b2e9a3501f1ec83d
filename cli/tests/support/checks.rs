//! `restis check` as a process, and servers that misbehave.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests share it in parts"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use super::{Restis, binary};

pub(crate) const OK: &str = "200 OK";

/// What a run said.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) errors: String,
}

impl Ran {
    pub(crate) fn check(&self, name: &str) -> Option<&Value> {
        let checks = self.json["checks"].as_array()?;
        checks.iter().find(|check| check["name"] == name)
    }

    pub(crate) fn state(&self, name: &str) -> &str {
        self.check(name)
            .map_or("", |check| check["state"].as_str().unwrap())
    }

    /// The sentence and the remedy of a check.
    pub(crate) fn told(&self, name: &str) -> String {
        let check = self
            .check(name)
            .unwrap_or_else(|| panic!("{name}: {}", self.json));
        let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        format!("{} → {}", text("detail"), text("remedy"))
    }
}

pub(crate) fn check_with(args: &[&str], vars: &[(&str, &str)]) -> Ran {
    let program = binary().get_program().to_owned();
    let mut command = Command::new(program);
    command.env_clear().env("RESTIS_ENV_FILES", "false");
    let output = command
        .args(["check", "--json", "--requests", "5"])
        .args(args)
        .envs(vars.iter().copied())
        .output()
        .unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Ran {
        code: output.status.code(),
        json,
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn check(url: &str, token: &str) -> Ran {
    // A server on a busy machine may take its time.
    check_with(
        &["--url", url, "--token", token],
        &[("REDIS_COMMAND_TIMEOUT", "60s")],
    )
}

pub(crate) fn serve(args: &[&str]) -> Restis {
    let mut all = vec!["serve", "--addr", "127.0.0.1:0"];
    all.extend(args);
    Restis::start(&all)
}

/// Sends a command to a server, past any fake.
pub(crate) fn ask(url: &str, token: &str, command: &str) -> Value {
    let addr = url.strip_prefix("http://").unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
        command.len()
    );
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .write_all(format!("{head}{command}").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

/// A request as a fake sees it.
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        let mut length = 0;
        loop {
            let start = head.len();
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        Some(Self { head, body })
    }
}

/// What a fake does with a request.
pub(crate) enum Does {
    Answer(&'static str, String),
    /// Hands it to the server behind, with another token.
    Forward(&'static str),
    Close,
    Hang,
}

/// A server of one test: each connection has one request.
pub(crate) fn fake(
    behind: Option<&Restis>,
    does: impl Fn(&Seen) -> Does + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let behind = behind.map(|restis| restis.url().strip_prefix("http://").unwrap().to_owned());
    let does = Arc::new(does);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, behind, does) = (stream.unwrap(), behind.clone(), Arc::clone(&does));
            std::thread::spawn(move || answer(stream, behind.as_deref(), &*does));
        }
    });
    url
}

fn answer(mut stream: TcpStream, behind: Option<&str>, does: &dyn Fn(&Seen) -> Does) {
    // A connection that only looks whether somebody listens says nothing.
    let Some(seen) = Seen::read(&stream) else {
        return;
    };
    match does(&seen) {
        Does::Close => {}
        Does::Hang => {
            let _ = stream.read(&mut [0]);
        }
        Does::Answer(status, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
        Does::Forward(token) => {
            let lines = seen.head.trim_end().lines().filter(|line| {
                let line = line.to_ascii_lowercase();
                !line.starts_with("authorization:") && !line.starts_with("connection:")
            });
            let head: Vec<&str> = lines.collect();
            let head = head.join("\r\n");
            let mut server = TcpStream::connect(behind.unwrap()).unwrap();
            let request = format!(
                "{head}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n{}",
                seen.body
            );
            server.write_all(request.as_bytes()).unwrap();
            let _ = std::io::copy(&mut server, &mut stream);
        }
    }
}
