//! Sparse arrays: setting, reading, deleting and appending.

use bytes::Bytes;

use crate::array::{Array, LAST};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, NO_SUCH_KEY, SYNTAX};
use crate::parse::{self, Walk};
use crate::reply::Reply;

const BAD_INDEX: Error = Error::fixed("ERR invalid array index");
const OVERFLOW: Error = Error::fixed("ERR insert index overflow");
const BAD_SIZE: Error = Error::fixed("ERR invalid ring size");
const TOO_WIDE: Error = Error::fixed("ERR range exceeds maximum of 1000000 items");
/// The most slots of ARGETRANGE.
const WIDEST: u64 = 1_000_000;
/// Indexes that ARINFO counts together.
const SLICE: u64 = 4096;

fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

pub(super) fn index(text: &[u8]) -> Result<u64, Error> {
    number(text).filter(|&index| index <= LAST).ok_or(BAD_INDEX)
}

/// An index as a reply: a string where an integer is too small.
pub(super) fn shown(index: u64) -> Reply {
    i64::try_from(index).map_or_else(|_| Reply::bulk(index.to_string()), Reply::Int)
}

fn changed(ctx: &Ctx<'_>, event: &'static str, key: &[u8]) {
    ctx.db.notify(Event::MODULE, event, key);
}

/// Pairs of arguments after the key.
fn pairs<'a>(args: Args<'a>, name: &str) -> Result<Vec<(u64, &'a [u8])>, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::wrong_arity(name));
    }
    args[2..]
        .chunks_exact(2)
        .map(|pair| Ok((index(pair[0])?, pair[1])))
        .collect()
}

fn set(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, first, values) = (args[1], index(args[2])?, &args[3..]);
    let last = first.checked_add(values.len() as u64 - 1);
    let last = last.filter(|&last| last <= LAST).ok_or(BAD_INDEX)?;
    let array = ctx.db.create::<Array>(key)?;
    let mut new = 0;
    for (index, value) in (first..=last).zip(values) {
        new += usize::from(array.set(index, Bytes::copy_from_slice(value)));
    }
    changed(ctx, "arset", key);
    Ok(Reply::len(new))
}

fn mset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let pairs = pairs(args, "armset")?;
    let array = ctx.db.create::<Array>(args[1])?;
    let mut new = 0;
    for (index, value) in pairs {
        new += usize::from(array.set(index, Bytes::copy_from_slice(value)));
    }
    changed(ctx, "armset", args[1]);
    Ok(Reply::len(new))
}

fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let index = index(args[2])?;
    let array = ctx.db.read::<Array>(args[1])?;
    Ok(Reply::opt(array.and_then(|array| array.get(index))))
}

fn mget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let indexes = args[2..].iter().map(|text| index(text));
    let indexes = indexes.collect::<Result<Vec<u64>, Error>>()?;
    let array = ctx.db.read::<Array>(args[1])?;
    let value = |index| Reply::opt(array.and_then(|array| array.get(index)));
    Ok(Reply::array(indexes.into_iter().map(value)))
}

fn get_range(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (start, end) = (index(args[2])?, index(args[3])?);
    if start.abs_diff(end) >= WIDEST {
        return Err(TOO_WIDE);
    }
    let array = ctx.db.read::<Array>(args[1])?;
    let value = |index| Reply::opt(array.and_then(|array| array.get(index)));
    let range = start.min(end)..=start.max(end);
    Ok(if start <= end {
        Reply::array(range.map(value))
    } else {
        Reply::array(range.rev().map(value))
    })
}

fn del(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let indexes = args[2..].iter().map(|text| index(text));
    let indexes = indexes.collect::<Result<Vec<u64>, Error>>()?;
    let Some(array) = ctx.db.write::<Array>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let removed = indexes.into_iter().filter(|&index| array.remove(index));
    let removed = removed.count();
    if removed > 0 {
        changed(ctx, "ardel", args[1]);
    }
    Ok(Reply::len(removed))
}

fn del_range(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let ranges = pairs(args, "ardelrange")?
        .into_iter()
        .map(|(start, end)| index(end).map(|end| start.min(end)..=start.max(end)))
        .collect::<Result<Vec<_>, Error>>()?;
    let Some(array) = ctx.db.write::<Array>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let removed = ranges.into_iter().map(|range| array.remove_range(range));
    let removed = removed.sum();
    if removed > 0 {
        changed(ctx, "ardelrange", args[1]);
    }
    Ok(Reply::len(removed))
}

fn count(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let array = ctx.db.read::<Array>(args[1])?;
    Ok(Reply::len(array.map_or(0, Array::count)))
}

fn len(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let array = ctx.db.read::<Array>(args[1])?;
    Ok(shown(array.map_or(0, Array::len)))
}

fn insert(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let last = ctx.db.create::<Array>(args[1])?.append(&args[2..]);
    let last = last.ok_or(OVERFLOW)?;
    changed(ctx, "arinsert", args[1]);
    Ok(shown(last))
}

fn ring(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let slots = number(args[2])
        .filter(|slots| (1..=LAST).contains(slots))
        .ok_or(BAD_SIZE)?;
    let array = ctx.db.create::<Array>(args[1])?;
    let last = array.append_ring(slots, &args[3..]);
    changed(ctx, "arring", args[1]);
    Ok(shown(last))
}

fn last_items(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let most = parse::count(args[2])?;
    let mut walk = Walk::new(args, 3);
    let newest_first = walk.word("REV");
    if !walk.is_empty() {
        return Err(SYNTAX);
    }
    let Some(array) = ctx.db.read::<Array>(args[1])? else {
        return Ok(Reply::empty());
    };
    let mut values: Vec<Reply> = array.latest(most).map(Reply::opt).collect();
    if !newest_first {
        values.reverse();
    }
    Ok(Reply::Array(values))
}

fn next(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let array = ctx.db.read::<Array>(args[1])?;
    Ok(array.map_or(Some(0), Array::next).map_or(Reply::Nil, shown))
}

fn seek(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let next = number(args[2]).ok_or(BAD_INDEX)?;
    let Some(array) = ctx.db.write::<Array>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    array.seek(next);
    changed(ctx, "arseek", args[1]);
    Ok(Reply::Int(1))
}

fn info(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut walk = Walk::new(args, 2);
    let full = walk.word("FULL");
    if !walk.is_empty() {
        return Err(SYNTAX);
    }
    let array = ctx.db.read::<Array>(args[1])?.ok_or(NO_SUCH_KEY)?;
    let slices = array.stretches(SLICE);
    let mut fields = vec![
        ("len", shown(array.len())),
        ("count", Reply::len(array.count())),
        ("slice-size", shown(SLICE)),
        ("slices", Reply::len(slices)),
        ("directory-size", Reply::len(slices)),
        ("super-dir-entries", Reply::Int(0)),
        ("next-insert-index", array.next().map_or(Reply::Nil, shown)),
    ];
    if full {
        // There is one form here, which grows with the values it holds.
        let average = array.count() as f64 / slices as f64;
        fields.extend([
            ("dense-slices", Reply::Int(0)),
            ("sparse-slices", Reply::len(slices)),
            ("avg-dense-size", Reply::double(0.0)),
            ("avg-dense-fill", Reply::double(0.0)),
            ("avg-sparse-size", Reply::double(average)),
        ]);
    }
    let fields = fields.into_iter();
    Ok(Reply::array(
        fields.flat_map(|(name, value)| [Reply::bulk(name), value]),
    ))
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("ARSET", -4, Keys::ONE, Category::Array, set)
        .fast()
        .denyoom(),
    Spec::write("ARMSET", -4, Keys::ONE, Category::Array, mset)
        .fast()
        .denyoom(),
    Spec::write("ARINSERT", -3, Keys::ONE, Category::Array, insert)
        .fast()
        .denyoom(),
    Spec::write("ARRING", -4, Keys::ONE, Category::Array, ring).denyoom(),
    Spec::write("ARDEL", -3, Keys::ONE, Category::Array, del).fast(),
    Spec::write("ARDELRANGE", -4, Keys::ONE, Category::Array, del_range),
    Spec::write("ARSEEK", 3, Keys::ONE, Category::Array, seek).fast(),
    Spec::read("ARGET", 3, Keys::ONE, Category::Array, get).fast(),
    Spec::read("ARMGET", -3, Keys::ONE, Category::Array, mget).fast(),
    Spec::read("ARGETRANGE", 4, Keys::ONE, Category::Array, get_range),
    Spec::read("ARCOUNT", 2, Keys::ONE, Category::Array, count).fast(),
    Spec::read("ARLEN", 2, Keys::ONE, Category::Array, len).fast(),
    Spec::read("ARLASTITEMS", -3, Keys::ONE, Category::Array, last_items),
    Spec::read("ARNEXT", 2, Keys::ONE, Category::Array, next).fast(),
    Spec::read("ARINFO", -2, Keys::ONE, Category::Array, info),
];
