//! Pipelines on the embedded engine.

use restis_engine::{Caller, Engine};

use super::List;
use crate::gate;
use crate::request::commands::{Args, Commands};

/// Commands after which other requests of the same thread get their turn.
const TURN: usize = 2048;

pub(super) async fn pipeline(
    engine: &Engine,
    caller: &Caller,
    commands: &Commands<'_>,
    list: &mut List,
) {
    loop {
        let mut run = Run {
            commands,
            next: list.written(),
            end: commands.len().min(list.written() + TURN),
            refused: None,
        };
        engine.batch(caller, &mut run, |reply| list.reply(&reply));
        if let Some(line) = run.refused.take() {
            list.error(&line);
        }
        if list.written() >= commands.len() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Consecutive commands that may run; ends at one that may not.
struct Run<'r, 'b> {
    commands: &'r Commands<'b>,
    next: usize,
    end: usize,
    refused: Option<String>,
}

impl<'r> Iterator for Run<'r, '_> {
    type Item = Args<'r>;

    fn next(&mut self) -> Option<Args<'r>> {
        if self.next >= self.end || self.refused.is_some() {
            return None;
        }
        let commands: &'r Commands<'_> = self.commands;
        match commands.get(self.next) {
            Ok(args) => {
                self.refused = gate::refusal(args[0]);
                if self.refused.is_some() {
                    return None;
                }
                self.next += 1;
                Some(args)
            }
            Err(error) => {
                self.refused = Some(error.line(true).to_owned());
                None
            }
        }
    }
}
