//! HyperLogLog: counting distinct elements in strings of a fixed size.

use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::Error;
use crate::hll::{self, HllError, Union};
use crate::parse::is;
use crate::reply::Reply;
use crate::text::Str;
use crate::value::Value;

fn error(error: HllError) -> Error {
    match error {
        HllError::NotHll => Error::fixed("WRONGTYPE Key is not a valid HyperLogLog string value."),
        HllError::Corrupted => Error::fixed("INVALIDOBJ Corrupted HLL object detected"),
    }
}

/// The value of a key, checked; `None` if there is none.
fn read<'c>(ctx: &'c Ctx<'_>, key: &[u8]) -> Result<Option<&'c Str>, Error> {
    let value = ctx.db.read::<Str>(key)?;
    if let Some(value) = value {
        hll::check(value).map_err(error)?;
    }
    Ok(value)
}

/// Changes the value of a key in place, without a copy where it is not shared.
fn change<T>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    change: impl FnOnce(&mut Vec<u8>) -> Result<T, HllError>,
) -> Result<T, Error> {
    let slot = ctx.db.create::<Str>(key)?;
    slot.edit(|value| {
        if value.is_empty() {
            *value = hll::empty();
        }
        change(value).map_err(error)
    })
}

fn pfadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let created = read(ctx, key)?.is_none();
    if !created && args.len() == 2 {
        return Ok(Reply::Int(0));
    }
    ctx.make_room(hll::MOST_BYTES)?;
    let changed = change(ctx, key, |value| {
        let mut changed = created;
        if created {
            hll::set_cache(value, None);
        }
        for element in &args[2..] {
            changed |= hll::add(value, element)?;
        }
        Ok(changed)
    })?;
    if changed {
        ctx.db.notify(Event::STRING, "pfadd", key);
    }
    Ok(Reply::bool(changed))
}

fn union(ctx: &Ctx<'_>, keys: &[&[u8]]) -> Result<(Union, bool), Error> {
    let mut union = Union::default();
    let mut dense = false;
    for key in keys {
        if let Some(value) = read(ctx, key)? {
            ctx.side.budget.spend(hll::MOST_BYTES)?;
            dense |= hll::is_dense(value);
            union.merge(value).map_err(error)?;
        }
    }
    Ok((union, dense))
}

fn pfcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let keys = &args[1..];
    let cached = match (keys, read(ctx, args[1])?) {
        (_, None) if keys.len() == 1 => return Ok(Reply::Int(0)),
        ([_], Some(value)) => hll::cached(value),
        _ => None,
    };
    if let Some(count) = cached {
        return Ok(Reply::Int(count as i64));
    }
    let count = union(ctx, keys)?.0.count();
    if let [key] = keys {
        change(ctx, key, |value| {
            hll::set_cache(value, Some(count));
            Ok(())
        })?;
    }
    Ok(Reply::Int(count as i64))
}

fn pfmerge(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let target = args[1];
    ctx.make_room(hll::MOST_BYTES)?;
    let (union, dense) = union(ctx, &args[1..])?;
    let mut merged = union.encode(dense);
    // The target's stale count stays in its place, marked as such, as in Redis.
    if let Some(old) = read(ctx, target)? {
        hll::copy_cache(&mut merged, old);
        hll::set_cache(&mut merged, None);
    }
    ctx.db.put_keep_expiry(target, Value::Str(merged.into()));
    // One event for both commands, as Redis names it.
    ctx.db.notify(Event::STRING, "pfadd", target);
    Ok(Reply::ok())
}

/// PFDEBUG: how a counter is kept, for Redis' tests.
fn pfdebug(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (sub, key) = (args[1], args[2]);
    let Some(value) = read(ctx, key)? else {
        return Err(Error::fixed("ERR The specified key does not exist"));
    };
    let dense = hll::is_dense(value);
    if is(sub, "ENCODING") {
        return Ok(Reply::simple(if dense { "dense" } else { "sparse" }));
    }
    let mut union = Union::default();
    union.merge(value).map_err(error)?;
    if is(sub, "GETREG") {
        let registers = union.registers().iter();
        return Ok(Reply::array(
            registers.map(|register| Reply::Int((*register).into())),
        ));
    }
    if is(sub, "TODENSE") {
        if !dense {
            ctx.db
                .put_keep_expiry(key, Value::Str(union.encode(true).into()));
        }
        return Ok(Reply::bool(!dense));
    }
    Err(Error::unknown_subcommand(sub))
}

const SECOND: Keys = Keys::Range {
    first: 2,
    last: 2,
    step: 1,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("PFADD", -2, Keys::ONE, Category::HyperLogLog, pfadd)
        .fast()
        .denyoom(),
    Spec::write("PFDEBUG", 3, SECOND, Category::HyperLogLog, pfdebug).debug(),
    // It may store the count it has made, which changes no answer.
    Spec::read("PFCOUNT", -2, Keys::ALL, Category::HyperLogLog, pfcount),
    Spec::write("PFMERGE", -2, Keys::ALL, Category::HyperLogLog, pfmerge).denyoom(),
];
