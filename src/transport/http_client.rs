//! The default transport: HTTP by reqwest.
use std::{borrow::Cow, fmt, sync::OnceLock, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;

#[cfg(not(target_family = "wasm"))]
use super::direct;
use super::{
    Answer, BoxFuture, Exchange, FrameStream, Listen, Mode, SyncToken, Transport, encode,
    json::{self, Body, Malformed},
    resp, sse,
};
use crate::{
    command::Args,
    error::{Delivery, Error, ErrorKind, Result},
    reply::{Reply, ServerError},
};

const SYNC_TOKEN: HeaderName = HeaderName::from_static("upstash-sync-token");
const ENCODING: HeaderName = HeaderName::from_static("upstash-encoding");
const FORMAT: HeaderName = HeaderName::from_static("upstash-response-format");

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

/// One request, before a carrier gives it its form.
struct Outgoing<'a> {
    path: Cow<'a, str>,
    content_type: &'static str,
    /// The header that asks for an encoding of the reply.
    wanted: Option<(HeaderName, &'static str)>,
    body: Vec<u8>,
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
        } = parts;
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
            None => match direct::Direct::new(&base, connect_timeout, max_reply_bytes)? {
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
        })
    }

    fn reqwest(&self) -> Result<&reqwest::Client> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let made = crate::config::http_client(self.connect_timeout)?;
        Ok(self.http.get_or_init(|| made))
    }

    fn outgoing(&self, exchange: &Exchange) -> Result<Outgoing<'_>> {
        let first = exchange
            .commands
            .first()
            .ok_or_else(|| Error::invalid_input("no command"))?;
        let mut body = Vec::new();
        let (path, written) = match exchange.mode {
            Mode::Single => (&self.paths[0], encode::command(first, &mut body)),
            Mode::Pipeline => (
                &self.paths[1],
                encode::commands(&exchange.commands, &mut body),
            ),
            Mode::Transaction => (
                &self.paths[2],
                encode::commands(&exchange.commands, &mut body),
            ),
        };
        let wanted = match (self.encoding, exchange.mode) {
            (Encoding::Plain, _) => None,
            (Encoding::Resp2, Mode::Single | Mode::Pipeline) => Some((FORMAT, "resp2")),
            // Transactions answer in JSON only.
            (Encoding::Resp2, Mode::Transaction) | (Encoding::Base64, _) => {
                Some((ENCODING, "base64"))
            }
        };
        if written {
            let path = Cow::Borrowed(path.as_str());
            return Ok(Outgoing {
                path,
                content_type: "application/json",
                wanted,
                body,
            });
        }
        if exchange.mode != Mode::Single {
            return Err(Error::invalid_input(
                "a transaction cannot carry bytes that are not UTF-8; use a script or encode them",
            ));
        }
        let (path, body) = encode::path_and_body(first)?;
        Ok(Outgoing {
            path: format!("{}{path}", self.paths[0]).into(),
            content_type: "application/octet-stream",
            wanted,
            body,
        })
    }

    async fn run(&self, exchange: &Exchange) -> Result<Answer> {
        let outgoing = self.outgoing(exchange)?;
        let request_bytes = outgoing.body.len();
        let (head, body) = match &self.carrier {
            Carrier::Reqwest => self.by_reqwest(exchange, outgoing).await?,
            #[cfg(not(target_family = "wasm"))]
            Carrier::Direct { connections, head } => {
                let request = whole_request(head, &outgoing, exchange);
                let incoming = connections.post(request, &exchange.sent_flag()).await?;
                (Head::of_incoming(&incoming)?, incoming.body)
            }
        };
        let reply_bytes = body.len();
        let replies = self.interpret(exchange, &head, &body)?;
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

    fn interpret(&self, exchange: &Exchange, head: &Head, body: &Bytes) -> Result<Vec<Reply>> {
        let status = head.status.as_u16();
        let expect = exchange.commands.len();
        let parsed = self.parse(head, body, exchange, expect);
        match status {
            200..=299 => {}
            400 if exchange.mode == Mode::Single => {}
            _ => return Err(refusal(exchange.mode, head, parsed.ok())),
        }
        let replies = match parsed {
            Ok(Body::Many(replies)) if exchange.mode != Mode::Single => replies,
            Ok(Body::One(reply)) if exchange.mode == Mode::Single => {
                return if status == 400 && !matches!(reply, Reply::Error(_)) {
                    Err(Error::protocol("status 400 without an error").with_status(status))
                } else {
                    Ok(vec![reply])
                };
            }
            Ok(Body::One(reply @ Reply::Error(_))) => {
                return Err(refusal(exchange.mode, head, Some(Body::One(reply))));
            }
            Ok(_) => return Err(Error::protocol("answer of another form").with_status(status)),
            Err(why) if head.is_page() => return Err(gateway(head, why)),
            Err(why) => return Err(Error::protocol(why).with_status(status)),
        };
        if replies.len() != expect {
            let why = format!("{} replies to {expect} commands", replies.len());
            return Err(Error::protocol(why).with_status(status));
        }
        Ok(replies)
    }

    fn parse(
        &self,
        head: &Head,
        body: &Bytes,
        exchange: &Exchange,
        expect: usize,
    ) -> Result<Body, Malformed> {
        match head.format {
            Format::Resp => {
                let mut replies = resp::parse(body, expect)?;
                if exchange.mode == Mode::Single || !head.status.is_success() {
                    let reply = replies.pop().ok_or("empty body")?;
                    return if replies.is_empty() {
                        Ok(Body::One(reply))
                    } else {
                        Err("more than one reply")
                    };
                }
                Ok(Body::Many(replies))
            }
            Format::Json => {
                let base64 = match self.encoding {
                    Encoding::Base64 => true,
                    Encoding::Plain => false,
                    Encoding::Resp2 => exchange.mode == Mode::Transaction,
                };
                json::parse(body, base64, expect)
            }
            Format::Other => Err("neither JSON nor RESP2"),
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

/// The base URL with another path, which is percent-encoded already.
fn at_path(base: &Url, path: &str) -> Result<Url> {
    let mut url = base.clone();
    url.set_path(path);
    if url.path() == path {
        Ok(url)
    } else {
        Err(Error::invalid_input(
            "command cannot be written as a URL path",
        ))
    }
}

/// Host and fixed headers, as they go over the wire.
#[cfg(not(target_family = "wasm"))]
fn fixed_head(base: &Url, headers: &HeaderMap) -> String {
    let mut head = String::from("host: ");
    head += base.host_str().unwrap_or_default();
    if let Some(port) = base.port() {
        head += ":";
        head += &port.to_string();
    }
    head += "\r\n";
    for (name, value) in headers {
        // Values come from here and are visible ASCII.
        if let Ok(value) = value.to_str() {
            head.extend([name.as_str(), ": ", value, "\r\n"]);
        }
    }
    head
}

#[cfg(not(target_family = "wasm"))]
fn whole_request(fixed: &str, outgoing: &Outgoing<'_>, exchange: &Exchange) -> Vec<u8> {
    let mut request = Vec::with_capacity(fixed.len() + outgoing.body.len() + 256);
    let mut put = |parts: &[&str]| {
        for part in parts {
            request.extend_from_slice(part.as_bytes());
        }
    };
    put(&["POST ", &outgoing.path, " HTTP/1.1\r\n", fixed]);
    put(&["content-type: ", outgoing.content_type, "\r\n"]);
    if let Some((name, value)) = &outgoing.wanted {
        put(&[name.as_str(), ": ", value, "\r\n"]);
    }
    if let Some(token) = &exchange.sync_token {
        put(&[SYNC_TOKEN.as_str(), ": ", token.as_str(), "\r\n"]);
    }
    let mut length = itoa::Buffer::new();
    put(&[
        "content-length: ",
        length.format(outgoing.body.len()),
        "\r\n\r\n",
    ]);
    request.extend_from_slice(&outgoing.body);
    request
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Resp,
    Other,
}

struct Head {
    status: StatusCode,
    format: Format,
    is_event_stream: bool,
    sync_token: Option<SyncToken>,
    retry_after: Option<Duration>,
}

impl Head {
    fn of(response: &reqwest::Response) -> Self {
        let get = |name: HeaderName| response.headers().get(name).map(HeaderValue::as_bytes);
        Self::from_parts(
            response.status(),
            get(header::CONTENT_TYPE).unwrap_or_default(),
            get(SYNC_TOKEN).unwrap_or_default(),
            get(header::RETRY_AFTER).unwrap_or_default(),
        )
    }

    #[cfg(not(target_family = "wasm"))]
    fn of_incoming(incoming: &direct::Incoming) -> Result<Self> {
        let status = StatusCode::from_u16(incoming.status)
            .map_err(|_| Error::protocol("an unknown status"))?;
        let (sync, after) = (&incoming.sync_token, &incoming.retry_after);
        Ok(Self::from_parts(
            status,
            &incoming.content_type,
            sync,
            after,
        ))
    }

    fn from_parts(status: StatusCode, content_type: &[u8], sync: &[u8], after: &[u8]) -> Self {
        let essence = content_type
            .split(|b| *b == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let is = |name: &str| essence.eq_ignore_ascii_case(name.as_bytes());
        let format = if essence.is_empty() || is("application/json") || is("text/plain") {
            Format::Json
        } else if is("application/octet-stream") {
            Format::Resp
        } else if essence.to_ascii_lowercase().ends_with(b"+json") {
            Format::Json
        } else {
            Format::Other
        };
        let sync_token = (!sync.is_empty())
            .then(|| HeaderValue::from_bytes(sync).ok())
            .flatten()
            .filter(|v| v.to_str().is_ok())
            .map(|mut token| {
                token.set_sensitive(true);
                SyncToken(token)
            });
        // Only the form in seconds: a date would need a trusted clock.
        let retry_after = std::str::from_utf8(after)
            .ok()
            .and_then(|v| v.trim().parse().ok())
            .map(|s: u32| Duration::from_secs(s.into()));
        let is_event_stream = is("text/event-stream");
        Self {
            status,
            format,
            is_event_stream,
            sync_token,
            retry_after,
        }
    }

    /// Not a format of the protocol: some page of something in between.
    fn is_page(&self) -> bool {
        self.format == Format::Other
    }
}

fn gateway(head: &Head, why: &'static str) -> Error {
    Error::new(ErrorKind::Gateway, Delivery::MaybeExecuted, why).with_status(head.status.as_u16())
}

/// The error of a request that was answered as a whole by something other than replies.
fn refusal(mode: Mode, head: &Head, body: Option<Body>) -> Error {
    let server = match body {
        Some(Body::One(Reply::Error(e))) => Some(e),
        _ => None,
    };
    let plain = |kind, delivery, why| match server.clone() {
        Some(e) => Error::from_server(e)
            .with_kind(kind)
            .with_delivery(delivery),
        None => Error::new(kind, delivery, why),
    };
    let error = match head.status.as_u16() {
        401 => plain(
            ErrorKind::Unauthorized,
            Delivery::Executed,
            "the server refuses the token",
        ),
        403 => plain(
            ErrorKind::NoPermission,
            Delivery::Executed,
            "the server forbids the request",
        ),
        413 => plain(
            ErrorKind::TooLarge,
            Delivery::NotSent,
            "the server refuses the size",
        ),
        429 => plain(
            ErrorKind::RateLimited,
            Delivery::NotSent,
            "too many requests",
        ),
        // With Retry-After a 503 is a refusal at the door, without it a failure somewhere.
        503 if head.retry_after.is_some() => {
            plain(ErrorKind::Gateway, Delivery::NotSent, "service unavailable")
        }
        500..=599 => plain(
            ErrorKind::Gateway,
            Delivery::MaybeExecuted,
            "no reply of the database",
        ),
        _ => match server {
            Some(e) => whole_request_error(mode, e),
            None => gateway(head, "no reply of the database"),
        },
    };
    error
        .with_status(head.status.as_u16())
        .with_retry_after(head.retry_after)
}

fn whole_request_error(mode: Mode, error: ServerError) -> Error {
    let error = Error::from_server(error);
    if mode == Mode::Transaction && error.kind() == ErrorKind::Server {
        error.with_kind(ErrorKind::Discarded)
    } else {
        error
    }
}

fn transport_error(error: reqwest::Error, sent: bool) -> Error {
    let error = error.without_url();
    // In a browser or worker the cause is hidden.
    #[cfg(target_family = "wasm")]
    let no_connection = false;
    #[cfg(not(target_family = "wasm"))]
    let no_connection = error.is_connect();
    let (kind, why) = if no_connection {
        (ErrorKind::Connect, "no connection to the server")
    } else if error.is_timeout() {
        (ErrorKind::Timeout, "no answer in time")
    } else if error.is_builder() {
        (ErrorKind::InvalidInput, "cannot build the request")
    } else {
        (ErrorKind::Interrupted, "connection broke")
    };
    let delivery = if sent && !matches!(kind, ErrorKind::Connect | ErrorKind::InvalidInput) {
        Delivery::MaybeExecuted
    } else {
        Delivery::NotSent
    };
    Error::new(kind, delivery, why).with_source(error)
}

#[cfg(target_family = "wasm")]
fn tracked_body(body: Vec<u8>, exchange: &Exchange) -> reqwest::Body {
    exchange.mark_sent();
    body.into()
}

#[cfg(not(target_family = "wasm"))]
fn tracked_body(body: Vec<u8>, exchange: &Exchange) -> reqwest::Body {
    reqwest::Body::wrap(tracked::Body::new(body.into(), exchange.sent_flag()))
}

/// A body that notes when the connection first asks for it: before that nothing left.
#[cfg(not(target_family = "wasm"))]
mod tracked {
    use std::{
        convert::Infallible,
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::{Context, Poll},
    };

    use bytes::Bytes;
    use http_body::{Frame, SizeHint};

    pub(super) struct Body {
        bytes: Bytes,
        sent: Arc<AtomicBool>,
    }

    impl Body {
        pub(super) fn new(bytes: Bytes, sent: Arc<AtomicBool>) -> Self {
            Self { bytes, sent }
        }
    }

    impl http_body::Body for Body {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.sent.store(true, Ordering::Release);
            if self.bytes.is_empty() {
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))))
        }

        fn is_end_stream(&self) -> bool {
            self.bytes.is_empty()
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.bytes.len() as u64)
        }
    }
}
