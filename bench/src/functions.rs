//! `restis-bench functions`: from the start of a function to its first answer, and warm.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use restis::Redis;
use restis::ratelimit::{Limit, RateLimiter};

use crate::args::Common;
use crate::contest::{median, say};
use crate::failure::Failure;
use crate::javascript::Runtime;
use crate::program::Program;
use crate::runtime::event_loop;
use crate::store::{Store, TOKEN};

const SCRIPT: &str = include_str!("function.cjs");
/// What callers of the function present.
const SERVICE_TOKEN: &str = "benchmark-service-token";
const BODY: &str = r#"{"identifier":"bench"}"#;
/// A function that takes longer to start has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const STARTS: usize = 15;
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 10_000;

/// Options of `restis-bench functions`.
#[derive(Debug, Args)]
pub(crate) struct FunctionsArgs {
    #[command(flatten)]
    common: Common,
    /// The function's binary; `app` beside this program by default
    #[arg(long, value_name = "PATH")]
    app: Option<PathBuf>,
}

pub(crate) fn run(args: &FunctionsArgs) -> Result<(), Failure> {
    let app = match &args.app {
        Some(path) => path.clone(),
        None => Program::App.path()?,
    };
    let size = std::fs::metadata(&app).map_err(|error| {
        let build = "cargo build --release -p restis-handlers --bin app";
        Failure::new(format!("{}: {error}; {build}", app.display()))
    })?;
    let certificate = Certificate::new()?;
    let store = Store::with(&[
        "--tls-cert",
        &certificate.path("cert.pem"),
        "--tls-key",
        &certificate.path("key.pem"),
    ])?;
    let ours = || Function::restis(&app, &store, &certificate);
    say("\nstart to first rate-limit decision over TLS\n")?;
    let first = starts(ours)?;
    say(&format!(
        "  restis                            {first:>10.1} ms   wanted 15 at most\n"
    ))?;
    let modules = &args.common.node_modules;
    if modules.join("@upstash/ratelimit").is_dir() {
        let (runtimes, _) = Runtime::all(modules);
        for runtime in &runtimes {
            let start = || Function::node(runtime, modules, &store, &certificate);
            let theirs = starts(start)?;
            let name = runtime.name();
            let wanted = if name.starts_with("Node") {
                "   wanted 10.00"
            } else {
                ""
            };
            say(&format!(
                "  @upstash/ratelimit, {name:<14}{theirs:>10.1} ms   ratio {:>6.2}{wanted}\n",
                theirs / first
            ))?;
        }
    } else {
        say("  Node is not measured: npm install @upstash/redis @upstash/ratelimit\n")?;
    }

    let function = ours()?;
    let seconds = args.common.seconds.turn * args.common.seconds.rounds;
    let warm = warm(&function, seconds)?;
    let bare = bare(&store, &certificate, seconds)?;
    say(&format!(
        "\nwarm decision, median\n  function {:>35.3} ms\n  client alone {:>31.3} ms\n  \
           overhead {:>35.3} ms   wanted 0.150 at most\n",
        warm,
        bare,
        warm - bare
    ))?;
    let (failed, passed) = many(&function)?;
    say(&format!(
        "\n{REQUESTS} requests at {CONNECTIONS} connections\n  \
           {failed} failed, {:.0} /s   wanted 0 failed\n",
        REQUESTS as f64 / passed.as_secs_f64()
    ))?;
    say("\nsize\n")?;
    let megabytes = size.len() as f64 / 1e6;
    say(&format!(
        "  binary {megabytes:>37.2} MB   wanted 8 at most\n"
    ))?;
    match function.peak_bytes() {
        Some(peak) => say(&format!(
            "  peak memory {:>32.2} MB   wanted 12 at most\n",
            peak as f64 / 1e6
        )),
        None => Ok(()),
    }
}

/// A certificate for this machine, in files that end with it.
struct Certificate(PathBuf);

impl Certificate {
    fn new() -> Result<Self, Failure> {
        let failed = |why: &dyn std::fmt::Display| Failure::new(format!("no certificate: {why}"));
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(|error| failed(&error))?;
        let name = format!("restis-bench-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).map_err(|error| failed(&error))?;
        let certificate = Self(directory);
        for (name, text) in [
            ("cert.pem", made.cert.pem()),
            ("key.pem", made.signing_key.serialize_pem()),
        ] {
            std::fs::write(certificate.0.join(name), text).map_err(|error| failed(&error))?;
        }
        Ok(certificate)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A function that answers; ends when dropped.
struct Function {
    child: Child,
    port: u16,
    /// From its start to its first answer.
    started: Duration,
}

impl Function {
    fn restis(app: &Path, store: &Store, certificate: &Certificate) -> Result<Self, Failure> {
        let mut command = Command::new(app);
        command
            .env("REDIS_CA_FILE", certificate.path("cert.pem"))
            .env("UPSTASH_REDIS_REST_URL", store.url())
            .env("UPSTASH_REDIS_REST_TOKEN", TOKEN)
            .env("RESTIS_SERVICE_TOKEN", SERVICE_TOKEN)
            .env("RATE_LIMIT_MAX_REQUESTS", "1000000000");
        Self::start(command)
    }

    fn node(
        runtime: &Runtime,
        modules: &Path,
        store: &Store,
        certificate: &Certificate,
    ) -> Result<Self, Failure> {
        let modules = modules
            .canonicalize()
            .map_err(|error| Failure::new(format!("{}: {error}", modules.display())))?;
        let mut command = runtime.command();
        command
            .args(["-e", SCRIPT])
            .env("NODE_PATH", modules)
            .env("NODE_EXTRA_CA_CERTS", certificate.path("cert.pem"))
            .env("BENCH_URL", store.url())
            .env("BENCH_TOKEN", TOKEN);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self, Failure> {
        let failed = |why: &dyn std::fmt::Display| Failure::new(format!("the function: {why}"));
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| failed(&error))?
            .port();
        let start = Instant::now();
        let child = command
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| failed(&error))?;
        let mut function = Self {
            child,
            port,
            started: Duration::ZERO,
        };
        loop {
            if let Ok(mut caller) = Caller::new(port) {
                let status = caller.ask().map_err(|error| failed(&error))?;
                if status != 200 {
                    return Err(failed(&format!("its first answer has status {status}")));
                }
                function.started = start.elapsed();
                return Ok(function);
            }
            let ended = function.child.try_wait().map_err(|error| failed(&error))?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                return Err(failed(&"it does not listen"));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// The most memory it had; Linux tells it.
    fn peak_bytes(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Milliseconds from start to first answer, the median of several starts.
fn starts(start: impl Fn() -> Result<Function, Failure>) -> Result<f64, Failure> {
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        times.push(start()?.started.as_secs_f64() * 1e3);
    }
    Ok(median(&mut times))
}

/// A connection that asks for one decision after another.
struct Caller {
    stream: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Caller {
    fn new(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let length = BODY.len();
        Ok(Self {
            stream,
            request: format!(
                "POST /api/ratelimit HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {SERVICE_TOKEN}\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
            ),
            buffer: Vec::new(),
        })
    }

    /// The status of the answer, once all of it is here.
    fn ask(&mut self) -> std::io::Result<u16> {
        self.stream.write_all(self.request.as_bytes())?;
        self.buffer.clear();
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                read => self.buffer.extend_from_slice(&piece[..read]),
            }
            if let Some(status) = complete(&self.buffer) {
                return Ok(status);
            }
        }
    }
}

/// The status of a whole answer.
fn complete(bytes: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    })?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() >= length).then_some(status)
}

fn broken(error: std::io::Error) -> Failure {
    Failure::new(format!("the function: {error}"))
}

/// Milliseconds of a decision through the function.
fn warm(function: &Function, time: Duration) -> Result<f64, Failure> {
    let mut caller = Caller::new(function.port).map_err(broken)?;
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < time {
        let asked = Instant::now();
        if caller.ask().map_err(broken)? != 200 {
            return Err(Failure::new("the function refused"));
        }
        times.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut times))
}

/// Milliseconds of the same decision by the client alone.
fn bare(store: &Store, certificate: &Certificate, time: Duration) -> Result<f64, Failure> {
    let failed = |error: restis::Error| Failure::new(format!("the client failed: {error}"));
    let pem = std::fs::read(certificate.path("cert.pem")).map_err(broken)?;
    let redis = Redis::builder(store.url(), TOKEN)
        .root_certificates(pem)
        .build()
        .map_err(failed)?;
    let limit = Limit::sliding_window(1_000_000_000, Duration::from_secs(60)).map_err(failed)?;
    let limiter = RateLimiter::builder(redis, limit).build();
    event_loop()?.block_on(async {
        let mut times = Vec::new();
        let start = Instant::now();
        while start.elapsed() < time {
            let asked = Instant::now();
            if !limiter.limit("bench").await.map_err(failed)?.is_allowed() {
                return Err(Failure::new("the client was refused"));
            }
            times.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        Ok(median(&mut times))
    })
}

/// How many of many requests failed, and how long all took.
fn many(function: &Function) -> Result<(usize, Duration), Failure> {
    let start = Instant::now();
    let port = function.port;
    let share = |connection: usize| {
        let rest = REQUESTS % CONNECTIONS;
        REQUESTS / CONNECTIONS + usize::from(connection < rest)
    };
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            std::thread::spawn(move || {
                let count = share(connection);
                let Ok(mut caller) = Caller::new(port) else {
                    return count;
                };
                (0..count)
                    .filter(|_| !matches!(caller.ask(), Ok(200)))
                    .count()
            })
        })
        .collect();
    let mut failed = 0;
    for thread in threads {
        failed += thread
            .join()
            .map_err(|_| Failure::new("a caller panicked"))?;
    }
    Ok((failed, start.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let answer = b"HTTP/1.1 429 Too Many\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(complete(answer), Some(429));
        assert_eq!(complete(&answer[..answer.len() - 1]), None);
        assert_eq!(complete(&answer[..20]), None);
    }
}
