//! What a person sees: banner, curl lines, signals, exit codes, help.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use support::{Restis, binary, run, tool};

#[test]
fn the_printed_curl_lines_work_as_printed() {
    if !tool("curl") {
        return;
    }
    let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0"]);
    assert!(
        !restis.banner.contains('\x1b'),
        "no colours without a terminal"
    );
    assert!(restis.banner.lines().count() <= 24, "{}", restis.banner);
    let lines: Vec<&str> = restis
        .banner
        .lines()
        .filter(|line| line.starts_with("curl "))
        .collect();
    let answers: Vec<String> = lines
        .iter()
        .map(|line| {
            let output = Command::new("sh")
                .args(["-c", &format!("{line} -s")])
                .output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        })
        .collect();
    assert_eq!(
        answers,
        [
            r#"{"result":"OK"}"#,
            r#"{"result":"hello"}"#,
            r#"[{"result":1},{"result":2}]"#
        ]
    );
}

#[cfg(unix)]
#[test]
fn connections_are_not_held_to_the_default_limit_of_files() {
    let restis = binary();
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "ulimit -Sn 64 && exec \"$0\" serve --addr 127.0.0.1:0 --token t",
        ])
        .arg(restis.get_program());
    let restis = Restis::start_by(&mut shell);
    let url = restis.url();
    let addr = url.strip_prefix("http://").unwrap();
    let request = b"GET /ping HTTP/1.1\r\nhost: t\r\nauthorization: Bearer t\r\n\r\n";
    let mut open = Vec::new();
    for _ in 0..150 {
        let mut connection = TcpStream::connect(addr).unwrap();
        connection
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        connection.write_all(request).unwrap();
        let mut status = [0; 15];
        connection.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK");
        open.push(connection);
    }
}

#[test]
fn signals_stop_cleanly() {
    for signal in ["TERM", "INT"] {
        let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0", "--threads", "2"]);
        restis.signal(signal);
        assert_eq!(restis.wait(), (Some(0), String::new()), "{signal}");
    }
}

#[test]
fn a_taken_port_is_one_sentence_that_names_its_option() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for (command, option) in [
        (&["serve", "--addr", &addr][..], "--addr"),
        (&["dev", "--ephemeral", "--addr", &addr], "--addr"),
        (
            &[
                "dev",
                "--ephemeral",
                "--addr",
                "127.0.0.1:0",
                "--functions-addr",
                &addr,
            ],
            "--functions-addr",
        ),
    ] {
        let output = run(command);
        assert_eq!(output.status.code(), Some(3));
        let expected =
            format!("restis: {addr} is taken by another program; choose another with {option}\n");
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_help_of_a_command_lists_only_what_it_accepts() {
    for (command, has) in [
        (&["dev", "--help"][..], false),
        (&["--help"], false),
        (&["serve", "--help"], true),
    ] {
        let help = String::from_utf8(run(command).stdout).unwrap();
        assert!(help.contains("--addr"), "{help}");
        for option in ["--tls-cert <", "--tls-key <"] {
            assert_eq!(help.contains(option), has, "{command:?}: {help}");
        }
    }
}

#[test]
fn mistakes_are_explained() {
    for (args, code, part) in [
        (
            &["serve", "--fault", "boom=1"][..],
            2,
            "unknown fault `boom`",
        ),
        (&["serve", "--threads", "0"], 2, "--threads"),
        (&["serve", "--addr", "8079"], 2, "HOST:PORT"),
        (&["serve", "--memory", "much"], 2, "256mb"),
        (&["serve", "--tls-cert", "x.pem"], 2, "--tls-key"),
        (
            &["serve", "--cors", "example.com", "--addr", "127.0.0.1:0"],
            2,
            "not an origin",
        ),
        (
            &["serve", "--token", "a,a", "--addr", "127.0.0.1:0"],
            1,
            "given twice",
        ),
        (
            &["serve", "--redis", "https://x.upstash.io"],
            1,
            "REST server",
        ),
        (
            &["serve", "--tenants", "/does/not/exist"],
            1,
            "/does/not/exist",
        ),
        (
            &["serve", "--read-only-token", "r", "--read-only-token", "s"],
            2,
            "full token",
        ),
        (&["bogus"], 2, "unrecognized subcommand"),
    ] {
        let output = run(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?} {error}");
        assert!(error.contains(part), "{args:?}: {error}");
    }
}

#[test]
fn a_database_without_a_redis_is_refused_beside_one() {
    let mut restis = binary();
    restis.args([
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--redis",
        "redis://127.0.0.1:1",
    ]);
    restis.env("RESTIS_TENANTS", r#"{"first-token":{"name":"first"}}"#);
    let output = restis.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("the database `first` has no `redis`"),
        "{error}"
    );
    assert!(!error.contains("first-token"), "{error}");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let variables = [
        "ADDR",
        "TOKEN",
        "READ_ONLY_TOKEN",
        "TENANTS",
        "REDIS",
        "THREADS",
        "MEMORY",
        "DATA",
        "CORS",
        "TLS_CERT",
        "TLS_KEY",
        "ADMIN_ADDR",
        "FAULT",
        "MAX_REQUEST",
        "MAX_RESPONSE",
        "MAX_PIPELINE",
        "LOG",
        "LOG_JSON",
    ];
    let mut restis = binary();
    restis.envs(variables.map(|name| (format!("RESTIS_{name}"), "")));
    // The only thing that is wrong is the file.
    let output = restis
        .args(["serve", "--tenants", "/does/not/exist"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("restis: /does/not/exist"), "{error}");
}

#[test]
fn help_has_examples_and_hides_secrets() {
    let help = run(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    for part in [
        "Examples:",
        "restis serve --redis",
        "Exit codes:",
        "UPSTASH_REDIS_REST_URL",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let help = support::binary()
        .args(["serve", "--help"])
        .env("RESTIS_TOKEN", "HUSH")
        .env("RESTIS_REDIS", "redis://:HUSH@h")
        .output()
        .unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("--fault") && text.contains("redis-sentinel://"));
    assert!(!text.contains("HUSH"), "{text}");
}

#[test]
fn quiet_prints_nothing() {
    let mut child = support::binary()
        .args(["serve", "--quiet", "--addr", "127.0.0.1:0", "--token", "t"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty());
}

#[test]
fn dev_serves_the_store_and_the_functions() {
    if !tool("curl") {
        return;
    }
    let restis = Restis::start(&[
        "dev",
        "--ephemeral",
        "--addr",
        "127.0.0.1:0",
        "--functions-addr",
        "127.0.0.1:0",
    ]);
    let lines: Vec<&str> = restis
        .banner
        .lines()
        .filter(|line| line.starts_with("curl "))
        .collect();
    assert!(lines.len() >= 4, "{}", restis.banner);
    for line in lines.iter().filter(|line| !line.contains("/api/ratelimit")) {
        let output = Command::new("sh")
            .args(["-c", &format!("{line} -s -f")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}");
    }
    restis.signal("TERM");
    assert_eq!(restis.wait(), (Some(0), String::new()));
}

#[cfg(unix)]
#[test]
fn a_server_serves_while_it_drains_and_a_second_signal_ends_that() {
    let restis = Restis::start(&[
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--token",
        "t",
        "--drain",
        "3600",
    ]);
    let addr = restis.url().strip_prefix("http://").unwrap().to_owned();
    restis.signal("TERM");
    // Without draining the first of these would find no server.
    for _ in 0..20 {
        let mut stream = TcpStream::connect(&addr).unwrap();
        write!(
            stream,
            "GET /ping HTTP/1.1\r\nhost: a\r\nauthorization: Bearer t\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(r#"{"result":"PONG"}"#), "{answer}");
        std::thread::sleep(Duration::from_millis(10));
    }
    restis.signal("TERM");
    assert_eq!(restis.wait().0, Some(0));
}

#[test]
fn the_access_log_tells_commands_and_no_values() {
    let mut child = support::binary()
        .args([
            "serve",
            "--addr",
            "127.0.0.1:0",
            "--token",
            "SECRET-TOKEN",
            "--log",
            "access",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut banner = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let url = loop {
        line.clear();
        std::io::BufRead::read_line(&mut banner, &mut line).unwrap();
        if let Some(rest) = line.split("REST_URL=").nth(1) {
            break rest.split(' ').next().unwrap().to_owned();
        }
    };
    let many: Vec<String> = (0..20).map(|n| format!("[\"NAME{n}\"]")).collect();
    let many = format!("[{}]", many.join(","));
    if tool("curl") {
        for (path, body) in [
            ("/set/key-1/value-2?EX=777777777", ""),
            ("/", r#"["SET","key-1","value-2"]"#),
            (
                "/pipeline",
                r#"[["SET","key-1","value-2"],["get","key-1"],["SET","key-1","value-2"],[]]"#,
            ),
            (
                "/multi-exec",
                r#"[["INCR","key-2"],["no name: value-2","value-2"]]"#,
            ),
            ("/pipeline", &many),
            ("/get/key-1?_token=SECRET-TOKEN", ""),
        ] {
            let status = Command::new("curl")
                .args([
                    "-s",
                    "-o",
                    "/dev/null",
                    "-d",
                    body,
                    "-H",
                    "Authorization: Bearer SECRET-TOKEN",
                    "-H",
                    "X-Request-Id: request-7",
                ])
                .arg(format!("{url}{path}"))
                .status();
            assert!(status.unwrap().success());
        }
    }
    support::signal("TERM", child.id());
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(log.lines().count(), 6, "{log}");
    for told in [
        r#"kind="command" command="SET" commands=1"#,
        r#"kind="pipeline" command="SET GET ?" commands=4"#,
        r#"kind="transaction" command="INCR ?" commands=2"#,
        r#"command="NAME0 NAME1 NAME2 NAME3 NAME4 NAME5 NAME6 NAME7 ..." commands=20"#,
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    for line in log.lines() {
        assert!(line.contains(r#"database="db0" id="request-7""#), "{line}");
    }
    // Longer than the fraction of a time, which is digits too.
    for secret in ["key-1", "value-2", "SECRET", "777777777"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_utf8_is_named() {
    let value = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"a text \xff\xff");
    for (command, name) in [
        (&["serve", "--addr", "127.0.0.1:0"][..], "RESTIS_TOKEN"),
        (&["serve", "--addr", "127.0.0.1:0"], "RESTIS_MEMORY"),
        (
            &["token", "new", "--name", "web", "--scope", "session"],
            "RESTIS_SERVICE_TOKENS",
        ),
        (
            &[
                "dev",
                "--ephemeral",
                "--addr",
                "127.0.0.1:0",
                "--functions-addr",
                "127.0.0.1:0",
            ],
            "SESSION_SECRETS",
        ),
        (
            &[
                "dev",
                "--ephemeral",
                "--addr",
                "127.0.0.1:0",
                "--functions-addr",
                "127.0.0.1:0",
            ],
            "RESTIS_SERVICE_TOKEN",
        ),
    ] {
        let output = support::binary()
            .args(command)
            .env(name, value)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(
            said.contains(&format!("{name}: is not UTF-8")),
            "{name}: {said}"
        );
    }
}

#[test]
fn tokens_of_the_environment_are_not_printed() {
    let output = |tokens: &str| {
        let mut child = support::binary()
            .args([
                "dev",
                "--ephemeral",
                "--addr",
                "127.0.0.1:0",
                "--functions-addr",
                "127.0.0.1:0",
            ])
            .env("RESTIS_TOKEN", tokens)
            .env("RESTIS_SERVICE_TOKEN", "HUSH-HUSH-HUSH-HUSH")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.ends_with("Ctrl-C stops.\n") {
            assert!(std::io::BufRead::read_line(&mut reader, &mut banner).unwrap() > 0);
        }
        let line = banner.lines().find(|line| line.contains("/get/greeting"));
        let got = Command::new("sh")
            .args(["-c", &format!("{} -s", line.unwrap())])
            .env("RESTIS_TOKEN", tokens)
            .output()
            .unwrap();
        support::signal("TERM", child.id());
        child.wait().unwrap();
        (banner, String::from_utf8(got.stdout).unwrap())
    };
    if !tool("curl") {
        return;
    }
    for tokens in ["HUSH", "HUSH,HUSH2"] {
        let (banner, got) = output(tokens);
        assert!(!banner.contains("HUSH"), "{banner}");
        assert_eq!(got, r#"{"result":null}"#);
    }
}
