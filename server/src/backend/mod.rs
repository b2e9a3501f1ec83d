//! Running commands where a database lives.

mod engine;
pub(crate) mod redis;

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::StatusCode;
use restis_engine::{Caller, Frame, Reply};

use crate::backlog::Pool;
use crate::database::{Access, Backend};
use crate::gate;
use crate::reply::Format;
use crate::request::commands::Commands;
use crate::texts::{self, Failure};

/// Events of a subscription.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Frame> + Send>>;
/// Ends a subscription when dropped.
pub(crate) type Guard = Box<dyn Send>;

/// Runs one command.
pub(crate) async fn command(access: &Access, args: &[&[u8]]) -> Result<Reply, Failure> {
    let name = args.first().copied().unwrap_or_default();
    match &access.database.backend {
        Backend::Engine(engine) => {
            if let Some(line) = gate::refusal(name) {
                return Err(Failure::bad_request(line));
            }
            Ok(engine.call_as(&access.caller, args))
        }
        Backend::Redis(redis) => Box::pin(redis.command(&access.caller, args)).await,
    }
}

/// Runs commands in order; each has its own reply or error.
///
/// Returns the list of replies and its full size; beyond `limit` replies are counted, not kept.
pub(crate) async fn pipeline(
    access: &Access,
    commands: &Commands<'_>,
    format: Format,
    limit: usize,
) -> Result<(BytesMut, u64), Failure> {
    let mut list = List::new(format, limit, commands.len());
    match &access.database.backend {
        Backend::Engine(engine) => {
            engine::pipeline(engine, &access.caller, commands, &mut list).await;
        }
        Backend::Redis(redis) => {
            Box::pin(redis.pipeline(&access.caller, commands, &mut list)).await?;
        }
    }
    Ok(list.close())
}

/// Runs commands as one atomic step, or none of them.
pub(crate) async fn transaction(
    access: &Access,
    commands: &Commands<'_>,
) -> Result<Vec<Reply>, Failure> {
    let redis = matches!(access.database.backend, Backend::Redis(_));
    let mut rows = Vec::with_capacity(commands.len());
    for index in 0..commands.len() {
        let row = commands
            .get(index)
            .map_err(|error| Failure::bad_request(error.line(true)))?;
        let refusal = if redis {
            gate::redis_refusal(row[0])
        } else {
            gate::refusal(row[0])
        };
        if let Some(line) = refusal {
            return Err(Failure::bad_request(line));
        }
        rows.push(row);
    }
    match &access.database.backend {
        Backend::Engine(engine) => engine
            .transaction(&access.caller, &rows)
            .map_err(|error| Failure::bad_request(error.message().to_owned())),
        Backend::Redis(redis) => Box::pin(redis.transaction(&access.caller, &rows)).await,
    }
}

/// Subscribes to channels and patterns.
pub(crate) async fn subscribe(
    access: &Access,
    channels: Vec<Bytes>,
    patterns: Vec<Bytes>,
    pool: &Arc<Pool>,
) -> Result<(Frames, Guard), Failure> {
    match &access.database.backend {
        Backend::Engine(engine) => {
            engine
                .check_channels(&access.caller, &channels, &patterns)
                .map_err(|error| Failure::bad_request(error.message().to_owned()))?;
            let (queue, queued) = pool.queue();
            let subscription = engine.subscribe(&channels, &patterns, queue);
            Ok((Box::pin(queued), Box::new(subscription)))
        }
        Backend::Redis(redis) => redis.subscribe(channels, patterns, pool).await,
    }
}

/// Follows every command of the database.
pub(crate) async fn monitor(access: &Access, pool: &Arc<Pool>) -> Result<(Frames, Guard), Failure> {
    // It shows what everybody does.
    if access.caller != Caller::default() {
        return Err(Failure::bad_request(texts::no_permission(b"monitor")));
    }
    match &access.database.backend {
        Backend::Engine(engine) => {
            let (queue, queued) = pool.queue();
            let first = Frame::Monitor(Bytes::from_static(b"\"OK\""));
            restis_engine::Sink::push(queue.as_ref(), first);
            let subscription = engine.monitor(queue);
            Ok((Box::pin(queued), Box::new(subscription)))
        }
        Backend::Redis(redis) => redis.monitor().await,
    }
}

/// The backend does not answer.
pub(crate) fn unavailable(line: impl Into<String>) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, line.into())
}

/// Replies of a pipeline, written as they come.
pub(crate) struct List {
    format: Format,
    limit: usize,
    out: BytesMut,
    written: usize,
    dropped: u64,
}

impl List {
    fn new(format: Format, limit: usize, commands: usize) -> Self {
        let mut out =
            BytesMut::with_capacity((commands * 32).clamp(256, 1 << 20).min(limit.max(256)));
        format.open(&mut out);
        Self {
            format,
            limit,
            out,
            written: 0,
            dropped: 0,
        }
    }

    pub(crate) fn reply(&mut self, reply: &Reply) {
        let start = self.start();
        self.format.reply(&mut self.out, reply);
        self.fit(start);
    }

    pub(crate) fn error(&mut self, line: &str) {
        let start = self.start();
        self.format.error(&mut self.out, line);
        self.fit(start);
    }

    /// How many replies there are.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    fn start(&mut self) -> usize {
        let start = self.out.len();
        if self.written > 0 {
            self.format.separate(&mut self.out);
        }
        self.written += 1;
        start
    }

    fn fit(&mut self, start: usize) {
        if self.out.len() > self.limit {
            self.dropped += (self.out.len() - start) as u64;
            self.out.truncate(start);
        }
    }

    fn close(mut self) -> (BytesMut, u64) {
        self.format.close(&mut self.out);
        let size = self.out.len() as u64 + self.dropped;
        (self.out, size)
    }
}
