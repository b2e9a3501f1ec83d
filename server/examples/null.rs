//! The yardstick for benchmarks: parses a command or pipeline and answers a constant.
//!
//! `cargo run --release -p restis-server --example null -- 127.0.0.1:8099`

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;

const REPLY: &str = r#"{"result":"eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eA=="}"#;

async fn command(body: Bytes) -> impl IntoResponse {
    let parsed: Result<Vec<&str>, _> = serde_json::from_slice(&body);
    let reply = if parsed.is_ok() { REPLY } else { "{}" };
    ([(CONTENT_TYPE, "application/json")], reply)
}

async fn pipeline(body: Bytes) -> impl IntoResponse {
    let parsed: Result<Vec<Vec<&str>>, _> = serde_json::from_slice(&body);
    let count = parsed.map_or(0, |commands| commands.len());
    let mut out = String::with_capacity(2 + count * (REPLY.len() + 1));
    out.push('[');
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        out.push_str(REPLY);
    }
    out.push(']');
    ([(CONTENT_TYPE, "application/json")], out)
}

fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1);
    let addr: SocketAddr = addr
        .as_deref()
        .unwrap_or("127.0.0.1:8099")
        .parse()
        .map_err(std::io::Error::other)?;
    let app = axum::Router::new()
        .route("/", post(command))
        .route("/pipeline", post(pipeline));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(addr).await?;
        axum::serve(listener, app).await
    })
}
