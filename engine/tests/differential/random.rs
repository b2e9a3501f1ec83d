//! Long random sequences, with a small counterexample when the replies differ.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use restis_engine::{Caller, Clock, Engine, Options, Reply};

use crate::compare::same;
use crate::generate::{self, Generated, KEYS, OWN_KEYS, Rng};
use crate::redis::{Client, Server, Version};

/// Commands between two `FLUSHALL`s.
const ROUND: usize = 600;
/// Commands in one round trip.
const BATCH: usize = 40;

/// One command, or a transaction.
#[derive(Clone)]
struct Step(Vec<Generated>);

struct Pair {
    version: Version,
    redis: Client,
    engine: Engine,
    clock: Arc<AtomicU64>,
}

/// Where the replies first differ.
struct Difference {
    at: usize,
    theirs: Reply,
    ours: Reply,
}

impl Pair {
    fn new(server: &Server) -> Self {
        let redis = server.connect();
        let clock = Arc::new(AtomicU64::new(0));
        let engine = Engine::new(Options::default().clock(Clock::manual(Arc::clone(&clock))));
        Self {
            version: server.version,
            redis,
            engine,
            clock,
        }
    }

    fn reset(&mut self) {
        self.redis.call(&["FLUSHALL"]);
        self.engine.call(&["FLUSHALL"]);
    }

    /// Runs steps on both, in batches, up to the first difference.
    fn run(&mut self, steps: &[Step]) -> Option<Difference> {
        for (index, batch) in steps.chunks(BATCH).enumerate() {
            let mut request = vec![vec![b"TIME".to_vec()]];
            for Step(commands) in batch {
                if let [command] = &commands[..] {
                    request.push(command.args.clone());
                } else {
                    request.push(vec![b"MULTI".to_vec()]);
                    request.extend(commands.iter().map(|command| command.args.clone()));
                    request.push(vec![b"EXEC".to_vec()]);
                }
            }
            let mut replies = self.redis.batch(&request).into_iter();
            self.set_clock(&replies.next().unwrap());
            for (offset, Step(commands)) in batch.iter().enumerate() {
                let at = index * BATCH + offset;
                let found = if let [command] = &commands[..] {
                    let (theirs, ours) = (replies.next().unwrap(), self.engine.call(&command.args));
                    (!same(self.version, command, &theirs, &ours)).then_some((theirs, ours))
                } else {
                    let theirs = replies.nth(commands.len() + 1).unwrap();
                    self.transaction(commands, theirs)
                };
                if let Some((theirs, ours)) = found {
                    return Some(Difference { at, theirs, ours });
                }
            }
        }
        None
    }

    fn transaction(&self, commands: &[Generated], theirs: Reply) -> Option<(Reply, Reply)> {
        let queue: Vec<&Vec<Vec<u8>>> = commands.iter().map(|command| &command.args).collect();
        let ours = match self.engine.transaction(&Caller::default(), &queue) {
            Ok(replies) => Reply::Array(replies),
            Err(error) => Reply::Error(error),
        };
        let equal = match (&theirs, &ours) {
            (Reply::Array(a), Reply::Array(b)) => {
                a.len() == b.len()
                    && commands
                        .iter()
                        .zip(a.iter().zip(b))
                        .all(|(c, (a, b))| same(self.version, c, a, b))
            }
            _ => theirs == ours,
        };
        (!equal).then_some((theirs, ours))
    }

    fn set_clock(&self, time: &Reply) {
        let Reply::Array(parts) = time else {
            panic!("TIME answered {time:?}")
        };
        let number = |part: &Reply| match part {
            Reply::Bulk(text) => std::str::from_utf8(text).unwrap().parse::<u64>().unwrap(),
            other => panic!("TIME answered {other:?}"),
        };
        self.clock.store(
            number(&parts[0]) * 1000 + number(&parts[1]) / 1000,
            Ordering::Relaxed,
        );
    }

    /// The fewest steps that still differ.
    fn shrink(&mut self, mut steps: Vec<Step>) -> (Vec<Step>, Option<Difference>) {
        let mut fails = |steps: &[Step]| {
            self.reset();
            self.run(steps)
        };
        let mut size = steps.len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            while start < steps.len() {
                let mut fewer = steps.clone();
                fewer.drain(start..(start + size).min(steps.len()));
                match fails(&fewer) {
                    Some(difference) => {
                        fewer.truncate(difference.at + 1);
                        steps = fewer;
                    }
                    None => start += size,
                }
            }
            size /= 2;
        }
        let difference = fails(&steps);
        (steps, difference)
    }
}

/// Reads everything there is, so that a difference in the data shows.
fn inventory() -> Vec<Step> {
    let mut steps = Vec::new();
    for key in KEYS.iter().chain(OWN_KEYS) {
        for (how, line) in [
            ('=', "TYPE"),
            ('t', "PTTL"),
            ('=', "GET"),
            ('%', "HGETALL"),
            ('=', "LRANGE 0 -1"),
            ('~', "SMEMBERS"),
            ('f', "ZRANGE 0 -1 WITHSCORES"),
            ('=', "XRANGE - +"),
            ('g', "XINFO GROUPS"),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            let at = if line.starts_with("XINFO") { 2 } else { 1 };
            let mut args: Vec<Vec<u8>> =
                words.iter().map(|word| word.as_bytes().to_vec()).collect();
            args.insert(at, key.as_bytes().to_vec());
            steps.push(Step(vec![Generated { how, args }]));
        }
    }
    steps
}

/// A command; for a transaction one without subcommands, which Redis checks when they are queued.
fn queueable(version: Version, rng: &mut Rng, queued: bool) -> Generated {
    loop {
        let command = generate::command(version, rng);
        if !queued || !matches!(&*command.args[0], b"XGROUP" | b"XINFO") {
            return command;
        }
    }
}

fn round(version: Version, rng: &mut Rng) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..ROUND)
        .map(|_| {
            let commands = if rng.below(40) == 0 {
                2 + rng.below(3)
            } else {
                1
            };
            Step(
                (0..commands)
                    .map(|_| queueable(version, rng, commands > 1))
                    .collect(),
            )
        })
        .collect();
    steps.extend(inventory());
    steps
}

fn show(steps: &[Step]) -> String {
    let line = |command: &Generated| {
        let args: Vec<String> = command
            .args
            .iter()
            .map(|arg| arg.escape_ascii().to_string())
            .collect();
        format!("  {args:?}")
    };
    let lines: Vec<String> = steps
        .iter()
        .map(|Step(commands)| commands.iter().map(line).collect::<Vec<_>>().join("\n  &"))
        .collect();
    lines.join("\n")
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number"))
    })
}

/// `RESTIS_DIFF_SEED` chooses the sequence, `RESTIS_DIFF_COMMANDS` how long it is (else 10 seconds a server),
/// `RESTIS_DIFF_ONLY=Z,GEO` the commands, `RESTIS_DIFF_ALL=1` goes on after a difference.
#[test]
fn random_sequences_answer_as_redis() {
    for server in Server::all() {
        compare_with(&server);
    }
}

fn compare_with(server: &Server) {
    let seed = setting("RESTIS_DIFF_SEED").unwrap_or(1);
    let budget = setting("RESTIS_DIFF_COMMANDS");
    let go_on = setting("RESTIS_DIFF_ALL").is_some();
    let mut pair = Pair::new(server);
    let mut rng = Rng(seed);
    let (start, mut done, mut found) = (Instant::now(), 0_u64, Vec::new());
    while budget.map_or_else(
        || start.elapsed() < Duration::from_secs(10),
        |budget| done < budget,
    ) {
        let steps = round(server.version, &mut rng);
        pair.reset();
        if let Some(difference) = pair.run(&steps) {
            let steps = steps[..=difference.at].to_vec();
            let (steps, smaller) = pair.shrink(steps);
            let difference = smaller.unwrap_or(difference);
            let text = format!(
                "{}\n  redis:  {:?}\n  engine: {:?}",
                show(&steps),
                difference.theirs,
                difference.ours
            );
            eprintln!(
                "Redis {:?}, seed {seed}, after {done} commands:\n{text}\n",
                server.version
            );
            found.push(text);
            assert!(
                go_on,
                "the engine and Redis differ; seed {seed}, after {done} commands"
            );
            assert!(found.len() < 400, "too many differences");
        }
        done += ROUND as u64;
    }
    eprintln!(
        "{done} random commands compared with Redis {:?}, seed {seed}",
        server.version
    );
    assert!(found.is_empty(), "{} differences", found.len());
}
