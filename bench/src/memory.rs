//! `restis-bench memory`: resident bytes a key beside `redis-server`, by kind of value.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use clap::Args;

use crate::contest::say;
use crate::failure::Failure;
use crate::redis::RedisServer;
use crate::store::{Store, TOKEN, resident_bytes};

/// How many commands are sent before their replies are read.
const PIPELINE: u32 = 100;

/// Options of `restis-bench memory`.
#[derive(Debug, Args)]
pub(crate) struct MemoryArgs {
    /// How many keys of each kind; a fifth of them for collections of a hundred elements
    #[arg(long, value_name = "N", default_value = "100000", value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    keys: u32,
}

/// A kind of value: its name, how many of the keys are made, and the command that makes one.
struct Kind {
    name: &'static str,
    share: u32,
    command: fn(u32) -> Vec<String>,
}

fn command(name: &str, kind: &str, key: u32, rest: impl Iterator<Item = String>) -> Vec<String> {
    let mut args = vec![name.to_owned(), format!("{kind}:{key:08}")];
    args.extend(rest);
    args
}

const KINDS: [Kind; 9] = [
    Kind {
        name: "string of 32 bytes",
        share: 1,
        command: |key| command("SET", "string", key, [format!("{key:032x}")].into_iter()),
    },
    Kind {
        name: "string of 32 bytes with TTL",
        share: 1,
        command: |key| {
            let rest = [format!("{key:032x}"), "EX".into(), "86400".into()];
            command("SET", "string", key, rest.into_iter())
        },
    },
    Kind {
        name: "string of 1,000 bytes",
        share: 1,
        command: |key| command("SET", "string", key, [format!("{key:01000x}")].into_iter()),
    },
    Kind {
        name: "hash of 10 fields",
        share: 1,
        command: |key| {
            let fields = (0..10).flat_map(|n| [format!("field{n}"), format!("value:{n:04}")]);
            command("HSET", "hash", key, fields)
        },
    },
    Kind {
        name: "list of 100 items",
        share: 5,
        command: |key| {
            command(
                "RPUSH",
                "list",
                key,
                (0..100).map(|n| format!("item:{n:05}")),
            )
        },
    },
    Kind {
        name: "set of 20 integers",
        share: 1,
        command: |key| command("SADD", "set", key, (0..20).map(|n| (n * 7).to_string())),
    },
    Kind {
        name: "set of 100 members",
        share: 5,
        command: |key| {
            let members = (0..100).map(|n| format!("member:{n:05}"));
            command("SADD", "set", key, members)
        },
    },
    Kind {
        name: "sorted set of 100 members",
        share: 5,
        command: |key| {
            let members = (0..100).flat_map(|n| [n.to_string(), format!("member:{n:05}")]);
            command("ZADD", "zset", key, members)
        },
    },
    Kind {
        name: "hash of 1,000 fields",
        share: 50,
        command: |key| {
            let fields = (0..1000).flat_map(|n| [format!("field{n}"), format!("value:{n:04}")]);
            command("HSET", "hash", key, fields)
        },
    },
];

pub(crate) fn run(args: &MemoryArgs) -> Result<(), Failure> {
    say("Resident bytes a key, each kind in processes of its own\n")?;
    for kind in &KINDS {
        let keys = args.keys / kind.share;
        let store = Store::with(&["--resp", "127.0.0.1:0"])?;
        let address = store
            .resp()
            .ok_or_else(|| Failure::new("no RESP listener"))?;
        let ours = grown(kind, keys, address, Some(TOKEN), store.process())?;
        drop(store);
        let Some(redis) = RedisServer::start()? else {
            say(&format!("{:<30}{ours:>9.0}\n", kind.name))?;
            continue;
        };
        let theirs = grown(kind, keys, redis.addr(), None, redis.process())?;
        say(&format!(
            "{:<30}{ours:>9.0}  redis-server{theirs:>9.0}   ratio {:>5.2}   wanted 1.00\n",
            kind.name,
            ours / theirs
        ))?;
    }
    Ok(())
}

/// The resident bytes that a key of a kind adds to a process.
fn grown(
    kind: &Kind,
    keys: u32,
    address: &str,
    token: Option<&str>,
    process: u32,
) -> Result<f64, Failure> {
    let mut connection = Connection::open(address)?;
    if let Some(token) = token {
        connection.call([vec!["AUTH".to_owned(), token.to_owned()]].into_iter())?;
    }
    connection.call([vec!["PING".to_owned()]].into_iter())?;
    let before = resident_bytes(process);
    for first in (0..keys).step_by(PIPELINE as usize) {
        connection.call((first..keys.min(first + PIPELINE)).map(kind.command))?;
    }
    match (before, resident_bytes(process)) {
        (Some(before), Some(after)) => Ok(after.saturating_sub(before) as f64 / f64::from(keys)),
        _ => Err(Failure::new("this system does not tell resident memory")),
    }
}

/// A connection of the Redis protocol.
struct Connection {
    out: TcpStream,
    replies: BufReader<TcpStream>,
}

fn broken(error: std::io::Error) -> Failure {
    Failure::new(format!("the connection: {error}"))
}

impl Connection {
    fn open(address: &str) -> Result<Self, Failure> {
        let out = TcpStream::connect(address).map_err(broken)?;
        let replies = BufReader::new(out.try_clone().map_err(broken)?);
        Ok(Self { out, replies })
    }

    /// Sends commands whose replies are one line each, and reads those.
    fn call(&mut self, commands: impl Iterator<Item = Vec<String>>) -> Result<(), Failure> {
        let mut request = Vec::new();
        let mut count = 0;
        for args in commands {
            request.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
            for arg in args {
                request.extend_from_slice(format!("${}\r\n{arg}\r\n", arg.len()).as_bytes());
            }
            count += 1;
        }
        self.out.write_all(&request).map_err(broken)?;
        for _ in 0..count {
            let mut line = String::new();
            self.replies.read_line(&mut line).map_err(broken)?;
            if !line.starts_with(['+', ':']) {
                return Err(Failure::new(format!("an answer: {}", line.trim_end())));
            }
        }
        Ok(())
    }
}
