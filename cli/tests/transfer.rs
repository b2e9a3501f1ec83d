//! `restis export` and `restis import`: what goes in comes out, between any two databases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use restis::{Redis, Reply};
use support::{Restis, binary};

/// A directory that ends with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path =
            std::env::temp_dir().join(format!("restis-transfer-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A database behind the REST API.
struct Store {
    restis: Restis,
    /// The Redis behind, if there is one.
    redis: Option<(Child, Directory)>,
}

impl Store {
    fn engine() -> Self {
        let restis = Restis::start(&["serve", "--addr", "127.0.0.1:0", "--token", "t"]);
        Self {
            restis,
            redis: None,
        }
    }

    /// A real Redis behind `restis serve`.
    fn redis() -> Option<Self> {
        if !support::tool("redis-server") {
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
            redis: Some((child, directory)),
        })
    }

    fn client(&self) -> Redis {
        let builder = Redis::builder(self.restis.url(), "t");
        builder.timeout(Duration::from_secs(60)).build().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command
            .args(args)
            .args(["--url", &self.restis.url(), "--token", "t"]);
        command.env("RESTIS_ENV_FILES", "false");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        said
    }

    #[track_caller]
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        said
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.redis {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn run(redis: &Redis, args: &[&[u8]]) -> Reply {
    let name = String::from_utf8(args[0].to_vec()).unwrap();
    redis
        .command(&name)
        .args(args[1..].iter().copied())
        .query()
        .await
        .unwrap()
}

/// In a day.
fn tomorrow() -> u64 {
    restis::Clock::now_ms(&restis::SystemClock::new()) + 86_400_123
}

/// Keys of every type that Redis 7 has.
async fn fill(redis: &Redis, keys: usize) {
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
async fn contents(redis: &Redis) -> BTreeMap<Vec<u8>, (String, i64, String)> {
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
fn scores(reply: Reply) -> Reply {
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

fn sorted(reply: Reply, group: usize) -> Reply {
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

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

#[test]
fn every_type_moves_between_engine_and_redis_in_both_directions() {
    let mut pairs = vec![(Store::engine(), Store::engine())];
    if let (Some(one), Some(two)) = (Store::redis(), Store::redis()) {
        pairs.push((Store::engine(), one));
        pairs.push((two, Store::engine()));
    }
    for (from, to) in pairs {
        let directory = Directory::new();
        let file = directory.file("export");
        block_on(fill(&from.client(), 2000));
        from.succeeds(&["export", &file]);
        let said = to.succeeds(&["import", &file, "--verify"]);
        let (before, after) =
            block_on(async { (contents(&from.client()).await, contents(&to.client()).await) });
        for (key, value) in &before {
            assert!(
                after.get(key) == Some(value),
                "{}: {value:?} {:?}",
                key.escape_ascii(),
                after.get(key)
            );
        }
        assert_eq!(before.len(), after.len());
        assert!(
            said.contains(&format!("{} keys imported", before.len())),
            "{said}"
        );
        assert!(said.contains(", 0 differ"), "{said}");
    }
}

#[test]
fn fields_that_end_documents_and_other_types_move_between_engines() {
    let (from, to) = (Store::engine(), Store::engine());
    let redis = from.client();
    let at = tomorrow().to_string();
    block_on(async {
        run(
            &redis,
            &[
                b"HSET",
                b"h",
                b"stays",
                b"1",
                b"ends",
                b"2",
                b"ends too",
                b"3",
            ],
        )
        .await;
        run(
            &redis,
            &[
                b"HPEXPIREAT",
                b"h",
                at.as_bytes(),
                b"FIELDS",
                b"2",
                b"ends",
                b"ends too",
            ],
        )
        .await;
        run(
            &redis,
            &[b"JSON.SET", b"doc", b"$", br#"{"a":[1,2.5,null,"\u00e9"]}"#],
        )
        .await;
        run(&redis, &[b"ARSET", b"array", b"7", b"seven"]).await;
    });
    let directory = Directory::new();
    let file = directory.file("export");
    from.succeeds(&["export", &file]);
    to.succeeds(&["import", &file, "--verify"]);
    let redis = to.client();
    let (ends, doc, card) = block_on(async {
        let ends: Vec<i64> = redis
            .command("HPEXPIRETIME")
            .arg("h")
            .arg("FIELDS")
            .arg(3)
            .args(["stays", "ends", "ends too"])
            .query()
            .await
            .unwrap();
        let doc: String = redis.command("JSON.GET").arg("doc").query().await.unwrap();
        let card: i64 = redis.command("ARCOUNT").arg("array").query().await.unwrap();
        (ends, doc, card)
    });
    let at: i64 = at.parse().unwrap();
    assert_eq!(ends, [-1, at, at]);
    assert_eq!((doc.as_str(), card), (r#"{"a":[1,2.5,null,"é"]}"#, 1));
    // What Redis 7.0 cannot hold is told before anything is written.
    let Some(redis) = Store::redis() else { return };
    let said = redis.fails(&["import", &file]);
    for part in [
        "JSON documents (1)",
        "hashes whose fields end by themselves (1)",
        "keys of other types (1)",
        "nothing is written",
    ] {
        assert!(said.contains(part), "{part} not in {said}");
    }
    let left = block_on(contents(&redis.client()));
    assert!(left.is_empty(), "{left:?}");
    let said = redis.fails(&["import", &file, "--skip-unsupported"]);
    assert!(said.contains("1 keys imported, 2 left out"), "{said}");
}

#[test]
fn keys_that_are_there_stay_unless_they_are_to_be_replaced() {
    let (from, to) = (Store::engine(), Store::engine());
    let directory = Directory::new();
    let file = directory.file("export");
    block_on(async {
        run(&from.client(), &[b"SET", b"a", b"new"]).await;
        run(&from.client(), &[b"SET", b"b", b"new"]).await;
        run(&from.client(), &[b"SET", b"other", b"new"]).await;
        run(&to.client(), &[b"RPUSH", b"a", b"old"]).await;
    });
    from.succeeds(&["export", &file, "--match", "?"]);
    let said = to.fails(&["import", &file]);
    assert!(
        said.contains("1 keys imported, 1 were there and stay"),
        "{said}"
    );
    let said = to.fails(&["import", &file, "--verify-only"]);
    assert!(
        said.contains("restis: a: has another type") && said.contains("2 keys compared, 1 differ"),
        "{said}"
    );
    to.succeeds(&["import", &file, "--replace", "--verify"]);
    assert_eq!(block_on(contents(&to.client())).len(), 2);
    // The file is there.
    let said = from.fails(&["export", &file]);
    assert!(said.contains("--force overwrites it"), "{said}");
    from.succeeds(&["export", &file, "--force"]);
}

#[test]
fn a_file_that_is_damaged_or_incomplete_is_not_imported() {
    let (from, to) = (Store::engine(), Store::engine());
    let directory = Directory::new();
    let file = directory.file("export");
    block_on(fill(&from.client(), 10));
    from.succeeds(&["export", &file]);
    let whole = std::fs::read(&file).unwrap();
    let lines = whole.split(|byte| *byte == b'\n').count() - 1;
    let mut damaged = whole.clone();
    let at = whole.len() / 2;
    damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
    let without_line: Vec<u8> = {
        let mut kept: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
        kept.remove(lines / 2);
        kept.concat()
    };
    for (bytes, part) in [
        (&damaged[..], "its checksum is wrong"),
        (&whole[..whole.len() - 20], "is cut off"),
        (&without_line[..], "lines are missing"),
        (b"{}\n", "damaged"),
        (b"", "no export"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let said = to.fails(&["import", &file]);
        assert!(
            said.contains(part) && said.contains("nothing is written"),
            "{part}: {said}"
        );
    }
    assert!(block_on(contents(&to.client())).is_empty());
}

#[test]
fn what_was_interrupted_goes_on() {
    let (from, to) = (Store::engine(), Store::engine());
    let directory = Directory::new();
    let (file, whole) = (directory.file("export"), directory.file("whole"));
    block_on(fill(&from.client(), 6000));
    from.succeeds(&["export", &whole]);
    // Killed once a part of the file is there.
    let mut child = from.command(&["export", &file]).spawn().unwrap();
    while std::fs::metadata(&file).map_or(0, |found| found.len()) < 100_000 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    // A full disk leaves a part of a line. Where the export had ended before it was killed, its end is cut off.
    std::fs::write(&file, &bytes[..bytes.len() - 30]).unwrap();
    from.succeeds(&["export", &file, "--resume"]);
    let said = from.succeeds(&["export", &file, "--resume"]);
    assert!(said.is_empty(), "complete: {said}");
    // The same for the import.
    let mut child = to.command(&["import", &file]).spawn().unwrap();
    let state = directory.file("export.import");
    while !std::fs::read_to_string(&state).is_ok_and(|text| !text.contains("\"offset\":0,")) {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().unwrap();
    if std::path::Path::new(&state).exists() {
        let said = to.fails(&["import", &file]);
        assert!(said.contains("--resume goes on"), "{said}");
        to.succeeds(&["import", &file, "--resume", "--verify"]);
    }
    assert!(!std::path::Path::new(&state).exists());
    let (before, after) =
        block_on(async { (contents(&from.client()).await, contents(&to.client()).await) });
    assert!(before == after);
}

#[test]
fn an_export_can_be_piped_into_an_import() {
    let (from, to) = (Store::engine(), Store::engine());
    block_on(fill(&from.client(), 100));
    let mut export = from
        .command(&["export", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = export.stdout.take().unwrap();
    let import = to
        .command(&["import", "-", "--progress"])
        .stdin(out)
        .output()
        .unwrap();
    assert!(import.status.success() && export.wait().unwrap().success());
    let (before, after) =
        block_on(async { (contents(&from.client()).await, contents(&to.client()).await) });
    assert!(before == after);
}

#[test]
fn an_rdb_file_of_redis_is_imported() {
    let Some(mut from) = Store::redis() else {
        return;
    };
    block_on(fill(&from.client(), 1000));
    let before = block_on(contents(&from.client()));
    // It saves when it is stopped.
    let (mut child, directory) = from.redis.take().unwrap();
    support::signal("TERM", child.id());
    assert!(child.wait().unwrap().success());
    let file = directory.file("dump.rdb");
    let to = Store::engine();
    let said = to.succeeds(&["import", &file, "--verify"]);
    assert!(
        said.contains(&format!("{} keys imported", before.len())),
        "{said}"
    );
    assert!(said.contains(", 0 differ"), "{said}");
    let after = block_on(contents(&to.client()));
    for (key, value) in &before {
        assert!(
            after.get(key) == Some(value),
            "{}: {value:?} {:?}",
            key.escape_ascii(),
            after.get(key)
        );
    }
    let said = to.succeeds(&["import", &file, "--rdb-database", "7"]);
    assert!(said.contains("0 keys imported"), "{said}");
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    let mut old = whole.clone();
    old[5..9].copy_from_slice(b"0009");
    for (bytes, parts) in [
        (&whole[..whole.len() - 9], &["cut off"][..]),
        (
            &damaged[..],
            &[
                "checksum",
                "cut off",
                "damaged",
                "form that is not known",
                "not read",
                "512 MB",
            ],
        ),
        (&old[..], &["version 9"]),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let to = Store::engine();
        let said = to.fails(&["import", &file]);
        assert!(parts.iter().any(|part| said.contains(part)), "{said}");
        assert!(said.contains("nothing is written"), "{said}");
        assert!(block_on(contents(&to.client())).is_empty());
    }
}
