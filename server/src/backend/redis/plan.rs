//! What becomes of a command before it is passed on, and of its reply after.

use redis::Cmd;
use restis_engine::Reply;

use super::convert;
use super::scripts::Scripts;
use crate::gate;
use crate::texts;

/// What to do with a command.
pub(super) enum Plan {
    /// Answered without the Redis.
    Here(Reply),
    /// Passed on; the reply may need a change.
    Send(Cmd, After),
}

/// How a reply is changed.
#[derive(Debug)]
pub(super) enum After {
    Keep,
    /// This instead of any reply that is no error.
    Replace(Reply),
}

impl After {
    pub(super) fn apply(self, reply: Reply) -> Reply {
        match self {
            Self::Replace(other) if !reply.is_error() => other,
            _ => reply,
        }
    }
}

impl Plan {
    /// Plans a command, or says why it cannot run.
    pub(super) fn new(args: &[&[u8]], scripts: &Scripts) -> Result<Self, String> {
        let name = args.first().copied().unwrap_or_default();
        if let Some(line) = gate::redis_refusal(args) {
            return Err(line);
        }
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("SELECT") {
            return select(args);
        }
        if is("EVAL") || is("EVAL_RO") {
            if let Some(stripped) = args.get(1).and_then(|script| scripts.strip(script)) {
                return Ok(with(args, 1, &stripped.body, After::Keep));
            }
        } else if is("EVALSHA") || is("EVALSHA_RO") {
            if let Some(sha) = args.get(1).and_then(|sha| scripts.translate(sha)) {
                return Ok(with(args, 1, sha.as_bytes(), After::Keep));
            }
        } else if is("SCRIPT") {
            return script(args, scripts);
        } else if is("WAIT") || is("WAITAOF") {
            return Ok(send(&without_waiting(args)));
        } else if is("FUNCTION") && has_sub(args, "KILL") {
            return Err(NOTHING_TO_KILL.to_owned());
        } else if is("COPY") {
            return Ok(send(&within_database(args)?));
        }
        Ok(send(args))
    }
}

/// There is one database for a token.
const OTHER_DATABASE: &str = "ERR DB index is out of range";
/// What runs may be somebody else's.
const NOTHING_TO_KILL: &str = "NOTBUSY No scripts in execution right now.";

fn has_sub(args: &[&[u8]], sub: &str) -> bool {
    args.get(1)
        .is_some_and(|arg| arg.eq_ignore_ascii_case(sub.as_bytes()))
}

/// `COPY` without `DB 0`: the client's only database has another number in the Redis.
fn within_database<'a>(args: &[&'a [u8]]) -> Result<Vec<&'a [u8]>, String> {
    let mut kept: Vec<&[u8]> = args.iter().take(3).copied().collect();
    let mut options = args.iter().skip(3);
    while let Some(option) = options.next() {
        if !option.eq_ignore_ascii_case(b"DB") {
            kept.push(option);
        } else if options.next() != Some(&b"0".as_slice()) {
            return Err(OTHER_DATABASE.to_owned());
        }
    }
    Ok(kept)
}

/// `WAIT` tells how many replicas there are in step, and does not wait for more: the connection
/// is shared.
fn without_waiting<'a>(args: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let number =
        |arg: &&[u8]| std::str::from_utf8(arg).is_ok_and(|text| text.parse::<u32>().is_ok());
    if args.iter().skip(1).all(number) {
        let mut waiting = vec![b"0".as_slice(); args.len()];
        waiting[0] = args[0];
        return waiting;
    }
    args.to_vec()
}

fn send(args: &[&[u8]]) -> Plan {
    Plan::Send(convert::cmd(args), After::Keep)
}

/// The command with another argument at `index`.
fn with(args: &[&[u8]], index: usize, argument: &[u8], after: After) -> Plan {
    let mut args = args.to_vec();
    args[index] = argument;
    Plan::Send(convert::cmd(&args), after)
}

/// Connections are shared: the database cannot be changed by one request for the others.
fn select(args: &[&[u8]]) -> Result<Plan, String> {
    match args {
        [_, b"0"] => Ok(Plan::Here(Reply::ok())),
        [_, _] => Err(OTHER_DATABASE.to_owned()),
        _ => Err("ERR wrong number of arguments for 'select' command".to_owned()),
    }
}

fn script(args: &[&[u8]], scripts: &Scripts) -> Result<Plan, String> {
    let sub = args.get(1).copied().unwrap_or_default();
    if sub.eq_ignore_ascii_case(b"DEBUG") {
        // It would make a debugger of the connection.
        return Err(texts::not_available("SCRIPT DEBUG"));
    }
    if sub.eq_ignore_ascii_case(b"KILL") {
        return Err(NOTHING_TO_KILL.to_owned());
    }
    if sub.eq_ignore_ascii_case(b"LOAD") {
        if let Some(stripped) = args.get(2).and_then(|script| scripts.strip(script)) {
            let after = After::Replace(Reply::bulk(&stripped.original));
            return Ok(with(args, 2, &stripped.body, after));
        }
    } else if sub.eq_ignore_ascii_case(b"EXISTS") {
        let translated: Vec<Option<String>> = args
            .iter()
            .skip(2)
            .map(|sha| scripts.translate(sha))
            .collect();
        let mut args = args.to_vec();
        for (arg, sha) in args.iter_mut().skip(2).zip(&translated) {
            if let Some(sha) = sha {
                *arg = sha.as_bytes();
            }
        }
        return Ok(send(&args));
    }
    Ok(send(args))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;

    fn sent(args: &[&str], scripts: &Scripts) -> Vec<String> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let Plan::Send(cmd, _) = Plan::new(&args, scripts).unwrap() else {
            panic!("answered here");
        };
        cmd.args_iter()
            .map(|arg| match arg {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => panic!("cursor"),
            })
            .collect()
    }

    #[test]
    fn a_wait_for_replicas_looks_once() {
        let scripts = Scripts::default();
        for (command, passed) in [
            ("WAIT 1 0", "WAIT 0 0"),
            ("waitaof 1 1 0", "waitaof 0 0 0"),
            ("WAIT x 0", "WAIT x 0"),
        ] {
            let args: Vec<&str> = command.split(' ').collect();
            assert_eq!(sent(&args, &scripts).join(" "), passed);
        }
    }

    #[test]
    fn no_spelling_of_block_gets_through() {
        let scripts = Scripts::default();
        for command in [
            "XREAD BLOCK 0 BLOCK 0 STREAMS s $",
            "XREADGROUP GROUP streams c BLOCK 0 STREAMS s >",
            "XREADGROUP BLOCK 0 GROUP g c NOACK STREAMS s >",
        ] {
            let args: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            assert!(Plan::new(&args, &scripts).is_err(), "{command}");
        }
    }

    #[test]
    fn neither_the_connection_nor_another_database_is_reached() {
        let scripts = Scripts::default();
        for command in [
            "SELECT 1",
            "COPY a b DB 2",
            "copy a b replace db 2",
            "MOVE a 1",
            "SWAPDB 0 1",
            "SCRIPT DEBUG SYNC",
            "SCRIPT KILL",
            "function kill",
            "CLIENT PAUSE 1000",
            "RESTORE-ASKING a 0 x",
        ] {
            let args: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            assert!(Plan::new(&args, &scripts).is_err(), "{command}");
        }
    }

    #[test]
    fn a_copy_within_the_only_database_is_sent_without_its_number() {
        let scripts = Scripts::default();
        assert_eq!(
            sent(&["COPY", "a", "b", "DB", "0", "REPLACE"], &scripts),
            ["COPY", "a", "b", "REPLACE"]
        );
    }

    #[test]
    fn scripts_are_translated() {
        let scripts = Scripts::default();
        let script = "#!lua flags=allow-key-locking\nreturn 1";
        assert_eq!(
            sent(&["eval", script, "0"], &scripts),
            ["eval", "\nreturn 1", "0"]
        );
        let sha = scripts.strip(script.as_bytes()).unwrap().original;
        let sent = sent(&["EVALSHA", &sha, "0"], &scripts);
        assert_ne!(sent[1], sha);
    }

    #[test]
    fn select_never_leaks() {
        let scripts = Scripts::default();
        let plan = |index: &str| Plan::new(&[b"select", index.as_bytes()], &scripts);
        assert!(matches!(plan("0"), Ok(Plan::Here(_))));
        assert!(plan("1").is_err());
    }
}
