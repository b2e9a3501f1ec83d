//! The default transport: HTTP on a pool of connections, or by a client that was handed in.
use std::{fmt, time::Duration};

use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

#[cfg(target_family = "wasm")]
use super::fetch_client::FetchClient;
#[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
use super::reqwest_client::ReqwestClient;
use super::{
    BoxFuture, Exchange, FrameStream, Listen, Mode, PieceStream, Transport, TransportResponse,
    refusal::{refusal, too_large},
    request::Outgoing,
    response,
    tls::Roots,
};
#[cfg(not(target_family = "wasm"))]
use super::{
    pool::HttpPool,
    request::{fixed_headers, subscription},
};
use crate::protocol::{
    command::Args,
    encode,
    error::{Error, Result},
    json_codec::{self as json, Body},
    reply::Reply,
    sse,
};

/// How the server is asked to write replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// JSON with base64 strings: every byte survives.
    #[default]
    Base64,
    /// JSON as it is: bytes that are not UTF-8 arrive as U+FFFD.
    Plain,
    /// RESP2: every byte survives and nothing is escaped; not every server has it.
    Resp2,
}

/// Executes exchanges as HTTP requests to the REST API.
pub struct HttpTransport {
    carrier: Carrier,
    host: String,
    port: u16,
    /// Paths of single commands, pipelines and transactions.
    paths: [String; 3],
    encoding: Encoding,
    max_reply_bytes: usize,
}

/// What carries the requests.
enum Carrier {
    /// A client that was handed in.
    #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
    Reqwest(ReqwestClient),
    /// The host's `fetch`.
    #[cfg(target_family = "wasm")]
    Fetch(FetchClient),
    /// Connections of its own.
    #[cfg(not(target_family = "wasm"))]
    Pool {
        pool: HttpPool,
        /// Headers of every request.
        headers: HeaderMap,
    },
}

impl Carrier {
    #[cfg(not(target_family = "wasm"))]
    fn pool(
        parts: &Parts<'_>,
        base: &Url,
        headers: &HeaderMap,
        roots: &Roots,
    ) -> Result<Option<Self>> {
        let pool = HttpPool::new(base, parts.connect_timeout, parts.max_reply_bytes, roots)?;
        Ok(pool.map(|pool| Self::Pool {
            pool,
            headers: fixed_headers(base, headers),
        }))
    }

    #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
    fn new(parts: &Parts<'_>, base: Url, headers: HeaderMap, roots: &Roots) -> Result<Self> {
        if let Some(client) = &parts.http {
            return Ok(Self::Reqwest(ReqwestClient::new(
                client.clone(),
                base,
                headers,
            )));
        }
        if let Some(pool) = Self::pool(parts, &base, &headers, roots)? {
            return Ok(pool);
        }
        // A program may have given the crate reqwest a TLS that this one lacks.
        let client = ReqwestClient::client(parts.connect_timeout)?;
        Ok(Self::Reqwest(ReqwestClient::new(client, base, headers)))
    }

    #[cfg(all(not(feature = "reqwest"), not(target_family = "wasm")))]
    fn new(parts: &Parts<'_>, base: Url, headers: HeaderMap, roots: &Roots) -> Result<Self> {
        Self::pool(parts, &base, &headers, roots)?
            .ok_or_else(|| Error::config("https needs the feature rustls or reqwest"))
    }

    #[cfg(target_family = "wasm")]
    fn new(_: &Parts<'_>, base: Url, headers: HeaderMap, _: &Roots) -> Result<Self> {
        Ok(Self::Fetch(FetchClient::new(base, headers)))
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("host", &self.host)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// What a transport is made of.
pub(crate) struct Parts<'a> {
    #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
    pub(crate) http: Option<reqwest::Client>,
    pub(crate) base: &'a Url,
    pub(crate) token: &'a str,
    pub(crate) encoding: Encoding,
    pub(crate) telemetry: HeaderMap,
    #[cfg_attr(
        target_family = "wasm",
        expect(dead_code, reason = "the host makes the connections there")
    )]
    pub(crate) connect_timeout: Duration,
    pub(crate) max_reply_bytes: usize,
    /// PEM.
    pub(crate) root_certificates: Vec<u8>,
}

impl HttpTransport {
    pub(crate) fn new(mut parts: Parts<'_>) -> Result<Self> {
        let roots = Roots::new(std::mem::take(&mut parts.root_certificates))?;
        let mut headers = std::mem::take(&mut parts.telemetry);
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", parts.token))
            .map_err(|_| Error::config("the token holds control characters"))?;
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
        let mut base = parts.base.clone();
        base.set_query(None);
        base.set_fragment(None);
        let root = base.path().trim_end_matches('/').to_owned();
        Ok(Self {
            host: base.host_str().unwrap_or_default().to_owned(),
            port: base.port_or_known_default().unwrap_or_default(),
            carrier: Carrier::new(&parts, base, headers, &roots)?,
            paths: [
                format!("{root}/"),
                format!("{root}/pipeline"),
                format!("{root}/multi-exec"),
            ],
            encoding: parts.encoding,
            max_reply_bytes: parts.max_reply_bytes,
        })
    }

    async fn run(&self, exchange: &Exchange) -> Result<TransportResponse> {
        let outgoing = Outgoing::new(&self.paths, self.encoding, exchange)?;
        let request_bytes = outgoing.body.len();
        let (head, body) = match &self.carrier {
            #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
            Carrier::Reqwest(client) => {
                client
                    .post(exchange, outgoing, self.max_reply_bytes)
                    .await?
            }
            #[cfg(target_family = "wasm")]
            Carrier::Fetch(client) => {
                client
                    .post(exchange, outgoing, self.max_reply_bytes)
                    .await?
            }
            #[cfg(not(target_family = "wasm"))]
            Carrier::Pool { pool, headers } => {
                let request = outgoing.into_request(headers, exchange)?;
                pool.send(request, &exchange.sent_flag()).await?
            }
        };
        let reply_bytes = body.len();
        let replies = response::replies(self.encoding, exchange, &head, &body)?;
        Ok(TransportResponse {
            replies,
            sync_token: head.sync_token,
            request_bytes,
            reply_bytes,
            status: Some(head.status.as_u16()),
        })
    }

    async fn open(&self, what: Listen) -> Result<FrameStream> {
        let command = match &what {
            Listen::Channels(_) => "subscribe",
            Listen::Patterns(_) => "psubscribe",
            Listen::Monitor => "monitor",
        };
        let path = format!("{}{}", self.paths[0], encode::path(command, what.names())?);
        let (head, pieces) = match &self.carrier {
            #[cfg(all(feature = "reqwest", not(target_family = "wasm")))]
            Carrier::Reqwest(client) => client.open(&path).await?,
            #[cfg(target_family = "wasm")]
            Carrier::Fetch(client) => client.open(&path).await?,
            #[cfg(not(target_family = "wasm"))]
            Carrier::Pool { pool, headers } => pool.open(subscription(headers, &path)?).await?,
        };
        if head.status != StatusCode::OK || !head.is_event_stream {
            let body = self.whole(pieces).await?;
            let refused = match json::parse(&body, false, 1) {
                Ok(Body::One(Reply::Error(e))) => Some(Body::One(Reply::Error(e))),
                _ => None,
            };
            return Err(refusal(Mode::Single, &head, refused));
        }
        let state = (pieces, sse::Parser::new(what, head.stream_encoding));
        Ok(Box::pin(futures_util::stream::try_unfold(
            state,
            |(mut pieces, mut parser)| async move {
                loop {
                    if let Some(frame) = parser.next() {
                        return Ok(Some((frame, (pieces, parser))));
                    }
                    match pieces.next().await {
                        Some(piece) => parser.feed(&piece?)?,
                        None => return Ok(None),
                    }
                }
            },
        )))
    }

    /// The whole of a body that turned out to be no stream.
    async fn whole(&self, mut pieces: PieceStream) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece?);
            if body.len() > self.max_reply_bytes {
                return Err(too_large());
            }
        }
        Ok(body)
    }
}

impl Transport for HttpTransport {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        Box::pin(self.run(exchange))
    }

    fn listen(&self, what: Listen) -> BoxFuture<'_, Result<FrameStream>> {
        Box::pin(self.open(what))
    }

    fn can_batch(&self, command: &Args) -> bool {
        command.is_utf8()
    }

    fn sends_at_once(&self) -> bool {
        cfg!(target_family = "wasm")
    }

    fn server_address(&self) -> Option<(&str, u16)> {
        Some((&self.host, self.port))
    }
}
