//! DUMP and RESTORE.

use super::expire::Unit;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::parse::{self, Walk};
use crate::rdb;
use crate::reply::Reply;

fn dump(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    // Removes fields that are due before they are written.
    if matches!(ctx.db.value(args[1]), Some(crate::value::Value::Hash(_))) {
        ctx.db.read_hash(args[1])?;
    }
    Ok(match ctx.db.value(args[1]) {
        Some(value) if !value.is_empty() => Reply::Bulk(rdb::dump(value).into()),
        _ => Reply::Nil,
    })
}

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    replace: bool,
    absolute: bool,
}

fn options(args: Args<'_>) -> Result<Options, Error> {
    let mut options = Options::default();
    let mut walk = Walk::new(args, 4);
    while !walk.is_empty() {
        if walk.word("REPLACE") {
            options.replace = true;
        } else if walk.word("ABSTTL") {
            options.absolute = true;
        } else if walk.len() > 1 && walk.word("IDLETIME") {
            if walk.need_int()? < 0 {
                return Err(Error::fixed("ERR Invalid IDLETIME value, must be >= 0"));
            }
        } else if walk.len() > 1 && walk.word("FREQ") {
            if !(0..=255).contains(&walk.need_int()?) {
                return Err(Error::fixed(
                    "ERR Invalid FREQ value, must be >= 0 and <= 255",
                ));
            }
        } else {
            return Err(SYNTAX);
        }
    }
    Ok(options)
}

fn restore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const BAD_TTL: Error = Error::fixed("ERR Invalid TTL value, must be >= 0");
    let (key, payload) = (args[1], args[3]);
    let options = options(args)?;
    if !options.replace && ctx.db.exists(key) {
        return Err(Error::fixed("BUSYKEY Target key name already exists."));
    }
    let ttl = parse::int(args[2])?;
    if ttl < 0 {
        return Err(BAD_TTL);
    }
    if !rdb::is_sound(payload) {
        return Err(Error::fixed(
            "ERR DUMP payload version or checksum are wrong",
        ));
    }
    let most = ctx.side.options.memory_limit.unwrap_or(usize::MAX);
    let value = rdb::restore(payload, ctx.now(), most)
        .map_err(|rdb::Malformed| Error::fixed("ERR Bad data format"))?;
    let unit = if options.absolute {
        Unit::UnixMillis
    } else {
        Unit::Millis
    };
    let expiry = match ttl {
        0 => 0,
        _ => unit
            .absolute(ttl, ctx.now())
            .and_then(|at| u64::try_from(at).ok())
            .ok_or(BAD_TTL)?,
    };
    ctx.keep(&value)?;
    let was_there = ctx.db.remove(key);
    if expiry != 0 && expiry <= ctx.now() || value.is_empty() {
        if was_there {
            ctx.db.notify(Event::GENERIC, "del", key);
        }
        return Ok(Reply::ok());
    }
    ctx.db.put(key, value);
    ctx.db.set_expiry(key, expiry);
    ctx.db.notify(Event::GENERIC, "restore", key);
    Ok(Reply::ok())
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("DUMP", 2, Keys::ONE, Category::Keyspace, dump),
    Spec::write("RESTORE", -4, Keys::ONE, Category::Keyspace, restore)
        .denyoom()
        .dangerous(),
];
