//! Plain HTTP: a container, a virtual machine, a laptop, `restis dev`.

use super::{
    HostError, Stopping,
    linger::{Lingering, Unread, Watched},
};
use crate::ConfigError;
use crate::deferred::{AfterAnswer, Work};
use axum::{Extension, Router, extract::ConnectInfo, middleware::AddExtension};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use restis::variables::{Variables, get};
use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::TaskTracker;
use tower::{Layer as _, ServiceExt as _};

/// Requests and deferred work have this long to finish once the process is asked to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// The head of a request has this long to arrive, the first and every further one of a connection.
///
/// Longer than load balancers keep idle connections: they must be the ones to close them.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// Longest head of a request.
const HEAD_BYTES: usize = 64 * 1024;

pub(super) async fn run(app: Router) -> Result<(), HostError> {
    let mut vars = Variables::new(&get);
    let port = vars.parsed("PORT", |port| {
        let number = port.parse::<u16>();
        number.map_err(|_| "is not a port number")
    });
    let host = vars.text("HOST").unwrap_or_else(|| "0.0.0.0".into());
    if let Some(problems) = ConfigError::from_problems(vars.into_problems()) {
        return Err(HostError::Config(problems));
    }
    let port = port.unwrap_or(3000);
    let listener = TcpListener::bind((host.as_str(), port))
        .await
        .map_err(HostError::Bind)?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "listening");
    }
    serve(listener, app, terminated())
        .await
        .map_err(|e| HostError::Runtime(e.into()))
}

/// Serves until `stop` is ready, then finishes open requests and deferred work.
///
/// # Errors
/// None today: a connection that cannot be accepted is logged and the next one awaited.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let work = TaskTracker::new();
    let spawner = work.clone();
    let app = app.layer(Extension(AfterAnswer(Arc::new(move |work: Work| {
        spawner.spawn(work);
    }))));
    let connections = TaskTracker::new();
    let (stopping, stopped) = watch::channel(false);
    let stopped = Stopping::new(stopped);
    let app = app.layer(Extension(stopped.clone()));
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let app = Extension(ConnectInfo(peer)).layer(app.clone());
                connections.spawn(connection(stream, app, stopped.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection is not accepted");
                // Too many open files, say: it passes when others have ended.
                if !is_of_one_connection(&error) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(listener);
    let _ = stopping.send(true);
    for (tasks, which) in [(connections, "requests"), (work, "deferred work")] {
        tasks.close();
        if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
            tracing::warn!("{which} did not end within {DRAIN:?}");
        }
    }
    Ok(())
}

/// Serves one connection to its end; once `stopping`, to the end of its request.
async fn connection(
    stream: TcpStream,
    app: AddExtension<Router, ConnectInfo<SocketAddr>>,
    mut stopping: Stopping,
) {
    let _ = stream.set_nodelay(true);
    let unread = Unread::default();
    let stream = Lingering::new(stream, Unread::clone(&unread));
    let app = tower::service_fn(move |request: http::Request<Incoming>| {
        let unread = Unread::clone(&unread);
        let request = request.map(|body| Watched::new(body, unread));
        app.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stopping.begins() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// The client went away before it was accepted; the listener is well.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Ready when the process is asked to stop.
pub(super) async fn terminated() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
