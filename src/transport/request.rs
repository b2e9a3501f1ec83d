//! An exchange as an HTTP request.
use std::borrow::Cow;

#[cfg(not(target_family = "wasm"))]
use http::{HeaderMap, Method, Request, header};
use http::{HeaderName, HeaderValue};
#[cfg(not(target_family = "wasm"))]
use http_body::Body as _;
use url::Url;

#[cfg(not(target_family = "wasm"))]
use super::body::RequestBody;
use super::{Encoding, Exchange, Mode};
use crate::protocol::{
    encode,
    error::{Error, Result},
};

pub(super) const SYNC_TOKEN: HeaderName = HeaderName::from_static("upstash-sync-token");
/// Asks for event streams in base64; a server that knows the header repeats it.
pub(super) const STREAM_ENCODING: (HeaderName, HeaderValue) = (
    HeaderName::from_static("restis-stream-encoding"),
    HeaderValue::from_static("base64"),
);
const ENCODING: HeaderName = HeaderName::from_static("upstash-encoding");
const FORMAT: HeaderName = HeaderName::from_static("upstash-response-format");

/// One request, before a carrier gives it its form.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) content_type: &'static str,
    /// The header that asks for an encoding of the reply.
    pub(super) wanted: Option<(HeaderName, &'static str)>,
    pub(super) body: Vec<u8>,
}

impl<'a> Outgoing<'a> {
    /// The request of an exchange; `paths` are those of single commands, pipelines and transactions.
    pub(super) fn new(
        paths: &'a [String; 3],
        encoding: Encoding,
        exchange: &Exchange,
    ) -> Result<Self> {
        let first = exchange
            .commands
            .first()
            .ok_or_else(|| Error::invalid_input("no command"))?;
        let mut body = Vec::new();
        let (path, written) = match exchange.mode {
            Mode::Single => (&paths[0], encode::command(first, &mut body)),
            Mode::Pipeline => (&paths[1], encode::commands(&exchange.commands, &mut body)),
            Mode::Transaction => (&paths[2], encode::commands(&exchange.commands, &mut body)),
        };
        let wanted = match (encoding, exchange.mode) {
            (Encoding::Plain, _) => None,
            (Encoding::Resp2, Mode::Single | Mode::Pipeline) => Some((FORMAT, "resp2")),
            // Transactions answer in JSON only.
            (Encoding::Resp2, Mode::Transaction) | (Encoding::Base64, _) => {
                Some((ENCODING, "base64"))
            }
        };
        if written {
            let path = Cow::Borrowed(path.as_str());
            return Ok(Self {
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
        Ok(Self {
            path: format!("{}{path}", paths[0]).into(),
            content_type: "application/octet-stream",
            wanted,
            body,
        })
    }
}

/// The base URL with another path and query, which are percent-encoded already.
#[cfg(any(feature = "reqwest", target_family = "wasm"))]
pub(super) fn at_path(base: &Url, path: &str) -> Result<Url> {
    let mut url = base.clone();
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    url.set_path(path);
    url.set_query(query);
    if url.path() == path && url.query() == query {
        Ok(url)
    } else {
        Err(Error::invalid_input(
            "command cannot be written as a URL path",
        ))
    }
}

/// The headers of every request: `Host` and the given ones.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn fixed_headers(base: &Url, headers: &HeaderMap) -> HeaderMap {
    let host = base.host_str().unwrap_or_default();
    let host = match base.port() {
        Some(port) => HeaderValue::from_str(&format!("{host}:{port}")),
        None => HeaderValue::from_str(host),
    };
    let mut all = HeaderMap::with_capacity(headers.len() + 5);
    all.extend(host.ok().map(|host| (header::HOST, host)));
    all.extend(headers.clone());
    all
}

/// A request with these headers; `path` is percent-encoded already.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn request(
    method: Method,
    path: &str,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Request<RequestBody>> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path
        .parse()
        .map_err(|_| Error::invalid_input("command cannot be written as a URL path"))?;
    *request.headers_mut() = headers;
    if request.body().is_end_stream() {
        // Unlike other methods a POST without a body tells that it has none.
        if request.method() == Method::POST {
            let length = HeaderValue::from_static("0");
            request.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
    }
    Ok(request)
}

impl Outgoing<'_> {
    /// The request with the headers that every request has.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn into_request(
        self,
        fixed: &HeaderMap,
        exchange: &Exchange,
    ) -> Result<Request<RequestBody>> {
        let mut headers = fixed.clone();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.content_type),
        );
        if let Some((name, value)) = self.wanted {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(token) = &exchange.sync_token {
            headers.insert(SYNC_TOKEN, token.0.clone());
        }
        let body = RequestBody::new(self.body.into(), exchange.sent_flag());
        request(Method::POST, &self.path, headers, body)
    }
}

/// A request for an endless response.
#[cfg(not(target_family = "wasm"))]
pub(super) fn subscription(fixed: &HeaderMap, path: &str) -> Result<Request<RequestBody>> {
    let mut headers = fixed.clone();
    headers.insert(
        header::ACCEPT,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let (name, value) = STREAM_ENCODING;
    headers.insert(name, value);
    request(Method::POST, path, headers, RequestBody::empty())
}
