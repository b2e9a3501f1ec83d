//! The expiry of hash fields: HEXPIRE and its relatives, HGETEX, HSETEX, HGETDEL.

use super::expire::{Unit, invalid_expire};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::hash::Hash;
use crate::num;
use crate::parse::{self, Walk};
use crate::reply::Reply;

/// The latest expiry of a field, as in Redis (46 bits of milliseconds).
const LATEST: u64 = (1 << 46) - 1;

/// Reads `FIELDS numfields field …`, which must end the arguments.
fn fields<'a>(walk: &mut Walk<'a>) -> Result<&'a [&'a [u8]], Error> {
    fields_or(
        walk,
        Error::fixed("ERR Number of fields must be a positive integer"),
    )
}

fn fields_or<'a>(walk: &mut Walk<'a>, bad_count: Error) -> Result<&'a [&'a [u8]], Error> {
    const MISSING: Error =
        Error::fixed("ERR Mandatory argument FIELDS is missing or not at the right position");
    if !walk.word("FIELDS") {
        return Err(MISSING);
    }
    let count = walk
        .take()
        .and_then(num::parse_i64)
        .and_then(|count| usize::try_from(count).ok())
        .filter(|&count| count > 0)
        .ok_or(bad_count)?;
    if count != walk.len() {
        return Err(Error::fixed(
            "ERR The `numfields` parameter must match the number of arguments",
        ));
    }
    walk.need_many(count)
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    Always,
    Absent,
    Present,
    Later,
    Earlier,
}

impl Condition {
    fn take(walk: &mut Walk<'_>) -> Self {
        if walk.word("NX") {
            Self::Absent
        } else if walk.word("XX") {
            Self::Present
        } else if walk.word("GT") {
            Self::Later
        } else if walk.word("LT") {
            Self::Earlier
        } else {
            Self::Always
        }
    }

    fn allows(self, old: Option<u64>, new: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => old.is_none(),
            Self::Present => old.is_some(),
            Self::Later => old.is_some_and(|old| new > old),
            Self::Earlier => old.is_none_or(|old| new < old),
        }
    }
}

/// An absolute expiry in milliseconds; one in the past is 0.
fn field_expiry(unit: Unit, text: &[u8], now: u64, name: &str) -> Result<u64, Error> {
    let amount = parse::int(text)?;
    if amount < 0 {
        return Err(Error::fixed("ERR invalid expire time, must be >= 0"));
    }
    unit.absolute(amount, now)
        .and_then(|at| u64::try_from(at).ok())
        .filter(|&at| at <= LATEST)
        .ok_or_else(|| invalid_expire(name))
}

/// -2: no such field; 0: a condition did not hold; 1: set; 2: removed, the time being past.
fn expire_fields(ctx: &mut Ctx<'_>, args: Args<'_>, unit: Unit, name: &str) -> Outcome {
    let now = ctx.now();
    ctx.db.expect::<Hash>(args[1])?;
    // Far-future times that seem to be microseconds are accepted and mean the latest time.
    let at = match field_expiry(unit, args[2], now, name) {
        Err(_)
            if num::parse_i64(args[2]).is_some_and(|amount| amount > 0)
                && matches!(unit, Unit::UnixSeconds | Unit::UnixMillis) =>
        {
            LATEST
        }
        other => other?,
    };
    let mut walk = Walk::new(args, 3);
    let condition = Condition::take(&mut walk);
    let fields = fields_or(
        &mut walk,
        Error::fixed("ERR Parameter `numFields` should be greater than 0"),
    )?;
    ctx.make_room(fields.len() * Hash::PER_EXPIRY)?;
    let Some(hash) = ctx.db.write::<Hash>(args[1])? else {
        return Ok(Reply::array(fields.iter().map(|_| Reply::Int(-2))));
    };
    let (mut set, mut removed) = (false, false);
    let codes = fields
        .iter()
        .map(|field| {
            Reply::Int(if !hash.contains(field) {
                -2
            } else if !condition.allows(hash.expiry(field), at) {
                0
            } else if at <= now {
                hash.remove(field);
                removed = true;
                2
            } else {
                hash.set_expiry(field, Some(at));
                set = true;
                1
            })
        })
        .collect();
    if removed {
        ctx.db.notify(Event::HASH, "hdel", args[1]);
    }
    if set {
        ctx.db.notify(Event::HASH, "hexpire", args[1]);
    }
    Ok(Reply::Array(codes))
}

fn hexpire(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    expire_fields(ctx, args, Unit::Seconds, "hexpire")
}

fn hpexpire(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    expire_fields(ctx, args, Unit::Millis, "hpexpire")
}

fn hexpireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    expire_fields(ctx, args, Unit::UnixSeconds, "hexpireat")
}

fn hpexpireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    expire_fields(ctx, args, Unit::UnixMillis, "hpexpireat")
}

/// -2: no such field, -1: no expiry, else what `show` makes of the time.
fn tell(ctx: &mut Ctx<'_>, args: Args<'_>, show: impl Fn(u64) -> u64) -> Outcome {
    ctx.db.expect::<Hash>(args[1])?;
    let fields = fields(&mut Walk::new(args, 2))?;
    let hash = ctx.db.read_hash(args[1])?;
    Ok(Reply::array(fields.iter().map(|field| {
        Reply::Int(match hash.filter(|hash| hash.contains(field)) {
            None => -2,
            Some(hash) => hash.expiry(field).map_or(-1, |at| show(at) as i64),
        })
    })))
}

fn httl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now = ctx.now();
    tell(ctx, args, |at| at.saturating_sub(now).div_ceil(1000))
}

fn hpttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now = ctx.now();
    tell(ctx, args, |at| at.saturating_sub(now))
}

/// Redis rounds up; Upstash names a second in which the field still lives.
fn hexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    tell(ctx, args, |at| at / 1000)
}

fn hpexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    tell(ctx, args, |at| at)
}

fn hpersist(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    ctx.db.expect::<Hash>(args[1])?;
    let fields = fields(&mut Walk::new(args, 2))?;
    let Some(hash) = ctx.db.write::<Hash>(args[1])? else {
        return Ok(Reply::array(fields.iter().map(|_| Reply::Int(-2))));
    };
    let mut persisted = false;
    let codes = fields
        .iter()
        .map(|field| {
            Reply::Int(if !hash.contains(field) {
                -2
            } else if hash.expiry(field).is_none() {
                -1
            } else {
                hash.set_expiry(field, None);
                persisted = true;
                1
            })
        })
        .collect();
    if persisted {
        ctx.db.notify(Event::HASH, "hpersist", args[1]);
    }
    Ok(Reply::Array(codes))
}

fn hgetdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    ctx.db.expect::<Hash>(args[1])?;
    let fields = fields(&mut Walk::new(args, 2))?;
    let Some(hash) = ctx.db.write::<Hash>(args[1])? else {
        return Ok(Reply::array(fields.iter().map(|_| Reply::Nil)));
    };
    let values: Vec<Reply> = fields
        .iter()
        .map(|field| hash.remove(field).map_or(Reply::Nil, Reply::Bulk))
        .collect();
    if values.iter().any(|value| *value != Reply::Nil) {
        ctx.db.notify(Event::HASH, "hdel", args[1]);
    }
    Ok(Reply::Array(values))
}

/// What HGETEX does to expiries.
#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Persist,
    At(u64),
}

fn hgetex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now = ctx.now();
    ctx.db.expect::<Hash>(args[1])?;
    let mut walk = Walk::new(args, 2);
    let mut change = Change::None;
    if walk.word("PERSIST") {
        change = Change::Persist;
    } else if let Some(unit) = walk.peek().and_then(Unit::of_option) {
        walk.take();
        change = Change::At(field_expiry(unit, walk.need()?, now, "hgetex")?);
    }
    let fields = fields(&mut walk)?;
    if matches!(change, Change::At(_)) {
        ctx.make_room(fields.len() * Hash::PER_EXPIRY)?;
    }
    let Some(hash) = ctx.db.write::<Hash>(args[1])? else {
        return Ok(Reply::array(fields.iter().map(|_| Reply::Nil)));
    };
    let mut event = None;
    let values: Vec<Reply> = fields
        .iter()
        .map(|field| {
            let value = Reply::text(hash.get(field));
            if value == Reply::Nil {
                return value;
            }
            match change {
                Change::None => {}
                Change::Persist => {
                    if hash.expiry(field).is_some() {
                        hash.set_expiry(field, None);
                        event = Some("hpersist");
                    }
                }
                Change::At(at) if at <= now => {
                    hash.remove(field);
                    event = Some("hdel");
                }
                Change::At(at) => {
                    hash.set_expiry(field, Some(at));
                    event = Some("hexpire");
                }
            }
            value
        })
        .collect();
    if let Some(event) = event {
        ctx.db.notify(Event::HASH, event, args[1]);
    }
    Ok(Reply::Array(values))
}

fn unknown_argument(word: &[u8]) -> Error {
    Error::new(format!(
        "ERR unknown argument: {}",
        String::from_utf8_lossy(word)
    ))
}

#[derive(Debug, Default)]
struct SetOptions {
    absent: bool,
    present: bool,
    keep: bool,
    at: Option<u64>,
}

impl SetOptions {
    fn parse(walk: &mut Walk<'_>, now: u64) -> Result<Self, Error> {
        let mut options = Self::default();
        while let Some(word) = walk.peek().filter(|word| !parse::is(word, "FIELDS")) {
            walk.take();
            if parse::is(word, "FNX") || parse::is(word, "FXX") {
                if options.absent || options.present {
                    return Err(Error::fixed(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
                options.absent = parse::is(word, "FNX");
                options.present = !options.absent;
                continue;
            }
            let unit = Unit::of_option(word);
            if unit.is_none() && !parse::is(word, "KEEPTTL") {
                return Err(unknown_argument(word));
            }
            if options.keep || options.at.is_some() {
                return Err(Error::fixed(
                    "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                ));
            }
            options.keep = unit.is_none();
            if let Some(unit) = unit {
                options.at = Some(field_expiry(unit, walk.need()?, now, "hsetex")?);
            }
        }
        Ok(options)
    }
}

fn hsetex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now = ctx.now();
    let mut walk = Walk::new(args, 2);
    let options = SetOptions::parse(&mut walk, now)?;
    if !walk.word("FIELDS") {
        return Err(SYNTAX);
    }
    let count = walk
        .take()
        .and_then(num::parse_i64)
        .and_then(|count| usize::try_from(count).ok())
        .filter(|&count| count > 0 && i32::try_from(count).is_ok())
        .ok_or(Error::fixed("ERR invalid number of fields"))?;
    if count.checked_mul(2) != Some(walk.len()) {
        return Err(Error::wrong_arity("hsetex"));
    }
    let pairs = walk.rest();
    let known = |hash: Option<&Hash>, field: &[u8]| hash.is_some_and(|hash| hash.contains(field));
    let hash = ctx.db.read_hash(args[1])?;
    let refused = pairs.chunks_exact(2).any(|pair| {
        let known = known(hash, pair[0]);
        options.absent && known || options.present && !known
    });
    if refused {
        return Ok(Reply::Int(0));
    }
    let hash = ctx.db.create::<Hash>(args[1])?;
    for pair in pairs.chunks_exact(2) {
        let value = pair[1];
        match options.at {
            Some(at) if at <= now => drop(hash.remove(pair[0])),
            Some(at) => {
                hash.set_keep_expiry(pair[0], value);
                hash.set_expiry(pair[0], Some(at));
            }
            None if options.keep => drop(hash.set_keep_expiry(pair[0], value)),
            None => drop(hash.set(pair[0], value)),
        }
    }
    ctx.db.notify(Event::HASH, "hset", args[1]);
    match options.at {
        Some(at) if at <= now => ctx.db.notify(Event::HASH, "hdel", args[1]),
        Some(_) => ctx.db.notify(Event::HASH, "hexpire", args[1]),
        None => {}
    }
    Ok(Reply::Int(1))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("HEXPIRE", -6, Keys::ONE, Category::Hash, hexpire)
        .denyoom()
        .fast(),
    Spec::write("HEXPIREAT", -6, Keys::ONE, Category::Hash, hexpireat)
        .denyoom()
        .fast(),
    Spec::read("HEXPIRETIME", -5, Keys::ONE, Category::Hash, hexpiretime).fast(),
    Spec::write("HGETDEL", -5, Keys::ONE, Category::Hash, hgetdel).fast(),
    Spec::write("HGETEX", -5, Keys::ONE, Category::Hash, hgetex).fast(),
    Spec::write("HPERSIST", -5, Keys::ONE, Category::Hash, hpersist).fast(),
    Spec::write("HPEXPIRE", -6, Keys::ONE, Category::Hash, hpexpire)
        .denyoom()
        .fast(),
    Spec::write("HPEXPIREAT", -6, Keys::ONE, Category::Hash, hpexpireat)
        .denyoom()
        .fast(),
    Spec::read("HPEXPIRETIME", -5, Keys::ONE, Category::Hash, hpexpiretime).fast(),
    Spec::read("HPTTL", -5, Keys::ONE, Category::Hash, hpttl).fast(),
    Spec::write("HSETEX", -6, Keys::ONE, Category::Hash, hsetex)
        .denyoom()
        .fast(),
    Spec::read("HTTL", -5, Keys::ONE, Category::Hash, httl).fast(),
];
