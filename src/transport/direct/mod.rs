//! A lean HTTP/1.1 connection pool for the one thing this client does: send, read, reuse.
//!
//! A general HTTP client costs as much time as the whole round trip to a near server, and half a
//! megabyte. What it offers beyond this (proxies, redirects, HTTP/2) comes by handing in a
//! `reqwest::Client`.
use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::try_unfold;
use tokio::{
    io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf},
    time::Instant,
};
use url::Url;

use super::{PieceStream, head::Head, tls::Roots};
use crate::protocol::error::{Delivery, Error, ErrorKind, Result};

mod connect;
mod response;
mod stream;

use response::{Reader, broken};
use stream::Stream;

/// Servers and balancers close idle connections after a minute or later.
const MAX_IDLE: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNECTIONS: usize = 16;

/// Connections to one server.
pub(crate) struct Direct {
    host: String,
    port: u16,
    #[cfg(feature = "rustls")]
    tls: Option<(
        tokio_rustls::TlsConnector,
        rustls::pki_types::ServerName<'static>,
    )>,
    connect_timeout: Duration,
    max_reply_bytes: usize,
    /// Every address that the host's name stands for must pass.
    may_connect: fn(IpAddr) -> bool,
    idle: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Direct {
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

    /// Refuses hosts with other addresses, looked at when they are connected to: what a name
    /// stands for may change between a check and its use.
    pub(crate) fn only_to(mut self, may_connect: fn(IpAddr) -> bool) -> Self {
        self.may_connect = may_connect;
        self
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a whole request, head and body, and reads the answer.
    pub(crate) async fn round_trip(
        &self,
        request: Vec<u8>,
        sent: &AtomicBool,
    ) -> Result<(Head, Bytes)> {
        let mut connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        sent.store(true, Ordering::Release);
        let written = connection.send(&request).await;
        let answer = connection.reader.answer(self.max_reply_bytes).await;
        let (head, body, reusable) = match (written, answer) {
            (Ok(()), answer) => answer?,
            // Some servers refuse a request before they have read all of it, and close.
            (Err(_), Ok((head, body, _))) if !head.status.is_success() => (head, body, false),
            (Err(broken), _) => return Err(broken),
        };
        if reusable {
            connection.since = Instant::now();
            let mut idle = self.idle();
            if idle.len() < MAX_IDLE_CONNECTIONS {
                idle.push(connection);
            }
        }
        Ok((head, body))
    }

    /// Sends a whole request and reads its answer as it comes, on a connection of its own.
    pub(super) async fn open(&self, request: Vec<u8>) -> Result<(Head, PieceStream)> {
        let mut connection = self.connect().await?;
        connection.send(&request).await?;
        let (head, rest) = connection.reader.opening().await?;
        let pieces = try_unfold(
            (connection, rest),
            |(mut connection, mut rest)| async move {
                let piece = connection.reader.piece(&mut rest).await?;
                Ok(piece.map(|piece| (piece, (connection, rest))))
            },
        );
        Ok((head, Box::pin(pieces)))
    }

    /// The connection used last, if it still lives.
    async fn reuse(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle().pop()?;
            if connection.since.elapsed() < MAX_IDLE && connection.is_alive().await {
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
        Ok(Connection {
            reader: Reader::new(stream),
            since: Instant::now(),
        })
    }
}

struct Connection {
    reader: Reader<Stream>,
    since: Instant,
}

impl Connection {
    /// Nothing came since the last answer, least of all an end.
    ///
    /// What TLS sends for itself, such as session tickets, does not count.
    async fn is_alive(&mut self) -> bool {
        let mut byte = [0];
        let mut stream = Pin::new(&mut self.reader.stream);
        std::future::poll_fn(|cx| {
            let read = stream.as_mut().poll_read(cx, &mut ReadBuf::new(&mut byte));
            Poll::Ready(read.is_pending())
        })
        .await
    }

    /// Sends all of a request.
    async fn send(&mut self, request: &[u8]) -> Result<()> {
        let stream = &mut self.reader.stream;
        stream.write_all(request).await.map_err(broken)?;
        stream.flush().await.map_err(broken)
    }
}
