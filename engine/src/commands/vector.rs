//! Vector indexes: Upstash's VECTOR commands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::value::Value;
use crate::vectors::{self, Metric, Vectors};

const MAX_DIMENSION: i64 = 32_768;
const MAX_RESULTS: i64 = 1000;

const BAD_DIMENSION: Error = Error::fixed("ERR DIM must be between 1 and 32768");
const BAD_METRIC: Error = Error::fixed("ERR METRIC must be COSINE, EUCLIDEAN or DOT");
const BAD_COUNT: Error = Error::fixed("ERR TOPK must be between 1 and 1000");
const BAD_PROFILE: Error = Error::fixed("ERR PROFILE must be FAST, BALANCED or PRECISE");
const BAD_BLOB: Error =
    Error::fixed("ERR FP32 must be a non-empty sequence of finite 32-bit little-endian floats");
const BAD_BASE64: Error = Error::fixed("ERR BASE64-FP32 is not valid base64");
const EMPTY_ID: Error = Error::fixed("ERR id cannot be empty");

fn about(index: &[u8], what: &str) -> Error {
    Error::new(format!(
        "ERR Index {} {what}",
        String::from_utf8_lossy(index)
    ))
}

fn not_found(index: &[u8]) -> Error {
    about(index, "is not found")
}

/// An index that must exist.
fn existing<'c>(ctx: &'c Ctx<'_>, index: &[u8]) -> Result<&'c Vectors, Error> {
    let found = ctx.db.read::<Vectors>(index)?;
    found.ok_or_else(|| not_found(index))
}

fn id(text: &[u8]) -> Result<&[u8], Error> {
    if text.is_empty() {
        return Err(EMPTY_ID);
    }
    Ok(text)
}

/// A vector in one of its three forms; `None` if the next word begins none of them.
fn vector(walk: &mut Walk<'_>) -> Result<Option<Box<[f32]>>, Error> {
    if walk.word("VALUES") {
        let count = usize::try_from(walk.need_int()?).map_err(|_| SYNTAX)?;
        let elements = walk.need_many(count)?.iter().map(|element| {
            let number = parse::float(element)? as f32;
            let finite = number.is_finite().then_some(number);
            finite.ok_or(crate::error::NOT_FLOAT)
        });
        return elements.collect::<Result<_, _>>().map(Some);
    }
    if walk.word("FP32") {
        return vectors::from_bytes(walk.need()?).ok_or(BAD_BLOB).map(Some);
    }
    if walk.word("BASE64-FP32") {
        let blob = STANDARD.decode(walk.need()?).map_err(|_| BAD_BASE64)?;
        return vectors::from_bytes(&blob).ok_or(BAD_BLOB).map(Some);
    }
    Ok(None)
}

fn fits(index: &Vectors, vector: &[f32]) -> Result<(), Error> {
    let (expected, got) = (index.dimension(), vector.len());
    if expected == got {
        return Ok(());
    }
    Err(Error::new(format!(
        "ERR vector dimension mismatch: expected {expected}, got {got}"
    )))
}

fn create(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let index = args[1];
    let (mut dimension, mut metric, mut exists_ok) = (None, None, false);
    let mut walk = Walk::new(args, 2);
    while !walk.is_empty() {
        if dimension.is_none() && walk.word("DIM") {
            let wanted = parse::int_or(walk.need()?, BAD_DIMENSION)?;
            if !(1..=MAX_DIMENSION).contains(&wanted) {
                return Err(BAD_DIMENSION);
            }
            dimension = Some(wanted as usize);
        } else if metric.is_none() && walk.word("METRIC") {
            metric = Some(Metric::parse(walk.need()?).ok_or(BAD_METRIC)?);
        } else if walk.word("EXISTSOK") {
            exists_ok = true;
        } else {
            return Err(SYNTAX);
        }
    }
    let (dimension, metric) = (dimension.ok_or(SYNTAX)?, metric.ok_or(SYNTAX)?);
    if let Some(known) = ctx.db.read::<Vectors>(index)? {
        if !exists_ok {
            return Err(about(index, "already exists"));
        }
        if (known.dimension(), known.metric()) != (dimension, metric) {
            return Err(about(
                index,
                "already exists with a different configuration",
            ));
        }
        return Ok(Reply::Int(0));
    }
    let vectors = Vectors::new(dimension, metric);
    ctx.db.put(index, Value::Vectors(Box::new(vectors)));
    ctx.db.notify(Event::MODULE, "vector.create", index);
    Ok(Reply::Int(1))
}

fn add(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (index, id) = (args[1], id(args[2])?);
    let mut walk = Walk::new(args, 3);
    let vector = vector(&mut walk)?.ok_or(SYNTAX)?;
    if !walk.is_empty() {
        return Err(SYNTAX);
    }
    fits(existing(ctx, index)?, &vector)?;
    let vectors = ctx.db.write::<Vectors>(index)?;
    let new = vectors.ok_or_else(|| not_found(index))?.set(id, vector);
    ctx.db.notify(Event::MODULE, "vector.add", index);
    Ok(Reply::bool(new))
}

fn del(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (index, id) = (args[1], id(args[2])?);
    let vectors = ctx.db.write::<Vectors>(index)?;
    let removed = vectors.ok_or_else(|| not_found(index))?.remove(id);
    if removed {
        ctx.db.notify(Event::MODULE, "vector.del", index);
    }
    Ok(Reply::bool(removed))
}

fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let vector = existing(ctx, args[1])?.get(id(args[2])?);
    Ok(vector.map_or(Reply::NilArray, |vector| {
        Reply::array(vector.iter().map(|n| Reply::double((*n).into())))
    }))
}

fn query(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let index = args[1];
    let (mut count, mut wanted) = (None, None);
    let mut walk = Walk::new(args, 2);
    while !walk.is_empty() {
        if count.is_none() && walk.word("TOPK") {
            let top = parse::int_or(walk.need()?, BAD_COUNT)?;
            if !(1..=MAX_RESULTS).contains(&top) {
                return Err(BAD_COUNT);
            }
            count = Some(top as usize);
        } else if walk.word("PROFILE") {
            // Every query is exact; the profile only has to be one.
            let profile = walk.need()?;
            if !["FAST", "BALANCED", "PRECISE"]
                .iter()
                .any(|known| parse::is(profile, known))
            {
                return Err(BAD_PROFILE);
            }
        } else if wanted.is_none() {
            wanted = Some(vector(&mut walk)?.ok_or(SYNTAX)?);
        } else {
            return Err(SYNTAX);
        }
    }
    let (count, wanted) = (count.ok_or(SYNTAX)?, wanted.ok_or(SYNTAX)?);
    let vectors = existing(ctx, index)?;
    fits(vectors, &wanted)?;
    let nearest = vectors
        .nearest(&wanted, count, &ctx.side.budget)
        .into_iter();
    Ok(Reply::array(nearest.map(|(id, score)| {
        Reply::array([Reply::bulk(id), Reply::double(score)])
    })))
}

fn count(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let vectors = ctx.db.read::<Vectors>(args[1])?;
    Ok(Reply::len(vectors.map_or(0, Vectors::len)))
}

fn info(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let vectors = ctx.db.read::<Vectors>(args[1])?;
    Ok(vectors.map_or(Reply::NilArray, |vectors| {
        Reply::array([
            Reply::bulk("dimension"),
            Reply::len(vectors.dimension()),
            Reply::bulk("metric"),
            Reply::bulk(vectors.metric().name()),
        ])
    }))
}

fn drop_index(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    ctx.db.expect::<Vectors>(args[1])?;
    let dropped = ctx.db.remove(args[1]);
    if dropped {
        ctx.db.notify(Event::GENERIC, "del", args[1]);
    }
    Ok(Reply::bool(dropped))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("VECTOR.CREATE", -6, Keys::ONE, Category::Search, create).denyoom(),
    Spec::write("VECTOR.ADD", -5, Keys::ONE, Category::Search, add).denyoom(),
    Spec::write("VECTOR.DEL", 3, Keys::ONE, Category::Search, del).fast(),
    Spec::write("VECTOR.DROP", 2, Keys::ONE, Category::Search, drop_index),
    Spec::read("VECTOR.GET", 3, Keys::ONE, Category::Search, get),
    Spec::read("VECTOR.QUERY", -5, Keys::ONE, Category::Search, query),
    Spec::read("VECTOR.COUNT", 2, Keys::ONE, Category::Search, count).fast(),
    Spec::read("VECTOR.INFO", 2, Keys::ONE, Category::Search, info).fast(),
];
