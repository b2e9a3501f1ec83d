//! REST servers in this process: over the engine, and over a real Redis.
use restis::{Redis, config::Builder};
use restis_server::{Running, Server};

use super::local_redis::LocalRedis;

/// A running REST server; ends when dropped.
#[derive(Debug)]
pub struct Rest {
    server: Running,
    _redis: Option<LocalRedis>,
}

impl Rest {
    /// Over an empty embedded engine.
    pub fn engine() -> Self {
        let server = Server::builder().token("TOKEN").threads(1);
        Self {
            server: server.bind("127.0.0.1:0").unwrap().spawn().unwrap(),
            _redis: None,
        }
    }

    /// Over a `redis-server` of its own; `None` where it is not installed.
    pub fn redis() -> Option<Self> {
        let redis = LocalRedis::start()?;
        let url = format!("unix://{}", redis.socket().display());
        let server = Server::builder().redis("TOKEN", &url).threads(1);
        let server = server.bind("127.0.0.1:0").unwrap().spawn().unwrap();
        Some(Self {
            server,
            _redis: Some(redis),
        })
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// A client's builder.
    pub fn builder(&self) -> Builder {
        Redis::builder(self.url(), "TOKEN")
    }

    /// A client of it.
    pub fn client(&self) -> Redis {
        self.builder().build().unwrap()
    }

    /// Stops serving; open connections end.
    pub fn stop(self) {
        self.server.stop();
    }
}
