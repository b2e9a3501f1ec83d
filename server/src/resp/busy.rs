//! What clients are told while a script holds the database, and how they end it.

use std::pin::pin;
use std::time::Duration;

use restis_engine::{Caller, Reply, ScriptKind};

use super::parser::Command;
use crate::backend::Local;

/// Pauses between looks at what holds the database.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until the database is free; `Some` if the command is answered instead, because a script
/// has run for too long or was just ended.
pub(super) async fn wait(local: &Local, caller: &Caller, command: &Command) -> Option<Reply> {
    if local.is_free() {
        return None;
    }
    let kills = killed_by(caller, command);
    let asks = matches!(&command[..], [name, sub] if is(name, "FUNCTION") && is(sub, "STATS"));
    let engine = local.engine();
    let mut free = pin!(local.until_free());
    loop {
        let answer = match kills {
            Some(kind) if engine.running_script().is_some() => {
                let outcome = engine.kill_script(kind);
                Some(outcome.map_or_else(Reply::Error, |()| Reply::ok()))
            }
            Some(_) => None,
            None if asks && engine.busy().is_some() => statistics(local),
            None => engine.busy().map(Reply::Error),
        };
        if answer.is_some() {
            return answer;
        }
        tokio::select! {
            biased;
            () = &mut free => return None,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

fn is(text: &[u8], word: &str) -> bool {
    text.eq_ignore_ascii_case(word.as_bytes())
}

fn number(value: u128) -> Reply {
    Reply::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// The answer to FUNCTION STATS while a function runs.
fn statistics(local: &Local) -> Option<Reply> {
    let (kind, running) = local.engine().running_script()?;
    let command = local.running().command()?;
    if kind != ScriptKind::Function {
        return None;
    }
    let [libraries, functions] = local.engine().functions();
    let counts = [
        Reply::bulk("libraries_count"),
        number(libraries as u128),
        Reply::bulk("functions_count"),
        number(functions as u128),
    ];
    let script = [
        Reply::bulk("name"),
        Reply::Bulk(command.get(1).cloned().unwrap_or_default()),
        Reply::bulk("command"),
        Reply::array(command.into_iter().map(Reply::Bulk)),
        Reply::bulk("duration_ms"),
        number(running.as_millis()),
    ];
    Some(Reply::array([
        Reply::bulk("running_script"),
        Reply::array(script),
        Reply::bulk("engines"),
        Reply::array([Reply::bulk("LUA"), Reply::array(counts)]),
    ]))
}

/// What SCRIPT KILL and FUNCTION KILL end.
///
/// They are for the database's own token: what users may do is known to the database, which waits.
fn killed_by(caller: &Caller, command: &Command) -> Option<ScriptKind> {
    let [name, sub] = &command[..] else {
        return None;
    };
    if !is(sub, "KILL") || *caller != Caller::default() {
        return None;
    }
    match () {
        () if is(name, "SCRIPT") => Some(ScriptKind::Script),
        () if is(name, "FUNCTION") => Some(ScriptKind::Function),
        () => None,
    }
}
