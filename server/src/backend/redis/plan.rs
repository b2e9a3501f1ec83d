//! What becomes of a command before it is passed on, and of its reply after.

use redis::Cmd;
use restis_engine::Reply;

use super::convert;
use super::scripts::Scripts;
use crate::gate;

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
        if let Some(line) = gate::redis_refusal(name) {
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
            return Ok(script(args, scripts));
        } else if is("XREAD") || is("XREADGROUP") {
            return Ok(send(&without_block(args)));
        }
        Ok(send(args))
    }
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
        [_, _] => Err("ERR DB index is out of range".to_owned()),
        _ => Err("ERR wrong number of arguments for 'select' command".to_owned()),
    }
}

fn script(args: &[&[u8]], scripts: &Scripts) -> Plan {
    let sub = args.get(1).copied().unwrap_or_default();
    if sub.eq_ignore_ascii_case(b"LOAD") {
        if let Some(stripped) = args.get(2).and_then(|script| scripts.strip(script)) {
            let after = After::Replace(Reply::bulk(&stripped.original));
            return with(args, 2, &stripped.body, after);
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
        return send(&args);
    }
    send(args)
}

/// A read that would wait becomes one that looks.
fn without_block<'a>(args: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let options = args
        .iter()
        .position(|arg| arg.eq_ignore_ascii_case(b"STREAMS"))
        .unwrap_or(args.len());
    // After GROUP come two names that may look like an option.
    let from = if args[0].eq_ignore_ascii_case(b"XREADGROUP") {
        4
    } else {
        1
    };
    let mut at = from;
    while at + 1 < options {
        if args[at].eq_ignore_ascii_case(b"BLOCK") {
            return [&args[..at], &args[at + 2..]].concat();
        }
        at += if args[at].eq_ignore_ascii_case(b"NOACK") {
            1
        } else {
            2
        };
    }
    args.to_vec()
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
    fn reads_do_not_block() {
        let scripts = Scripts::default();
        assert_eq!(
            sent(
                &["XREAD", "COUNT", "1", "block", "0", "STREAMS", "s", "$"],
                &scripts
            ),
            ["XREAD", "COUNT", "1", "STREAMS", "s", "$"]
        );
        assert_eq!(
            sent(
                &[
                    "XREADGROUP",
                    "GROUP",
                    "block",
                    "block",
                    "NOACK",
                    "BLOCK",
                    "5",
                    "STREAMS",
                    "block",
                    ">"
                ],
                &scripts
            ),
            [
                "XREADGROUP",
                "GROUP",
                "block",
                "block",
                "NOACK",
                "STREAMS",
                "block",
                ">"
            ]
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
