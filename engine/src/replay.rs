//! Making the changes of a record again.

use std::sync::Arc;

use bytes::Bytes;

use crate::acl::Caller;
use crate::commands;
use crate::ctx::{Ctx, Side};
use crate::db::{Db, effects};
use crate::encoding::{Corrupt, Reader, read_value};
use crate::limits::CallLimits;
use crate::options::Dialect;
use crate::reply::Reply;
use crate::snapshot::{self, SnapshotError};

/// Makes the changes of a record, at the time at which they were made.
///
/// A part of it may have been made if this fails.
pub(crate) fn replay(record: Bytes, db: &mut Db, side: &mut Side) -> Result<(), SnapshotError> {
    let mut reader = Reader::new(record);
    db.set_now(reader.number()?);
    // What was done is done again, whatever the limit of memory is now.
    let limit = side.options.memory_limit.take();
    let mut outcome = Ok(());
    while outcome.is_ok() && !reader.is_empty() {
        outcome = effect(&mut reader, db, side);
        db.settle();
    }
    side.options.memory_limit = limit;
    outcome
}

fn effect(reader: &mut Reader, db: &mut Db, side: &mut Side) -> Result<(), SnapshotError> {
    match reader.byte()? {
        effects::VALUE => {
            let key = reader.bytes()?;
            let expiry = reader.number()?;
            let value = read_value(reader)?;
            db.restore(&key, value, expiry);
        }
        effects::REMOVE => {
            db.remove_whole(&reader.bytes()?);
        }
        effects::EXPIRE => {
            let key = reader.bytes()?;
            db.set_expiry(&key, reader.number()?);
        }
        effects::CLEAR => db.clear(),
        effects::COMMAND => return command(reader, db, side),
        effects::EXPIRE_FIELDS => db.expire_fields_of(&reader.bytes()?),
        effects::USER => {
            let name = reader.bytes()?;
            let rules = list(reader)?;
            let rules: Vec<&[u8]> = rules.iter().map(AsRef::as_ref).collect();
            commands::restore_user(side, &name, &rules).map_err(|_| SnapshotError::Corrupt)?;
        }
        effects::NO_USER => {
            let name = reader.bytes()?;
            side.acl.remove(&String::from_utf8_lossy(&name));
        }
        effects::RESET => reset(&reader.bytes()?, db, side)?,
        effects::FORGET => db.search.forget(&reader.bytes()?),
        _ => return Err(SnapshotError::Corrupt),
    }
    Ok(())
}

fn list(reader: &mut Reader) -> Result<Vec<Bytes>, Corrupt> {
    (0..reader.count()?).map(|_| reader.bytes()).collect()
}

fn command(reader: &mut Reader, db: &mut Db, side: &mut Side) -> Result<(), SnapshotError> {
    side.dialect = match reader.byte()? {
        0 => Dialect::Upstash,
        _ => Dialect::Redis,
    };
    let args = list(reader)?;
    let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
    side.budget.open(&CallLimits::default());
    let caller = Caller::default();
    let reply = Ctx {
        db,
        side,
        caller: &caller,
        script: None,
    }
    .call(&args);
    let Reply::Error(_) = reply else {
        return Ok(());
    };
    // Code that cannot be run now is run when it is first needed, as after a snapshot.
    if let [name, sub, .., code] = &args[..]
        && name.eq_ignore_ascii_case(b"FUNCTION")
        && sub.eq_ignore_ascii_case(b"LOAD")
    {
        side.budget.renew();
        return commands::restore_library(side, code).map_err(|_| SnapshotError::Corrupt);
    }
    Err(SnapshotError::Corrupt)
}

/// Replaces everything by a snapshot.
fn reset(body: &Bytes, db: &mut Db, side: &mut Side) -> Result<(), SnapshotError> {
    let (mut new_db, mut new_side) = snapshot::fresh(db, side);
    snapshot::decode(body, &mut new_db, &mut new_side)?;
    new_db.watch = Arc::clone(&db.watch);
    *db = new_db;
    side.scripting = new_side.scripting;
    side.acl.replace(new_side.acl);
    Ok(())
}
