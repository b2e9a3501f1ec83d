//! Names of files, and what the file system is asked for.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const SNAPSHOT: &str = "restis";
const LOG: &str = "log";
/// Ends the name of a snapshot that is not whole.
const PART: &str = "tmp";
const LOCK: &str = ".restis-lock";

/// Where the files of a database are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    dir: PathBuf,
    stem: String,
}

/// Generations of which there are files.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) snapshots: BTreeSet<u64>,
    pub(super) logs: BTreeSet<u64>,
    /// What interrupted rewrites left.
    pub(super) parts: Vec<PathBuf>,
}

impl Place {
    pub(super) fn new(dir: &Path, database: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            stem: stem(database),
        }
    }

    /// Every database that has files in a directory, and its name.
    pub(super) fn all(dir: &Path) -> io::Result<Vec<(String, Self)>> {
        let mut stems = BTreeSet::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            if let Some((stem, kind)) = name.to_str().and_then(|name| name.split_once('.'))
                && kind_of(kind).is_some()
            {
                stems.insert(stem.to_owned());
            }
        }
        let place = |stem: String| {
            let dir = dir.to_owned();
            Some((database(&stem)?, Self { dir, stem }))
        };
        Ok(stems.into_iter().filter_map(place).collect())
    }

    pub(super) fn snapshot(&self, generation: u64) -> PathBuf {
        let Self { dir, stem } = self;
        dir.join(match generation {
            0 => format!("{stem}.{SNAPSHOT}"),
            _ => format!("{stem}.{generation}.{SNAPSHOT}"),
        })
    }

    /// Where a snapshot is until it is whole.
    pub(super) fn part(&self, generation: u64) -> PathBuf {
        let Self { dir, stem } = self;
        dir.join(format!("{stem}.{generation}.{SNAPSHOT}.{PART}"))
    }

    pub(super) fn log(&self, generation: u64) -> PathBuf {
        let Self { dir, stem } = self;
        dir.join(format!("{stem}.{generation}.{LOG}"))
    }

    pub(super) fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((stem, kind)) = name.to_str().and_then(|name| name.split_once('.')) else {
                continue;
            };
            if stem != self.stem {
                continue;
            }
            match kind_of(kind) {
                Some(Kind::Snapshot(generation)) => {
                    listing.snapshots.insert(generation);
                }
                Some(Kind::Log(generation)) => {
                    listing.logs.insert(generation);
                }
                Some(Kind::Part) => listing.parts.push(entry.path()),
                None => {}
            }
        }
        Ok(listing)
    }

    /// Makes names of files last. Not every system can do this.
    pub(super) fn sync_names(&self) {
        if let Ok(dir) = File::open(&self.dir) {
            let _ = dir.sync_all();
        }
    }

    /// Removes what a snapshot of this generation made needless.
    pub(super) fn remove_before(&self, generation: u64) -> io::Result<()> {
        let listing = self.list()?;
        let snapshots = listing.snapshots.range(..generation);
        let logs = listing.logs.range(..generation);
        let old = snapshots.map(|generation| self.snapshot(*generation));
        for path in old.chain(logs.map(|generation| self.log(*generation))) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

enum Kind {
    Snapshot(u64),
    Log(u64),
    Part,
}

/// What a file is whose name goes on like this after the database's.
fn kind_of(rest: &str) -> Option<Kind> {
    let number = |text: &str| {
        let plain = !text.starts_with('0') || text == "0";
        text.parse().ok().filter(|_| plain)
    };
    match rest.split('.').collect::<Vec<_>>()[..] {
        [SNAPSHOT] => Some(Kind::Snapshot(0)),
        [generation, SNAPSHOT] => Some(Kind::Snapshot(number(generation)?)),
        [generation, LOG] => Some(Kind::Log(number(generation)?)),
        [.., SNAPSHOT, PART] => Some(Kind::Part),
        _ => None,
    }
}

/// A file name that is different for every database name and harmless for all of them.
fn stem(database: &str) -> String {
    use std::fmt::Write as _;
    let mut name = String::new();
    for byte in database.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

/// The database of a file name.
fn database(stem: &str) -> Option<String> {
    let name = percent_encoding::percent_decode_str(stem);
    name.decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Claims the directory; the claim ends with the process or with the file.
pub(super) fn lock(dir: &Path) -> io::Result<File> {
    let file = create(&dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other(
            "another server keeps its data in this directory; both would write over each other",
        )),
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            tracing::warn!(%error, "the data directory cannot be locked");
            Ok(file)
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A new file that only its owner can read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    private().write(true).create(true).truncate(true).open(path)
}

/// An existing file, to be written at its end.
pub(super) fn append(path: &Path) -> io::Result<File> {
    private().append(true).open(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_harmless_and_different() {
        let dir = Path::new("d");
        let place = Place::new(dir, "db0");
        assert_eq!(place.snapshot(0), dir.join("db0.restis"));
        assert_eq!(place.snapshot(12), dir.join("db0.12.restis"));
        assert_eq!(place.log(0), dir.join("db0.0.log"));
        for name in ["../A", "a.b", "ü", "%41"] {
            let stem = stem(name);
            assert!(!stem.contains(['.', '/']), "{stem}");
            assert_eq!(database(&stem).as_deref(), Some(name));
        }
        assert_eq!(stem("../A"), "%2E%2E%2F%41");
    }

    #[test]
    fn only_names_of_this_form_count() {
        for name in ["1.restis", "restis", "1.log", "1.restis.tmp"] {
            assert!(kind_of(name).is_some(), "{name}");
        }
        for name in ["log", "x.log", "01.log", "1.log.bak", "txt", "", "1.2.log"] {
            assert!(kind_of(name).is_none(), "{name}");
        }
    }
}
