//! The service: one request in, one response out, measured and logged.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use futures_util::FutureExt as _;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use restis_engine::{DatabaseId, Engine};
use tokio::sync::watch;

use super::answer::{Answer, answer};
use super::body::{ReplyBody, Tracked};
use super::cors::Cors;
use super::{Ids, headers};
use crate::backlog::Pool;
use crate::config::Limits;
use crate::control::TestControl;
use crate::database::{Access, Database};
use crate::fault::Faults;
use crate::in_flight::{Held, InFlight};
use crate::metrics::{Kind, Metrics};
use crate::reply::Format;
use crate::request::commands::Commands;
use crate::resp::Clients;
use crate::server::{InRequest, Peer, Peers};
use crate::texts::{self, Failure};
use crate::tokens::TokenTable;

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) databases: Vec<Arc<Database>>,
    pub(crate) tokens: TokenTable<Access>,
    /// What a connection of the Redis protocol opens without AUTH.
    pub(crate) anonymous: Option<Access>,
    /// Embedded databases by what the tokens of their users carry.
    pub(crate) by_id: HashMap<DatabaseId, Arc<Database>>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) limits: Limits,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) backlog: Arc<Pool>,
    pub(crate) cors: Option<Cors>,
    pub(crate) faults: Faults,
    pub(crate) control: Option<TestControl>,
    pub(crate) metrics: Metrics,
    /// Connections of the Redis protocol.
    pub(crate) clients: Arc<Clients>,
    pub(crate) ids: Ids,
    /// The server still serves and wants no new clients.
    pub(crate) draining: AtomicBool,
    /// Becomes `true` when the server stops.
    pub(crate) stop: watch::Receiver<bool>,
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("connection dropped by fault injection")
    }
}

impl std::error::Error for Dropped {}

/// Why a request has no answer.
pub(super) enum Stop {
    Failure(Failure),
    Dropped,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// What is known about a request, for metrics and the access log.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) kind: Kind,
    /// Names of the commands, never an argument.
    pub(super) command: Option<String>,
    pub(super) commands: usize,
    pub(super) bytes_in: usize,
    /// The format errors are written in.
    pub(super) format: Format,
    /// What the request and its answer take.
    pub(super) held: Option<Held>,
    /// What the token of the request opens, once it is known to be valid.
    pub(super) database: Option<Arc<Database>>,
}

impl Record {
    /// Notes the names of commands if somebody reads the log: each once, in the order of first use.
    pub(super) fn name(&mut self, commands: &Commands) {
        if !tracing::enabled!(target: "restis::access", tracing::Level::INFO) {
            return;
        }
        let mut names: Vec<String> = Vec::new();
        for index in 0..commands.len().min(NAMED_COMMANDS) {
            let name = clean_name(commands.name(index));
            if names.contains(&name) {
                continue;
            }
            if names.len() == NAMES {
                names.push("...".to_owned());
                break;
            }
            names.push(name);
        }
        self.command = Some(names.join(" "));
    }
}

/// Different names of commands in one line of the access log.
const NAMES: usize = 8;
/// Commands of one request that are looked at for them.
const NAMED_COMMANDS: usize = 1000;

/// A name as it may stand in a log: what is no command's name is not repeated.
fn clean_name(name: &[u8]) -> String {
    let clean = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match (1..=24).contains(&name.len()) && name.iter().all(clean) {
        true => String::from_utf8_lossy(name).to_ascii_uppercase(),
        false => "?".to_owned(),
    }
}

/// Answers one request.
pub(crate) async fn handle(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<Tracked<(InRequest, Option<Held>)>>, Dropped> {
    let in_request = peer.begin();
    let started = Instant::now();
    let id = shared.ids.next();
    let (parts, body) = request.into_parts();
    let mut record = Record {
        kind: Kind::Other,
        command: None,
        commands: 0,
        bytes_in: 0,
        format: Format::Json,
        held: None,
        database: None,
    };
    let outcome = if parts.method == Method::OPTIONS && shared.cors.is_some() {
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    } else {
        // What a panic may leave half changed is the database: its lock tells.
        let answering = AssertUnwindSafe(answer(&shared, &parts, body, &mut record));
        match answering.catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) => Err(panicked(record.database.as_ref()).await.into()),
        }
    };
    if record.database.is_some() {
        peer.authorised();
    }
    let answer = match outcome {
        Ok(answer) => held(answer, &mut record),
        Err(Stop::Failure(failure)) => Answer::failure(&failure, record.format),
        Err(Stop::Dropped) => {
            shared.metrics.faults.add(1);
            return Err(Dropped);
        }
    };
    let response = respond(&shared, &parts, answer, id);
    finish(&shared, &parts, &record, &response, started);
    let until = (in_request, record.held);
    Ok(response.map(|body| Tracked::new(body, until)))
}

/// The answer, if there is room for it until the client takes it.
fn held(answer: Answer, record: &mut Record) -> Answer {
    let fits = |held: &mut Held| held.set(answer.body.len());
    if record.held.as_mut().is_none_or(fits) {
        return answer;
    }
    let failure = Failure::bad_request(texts::ANSWERS_IN_FLIGHT);
    Answer::failure(&failure, record.format)
}

/// After a panic: looks whether the database is whole, and says what the client gets.
async fn panicked(database: Option<&Arc<Database>>) -> Failure {
    let name = database.map(|database| database.name.as_str());
    let damaged = match database.and_then(|database| database.local()) {
        Some(local) => local.aside(Engine::is_damaged).await,
        None => false,
    };
    tracing::error!(database = name, damaged, "a request panicked");
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, texts::INTERNAL)
}

fn respond(shared: &Shared, parts: &Parts, answer: Answer, id: HeaderValue) -> Response<ReplyBody> {
    let base64_stream = answer.body.is_base64_stream();
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.status;
    let out = response.headers_mut();
    let request_id = parts.headers.get(headers::REQUEST_ID);
    let request_id = request_id
        .filter(|id| id.len() <= 128)
        .unwrap_or(&id)
        .clone();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    out.insert(headers::REQUEST_ID, request_id);
    out.insert(headers::SYNC_TOKEN, id);
    if base64_stream {
        let value = HeaderValue::from_static("base64");
        out.insert(headers::STREAM_ENCODING, value);
    }
    match answer.status {
        StatusCode::METHOD_NOT_ALLOWED => {
            out.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT"));
        }
        StatusCode::UNAUTHORIZED => {
            out.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            out.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    if let Some(cors) = &shared.cors {
        cors.response(&parts.headers, out);
        if parts.method == Method::OPTIONS {
            Cors::preflight(out);
        }
    }
    response
}

fn finish(
    shared: &Shared,
    parts: &Parts,
    record: &Record,
    response: &Response<ReplyBody>,
    started: Instant,
) {
    let took = started.elapsed();
    let metrics = &shared.metrics;
    let bytes_out = response.body().len();
    metrics.request(record.kind, response.status(), took);
    metrics.commands.add(record.commands as u64);
    metrics.bytes_in.add(record.bytes_in as u64);
    metrics.bytes_out.add(bytes_out as u64);
    if let Some(database) = &record.database {
        database.traffic.bytes_in.add(record.bytes_in as u64);
        database.traffic.bytes_out.add(bytes_out as u64);
    }
    tracing::info!(
        target: "restis::access",
        database = record.database.as_ref().map(|database| database.name.as_str()),
        id = response.headers().get(headers::REQUEST_ID).and_then(|id| id.to_str().ok()),
        method = parts.method.as_str(),
        kind = record.kind.name(),
        command = record.command.as_deref(),
        commands = record.commands,
        status = response.status().as_u16(),
        bytes_in = record.bytes_in,
        bytes_out,
        micros = took.as_micros() as u64,
    );
}

impl Shared {
    /// Who a token belongs to. Waits for no database.
    pub(crate) fn access(&self, token: &[u8]) -> Option<Access> {
        if let Some(access) = self.tokens.get(token) {
            return Some(access.clone());
        }
        // Tokens of users, which the databases themselves have made, name their database.
        let token = std::str::from_utf8(token).ok()?;
        let database = self.by_id.get(&DatabaseId::of_token(token)?)?;
        let engine = database.local()?.engine();
        Some(Access {
            database: Arc::clone(database),
            caller: engine.caller_of_token(token)?,
        })
    }

    /// The access of a request, or the refusal.
    pub(super) fn authorise(
        &self,
        header: Option<&[u8]>,
        query: Option<&[u8]>,
    ) -> Result<Access, Failure> {
        header
            .or(query)
            .and_then(|token| self.access(token))
            .ok_or_else(|| Failure::new(StatusCode::UNAUTHORIZED, texts::UNAUTHORIZED))
    }
}
