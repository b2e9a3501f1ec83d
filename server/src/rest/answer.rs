//! From the parts of a request to an answer.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::body::Incoming;

use super::body::{self, ReplyBody};
use super::headers;
use super::service::{Record, Shared, Stop};
use crate::backend;
use crate::database::Access;
use crate::fault::Fault;
use crate::metrics::Kind;
use crate::reply::Format;
use crate::request::commands::{Args, Commands};
use crate::request::json;
use crate::request::target::{Endpoint, Target};
use crate::sse::EventStream;
use crate::texts::{self, Failure};

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
    let body = body::read(body, &shared.limits).await?;
    record.bytes_in = body.len();
    let request = Request {
        shared,
        access: &access,
        format,
        parts,
    };
    let answer = request.run(target, &body, record).await?;
    if fault.drop_after {
        return Err(Stop::Dropped);
    }
    Ok(answer)
}

fn kind(endpoint: &Endpoint<'_>) -> Kind {
    match endpoint {
        Endpoint::Body | Endpoint::Path(_) => Kind::Command,
        Endpoint::Pipeline => Kind::Pipeline,
        Endpoint::Transaction => Kind::Transaction,
        Endpoint::Subscribe(_) | Endpoint::PSubscribe(_) | Endpoint::Monitor => Kind::Stream,
    }
}

fn fault(shared: &Shared, parts: &Parts) -> Result<Fault, Failure> {
    let Some(faults) = &shared.faults else {
        return Ok(Fault::default());
    };
    let header = parts.headers.get(headers::FAULT);
    let header = header.and_then(|value| value.to_str().ok());
    faults
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
        body: &Bytes,
        record: &mut Record,
    ) -> Result<Answer, Failure> {
        match target.endpoint {
            Endpoint::Body => {
                let commands =
                    json::command(body).map_err(|_| Failure::bad_request(texts::BAD_COMMAND))?;
                let args = commands
                    .get(0)
                    .map_err(|error| Failure::bad_request(error.line(false)))?;
                self.command(&args, record).await
            }
            Endpoint::Path(segments) => {
                let mut args: Args<'_> = segments.iter().map(AsRef::as_ref).collect();
                if !body.is_empty() {
                    args.push(body);
                }
                args.extend(target.query.iter().map(AsRef::as_ref));
                self.command(&args, record).await
            }
            Endpoint::Pipeline => {
                let commands = self.many(body, record)?;
                let limit = self.shared.limits.response_bytes;
                let (out, size) =
                    backend::pipeline(self.access, &commands, self.format, limit).await?;
                self.sized(StatusCode::OK, out, size)
            }
            Endpoint::Transaction => {
                let commands = self.many(body, record)?;
                let replies = backend::transaction(self.access, &commands).await?;
                let mut out = BytesMut::with_capacity(64 * replies.len());
                self.format.open(&mut out);
                for (index, reply) in replies.iter().enumerate() {
                    if index > 0 {
                        self.format.separate(&mut out);
                    }
                    self.format.reply(&mut out, reply);
                }
                self.format.close(&mut out);
                let size = out.len() as u64;
                self.sized(StatusCode::OK, out, size)
            }
            Endpoint::Subscribe(channels) => self.subscribe("subscribe", &channels, &[]).await,
            Endpoint::PSubscribe(patterns) => self.subscribe("psubscribe", &[], &patterns).await,
            Endpoint::Monitor => self.monitor().await,
        }
    }

    async fn command(&self, args: &[&[u8]], record: &mut Record) -> Result<Answer, Failure> {
        let name = args.first().copied().unwrap_or_default();
        record.name(name);
        record.commands = 1;
        let reply = backend::command(self.access, args).await?;
        let status = if reply.is_error() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        let mut out = BytesMut::with_capacity(128);
        self.format.reply(&mut out, &reply);
        let size = out.len() as u64;
        self.sized(status, out, size)
    }

    fn many<'b>(&self, body: &'b [u8], record: &mut Record) -> Result<Commands<'b>, Failure> {
        let commands =
            json::pipeline(body).map_err(|_| Failure::bad_request(texts::BAD_PIPELINE))?;
        if commands.len() == 0 {
            return Err(Failure::bad_request(texts::EMPTY_PIPELINE));
        }
        let limit = self.shared.limits.pipeline_commands;
        if commands.len() > limit {
            return Err(Failure::bad_request(texts::too_many_commands(
                limit,
                commands.len(),
            )));
        }
        record.commands = commands.len();
        Ok(commands)
    }

    /// The answer, unless it is larger than the limit.
    fn sized(&self, status: StatusCode, out: BytesMut, size: u64) -> Result<Answer, Failure> {
        let limit = self.shared.limits.response_bytes;
        if size > limit as u64 {
            return Err(Failure::bad_request(texts::too_large(limit, size)));
        }
        Ok(Answer::full(status, self.format, out))
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
        let permit = StreamPermit::new(self.shared)?;
        let pool = &self.shared.backlog;
        let (frames, guard) =
            backend::subscribe(self.access, owned(channels), owned(patterns), pool).await?;
        permit.keep();
        Ok(stream(EventStream::new(
            Arc::clone(self.shared),
            frames,
            guard,
        )))
    }

    async fn monitor(&self) -> Result<Answer, Failure> {
        if !headers::accepts_stream(&self.parts.headers) {
            return Err(Failure::bad_request(texts::not_over_rest("MONITOR")));
        }
        let permit = StreamPermit::new(self.shared)?;
        let (frames, guard) = backend::monitor(self.access, &self.shared.backlog).await?;
        permit.keep();
        Ok(stream(EventStream::new(
            Arc::clone(self.shared),
            frames,
            guard,
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

/// A place among the event streams; given back unless a stream takes it over.
struct StreamPermit<'s>(Option<&'s Shared>);

impl<'s> StreamPermit<'s> {
    fn new(shared: &'s Shared) -> Result<Self, Failure> {
        let unavailable = |line| Failure::new(StatusCode::SERVICE_UNAVAILABLE, line);
        if *shared.stop.borrow() {
            return Err(unavailable(texts::STOPPING));
        }
        let permit = Self(Some(shared));
        if shared.metrics.streams_open.rise() >= shared.limits.streams as u64 {
            return Err(unavailable(texts::TOO_MANY_STREAMS));
        }
        Ok(permit)
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for StreamPermit<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.metrics.streams_open.fall();
        }
    }
}
