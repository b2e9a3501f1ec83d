//! `restis dev`: the console in a browser; and service tokens made by `restis token new`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Restis, binary, run, tool};

const ANY_PORTS: [&str; 6] = [
    "dev",
    "--ephemeral",
    "--addr",
    "127.0.0.1:0",
    "--functions-addr",
    "127.0.0.1:0",
];

/// The word of the banner that contains a text.
fn word<'b>(banner: &'b str, part: &str) -> &'b str {
    banner
        .split_whitespace()
        .find(|word| word.contains(part))
        .unwrap()
}

#[test]
fn the_redis_protocol_is_spoken_at_a_port_that_is_free() {
    if !tool("redis-cli") {
        return;
    }
    // The second one cannot have the port of the first.
    let both = [Restis::start(&ANY_PORTS), Restis::start(&ANY_PORTS)];
    for (at, restis) in both.iter().enumerate() {
        let value = at.to_string();
        for (args, expected) in [
            (vec!["SET", "k", &value], "OK\n"),
            (vec!["GET", "k"], &format!("{at}\n")),
        ] {
            let output = Command::new("redis-cli")
                .args(["--no-auth-warning", "-u", &restis.exported("REDIS_URL")])
                .args(args)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        }
    }
}

#[test]
fn a_token_that_was_made_opens_what_it_is_for() {
    if !tool("curl") {
        return;
    }
    let made = run(&[
        "token",
        "new",
        "--name",
        "web",
        "--scope",
        "ratelimit",
        "--org",
        "acme",
    ]);
    assert!(made.status.success());
    let text = String::from_utf8(made.stdout).unwrap();
    let token = text
        .lines()
        .find(|l| l.starts_with("  restis_"))
        .unwrap()
        .trim();
    let line = text
        .lines()
        .find(|l| l.contains("TOKENS='"))
        .unwrap()
        .trim();
    assert!(!line.contains(token));
    // What is printed is what a shell takes.
    let shell = format!("{line} && export RESTIS_SERVICE_TOKENS && exec \"$0\" \"$@\"");
    let restis = Restis::start_by(
        Command::new("sh")
            .args(["-c", &shell])
            .arg(env!("CARGO_BIN_EXE_restis"))
            .args(ANY_PORTS),
    );
    let functions = restis.exported("API_URL");
    let status = |organisation: &str| {
        let output = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(["-H", "Content-Type: application/json", "-H"])
            .arg(format!("Authorization: Bearer {token}"))
            .arg("-d")
            .arg(format!(
                r#"{{"identifier":"alice","organisation":"{organisation}"}}"#
            ))
            .arg(format!("{functions}/api/ratelimit"))
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(
        (status("acme"), status("other")),
        ("200".into(), "403".into())
    );
}

#[test]
fn a_second_token_keeps_the_first_and_mistakes_are_explained() {
    let first = run(&["token", "new", "--name", "web", "--scope", "session:create"]);
    let first = String::from_utf8(first.stdout).unwrap();
    let value = |text: &str| text.split('\'').nth(1).unwrap().to_owned();
    let with = |name: &str, scope: &str| {
        binary()
            .args(["token", "new", "--name", name, "--scope", scope])
            .env("RESTIS_SERVICE_TOKENS", value(&first))
            .output()
            .unwrap()
    };
    let both = value(&String::from_utf8(with("jobs", "events").stdout).unwrap());
    let kept = value(&first);
    assert!(both.starts_with(kept.strip_suffix(']').unwrap()), "{both}");
    assert!(both.contains(r#""scopes":["events:*"]"#), "{both}");
    for (name, scope, part) in [
        ("web", "events", "web-2"),
        ("ops", "everything", "unknown scope `everything`"),
    ] {
        let output = with(name, scope);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(part), "{error}");
        assert!(output.stdout.is_empty());
    }
}

/// Runs a script of `tests/node` with the console's link. `RESTIS_PICTURES` names a directory for
/// pictures of each page in light, in dark and on a phone.
fn in_a_browser(script: &str, restis: &Restis, args: &[String]) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/node");
    let output = Command::new("node")
        .arg(scripts.join(script))
        .arg(word(&restis.banner, "/#token="))
        .args(args)
        // A million is for a build that is optimised.
        .env("RESTIS_KEYS", "50000")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

fn has_browser() -> bool {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    tool("node") && tool(&chromium)
}

#[test]
fn the_console_works_in_a_browser() {
    if has_browser() {
        in_a_browser("console.mjs", &Restis::start(&ANY_PORTS), &[]);
    }
}

#[test]
fn the_console_works_in_a_browser_over_a_redis() {
    if !has_browser() || !tool("redis-server") {
        return;
    }
    let socket = std::env::temp_dir().join(format!("restis-console-{}.sock", std::process::id()));
    let mut redis = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !socket.exists() {
        std::thread::yield_now();
    }
    let url = format!("unix://{}", socket.display());
    let restis = Restis::start_by(binary().args(ANY_PORTS).args(["--redis", &url]));
    in_a_browser("console.mjs", &restis, &["redis".to_owned()]);
    drop(restis);
    redis.kill().unwrap();
    redis.wait().unwrap();
}

#[test]
fn the_console_shows_and_calls_the_api() {
    if has_browser() {
        let restis = Restis::start(&ANY_PORTS);
        let secret = restis.exported("RESTIS_SERVICE_TOKEN");
        in_a_browser("console_api.mjs", &restis, &[secret]);
    }
}

#[test]
fn the_console_shows_the_building_blocks() {
    if !has_browser() {
        return;
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    std::thread::spawn(move || gone.incoming().for_each(|stream| refuse(stream.unwrap())));
    let secret =
        r#""secrets":["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="],"private":true"#;
    let webhooks = format!(
        r#"[{{"name":"gone","url":"http://{address}/","types":["*"],{secret}}},
            {{"name":"away","url":"http://127.0.0.1:1/","types":["note.*"],{secret}}}]"#
    );
    let restis = Restis::start_by(binary().args(ANY_PORTS).env("EVENTS_WEBHOOKS", webhooks));
    let secret = restis.exported("RESTIS_SERVICE_TOKEN");
    in_a_browser("console_blocks.mjs", &restis, &[secret]);
}

#[test]
fn the_console_stands_hostile_names_and_a_lost_server() {
    if has_browser() {
        let restis = Restis::start(&ANY_PORTS);
        let args = [restis.url(), restis.token()];
        in_a_browser("console_hostile.mjs", &restis, &args);
    }
}

#[test]
fn the_console_stays_responsive_in_front_of_a_large_store() {
    if has_browser() {
        let restis = Restis::start(&ANY_PORTS);
        let args = [restis.url(), restis.token(), restis.exported("REDIS_URL")];
        in_a_browser("console_large.mjs", &restis, &args);
    }
}

/// A webhook's receiver that wants no more.
fn refuse(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut length = None;
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap_or(0);
        head.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if let Some((fields, body)) = text.split_once("\r\n\r\n") {
            let field = fields
                .lines()
                .find_map(|l| l.strip_prefix("content-length: "));
            length = length.or_else(|| field?.trim().parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        if read == 0 {
            return;
        }
    }
    let _ =
        stream.write_all(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}
