//! Opening the console, and what it tells a browser that is in.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use crate::access::is_equal;
use crate::{Console, Database, faults};

/// Who calls shows a token once; the answer's cookie is shown from then on.
#[derive(Deserialize)]
pub(crate) struct Open {
    token: String,
}

/// The name of the cookie: browsers do not keep ports apart.
fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let port = host.and_then(|host| host.rsplit_once(':'));
    let port = port.and_then(|(_, port)| port.parse::<u16>().ok());
    format!("restis_console_{}", port.unwrap_or(80))
}

fn session(headers: &HeaderMap) -> Option<&str> {
    let name = cookie_name(headers);
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Lets a request through that carries an open session.
pub(crate) async fn require(
    State(console): State<Arc<Console>>,
    request: Request,
    next: Next,
) -> Response {
    match session(request.headers()) {
        Some(session) if console.access.is_open(session) => next.run(request).await,
        _ => refused(),
    }
}

fn refused() -> Response {
    let body = Json(serde_json::json!({
        "error": "Open the link that restis printed, or show a token of a database."
    }));
    (StatusCode::UNAUTHORIZED, body).into_response()
}

/// `POST /console/api/session`: exchanges the link's token, or a database's, for a cookie.
pub(crate) async fn open(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    Json(Open { token }): Json<Open>,
) -> Response {
    let session = match console.access.redeem(&token) {
        Ok(None) if opens_a_database(&console, &token) => console.access.open().map(Some),
        outcome => outcome,
    };
    match session {
        Ok(Some(session)) => {
            let name = cookie_name(&headers);
            let cookie = format!("{name}={session}; Path=/; HttpOnly; SameSite=Strict");
            (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
        }
        Ok(None) => refused(),
        Err(error) => {
            tracing::error!(%error, "no session of the console");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Whether a token opens a database with every right. All are compared.
fn opens_a_database(console: &Console, token: &str) -> bool {
    let tokens = console.databases.iter().map(|database| &database.token);
    tokens.fold(false, |found, known| is_equal(token, known) | found)
}

/// `DELETE /console/api/session`: ends the session of this browser.
pub(crate) async fn close(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    if let Some(session) = session(&headers) {
        console.access.close(session);
    }
    let expired = format!(
        "{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict",
        cookie_name(&headers)
    );
    (StatusCode::NO_CONTENT, [(SET_COOKIE, expired)]).into_response()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'c> {
    version: &'static str,
    rest_url: &'c str,
    redis_addr: Option<String>,
    databases: Vec<ShownDatabase<'c>>,
    functions: Option<ShownFunctions<'c>>,
    /// What the server injects, where the pages may set it.
    faults: Option<String>,
    /// How far the server's clock is ahead of the machine's, where the pages may move it.
    clock_ahead_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownDatabase<'c> {
    name: &'c str,
    token: &'c str,
    read_only_token: Option<&'c str>,
}

impl<'c> From<&'c Database> for ShownDatabase<'c> {
    fn from(database: &'c Database) -> Self {
        Self {
            name: &database.name,
            token: &database.token,
            read_only_token: database.read_only_token.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct ShownFunctions<'c> {
    url: &'c str,
    token: Option<&'c str>,
}

/// `GET /console/api/session`: what runs, where, and the tokens to copy.
pub(crate) async fn show(State(console): State<Arc<Console>>) -> impl IntoResponse {
    let shown = Shown {
        version: env!("CARGO_PKG_VERSION"),
        rest_url: &console.rest_url,
        redis_addr: console.redis_addr.map(|addr| addr.to_string()),
        databases: console.databases.iter().map(Into::into).collect(),
        functions: console.functions.as_ref().map(|functions| ShownFunctions {
            url: &functions.url,
            token: functions.token.as_deref(),
        }),
        faults: faults::plan(&console),
        clock_ahead_ms: console
            .connector
            .clock_ahead()
            .map(|ahead| u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX)),
    };
    ([(CACHE_CONTROL, "no-store")], Json(shown)).into_response()
}
