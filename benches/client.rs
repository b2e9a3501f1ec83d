//! The client against one loopback server; all ratios are of one run.
//!
//! `cargo bench --bench client --features embedded [-- SECONDS]`. The baseline is a loop that
//! writes a ready request to a socket and reads the reply: what no client can beat.
//! With `UPSTASH_REDIS_REST_URL` set to a server, that one is used; else one is started here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark ends by panicking"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use restis::{prelude::*, transport::Encoding};
use restis_server::Server;

const VALUE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Operations a second of a loop that does `step` operations a turn.
fn rate(seconds: f64, step: u64, mut turn: impl FnMut()) -> f64 {
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_millis(200) {
        turn();
    }
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < seconds {
        turn();
        done += step;
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// A request as bytes and the length of its reply.
struct Bare {
    stream: TcpStream,
    request: Vec<u8>,
    reply: usize,
    buffer: Vec<u8>,
}

impl Bare {
    fn new(addr: &str, path: &str, body: &str) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer TOKEN\r\n\
             content-type: application/json\r\nupstash-encoding: base64\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut bare = Self {
            stream,
            request: request.into_bytes(),
            reply: 0,
            buffer: vec![0; 1 << 20],
        };
        // The first reply is read to the end of its body; all others are as long.
        bare.stream.write_all(&bare.request).unwrap();
        let mut read = 0;
        loop {
            read += bare.stream.read(&mut bare.buffer[read..]).unwrap();
            let text = String::from_utf8_lossy(&bare.buffer[..read]).to_ascii_lowercase();
            let Some(head) = text.find("\r\n\r\n") else {
                continue;
            };
            assert!(text.starts_with("http/1.1 200"), "{text}");
            let length = text.split("content-length: ").nth(1).unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            bare.reply = head + 4 + length;
            if read >= bare.reply {
                return bare;
            }
        }
    }

    fn turn(&mut self) {
        self.stream.write_all(&self.request).unwrap();
        let mut read = 0;
        while read < self.reply {
            read += self.stream.read(&mut self.buffer[read..]).unwrap();
        }
    }
}

/// Requests a second of `wrk` on one connection, where it is installed.
fn wrk(url: &str, seconds: f64) -> Option<f64> {
    let script = std::env::temp_dir().join(format!("restis-wrk-{}.lua", std::process::id()));
    let text = "wrk.method='POST' wrk.body='[\"GET\",\"k\"]' \
                wrk.headers['authorization']='Bearer TOKEN' \
                wrk.headers['upstash-encoding']='base64'";
    std::fs::write(&script, text).ok()?;
    let output = Command::new("wrk")
        .args(["-t1", "-c1", &format!("-d{}s", seconds.ceil()), "-s"])
        .args([script.as_os_str(), url.as_ref()])
        .output();
    let _ = std::fs::remove_file(&script);
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    text.split("Requests/sec:")
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

const NODE: &str = r#"
const { Redis } = require("@upstash/redis");
const [url, seconds] = process.argv.slice(1);
const run = async (name, step, turn) => {
  const end = performance.now() + 300;
  while (performance.now() < end) await turn();
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < seconds * 1000) { await turn(); done += step; }
  console.log(name, (done * 1000) / (performance.now() - start));
};
(async () => {
  const config = { url, token: "TOKEN", enableTelemetry: false };
  const one = new Redis({ ...config, enableAutoPipelining: false });
  const auto = new Redis({ ...config, enableAutoPipelining: true });
  await run("sequential", 1, () => one.get("k"));
  await run("merged", 64, () => Promise.all(Array.from({ length: 64 }, () => auto.get("k"))));
  await run("pipeline", 100, () => {
    const p = one.pipeline();
    for (let i = 0; i < 100; i++) p.get("k");
    return p.exec();
  });
})();
"#;

/// What `@upstash/redis` does on Node, with `RESTIS_BENCH_NODE` a directory that has it in
/// its `node_modules`: sequential, merged, pipeline.
fn node(url: &str, seconds: f64) -> Option<[f64; 3]> {
    let output = Command::new("node")
        .args(["-e", NODE, url, &seconds.to_string()])
        .current_dir(std::env::var_os("RESTIS_BENCH_NODE")?)
        .output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let of = |name: &str| {
        text.split(name)
            .nth(1)?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    Some([of("sequential")?, of("merged")?, of("pipeline")?])
}

fn compare(name: &str, ours: f64, theirs: Option<f64>) {
    if let Some(theirs) = theirs {
        println!("  {name:<30}{theirs:>12.0} /s   ratio {:.2}", ours / theirs);
    }
}

fn main() {
    let seconds = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(3.0);
    let own = std::env::var("UPSTASH_REDIS_REST_URL").is_err().then(|| {
        let server = Server::builder().token("TOKEN").threads(1);
        server.bind("127.0.0.1:0").unwrap().spawn().unwrap()
    });
    let url = own.as_ref().map_or_else(
        || std::env::var("UPSTASH_REDIS_REST_URL").unwrap(),
        |server| server.url().to_owned(),
    );
    let addr = url.trim_start_matches("http://").to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();

    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        let client = Redis::builder("https://example.upstash.io", "TOKEN")
            .build()
            .unwrap();
        fastest = fastest.min(start.elapsed());
        drop(client);
    }
    println!(
        "construction with TLS           {:>12.3} ms",
        fastest.as_secs_f64() * 1e3
    );

    let redis = Redis::builder(&*url, "TOKEN").build().unwrap();
    let resp = Redis::builder(&*url, "TOKEN")
        .encoding(Encoding::Resp2)
        .build()
        .unwrap();
    runtime
        .block_on(async { redis.set("k", VALUE).await })
        .unwrap();

    let mut bare = Bare::new(&addr, "/", r#"["GET","k"]"#);
    let body = format!("[{}]", vec![r#"["GET","k"]"#; 100].join(","));
    let mut bare_pipeline = Bare::new(&addr, "/pipeline", &body);

    // In a task, as in a server; blocking on a future costs a system call a wake-up.
    let sequential_for = |seconds: f64| {
        let redis = redis.clone();
        runtime
            .block_on(runtime.spawn(async move {
                let (start, mut done) = (Instant::now(), 0_u64);
                while start.elapsed().as_secs_f64() < seconds {
                    let value: Option<String> = redis.get("k").await.unwrap();
                    assert_eq!(value.unwrap().len(), VALUE.len());
                    done += 1;
                }
                done as f64 / start.elapsed().as_secs_f64()
            }))
            .unwrap()
    };
    sequential_for(0.2);
    // The two alternate, so that a slow moment of the machine meets both.
    let (mut sequential, mut base) = (0.0, 0.0);
    for _ in 0..4 {
        sequential += sequential_for(seconds / 4.0) / 4.0;
        base += rate(seconds / 4.0, 1, || bare.turn()) / 4.0;
    }
    println!("sequential GET                  {sequential:>12.0} /s");
    compare("bare socket", sequential, Some(base));
    compare("wrk -c1", sequential, wrk(&url, seconds));
    let node = node(&url, seconds);
    compare("@upstash/redis on Node", sequential, node.map(|n| n[0]));

    let merged = rate(seconds, 64, || {
        runtime.block_on(async {
            let all = (0..64).map(|_| async { redis.get::<String>("k").await.unwrap() });
            assert_eq!(futures_util::future::join_all(all).await.len(), 64);
        });
    });
    println!("64 concurrent GETs, merged      {merged:>12.0} /s");
    compare("@upstash/redis on Node", merged, node.map(|n| n[1]));

    let tasks = rate(seconds, 64 * 20, || {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..64)
                .map(|_| {
                    let redis = redis.clone();
                    tokio::spawn(async move {
                        for _ in 0..20 {
                            redis.get::<String>("k").await.unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    println!("64 tasks of GETs, merged        {tasks:>12.0} /s");

    let pipeline = |redis: &Redis| {
        runtime.block_on(async {
            let mut p = redis.pipeline();
            let handles: Vec<_> = (0..100).map(|_| p.get::<String>("k")).collect();
            let mut replies = p.exec().await.unwrap();
            for handle in handles {
                assert!(replies.take(handle).unwrap().is_some());
            }
        });
    };
    let explicit = rate(seconds, 100, || pipeline(&redis));
    let base = rate(seconds, 100, || bare_pipeline.turn());
    let resp2 = rate(seconds, 100, || pipeline(&resp));
    println!("pipeline of 100 GETs            {explicit:>12.0} /s");
    compare("bare socket", explicit, Some(base));
    compare("@upstash/redis on Node", explicit, node.map(|n| n[2]));
    println!("  in RESP2                      {resp2:>12.0} /s");
}
