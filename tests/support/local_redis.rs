//! A real `redis-server` of its own for a test, spoken to without HTTP in between.

#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use bytes::Bytes;
use restis::{
    Delivery, Error, ErrorKind, Redis, Reply, Result, ServerError,
    transport::{BoxFuture, Exchange, Mode, Transport, TransportResponse},
};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::UnixStream,
};

/// A `redis-server` on a socket in a directory of its own; ends when dropped.
#[derive(Debug, Clone)]
pub struct LocalRedis(Arc<Process>);

#[derive(Debug)]
struct Process {
    child: Mutex<Child>,
    directory: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl LocalRedis {
    /// Starts a server; `None` where there is no `redis-server` (a failure under `CI=true`).
    pub fn start() -> Option<Self> {
        Self::with(&["--port", "0"])
    }

    /// Starts a cluster of one node: the keys of a command must still lie in one slot.
    pub async fn start_cluster() -> Option<Self> {
        // Its bus is 10,000 above.
        let port = loop {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            if port < 55_000 {
                break port.to_string();
            }
        };
        let local = ["--bind", "127.0.0.1", "--cluster-enabled", "yes"];
        let started = Self::with(&[&["--port", &*port], &local[..]].concat())?;
        let redis = started.client();
        let slots = redis
            .command("CLUSTER")
            .args(["ADDSLOTSRANGE", "0", "16383"]);
        let _: String = slots.query().await.unwrap();
        loop {
            let info: String = redis.command("CLUSTER").arg("INFO").query().await.unwrap();
            if info.contains("cluster_state:ok") {
                return Some(started);
            }
            // Waits at the server for a replica that there is not.
            let _: i64 = redis.command("WAIT").args([1, 50]).query().await.unwrap();
        }
    }

    fn with(options: &[&str]) -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        let directory = std::env::temp_dir().join(format!("restis-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let child = Command::new("redis-server")
            .args(options)
            .args(["--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(directory.join("socket"))
            .arg("--dir")
            .arg(&directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            let _ = std::fs::remove_dir_all(&directory);
            assert!(
                std::env::var("CI").is_err(),
                "redis-server is not installed"
            );
            eprintln!("skipped: redis-server is not installed");
            return None;
        };
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // The server's own word, no waiting by the clock.
        let ready = stdout
            .lines()
            .map_while(std::result::Result::ok)
            .any(|l| l.contains("eady to accept connections"));
        let process = Process {
            child: Mutex::new(child),
            directory,
        };
        assert!(ready, "redis-server did not start");
        Some(Self(Arc::new(process)))
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.0.directory.join("socket")
    }

    /// A transport to it.
    pub fn transport(&self) -> LocalTransport {
        LocalTransport {
            server: self.clone(),
            idle: Mutex::default(),
        }
    }

    /// A client of it.
    pub fn client(&self) -> Redis {
        Redis::with_transport(self.transport())
    }
}

/// Executes exchanges over the server's own protocol.
#[derive(Debug)]
pub struct LocalTransport {
    server: LocalRedis,
    idle: Mutex<Vec<BufStream<UnixStream>>>,
}

fn broken(e: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::Interrupted,
        Delivery::MaybeExecuted,
        e.to_string(),
    )
}

impl Transport for LocalTransport {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        Box::pin(async move {
            let idle = self.idle.lock().unwrap().pop();
            let mut stream = if let Some(stream) = idle {
                stream
            } else {
                let path = self.server.0.directory.join("socket");
                BufStream::new(UnixStream::connect(path).await.map_err(|e| broken(&e))?)
            };
            let replies = talk(&mut stream, exchange).await.map_err(|e| broken(&e))?;
            self.idle.lock().unwrap().push(stream);
            Ok(TransportResponse::new(replies))
        })
    }
}

async fn talk(
    stream: &mut BufStream<UnixStream>,
    exchange: &Exchange,
) -> std::io::Result<Vec<Reply>> {
    let mut out = Vec::new();
    let mut write = |args: &mut dyn ExactSizeIterator<Item = &[u8]>| {
        out.extend(format!("*{}\r\n", args.len()).bytes());
        for arg in args {
            out.extend(format!("${}\r\n", arg.len()).bytes());
            out.extend(arg);
            out.extend(b"\r\n");
        }
    };
    let transaction = exchange.mode == Mode::Transaction;
    if transaction {
        write(&mut [b"MULTI".as_slice()].into_iter());
    }
    for command in &exchange.commands {
        write(&mut command.iter());
    }
    if transaction {
        write(&mut [b"EXEC".as_slice()].into_iter());
    }
    stream.write_all(&out).await?;
    stream.flush().await?;
    let count = exchange.commands.len() + 2 * usize::from(transaction);
    let mut replies = Vec::with_capacity(count);
    for _ in 0..count {
        replies.push(read(stream).await?);
    }
    if transaction {
        return match replies.pop() {
            Some(Reply::Array(items)) => Ok(items),
            other => Err(std::io::Error::other(format!("EXEC: {other:?}"))),
        };
    }
    Ok(replies)
}

fn read(stream: &mut BufStream<UnixStream>) -> BoxFuture<'_, std::io::Result<Reply>> {
    Box::pin(async move {
        let mut line = Vec::new();
        stream.read_until(b'\n', &mut line).await?;
        line.truncate(line.len().saturating_sub(2));
        let Some((&kind, rest)) = line.split_first() else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        let text = String::from_utf8_lossy(rest).into_owned();
        let number = || text.parse::<i64>().map_err(std::io::Error::other);
        Ok(match kind {
            b'+' => Reply::Status(Bytes::copy_from_slice(rest)),
            b'-' => Reply::Error(ServerError::new(text)),
            b':' => Reply::Int(number()?),
            b'$' => match usize::try_from(number()?) {
                Err(_) => Reply::Nil,
                Ok(len) => {
                    let mut bytes = vec![0; len + 2];
                    stream.read_exact(&mut bytes).await?;
                    bytes.truncate(len);
                    Reply::Bulk(bytes.into())
                }
            },
            b'*' => match usize::try_from(number()?) {
                Err(_) => Reply::Nil,
                Ok(len) => {
                    let mut items = Vec::with_capacity(len);
                    for _ in 0..len {
                        items.push(read(stream).await?);
                    }
                    Reply::Array(items)
                }
            },
            _ => return Err(std::io::Error::other("unknown reply")),
        })
    })
}
