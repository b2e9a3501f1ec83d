//! One connection: TLS, then HTTP/1.1 or the Redis protocol, graceful end.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::patience::Patience;
use super::peer::Peer;
use crate::resp;
use crate::rest::{Shared, handle};
use crate::sse::stopped;

/// What is spoken at a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Redis,
}

/// Most bytes of a request's head, and of what is read ahead.
const BUFFER: usize = 128 << 10;
/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Counts a connection while it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.metrics.connections_open.fall();
    }
}

pub(super) async fn serve(
    stream: TcpStream,
    peer: Peer,
    shared: Arc<Shared>,
    (tls, protocol): (Option<TlsAcceptor>, Protocol),
) {
    let peer = Arc::new(peer);
    shared.metrics.connections.add(1);
    shared.metrics.connections_open.rise();
    let _open = Open(Arc::clone(&shared));
    // Without it small answers wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let ends = stream
        .peer_addr()
        .and_then(|peer| Ok((peer, stream.local_addr()?)));
    let Ok(ends) = ends else {
        return;
    };
    let Some(tls) = tls else {
        return match protocol {
            Protocol::Http => speak(stream, peer, shared).await,
            Protocol::Redis => resp::serve(stream, ends, peer, shared).await,
        };
    };
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => match protocol {
            Protocol::Http => speak(stream, peer, shared).await,
            Protocol::Redis => resp::serve(stream, ends, peer, shared).await,
        },
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake timed out"),
    }
}

/// Serves a connection of the same process.
pub(super) async fn serve_in_process(stream: DuplexStream, peer: Peer, shared: Arc<Shared>) {
    shared.metrics.connections.add(1);
    shared.metrics.connections_open.rise();
    let _open = Open(Arc::clone(&shared));
    speak(stream, Arc::new(peer), shared).await;
}

async fn speak<I>(io: I, peer: Arc<Peer>, shared: Arc<Shared>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = shared.stop.clone();
    let io = Patience::new(io, Arc::clone(&peer), shared.limits);
    let service =
        service_fn(move |request| handle(Arc::clone(&shared), Arc::clone(&peer), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // The socket keeps the time: hyper knows one for heads and idle connections alike.
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(io), service);
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
