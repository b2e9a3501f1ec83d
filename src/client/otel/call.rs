//! The span of one call: a command, a pipeline or a transaction.

use std::sync::Arc;

use super::{
    export::Telemetry,
    record::{Attributes, Ended, OpenSpan, SpanKind, Text},
};
use crate::{
    client::{batch::Results, otel::context::SpanContext},
    protocol::{
        command::Args,
        command_table::TABLE,
        error::{Error, ErrorKind, Result},
        reply::Reply,
    },
    transport::Mode,
};

/// Error codes that are told; a script may answer with any other text.
const CODES: [&str; 23] = [
    "ASK",
    "BUSY",
    "BUSYGROUP",
    "BUSYKEY",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "ERR",
    "EXECABORT",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOGROUP",
    "NOPERM",
    "NOREPLICAS",
    "NOSCRIPT",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
    "WRONGPASS",
    "WRONGTYPE",
];

/// Where the calls of a client are recorded.
#[derive(Debug)]
pub(crate) struct CallObserver {
    pub(crate) telemetry: Telemetry,
    /// Host and port of the store.
    pub(crate) server: Option<(Arc<str>, u16)>,
}

/// A call whose result is awaited.
#[derive(Debug)]
pub(crate) struct CallSpan {
    observer: Arc<CallObserver>,
    span: OpenSpan,
    mode: Mode,
    /// The command of all of them, if it is one.
    command: Option<&'static str>,
    commands: usize,
}

/// A command's name; those of the user's making are `other`.
fn name(args: &Args) -> &'static str {
    TABLE.get(args.index()).map_or("other", |known| known.name)
}

impl CallSpan {
    pub(crate) fn begin(observer: &Arc<CallObserver>, mode: Mode, commands: &[Args]) -> Self {
        let first = commands.first().map(name);
        Self {
            observer: Arc::clone(observer),
            span: OpenSpan::begin(SpanKind::Client, SpanContext::current()),
            mode,
            command: first.filter(|first| commands.iter().all(|args| name(args) == *first)),
            commands: commands.len(),
        }
    }

    pub(crate) fn end(self, results: &Results) {
        // What goes on without an error of one command has not failed.
        let error = match results.iter().map(error_of).collect::<Option<Vec<_>>>() {
            Some(errors) => errors.into_iter().next(),
            None => None,
        };
        let operation = match (self.mode, self.command) {
            (Mode::Single, command) => command.unwrap_or("other").into(),
            (mode, command) => batch_name(mode, command),
        };
        let name = match &operation {
            Text::Constant(name) => (*name).to_owned(),
            Text::Shared(name) => name.as_ref().to_owned(),
            Text::Number(_) => String::new(),
        };
        let mut attributes: Attributes = vec![
            ("db.system.name", "redis".into()),
            ("db.operation.name", operation),
        ];
        if let Some((host, port)) = &self.observer.server {
            attributes.push(("server.address", Text::Shared(Arc::clone(host))));
            attributes.push(("server.port", Text::Number((*port).into())));
        }
        if let Some((kind, code)) = error {
            attributes.push(("error.type", kind.as_str().into()));
            attributes.extend(code.map(|code| ("db.response.status_code", code.into())));
        }
        let mut detail = Attributes::new();
        if self.commands > 1 {
            detail.push((
                "db.operation.batch.size",
                Text::Number(self.commands as i64),
            ));
        }
        let ended = Ended {
            name,
            metric: "db.client.operation.duration",
            attributes,
            detail,
            failed: error.is_some(),
        };
        self.span.end(&mut self.observer.telemetry.record(), ended);
    }
}

/// The name of several commands, as the conventions for Redis have it.
fn batch_name(mode: Mode, command: Option<&'static str>) -> Text {
    let kind = if mode == Mode::Transaction {
        "MULTI"
    } else {
        "PIPELINE"
    };
    match command {
        Some(command) => Text::Shared(format!("{kind} {command}").into()),
        None => Text::Constant(kind),
    }
}

/// What failed, and the server's code for it if it is a known one.
fn error_of(result: &Result<Reply>) -> Option<(ErrorKind, Option<&'static str>)> {
    let (kind, server) = match result {
        Ok(Reply::Error(error)) => (ErrorKind::of_server_error(error), Some(error.code())),
        Ok(_) => return None,
        Err(error) => (error.kind(), Error::code(error)),
    };
    let code = CODES.into_iter().find(|code| Some(*code) == server);
    Some((kind, code))
}
