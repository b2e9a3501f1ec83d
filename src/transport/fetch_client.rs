//! Requests by the `fetch` of a JavaScript host: a browser, a worker, Node, Deno.
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use js_sys::{Function, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use url::Url;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, ReadableStreamDefaultReader, RequestInit, RequestRedirect, Response,
};

use super::{
    Exchange, PieceStream,
    head::Head,
    refusal::too_large,
    request::{Outgoing, SYNC_TOKEN, at_path},
};
use crate::protocol::error::{Delivery, Error, ErrorKind, Result};

/// What is the same in all requests.
pub(super) struct FetchClient {
    base: Url,
    headers: HeaderMap,
}

impl FetchClient {
    pub(super) fn new(base: Url, headers: HeaderMap) -> Self {
        Self { base, headers }
    }

    pub(super) async fn post(
        &self,
        exchange: &Exchange,
        outgoing: Outgoing<'_>,
        max_reply_bytes: usize,
    ) -> Result<(Head, Bytes)> {
        let url = at_path(&self.base, &outgoing.path)?;
        let mut headers = self.headers.clone();
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
        let sent = SendWrapper::new(send("POST", &url, &headers, Some(&outgoing.body)));
        whole(sent.await?, max_reply_bytes).await
    }

    /// The answer as it comes.
    pub(super) async fn open(&self, path: &str) -> Result<(Head, PieceStream)> {
        let url = at_path(&self.base, path)?;
        let mut headers = self.headers.clone();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("text/event-stream"),
        );
        // No other header: in a browser a server that does not know it would refuse the request.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let answer = SendWrapper::new(send("POST", &url, &headers, None)).await?;
        Ok((answer.head, pieces(answer.running)))
    }
}

/// What is at an address.
#[cfg(feature = "ratelimit")]
pub(super) async fn get(url: &Url, max: usize) -> Result<(Head, Bytes)> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain, */*"));
    let answer = SendWrapper::new(send("GET", url, &headers, None)).await?;
    whole(answer, max).await
}

/// Posts a body; the answer.
#[cfg(feature = "events")]
pub(crate) async fn post(
    url: &Url,
    headers: &HeaderMap,
    body: &[u8],
    max: usize,
) -> Result<(Head, Bytes)> {
    let mut url = url.clone();
    // They are in a header: a host refuses them in the address.
    let _ = (url.set_username(""), url.set_password(None));
    let sent = SendWrapper::new(send("POST", &url, headers, Some(body)));
    whole(sent.await?, max).await
}

/// A request that is aborted when nobody waits for its answer any more.
struct Running {
    abort: AbortController,
    response: Option<Response>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A host may refuse it where the event has ended, and with it the request.
        let _ = function(&self.abort, "abort").map(|abort| abort.call0(&self.abort));
    }
}

fn function(of: &JsValue, name: &str) -> Option<Function> {
    Reflect::get(of, &JsValue::from_str(name))
        .ok()?
        .dyn_into()
        .ok()
}

struct Answer {
    head: Head,
    declared: Option<usize>,
    running: SendWrapper<Running>,
}

async fn send(method: &str, url: &Url, headers: &HeaderMap, body: Option<&[u8]>) -> Result<Answer> {
    let abort = AbortController::new().map_err(|e| failure(&e))?;
    let init = RequestInit::new();
    init.set_method(method);
    // The token is for one server alone.
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(&abort.signal()));
    let own = web_sys::Headers::new().map_err(|e| failure(&e))?;
    for (name, value) in headers {
        let value = value.to_str().unwrap_or_default();
        own.set(name.as_str(), value).map_err(|e| failure(&e))?;
    }
    init.set_headers_headers(&own);
    if let Some(body) = body {
        init.set_body(&Uint8Array::from(body));
    }
    let global = js_sys::global();
    let fetch = function(&global, "fetch")
        .ok_or_else(|| Error::config("this JavaScript host has no fetch"))?;
    let mut running = Running {
        abort,
        response: None,
    };
    let promise = fetch
        .call2(&global, &JsValue::from_str(url.as_str()), &init)
        .map_err(|e| failure(&e))?;
    let response = JsFuture::from(js_sys::Promise::resolve(&promise)).await;
    let response: Response = response.map_err(|e| failure(&e))?.unchecked_into();
    let own = response.headers();
    let get = |name: &HeaderName| own.get(name.as_str()).ok().flatten();
    let mut known = HeaderMap::new();
    for name in Head::names() {
        if let Some(value) = get(&name).and_then(|value| HeaderValue::try_from(value).ok()) {
            known.insert(name, value);
        }
    }
    // A redirect that a browser hides has the status 0.
    let status = StatusCode::from_u16(response.status()).unwrap_or(StatusCode::FOUND);
    let declared = match get(&header::CONTENT_ENCODING) {
        Some(_) => None,
        None => get(&header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
    };
    running.response = Some(response);
    Ok(Answer {
        head: Head::new(status, &known),
        declared,
        running: SendWrapper::new(running),
    })
}

/// The whole body, in one piece where its length is known.
async fn whole(answer: Answer, max: usize) -> Result<(Head, Bytes)> {
    let Answer {
        head,
        declared,
        running,
    } = answer;
    let status = head.status.as_u16();
    if declared.is_some_and(|length| length > max) {
        return Err(too_large().with_status(status));
    }
    let at_once = match (declared, &running.response) {
        (Some(_), Some(response)) => response.array_buffer().ok(),
        _ => None,
    };
    let at_once = at_once.map(|promise| SendWrapper::new(JsFuture::from(promise)));
    if let Some(at_once) = at_once {
        let body = at_once.await;
        let body = body.map_err(|e| failure(&e).with_status(status))?;
        let body = Uint8Array::new(&body).to_vec();
        return Ok((head, body.into()));
    }
    let mut pieces = pieces(running);
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|e| e.with_status(status))?);
        if body.len() > max {
            return Err(too_large().with_status(status));
        }
    }
    Ok((head, body.into()))
}

/// The body as it comes; dropping it ends the request.
fn pieces(running: SendWrapper<Running>) -> PieceStream {
    let body = running.response.as_ref().and_then(Response::body);
    let reader = body.map(|body| SendWrapper::new(body.get_reader()));
    let state = (running, reader);
    Box::pin(futures_util::stream::try_unfold(
        state,
        |(running, reader)| async move {
            let Some(reader) = reader else {
                return Ok(None);
            };
            let Some(piece) = SendWrapper::new(read(&reader)).await? else {
                return Ok(None);
            };
            Ok(Some((piece, (running, Some(reader)))))
        },
    ))
}

async fn read(reader: &JsValue) -> Result<Option<Bytes>> {
    let reader: &ReadableStreamDefaultReader = reader.unchecked_ref();
    let read = JsFuture::from(reader.read()).await;
    let read = read.map_err(|e| failure(&e))?;
    let field = |name| Reflect::get(&read, &JsValue::from_str(name)).unwrap_or_default();
    if field("done").is_truthy() {
        return Ok(None);
    }
    Ok(Some(Uint8Array::new(&field("value")).to_vec().into()))
}

/// A host's error. Most hosts hide the cause, so that the request may have arrived.
fn failure(error: &JsValue) -> Error {
    let field = |of: &JsValue, name| Reflect::get(of, &JsValue::from_str(name)).unwrap_or_default();
    // Node tells what failed; several addresses that all refuse have a code only.
    let cause = field(error, "cause");
    let [call, code] = ["syscall", "code"].map(|name| field(&cause, name).as_string());
    let was_connecting = matches!(call.as_deref(), Some("connect" | "getaddrinfo"));
    if was_connecting || code.as_deref() == Some("ECONNREFUSED") {
        let why = "no connection to the server";
        return Error::new(ErrorKind::Connect, Delivery::NotSent, why);
    }
    let why = "connection broke";
    Error::new(ErrorKind::Interrupted, Delivery::MaybeExecuted, why)
}
