//! Databases behind the REST API, and keys of every type in them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests share it in parts"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use restis::{Redis, Reply};

use super::{Restis, binary};

/// A directory that ends with the test.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path =
            std::env::temp_dir().join(format!("restis-transfer-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A database behind the REST API.
pub(crate) struct Store {
    pub(crate) restis: Restis,
    /// What is behind it, if anything is.
    behind: Vec<Child>,
    directory: Option<Directory>,
}

impl Store {
    pub(crate) fn engine() -> Self {
        let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0", "--token", "t"]);
        Self {
            restis,
            behind: Vec::new(),
            directory: None,
        }
    }

    /// A real Redis behind `restis serve`.
    pub(crate) fn redis() -> Option<Self> {
        if !super::tool("redis-server") {
            return None;
        }
        let directory = Directory::new();
        let socket = directory.file("redis.sock");
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "900 1",
                "--unixsocket",
                &socket,
                "--dir",
                &directory.file(""),
            ])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !std::path::Path::new(&socket).exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let url = format!("unix://{socket}");
        let restis = Restis::start(&[
            "serve",
            "--addr",
            "127.0.0.1:0",
            "--token",
            "t",
            "--redis",
            &url,
        ]);
        Some(Self {
            restis,
            behind: vec![child],
            directory: Some(directory),
        })
    }

    /// A Redis Cluster of three nodes behind `restis serve`.
    pub(crate) fn cluster() -> Option<Self> {
        if !super::tool("redis-server") || !super::tool("redis-cli") {
            return None;
        }
        let directory = Directory::new();
        let mut behind = Vec::new();
        let mut nodes = Vec::new();
        while nodes.len() < 3 {
            let port = cluster_port();
            let node = Command::new("redis-server")
                .args([
                    "--port",
                    &port.to_string(),
                    "--save",
                    "",
                    "--cluster-enabled",
                    "yes",
                ])
                .args(["--cluster-config-file", &format!("nodes-{port}.conf")])
                .args(["--dir", &directory.file("")])
                .stdout(Stdio::null())
                .spawn();
            behind.push(node.unwrap());
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                std::thread::sleep(Duration::from_millis(5));
            }
            nodes.push(format!("127.0.0.1:{port}"));
        }
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&nodes)
            .arg("--cluster-yes")
            .output()
            .unwrap();
        assert!(created.status.success(), "{created:?}");
        let url = format!("redis-cluster://{}", nodes.join(","));
        let serve = [
            "serve",
            "--addr",
            "127.0.0.1:0",
            "--token",
            "t",
            "--redis",
            &url,
        ];
        Some(Self {
            restis: Restis::start(&serve),
            behind,
            directory: Some(directory),
        })
    }

    /// Ends the Redis behind as its operator would; its directory.
    pub(crate) fn stop_redis(&mut self) -> Directory {
        let mut child = self.behind.pop().unwrap();
        super::signal("TERM", child.id());
        assert!(child.wait().unwrap().success());
        self.directory.take().unwrap()
    }

    pub(crate) fn client(&self) -> Redis {
        let builder = Redis::builder(self.restis.url(), "t");
        builder.timeout(Duration::from_secs(60)).build().unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command
            .args(args)
            .args(["--url", &self.restis.url(), "--token", "t"]);
        command.env("RESTIS_ENV_FILES", "false");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn succeeds(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        said
    }

    #[track_caller]
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        said
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        for child in &mut self.behind {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) async fn run(redis: &Redis, args: &[&[u8]]) -> Reply {
    let name = String::from_utf8(args[0].to_vec()).unwrap();
    redis
        .command(&name)
        .args(args[1..].iter().copied())
        .query()
        .await
        .unwrap()
}

/// In a day.
pub(crate) fn tomorrow() -> u64 {
    restis::Clock::now_ms(&restis::SystemClock::new()) + 86_400_123
}

/// Keys of every type that Redis 7 has.
pub(crate) async fn fill(redis: &Redis, keys: usize) {
    let at = tomorrow();
    let binary: Vec<u8> = (0..=255).collect();
    let long = vec![b'x'; 700_000];
    run(redis, &[b"SET", b"text", b"hello"]).await;
    run(redis, &[b"SET", b"empty", b""]).await;
    run(
        redis,
        &[b"SET", b"ends", b"1", b"PXAT", at.to_string().as_bytes()],
    )
    .await;
    run(redis, &[b"SET", &binary, &binary]).await;
    run(redis, &[b"SET", b"100%41", b"%41"]).await;
    run(redis, &[b"SET", b"long", &long]).await;
    let mut odd = long.clone();
    odd[650_000] = 0xff;
    run(redis, &[b"SET", b"long binary", &odd]).await;
    run(redis, &[b"PFADD", b"hll", b"a", b"b"]).await;
    run(redis, &[b"RPUSH", b"list", b"a", b"b", b"a"]).await;
    run(redis, &[b"RPUSH", &[0xff, b'l'], b"text"]).await;
    run(redis, &[b"SADD", b"set", b"a", b"b"]).await;
    run(redis, &[b"SADD", b"numbers", b"1", b"2", b"3"]).await;
    run(redis, &[b"HSET", b"hash", b"f", b"v", b"empty", b""]).await;
    run(redis, &[b"SADD", b"binary members", &[0xfe], b"x"]).await;
    let scores: [&[u8]; 10] = [
        b"ZADD",
        b"zset",
        b"0.1",
        b"tenth",
        b"-inf",
        b"lowest",
        b"12345678901234567",
        b"large",
        b"inf",
        b"highest",
    ];
    run(redis, &scores).await;
    run(redis, &[b"PEXPIREAT", b"zset", at.to_string().as_bytes()]).await;
    run(
        redis,
        &[b"GEOADD", b"places", b"13.361389", b"38.115556", b"Palermo"],
    )
    .await;
    for id in ["1-1", "2-0", "2-1", "5-0"] {
        run(
            redis,
            &[
                b"XADD",
                b"stream",
                id.as_bytes(),
                b"field",
                b"value",
                b"f",
                b"",
            ],
        )
        .await;
    }
    run(redis, &[b"XADD", b"stream", b"9-9", b"gone", b""]).await;
    run(redis, &[b"XDEL", b"stream", b"9-9"]).await;
    run(redis, &[b"XGROUP", b"CREATE", b"stream", b"group", b"0"]).await;
    run(redis, &[b"XGROUP", b"CREATE", b"stream", b"other", b"2-0"]).await;
    run(
        redis,
        &[b"XGROUP", b"CREATECONSUMER", b"stream", b"other", b"idle"],
    )
    .await;
    run(
        redis,
        &[
            b"XREADGROUP",
            b"GROUP",
            b"group",
            b"me",
            b"COUNT",
            b"3",
            b"STREAMS",
            b"stream",
            b">",
        ],
    )
    .await;
    run(redis, &[b"XACK", b"stream", b"group", b"2-0"]).await;
    run(
        redis,
        &[
            b"XGROUP",
            b"CREATE",
            b"no entries",
            b"group",
            b"$",
            b"MKSTREAM",
        ],
    )
    .await;
    // More than one part each.
    for (command, key) in [("RPUSH", "long list"), ("SADD", "large set")] {
        for part in 0..4 {
            let mut args = vec![command.as_bytes().to_vec(), key.as_bytes().to_vec()];
            args.extend((0..800).map(|i| format!("item {}", part * 800 + i).into_bytes()));
            let args: Vec<&[u8]> = args.iter().map(|arg| &**arg).collect();
            run(redis, &args).await;
        }
    }
    for part in 0..4 {
        let mut hash = vec![b"HSET".to_vec(), b"large hash".to_vec()];
        let mut zset = vec![b"ZADD".to_vec(), b"large zset".to_vec()];
        for i in 0..700 {
            let n = part * 700 + i;
            hash.extend([format!("field {n}").into_bytes(), vec![b'v'; 300]]);
            zset.extend([
                format!("{n}.5").into_bytes(),
                format!("member {n}").into_bytes(),
            ]);
        }
        for args in [hash, zset] {
            let args: Vec<&[u8]> = args.iter().map(|arg| &**arg).collect();
            run(redis, &args).await;
        }
    }
    let mut pipeline = redis.pipeline();
    for i in 0..1500 {
        let id = format!("{}-1", i + 1);
        let add = restis::Command::<Reply>::new("XADD");
        pipeline.add(add.arg("large stream").arg(id).arg("n").arg(i));
    }
    pipeline.exec().await.unwrap();
    for start in (0..keys).step_by(1000) {
        let mut pipeline = redis.pipeline();
        for i in start..(start + 1000).min(keys) {
            let name = format!("key:{i}");
            let command = |name: &str| restis::Command::<Reply>::new(name);
            pipeline.add(match i % 5 {
                0 => command("SET")
                    .arg(&name)
                    .arg(i)
                    .arg("PXAT")
                    .arg(at + i as u64),
                1 => command("RPUSH").arg(&name).arg(i).arg("x"),
                2 => command("SADD").arg(&name).arg(i).arg("x"),
                3 => command("HSET").arg(&name).arg("i").arg(i),
                _ => command("ZADD").arg(&name).arg(i).arg("m"),
            });
        }
        pipeline.exec().await.unwrap();
    }
}

/// Every key with its value in an order of its own and its end, by means that the program does not use.
pub(crate) async fn contents(redis: &Redis) -> BTreeMap<Vec<u8>, (String, i64, String)> {
    let keys: Vec<Vec<u8>> = redis.command("KEYS").arg("*").query().await.unwrap();
    let mut all = BTreeMap::new();
    for chunk in keys.chunks(1000) {
        let read = chunk.iter().map(|key| async move {
            let kind: String = redis.command("TYPE").arg(key).query().await.unwrap();
            let ends: i64 = redis.command("PEXPIRETIME").arg(key).query().await.unwrap();
            let ask = |name: &'static str, args: &'static [&'static str]| {
                redis.command(name).arg(key).args(args).query::<Reply>()
            };
            let value = match kind.as_str() {
                "string" => vec![ask("GET", &[]).await.unwrap()],
                "list" => vec![ask("LRANGE", &["0", "-1"]).await.unwrap()],
                "zset" => vec![scores(
                    ask("ZRANGE", &["0", "-1", "WITHSCORES"]).await.unwrap(),
                )],
                "set" => vec![sorted(ask("SMEMBERS", &[]).await.unwrap(), 1)],
                "hash" => vec![sorted(ask("HGETALL", &[]).await.unwrap(), 2)],
                "stream" => stream(redis, key).await,
                "ReJSON-RL" => vec![ask("JSON.GET", &[]).await.unwrap()],
                other => panic!("{other}"),
            };
            (key.clone(), (kind, ends, format!("{value:?}")))
        });
        all.extend(futures_util::future::join_all(read).await);
    }
    all
}

/// Members with the bits of their scores: servers write the same number in more than one way.
pub(crate) fn scores(reply: Reply) -> Reply {
    let items = reply.into_array().unwrap().into_iter().enumerate();
    let bits = |text: &str| text.parse::<f64>().unwrap().to_bits().to_string();
    let items = items.map(|(at, item)| match item {
        Reply::Bulk(text) if at % 2 == 1 => {
            Reply::Bulk(bits(std::str::from_utf8(&text).unwrap()).into())
        }
        item => item,
    });
    Reply::Array(items.collect())
}

pub(crate) fn sorted(reply: Reply, group: usize) -> Reply {
    let items = reply.into_array().unwrap();
    let mut groups: Vec<Vec<Reply>> = items.chunks(group).map(<[Reply]>::to_vec).collect();
    groups.sort_by_key(|group| format!("{group:?}"));
    Reply::Array(groups.into_iter().flatten().collect())
}

async fn stream(redis: &Redis, key: &[u8]) -> Vec<Reply> {
    let mut value = vec![
        redis
            .command("XRANGE")
            .arg(key)
            .arg("-")
            .arg("+")
            .query()
            .await
            .unwrap(),
    ];
    let info: Vec<Reply> = redis
        .command("XINFO")
        .arg("STREAM")
        .arg(key)
        .query()
        .await
        .unwrap();
    let field = |fields: &[Reply], name: &str| {
        let at = fields
            .iter()
            .position(|f| *f == Reply::Bulk(name.to_owned().into()))
            .unwrap();
        fields[at + 1].clone()
    };
    value.extend(
        ["last-generated-id", "entries-added", "max-deleted-entry-id"].map(|n| field(&info, n)),
    );
    let groups: Vec<Vec<Reply>> = redis
        .command("XINFO")
        .arg("GROUPS")
        .arg(key)
        .query()
        .await
        .unwrap();
    for group in groups {
        value.extend(
            ["name", "last-delivered-id", "entries-read", "consumers"].map(|n| field(&group, n)),
        );
        let Reply::Bulk(name) = field(&group, "name") else {
            panic!()
        };
        let pending = redis
            .command("XPENDING")
            .arg(key)
            .arg(&name[..])
            .arg("-")
            .arg("+")
            .arg(9999);
        let pending: Vec<(String, String, i64, i64)> = pending.query().await.unwrap();
        for (id, consumer, _, tries) in pending {
            value.push(Reply::Bulk(format!("{id} {consumer} {tries}").into()));
        }
    }
    value
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

/// A free port whose bus, 10,000 further on, is free too.
fn cluster_port() -> u16 {
    loop {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        if port < 55_000 && std::net::TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}
