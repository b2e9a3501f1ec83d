//! Health and metrics, on an address of their own.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use restis_engine::{Engine, Reply};
use tokio::task::JoinSet;

use super::ACCEPT_PAUSE;
use crate::database::{Backend, Database};
use crate::metrics::head;
use crate::rest::Shared;
use crate::rest::body::ReplyBody;

/// Time an embedded database gets to tell its size.
const BUSY: Duration = Duration::from_millis(100);
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
            "/health" => health(&shared).await,
            "/metrics" => (
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                metrics(&shared).await,
            ),
            _ => (
                StatusCode::NOT_FOUND,
                "text/plain",
                "there are /health and /metrics\n".to_owned(),
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

async fn health(shared: &Shared) -> (StatusCode, &'static str, String) {
    let mut down = Vec::new();
    for database in &shared.databases {
        if !healthy(database).await {
            down.push(database.name.as_str());
        }
    }
    let stopping = *shared.stop.borrow();
    let (status, word) = match (down.is_empty(), stopping) {
        (true, false) => (StatusCode::OK, "ok"),
        (_, true) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
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

async fn metrics(shared: &Shared) -> String {
    let mut out = shared.metrics.render();
    let mut sizes = Vec::new();
    for database in &shared.databases {
        let Backend::Engine(local) = &database.backend else {
            continue;
        };
        let size = |engine: &Engine| (engine.call(&["DBSIZE"]), engine.used_memory());
        // One that is busy is left out this time.
        if let Ok(size) = tokio::time::timeout(BUSY, local.briefly(size)).await {
            sizes.push((&database.name, size));
        }
    }
    head(
        &mut out,
        "restis_keys",
        "gauge",
        "Keys of an embedded database.",
    );
    for (name, (keys, _)) in &sizes {
        if let Reply::Int(keys) = keys {
            let _ = writeln!(out, "restis_keys{{database={}}} {keys}", label(name));
        }
    }
    head(
        &mut out,
        "restis_memory_bytes",
        "gauge",
        "Estimated size of an embedded database.",
    );
    for (name, (_, used)) in &sizes {
        let _ = writeln!(
            out,
            "restis_memory_bytes{{database={}}} {used}",
            label(name)
        );
    }
    out
}

/// A label value in quotes, escaped as Prometheus wants it.
fn label(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}
