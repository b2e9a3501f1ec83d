//! Starting, running and stopping a server.

mod admin;
mod builder;
mod connection;
mod connector;
mod patience;
mod peer;
mod worker;

pub use builder::{Builder, StartError};
pub use connector::{Connector, SlowCommand};
pub(crate) use peer::{InRequest, Peer, Peers};

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::durability::{Saver, Stores};
use crate::metrics::{self, MetricsReader};
use crate::rest::Shared;

/// A server that is bound to its address and not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    admin: Option<TcpListener>,
    resp: Option<TcpListener>,
    threads: usize,
    tls: Option<TlsAcceptorDebug>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    stores: Option<Stores>,
    addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    redis_addr: Option<SocketAddr>,
}

#[derive(Clone)]
struct TlsAcceptorDebug(TlsAcceptor);

impl std::fmt::Debug for TlsAcceptorDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

impl Server {
    /// Describes a server.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where health and metrics are served, if anywhere.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Where the Redis protocol is spoken, if anywhere.
    pub fn redis_addr(&self) -> Option<SocketAddr> {
        self.redis_addr
    }

    /// The base URL for clients.
    pub fn url(&self) -> String {
        url(self.addr, self.tls.is_some())
    }

    /// Serves on threads of its own until stopped.
    ///
    /// # Errors
    /// If a thread or its event loop cannot be started.
    pub fn spawn(self) -> Result<Running, StartError> {
        let url = self.url();
        // Before the first request, so that no change is missed.
        let saver = self.stores.map(Stores::start).transpose();
        let saver = saver.map_err(|error| StartError::new(format!("no thread: {error}")))?;
        let (metrics, answers) = metrics::reader(Arc::clone(&self.shared));
        let workers = worker::spawn(
            worker::Plan {
                metrics: Box::pin(answers),
                listener: self.listener,
                admin: self.admin,
                resp: self.resp,
                threads: self.threads,
                tls: self.tls.map(|tls| tls.0),
            },
            &self.shared,
        )?;
        Ok(Running {
            addr: self.addr,
            admin_addr: self.admin_addr,
            redis_addr: self.redis_addr,
            url,
            stop: StopHandle(Arc::new(self.stop)),
            workers: Mutex::new(workers),
            shared: self.shared,
            metrics,
            saver,
        })
    }
}

fn url(addr: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{addr}")
}

/// Stops a server from anywhere.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<watch::Sender<bool>>);

impl StopHandle {
    /// Asks the server to stop: no new requests, streams end, requests in flight finish.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Completes when the server has been asked to stop.
    pub async fn stopped(&self) {
        crate::sse::stopped(self.0.subscribe()).await;
    }
}

/// A server that serves; dropping it asks it to stop.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    admin_addr: Option<SocketAddr>,
    redis_addr: Option<SocketAddr>,
    url: String,
    stop: StopHandle,
    workers: Mutex<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
    metrics: MetricsReader,
    saver: Option<Saver>,
}

impl Running {
    /// Where the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where health and metrics are served, if anywhere.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// Where the Redis protocol is spoken, if anywhere.
    pub fn redis_addr(&self) -> Option<SocketAddr> {
        self.redis_addr
    }

    /// The base URL for clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A handle to stop the server with.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Opens connections to this server from within the process.
    pub fn connector(&self) -> Connector {
        Connector(Arc::clone(&self.shared))
    }

    /// Reads what the server and its databases have done.
    pub fn metrics(&self) -> MetricsReader {
        self.metrics.clone()
    }

    /// How many connections are open.
    pub fn connections(&self) -> u64 {
        self.shared.metrics.connections_open.get()
    }

    /// Answers 503 at `/ready` of the admin address from now on, and goes on serving: load balancers
    /// send new clients elsewhere before [`stop`](Self::stop) refuses them.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Stops the server and waits until requests in flight are done and data is saved.
    pub fn stop(&self) {
        self.stop.stop();
        self.wait();
    }

    /// Waits until the server has stopped.
    pub fn wait(&self) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        for worker in workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a server thread panicked");
            }
        }
        drop(workers);
        // What failed is logged, and told by `save_error`.
        let _ = self.finish_saving();
    }

    /// Why the last save failed, once the server has stopped.
    pub fn save_error(&self) -> Option<String> {
        self.finish_saving().err()
    }

    fn finish_saving(&self) -> Result<(), String> {
        self.saver.as_ref().map_or(Ok(()), Saver::finish)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// How long after a failed accept the next one is tried.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
