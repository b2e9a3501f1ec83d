//! `restis export` and `restis import`: all keys of a database, as a file.

mod export;
mod import;
mod probe;
pub(crate) mod progress;
mod rdb;
mod record;
mod slot;
mod source;
mod target;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use restis::{Error, Redis};
use tokio::runtime::Runtime;

use crate::failure::Failure;
use crate::target::DatabaseArgs;

pub(crate) use self::export::run as export;
pub(crate) use self::import::run as import;

/// How long a request may take: values may be large.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const EXPORT_EXAMPLES: &str = "\
All types, streams with their groups and JSON included; the time at which a key or a field of a hash
ends, to the millisecond. A key that changes meanwhile is exported as it is when it is read. Functions,
search indexes, users and scripts are no keys and stay behind.

Examples:
  restis export backup.jsonl
  restis export backup.jsonl --match 'session:*'
  restis export backup.jsonl --resume             go on where it was interrupted
  restis export - | gzip > backup.jsonl.gz
  restis export - | restis import - --url https://other.upstash.io --token TOKEN

Exit codes:
  0  complete     1  it failed     2  wrong usage or configuration";

pub(crate) const IMPORT_EXAMPLES: &str = "\
The file is read whole before anything is written: a damaged or incomplete one, and what the database
cannot hold, is told then. Keys that are there stay as they are, unless --replace is given.

Examples:
  restis import backup.jsonl
  restis import backup.jsonl --replace --verify
  restis import backup.jsonl --resume             go on where it was interrupted
  gunzip < backup.jsonl.gz | restis import -
  restis import dump.rdb                          an RDB file of Redis 7 or 8

Exit codes:
  0  every key is there     1  a key is left out, differs or failed, or nothing is written
  2  wrong usage or configuration";

/// Options of `restis export`.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The file to write, or - for standard output
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Only keys that match this pattern
    #[arg(long = "match", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// Go on with a file that is not complete
    #[arg(long, conflicts_with = "force")]
    pub(crate) resume: bool,
    /// Overwrite a file that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Show progress though standard error is no terminal
    #[arg(long)]
    pub(crate) progress: bool,
}

/// Options of `restis import`.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The file to read, an export or an RDB file of Redis; - for an export on standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Overwrite keys that are there
    #[arg(long)]
    pub(crate) replace: bool,
    /// Go on with an import that was interrupted
    #[arg(long)]
    pub(crate) resume: bool,
    /// Compare every key afterwards
    #[arg(long)]
    pub(crate) verify: bool,
    /// Compare every key, and write nothing
    #[arg(long, conflicts_with_all = ["replace", "resume", "verify"])]
    pub(crate) verify_only: bool,
    /// Which database of an RDB file is read
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) rdb_database: u64,
    /// Leave out what the database cannot hold
    #[arg(long)]
    pub(crate) skip_unsupported: bool,
    /// Show progress though standard error is no terminal
    #[arg(long)]
    pub(crate) progress: bool,
}

fn client(database: &DatabaseArgs) -> Result<Redis, Failure> {
    let builder = database.target()?.builder;
    builder.timeout(PATIENCE).build().map_err(Failure::usage)
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no event loop: {error}")))
}

/// Why the database did not do it.
fn refused(error: Error) -> Failure {
    Failure::new(format!("the database: {error}; `restis check` tells more"))
}
