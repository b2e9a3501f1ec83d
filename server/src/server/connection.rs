//! One connection: TLS, HTTP/1.1, graceful end.

use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::patience::Patience;
use crate::rest::{Shared, handle};
use crate::sse::stopped;

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Counts a connection while it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections_open.fall();
    }
}

pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    shared.metrics.connections.add(1);
    shared.metrics.connections_open.rise();
    let _open = Open(Arc::clone(&shared));
    // Without it small answers wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return speak(TokioIo::new(stream), shared).await;
    };
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(TokioIo::new(stream), shared).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake timed out"),
    }
}

async fn speak<I: Read + Write + Unpin + Send + 'static>(io: I, shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let timeout = shared.limits.header_timeout;
    let patience = shared.limits.write_timeout;
    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_buf_size(256 << 10)
        .pipeline_flush(true)
        .serve_connection(Patience::new(io, patience), service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
}
