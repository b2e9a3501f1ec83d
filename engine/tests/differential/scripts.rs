//! A corpus of scripts and libraries: every conversion, library and error text.

use restis_engine::{Engine, Reply};

use crate::redis::Server;

/// Scripts that are run without keys, each as it stands.
const SCRIPTS: &str = include_str!("scripts.txt");

/// Commands around scripts and functions, in order, arguments separated by `|`.
const COMMANDS: &str = include_str!("functions.txt");

/// What a Redis 8 answers otherwise than a Redis 7, as which the engine answers: it has a table
/// `os`, lets scripts call what blocks, checks the arity in `acl_check_cmd`, and words two errors
/// anew.
const CHANGED_IN_8: [&str; 8] = [
    r#"return redis.call("blpop","zz",0)"#,
    r#"return redis.call("BLPOP","x",0)"#,
    r#"return redis.log(9,"x")"#,
    r#"local t={} for k in pairs(_G) do if k~="__redis__err__handler" then t[#t+1]=k end end table.sort(t) return t"#,
    "return os.time()",
    r#"return redis.acl_check_cmd("GET")"#,
    "return redis.set_repl()",
    "fcall|x|0",
];

fn is_compared(server: &Server, text: &str) -> bool {
    server.version < (8, 0) || !CHANGED_IN_8.contains(&text.trim_end())
}

/// Texts that hold an address or a version.
fn comparable(reply: &Reply) -> String {
    format!("{reply:?}")
}

#[test]
fn scripts_answer_as_redis() {
    for server in Server::all() {
        let mut redis = server.connect();
        let engine = Engine::default();
        let mut wrong = Vec::new();
        let scripts = SCRIPTS
            .split("\n---\n")
            .map(str::trim_start)
            .filter(|script| !script.is_empty() && is_compared(&server, script));
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
    for server in Server::all() {
        let mut redis = server.connect();
        let engine = Engine::default();
        let mut wrong = Vec::new();
        for line in COMMANDS
            .split("\n---\n")
            .map(str::trim_start)
            .filter(|line| !line.is_empty() && is_compared(&server, line))
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
