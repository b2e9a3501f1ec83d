//! `restis cache`: what is cached, filling it, clearing it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use restis::cache::{Cache, CacheConfig, Invalidation};
use restis::prelude::*;
use restis::{Error, Redis};
use restis_handlers::cache::{WarmBody, WarmEntry};
use serde::Serialize;

use crate::failure::Failure;
use crate::target::DatabaseArgs;
use crate::transfer::progress::Progress;

pub(crate) const EXAMPLES: &str = "\
Keyspaces are named by the word that their pattern begins with: reports for reports:{orgId}:{date}.
The entries of /api/cache are those of the keyspaces entries and shared. CACHE_PREFIX is honoured.

A file to warm with has one entry a line, as POST /api/cache/warm takes them:
  {\"key\":\"report\",\"value\":{\"bookings\":3},\"fresh_seconds\":60,\"tags\":[\"property:p1\"]}

Examples:
  restis cache stats                              keys and bytes of each keyspace
  restis cache warm reports.jsonl --organisation acme
  restis cache clear reports                      one command, whatever it holds
  restis cache clear reports --unlink             and free its memory now
  restis cache clear --organisation acme          the entries of /api/cache of one organisation

Exit codes:
  0  done     1  it failed     2  wrong usage or configuration";

/// Most bytes of a line of a file to warm with.
const MAX_LINE: u64 = 1024 * 1024;
/// Entries that are stored at once.
const BATCH: usize = 100;
/// Keys that one page of a scan looks at.
const PAGE: u64 = 1000;
/// Keys whose size is measured in each keyspace.
const SAMPLE: usize = 100;

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Count what is cached, by keyspace; looks at every key of the cache
    Stats(StatsArgs),
    /// Store the entries of a file that are missing or stale
    Warm(WarmArgs),
    /// Invalidate a keyspace, or the entries of an organisation
    Clear(ClearArgs),
}

#[derive(Args, Debug)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct WarmArgs {
    /// The file to read, or - for standard input
    file: PathBuf,
    /// Whose entries they are
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Replace those that are fresh too
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ClearArgs {
    /// The word that the keyspace's pattern begins with
    #[arg(
        required_unless_present = "organisation",
        conflicts_with = "organisation"
    )]
    keyspace: Option<String>,
    /// The entries of /api/cache of this organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Let values be served as stale ones while they may be
    #[arg(long, conflicts_with_all = ["organisation", "unlink"])]
    expire: bool,
    /// Delete the entries too: memory is free at once, not at the end of their time
    #[arg(long)]
    unlink: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Args, Debug)]
struct Output {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show progress though standard error is no terminal
    #[arg(long)]
    progress: bool,
}

/// What is cached.
#[derive(Debug, Default, Serialize)]
struct Stats {
    keys: u64,
    markers: u64,
    leases: u64,
    keyspaces: BTreeMap<String, Counted>,
}

/// What one keyspace holds.
#[derive(Debug, Default, Serialize)]
struct Counted {
    entries: u64,
    /// Estimated by some of them.
    bytes: u64,
    #[serde(skip)]
    sample: Vec<String>,
}

/// What a clearing did.
#[derive(Debug, Serialize)]
struct Cleared {
    invalidated: bool,
    /// Entries that were deleted.
    unlinked: u64,
}

pub(crate) fn run(command: &CacheCommand) -> Result<(), Failure> {
    let output = match command {
        CacheCommand::Stats(args) => &args.output,
        CacheCommand::Warm(args) => &args.output,
        CacheCommand::Clear(args) => &args.output,
    };
    let redis = output.database.target()?.builder.build();
    let redis = redis.map_err(Failure::usage)?;
    let config = CacheConfig::from_env().map_err(Failure::usage)?;
    let cache = Cache::builder(redis.clone(), config).build();
    let task = Task {
        redis,
        cache: cache.map_err(Failure::usage)?,
        output,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop: {error}")))?;
    runtime.block_on(async {
        match command {
            CacheCommand::Stats(_) => task.stats().await,
            CacheCommand::Warm(args) => task.warm(args).await,
            CacheCommand::Clear(args) => task.clear(args).await,
        }
    })
}

struct Task<'a> {
    redis: Redis,
    cache: Cache,
    output: &'a Output,
}

fn refused(error: Error) -> Failure {
    Failure::new(format!("the database: {error}; `restis check` tells more"))
}

impl Task<'_> {
    fn prefix(&self) -> &str {
        &self.cache.config().prefix
    }

    fn progress(&self, what: &'static str, total: Option<u64>) -> Progress {
        Progress::new(what, self.output.progress, total)
    }

    /// Prints a line for people, or JSON.
    fn print(&self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        let text = match self.output.json {
            true => serde_json::to_string(value).map_err(Failure::new)? + "\n",
            false => text.to_owned(),
        };
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Failure::new(format!("standard output: {error}")))
    }

    async fn stats(&self) -> Result<(), Failure> {
        let mut stats = Stats::default();
        let total = self.redis.dbsize().await.map_err(refused)?;
        let mut progress = self.progress("stats", u64::try_from(total).ok());
        let mut keys = self.scan("*");
        while let Some(key) = keys.next().await {
            let key = key.map_err(refused)?;
            stats.add(key.strip_prefix(self.prefix()).unwrap_or_default(), &key);
            progress.at(stats.keys, stats.keys);
        }
        progress.end();
        for counted in stats.keyspaces.values_mut() {
            // They leave in one request.
            let sizes = counted.sample.iter().map(|key| self.redis.strlen(key));
            let sizes = futures_util::future::try_join_all(sizes.map(IntoFuture::into_future));
            let sizes: Vec<i64> = sizes.await.map_err(refused)?;
            let known = (sizes.len() as u64).max(1);
            let sum = u64::try_from(sizes.iter().sum::<i64>()).unwrap_or_default();
            counted.bytes = sum.saturating_mul(counted.entries) / known;
        }
        self.print(&stats, &stats.text())
    }

    fn scan(&self, pattern: &str) -> restis::scan::Scan<String> {
        let pattern = escaped(self.prefix()) + pattern;
        let options = ScanOptions::new().matching(pattern).count(PAGE);
        self.redis.scan_iter(options)
    }

    async fn warm(&self, args: &WarmArgs) -> Result<(), Failure> {
        let named = |error: &dyn std::fmt::Display| {
            Failure::new(format!("{}: {error}", args.file.display()))
        };
        let (mut input, length): (Box<dyn BufRead>, _) = if args.file.as_os_str() == "-" {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let file = File::open(&args.file).map_err(|error| named(&error))?;
            let length = file.metadata().map(|metadata| metadata.len()).ok();
            (Box::new(BufReader::new(file)), length)
        };
        let mut progress = self.progress("warm", length);
        let mut all = WarmBody::default();
        let (mut number, mut read, mut batch) = (0_u64, 0_u64, Vec::new());
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut limited = (&mut input).take(MAX_LINE);
            let bytes = limited
                .read_until(b'\n', &mut line)
                .map_err(|error| named(&error))?;
            let ended = bytes == 0;
            number += u64::from(!ended);
            read += bytes as u64;
            let at = |error: &dyn std::fmt::Display| {
                Failure::new(format!("{}, line {number}: {error}", args.file.display()))
            };
            if bytes as u64 == MAX_LINE && line.last() != Some(&b'\n') {
                return Err(at(&"a line has at most 1 MiB"));
            }
            if !line.trim_ascii().is_empty() {
                let entry: WarmEntry = serde_json::from_slice(&line).map_err(|error| at(&error))?;
                batch.push(entry);
            }
            if batch.len() == BATCH || (ended && !batch.is_empty()) {
                let entries = std::mem::take(&mut batch);
                let organisation = args.organisation.as_deref();
                let warm = restis_handlers::cache::warm;
                let body = warm(&self.cache, organisation, entries, args.replace).await;
                let body = body.map_err(|problem| {
                    let stored = all.stored;
                    at(&format!("{problem}; {stored} entries were stored before"))
                })?;
                all.stored += body.stored;
                all.kept += body.kept;
                progress.at((all.stored + all.kept) as u64, read);
            }
            if ended {
                break;
            }
        }
        progress.end();
        let text = format!("{} entries stored, {} kept\n", all.stored, all.kept);
        self.print(&all, &text)
    }

    async fn clear(&self, args: &ClearArgs) -> Result<(), Failure> {
        let (what, pattern) = match (&args.organisation, &args.keyspace) {
            (Some(organisation), _) => {
                let cleared = restis_handlers::cache::clear(&self.cache, organisation).await;
                cleared.map_err(Failure::new)?;
                (
                    format!("the entries of {organisation}"),
                    format!("entries:{{{}}}:*", escaped(organisation)),
                )
            }
            (None, Some(word)) => {
                let how = match args.expire {
                    true => Invalidation::Expire,
                    false => Invalidation::Remove,
                };
                let cleared = self.cache.invalidate_word(word, how).await;
                cleared.map_err(|error| match error.is_unavailable() {
                    true => refused(error),
                    false => Failure::usage(error),
                })?;
                (word.clone(), format!("{}:*", escaped(word)))
            }
            (None, None) => return Err(Failure::usage("name a keyspace or an organisation")),
        };
        let mut cleared = Cleared {
            invalidated: true,
            unlinked: 0,
        };
        if args.unlink {
            cleared.unlinked = self.unlink(&pattern).await?;
        }
        let how = if args.expire { "expired" } else { "removed" };
        let mut text = format!("{what}: {how}\n");
        if args.unlink {
            text = format!("{what}: {how}, {} entries deleted\n", cleared.unlinked);
        }
        self.print(&cleared, &text)
    }

    /// Deletes entries; markers stay, they void loads that run.
    async fn unlink(&self, pattern: &str) -> Result<u64, Failure> {
        let mut progress = self.progress("clear", None);
        let mut keys = self.scan(pattern);
        let (mut batch, mut unlinked) = (Vec::new(), 0);
        loop {
            let key = keys.next().await.transpose().map_err(refused)?;
            let ended = key.is_none();
            batch.extend(key);
            if batch.len() == PAGE as usize || (ended && !batch.is_empty()) {
                let gone = self.redis.unlink(std::mem::take(&mut batch)).await;
                unlinked += u64::try_from(gone.map_err(refused)?).unwrap_or_default();
                progress.at(unlinked, 0);
            }
            if ended {
                progress.end();
                return Ok(unlinked);
            }
        }
    }
}

impl Stats {
    /// Counts a key by its name without the prefix of the cache.
    fn add(&mut self, name: &str, key: &str) {
        self.keys += 1;
        if name.starts_with("#lease:") {
            self.leases += 1;
        } else if name.starts_with('#') {
            self.markers += 1;
        } else {
            // A key without parts has nothing but its text in braces.
            let word = match name.starts_with('{') {
                true => "",
                false => name.split(':').next().unwrap_or_default(),
            };
            let counted = self.keyspaces.entry(word.to_owned()).or_default();
            counted.entries += 1;
            if counted.sample.len() < SAMPLE {
                counted.sample.push(key.to_owned());
            }
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{:<24}{:>12}{:>16}\n", "keyspace", "entries", "bytes");
        for (word, counted) in &self.keyspaces {
            let word = if word.is_empty() { "(free keys)" } else { word };
            text += &format!("{word:<24}{:>12}{:>16}\n", counted.entries, counted.bytes);
        }
        text + &format!("{} markers, {} leases\n", self.markers, self.leases)
    }
}

/// A text that a glob pattern matches as it is.
fn escaped(text: &str) -> String {
    let special = |c: char| "*?[]^\\".contains(c);
    text.chars().fold(String::new(), |mut out, c| {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_by_the_word_that_they_begin_with() {
        let mut stats = Stats::default();
        for name in [
            "reports:{acme}:1",
            "reports:{acme}:2",
            "http:{a%2F}::",
            "{free%3Akey}",
            "#key:reports:{acme}:1",
            "#tag:org:{acme}",
            "#lease:reports:{acme}:1",
        ] {
            stats.add(name, &format!("cache:{name}"));
        }
        let counted = |word: &str| stats.keyspaces.get(word).map(|counted| counted.entries);
        assert_eq!(
            (counted("reports"), counted("http"), counted("")),
            (Some(2), Some(1), Some(1))
        );
        assert_eq!((stats.keys, stats.markers, stats.leases), (7, 2, 1));
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(escaped("a*[b]:c\\"), "a\\*\\[b\\]:c\\\\");
    }
}
