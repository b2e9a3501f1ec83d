//! From the parts of a request to an answer.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use restis_engine::Engine;

use super::body::{self, ReplyBody};
use super::headers;
use super::service::{Record, Shared, Stop};
use crate::backend;
use crate::database::{Access, Database};
use crate::fault::Fault;
use crate::in_flight::Held;
use crate::metrics::Kind;
use crate::reply::Format;
use crate::request::commands::Commands;
use crate::request::json::{self, Malformed};
use crate::request::target::{Endpoint, Target};
use crate::sse::EventStream;
use crate::texts::{self, Failure};

/// Bodies above this are parsed beside the connections.
const LARGE_BODY: usize = 64 << 10;

/// A response without the headers that every response has.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: ReplyBody,
}

impl Answer {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            content_type: "text/plain",
            body: ReplyBody::Empty,
        }
    }

    pub(super) fn failure(failure: &Failure, format: Format) -> Self {
        let mut out = BytesMut::with_capacity(failure.line.len() + 16);
        format.error(&mut out, &failure.line);
        Self::full(failure.status, format, out)
    }

    fn full(status: StatusCode, format: Format, body: BytesMut) -> Self {
        Self {
            status,
            content_type: format.content_type(),
            body: ReplyBody::Full(body.freeze()),
        }
    }
}

/// Checks method, token, headers and faults, then runs what the target asks for.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    parts: &Parts,
    body: Incoming,
    record: &mut Record,
) -> Result<Answer, Stop> {
    if !matches!(
        parts.method,
        Method::GET | Method::HEAD | Method::POST | Method::PUT
    ) {
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, texts::BAD_METHOD).into());
    }
    let target = Target::parse(parts.uri.path(), parts.uri.query());
    record.kind = kind(&target.endpoint);
    let access = shared.authorise(headers::bearer(&parts.headers), target.token.as_deref())?;
    record.database = Some(Arc::clone(&access.database));
    let format = match target.endpoint {
        Endpoint::Transaction => headers::json_format(&parts.headers)?,
        _ => headers::format(&parts.headers)?,
    };
    record.format = format;
    let fault = fault(shared, parts)?;
    if let Some(delay) = fault.delay {
        shared.metrics.faults.add(1);
        tokio::time::sleep(delay).await;
    }
    if fault.drop_before {
        return Err(Stop::Dropped);
    }
    if fault.error {
        shared.metrics.faults.add(1);
        let failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "ERR injected fault");
        return Err(failure.into());
    }
    if fault.panic {
        shared.metrics.faults.add(1);
        if let Some(local) = access.database.local() {
            local.aside(Engine::panic_in_command).await;
        }
        panic!("injected fault");
    }
    let held = Held::new(&shared.in_flight, &access.database);
    let held = record.held.insert(held);
    let body = body::read(body, &shared.limits, held).await?;
    record.bytes_in = body.len();
    let request = Request {
        shared,
        access: &access,
        format,
        parts,
    };
    let answer = request.run(target, body, record).await?;
    if fault.drop_after {
        return Err(Stop::Dropped);
    }
    Ok(answer)
}

fn kind(endpoint: &Endpoint<'_>) -> Kind {
    match endpoint {
        Endpoint::Body | Endpoint::Path(_) | Endpoint::Control(_) => Kind::Command,
        Endpoint::Pipeline => Kind::Pipeline,
        Endpoint::Transaction => Kind::Transaction,
        Endpoint::Subscribe(_) | Endpoint::PSubscribe(_) | Endpoint::Monitor => Kind::Stream,
    }
}

fn fault(shared: &Shared, parts: &Parts) -> Result<Fault, Failure> {
    let header = parts.headers.get(headers::FAULT);
    let header = header.and_then(|value| value.to_str().ok());
    shared
        .faults
        .next(header)
        .map_err(|error| Failure::bad_request(format!("ERR {}: {error}", headers::FAULT)))
}

struct Request<'r> {
    shared: &'r Arc<Shared>,
    access: &'r Access,
    format: Format,
    parts: &'r Parts,
}

impl Request<'_> {
    async fn run(
        &self,
        target: Target<'_>,
        body: Bytes,
        record: &mut Record,
    ) -> Result<Answer, Failure> {
        match target.endpoint {
            Endpoint::Body => {
                let commands = self.parse(json::command, body, texts::BAD_COMMAND).await?;
                self.commands(backend::Kind::Command, commands, record)
                    .await
            }
            Endpoint::Path(segments) => {
                let commands = Commands::of_path(&segments, body, &target.query);
                self.commands(backend::Kind::Command, commands, record)
                    .await
            }
            Endpoint::Pipeline => {
                let commands = self
                    .parse(json::pipeline, body, texts::BAD_PIPELINE)
                    .await?;
                self.commands(backend::Kind::Pipeline, commands, record)
                    .await
            }
            Endpoint::Transaction => {
                let commands = self
                    .parse(json::pipeline, body, texts::BAD_PIPELINE)
                    .await?;
                self.commands(backend::Kind::Transaction, commands, record)
                    .await
            }
            Endpoint::Subscribe(channels) => self.subscribe("subscribe", &channels, &[]).await,
            Endpoint::PSubscribe(patterns) => self.subscribe("psubscribe", &[], &patterns).await,
            Endpoint::Monitor => self.monitor().await,
            Endpoint::Control(path) => self.control(path, &body),
        }
    }

    /// What tests may do with the server.
    fn control(&self, path: &str, body: &Bytes) -> Result<Answer, Failure> {
        let Some(control) = &self.shared.control else {
            return Err(Failure::new(
                StatusCode::NOT_FOUND,
                "ERR /__restis is served by `restis dev` and `restis run` only",
            ));
        };
        let result = control.answer(path, &self.parts.method, body, self.access)?;
        let mut out = BytesMut::with_capacity(result.len() + 16);
        out.extend_from_slice(b"{\"result\":");
        out.extend_from_slice(result.as_bytes());
        out.extend_from_slice(b"}");
        Ok(Answer::full(StatusCode::OK, Format::Json, out))
    }

    /// Parses a body; a large one takes its time on a thread of its own.
    async fn parse(
        &self,
        parse: fn(&Bytes) -> Result<Commands, Malformed>,
        body: Bytes,
        text: &'static str,
    ) -> Result<Commands, Failure> {
        let parsed = match self.access.database.local() {
            Some(local) if body.len() > LARGE_BODY => local.aside(move |_| parse(&body)).await,
            _ => parse(&body),
        };
        parsed.map_err(|_| Failure::bad_request(text))
    }

    async fn commands(
        &self,
        kind: backend::Kind,
        commands: Commands,
        record: &mut Record,
    ) -> Result<Answer, Failure> {
        record.name(&commands);
        if kind != backend::Kind::Command && commands.len() == 0 {
            return Err(Failure::bad_request(texts::EMPTY_PIPELINE));
        }
        let limit = self.shared.limits.pipeline_commands;
        if commands.len() > limit {
            let line = texts::too_many_commands(limit, commands.len());
            return Err(Failure::bad_request(line));
        }
        record.commands = commands.len();
        let request = backend::Request {
            caller: self.access.caller.clone(),
            kind,
            commands,
            format: self.format,
            limits: self.shared.limits,
        };
        let rendered = backend::run(self.access, request).await?;
        Ok(Answer::full(rendered.status, self.format, rendered.out))
    }

    async fn subscribe(
        &self,
        command: &'static str,
        channels: &[Cow<'_, [u8]>],
        patterns: &[Cow<'_, [u8]>],
    ) -> Result<Answer, Failure> {
        if channels.iter().chain(patterns).all(|name| name.is_empty()) {
            return Err(Failure::bad_request(format!(
                "ERR wrong number of arguments for '{command}' command"
            )));
        }
        let owned = |names: &[Cow<'_, [u8]>]| -> Vec<Bytes> {
            let names = names.iter().filter(|name| !name.is_empty());
            names.map(|name| Bytes::copy_from_slice(name)).collect()
        };
        let encoding = headers::stream_encoding(&self.parts.headers)?;
        let permit = StreamPermit::new(self.shared, &self.access.database)?;
        let pool = &self.shared.backlog;
        let (frames, guard) =
            backend::subscribe(self.access, owned(channels), owned(patterns), pool).await?;
        Ok(stream(EventStream::new(
            Arc::clone(self.shared),
            encoding,
            frames,
            (guard, permit),
        )))
    }

    async fn monitor(&self) -> Result<Answer, Failure> {
        if !headers::accepts_stream(&self.parts.headers) {
            return Err(Failure::bad_request(texts::not_over_rest("MONITOR")));
        }
        let encoding = headers::stream_encoding(&self.parts.headers)?;
        let permit = StreamPermit::new(self.shared, &self.access.database)?;
        let (frames, guard) = backend::monitor(self.access, &self.shared.backlog).await?;
        Ok(stream(EventStream::new(
            Arc::clone(self.shared),
            encoding,
            frames,
            (guard, permit),
        )))
    }
}

fn stream(events: EventStream) -> Answer {
    Answer {
        status: StatusCode::OK,
        content_type: "text/event-stream",
        body: ReplyBody::Stream(Box::new(events)),
    }
}

/// A place among the event streams, held as long as the stream lives.
pub(crate) struct StreamPermit {
    shared: Arc<Shared>,
    database: Arc<Database>,
}

impl StreamPermit {
    pub(crate) fn new(shared: &Arc<Shared>, database: &Arc<Database>) -> Result<Self, Failure> {
        let unavailable = |line| Failure::new(StatusCode::SERVICE_UNAVAILABLE, line);
        if *shared.stop.borrow() {
            return Err(unavailable(texts::STOPPING));
        }
        let all = shared.metrics.streams_open.rise();
        let own = database.streams.rise();
        let permit = Self {
            shared: Arc::clone(shared),
            database: Arc::clone(database),
        };
        let left = (shared.limits.streams as u64).saturating_sub(all);
        // A database holds no more than it leaves for the others.
        let fits = match shared.databases.len() {
            1 => left > 0,
            _ => own < left,
        };
        if fits {
            Ok(permit)
        } else {
            Err(unavailable(texts::TOO_MANY_STREAMS))
        }
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.shared.metrics.streams_open.fall();
        self.database.streams.fall();
    }
}
