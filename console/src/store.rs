//! Passes the pages' requests on to the REST API, with the database's token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING,
};
use http::{HeaderValue, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;

use crate::Console;

/// Request headers that the REST API gives a meaning to.
const PASSED: [HeaderName; 4] = [
    ACCEPT,
    CONTENT_TYPE,
    HeaderName::from_static("upstash-encoding"),
    HeaderName::from_static("upstash-response-format"),
];

/// `/console/api/store/{database}` and what is below it: the REST API of a database.
pub(crate) async fn forward(State(console): State<Arc<Console>>, request: Request) -> Response {
    // Not an extractor: what is below the name may be any bytes.
    let name = request.uri().path().split('/').nth(4).unwrap_or_default();
    let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
    let Some(known) = console.databases.iter().find(|known| known.name == name) else {
        return (StatusCode::NOT_FOUND, "no database has this name").into_response();
    };
    match send(&console, &known.token, request).await {
        Ok(response) => response,
        Err(text) => (StatusCode::BAD_GATEWAY, text).into_response(),
    }
}

async fn send(console: &Console, token: &str, request: Request) -> Result<Response, String> {
    let (parts, body) = request.into_parts();
    let mut outgoing = http::Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = target(&parts.uri)?;
    for name in PASSED {
        if let Some(value) = parts.headers.get(&name) {
            outgoing.headers_mut().insert(name, value.clone());
        }
    }
    // What the pages show must not fail by the faults that they set.
    let fault = HeaderName::from_static("restis-fault");
    outgoing
        .headers_mut()
        .insert(fault, HeaderValue::from_static("off"));
    let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
    let bearer = bearer.map_err(|_| "the token is no header value".to_owned())?;
    outgoing.headers_mut().insert(AUTHORIZATION, bearer);

    let stream = console.connector.connect();
    let stream = stream.ok_or("the server has no room for another connection")?;
    let failed = |error: hyper::Error| format!("the store did not answer: {error}");
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    // It ends with its one response.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of the console ended");
        }
    });
    let response = sender.send_request(outgoing).await.map_err(failed)?;
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(TRANSFER_ENCODING);
    parts.headers.remove(CONTENT_LENGTH);
    let body = Body::new(body).into_data_stream();
    let body = Body::from_stream(body.take_until(console.stopped()));
    Ok(Response::from_parts(parts, body))
}

/// The path after `/console/api/store/{database}`, with its escapes unchanged.
fn target(uri: &Uri) -> Result<Uri, String> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let rest = path.splitn(6, '/').nth(5).unwrap_or_default();
    format!("/{rest}")
        .parse()
        .map_err(|_| "this is no path".to_owned())
}
