//! Keeping what can be kept of damaged files.

use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use restis_engine::{Engine, Options};

use super::files::{self, Place};
use super::format::{LogReader, Next};
use super::writer;

/// What became of a database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Repaired {
    /// The database's name.
    pub database: String,
    /// Keys that are there now.
    pub keys: u64,
    /// What was wrong and what it cost, in sentences; empty: nothing, and no file was touched.
    pub losses: Vec<String>,
    /// Where the files are that were replaced.
    pub kept: Option<PathBuf>,
}

/// Makes the files of every database in a directory loadable again.
///
/// What is damaged is left out; the files as they were are moved to a directory beside them.
///
/// # Errors
/// If a server uses the directory, or it cannot be read or written. Files are then as they were, or
/// in the directory to which they were moved.
pub fn repair(dir: &Path) -> Result<Vec<Repaired>, String> {
    let problem = |error: io::Error| format!("{}: {error}", dir.display());
    // Also refuses a directory that is none.
    let all = Place::all(dir).map_err(problem)?;
    let _lock = files::lock(dir).map_err(problem)?;
    let repair = |(name, place): (String, Place)| {
        let failed = |error: io::Error| format!("database {name}: {error}");
        repair_one(dir, &place, &name).map_err(failed)
    };
    all.into_iter().map(repair).collect()
}

fn repair_one(dir: &Path, place: &Place, name: &str) -> io::Result<Repaired> {
    let engine = Engine::new(Options::default().name(name));
    let mut losses = Vec::new();
    let listing = place.list()?;
    let newest = listing.snapshots.last().copied();
    if let Some(generation) = newest {
        let path = place.snapshot(generation);
        let loaded = engine.load(&mut BufReader::new(File::open(&path)?));
        if let Err(error) = loaded {
            let salvaged = engine.salvage(&mut BufReader::new(File::open(&path)?))?;
            losses.push(format!(
                "{}: {error}. {salvaged} keys were read up to the damage; what came after them is lost, and since the checksum is of the whole file any of them may be wrong",
                path.display()
            ));
        }
    }
    let mut expected = newest.unwrap_or(0);
    for generation in listing.logs.range(expected..) {
        let lost = generation - expected;
        let is_new = newest.is_none() && expected == 0 && lost > 0;
        if lost > 0 || is_new {
            losses.push(format!(
                "{} is missing: its changes are lost",
                place.log(expected).display()
            ));
        }
        salvage_log(&engine, &place.log(*generation), *generation, &mut losses)?;
        expected = generation + 1;
    }
    if newest.is_some_and(|base| base > 0 && !listing.logs.contains(&base)) {
        let base = newest.unwrap_or(0);
        let path = place.log(base);
        losses.push(format!(
            "{} is missing: its changes are lost",
            path.display()
        ));
        losses.dedup();
    }
    let mut kept = None;
    if !losses.is_empty() {
        let last = listing.logs.iter().chain(&listing.snapshots).max();
        let generation = last.copied().unwrap_or(0) + 1;
        kept = Some(replace(dir, place, &engine, generation)?);
    }
    Ok(Repaired {
        database: name.to_owned(),
        keys: engine.keys(),
        losses,
        kept,
    })
}

/// Makes the changes of a log that are whole.
fn salvage_log(
    engine: &Engine,
    path: &Path,
    generation: u64,
    losses: &mut Vec<String>,
) -> io::Result<()> {
    let shown = path.display();
    let file = BufReader::new(File::open(path)?);
    let mut reader = match LogReader::open(file, generation) {
        Ok(reader) => reader,
        Err(error) => {
            losses.push(format!("{shown}: {error}"));
            LogReader::after_header(BufReader::new(File::open(path)?), generation)?
        }
    };
    let (mut refused, mut first) = (0u64, 0);
    loop {
        match reader.next()? {
            Next::End => break,
            Next::Record(record) => {
                if engine.replay(record).is_err() {
                    if refused == 0 {
                        first = reader.record_at();
                    }
                    refused += 1;
                }
            }
            Next::Broken { at, resume } => {
                let end = resume.unwrap_or_else(|| reader.len());
                losses.push(format!(
                    "{shown}: bytes {at} to {end} are damaged: the transactions in them are lost"
                ));
                match resume {
                    Some(resume) => reader.resume(resume)?,
                    None => break,
                }
            }
        }
    }
    if refused > 0 {
        losses.push(format!(
            "{shown}: {refused} transactions, the first at byte {first}, could not be made again, since they build on what was lost"
        ));
    }
    Ok(())
}

/// Moves the files away and writes what was kept.
fn replace(dir: &Path, place: &Place, engine: &Engine, generation: u64) -> io::Result<PathBuf> {
    let part = place.part(generation);
    let mut file = files::create(&part)?;
    engine.save(&mut file)?;
    file.flush()?;
    file.sync_all()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let aside = dir.join(format!("damaged-{}", now.map_or(0, |now| now.as_secs())));
    fs::create_dir_all(&aside)?;
    let listing = place.list()?;
    let snapshots = listing.snapshots.iter().map(|at| place.snapshot(*at));
    for path in snapshots.chain(listing.logs.iter().map(|at| place.log(*at))) {
        if let Some(name) = path.file_name() {
            fs::rename(&path, aside.join(name))?;
        }
    }
    writer::create(place, generation)?;
    fs::rename(&part, place.snapshot(generation))?;
    place.sync_names();
    Ok(aside)
}
