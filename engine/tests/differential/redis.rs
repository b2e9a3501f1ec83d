//! Servers of the test's own, and a client that speaks RESP2 to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use restis_engine::{Error, Reply};

/// Major and minor.
pub(crate) type Version = (u32, u32);

/// A server that ends with the value.
pub(crate) struct Server {
    child: Child,
    port: u16,
    directory: std::path::PathBuf,
    pub(crate) version: Version,
}

impl Server {
    /// Starts every server there is to compare with.
    pub(crate) fn all() -> Vec<Self> {
        let mut servers = Vec::new();
        match Self::start("redis-server") {
            Ok(server) => servers.push(server),
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "redis-server is needed in CI: {error}"
                );
                eprintln!("not compared with redis-server: not installed ({error})");
            }
        }
        match std::env::var("RESTIS_REDIS_8") {
            Ok(path) => servers.push(Self::start(&path).expect("RESTIS_REDIS_8 starts")),
            Err(_) => eprintln!("not compared with a Redis 8: RESTIS_REDIS_8 is not set"),
        }
        servers
    }

    fn start(program: &str) -> std::io::Result<Self> {
        // The port is free a moment later, too: nothing else asks for it by number.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory =
            std::env::temp_dir().join(format!("restis-differential-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--databases", "1"]);
        command.arg("--dir").arg(&directory);
        command.stdin(Stdio::null());
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self {
            child,
            port,
            directory,
            version: (0, 0),
        };
        server.version = server.connect().version();
        Ok(server)
    }

    /// Connects, waiting until the server answers.
    pub(crate) fn connect(&self) -> Client {
        let start = Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                stream.set_nodelay(true).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                let mut client = Client {
                    reader: BufReader::with_capacity(1 << 20, stream),
                };
                if client.call(&["PING"]) == Reply::simple("PONG") {
                    return client;
                }
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "redis-server does not answer"
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// One connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Runs one command.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Reply {
        let args = args.iter().map(|arg| arg.as_ref().to_vec()).collect();
        self.batch(&[args]).remove(0)
    }

    fn version(&mut self) -> Version {
        let Reply::Bulk(info) = self.call(&["INFO", "server"]) else {
            panic!("INFO answers text");
        };
        let info = String::from_utf8_lossy(&info).into_owned();
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"));
        let mut parts = line.unwrap().split('.').map(|part| part.parse().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    }

    /// Runs commands in one round trip.
    pub(crate) fn batch(&mut self, commands: &[Vec<Vec<u8>>]) -> Vec<Reply> {
        let mut request = Vec::new();
        for args in commands {
            write!(request, "*{}\r\n", args.len()).unwrap();
            for arg in args {
                write!(request, "${}\r\n", arg.len()).unwrap();
                request.extend_from_slice(arg);
                request.extend_from_slice(b"\r\n");
            }
        }
        self.reader.get_mut().write_all(&request).unwrap();
        commands.iter().map(|_| self.reply()).collect()
    }

    fn reply(&mut self) -> Reply {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        assert!(line.ends_with(b"\r\n"), "the server closed the connection");
        line.truncate(line.len() - 2);
        let text = String::from_utf8_lossy(&line[1..]).into_owned();
        let number = || text.parse::<i64>().unwrap();
        match line[0] {
            b'+' => Reply::Simple(text.into()),
            b'-' => Reply::Error(Error::new(text)),
            b':' => Reply::Int(number()),
            b'$' if number() < 0 => Reply::Nil,
            b'*' if number() < 0 => Reply::NilArray,
            b'$' => {
                let mut bytes = vec![0; number() as usize + 2];
                self.reader.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Reply::bulk(bytes)
            }
            b'*' => Reply::array((0..number()).map(|_| self.reply())),
            other => panic!("not RESP2: {}", char::from(other)),
        }
    }
}
