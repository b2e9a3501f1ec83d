//! Plain HTTP: a container, a virtual machine, a laptop, `restis dev`.

use super::HostError;
use crate::deferred::{AfterAnswer, Work};
use axum::{Extension, Router};
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::task::TaskTracker;

/// Requests and deferred work have this long to finish once the process is asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// True once the process is asked to stop: streams take their leave.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(crate) fn now(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the process is asked to stop.
    pub(crate) async fn begins(&mut self) {
        if self.0.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

pub(super) async fn run(app: Router) -> Result<(), HostError> {
    let port = std::env::var("PORT")
        .ok()
        .filter(|p| !p.is_empty())
        .unwrap_or_else(|| "3000".into());
    let port: u16 = port.parse().map_err(|_| {
        HostError::Bind(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "PORT is not a port number",
        ))
    })?;
    let host = std::env::var("HOST")
        .ok()
        .filter(|h| !h.is_empty())
        .unwrap_or_else(|| "0.0.0.0".into());
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
/// The listener's error.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let tracker = TaskTracker::new();
    let spawner = tracker.clone();
    let after = AfterAnswer(Arc::new(move |work: Work| {
        spawner.spawn(work);
    }));
    let (stopping, stopped) = watch::channel(false);
    let mut stopped = Stopping(stopped);
    let service = app
        .layer(Extension(after))
        .layer(Extension(stopped.clone()))
        .into_make_service_with_connect_info::<SocketAddr>();
    let graceful = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop.await;
        let _ = stopping.send(true);
    });
    let deadline = async move {
        stopped.begins().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = async { graceful.await } => result?,
        () = deadline => tracing::warn!("requests were still open after {DRAIN:?}"),
    }
    tracker.close();
    if tokio::time::timeout(DRAIN, tracker.wait()).await.is_err() {
        tracing::warn!("deferred work was still running after {DRAIN:?}");
    }
    Ok(())
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
