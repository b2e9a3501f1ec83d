//! A lean HTTP/1.1 connection pool for the one thing this client does: POST, read, reuse.
//!
//! A general HTTP client costs as much time as the whole round trip to a near server. What it
//! offers beyond this (proxies, redirects, HTTP/2) comes by handing in a `reqwest::Client`.
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use url::Url;

use crate::error::{Delivery, Error, ErrorKind, Result};

/// Servers and balancers close idle connections after a minute or later.
const MAX_IDLE: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNECTIONS: usize = 16;
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;

/// An answer as it came, headers reduced to those that mean something here.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) status: u16,
    pub(super) content_type: Vec<u8>,
    pub(super) sync_token: Vec<u8>,
    pub(super) retry_after: Vec<u8>,
    pub(super) body: Bytes,
}

/// Connections to one server.
pub(super) struct Direct {
    host: String,
    port: u16,
    #[cfg(feature = "rustls")]
    tls: Option<(
        tokio_rustls::TlsConnector,
        rustls::pki_types::ServerName<'static>,
    )>,
    connect_timeout: Duration,
    max_reply_bytes: usize,
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
    pub(super) fn new(
        base: &Url,
        connect_timeout: Duration,
        max_reply_bytes: usize,
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
            let config = Arc::new(crate::config::tls_config()?);
            Some((tokio_rustls::TlsConnector::from(config), name))
        } else {
            None
        };
        #[cfg(not(feature = "rustls"))]
        if base.scheme() == "https" {
            return Ok(None);
        }
        Ok(Some(Self {
            host,
            port,
            #[cfg(feature = "rustls")]
            tls,
            connect_timeout,
            max_reply_bytes,
            idle: Mutex::default(),
        }))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a whole request, head and body, and reads the answer.
    pub(super) async fn post(&self, request: Vec<u8>, sent: &Arc<AtomicBool>) -> Result<Incoming> {
        let mut connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        sent.store(true, Ordering::Release);
        let (incoming, reusable) = connection.exchange(&request, self.max_reply_bytes).await?;
        if reusable {
            connection.since = Instant::now();
            let mut idle = self.idle();
            if idle.len() < MAX_IDLE_CONNECTIONS {
                idle.push(connection);
            }
        }
        Ok(incoming)
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
            let addresses: Vec<_> = tokio::net::lookup_host((&*self.host, self.port))
                .await
                .map_err(failed("the name of the server is unknown"))?
                .collect();
            // One address that swallows packets must not take the time of the others.
            let share = self.connect_timeout / u32::try_from(addresses.len()).unwrap_or(1).max(1);
            let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
            let mut open = None;
            for address in addresses {
                match tokio::time::timeout(share, TcpStream::connect(address)).await {
                    Ok(Ok(stream)) => {
                        open = Some(stream);
                        break;
                    }
                    Ok(Err(e)) => last = e,
                    Err(_) => last = io::ErrorKind::TimedOut.into(),
                }
            }
            let Some(tcp) = open else {
                return Err(failed("no connection to the server")(last));
            };
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
            stream,
            buffer: BytesMut::new(),
            since: Instant::now(),
        })
    }
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            #[cfg(feature = "rustls")]
            Self::Tls(tls) => tls.get_mut().0,
        }
    }
}

macro_rules! forward {
    ($self:ident, $cx:ident, $method:ident $(, $arg:expr)*) => {
        match &mut *$self {
            Stream::Tcp(s) => Pin::new(s).$method($cx $(, $arg)*),
            #[cfg(feature = "rustls")]
            Stream::Tls(s) => Pin::new(s).$method($cx $(, $arg)*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, cx, poll_read, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, cx, poll_write, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, cx, poll_flush)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, cx, poll_shutdown)
    }
}

struct Connection {
    stream: Stream,
    /// Read and not yet understood; empty between exchanges.
    buffer: BytesMut,
    since: Instant,
}

fn broken(e: io::Error) -> Error {
    Error::new(
        ErrorKind::Interrupted,
        Delivery::MaybeExecuted,
        "connection broke",
    )
    .with_source(e)
}

fn malformed(why: &'static str) -> Error {
    Error::new(ErrorKind::Interrupted, Delivery::MaybeExecuted, why)
}

fn too_large() -> Error {
    let why = "the reply exceeds the limit of this client";
    Error::new(ErrorKind::TooLarge, Delivery::MaybeExecuted, why)
}

/// How the end of a body is known.
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

impl Connection {
    /// Nothing came since the last answer, least of all an end.
    async fn is_alive(&mut self) -> bool {
        let mut byte = [0];
        let tls = !matches!(self.stream, Stream::Tcp(_));
        let tcp = self.stream.tcp();
        std::future::poll_fn(|cx| {
            Poll::Ready(match tcp.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
                Poll::Pending => true,
                // TLS may send session tickets at any time.
                Poll::Ready(Ok(n)) => n > 0 && tls,
                Poll::Ready(Err(_)) => false,
            })
        })
        .await
    }

    /// One request and its answer; whether the connection can be used again.
    async fn exchange(&mut self, request: &[u8], max: usize) -> Result<(Incoming, bool)> {
        self.stream.write_all(request).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        loop {
            let (mut incoming, framing, keep) = self.head().await?;
            // Informational answers come before the real one.
            if incoming.status < 200 {
                continue;
            }
            let framing = if matches!(incoming.status, 204 | 304) {
                Framing::Length(0)
            } else {
                framing
            };
            let status = incoming.status;
            let closes = matches!(framing, Framing::UntilClose);
            incoming.body = self
                .body(framing, max)
                .await
                .map_err(|e| e.with_status(status))?;
            let reusable = keep && !closes && self.buffer.is_empty();
            return Ok((incoming, reusable));
        }
    }

    /// Reads more; an end here is a break.
    async fn more(&mut self) -> Result<()> {
        self.buffer.reserve(8 * 1024);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(e) => Err(broken(e)),
        }
    }

    async fn head(&mut self) -> Result<(Incoming, Framing, bool)> {
        loop {
            if let Some((head, length)) = parse_head(&self.buffer)? {
                let _ = self.buffer.split_to(length);
                return Ok(head);
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(malformed("the head of the answer is too long"));
            }
            self.more().await?;
        }
    }

    async fn body(&mut self, framing: Framing, max: usize) -> Result<Bytes> {
        match framing {
            Framing::Length(length) => {
                if length > max {
                    return Err(too_large());
                }
                self.need(length).await?;
                Ok(self.buffer.split_to(length).freeze())
            }
            Framing::Chunked => self.chunks(max).await,
            Framing::UntilClose => loop {
                if self.buffer.len() > max {
                    return Err(too_large());
                }
                self.buffer.reserve(8 * 1024);
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) => return Ok(self.buffer.split().freeze()),
                    Ok(_) => {}
                    Err(e) => return Err(broken(e)),
                }
            },
        }
    }

    async fn need(&mut self, bytes: usize) -> Result<()> {
        while self.buffer.len() < bytes {
            self.buffer.reserve(bytes - self.buffer.len());
            self.more().await?;
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<BytesMut> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                if line.last() == Some(&b'\r') {
                    line.truncate(end - 1);
                }
                return Ok(line);
            }
            if self.buffer.len() > 8 * 1024 {
                return Err(malformed("a chunk of the answer is malformed"));
            }
            self.more().await?;
        }
    }

    async fn chunks(&mut self, max: usize) -> Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = self.line().await?;
            let size = line[..]
                .split(|b| *b == b';')
                .next()
                .unwrap_or_default()
                .trim_ascii();
            let size = std::str::from_utf8(size)
                .ok()
                .filter(|s| s.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|s| usize::from_str_radix(s, 16).ok())
                .ok_or_else(|| malformed("a chunk of the answer is malformed"))?;
            if size == 0 {
                // Trailers mean nothing here.
                while !self.line().await?.is_empty() {}
                return Ok(body.freeze());
            }
            if size > max.saturating_sub(body.len()) {
                return Err(too_large());
            }
            self.need(size + 2).await?;
            body.extend_from_slice(&self.buffer.split_to(size));
            if &self.buffer.split_to(2)[..] != b"\r\n" {
                return Err(malformed("a chunk of the answer is malformed"));
            }
        }
    }
}

type Head = (Incoming, Framing, bool);

fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(malformed("the answer is not HTTP")),
    };
    let mut incoming = Incoming {
        status: response.code.unwrap_or_default(),
        content_type: Vec::new(),
        sync_token: Vec::new(),
        retry_after: Vec::new(),
        body: Bytes::new(),
    };
    let mut framing = Framing::UntilClose;
    let mut keep = response.version == Some(1);
    for header in response.headers.iter() {
        let value = header.value;
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let length = std::str::from_utf8(value)
                .ok()
                .and_then(|v| v.trim().parse().ok());
            let length =
                length.ok_or_else(|| malformed("the length of the answer is malformed"))?;
            match framing {
                Framing::Length(other) if other != length => {
                    return Err(malformed("the answer has two lengths"));
                }
                // Chunked wins over a length, and such a connection is not trusted further.
                Framing::Chunked => keep = false,
                _ => framing = Framing::Length(length),
            }
        } else if is("transfer-encoding") {
            if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(malformed("the answer has an unknown transfer encoding"));
            }
            keep &= !matches!(framing, Framing::Length(_));
            framing = Framing::Chunked;
        } else if is("connection") {
            let tokens = value.split(|b| *b == b',');
            for token in tokens.map(<[u8]>::trim_ascii) {
                keep &= !token.eq_ignore_ascii_case(b"close");
            }
        } else if is("content-type") {
            incoming.content_type = value.to_vec();
        } else if is("upstash-sync-token") {
            incoming.sync_token = value.to_vec();
        } else if is("retry-after") {
            incoming.retry_after = value.to_vec();
        }
    }
    Ok(Some(((incoming, framing, keep), length)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use tokio::net::TcpListener;

    /// What a client reads from a server that sends `answer` and closes.
    async fn read(answer: &'static [u8], max: usize) -> Result<(Incoming, usize)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 64]).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream
        });
        let url = Url::parse(&url).unwrap();
        let direct = Direct::new(&url, Duration::from_secs(5), max)
            .unwrap()
            .unwrap();
        let sent = Arc::default();
        // Dropping the server's end closes the connection.
        let (incoming, stream) = tokio::join!(direct.post(b"x".to_vec(), &sent), async {
            serving.await.map(drop)
        });
        stream.unwrap();
        let idle = direct.idle().len();
        incoming.map(|incoming| (incoming, idle))
    }

    #[tokio::test]
    async fn every_framing_is_read_and_only_sound_connections_are_kept() {
        for (answer, body, kept) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"[..], "hi", 1),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nt: v\r\n\r\n", "hi", 1),
            (b"HTTP/1.1 200 OK\r\n\r\nhi", "hi", 0),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 0),
            (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi", "hi", 0),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi surplus", "hi", 0),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 0),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 1),
            (b"HTTP/1.1 204 No Content\r\n\r\n", "", 1),
        ] {
            let text = String::from_utf8_lossy(answer);
            let (incoming, idle) = read(answer, 100).await.unwrap();
            assert_eq!(incoming.body, body, "{text}");
            assert_eq!(idle, kept, "{text}");
        }
    }

    #[tokio::test]
    async fn broken_answers_may_have_been_executed() {
        for answer in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
            b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhixx0\r\n\r\n",
            b"220 smtp.example.com ESMTP\r\n",
        ] {
            let text = String::from_utf8_lossy(answer);
            let error = read(answer, 100).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{text}");
            assert_eq!(error.delivery(), Delivery::MaybeExecuted, "{text}");
        }
    }

    #[tokio::test]
    async fn an_answer_above_the_limit_is_refused_in_every_framing() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n123456789",
        ] {
            let error = read(answer, 8).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge);
        }
    }
}
