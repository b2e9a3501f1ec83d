//! `restis keys`: which keys and prefixes fill the memory.

use std::collections::{BTreeMap, HashSet};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::{join_all, join3};
use restis::{Error, Redis};
use serde_json::json;

use super::{client, refused, runtime, size};
use crate::failure::Failure;
use crate::target::DatabaseArgs;

pub(crate) const EXAMPLES: &str = "\
Keys are drawn at random until --sample of them are known; sums are estimates for all keys then. A
prefix ends at --delimiter. Sizes are what the database answers to MEMORY USAGE.

Examples:
  restis keys --big                          the largest keys
  restis keys --by-prefix --depth 2          what session:user: and the like take together
  restis keys --by-prefix --sample 0         every key, with SCAN
  restis keys --big --match 'cache:*' --json

Exit codes:
  0  told     1  the database does not answer     2  wrong usage or configuration";

/// Options of `restis keys`.
#[derive(Args, Debug)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// The largest keys
    #[arg(long, required_unless_present = "by_prefix")]
    pub(crate) big: bool,
    /// What the keys of each prefix take together
    #[arg(long)]
    pub(crate) by_prefix: bool,
    /// Keys to look at; 0: all of them
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) sample: u64,
    /// Only keys that match this pattern; all of them are scanned then
    #[arg(long = "match", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// How many are listed
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) top: u32,
    /// Parts that a prefix has
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) depth: u32,
    /// What ends a part
    #[arg(long, value_name = "CHARACTER", default_value = ":")]
    pub(crate) delimiter: char,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Show progress though standard error is no terminal
    #[arg(long)]
    pub(crate) progress: bool,
}

/// Keys asked for at once.
const BATCH: u64 = 500;
/// Prefixes that are told apart; a database with keys of no pattern has no useful ones.
const MOST_PREFIXES: usize = 100_000;

pub(crate) fn run(args: &KeysArgs) -> Result<(), Failure> {
    let redis = client(&args.database)?;
    let found = runtime()?
        .block_on(Found::gather(&redis, args))
        .map_err(refused)?;
    let text = match args.json {
        true => format!("{:#}\n", found.json(args)),
        false => found.text(args),
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(format!("cannot print: {error}")))
}

/// A key that was looked at.
struct Key {
    name: Vec<u8>,
    kind: String,
    bytes: u64,
    ends: bool,
}

/// Keys of one prefix.
#[derive(Clone, Copy, Default)]
struct Sum {
    keys: u64,
    bytes: u64,
    /// Those that never end.
    endless: u64,
}

impl Sum {
    fn add(&mut self, key: &Key) {
        self.keys += 1;
        self.bytes += key.bytes;
        self.endless += u64::from(!key.ends);
    }
}

struct Found {
    /// Keys of the database, if they were not all looked at.
    of: Option<u64>,
    all: Sum,
    biggest: Vec<Key>,
    prefixes: BTreeMap<String, Sum>,
}

impl Found {
    async fn gather(redis: &Redis, args: &KeysArgs) -> Result<Self, Error> {
        let total = redis.command("DBSIZE").query::<u64>().await?;
        let sampled = args.pattern.is_none() && args.sample > 0 && args.sample < total;
        let mut found = Self {
            of: sampled.then_some(total),
            all: Sum::default(),
            biggest: Vec::new(),
            prefixes: BTreeMap::new(),
        };
        let mut progress = Progress::new(args.progress, if sampled { args.sample } else { total });
        if sampled {
            found.draw(redis, args, &mut progress).await?;
        } else {
            found.scan(redis, args, &mut progress).await?;
        }
        progress.end();
        found
            .biggest
            .sort_by_key(|key| std::cmp::Reverse(key.bytes));
        found.biggest.truncate(args.top as usize);
        Ok(found)
    }

    /// Looks at keys drawn at random, each once.
    async fn draw(
        &mut self,
        redis: &Redis,
        args: &KeysArgs,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let mut seen = HashSet::new();
        // Most draws of a nearly complete sample are known ones.
        for _ in 0..=args.sample * 8 / BATCH {
            let left = args.sample.saturating_sub(self.all.keys);
            if left == 0 {
                break;
            }
            let draws = (0..BATCH)
                .map(|_| async { redis.command("RANDOMKEY").query::<Option<Vec<u8>>>().await });
            let mut names = Vec::new();
            for drawn in join_all(draws).await {
                let new = drawn?.filter(|name| seen.insert(name.clone()));
                names.extend(new);
            }
            names.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.look(redis, args, names).await?;
            progress.at(self.all.keys);
        }
        Ok(())
    }

    async fn scan(
        &mut self,
        redis: &Redis,
        args: &KeysArgs,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let mut cursor = "0".to_owned();
        loop {
            let scan = redis.command("SCAN").arg(&cursor);
            let scan = match &args.pattern {
                Some(pattern) => scan.arg("MATCH").arg(pattern),
                None => scan,
            };
            let scan = scan.arg("COUNT").arg(BATCH);
            let (next, names): (String, Vec<Vec<u8>>) = scan.query().await?;
            self.look(redis, args, names).await?;
            progress.at(self.all.keys);
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn look(
        &mut self,
        redis: &Redis,
        args: &KeysArgs,
        names: Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        let asked = names.into_iter().map(|name| async move {
            let (kind, bytes, ends) = join3(
                async { redis.command("TYPE").arg(&name).query::<String>().await },
                async {
                    let usage = redis.command("MEMORY").arg("USAGE").arg(&name);
                    usage.query::<Option<u64>>().await
                },
                async { redis.command("PTTL").arg(&name).query::<i64>().await },
            )
            .await;
            Ok::<_, Error>((name, kind?, bytes?, ends?))
        });
        for answer in join_all(asked).await {
            let (name, kind, bytes, ends) = answer?;
            // One that is gone takes nothing.
            let Some(bytes) = bytes else { continue };
            let key = Key {
                name,
                kind,
                bytes,
                ends: ends >= 0,
            };
            self.all.add(&key);
            if args.by_prefix {
                self.add_prefix(&key, args);
            }
            if args.big {
                self.biggest.push(key);
            }
        }
        let most = args.top as usize;
        if self.biggest.len() > most * 4 + 1000 {
            self.biggest.sort_by_key(|key| std::cmp::Reverse(key.bytes));
            self.biggest.truncate(most);
        }
        Ok(())
    }

    fn add_prefix(&mut self, key: &Key, args: &KeysArgs) {
        let name = key.name.escape_ascii().to_string();
        let ends = name
            .match_indices(args.delimiter)
            .nth(args.depth as usize - 1);
        let prefix = match ends {
            Some((at, delimiter)) => name[..at + delimiter.len()].to_owned(),
            None => "(no prefix)".to_owned(),
        };
        let full = self.prefixes.len() >= MOST_PREFIXES && !self.prefixes.contains_key(&prefix);
        let prefix = if full { "(others)".to_owned() } else { prefix };
        self.prefixes.entry(prefix).or_default().add(key);
    }

    /// An estimate for all keys.
    fn scaled(&self, number: u64) -> u64 {
        match self.of {
            Some(of) if self.all.keys > 0 => {
                (number as f64 * of as f64 / self.all.keys as f64).round() as u64
            }
            _ => number,
        }
    }

    /// Prefixes, the largest first.
    fn largest_prefixes(&self, most: u32) -> Vec<(&str, Sum)> {
        let mut all: Vec<_> = self
            .prefixes
            .iter()
            .map(|(name, sum)| (&**name, *sum))
            .collect();
        all.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.bytes));
        all.truncate(most as usize);
        all
    }

    fn text(&self, args: &KeysArgs) -> String {
        let Sum {
            keys,
            bytes,
            endless,
        } = self.all;
        let mut text = match self.of {
            Some(of) => format!("{keys} of {of} keys, drawn at random; sums are estimates\n"),
            None => format!("{keys} keys\n"),
        };
        text.push_str(&format!(
            "{} in all, {} keys never end\n",
            size(self.scaled(bytes)),
            self.scaled(endless)
        ));
        if args.big {
            text.push_str("\n    size  type    ends  key\n");
            for key in &self.biggest {
                let ends = if key.ends { "yes" } else { "never" };
                let name = cut(&key.name.escape_ascii().to_string(), 54);
                let Key { bytes, kind, .. } = key;
                let kind = cut(kind, 9);
                text.push_str(&format!(
                    "{:>8}  {kind:<9} {ends:<5} {name}\n",
                    size(*bytes)
                ));
            }
        }
        if args.by_prefix {
            text.push_str("\n    size  part      keys  each     never end  prefix\n");
            for (name, sum) in self.largest_prefixes(args.top) {
                let part = sum.bytes * 100 / bytes.max(1);
                text.push_str(&format!(
                    "{:>8} {part:>3} % {:>9} {:>8} {:>9}  {}\n",
                    size(self.scaled(sum.bytes)),
                    self.scaled(sum.keys),
                    size(sum.bytes / sum.keys.max(1)),
                    self.scaled(sum.endless),
                    cut(name, 32)
                ));
            }
        }
        text
    }

    fn json(&self, args: &KeysArgs) -> serde_json::Value {
        let biggest: Vec<_> = self
            .biggest
            .iter()
            .map(|key| {
                let name = key.name.escape_ascii().to_string();
                json!({ "key": name, "type": key.kind, "bytes": key.bytes, "ends": key.ends })
            })
            .collect();
        let prefixes: Vec<_> = self
            .largest_prefixes(args.top)
            .into_iter()
            .map(|(prefix, sum)| {
                json!({
                    "prefix": prefix,
                    "keys": self.scaled(sum.keys),
                    "bytes": self.scaled(sum.bytes),
                    "never_end": self.scaled(sum.endless),
                })
            })
            .collect();
        json!({
            "looked_at": self.all.keys,
            "keys": self.of.unwrap_or(self.all.keys),
            "estimated": self.of.is_some(),
            "bytes": self.scaled(self.all.bytes),
            "never_end": self.scaled(self.all.endless),
            "biggest": biggest,
            "prefixes": prefixes,
        })
    }
}

/// A text of at most so many characters.
fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// How many keys were looked at, on standard error.
struct Progress {
    shown: bool,
    terminal: bool,
    total: u64,
    last: Instant,
}

impl Progress {
    fn new(forced: bool, total: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            shown: terminal || forced,
            terminal,
            total,
            last: Instant::now(),
        }
    }

    fn at(&mut self, keys: u64) {
        if self.shown && self.last.elapsed() >= Duration::from_millis(500) {
            self.last = Instant::now();
            let part = (keys * 100 / self.total.max(1)).min(100);
            let line = format!("{keys} keys, {part} %");
            let mut err = std::io::stderr().lock();
            let _ = match self.terminal {
                true => write!(err, "\r\x1b[K{line}"),
                false => writeln!(err, "{line}"),
            };
        }
    }

    fn end(&self) {
        if self.shown && self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
