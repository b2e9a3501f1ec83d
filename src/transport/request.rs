//! An exchange as an HTTP request.
use std::borrow::Cow;

#[cfg(not(target_family = "wasm"))]
use http::HeaderMap;
use http::HeaderName;
use url::Url;

use super::{Encoding, Exchange, Mode};
use crate::protocol::{
    encode,
    error::{Error, Result},
};

pub(super) const SYNC_TOKEN: HeaderName = HeaderName::from_static("upstash-sync-token");
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

/// Host and fixed headers, as they go over the wire.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn fixed_head(base: &Url, headers: &HeaderMap) -> String {
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
pub(super) fn whole_request(fixed: &str, outgoing: &Outgoing<'_>, exchange: &Exchange) -> Vec<u8> {
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

/// A request for an endless answer.
#[cfg(not(target_family = "wasm"))]
pub(super) fn subscription(fixed: &str, path: &str) -> Vec<u8> {
    let parts = [
        "POST ",
        path,
        " HTTP/1.1\r\n",
        fixed,
        "accept: text/event-stream\r\ncache-control: no-cache\r\ncontent-length: 0\r\n\r\n",
    ];
    parts.concat().into_bytes()
}
