//! `restis import`: the keys of an export into a database.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use restis::{Clock as _, Error, Redis, SystemClock};
use serde::{Deserialize, Serialize};

use super::probe::{Probe, Summary};
use super::progress::Progress;
use super::record::{Bytes, Header, Line, Lines, Record, VERSION};
use super::{ImportArgs, client, rdb, refused, runtime, target, verify};
use crate::failure::Failure;

/// About how many bytes are written at once, and how many records.
const BATCH_BYTES: usize = 1024 * 1024;
const BATCH_RECORDS: usize = 500;
/// How often a batch is tried while the database cannot be reached.
const TRIES: u32 = 6;
/// Failures that are told by name.
const MOST_TOLD: u64 = 20;

pub(crate) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let redis = client(&args.database)?;
    let runtime = runtime()?;
    if args.file.as_os_str() == "-" {
        if args.resume || args.verify || args.verify_only {
            return Err(Failure::usage("--resume and --verify need a file, not -"));
        }
        let lines = Lines::new(BufReader::new(io::stdin()), 0);
        let probe = runtime.block_on(Probe::all(&redis)).map_err(refused)?;
        let import = Import::new(&redis, args, probe, None);
        return runtime.block_on(import.all(lines, Progress::new("import", args.progress, None)));
    }
    let input = Input::of(args)?;
    let damaged = |problem: String| {
        Failure::new(format!(
            "{}: {problem}; nothing is written",
            args.file.display()
        ))
    };
    // The whole file is read before anything is written.
    let summary = Summary::read(input.lines(0)?).map_err(damaged)?;
    let probe = runtime
        .block_on(Probe::of(&redis, &summary))
        .map_err(refused)?;
    if !probe.lacks.is_empty() && !args.skip_unsupported && !args.verify_only {
        return Err(Failure::new(format!(
            "the database cannot hold {}; nothing is written. --skip-unsupported leaves that out",
            probe.lacks.join(", ")
        )));
    }
    if !args.verify_only {
        let state = match input.is_rdb {
            true => None,
            false => Some(State::open(&args.file, &summary.header, args.resume)?),
        };
        let saved = state.as_ref().and_then(|state| state.saved.as_ref());
        let lines = input.lines(saved.map_or(0, |saved| saved.offset))?;
        let progress = Progress::new("import", args.progress, input.length);
        let import = Import::new(&redis, args, probe.clone(), state);
        runtime.block_on(import.all(lines, progress))?;
    }
    if args.verify || args.verify_only {
        let progress = Progress::new("verify", args.progress, input.length);
        runtime.block_on(verify::all(
            &redis,
            input.lines(0)?,
            probe.abilities,
            progress,
        ))?;
    }
    Ok(())
}

/// The file that is imported, read once for each step.
struct Input<'a> {
    args: &'a ImportArgs,
    is_rdb: bool,
    /// Bytes of its lines, if that is known.
    length: Option<u64>,
}

impl<'a> Input<'a> {
    fn of(args: &'a ImportArgs) -> Result<Self, Failure> {
        let path = &args.file;
        let failed = |error: io::Error| Failure::new(format!("{}: {error}", path.display()));
        let is_rdb = rdb::is_rdb(path).map_err(failed)?;
        if is_rdb && args.resume {
            return Err(Failure::usage(
                "--resume is for exports; import the RDB file again, with --replace",
            ));
        }
        let length = std::fs::metadata(path).map_err(failed)?.len();
        Ok(Self {
            args,
            is_rdb,
            length: (!is_rdb).then_some(length),
        })
    }

    /// The lines from an offset on.
    fn lines(&self, offset: u64) -> Result<Lines<Box<dyn BufRead>>, Failure> {
        let path = &self.args.file;
        let open = || -> io::Result<Box<dyn BufRead>> {
            if self.is_rdb {
                return Ok(Box::new(rdb::lines(path, self.args.rdb_database)?));
            }
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            Ok(Box::new(BufReader::new(file)))
        };
        let input = open().map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        Ok(Lines::new(input, offset))
    }
}

/// The first line, if it can be read.
pub(super) fn header<R: BufRead>(lines: &mut Lines<R>) -> Result<Header, String> {
    match lines.next()? {
        Some(Line::Export(header)) if header.version == VERSION => Ok(header),
        Some(Line::Export(header)) => Err(format!(
            "this is an export of version {}, which this program does not read",
            header.version
        )),
        _ => Err("this is no export".to_owned()),
    }
}

/// How far an import is, in a file beside the export.
struct State {
    path: PathBuf,
    id: String,
    saved: Option<Saved>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Saved {
    /// Of the export.
    id: String,
    /// Where the batch begins that may not be complete.
    offset: u64,
    /// Its keys that were there before, and stay.
    existing: Vec<Bytes>,
    /// Whether the part before left a key out, of which further parts follow.
    left_out: Option<Bytes>,
    counts: Counts,
}

impl State {
    fn open(export: &Path, header: &Header, resume: bool) -> Result<Self, Failure> {
        let mut name = export.as_os_str().to_owned();
        name.push(".import");
        let path = PathBuf::from(name);
        let mut state = Self {
            path,
            id: header.id.clone(),
            saved: None,
        };
        let text = match std::fs::read(&state.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(state),
            Err(error) => return Err(Failure::new(format!("{}: {error}", state.path.display()))),
        };
        let shown = state.path.display();
        if !resume {
            return Err(Failure::new(format!(
                "an import of this file was interrupted: --resume goes on with it; delete {shown} \
                 to begin anew"
            )));
        }
        let saved: Option<Saved> = serde_json::from_slice(&text).ok();
        let saved = saved.filter(|saved| saved.id == state.id);
        state.saved = Some(saved.ok_or_else(|| {
            Failure::new(format!(
                "{shown} is of another export; delete it to begin anew"
            ))
        })?);
        Ok(state)
    }

    /// Replaces the file at once.
    fn save(&self, saved: &Saved) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::new(format!("{}: {error}", self.path.display()));
        let mut name = self.path.as_os_str().to_owned();
        name.push(".new");
        let text = serde_json::to_vec(saved).map_err(Failure::new)?;
        std::fs::write(&name, text).map_err(failed)?;
        std::fs::rename(&name, &self.path).map_err(failed)
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Counts {
    keys: u64,
    expired: u64,
    existing: u64,
    unsupported: u64,
    failed: u64,
}

struct Import<'a> {
    redis: &'a Redis,
    args: &'a ImportArgs,
    probe: Probe,
    state: Option<State>,
    counts: Counts,
    /// A key that is left out, of which further parts may follow.
    left_out: Option<Vec<u8>>,
}

impl<'a> Import<'a> {
    fn new(redis: &'a Redis, args: &'a ImportArgs, probe: Probe, state: Option<State>) -> Self {
        Self {
            redis,
            args,
            probe,
            state,
            counts: Counts::default(),
            left_out: None,
        }
    }

    async fn all<R: BufRead>(
        mut self,
        mut lines: Lines<R>,
        mut progress: Progress,
    ) -> Result<(), Failure> {
        let saved = self.state.as_ref().and_then(|state| state.saved.clone());
        let mut known = None;
        if let Some(saved) = saved {
            self.counts = saved.counts;
            self.left_out = saved.left_out.map(|key| key.0);
            known = Some(saved.existing);
        } else {
            header(&mut lines).map_err(Failure::new)?;
        }
        let mut ended = false;
        while !ended {
            let offset = lines.offset;
            let (mut batch, mut size) = (Vec::new(), 0);
            while size < BATCH_BYTES && batch.len() < BATCH_RECORDS {
                match lines.next().map_err(Failure::new)? {
                    Some(Line::Key(record)) => {
                        size += record.size();
                        batch.push(record);
                    }
                    Some(Line::Cursor(_)) => {}
                    Some(Line::Export(_)) => return Err(Failure::new("a second export begins")),
                    Some(Line::End(_)) => {
                        ended = true;
                        break;
                    }
                    None => {
                        return Err(Failure::new("the export is incomplete: its end is missing"));
                    }
                }
            }
            self.batch(batch, offset, known.take()).await?;
            progress.at(self.counts.keys, lines.offset);
        }
        progress.end();
        if let Some(state) = &self.state {
            let _ = std::fs::remove_file(&state.path);
        }
        self.report()
    }

    fn report(&self) -> Result<(), Failure> {
        let Counts {
            keys,
            expired,
            existing,
            unsupported,
            failed,
        } = self.counts;
        let mut text = format!("{keys} keys imported");
        for (count, what) in [
            (expired, "had expired"),
            (unsupported, "left out: the database cannot hold them"),
            (
                existing,
                "were there and stay as they are (--replace overwrites)",
            ),
            (failed, "failed"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        let _ = writeln!(io::stderr(), "{text}");
        match existing + unsupported + failed {
            0 => Ok(()),
            _ => Err(Failure::told(1)),
        }
    }

    async fn batch(
        &mut self,
        batch: Vec<Record>,
        offset: u64,
        known: Option<Vec<Bytes>>,
    ) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        let existing = match known {
            Some(known) => known,
            None => self.existing(&batch).await?,
        };
        if let Some(state) = &self.state {
            state.save(&Saved {
                id: state.id.clone(),
                offset,
                existing: existing.clone(),
                left_out: self.left_out.clone().map(Bytes),
                counts: self.counts,
            })?;
        }
        let existing: HashSet<Bytes> = existing.into_iter().collect();
        let now = SystemClock::new().now_ms();
        let mut wanted = Vec::new();
        for record in batch {
            if record.p > 0 && self.left_out.as_ref() == Some(&record.k.0) {
                continue;
            }
            let count = if record.x.is_some_and(|at| at <= now) {
                &mut self.counts.expired
            } else if !self.probe.can_hold(&record) {
                &mut self.counts.unsupported
            } else if record.p == 0 && existing.contains(&record.k) {
                &mut self.counts.existing
            } else {
                wanted.push(record);
                continue;
            };
            *count += 1;
            self.left_out = Some(record.k.0);
        }
        self.write(&wanted).await
    }

    /// Which keys that begin in the batch are there.
    async fn existing(&self, batch: &[Record]) -> Result<Vec<Bytes>, Failure> {
        if self.args.replace {
            return Ok(Vec::new());
        }
        let first = batch.iter().filter(|record| record.p == 0);
        let keys: Vec<&Bytes> = first.map(|record| &record.k).collect();
        let asked = keys.iter().map(|key| async {
            let exists = self.redis.command("EXISTS").arg(&key.0);
            exists.query::<i64>().await
        });
        let answers = join_all(asked).await;
        let mut existing = Vec::new();
        for (key, answer) in keys.into_iter().zip(answers) {
            if answer.map_err(refused)? > 0 {
                existing.push(key.clone());
            }
        }
        Ok(existing)
    }

    /// Writes records, all of them again while the database cannot be reached.
    async fn write(&mut self, records: &[Record]) -> Result<(), Failure> {
        let abilities = self.probe.abilities;
        let mut commands = Vec::new();
        let mut owners = Vec::new();
        for (owner, record) in records.iter().enumerate() {
            let of_record = target::commands(record, abilities);
            owners.resize(owners.len() + of_record.len(), owner);
            commands.extend(of_record);
        }
        let mut pause = Duration::from_millis(250);
        for attempt in 1..=TRIES {
            let replies = target::send(self.redis, &commands).await;
            let away = replies
                .iter()
                .find_map(|reply| reply.as_ref().err().filter(|e| is_away(e)));
            if let Some(error) = away {
                if attempt == TRIES {
                    return Err(refused(error.clone()));
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
                continue;
            }
            let mut wrong: Vec<Option<Error>> = vec![None; records.len()];
            for ((args, reply), owner) in commands.iter().zip(replies).zip(owners) {
                if let Err(error) = reply
                    && !target::is_repeat(args, &error)
                {
                    wrong[owner].get_or_insert(error);
                }
            }
            for (record, wrong) in records.iter().zip(wrong) {
                self.count(record, wrong.as_ref());
            }
            return Ok(());
        }
        Ok(())
    }

    fn count(&mut self, record: &Record, wrong: Option<&Error>) {
        if let Some(error) = wrong {
            self.counts.failed += 1;
            self.left_out = Some(record.k.0.clone());
            if self.counts.failed <= MOST_TOLD {
                let key = record.k.0.escape_ascii();
                let _ = writeln!(io::stderr(), "restis: {key}: {error}");
            }
        } else if !record.more {
            self.counts.keys += 1;
        }
    }
}

/// Whether the database may take it later.
fn is_away(error: &Error) -> bool {
    error.is_unavailable() || error.kind() == restis::ErrorKind::RateLimited
}
