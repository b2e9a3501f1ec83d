//! Hashes. What is about the expiry of fields is in `hash_ttl`.

use bytes::Bytes;

use super::generic::{SCAN_STEPS, ScanOptions, Scanned, scan_cursor, scan_reply};
use super::string::add_floats;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::dict::{Positions, Rng};
use crate::error::{Error, NOT_FLOAT, OUT_OF_RANGE, OVERFLOW, SYNTAX};
use crate::hash::Hash;
use crate::num;
use crate::parse;
use crate::reply::{Bulks, Reply};

fn hget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let hash = ctx.db.read_hash(args[1])?;
    Ok(Reply::text(hash.and_then(|hash| hash.get(args[2]))))
}

fn put_pairs(ctx: &mut Ctx<'_>, args: Args<'_>, name: &str) -> Result<usize, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::wrong_arity(name));
    }
    let hash = ctx.db.create::<Hash>(args[1])?;
    let added = args[2..]
        .chunks_exact(2)
        .filter(|pair| hash.set(pair[0], pair[1]))
        .count();
    ctx.db.notify(Event::HASH, "hset", args[1]);
    Ok(added)
}

fn hset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    put_pairs(ctx, args, "hset").map(Reply::len)
}

fn hmset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    put_pairs(ctx, args, "hmset").map(|_| Reply::ok())
}

fn hsetnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let known = ctx
        .db
        .read_hash(args[1])?
        .is_some_and(|hash| hash.contains(args[2]));
    if known {
        return Ok(Reply::Int(0));
    }
    let hash = ctx.db.create::<Hash>(args[1])?;
    hash.set(args[2], args[3]);
    ctx.db.notify(Event::HASH, "hset", args[1]);
    Ok(Reply::Int(1))
}

fn hdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let Some(hash) = ctx.db.write::<Hash>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let removed = args[2..]
        .iter()
        .filter(|field| hash.remove(field).is_some())
        .count();
    if removed > 0 {
        ctx.db.notify(Event::HASH, "hdel", args[1]);
    }
    Ok(Reply::len(removed))
}

fn hexists(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let hash = ctx.db.read_hash(args[1])?;
    Ok(Reply::bool(hash.is_some_and(|hash| hash.contains(args[2]))))
}

fn hlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::len(ctx.db.read_hash(args[1])?.map_or(0, Hash::len)))
}

fn hstrlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let hash = ctx.db.read_hash(args[1])?;
    let value = hash.and_then(|hash| hash.get(args[2]));
    Ok(Reply::len(value.map_or(0, |value| value.len())))
}

fn hmget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let hash = ctx.db.read_hash(args[1])?;
    Ok(Reply::array(args[2..].iter().map(|field| {
        Reply::text(hash.and_then(|hash| hash.get(field)))
    })))
}

fn hgetall(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let Some(hash) = ctx.db.read_hash(args[1])? else {
        return Ok(Reply::empty());
    };
    let mut out = Bulks::with_capacity(hash.len() * 2);
    for (field, value) in hash.iter() {
        out.push(&field);
        out.push(&value);
    }
    Ok(Reply::Array(out.into_replies()))
}

fn hkeys(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let hash = ctx.db.read_hash(args[1])?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    Ok(Reply::texts(fields.map(|(field, _)| field)))
}

fn hvals(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let hash = ctx.db.read_hash(args[1])?;
    let values = hash.into_iter().flat_map(Hash::iter);
    Ok(Reply::texts(values.map(|(_, value)| value)))
}

fn hincrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let amount = parse::int(args[3])?;
    let old = match ctx
        .db
        .read_hash(args[1])?
        .and_then(|hash| hash.get(args[2]))
    {
        None => 0,
        Some(text) => {
            num::parse_i64(&text).ok_or(Error::fixed("ERR hash value is not an integer"))?
        }
    };
    let new = old.checked_add(amount).ok_or(OVERFLOW)?;
    ctx.db
        .create::<Hash>(args[1])?
        .set_keep_expiry(args[2], itoa::Buffer::new().format(new).as_bytes());
    ctx.db.notify(Event::HASH, "hincrby", args[1]);
    Ok(Reply::Int(new))
}

fn hincrbyfloat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if num::parse_f64(args[3]).is_some_and(f64::is_infinite) {
        return Err(Error::fixed("ERR value is NaN or Infinity"));
    }
    // The amount is looked at before the field.
    add_floats(None, args[3], NOT_FLOAT)?;
    let old = ctx
        .db
        .read_hash(args[1])?
        .and_then(|hash| hash.get(args[2]));
    let sum = Bytes::from(add_floats(
        old.as_deref(),
        args[3],
        Error::fixed("ERR hash value is not a float"),
    )?);
    ctx.db
        .create::<Hash>(args[1])?
        .set_keep_expiry(args[2], &sum);
    ctx.db.notify(Event::HASH, "hincrbyfloat", args[1]);
    Ok(Reply::Bulk(sum))
}

/// How many random elements are wanted: a positive count without repetition, a negative one with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Draw {
    Distinct(usize),
    Repeated(usize),
}

impl Draw {
    /// Parses the count and perhaps a word that asks for values, which halves what fits a reply.
    pub(super) fn parse(text: &[u8], rest: Args<'_>, word: &str) -> Result<Self, Error> {
        let count = parse::int_within(text, -i64::MAX, i64::MAX)?;
        let limit = match rest {
            [] => i64::MAX,
            [last] if parse::is(last, word) => i64::MAX / 2,
            _ => return Err(SYNTAX),
        };
        if count < -MOST_REPEATED || count > limit {
            return Err(OUT_OF_RANGE);
        }
        let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        Ok(if count < 0 {
            Self::Repeated(size)
        } else {
            Self::Distinct(size)
        })
    }
}

/// The most elements one draw with repetition returns: they cost memory that nothing limits.
const MOST_REPEATED: i64 = 1_000_000;

/// Draws positions of elements.
pub(super) fn draw<P: Positions>(from: &P, rng: &mut Rng, what: Draw) -> Vec<u32> {
    match what {
        Draw::Repeated(count) => (0..count).map_while(|_| from.random(rng)).collect(),
        Draw::Distinct(count) if count >= from.len() => from.all(),
        // A few of many: draw until they differ. Else: shuffle as far as needed.
        Draw::Distinct(count) if count * 3 < from.len() => {
            let mut seen = std::collections::HashSet::<u32>::with_capacity(count);
            let mut out = Vec::with_capacity(count);
            while out.len() < count {
                match from.random(rng) {
                    Some(at) if seen.insert(at) => out.push(at),
                    Some(_) => {}
                    None => break,
                }
            }
            out
        }
        Draw::Distinct(count) => {
            let mut all = from.all();
            for at in 0..count {
                let other = at + rng.below(all.len() - at);
                all.swap(at, other);
            }
            all.truncate(count);
            all
        }
    }
}

fn hrandfield(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let what = match args {
        [_, _] => {
            let mut rng = std::mem::take(&mut ctx.db.rng);
            let hash = ctx.db.read_hash(args[1])?;
            let reply = hash
                .and_then(|hash| hash.entry(hash.random(&mut rng)?))
                .map_or(Reply::Nil, |(field, _)| Reply::bulk(field));
            ctx.db.rng = rng;
            return Ok(reply);
        }
        [_, _, count, rest @ ..] => Draw::parse(count, rest, "WITHVALUES")?,
        _ => return Err(SYNTAX),
    };
    let with_values = args.len() == 4;
    let mut rng = std::mem::take(&mut ctx.db.rng);
    let mut out = Vec::new();
    if let Some(hash) = ctx.db.read_hash(args[1])? {
        for at in draw(hash, &mut rng, what) {
            if let Some((field, value)) = hash.entry(at) {
                out.push(Reply::bulk(field));
                if with_values {
                    out.push(Reply::Bulk(value.to_bytes()));
                }
            }
        }
    }
    ctx.db.rng = rng;
    Ok(Reply::Array(out))
}

fn hscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    scan_cursor(args[2])?;
    // A missing key answers before the options are looked at.
    if ctx.db.read_hash(args[1])?.is_none() {
        return Ok(scan_reply(0, Vec::new()));
    }
    let options = ScanOptions::parse(args, 2, Scanned::Hash)?;
    let Some(hash) = ctx.db.read_hash(args[1])? else {
        return Ok(scan_reply(0, Vec::new()));
    };
    let mut found = Vec::new();
    let mut results = 0;
    let cursor = hash.scan(options.cursor, SCAN_STEPS, |field, value| {
        if options.fits(&field, &ctx.side.budget) {
            found.push(Reply::bulk(field));
            if !options.no_values {
                found.push(Reply::Bulk(value.to_bytes()));
            }
            results += 1;
        }
        results < options.count
    });
    Ok(scan_reply(cursor, found))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("HDEL", -3, Keys::ONE, Category::Hash, hdel).fast(),
    Spec::read("HEXISTS", 3, Keys::ONE, Category::Hash, hexists).fast(),
    Spec::read("HGET", 3, Keys::ONE, Category::Hash, hget).fast(),
    Spec::read("HGETALL", 2, Keys::ONE, Category::Hash, hgetall),
    Spec::write("HINCRBY", 4, Keys::ONE, Category::Hash, hincrby)
        .denyoom()
        .fast(),
    Spec::write("HINCRBYFLOAT", 4, Keys::ONE, Category::Hash, hincrbyfloat)
        .denyoom()
        .fast(),
    Spec::read("HKEYS", 2, Keys::ONE, Category::Hash, hkeys),
    Spec::read("HLEN", 2, Keys::ONE, Category::Hash, hlen).fast(),
    Spec::read("HMGET", -3, Keys::ONE, Category::Hash, hmget).fast(),
    Spec::write("HMSET", -4, Keys::ONE, Category::Hash, hmset)
        .denyoom()
        .fast(),
    Spec::read("HRANDFIELD", -2, Keys::ONE, Category::Hash, hrandfield),
    Spec::read("HSCAN", -3, Keys::ONE, Category::Hash, hscan),
    Spec::write("HSET", -4, Keys::ONE, Category::Hash, hset)
        .denyoom()
        .fast(),
    Spec::write("HSETNX", 4, Keys::ONE, Category::Hash, hsetnx)
        .denyoom()
        .fast(),
    Spec::read("HSTRLEN", 3, Keys::ONE, Category::Hash, hstrlen).fast(),
    Spec::read("HVALS", 2, Keys::ONE, Category::Hash, hvals),
];
