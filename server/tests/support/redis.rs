//! Real Redis servers, started and ended by the test.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::eventually;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A `redis-server` that ends with the test.
pub(crate) struct RedisProcess {
    child: Child,
    pub(crate) port: u16,
    dir: PathBuf,
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Whether `redis-server` is there; in CI it must be.
pub(crate) fn available() -> bool {
    let found = Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "redis-server is missing"
    );
    found
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A port whose bus, 10,000 above, is free too; below those that outgoing connections take.
fn free_cluster_port() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(97).wrapping_add(number * 7) % 2_000;
        let port = 20_000 + u16::try_from(offset).unwrap();
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

impl RedisProcess {
    /// A fresh server, or `None` where there is no `redis-server`.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        available().then(|| Self::start_on(free_port(), options))
    }

    pub(crate) fn start_on(port: u16, options: &[&str]) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("restis-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let socket = dir.join("redis.sock");
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string(), "--dir", dir.to_str().unwrap()])
            .args(["--unixsocket", socket.to_str().unwrap()])
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { child, port, dir };
        eventually("redis-server answers", || {
            process.try_raw(b"PING\r\n").is_some()
        });
        process
    }

    /// A sentinel that watches `master` and fails over quickly.
    pub(crate) fn sentinel(master: &Self) -> Self {
        let port = free_port();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("restis-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let config = dir.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n",
            dir.display(),
            master.port
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("redis-server")
            .arg(&config)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = Self { child, port, dir };
        eventually("the sentinel answers", || {
            process.try_raw(b"PING\r\n").is_some()
        });
        process
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn socket_url(&self) -> String {
        format!("unix://{}", self.dir.join("redis.sock").display())
    }

    /// Sends an inline command; the reply's first bytes.
    pub(crate) fn raw(&self, command: &str) -> String {
        let reply = self.try_raw(format!("{command}\r\n").as_bytes()).unwrap();
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn try_raw(&self, command: &[u8]) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(command).ok()?;
        let mut reply = vec![0; 16 << 10];
        let read = stream.read(&mut reply).ok()?;
        reply.truncate(read);
        (read > 0).then_some(reply)
    }
}

/// A cluster of three primaries.
pub(crate) struct ClusterProcess {
    pub(crate) nodes: Vec<RedisProcess>,
}

impl ClusterProcess {
    pub(crate) fn start() -> Option<Self> {
        if !available() {
            return None;
        }
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let nodes: Vec<RedisProcess> = (0..3)
            .map(|_| RedisProcess::start_on(free_cluster_port(), &options))
            .collect();
        let ranges = ["0 5460", "5461 10922", "10923 16383"];
        for (number, (node, range)) in nodes.iter().zip(ranges).enumerate() {
            node.raw(&format!("CLUSTER ADDSLOTSRANGE {range}"));
            node.raw(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
        }
        for node in &nodes[1..] {
            nodes[0].raw(&format!("CLUSTER MEET 127.0.0.1 {}", node.port));
        }
        eventually("the cluster is whole", || {
            nodes.iter().all(|node| {
                let info = node.raw("CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        });
        Some(Self { nodes })
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("redis-cluster://{}", hosts.join(","))
    }
}
