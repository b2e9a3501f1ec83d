//! `restis export`: every key as lines of a file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek as _, SeekFrom, Write};
use std::path::Path;

use futures_util::future::join_all;
use restis::{Clock as _, Error, Redis, SystemClock};

use super::progress::Progress;
use super::record::{Bytes, End, Header, Line, Lines, Record, VERSION};
use super::source::{self, Key};
use super::{ExportArgs, client, refused, runtime};
use crate::failure::Failure;

/// Keys asked for at once.
const SCAN: u64 = 500;
/// About how many bytes of small keys are read at once.
const BATCH_BYTES: u64 = 2 * 1024 * 1024;

pub(crate) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let redis = client(&args.database)?;
    let runtime = runtime()?;
    if args.file.as_os_str() == "-" {
        if args.resume {
            return Err(Failure::usage("--resume needs a file, not -"));
        }
        let out = BufWriter::new(io::stdout().lock());
        let export = Export::begin(&redis, args, out, Start::default())?;
        return runtime.block_on(export.all());
    }
    let (file, start) = open(&args.file, args)?;
    let Some(start) = start else {
        return Ok(());
    };
    let export = Export::begin(&redis, args, BufWriter::new(file), start)?;
    runtime.block_on(export.all())
}

/// Where an export goes on.
#[derive(Default)]
struct Start {
    /// The header is written.
    resumed: bool,
    cursor: Option<String>,
    end: End,
}

/// The file to write to, behind what is complete in it; no start when all is.
fn open(path: &Path, args: &ExportArgs) -> Result<(File, Option<Start>), Failure> {
    let failed = |error: io::Error| Failure::new(format!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match (args.force, args.resume) {
        (true, _) => options.create(true).truncate(true),
        (false, true) => options.create(true).truncate(false),
        (false, false) => options.create_new(true),
    };
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format!(
            "{} is there already: --resume goes on with it, --force overwrites it",
            path.display()
        )),
        _ => failed(error),
    })?;
    let mut start = Start::default();
    if !args.resume {
        return Ok((file, Some(start)));
    }
    let mut lines = Lines::new(BufReader::new(&file), 0);
    let (mut keys, mut records, mut complete) = (0, 0, 0);
    // What is damaged or cut off is written anew.
    while let Ok(Some(line)) = lines.next() {
        match line {
            Line::Export(header) => {
                if header.version != VERSION || header.pattern != pattern(args) {
                    return Err(Failure::usage(format!(
                        "{} is an export of another version or pattern",
                        path.display()
                    )));
                }
                start.resumed = true;
                complete = lines.offset;
            }
            Line::Key(record) => {
                records += 1;
                keys += u64::from(!record.more);
            }
            Line::Cursor(cursor) => {
                start.cursor = Some(cursor);
                start.end = End { keys, records };
                complete = lines.offset;
            }
            Line::End(_) => return Ok((file, None)),
        }
    }
    file.set_len(complete).map_err(failed)?;
    file.seek(SeekFrom::End(0)).map_err(failed)?;
    Ok((file, Some(start)))
}

fn pattern(args: &ExportArgs) -> Option<Bytes> {
    args.pattern
        .as_ref()
        .map(|pattern| Bytes(pattern.clone().into_bytes()))
}

struct Export<'a, W> {
    redis: &'a Redis,
    args: &'a ExportArgs,
    out: W,
    start: Option<String>,
    end: End,
}

impl<'a, W: Write> Export<'a, W> {
    fn begin(
        redis: &'a Redis,
        args: &'a ExportArgs,
        out: W,
        start: Start,
    ) -> Result<Self, Failure> {
        let mut export = Self {
            redis,
            args,
            out,
            start: start.cursor,
            end: start.end,
        };
        if !start.resumed {
            let header = Header {
                version: VERSION,
                id: restis_server::random_token().map_err(Failure::new)?,
                at: SystemClock::new().now_ms(),
                pattern: pattern(args),
            };
            export.write(&Line::Export(header))?;
        }
        Ok(export)
    }

    fn write(&mut self, line: &Line) -> Result<(), Failure> {
        let written = line.write(&mut self.out);
        written.map_err(|error| Failure::new(format!("cannot write: {error}")))?;
        Ok(())
    }

    async fn all(mut self) -> Result<(), Failure> {
        // Without a pattern the number of keys tells how far it is.
        let total = match self.args.pattern {
            None => self.redis.command("DBSIZE").query::<u64>().await.ok(),
            Some(_) => None,
        };
        let mut progress = Progress::new("export", self.args.progress, total);
        let mut cursor = self.start.take().unwrap_or_else(|| "0".to_owned());
        loop {
            let scan = self.redis.command("SCAN").arg(&cursor);
            let scan = match &self.args.pattern {
                Some(pattern) => scan.arg("MATCH").arg(pattern),
                None => scan,
            };
            let scan = scan.arg("COUNT").arg(SCAN);
            let (next, mut names): (String, Vec<Vec<u8>>) = scan.query().await.map_err(refused)?;
            // A table that grows or shrinks may tell a key twice.
            names.sort_unstable();
            names.dedup();
            for names in names.chunks(SCAN as usize) {
                let keys = source::keys(self.redis, names.to_vec())
                    .await
                    .map_err(refused)?;
                self.keys(&keys, &mut progress).await?;
            }
            if next == "0" {
                break;
            }
            self.write(&Line::Cursor(next.clone()))?;
            self.flush()?;
            cursor = next;
        }
        progress.end();
        self.write(&Line::End(self.end))?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.out.flush();
        flushed.map_err(|error| Failure::new(format!("cannot write: {error}")))
    }

    /// Small keys together, the others part by part.
    async fn keys(&mut self, keys: &[Key], progress: &mut Progress) -> Result<(), Failure> {
        let mut small: Vec<&Key> = Vec::new();
        let mut bytes = 0;
        for key in keys {
            if !key.is_small() {
                self.large(key).await?;
                continue;
            }
            bytes += key.bytes;
            small.push(key);
            if bytes > BATCH_BYTES {
                self.small(&std::mem::take(&mut small)).await?;
                bytes = 0;
            }
        }
        self.small(&small).await?;
        progress.at(self.end.keys, self.end.keys);
        Ok(())
    }

    async fn small(&mut self, keys: &[&Key]) -> Result<(), Failure> {
        let redis = self.redis;
        let read = keys.iter().map(|key| async move {
            let mut reader = key.reader(redis);
            let mut records = Vec::new();
            while let Some(record) = reader.next().await? {
                records.push(record);
            }
            Ok::<Vec<Record>, Error>(records)
        });
        for records in join_all(read).await {
            for record in records.map_err(refused)? {
                self.record(record)?;
            }
        }
        Ok(())
    }

    async fn large(&mut self, key: &Key) -> Result<(), Failure> {
        let mut reader = key.reader(self.redis);
        while let Some(record) = reader.next().await.map_err(refused)? {
            self.record(record)?;
        }
        Ok(())
    }

    fn record(&mut self, record: Record) -> Result<(), Failure> {
        self.end.records += 1;
        self.end.keys += u64::from(!record.more);
        self.write(&Line::Key(record))
    }
}
