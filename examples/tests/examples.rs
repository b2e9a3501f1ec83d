//! Every example runs against a server and prints what its reader expects.

use std::path::PathBuf;
use std::process::Command;

use restis_server::Server;

/// Where Cargo puts built examples, beside the folder of this test.
fn built(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    path.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn run(name: &str) -> String {
    let server = Server::builder().token("TOKEN").threads(1);
    let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
    let output = Command::new(built(name))
        .env("UPSTASH_REDIS_REST_URL", server.url())
        .env("UPSTASH_REDIS_REST_TOKEN", "TOKEN")
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn quickstart() {
    assert_eq!(
        run("quickstart"),
        "greeting: hello\nuser: Ada with 1 visit\nmissing: None\ndeleted: 2\n"
    );
}

#[test]
fn pipeline() {
    assert_eq!(
        run("pipeline"),
        "together: 1, 2\ncount: 3\nwrong type: true\nlength: 2\nleft: 0\nall: a b\n"
    );
}

#[test]
fn script() {
    assert_eq!(
        run("script"),
        "took 3, 2 left\nnot enough for 3\ntook 2, 0 left\n"
    );
}

#[test]
fn scan() {
    assert_eq!(run("scan"), "keys: 250\ndeleted: 250\n");
}

#[test]
fn pubsub() {
    assert_eq!(
        run("pubsub"),
        "subscribed to example:news\nexample:news: hello\n"
    );
}

#[test]
fn ratelimit() {
    let text = run("ratelimit");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[2], "request 3: allowed, 0 left");
    assert!(
        lines[3].starts_with("request 4: refused, again in "),
        "{text}"
    );
}

#[test]
fn cache() {
    assert_eq!(
        run("cache"),
        "loading\nLoaded: [3, 1, 4]\nFresh: [3, 1, 4]\nafter the invalidation: None\n"
    );
}

#[test]
fn session() {
    let text = run("session");
    assert!(text.contains("version: 2"), "{text}");
    assert!(text.ends_with("after sign-out: Gone\n"), "{text}");
}

#[test]
fn events() {
    assert_eq!(run("events"), "events: 2\n");
}
