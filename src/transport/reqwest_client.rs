//! Requests by a `reqwest::Client` that was handed in.
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

use super::{
    Exchange, PieceStream,
    head::Head,
    refusal::too_large,
    request::{Outgoing, STREAM_ENCODING, SYNC_TOKEN, at_path},
};
use crate::protocol::error::{Delivery, Error, ErrorKind, Result};

/// A client, and what is the same in all requests.
pub(super) struct ReqwestClient {
    client: reqwest::Client,
    base: Url,
    headers: HeaderMap,
}

impl ReqwestClient {
    pub(super) fn new(client: reqwest::Client, base: Url, headers: HeaderMap) -> Self {
        Self {
            client,
            base,
            headers,
        }
    }

    /// A client of its own, with the TLS that the program gave to reqwest.
    pub(super) fn client(connect_timeout: Duration) -> Result<reqwest::Client> {
        reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|e| Error::config("cannot set up the HTTP client").with_source(e))
    }

    fn request(&self, path: &str) -> Result<reqwest::Request> {
        let mut request = reqwest::Request::new(Method::POST, at_path(&self.base, path)?);
        request.headers_mut().clone_from(&self.headers);
        Ok(request)
    }

    pub(super) async fn post(
        &self,
        exchange: &Exchange,
        outgoing: Outgoing<'_>,
        max_reply_bytes: usize,
    ) -> Result<(Head, Bytes)> {
        let mut request = self.request(&outgoing.path)?;
        let headers = request.headers_mut();
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
        let sent = |e: reqwest::Error| failure(e, exchange.is_sent());
        let response = self.client.execute(request).await.map_err(sent)?;
        let head = head_of(&response);
        let status = head.status.as_u16();
        let body = read(response, max_reply_bytes)
            .await
            .map_err(|e| e.with_status(status))?;
        Ok((head, body))
    }

    /// The answer as it comes.
    pub(super) async fn open(&self, path: &str) -> Result<(Head, PieceStream)> {
        let mut request = self.request(path)?;
        let headers = request.headers_mut();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("text/event-stream"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let (name, value) = STREAM_ENCODING;
        headers.insert(name, value);
        let sent = |e: reqwest::Error| failure(e, true);
        let response = self.client.execute(request).await.map_err(sent)?;
        let pieces = |response: reqwest::Response| response.bytes_stream().map_err(sent);
        Ok((head_of(&response), Box::pin(pieces(response))))
    }
}

fn head_of(response: &reqwest::Response) -> Head {
    Head::new(response.status(), response.headers())
}

async fn read(mut response: reqwest::Response, max: usize) -> Result<Bytes> {
    let declared = response.content_length();
    if declared.is_some_and(|n| n > max as u64) {
        return Err(too_large());
    }
    let sent = |e: reqwest::Error| failure(e, true);
    let Some(first) = response.chunk().await.map_err(sent)? else {
        return Ok(Bytes::new());
    };
    if declared == Some(first.len() as u64) {
        return Ok(first);
    }
    let mut body = first.to_vec();
    loop {
        if body.len() > max {
            return Err(too_large());
        }
        match response.chunk().await.map_err(sent)? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(body.into()),
        }
    }
}

fn tracked_body(body: Vec<u8>, exchange: &Exchange) -> reqwest::Body {
    reqwest::Body::wrap(super::body::RequestBody::new(
        body.into(),
        exchange.sent_flag(),
    ))
}

fn failure(error: reqwest::Error, sent: bool) -> Error {
    let error = error.without_url();
    let (kind, why) = if error.is_connect() {
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
