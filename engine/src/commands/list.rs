//! Lists.

use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, INDEX_OUT_OF_RANGE, NO_SUCH_KEY, SYNTAX};
use crate::list::{End, List};
use crate::num;
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::text::Text;

impl End {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Error> {
        if parse::is(text, "LEFT") {
            Ok(Self::Left)
        } else if parse::is(text, "RIGHT") {
            Ok(Self::Right)
        } else {
            Err(SYNTAX)
        }
    }

    const fn push_event(self) -> &'static str {
        match self {
            Self::Left => "lpush",
            Self::Right => "rpush",
        }
    }

    const fn pop_event(self) -> &'static str {
        match self {
            Self::Left => "lpop",
            Self::Right => "rpop",
        }
    }
}

impl List {
    fn pop_many(&mut self, end: End, count: usize) -> Vec<Reply> {
        (0..count.min(self.len()))
            .map_while(|_| self.pop(end))
            .map(Reply::Bulk)
            .collect()
    }

    /// The position of an index that may count from the end.
    fn position(&self, index: i64) -> Option<usize> {
        let index = if index < 0 {
            index.checked_add(self.len() as i64)?
        } else {
            index
        };
        usize::try_from(index).ok().filter(|&at| at < self.len())
    }
}

fn push(ctx: &mut Ctx<'_>, args: Args<'_>, end: End, only_existing: bool) -> Outcome {
    let key = args[1];
    if only_existing && ctx.db.read::<List>(key)?.is_none() {
        return Ok(Reply::Int(0));
    }
    let list = ctx.db.create::<List>(key)?;
    for item in &args[2..] {
        list.push(end, item);
    }
    let len = list.len();
    ctx.db.notify(Event::LIST, end.push_event(), key);
    Ok(Reply::len(len))
}

fn lpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    push(ctx, args, End::Left, false)
}

fn rpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    push(ctx, args, End::Right, false)
}

fn lpushx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    push(ctx, args, End::Left, true)
}

fn rpushx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    push(ctx, args, End::Right, true)
}

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, end: End, name: &str) -> Outcome {
    let count = match args {
        [_, _] => None,
        [_, _, count] => Some(parse::count(count)?),
        _ => return Err(Error::wrong_arity(name)),
    };
    let Some(list) = ctx.db.write::<List>(args[1])? else {
        return Ok(if count.is_some() {
            Reply::NilArray
        } else {
            Reply::Nil
        });
    };
    let reply = match count {
        None => list.pop(end).map_or(Reply::Nil, Reply::Bulk),
        Some(0) => return Ok(Reply::empty()),
        Some(count) => Reply::Array(list.pop_many(end, count)),
    };
    ctx.db.notify(Event::LIST, end.pop_event(), args[1]);
    Ok(reply)
}

fn lpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    pop(ctx, args, End::Left, "lpop")
}

fn rpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    pop(ctx, args, End::Right, "rpop")
}

fn llen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let list = ctx.db.read::<List>(args[1])?;
    Ok(Reply::len(list.map_or(0, List::len)))
}

fn lindex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let Some(list) = ctx.db.read::<List>(args[1])? else {
        return Ok(Reply::Nil);
    };
    let index = parse::int(args[2])?;
    Ok(Reply::text(
        list.position(index).and_then(|at| list.get(at)),
    ))
}

fn lset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if ctx.db.read::<List>(args[1])?.is_none() {
        return Err(NO_SUCH_KEY);
    }
    let index = parse::int(args[2])?;
    let list = ctx.db.write::<List>(args[1])?.ok_or(NO_SUCH_KEY)?;
    let at = list.position(index).ok_or(INDEX_OUT_OF_RANGE)?;
    list.set(at, args[3]);
    ctx.db.notify(Event::LIST, "lset", args[1]);
    Ok(Reply::ok())
}

fn lrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (start, stop) = (parse::int(args[2])?, parse::int(args[3])?);
    let Some(list) = ctx.db.read::<List>(args[1])? else {
        return Ok(Reply::empty());
    };
    let range = parse::index_range(start, stop, list.len());
    Ok(Reply::texts(list.range(range)))
}

fn ltrim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (start, stop) = (parse::int(args[2])?, parse::int(args[3])?);
    let Some(list) = ctx.db.write::<List>(args[1])? else {
        return Ok(Reply::ok());
    };
    let range = parse::index_range(start, stop, list.len());
    list.trim(range);
    ctx.db.notify(Event::LIST, "ltrim", args[1]);
    Ok(Reply::ok())
}

fn linsert(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let after = if parse::is(args[2], "AFTER") {
        1
    } else if parse::is(args[2], "BEFORE") {
        0
    } else {
        return Err(SYNTAX);
    };
    let Some(list) = ctx.db.write::<List>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let Some(at) = list.iter().position(|item| *item == *args[3]) else {
        return Ok(Reply::Int(-1));
    };
    list.insert(at + after, args[4]);
    let len = list.len();
    ctx.db.notify(Event::LIST, "linsert", args[1]);
    Ok(Reply::len(len))
}

fn lrem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let count = parse::int_within(args[2], -i64::MAX, i64::MAX)?;
    let Some(list) = ctx.db.write::<List>(args[1])? else {
        return Ok(Reply::Int(0));
    };
    let most = if count == 0 {
        usize::MAX
    } else {
        usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)
    };
    // From the tail the first ones found must stay, those beyond the count.
    let total = list.iter().filter(|item| **item == *args[3]).count();
    let removed = total.min(most);
    let skip = if count < 0 { total - removed } else { 0 };
    if removed > 0 {
        let mut seen = 0;
        list.retain(|item| {
            if item != args[3] {
                return true;
            }
            seen += 1;
            !(skip < seen && seen <= skip + removed)
        });
        ctx.db.notify(Event::LIST, "lrem", args[1]);
    }
    Ok(Reply::len(removed))
}

fn lpos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (mut rank, mut count, mut max_len) = (1i64, None, 0usize);
    let mut walk = Walk::new(args, 3);
    while !walk.is_empty() {
        if walk.word("RANK") {
            rank = walk.need_int()?;
            if rank == 0 {
                return Err(Error::fixed(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
                ));
            }
            if rank == i64::MIN {
                return Err(Error::fixed(
                    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                ));
            }
        } else if walk.word("COUNT") {
            count = Some(
                num::parse_i64(walk.need()?)
                    .and_then(|n| usize::try_from(n).ok())
                    .ok_or(Error::fixed("ERR COUNT can't be negative"))?,
            );
        } else if walk.word("MAXLEN") {
            max_len = num::parse_i64(walk.need()?)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or(Error::fixed("ERR MAXLEN can't be negative"))?;
        } else {
            return Err(SYNTAX);
        }
    }
    let list = ctx.db.read::<List>(args[1])?;
    let most = match count {
        None => 1,
        Some(0) => usize::MAX,
        Some(count) => count,
    };
    let depth = if max_len == 0 { usize::MAX } else { max_len };
    let skip = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let found: Vec<usize> = list.map_or_else(Vec::new, |list| {
        let len = list.len();
        let hits = |(at, item): (usize, Text<'_>)| (*item == *args[2]).then_some(at);
        let found: &mut dyn Iterator<Item = (usize, Text<'_>)> = if rank > 0 {
            &mut list.iter().enumerate()
        } else {
            &mut (0..len).rev().zip(list.iter().rev())
        };
        found
            .take(depth)
            .filter_map(hits)
            .skip(skip)
            .take(most)
            .collect()
    });
    Ok(if count.is_some() {
        Reply::array(found.into_iter().map(Reply::len))
    } else {
        found.first().map_or(Reply::Nil, |&at| Reply::len(at))
    })
}

pub(super) fn move_item(ctx: &mut Ctx<'_>, from: &[u8], to: &[u8], take: End, put: End) -> Outcome {
    if ctx.db.read::<List>(from)?.is_none() {
        return Ok(Reply::Nil);
    }
    ctx.db.expect::<List>(to)?;
    let Some(item) = ctx.db.write::<List>(from)?.and_then(|list| list.pop(take)) else {
        return Ok(Reply::Nil);
    };
    ctx.db.create::<List>(to)?.push(put, &item);
    ctx.db.notify(Event::LIST, put.push_event(), to);
    ctx.db.notify(Event::LIST, take.pop_event(), from);
    Ok(Reply::Bulk(item))
}

fn lmove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (take, put) = (End::parse(args[3])?, End::parse(args[4])?);
    move_item(ctx, args[1], args[2], take, put)
}

/// One item of a list, if there is one.
pub(super) fn pop_one(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
) -> Result<Option<Vec<Reply>>, Error> {
    let item = ctx.db.write::<List>(key)?.and_then(|list| list.pop(end));
    if item.is_some() {
        ctx.db.notify(Event::LIST, end.pop_event(), key);
    }
    Ok(item.map(|item| vec![Reply::Bulk(item)]))
}

fn rpoplpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    move_item(ctx, args[1], args[2], End::Right, End::Left)
}

/// Parses `numkeys key … ` of LMPOP and ZMPOP.
pub(super) fn counted_keys<'a>(walk: &mut Walk<'a>) -> Result<&'a [&'a [u8]], Error> {
    const BAD: Error = Error::fixed("ERR numkeys should be greater than 0");
    let count = num::parse_i64(walk.need()?)
        .and_then(|n| usize::try_from(n).ok())
        .filter(|&n| n > 0)
        .ok_or(BAD)?;
    walk.need_many(count)
}

/// Parses the trailing `COUNT count` of LMPOP and ZMPOP.
pub(super) fn trailing_count(walk: &mut Walk<'_>) -> Result<usize, Error> {
    if walk.is_empty() {
        return Ok(1);
    }
    if !walk.word("COUNT") {
        return Err(SYNTAX);
    }
    let count = num::parse_i64(walk.need()?)
        .and_then(|n| usize::try_from(n).ok())
        .filter(|&n| n > 0)
        .ok_or(Error::fixed("ERR count should be greater than 0"))?;
    if walk.is_empty() {
        Ok(count)
    } else {
        Err(SYNTAX)
    }
}

pub(super) fn lmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut walk = Walk::new(args, 1);
    let keys = counted_keys(&mut walk)?;
    let end = End::parse(walk.need()?)?;
    let count = trailing_count(&mut walk)?;
    for key in keys {
        let Some(list) = ctx.db.write::<List>(key)? else {
            continue;
        };
        let items = list.pop_many(end, count);
        ctx.db.notify(Event::LIST, end.pop_event(), key);
        return Ok(Reply::Array(vec![Reply::bulk(key), Reply::Array(items)]));
    }
    Ok(Reply::NilArray)
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("LINDEX", 3, Keys::ONE, Category::List, lindex),
    Spec::write("LINSERT", 5, Keys::ONE, Category::List, linsert).denyoom(),
    Spec::read("LLEN", 2, Keys::ONE, Category::List, llen).fast(),
    Spec::write("LMOVE", 5, Keys::TWO, Category::List, lmove).denyoom(),
    Spec::write("LMPOP", -4, Keys::Counted(1), Category::List, lmpop),
    Spec::write("LPOP", -2, Keys::ONE, Category::List, lpop).fast(),
    Spec::read("LPOS", -3, Keys::ONE, Category::List, lpos),
    Spec::write("LPUSH", -3, Keys::ONE, Category::List, lpush)
        .denyoom()
        .fast(),
    Spec::write("LPUSHX", -3, Keys::ONE, Category::List, lpushx)
        .denyoom()
        .fast(),
    Spec::read("LRANGE", 4, Keys::ONE, Category::List, lrange),
    Spec::write("LREM", 4, Keys::ONE, Category::List, lrem),
    Spec::write("LSET", 4, Keys::ONE, Category::List, lset).denyoom(),
    Spec::write("LTRIM", 4, Keys::ONE, Category::List, ltrim),
    Spec::write("RPOP", -2, Keys::ONE, Category::List, rpop).fast(),
    Spec::write("RPOPLPUSH", 3, Keys::TWO, Category::List, rpoplpush).denyoom(),
    Spec::write("RPUSH", -3, Keys::ONE, Category::List, rpush)
        .denyoom()
        .fast(),
    Spec::write("RPUSHX", -3, Keys::ONE, Category::List, rpushx)
        .denyoom()
        .fast(),
];
