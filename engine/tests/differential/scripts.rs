//! A corpus of scripts and libraries: every conversion, library and error text.

use restis_engine::{Engine, Reply};

use crate::redis::Server;

/// Scripts that are run without keys, each as it stands.
const SCRIPTS: &str = include_str!("scripts.txt");

/// Commands around scripts and functions, in order, arguments separated by `|`.
const COMMANDS: &str = include_str!("functions.txt");

/// Texts that hold an address or a version.
fn comparable(reply: &Reply) -> String {
    format!("{reply:?}")
}

#[test]
fn scripts_answer_as_redis() {
    // A Redis 8 words some errors of scripts otherwise.
    for server in Server::all()
        .into_iter()
        .filter(|server| server.version < (8, 0))
    {
        let mut redis = server.connect();
        let engine = Engine::default();
        let mut wrong = Vec::new();
        let scripts = SCRIPTS
            .split("\n---\n")
            .map(str::trim_start)
            .filter(|script| !script.is_empty());
        for script in scripts {
            for command in [
                ["FLUSHALL", "", ""],
                ["EVAL", script, "0"],
                ["EVAL_RO", script, "0"],
            ] {
                let command = if command[0] == "FLUSHALL" {
                    &command[..1]
                } else {
                    &command[..]
                };
                let (theirs, ours) = (redis.call(command), engine.call(command));
                if comparable(&theirs) != comparable(&ours) {
                    wrong.push(format!(
                        "{command:?}\n  redis:  {theirs:?}\n  engine: {ours:?}"
                    ));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} differ:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

#[test]
fn script_and_function_commands_answer_as_redis() {
    // A Redis 8 words some errors of scripts otherwise.
    for server in Server::all()
        .into_iter()
        .filter(|server| server.version < (8, 0))
    {
        let mut redis = server.connect();
        let engine = Engine::default();
        let mut wrong = Vec::new();
        for line in COMMANDS
            .split("\n---\n")
            .map(str::trim_start)
            .filter(|line| !line.is_empty())
        {
            let command: Vec<&str> = line.split('|').collect();
            let (theirs, ours) = (redis.call(&command), engine.call(&command));
            if comparable(&theirs) != comparable(&ours) {
                wrong.push(format!(
                    "{command:?}\n  redis:  {theirs:?}\n  engine: {ours:?}"
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} differ:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}
