//! The default transport: HTTP over own connections, or by a client that was handed in.
use std::{fmt, sync::OnceLock, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use url::Url;

use super::{
    Answer, BoxFuture, Exchange, FrameStream, Listen, Mode, Transport, answer, encode,
    head::Head,
    json::{self, Body},
    refusal::{refusal, transport_error},
    request::{Outgoing, SYNC_TOKEN, at_path},
    sse,
    tls::Roots,
};
#[cfg(not(target_family = "wasm"))]
use super::{
    direct,
    request::{fixed_head, whole_request},
};
use crate::{
    command::Args,
    error::{Delivery, Error, ErrorKind, Result},
    reply::Reply,
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
    base: Url,
    /// Paths of single commands, pipelines and transactions.
    paths: [String; 3],
    headers: HeaderMap,
    encoding: Encoding,
    max_reply_bytes: usize,
    /// Made when first needed: for subscriptions beside the lean connections.
    http: OnceLock<reqwest::Client>,
    connect_timeout: Duration,
    roots: Roots,
}

/// What carries the requests.
enum Carrier {
    /// A client that was handed in, or the only one on this platform.
    Reqwest,
    /// Own lean connections.
    #[cfg(not(target_family = "wasm"))]
    Direct {
        connections: direct::Direct,
        /// Host and all fixed headers.
        head: String,
    },
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("host", &self.base.host_str())
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// What a transport is made of.
pub(crate) struct Parts<'a> {
    pub(crate) http: Option<reqwest::Client>,
    pub(crate) base: &'a Url,
    pub(crate) token: &'a str,
    pub(crate) encoding: Encoding,
    pub(crate) telemetry: HeaderMap,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_reply_bytes: usize,
    /// PEM.
    pub(crate) root_certificates: Vec<u8>,
}

impl HttpTransport {
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self> {
        let Parts {
            http,
            base,
            token,
            encoding,
            telemetry,
            connect_timeout,
            max_reply_bytes,
            root_certificates,
        } = parts;
        let roots = Roots::new(root_certificates)?;
        let mut headers = telemetry;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Error::config("the token holds control characters"))?;
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
        let mut base = base.clone();
        base.set_query(None);
        base.set_fragment(None);
        let root = base.path().trim_end_matches('/').to_owned();
        #[cfg(not(target_family = "wasm"))]
        let carrier = match &http {
            None => match direct::Direct::new(&base, connect_timeout, max_reply_bytes, &roots)? {
                Some(connections) => Carrier::Direct {
                    connections,
                    head: fixed_head(&base, &headers),
                },
                None => Carrier::Reqwest,
            },
            Some(_) => Carrier::Reqwest,
        };
        #[cfg(target_family = "wasm")]
        let carrier = Carrier::Reqwest;
        let ready = OnceLock::new();
        if let Some(http) = http {
            let _ = ready.set(http);
        }
        Ok(Self {
            carrier,
            paths: [
                format!("{root}/"),
                format!("{root}/pipeline"),
                format!("{root}/multi-exec"),
            ],
            base,
            headers,
            encoding,
            max_reply_bytes,
            http: ready,
            connect_timeout,
            roots,
        })
    }

    fn reqwest(&self) -> Result<&reqwest::Client> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let made = self.roots.http_client(self.connect_timeout)?;
        Ok(self.http.get_or_init(|| made))
    }

    async fn run(&self, exchange: &Exchange) -> Result<Answer> {
        let outgoing = Outgoing::new(&self.paths, self.encoding, exchange)?;
        let request_bytes = outgoing.body.len();
        let (head, body) = match &self.carrier {
            Carrier::Reqwest => self.by_reqwest(exchange, outgoing).await?,
            #[cfg(not(target_family = "wasm"))]
            Carrier::Direct { connections, head } => {
                let request = whole_request(head, &outgoing, exchange);
                connections.post(request, &exchange.sent_flag()).await?
            }
        };
        let reply_bytes = body.len();
        let replies = answer::replies(self.encoding, exchange, &head, &body)?;
        Ok(Answer {
            replies,
            sync_token: head.sync_token,
            request_bytes,
            reply_bytes,
        })
    }

    async fn by_reqwest(
        &self,
        exchange: &Exchange,
        outgoing: Outgoing<'_>,
    ) -> Result<(Head, Bytes)> {
        let url = at_path(&self.base, &outgoing.path)?;
        let mut request = reqwest::Request::new(Method::POST, url);
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(outgoing.content_type),
        );
        if let Some((name, value)) = outgoing.wanted {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(token) = &exchange.sync_token {
            headers.insert(SYNC_TOKEN, token.0.clone());
        }
        *request.body_mut() = Some(tracked_body(outgoing.body, exchange));
        // Elsewhere the deadline is kept above the transport.
        if cfg!(target_family = "wasm") && exchange.timeout < Duration::MAX {
            *request.timeout_mut() = Some(exchange.timeout);
        }
        let sent = |e: reqwest::Error| transport_error(e, exchange.is_sent());
        let response = self.reqwest()?.execute(request).await.map_err(sent)?;
        let head = Head::of(&response);
        let status = head.status.as_u16();
        let body = self
            .read(response)
            .await
            .map_err(|e| e.with_status(status))?;
        Ok((head, body))
    }

    async fn open(&self, what: Listen) -> Result<FrameStream> {
        let command = match &what {
            Listen::Channels(_) => "subscribe",
            Listen::Patterns(_) => "psubscribe",
            Listen::Monitor => "monitor",
        };
        let path = format!("{}{}", self.paths[0], encode::path(command, what.names())?);
        let mut request = reqwest::Request::new(Method::POST, at_path(&self.base, &path)?);
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("text/event-stream"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let response = self
            .reqwest()?
            .execute(request)
            .await
            .map_err(|e| transport_error(e, true))?;
        let head = Head::of(&response);
        if head.status != StatusCode::OK || !head.is_event_stream {
            let body = self.read(response).await?;
            let refused = match json::parse(&body, false, 1) {
                Ok(Body::One(Reply::Error(e))) => Some(Body::One(Reply::Error(e))),
                _ => None,
            };
            return Err(refusal(Mode::Single, &head, refused));
        }
        let state = (Box::pin(response.bytes_stream()), sse::Parser::new(what));
        Ok(Box::pin(futures_util::stream::try_unfold(
            state,
            |(mut body, mut parser)| async move {
                loop {
                    if let Some(frame) = parser.next() {
                        return Ok(Some((frame, (body, parser))));
                    }
                    match body.next().await {
                        Some(Ok(bytes)) => parser.feed(&bytes)?,
                        Some(Err(e)) => return Err(transport_error(e, true)),
                        None => return Ok(None),
                    }
                }
            },
        )))
    }

    #[cfg(target_family = "wasm")]
    async fn read(&self, response: reqwest::Response) -> Result<Bytes> {
        let body = response
            .bytes()
            .await
            .map_err(|e| transport_error(e, true))?;
        if body.len() > self.max_reply_bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                Delivery::MaybeExecuted,
                "the reply exceeds the limit of this client",
            ));
        }
        Ok(body)
    }

    #[cfg(not(target_family = "wasm"))]
    async fn read(&self, mut response: reqwest::Response) -> Result<Bytes> {
        let too_large = || {
            Error::new(
                ErrorKind::TooLarge,
                Delivery::MaybeExecuted,
                "the reply exceeds the limit of this client",
            )
        };
        let declared = response.content_length();
        if declared.is_some_and(|n| n > self.max_reply_bytes as u64) {
            return Err(too_large());
        }
        let Some(first) = response
            .chunk()
            .await
            .map_err(|e| transport_error(e, true))?
        else {
            return Ok(Bytes::new());
        };
        if declared == Some(first.len() as u64) {
            return Ok(first);
        }
        let mut body = first.to_vec();
        loop {
            if body.len() > self.max_reply_bytes {
                return Err(too_large());
            }
            match response
                .chunk()
                .await
                .map_err(|e| transport_error(e, true))?
            {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => return Ok(body.into()),
            }
        }
    }
}

impl Transport for HttpTransport {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<Answer>> {
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
}

#[cfg(target_family = "wasm")]
fn tracked_body(body: Vec<u8>, exchange: &Exchange) -> reqwest::Body {
    exchange.mark_sent();
    body.into()
}

#[cfg(not(target_family = "wasm"))]
fn tracked_body(body: Vec<u8>, exchange: &Exchange) -> reqwest::Body {
    reqwest::Body::wrap(super::tracked::Body::new(body.into(), exchange.sent_flag()))
}
