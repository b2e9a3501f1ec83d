//! `restis dev`: what it keeps in `.restis/` across restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![cfg(unix)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use support::{Restis, binary, tool};

const NAMES: [&str; 4] = [
    "UPSTASH_REDIS_REST_TOKEN",
    "RESTIS_SERVICE_TOKEN",
    "SESSION_SECRETS",
    "EVENTS_GRANT_SECRETS",
];

/// A working directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("restis-dev-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn command(&self) -> Command {
        let mut command = binary();
        command.current_dir(&self.0);
        command.args(["dev", "--addr", "127.0.0.1:0", "--resp", "127.0.0.1:0"]);
        command
    }

    fn start(&self) -> Restis {
        Restis::start_by(self.command().args(["--functions-addr", "127.0.0.1:0"]))
    }

    fn fail(&self) -> Output {
        let output = self
            .command()
            .args(["--functions-addr", "127.0.0.1:0"])
            .output();
        output.unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn curl(args: &[&str]) -> String {
    let output = Command::new("curl").arg("-s").args(args).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn call(restis: &Restis, path: &str) -> String {
    let token = format!("Authorization: Bearer {}", restis.token());
    curl(&["-H", &token, &format!("{}/{path}", restis.url())])
}

#[test]
fn secrets_data_and_sessions_survive_a_restart() {
    if !tool("curl") {
        return;
    }
    let dir = Dir::new("restart");
    let restis = dir.start();
    let secrets = NAMES.map(|name| restis.exported(name));
    assert_eq!(call(&restis, "set/k/v"), r#"{"result":"OK"}"#);
    let sessions = |restis: &Restis, rest: &[&str]| {
        let token = format!(
            "Authorization: Bearer {}",
            restis.exported("RESTIS_SERVICE_TOKEN")
        );
        let url = format!("{}/api/sessions", restis.exported("API_URL"));
        curl(
            &[
                &[
                    "-i",
                    "-H",
                    &token,
                    "-H",
                    "Content-Type: application/json",
                    &url,
                ],
                rest,
            ]
            .concat(),
        )
    };
    let made = sessions(&restis, &["-d", r#"{"user":"alice"}"#]);
    let cookie = made
        .lines()
        .find(|line| line.to_lowercase().starts_with("set-cookie:"))
        .expect(&made);
    let cookie = cookie
        .split_once(": ")
        .unwrap()
        .1
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    restis.signal("TERM");
    assert_eq!(restis.wait().0, Some(0));

    let restis = dir.start();
    assert_eq!(NAMES.map(|name| restis.exported(name)), secrets);
    assert_eq!(call(&restis, "get/k"), r#"{"result":"v"}"#);
    let cookie = format!("Cookie: {cookie}");
    let url = format!("{}/api/session", restis.exported("API_URL"));
    let session = curl(&["-H", &cookie, &url]);
    assert!(session.contains("alice"), "{session}");
}

#[test]
fn what_is_kept_is_private_and_out_of_git() {
    let dir = Dir::new("private");
    let restis = dir.start();
    let kept = dir.0.join(".restis");
    assert_eq!(
        std::fs::read_to_string(kept.join(".gitignore")).unwrap(),
        "*\n"
    );
    let mode = |path: &PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&kept), 0o700);
    let mut files = 0;
    for place in [kept.clone(), kept.join("data")] {
        for entry in std::fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files >= 4, "{files}");
    drop(restis);
    // Who made it readable for others by mistake is corrected.
    let secrets = kept.join("secrets.json");
    std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _restis = dir.start();
    assert_eq!(mode(&secrets), 0o600);
}

#[test]
fn a_second_one_in_the_same_directory_says_so() {
    let dir = Dir::new("second");
    let first = dir.start();
    let output = dir.fail();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        error,
        "restis: another `restis dev` runs in this directory and uses .restis; stop it, or start this one with --ephemeral\n"
    );
    let args = ["--functions-addr", "127.0.0.1:0", "--ephemeral"];
    let second = Restis::start_by(dir.command().args(args));
    assert_ne!(first.token(), second.token());
}

#[test]
fn an_ephemeral_one_keeps_nothing() {
    let dir = Dir::new("ephemeral");
    let args = ["--functions-addr", "127.0.0.1:0", "--ephemeral"];
    let first = Restis::start_by(dir.command().args(args)).token();
    let second = Restis::start_by(dir.command().args(args)).token();
    assert_ne!(first, second);
    assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 0);
}

#[test]
fn secrets_that_cannot_be_used_are_named_and_not_shown() {
    let dir = Dir::new("broken");
    drop(dir.start());
    let path = dir.0.join(".restis/secrets.json");
    let sound = std::fs::read_to_string(&path).unwrap();
    for broken in [
        sound.replacen("token", "tokne", 1),
        sound[..sound.len() / 2].to_owned(),
        r#"{"token":"hunter2","service_token":"","session_secret":"","grant_secret":""}"#
            .to_owned(),
        String::new(),
    ] {
        std::fs::write(&path, &broken).unwrap();
        let output = dir.fail();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains(".restis/secrets.json") && error.contains("remove the file"),
            "{error}"
        );
        let secret = sound.split('"').nth(3).unwrap();
        assert!(
            !error.contains("hunter2") && !error.contains(secret),
            "{error}"
        );
    }
}

#[test]
fn secrets_of_the_environment_stay_there() {
    let dir = Dir::new("environment");
    let restis = Restis::start_by(
        dir.command()
            .args(["--functions-addr", "127.0.0.1:0"])
            .env("SESSION_SECRETS", "s".repeat(40))
            .env("EVENTS_GRANT_SECRETS", "g".repeat(40))
            .env("RESTIS_SERVICE_TOKEN", "t".repeat(40)),
    );
    for letter in ["sss", "ggg", "ttt"] {
        assert!(!restis.banner.contains(letter), "{}", restis.banner);
    }
    for name in &NAMES[2..] {
        assert!(
            !restis.banner.contains(&format!("{name}=")),
            "{}",
            restis.banner
        );
    }
}

#[test]
fn functions_take_the_next_port_that_is_free() {
    let dirs = [Dir::new("port-0"), Dir::new("port-1")];
    let both = dirs
        .each_ref()
        .map(|dir| Restis::start_by(&mut dir.command()));
    let ports = both.each_ref().map(|restis| {
        let url = restis.exported("API_URL");
        url.rsplit(':').next().unwrap().parse::<u16>().unwrap()
    });
    assert_ne!(ports[0], ports[1]);
    assert!(!ports.contains(&3000));
}
