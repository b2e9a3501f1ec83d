//! A pool of HTTP/1.1 connections to one server.
//!
//! Each connection is driven by the request that uses it: nothing is spawned, and between requests
//! nothing runs.
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::Request;
use tokio::time::Instant;
use url::Url;

use super::{PieceStream, body::RequestBody, head::Head, tls::Roots};
use crate::protocol::error::{Delivery, Error, ErrorKind, Result};

mod connect;
mod connection;
mod stream;

use connection::Connection;
use stream::Stream;

/// Servers and balancers close idle connections after a minute or later.
const MAX_IDLE: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNECTIONS: usize = 64;

/// Connections to one server.
pub(crate) struct HttpPool {
    host: String,
    port: u16,
    #[cfg(feature = "rustls")]
    tls: Option<(
        tokio_rustls::TlsConnector,
        rustls::pki_types::ServerName<'static>,
    )>,
    connect_timeout: Duration,
    max_reply_bytes: usize,
    /// Every address of the host must pass.
    may_connect: fn(IpAddr) -> bool,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl std::fmt::Debug for HttpPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpPool")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl HttpPool {
    /// `None` for a URL that this build cannot reach.
    pub(crate) fn new(
        base: &Url,
        connect_timeout: Duration,
        max_reply_bytes: usize,
        roots: &Roots,
    ) -> Result<Option<Self>> {
        let (Some(host), Some(port)) = (base.host(), base.port_or_known_default()) else {
            return Ok(None);
        };
        // Without brackets, as resolvers and certificates want it.
        let host = match host {
            url::Host::Ipv6(ip) => ip.to_string(),
            other => other.to_string(),
        };
        #[cfg(feature = "rustls")]
        let tls = if base.scheme() == "https" {
            let name = rustls::pki_types::ServerName::try_from(host.clone()).map_err(|_| {
                Error::config("the REST URL has a host that no certificate can name")
            })?;
            let config = std::sync::Arc::new(roots.config()?);
            Some((tokio_rustls::TlsConnector::from(config), name))
        } else {
            None
        };
        #[cfg(not(feature = "rustls"))]
        if base.scheme() == "https" {
            let _ = roots;
            return Ok(None);
        }
        Ok(Some(Self {
            host,
            port,
            #[cfg(feature = "rustls")]
            tls,
            connect_timeout,
            max_reply_bytes,
            may_connect: |_| true,
            idle: Mutex::default(),
        }))
    }

    /// Refuses hosts with other addresses. They are checked when a connection is made, because
    /// a name may change its addresses between a check and its use.
    #[cfg(feature = "events")]
    pub(crate) fn only_to(mut self, may_connect: fn(IpAddr) -> bool) -> Self {
        self.may_connect = may_connect;
        self
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// `Connect`; `Interrupted` for an early end and for what is not HTTP; `TooLarge`.
    pub(crate) async fn send(
        &self,
        mut request: Request<RequestBody>,
        sent: &AtomicBool,
    ) -> Result<(Head, Bytes)> {
        let (mut connection, response) = loop {
            let mut connection = match self.reuse().await {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            sent.store(true, Ordering::Release);
            match connection.request(request).await {
                Ok(response) => break (connection, response),
                // The connection was closed before a byte of the request was written.
                Err((error, Some(unsent))) => {
                    sent.store(false, Ordering::Release);
                    if !connection.is_reused() {
                        return Err(error.with_delivery(Delivery::NotSent));
                    }
                    request = unsent;
                }
                Err((error, None)) => return Err(error),
            }
        };
        let head = Head::new(response.status(), response.headers());
        let body = connection
            .body(response, self.max_reply_bytes)
            .await
            .map_err(|e| e.with_status(head.status.as_u16()))?;
        if connection.is_ready().await {
            let mut idle = self.idle();
            if idle.len() < MAX_IDLE_CONNECTIONS {
                idle.push((connection, Instant::now()));
            }
        }
        Ok((head, body))
    }

    /// Sends a request on a connection of its own and returns the response body as it arrives.
    pub(super) async fn open(&self, request: Request<RequestBody>) -> Result<(Head, PieceStream)> {
        let mut connection = self.connect().await?;
        let response = connection.request(request).await.map_err(|(e, _)| e)?;
        let head = Head::new(response.status(), response.headers());
        let state = (connection, response.into_body());
        let pieces = try_unfold(state, |(mut connection, mut body)| async move {
            let piece = connection.piece(&mut body).await?;
            Ok(piece.map(|piece| (piece, (connection, body))))
        });
        Ok((head, Box::pin(pieces)))
    }

    /// The connection used last, if it is still open.
    async fn reuse(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.idle().pop()?;
            if since.elapsed() < MAX_IDLE && connection.is_ready().await {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let failed = |why: &'static str| {
            move |e: io::Error| {
                Error::new(ErrorKind::Connect, Delivery::NotSent, why).with_source(e)
            }
        };
        let connecting = async {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((&*self.host, self.port))
                .await
                .map_err(failed("the name of the server is unknown"))?
                .collect();
            if !addresses.iter().all(|a| (self.may_connect)(a.ip())) {
                let error = io::ErrorKind::PermissionDenied.into();
                return Err(failed("an address of the server is not allowed")(error));
            }
            let tcp = connect::first_of(addresses)
                .await
                .map_err(failed("no connection to the server"))?;
            tcp.set_nodelay(true)
                .map_err(failed("no connection to the server"))?;
            #[cfg(feature = "rustls")]
            if let Some((connector, name)) = &self.tls {
                let stream = connector
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(failed("the TLS handshake failed"))?;
                return Ok(Stream::Tls(Box::new(stream)));
            }
            Ok(Stream::Tcp(tcp))
        };
        let stream = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .unwrap_or_else(|_| {
                Err(failed("no connection in time")(
                    io::ErrorKind::TimedOut.into(),
                ))
            })?;
        Connection::new(stream).await
    }
}
