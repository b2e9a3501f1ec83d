//! Loading a database from its files.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use restis_engine::Engine;

use super::files::{self, Listing, Place};
use super::format::{HEADER, HeaderError, LogReader, Next, header};
use super::log::Told;
use super::writer;

/// What a database was loaded from, ready to be continued.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) base: u64,
    pub(super) generation: u64,
    pub(super) file: File,
    pub(super) told: Told,
}

/// What is to be done about files that cannot be loaded.
const REMEDY: &str = "nothing was loaded. Restore the file from a copy, or run `restis repair` on the directory, which keeps what it can and says what was lost";

/// Loads a database and opens the log that it goes on with; on an error the files are as they were.
pub(super) fn open(engine: &Engine, place: &Place, name: &str) -> Result<Opened, String> {
    let listing = place.list().map_err(|error| error.to_string())?;
    let base = listing.snapshots.last().copied().unwrap_or(0);
    let logs = logs(place, &listing, base)?;
    let mut told = Told::default();
    let mut keys = 0;
    if listing.snapshots.contains(&base) {
        let path = place.snapshot(base);
        keys = load(engine, &path, &mut told)
            .map_err(|error| format!("{}: {error}; {REMEDY}", path.display()))?;
    }
    told.saved_changes = engine.changes();
    let mut cut = None;
    let mut records = 0;
    for generation in &logs {
        let path = place.log(*generation);
        let end = replay(engine, &path, *generation, &mut records)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        if end.is_some() && Some(generation) != logs.last() {
            return Err(format!(
                "{}: the log ends early, and a newer one follows it; {REMEDY}",
                path.display()
            ));
        }
        cut = end;
    }
    let generation = logs.last().copied().unwrap_or(base);
    let file = continue_log(place, generation, !logs.is_empty(), cut, name)
        .map_err(|error| format!("{}: {error}", place.log(generation).display()))?;
    for generation in &logs {
        let bytes = fs::metadata(place.log(*generation)).map_or(0, |file| file.len());
        told.log_bytes += bytes;
    }
    tidy(place, &listing, base);
    tracing::info!(database = name, keys, records, "loaded");
    Ok(Opened {
        base,
        generation,
        file,
        told,
    })
}

/// The logs that follow the snapshot, without a gap.
fn logs(place: &Place, listing: &Listing, base: u64) -> Result<Vec<u64>, String> {
    let logs: Vec<u64> = listing.logs.range(base..).copied().collect();
    let missing = |path: &Path| format!("{} is missing; {REMEDY}", path.display());
    // Only generation 0 may be without a log: a new database, or one of an older version.
    if logs.first() != Some(&base) && !(base == 0 && logs.is_empty()) {
        let no_snapshot = listing.snapshots.is_empty();
        return Err(missing(&match logs.first() {
            Some(first) if no_snapshot => place.snapshot(*first),
            _ => place.log(base),
        }));
    }
    match logs.windows(2).find(|pair| pair[1] != pair[0] + 1) {
        Some(pair) => Err(missing(&place.log(pair[0] + 1))),
        None => Ok(logs),
    }
}

fn load(engine: &Engine, path: &Path, told: &mut Told) -> Result<u64, Box<dyn std::error::Error>> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    told.snapshot_bytes = about.len();
    let time = about.modified().ok();
    told.last_snapshot = time
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map(|time| time.as_secs());
    Ok(engine.load(&mut BufReader::new(file))?)
}

/// Makes the changes of a log; where to cut it if it ends in the middle of a record.
fn replay(
    engine: &Engine,
    path: &Path,
    generation: u64,
    records: &mut u64,
) -> Result<Option<u64>, String> {
    let failed = |error: io::Error| format!("reading failed: {error}");
    let file = File::open(path).map_err(failed)?;
    let mut reader = match LogReader::open(BufReader::new(file), generation) {
        Ok(reader) => reader,
        Err(HeaderError::Torn) => return Ok(Some(0)),
        Err(error @ HeaderError::Version(_)) => return Err(error.to_string()),
        Err(error) => return Err(format!("{error}; {REMEDY}")),
    };
    loop {
        match reader.next().map_err(failed)? {
            Next::Record(record) => {
                let at = reader.record_at();
                engine.replay(record).map_err(|_| {
                    format!("the transaction at byte {at} makes no sense; {REMEDY}")
                })?;
                *records += 1;
            }
            Next::End => return Ok(None),
            Next::Broken { at, resume: None } => return Ok(Some(at)),
            Next::Broken {
                at,
                resume: Some(resume),
            } => {
                return Err(format!(
                    "bytes {at} to {resume} of the log are damaged, and whole transactions follow them; {REMEDY}"
                ));
            }
        }
    }
}

/// The newest log, cut to its whole records, or a new one.
fn continue_log(
    place: &Place,
    generation: u64,
    exists: bool,
    cut: Option<u64>,
    name: &str,
) -> io::Result<File> {
    if !exists {
        return writer::create(place, generation);
    }
    let path = place.log(generation);
    let Some(at) = cut else {
        return files::append(&path);
    };
    let file = files::append(&path)?;
    let lost = file.metadata()?.len() - at;
    if at < HEADER as u64 {
        file.set_len(0)?;
        io::Write::write_all(&mut &file, &header(generation))?;
    } else {
        file.set_len(at)?;
    }
    file.sync_all()?;
    tracing::warn!(
        database = name,
        bytes = lost,
        "{} ended in the middle of a transaction, which was never complete: {lost} bytes were cut off",
        path.display()
    );
    Ok(file)
}

/// Removes what an interrupted rewrite left.
fn tidy(place: &Place, listing: &Listing, base: u64) {
    let removed = listing.parts.iter().try_for_each(fs::remove_file);
    if let Err(error) = removed.and_then(|()| place.remove_before(base)) {
        tracing::warn!(%error, "an old file cannot be removed");
    }
}
