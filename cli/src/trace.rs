//! Tells the console which commands a request to the functions sends.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use restis::transport::{BoxFuture, Exchange, FrameStream, Listen, Transport, TransportResponse};
use restis::{Args, Result};
use restis_console::{Trip, note_trip};

/// Letters of an argument that are shown, and arguments of a command.
const LETTERS: usize = 80;
const ARGUMENTS: usize = 12;

/// Notes each exchange that a request of the functions waits for.
#[derive(Debug)]
pub(crate) struct Traced(pub(crate) Arc<dyn Transport>);

impl Transport for Traced {
    fn execute<'a>(&'a self, exchange: &'a Exchange) -> BoxFuture<'a, Result<TransportResponse>> {
        Box::pin(async move {
            let started = Instant::now();
            let response = self.0.execute(exchange).await;
            note_trip(|| Trip {
                commands: exchange.commands.iter().map(shown).collect(),
                millis: started.elapsed().as_secs_f64() * 1000.0,
                error: response.as_ref().err().map(ToString::to_string),
            });
            response
        })
    }

    fn can_batch(&self, command: &Args) -> bool {
        self.0.can_batch(command)
    }

    fn listen(&self, what: Listen) -> BoxFuture<'_, Result<FrameStream>> {
        self.0.listen(what)
    }

    fn answers_at_once(&self) -> bool {
        self.0.answers_at_once()
    }

    fn sends_at_once(&self) -> bool {
        self.0.sends_at_once()
    }
}

/// A command with the beginnings of its arguments.
fn shown(args: &Args) -> String {
    let mut text = String::new();
    for (at, arg) in args.iter().enumerate().take(ARGUMENTS) {
        let arg = String::from_utf8_lossy(arg);
        let separator = if at == 0 { "" } else { " " };
        let mut letters = arg.chars();
        let beginning: String = letters.by_ref().take(LETTERS).collect();
        let rest = if letters.next().is_some() { "…" } else { "" };
        let _ = write!(text, "{separator}{}{rest}", beginning.escape_debug());
    }
    if args.len() > ARGUMENTS {
        let _ = write!(text, " … {} arguments", args.len() - 1);
    }
    text
}
