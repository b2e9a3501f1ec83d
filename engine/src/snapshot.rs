//! A whole database as bytes, and back.
//!
//! Layout, version 1: eight magic bytes, the version (u32, little endian), records, an end record
//! with the number of keys, and the XXH3 (u64, little endian) of everything before it. A record is
//! a key with expiry and value, or a command that is replayed (functions, users, indexes). The checksum
//! is compared before anything is read, so a torn or foreign file loads nothing.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;

use crate::acl::Caller;
use crate::command::Args;
use crate::commands;
use crate::ctx::{Ctx, Side};
use crate::db::{Db, KEY, put_entry};
use crate::encoding::{Corrupt, Reader, put_bytes, put_number, read_value};

const MAGIC: &[u8; 8] = b"RESTISDB";
const VERSION: u32 = 1;
const HEADER: usize = MAGIC.len() + 4;
const TRAILER: usize = 8;

const END: u8 = 0;
const REPLAY: u8 = 2;

/// What an index leaves out, after the keys: a record only, no command.
const SKIP: &[u8] = b"SEARCH.SKIP";

/// Why a snapshot was not loaded. Nothing of it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Reading failed.
    Io(io::Error),
    /// The file is not a snapshot.
    Foreign,
    /// The snapshot was written by a newer version of this software.
    Version(u32),
    /// The file ends early or was changed: its checksum does not match.
    Torn,
    /// The checksum matches and the contents make no sense.
    Corrupt,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("reading the snapshot failed"),
            Self::Foreign => f.write_str("the file is not a snapshot"),
            Self::Version(version) => {
                write!(
                    f,
                    "the snapshot has format version {version}, which is newer than this software"
                )
            }
            Self::Torn => f.write_str("the snapshot is torn: it ends early or was changed"),
            Self::Corrupt => f.write_str("the snapshot's contents make no sense"),
        }
    }
}

impl std::error::Error for SnapshotError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Corrupt> for SnapshotError {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

/// Encodes the database.
pub(crate) fn encode(db: &Db, side: &Side) -> Vec<u8> {
    let mut out = Vec::with_capacity(db.used() / 2 + 1024);
    begin(&mut out, db, side);
    let mut keys = 0;
    for (key, value, expiry) in db.iter() {
        put_entry(&mut out, key, value, expiry);
        keys += 1;
    }
    out.extend_from_slice(&skipped(db));
    end(&mut out, keys);
    let sum = xxhash_rust::xxh3::xxh3_64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// Appends what comes before the keys.
pub(crate) fn begin(out: &mut Vec<u8>, db: &Db, side: &Side) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    for library in side.scripting.libraries() {
        replay(out, &[b"FUNCTION", b"LOAD", &library.code]);
    }
    for (name, user) in side.acl.users() {
        let rules = user.rules();
        let mut args: Vec<&[u8]> = vec![b"ACL", name.as_bytes()];
        args.extend(rules.iter().map(AsRef::<[u8]>::as_ref));
        replay(out, &args);
    }
    // Indexes come before the keys, which fill them.
    for args in db.search.create_commands() {
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        replay(out, &args);
    }
}

/// What comes after the keys: what indexes leave out.
pub(crate) fn skipped(db: &Db) -> Vec<u8> {
    let mut out = Vec::new();
    db.search.each_skipped(db, &mut |index, told| {
        replay(&mut out, &[SKIP, index, told]);
    });
    out
}

/// Appends the end, to which only the checksum is missing.
pub(crate) fn end(out: &mut Vec<u8>, keys: u64) {
    out.push(END);
    put_number(out, keys);
}

fn replay(out: &mut Vec<u8>, args: Args<'_>) {
    out.push(REPLAY);
    put_number(out, args.len() as u64);
    for arg in args {
        put_bytes(out, arg);
    }
}

/// Writes an encoded database.
pub(crate) fn write(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

/// Reads everything and checks that it is whole.
pub(crate) fn read(input: &mut dyn Read) -> Result<Bytes, SnapshotError> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(SnapshotError::Io)?;
    if !bytes.starts_with(MAGIC) {
        // The beginning of a snapshot is a torn one, anything else is not ours.
        let torn = !bytes.is_empty() && MAGIC.starts_with(&bytes);
        return Err(if torn {
            SnapshotError::Torn
        } else {
            SnapshotError::Foreign
        });
    }
    let version = bytes
        .get(MAGIC.len()..HEADER)
        .and_then(|raw| raw.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or(SnapshotError::Torn)?;
    if version > VERSION {
        return Err(SnapshotError::Version(version));
    }
    let end = bytes
        .len()
        .checked_sub(TRAILER)
        .ok_or(SnapshotError::Torn)?;
    let sum = bytes[end..]
        .try_into()
        .map(u64::from_le_bytes)
        .map_err(|_| SnapshotError::Torn)?;
    if end < HEADER || xxhash_rust::xxh3::xxh3_64(&bytes[..end]) != sum {
        return Err(SnapshotError::Torn);
    }
    bytes.truncate(end);
    Ok(Bytes::from(bytes).slice(HEADER..))
}

/// Reads what is there, whole or not, without the header.
pub(crate) fn read_damaged(input: &mut dyn Read) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let from = bytes.len().min(HEADER);
    Ok(Bytes::from(bytes).slice(from..))
}

/// Builds a database from what [`read`] returned; `db` and `side` are fresh.
pub(crate) fn decode(body: &Bytes, db: &mut Db, side: &mut Side) -> Result<u64, SnapshotError> {
    let mut reader = Reader::new(body.clone());
    let mut keys = 0;
    loop {
        match reader.byte()? {
            END => break,
            KEY => {
                let expiry = reader.number()?;
                let key = reader.bytes()?;
                let value = read_value(&mut reader)?;
                db.put(&key, value);
                db.set_expiry(&key, expiry);
                db.settle();
                keys += 1;
            }
            REPLAY => run(&mut reader, db, side)?,
            _ => return Err(SnapshotError::Corrupt),
        }
    }
    if reader.number()? != keys || !reader.is_empty() {
        return Err(SnapshotError::Corrupt);
    }
    Ok(keys)
}

fn run(reader: &mut Reader, db: &mut Db, side: &mut Side) -> Result<(), SnapshotError> {
    let count = reader.count()?;
    if count == 0 {
        return Err(SnapshotError::Corrupt);
    }
    let args = (0..count)
        .map(|_| reader.bytes())
        .collect::<Result<Vec<Bytes>, Corrupt>>()?;
    let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
    // Only what `encode` writes: a snapshot is data, not a program.
    if let [b"ACL", name, rules @ ..] = &args[..] {
        return commands::restore_user(side, name, rules).map_err(|_| SnapshotError::Corrupt);
    }
    match &args[..] {
        [b"FUNCTION", b"LOAD", code] => {
            side.budget.renew();
            return commands::restore_library(side, code).map_err(|_| SnapshotError::Corrupt);
        }
        // Whatever names there are by now, also what older versions let in.
        [b"SEARCH.ALIASADD", alias, index] => {
            db.search.add_alias(alias, index);
            return Ok(());
        }
        [SKIP, index, told] => {
            let known = db.search.skip_again(index, told);
            return if known {
                Ok(())
            } else {
                Err(SnapshotError::Corrupt)
            };
        }
        [b"SEARCH.CREATE", ..] => {}
        _ => return Err(SnapshotError::Corrupt),
    }
    // What was saved is loaded, whatever is allowed now.
    let limit = side.options.memory_limit.take();
    let caller = Caller::default();
    let mut ctx = Ctx {
        db,
        side,
        caller: &caller,
        script: None,
    };
    let refused = ctx.call(&args).is_error();
    side.options.memory_limit = limit;
    if refused {
        return Err(SnapshotError::Corrupt);
    }
    Ok(())
}

/// A fresh database with the settings of another.
pub(crate) fn fresh(db: &Db, side: &Side) -> (Db, Side) {
    let mut copy = Db::new(Arc::clone(&side.hub));
    copy.set_now(db.now());
    copy.set_notify_flags(0);
    let mut new = Side::new(side.options.clone(), Arc::clone(&side.hub), side.table);
    new.budget = side.budget.clone();
    (copy, new)
}
