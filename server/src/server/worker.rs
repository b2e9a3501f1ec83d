//! Threads, each with an event loop; the first one accepts connections for all.

use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use restis_engine::Engine;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::builder::StartError;
use super::connection::Protocol;
use super::peer::Peer;
use super::{ACCEPT_PAUSE, admin, connection};
use crate::database::Backend;
use crate::rest::Shared;
use crate::sse::stopped;

/// Active expiry runs this often.
const EXPIRE_EVERY: Duration = Duration::from_millis(100);
/// Room for deeply nested values also in builds that are not optimised; pages that are not
/// touched cost nothing.
const STACK: usize = 8 << 20;

pub(super) struct Plan {
    pub(super) listener: TcpListener,
    pub(super) admin: Option<TcpListener>,
    pub(super) resp: Option<TcpListener>,
    pub(super) threads: usize,
    pub(super) tls: Option<TlsAcceptor>,
    /// Tells the program around the server its metrics.
    pub(super) metrics: Pin<Box<dyn Future<Output = ()> + Send>>,
}

type Accepted = (std::net::TcpStream, Peer, Protocol);

pub(super) fn spawn(plan: Plan, shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>, StartError> {
    let mut senders = Vec::new();
    let mut threads = Vec::new();
    for number in 1..plan.threads {
        let (sender, receiver) = mpsc::unbounded_channel();
        senders.push(sender);
        let (shared, tls) = (Arc::clone(shared), plan.tls.clone());
        let runtime = runtime()?;
        threads.push(start(number, move || {
            runtime.block_on(serve(receiver, shared, tls));
        })?);
    }
    let runtime = runtime()?;
    let expiring = Arc::clone(shared);
    threads.push(start(plan.threads, move || expire(&expiring))?);
    let shared = Arc::clone(shared);
    threads.push(start(0, move || {
        runtime.block_on(accept(plan, shared, senders));
    })?);
    Ok(threads)
}

fn runtime() -> Result<Runtime, StartError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Fewer looks at timers and sockets between tasks: most tasks here are short.
        .event_interval(61)
        // Requests that may take long run on threads of their own.
        .thread_stack_size(STACK)
        .build()
        .map_err(|error| StartError::new(format!("no event loop: {error}")))
}

fn start(number: usize, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    thread::Builder::new()
        .name(format!("restis-{number}"))
        .stack_size(STACK)
        .spawn(run)
        .map_err(|error| StartError::new(format!("no thread: {error}")))
}

/// Connections of one thread.
struct Connections {
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    tasks: JoinSet<()>,
}

impl Connections {
    fn new(shared: Arc<Shared>, tls: Option<TlsAcceptor>) -> Self {
        Self {
            shared,
            tls,
            tasks: JoinSet::new(),
        }
    }

    fn add(&mut self, stream: TcpStream, peer: Peer, protocol: Protocol) {
        let (shared, tls) = (Arc::clone(&self.shared), self.tls.clone());
        self.tasks
            .spawn(connection::serve(stream, peer, shared, (tls, protocol)));
        // Forgets tasks that are done.
        while self.tasks.try_join_next().is_some() {}
    }

    /// Lets requests in flight finish, for a bounded time.
    async fn finish(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let limit = self.shared.limits.shutdown;
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "connections cut off at shutdown");
        }
    }
}

/// A thread that gets its connections from the first one.
async fn serve(
    mut streams: mpsc::UnboundedReceiver<Accepted>,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
) {
    let stop = shared.stop.clone();
    let mut stop = std::pin::pin!(stopped(stop));
    let mut connections = Connections::new(shared, tls);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = streams.recv() => {
                let Some((stream, peer, protocol)) = accepted else { break };
                match TcpStream::from_std(stream) {
                    Ok(stream) => connections.add(stream, peer, protocol),
                    Err(error) => tracing::warn!(%error, "connection lost"),
                }
            },
        }
    }
    connections.finish().await;
}

/// The first thread: accepts, serves its share, and does the housekeeping.
async fn accept(plan: Plan, shared: Arc<Shared>, others: Vec<mpsc::UnboundedSender<Accepted>>) {
    let listeners = tokio::net::TcpListener::from_std(plan.listener).and_then(|rest| {
        let resp = plan.resp.map(tokio::net::TcpListener::from_std);
        Ok((rest, resp.transpose()?))
    });
    let (listener, resp) = match listeners {
        Ok(listeners) => listeners,
        Err(error) => {
            tracing::error!(%error, "a listener cannot be used");
            return;
        }
    };
    let mut housekeeping = JoinSet::new();
    housekeeping.spawn(plan.metrics);
    if let Some(listener) = plan.admin {
        housekeeping.spawn(admin::serve(listener, Arc::clone(&shared)));
    }
    let stop = shared.stop.clone();
    let mut stop = std::pin::pin!(stopped(stop));
    let mut connections = Connections::new(Arc::clone(&shared), plan.tls);
    let mut turn = 0;
    loop {
        let (accepted, protocol) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => (accepted, Protocol::Http),
            accepted = accept_any(resp.as_ref()) => (accepted, Protocol::Redis),
        };
        let (stream, addr) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely out of file descriptors: others may close some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(peer) = shared.peers.admit(addr.ip()) else {
            shared.metrics.rejected.add(1);
            tracing::warn!("too many connections, one refused");
            if protocol == Protocol::Redis {
                connections.tasks.spawn(crate::resp::refuse(stream));
            }
            continue;
        };
        turn = (turn + 1) % (others.len() + 1);
        match others.get(turn) {
            None => connections.add(stream, peer, protocol),
            Some(other) => match stream.into_std() {
                Ok(stream) => {
                    let _ = other.send((stream, peer, protocol));
                }
                Err(error) => tracing::warn!(%error, "connection lost"),
            },
        }
    }
    drop((listener, resp));
    drop(others);
    connections.finish().await;
    housekeeping.shutdown().await;
}

/// The next connection, if there is such a listener.
async fn accept_any(
    listener: Option<&tokio::net::TcpListener>,
) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Removes what is due, until the server stops. Reads never show it: a busy database can wait.
fn expire(shared: &Shared) {
    while !*shared.stop.borrow() {
        thread::sleep(EXPIRE_EVERY);
        for database in &shared.databases {
            if let Backend::Engine(local) = &database.backend {
                local.here_if_idle(Engine::expire_some);
                if let Some(log) = local.log() {
                    log.look();
                }
            }
        }
    }
}
