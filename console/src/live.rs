//! What the store does now, and its slow commands.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use restis_server::{MonitorBatch, MonitorFilter};
use serde::{Deserialize, Serialize};
use tokio::time::interval;

use crate::{Console, Database};

/// How often a stream says that it lives: a browser that is gone is noticed by it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Slow commands that are told.
const SLOW: usize = 128;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// Words of the commands that are shown.
    #[serde(default)]
    filter: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    lines: Vec<String>,
    seen: u64,
    left_out: u64,
}

impl From<MonitorBatch> for Batch {
    fn from(batch: MonitorBatch) -> Self {
        let text = |line: &Bytes| String::from_utf8_lossy(line).into_owned();
        Self {
            lines: batch.lines.iter().map(text).collect(),
            seen: batch.seen,
            left_out: batch.left_out,
        }
    }
}

fn database<'c>(console: &'c Console, name: &str) -> Option<&'c Database> {
    console.databases.iter().find(|known| known.name == name)
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "no database has this name").into_response()
}

/// `GET /console/api/monitor/{database}`: batches of commands as server-sent events.
pub(crate) async fn monitor(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
    Query(Wanted { filter }): Query<Wanted>,
) -> Response {
    let Some(known) = database(&console, &name) else {
        return unknown();
    };
    let filter = MonitorFilter::new(&filter);
    let batches = match console.connector.monitor(&known.token, filter).await {
        Ok(batches) => batches,
        Err(text) => return (StatusCode::BAD_REQUEST, text).into_response(),
    };
    let events = batches.map(|batch| {
        let text = serde_json::to_string(&Batch::from(batch)).unwrap_or_default();
        format!("data: {text}\n\n")
    });
    let alive = stream::unfold(interval(KEEP_ALIVE), async |mut period| {
        period.tick().await;
        Some((": keep-alive\n\n".to_owned(), period))
    });
    // It ends with the batches, when the server stops.
    let ended = events.map(Some).chain(stream::iter([None]));
    let merged = stream::select(ended, alive.map(Some));
    let texts = merged.take_while(|text| std::future::ready(text.is_some()));
    let bytes = texts.map(|text| Ok::<_, Infallible>(Bytes::from(text.unwrap_or_default())));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    let body = Body::from_stream(bytes.take_until(console.stopped()));
    (headers, body).into_response()
}

#[derive(Serialize)]
struct Slow {
    id: i64,
    at: i64,
    micros: i64,
    command: String,
}

/// `GET /console/api/slow-log/{database}`: the newest slow commands of an embedded database.
pub(crate) async fn slow_log(
    State(console): State<Arc<Console>>,
    Path(name): Path<String>,
) -> Response {
    let Some(known) = database(&console, &name) else {
        return unknown();
    };
    let Some(commands) = console.connector.slow_log(&known.token, SLOW) else {
        let text = "The database is not in this process; its SLOWLOG tells.";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let shown = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let commands = commands.into_iter().map(|command| Slow {
        id: command.id,
        at: command.at,
        micros: command.micros,
        command: command.args.iter().map(shown).collect::<Vec<_>>().join(" "),
    });
    let body = Json(commands.collect::<Vec<_>>());
    ([(CACHE_CONTROL, "no-store")], body).into_response()
}
