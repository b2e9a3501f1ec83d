//! Hostile requests of one tenant against the built server: another one is served meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::Restis;

/// The longest that another tenant may wait, and how often a machine that is busy with other
/// tests may try.
const PATIENCE: Duration = Duration::from_millis(50);
const TRIES: usize = 5;
/// Megabytes that the server has at most: two databases, their interpreters, what is in flight.
const MOST_MEMORY: u64 = 2_000;
/// Seconds that a request may run, and what else it may need.
const LIMIT: &str = "2";
const SLACK: Duration = Duration::from_secs(20);

struct Tenants {
    addr: String,
    /// The server.
    process: u32,
    /// What another tenant waits at most.
    patience: Duration,
}

impl Tenants {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// Sends bytes as they are and reads until the server closes.
    fn raw(&self, bytes: &[u8]) -> String {
        Self::exchange(self.connect(), bytes)
    }

    fn exchange(mut stream: TcpStream, bytes: &[u8]) -> String {
        // A server that refuses may close before all of it is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn post(&self, token: &str, target: &str, body: &str) -> String {
        self.raw(&Self::request(token, target, body))
    }

    fn request(token: &str, target: &str, body: &str) -> Vec<u8> {
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body.as_bytes()].concat()
    }

    fn hostile(&self, args: &[&str]) -> String {
        self.post("A", "/", &serde_json::to_string(args).unwrap())
    }

    /// The longest PING of another tenant while `hostile` runs; one at least.
    fn worst_ping<R: Send>(&self, hostile: impl FnOnce() -> R + Send) -> (Duration, R) {
        let mut stream = self.connect();
        std::thread::scope(|scope| {
            let hostile = scope.spawn(hostile);
            let mut worst = Duration::ZERO;
            loop {
                let last = hostile.is_finished();
                let started = Instant::now();
                stream
                    .write_all(b"GET /ping HTTP/1.1\r\nhost: t\r\nauthorization: Bearer B\r\n\r\n")
                    .unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"{\"result\":\"PONG\"}") {
                    let mut piece = [0; 1024];
                    let read = stream.read(&mut piece).unwrap();
                    assert!(read > 0, "another tenant gets no answer");
                    answer.extend_from_slice(&piece[..read]);
                }
                worst = worst.max(started.elapsed());
                if last {
                    return (worst, hostile.join().unwrap());
                }
            }
        })
    }

    /// Runs `hostile` and asserts that another tenant is served meanwhile.
    fn beside<R: Send>(&self, label: &str, hostile: impl Fn() -> R + Sync) -> R {
        let mut worst = Duration::MAX;
        for _ in 0..TRIES {
            let (waited, result) = self.worst_ping(&hostile);
            if waited <= self.patience {
                return result;
            }
            worst = worst.min(waited);
        }
        panic!("{label}: another tenant waits {worst:?}");
    }
}

/// Commands of one tenant: each is answered, with an error or not, within the limit.
fn commands() -> Vec<Vec<String>> {
    let row = |args: &[&str]| args.iter().map(ToString::to_string).collect::<Vec<_>>();
    let script = |text: &str| row(&["EVAL", text, "0"]);
    let deep = "[".repeat(50_000) + &"]".repeat(50_000);
    let stars = "a*".repeat(200) + "b";
    let long = "a".repeat(30_000);
    vec![
        script("while true do end"),
        script("local t = {} while true do t[#t + 1] = string.rep('x', 100000) end"),
        script("return string.find(string.rep('a', 50000), string.rep('a?', 50000) .. 'b')"),
        script("return string.rep('x', 2^31)"),
        script("return #{unpack({}, -2147483648, 2147483647)}"),
        script(
            "local t = {} for i = 1, 2000 do t[i] = string.rep('x', 1e7) end return cjson.encode(t)",
        ),
        script("local function f() return f() + 1 end return f()"),
        script("pcall(function() while true do end end) while true do end"),
        script("while true do pcall(error) end"),
        script(&format!(
            "local s = string.rep('\\0', 3e7) local a, b = s .. 'x', s .. 'y' while true do {} end",
            "local _ = a < b ".repeat(20)
        )),
        script(
            "local a, b local c = coroutine.wrap(function() while true do local _ = a < b end end) \
             a = string.rep('\\0', 3e7) b = a .. 'y' c()",
        ),
        script(
            "redis.call('SETRANGE', 'bits', 1e7, 'x') while true do redis.call('BITCOUNT', 'bits') end",
        ),
        script("while true do redis.call('BITPOS', 'bits', 1) redis.call('BITCOUNT', 'bits') end"),
        row(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=keeps\nlocal t = {} for i = 1, 1e9 do t[i] = i .. 'x' end \
             redis.register_function('f', function() return #t end)",
        ]),
        script("local _, t = pairs(redis) t.call = nil return 1"),
        row(&["EVAL_RO", "while true do redis.call('GET', 'k') end", "0"]),
        row(&["JSON.SET", "deep", "$", &deep]),
        row(&["JSON.GET", "doc", "$..[?(@..[?(@..a)])]"]),
        row(&["KEYS", &stars]),
        row(&["SCAN", "0", "MATCH", &stars, "COUNT", "1000000"]),
        row(&[
            "SEARCH.CREATE",
            "i",
            "ON",
            "HASH",
            "PREFIX",
            "1",
            "h:",
            "SCHEMA",
            "x",
            "TEXT",
        ]),
        row(&["SEARCH.QUERY", "i", &format!("{{\"x\":\"{long}\"}}")]),
        row(&["ACL", "SETUSER", "eve", "on", &format!("~{stars}"), "+@all"]),
        row(&["ACL", "GENPASS", "9223372036854775807"]),
        row(&["SETRANGE", "big", "536870911", "x"]),
        row(&["GET", "big"]),
        row(&["BITFIELD", "big", "SET", "u8", "4294967295", "1"]),
        row(&["BITCOUNT", "big"]),
        row(&["SORT", "list", "BY", &stars, "GET", &stars]),
        row(&["LRANGE", "list", "0", "-1"]),
        row(&["DEL", "bits", "big", "doc", "list"]),
    ]
}

/// Requests that are no commands, with the start of what answers them.
///
/// The HTTP library answers what is no request with the bare status, the API everything else.
fn requests() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let auth = "authorization: Bearer A\r\n";
    let headers = "x: y\r\n".repeat(150);
    vec![
        (
            "a path of 70 KB",
            format!("GET /set/k/{} HTTP/1.1\r\n{auth}\r\n", "x".repeat(70_000)).into_bytes(),
            "HTTP/1.1 414",
        ),
        (
            "150 headers",
            format!("GET /ping HTTP/1.1\r\n{auth}{headers}\r\n").into_bytes(),
            "HTTP/1.1 431",
        ),
        (
            "a head of 1 MB",
            format!(
                "GET /ping HTTP/1.1\r\n{auth}x: {}\r\n\r\n",
                "x".repeat(1 << 20)
            )
            .into_bytes(),
            "HTTP/1.1 431",
        ),
        (
            "two lengths",
            format!(
                "POST / HTTP/1.1\r\n{auth}content-length: 8\r\ncontent-length: 9\r\n\r\n[\"PING\"]"
            )
            .into_bytes(),
            "HTTP/1.1 400",
        ),
        (
            "a space in the path",
            format!("GET /set/a b/c HTTP/1.1\r\n{auth}\r\n").into_bytes(),
            "HTTP/1.1 400",
        ),
        (
            "no HTTP",
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n".to_vec(),
            "HTTP/1.1 400",
        ),
        (
            "a length beyond the limit",
            format!(
                "POST / HTTP/1.1\r\n{auth}content-length: 99999999999\r\nconnection: close\r\n\r\n"
            )
            .into_bytes(),
            "HTTP/1.1 400",
        ),
        (
            "a body beyond the limit",
            format!(
                "POST / HTTP/1.1\r\n{auth}content-length: 20000000\r\nconnection: close\r\n\r\n{}",
                "x".repeat(20_000_000)
            )
            .into_bytes(),
            "HTTP/1.1 400",
        ),
    ]
}

/// Where the Redis protocol is spoken.
fn redis_address(restis: &Restis) -> String {
    let url = restis.exported("REDIS_URL");
    url.rsplit_once('@').unwrap().1.to_owned()
}

/// A command of the Redis protocol.
fn resp(args: &[&str]) -> Vec<u8> {
    let each = |arg: &&str| format!("${}\r\n{arg}\r\n", arg.len());
    let args: (usize, String) = (args.len(), args.iter().map(each).collect());
    format!("*{}\r\n{}", args.0, args.1).into_bytes()
}

/// Connections of one tenant that hold what they can, at both doors, without reading or ending.
fn hold_much(tenants: &Tenants, redis: &str) {
    let many = |label: &str, addr: &str, bytes: &[u8]| {
        let held: Vec<TcpStream> = tenants.beside(label, || {
            let open = || {
                let mut stream = TcpStream::connect(addr).unwrap();
                let soon = Some(Duration::from_millis(500));
                stream.set_write_timeout(soon).unwrap();
                // A server that refuses, or does not read on.
                let _ = stream.write_all(bytes);
                stream
            };
            (0..8).map(|_| open()).collect()
        });
        let now = format!("/proc/{}/status", tenants.process);
        let status = std::fs::read_to_string(now).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        let peak = peak.unwrap_or(0) >> 10;
        assert!(peak < MOST_MEMORY, "{label}: {peak} MB");
        drop(held);
    };
    let auth = resp(&["AUTH", "A"]);
    let get = resp(&["GET", "half"]).repeat(1000);
    let large = "x".repeat(20_000_000);
    let queued = resp(&["SET", "k", &large[..5_000_000]]).repeat(4);
    many("commands unread", redis, &[&auth[..], &get].concat());
    let begun = format!("*2\r\n$3\r\nGET\r\n$500000000\r\n{large}");
    many(
        "a command begun",
        redis,
        &[&auth[..], begun.as_bytes()].concat(),
    );
    let multi = [auth, resp(&["MULTI"]), queued].concat();
    many("a transaction begun", redis, &multi);
    let get = "GET /get/half HTTP/1.1\r\nhost: t\r\nauthorization: Bearer A\r\n\r\n".repeat(100);
    many("answers unread", &tenants.addr, get.as_bytes());
}

#[test]
fn no_request_of_one_tenant_keeps_another_waiting() {
    let restis = Restis::start(&[
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--token",
        "A",
        "--token",
        "B",
        "--fault",
        "off",
        "--max-time",
        LIMIT,
        "--memory",
        "256mb",
        "--resp",
        "127.0.0.1:0",
    ]);
    let url = restis.url();
    let mut tenants = Tenants {
        addr: url.trim_start_matches("http://").to_owned(),
        process: restis.id(),
        patience: PATIENCE,
    };
    // An unoptimized build on a busy machine is not measured by the clock alone.
    let (idle, ()) = tenants.worst_ping(|| {
        for _ in 0..100 {
            tenants.hostile(&["PING"]);
        }
    });
    if cfg!(debug_assertions) {
        tenants.patience = PATIENCE.max(idle * 5);
    }
    let fill: Vec<Vec<String>> = (0..2_000)
        .map(|n| {
            vec![
                "RPUSH".into(),
                "list".into(),
                format!("{n}{}", "x".repeat(50)),
            ]
        })
        .chain(
            (0..2_000).map(|n| vec!["SET".into(), format!("{}{n}", "a".repeat(100)), "v".into()]),
        )
        .chain([vec![
            "JSON.SET".to_owned(),
            "doc".to_owned(),
            "$".to_owned(),
            format!("[{}1]", "{\"a\":[1,2,3]},".repeat(2_000)),
        ]])
        .collect();
    tenants.post("A", "/pipeline", &serde_json::to_string(&fill).unwrap());
    for command in commands() {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        let label: String = args.join(" ").chars().take(80).collect();
        tenants.beside(&label, || {
            let started = Instant::now();
            let answer = tenants.hostile(&args);
            assert!(answer.starts_with("HTTP/1.1 "), "{label}: no answer");
            let took = started.elapsed();
            assert!(took < SLACK, "{label}: {took:?}");
        });
    }
    let endless = vec![["EVAL", "while true do end", "0"]; 5];
    let endless = serde_json::to_string(&endless).unwrap();
    let copies = serde_json::to_string(&vec![["GET", "half"]; 400]).unwrap();
    tenants.post("A", "/set/half", &"x".repeat(5_000_000));
    for (target, body) in [
        ("/pipeline", &endless),
        ("/multi-exec", &endless),
        ("/pipeline", &copies),
        ("/multi-exec", &copies),
    ] {
        let answer = tenants.beside(target, || tenants.post("A", target, body));
        assert!(answer.starts_with("HTTP/1.1 200"), "{target}");
    }
    for (label, bytes, start) in requests() {
        let answer = tenants.beside(label, || tenants.raw(&bytes));
        let shown: String = answer.chars().take(60).collect();
        assert!(answer.starts_with(start), "{label}: {shown}");
        if label.ends_with("beyond the limit") {
            assert!(answer.contains("max request size exceeded"), "{label}");
        }
    }
    let panic = "POST /ping HTTP/1.1\r\nauthorization: Bearer A\r\nrestis-fault: panic=100%\r\nconnection: close\r\n\r\n";
    let answer = tenants.beside("a panic", || tenants.raw(panic.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 500"));
    let unfinished: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = tenants.connect();
            let _ = stream
                .write_all(format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(100_000)).as_bytes());
            stream
        })
        .collect();
    tenants.beside("unfinished heads", || ());
    drop(unfinished);
    hold_much(&tenants, &redis_address(&restis));
    let script = r#"["EVAL","while true do end","0"]"#;
    let busy = tenants.connect();
    std::thread::scope(|scope| {
        scope.spawn(|| Tenants::exchange(busy, &Tenants::request("A", "/", script)));
        tenants.worst_ping(|| ());
        restis.signal("TERM");
    });
    assert_eq!(restis.wait().0, Some(0), "it ends as always");
}

#[test]
fn a_value_beyond_the_memory_of_a_database_is_refused() {
    let serve = ["serve", "--addr", "127.0.0.1:0", "--token", "A"];
    let restis = Restis::start(&[&serve[..], &["--memory", "1mb"]].concat());
    let url = restis.url();
    let tenants = Tenants {
        addr: url.trim_start_matches("http://").to_owned(),
        process: restis.id(),
        patience: PATIENCE,
    };
    let oom = r#"{"error":"OOM command not allowed when used memory > 'maxmemory'."}"#;
    let large = "x".repeat(1_500_000);
    for answer in [
        tenants.hostile(&["SET", "k", &large]),
        tenants.post("A", "/set/k", &large),
        tenants.hostile(&[
            "EVAL",
            "return redis.call('SET', 'k', ARGV[1])",
            "0",
            &large,
        ]),
    ] {
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("OOM command not allowed"), "{answer}");
    }
    assert!(tenants.hostile(&["SET", "k", &large]).ends_with(oom));
    // The process lives, nothing was kept, and smaller values have their place.
    let small = "x".repeat(500_000);
    for (args, result) in [
        (&["DBSIZE"][..], r#"{"result":0}"#),
        (&["SET", "k", &small], r#"{"result":"OK"}"#),
        (&["STRLEN", "k"], r#"{"result":500000}"#),
    ] {
        let answer = tenants.hostile(args);
        assert!(answer.ends_with(result), "{answer}");
    }
}
