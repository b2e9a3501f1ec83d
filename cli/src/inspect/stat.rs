//! `restis stat`: what a database does, line by line.

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::Args;
use restis::{Error, FromReply as _, Redis, Reply, prelude::*};
use serde_json::json;

use super::{client, refused, runtime, size};
use crate::failure::Failure;
use crate::target::DatabaseArgs;

pub(crate) const EXAMPLES: &str = "\
One line an interval: commands a second, the part of the reads that found their key, memory, keys,
connections, keys that expired and were evicted a second, and how long the question took. Commands of
the slow log are told by name as they appear, where the database has one over REST. A column that the
database does not tell is -.

Examples:
  restis stat
  restis stat --interval 5 --count 12
  restis stat --once --json

Exit codes:
  0  ended or interrupted     1  the database does not answer     2  wrong usage or configuration";

/// Options of `restis stat`.
#[derive(Args, Debug)]
pub(crate) struct StatArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Seconds between two lines
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    pub(crate) interval: f64,
    /// End after so many lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// One line
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s| (0.1..=3600.0).contains(s));
    seconds.ok_or_else(|| "expected seconds from 0.1 to 3600".to_owned())
}

/// Lines between two headings.
const PAGE: u64 = 20;

pub(crate) fn run(args: &StatArgs) -> Result<(), Failure> {
    let redis = client(&args.database)?;
    let count = if args.once { Some(1) } else { args.count };
    runtime()?.block_on(async {
        tokio::select! {
            ended = lines(&redis, args, count) => ended,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

async fn lines(redis: &Redis, args: &StatArgs, count: Option<u64>) -> Result<(), Failure> {
    let pause = Duration::from_secs_f64(args.interval);
    let mut before = Sample::take(redis).await.map_err(refused)?;
    let mut slow_log = SlowLog::open(redis).await;
    let mut line = 0;
    while count.is_none_or(|count| line < count) {
        tokio::time::sleep(pause).await;
        let now = Sample::take(redis).await.map_err(refused)?;
        let slow = slow_log.new_entries(redis).await;
        let row = Row::of(&before, &now);
        let mut text = String::new();
        if args.json {
            text = format!("{}\n", row.json(&slow));
        } else {
            if line % PAGE == 0 {
                text.push_str(HEADING);
            }
            text.push_str(&row.text());
            for entry in &slow {
                text.push_str(&format!("  slow: {} took {} ms\n", entry.command, entry.ms));
            }
        }
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        // Whoever reads has seen enough.
        if written.is_err() {
            return Ok(());
        }
        before = now;
        line += 1;
    }
    Ok(())
}

/// Counters at a time.
struct Sample {
    at: Instant,
    took: Duration,
    info: Vec<(String, String)>,
    keys: u64,
}

impl Sample {
    async fn take(redis: &Redis) -> Result<Self, Error> {
        let start = Instant::now();
        let info = redis.info().await?;
        let took = start.elapsed();
        let keys = redis.command("DBSIZE").query::<u64>().await?;
        let fields = info.sections().flat_map(|section| info.fields(section));
        Ok(Self {
            at: start,
            took,
            info: fields.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            keys,
        })
    }

    fn number(&self, name: &str) -> Option<u64> {
        let (_, value) = self.info.iter().find(|(field, _)| field == name)?;
        value.parse().ok()
    }
}

const HEADING: &str =
    "   ops/s   hits   memory      max      keys clients expired/s evicted/s    asked\n";

/// What happened between two samples.
struct Row {
    ops: Option<f64>,
    hits: Option<f64>,
    memory: Option<u64>,
    most: Option<u64>,
    keys: u64,
    clients: Option<u64>,
    expired: Option<f64>,
    evicted: Option<f64>,
    took_ms: f64,
}

impl Row {
    fn of(before: &Sample, now: &Sample) -> Self {
        let seconds = (now.at - before.at).as_secs_f64().max(0.001);
        let gained = |name: &str| {
            let (from, to) = (before.number(name)?, now.number(name)?);
            // A server that started anew counts from zero.
            Some(to.checked_sub(from).unwrap_or(to) as f64)
        };
        let hits = gained("keyspace_hits").zip(gained("keyspace_misses"));
        let hits = hits.filter(|(hits, misses)| hits + misses > 0.0);
        Self {
            ops: gained("total_commands_processed").map(|n| n / seconds),
            hits: hits.map(|(hits, misses)| 100.0 * hits / (hits + misses)),
            memory: now.number("used_memory"),
            most: now.number("maxmemory").filter(|most| *most > 0),
            keys: now.keys,
            clients: now.number("connected_clients"),
            expired: gained("expired_keys").map(|n| n / seconds),
            evicted: gained("evicted_keys").map(|n| n / seconds),
            took_ms: now.took.as_secs_f64() * 1000.0,
        }
    }

    /// 80 columns at most.
    fn text(&self) -> String {
        let number = |n: Option<f64>| n.map_or("-".to_owned(), |n| format!("{n:.0}"));
        let bytes = |n: Option<u64>| n.map_or("-".to_owned(), size);
        let hits = self.hits.map_or("-".to_owned(), |n| format!("{n:.0} %"));
        let asked = match self.took_ms {
            ms if ms < 100.0 => format!("{ms:.1}"),
            ms => format!("{ms:.0}"),
        };
        let clients = self.clients.map_or("-".to_owned(), |n| n.to_string());
        format!(
            "{:>8} {hits:>6} {:>8} {:>8} {:>9} {clients:>7} {:>9} {:>9} {:>5} ms\n",
            number(self.ops),
            bytes(self.memory),
            bytes(self.most),
            self.keys,
            number(self.expired),
            number(self.evicted),
            asked,
        )
    }

    fn json(&self, slow: &[Slow]) -> serde_json::Value {
        let slow: Vec<_> = slow
            .iter()
            .map(|entry| json!({ "command": entry.command, "ms": entry.ms }))
            .collect();
        json!({
            "ops_per_second": self.ops,
            "hit_rate_percent": self.hits,
            "memory_bytes": self.memory,
            "memory_limit_bytes": self.most,
            "keys": self.keys,
            "clients": self.clients,
            "expired_per_second": self.expired,
            "evicted_per_second": self.evicted,
            "asked_ms": self.took_ms,
            "slow": slow,
        })
    }
}

/// A command of the slow log, without its arguments.
struct Slow {
    id: i64,
    command: String,
    ms: f64,
}

/// The entries that were seen.
struct SlowLog {
    /// `None`: the database has none over REST.
    last: Option<i64>,
}

impl SlowLog {
    async fn open(redis: &Redis) -> Self {
        let read = Self::read(redis).await;
        let newest = |entries: Vec<Slow>| entries.iter().map(|entry| entry.id).max().unwrap_or(-1);
        Self {
            last: read.ok().map(newest),
        }
    }

    async fn read(redis: &Redis) -> Result<Vec<Slow>, Error> {
        let entries: Vec<Reply> = redis.command("SLOWLOG").arg("GET").arg(32).query().await?;
        let mut all = Vec::new();
        for entry in entries {
            let mut fields = entry.into_array()?.into_iter();
            let (id, _, micros) = (fields.next(), fields.next(), fields.next());
            let words = fields
                .next()
                .map_or(Ok(Vec::new()), Vec::<Reply>::from_reply)?;
            let number = |field: Option<Reply>| i64::from_reply(field.unwrap_or(Reply::Nil));
            let name = words.into_iter().next().unwrap_or(Reply::Nil);
            let command = String::from_reply(name).unwrap_or_default();
            all.push(Slow {
                id: number(id)?,
                command: command.to_ascii_uppercase().escape_debug().to_string(),
                ms: number(micros)? as f64 / 1000.0,
            });
        }
        Ok(all)
    }

    /// Entries that appeared meanwhile, oldest first.
    async fn new_entries(&mut self, redis: &Redis) -> Vec<Slow> {
        let Some(last) = self.last else {
            return Vec::new();
        };
        let mut entries = Self::read(redis).await.unwrap_or_default();
        entries.retain(|entry| entry.id > last);
        entries.sort_by_key(|entry| entry.id);
        self.last = entries.last().map_or(self.last, |entry| Some(entry.id));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_at_most_80_columns() {
        let row = Row {
            ops: Some(1_234_567.0),
            hits: Some(100.0),
            memory: Some(123_456_789_012),
            most: Some(999_000_000_000),
            keys: 123_456_789,
            clients: Some(100_000),
            expired: Some(123_456.0),
            evicted: Some(123_456.0),
            took_ms: 1234.5,
        };
        assert!(
            row.text().trim_end().chars().count() <= 80,
            "{}",
            row.text()
        );
        assert!(HEADING.trim_end().len() <= 80);
        assert_eq!(HEADING.trim_end().len(), row.text().trim_end().len());
    }
}
