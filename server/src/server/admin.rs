//! Health and metrics, on an address of their own.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;

use super::ACCEPT_PAUSE;
use crate::database::{Backend, Database};
use crate::metrics::{Form, scrape};
use crate::rest::Shared;
use crate::rest::body::ReplyBody;

/// Time a backend gets to answer a health check.
const CHECK: Duration = Duration::from_secs(2);

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the admin listener cannot be used");
            return;
        }
    };
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "admin connection ended");
            }
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Infallible> {
    let (status, kind, text) = if matches!(*request.method(), Method::GET | Method::HEAD) {
        match request.uri().path() {
            "/live" => live(),
            "/ready" | "/health" => ready(&shared).await,
            "/metrics" => metrics(&shared, &request).await,
            _ => (
                StatusCode::NOT_FOUND,
                "text/plain",
                "there are /live, /ready and /metrics\n".to_owned(),
            ),
        }
    } else {
        (
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "GET or HEAD\n".to_owned(),
        )
    };
    let mut response = Response::new(ReplyBody::Full(Bytes::from(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// The process runs; what it depends on is no reason to start it again.
fn live() -> (StatusCode, &'static str, String) {
    let body = serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    (StatusCode::OK, "application/json", body.to_string())
}

/// Whether clients should come: every database answers, and the server neither drains nor stops.
async fn ready(shared: &Shared) -> (StatusCode, &'static str, String) {
    let mut down = Vec::new();
    for database in &shared.databases {
        if !healthy(database).await {
            down.push(database.name.as_str());
        }
    }
    let stopping = *shared.stop.borrow();
    let draining = shared.draining.load(Ordering::Relaxed);
    let (status, word) = match down.is_empty() {
        _ if stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        _ if draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = serde_json::json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "databases": shared.databases.len(),
        "unavailable": down,
    });
    (status, "application/json", body.to_string())
}

async fn healthy(database: &Database) -> bool {
    match &database.backend {
        Backend::Engine(_) => true,
        Backend::Redis(redis) => tokio::time::timeout(CHECK, redis.ping())
            .await
            .unwrap_or(false),
    }
}

async fn metrics(
    shared: &Shared,
    request: &Request<Incoming>,
) -> (StatusCode, &'static str, String) {
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    match Form::wanted(request.uri().query(), accept) {
        Ok(form) => {
            let families = scrape(shared).await;
            (StatusCode::OK, form.content_type(), form.render(&families))
        }
        Err(text) => (StatusCode::BAD_REQUEST, "text/plain", text.to_owned()),
    }
}
