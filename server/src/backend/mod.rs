//! Running commands where a database lives.

mod engine;
pub(crate) mod redis;

pub(crate) use engine::{CancelOnDrop, Local};

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt as _;
use http::StatusCode;
use restis_engine::{Caller, Engine, Frame, Reply, Sink};

use crate::backlog::Pool;
use crate::config::Limits;
use crate::database::{Access, Backend};
use crate::gate;
use crate::reply::{Format, List, answer_size, data_size};
use crate::request::commands::{Args, Commands};
use crate::texts::{self, Failure};

/// Events of a subscription.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Frame> + Send>>;
/// Ends a subscription when dropped.
pub(crate) type Guard = Box<dyn Send>;

/// What the commands of a request ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    /// In order; each has its own reply or error.
    Pipeline,
    /// One atomic step, or nothing.
    Transaction,
}

/// The commands of one request, on somebody's behalf.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) caller: Caller,
    pub(crate) kind: Kind,
    pub(crate) commands: Commands,
    pub(crate) format: Format,
    pub(crate) limits: Limits,
}

/// A body of a response.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) status: StatusCode,
    pub(crate) out: BytesMut,
}

impl Request {
    /// The only command of the request.
    fn command(&self) -> Result<Args<'_>, Failure> {
        self.commands
            .get(0)
            .map_err(|error| Failure::bad_request(error.line(false)))
    }

    /// The commands of a transaction, if all of them may run in one.
    fn rows(&self, refusal: fn(&[&[u8]]) -> Option<String>) -> Result<Vec<Args<'_>>, Failure> {
        let mut rows = Vec::with_capacity(self.commands.len());
        for index in 0..self.commands.len() {
            let row = self
                .commands
                .get(index)
                .map_err(|error| Failure::bad_request(error.line(true)))?;
            if let Some(line) = refusal(&row) {
                return Err(Failure::bad_request(line));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// The answer to a single command, unless it is too large.
    fn single(&self, reply: &Reply) -> Result<Rendered, Failure> {
        let limit = self.limits.response_bytes;
        if data_size(reply) > limit as u64 + 2 {
            let actual = answer_size(reply);
            return Err(Failure::bad_request(texts::too_large(limit, actual)));
        }
        let mut out = BytesMut::with_capacity(128);
        self.format.reply(&mut out, reply);
        let status = if reply.is_error() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        };
        Ok(Rendered { status, out })
    }

    fn list(&self) -> List {
        List::new(self.format, self.limits.response_bytes, self.commands.len())
    }
}

impl From<List> for Rendered {
    fn from(list: List) -> Self {
        Self {
            status: StatusCode::OK,
            out: list.close(),
        }
    }
}

/// Runs the commands of a request where the database lives.
pub(crate) async fn run(access: &Access, request: Request) -> Result<Rendered, Failure> {
    let redis = match &access.database.backend {
        Backend::Engine(local) => return Box::pin(local.run(request)).await,
        Backend::Redis(redis) => redis,
    };
    redis.check_apart().await?;
    let caller = &request.caller;
    match request.kind {
        Kind::Command => {
            let args = request.command()?;
            let reply = Box::pin(redis.command(caller, &args)).await?;
            request.single(&reply)
        }
        Kind::Pipeline => {
            let mut list = request.list();
            Box::pin(redis.pipeline(caller, &request.commands, &mut list)).await?;
            Ok(list.into())
        }
        Kind::Transaction => {
            let rows = request.rows(gate::redis_refusal)?;
            let replies = Box::pin(redis.transaction(caller, &rows)).await?;
            let mut list = request.list();
            for reply in &replies {
                list.reply(reply);
            }
            Ok(list.into())
        }
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
        Backend::Engine(local) => {
            let (queue, queued) = pool.queue();
            let caller = access.caller.clone();
            // A user's patterns may be slow to compare.
            let subscribe =
                move |engine: &Engine| engine.subscribe_as(&caller, &channels, &patterns, queue);
            let subscription = local
                .aside(subscribe)
                .await
                .map_err(|error| Failure::bad_request(error.message().to_owned()))?;
            Ok((Box::pin(queued), Box::new(subscription)))
        }
        Backend::Redis(redis) => {
            redis.check_apart().await?;
            redis.subscribe(channels, patterns, pool).await
        }
    }
}

/// Follows every command of the database.
pub(crate) async fn monitor(access: &Access, pool: &Arc<Pool>) -> Result<(Frames, Guard), Failure> {
    may_monitor(access).await?;
    match &access.database.backend {
        Backend::Engine(local) => {
            let (queue, queued) = pool.queue();
            let first = Frame::Monitor(Bytes::from_static(b"\"OK\""));
            queue.push(first);
            let subscription = local.engine().monitor(queue);
            Ok((Box::pin(queued), Box::new(subscription)))
        }
        Backend::Redis(redis) => redis.monitor().await,
    }
}

/// Shows commands to a sink that wants some of them only. Those of a Redis come as frames.
pub(crate) async fn sampled_monitor<S: Sink + 'static>(
    access: &Access,
    sink: &Arc<S>,
) -> Result<(Option<Frames>, Guard), Failure> {
    may_monitor(access).await?;
    match &access.database.backend {
        Backend::Engine(local) => {
            let sink = Arc::clone(sink);
            Ok((None, Box::new(local.engine().monitor(sink))))
        }
        Backend::Redis(redis) => {
            let (frames, guard) = redis.monitor().await?;
            // The first one says that it begins.
            Ok((Some(Box::pin(frames.skip(1))), guard))
        }
    }
}

/// It shows what everybody does.
async fn may_monitor(access: &Access) -> Result<(), Failure> {
    if access.caller != Caller::default() {
        return Err(Failure::bad_request(texts::no_permission(b"monitor")));
    }
    match &access.database.backend {
        Backend::Engine(_) => Ok(()),
        Backend::Redis(redis) => redis.check_apart().await,
    }
}

/// The backend does not answer.
pub(crate) fn unavailable(line: impl Into<String>) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, line.into())
}
