//! Streams as logs: reading, trimming and deleting entries.

use super::stream_args::{self as sa, TrimArgs};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, NO_SUCH_KEY, SYNTAX};
use crate::parse::Walk;
use crate::reply::Reply;
use crate::stream::{Deletion, References, Stream, StreamId};

fn xlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    Ok(Reply::len(
        ctx.db.read::<Stream>(args[1])?.map_or(0, Stream::len),
    ))
}

fn range(ctx: &Ctx<'_>, args: Args<'_>, start: usize, end: usize, back: bool) -> Outcome {
    let (first, last) = (sa::range_start(args[start])?, sa::range_end(args[end])?);
    let mut count = usize::MAX;
    let mut walk = Walk::new(args, 4);
    while !walk.is_empty() {
        if !walk.word("COUNT") {
            return Err(SYNTAX);
        }
        count = usize::try_from(walk.need_int()?).unwrap_or(0);
    }
    let Some(stream) = ctx.db.read::<Stream>(args[1])? else {
        return Ok(Reply::empty());
    };
    if count == 0 {
        return Ok(Reply::NilArray);
    }
    Ok(Reply::Array(if back {
        stream
            .range_back(first, last)
            .take(count)
            .map(sa::entry_reply)
            .collect()
    } else {
        stream
            .range(first, last)
            .take(count)
            .map(sa::entry_reply)
            .collect()
    }))
}

fn xrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, 2, 3, false)
}

fn xrevrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, 3, 2, true)
}

/// Where the keys of XREAD and XREADGROUP are: the first half of what follows STREAMS.
pub(super) fn keys_after_streams(args: Args<'_>, visit: &mut dyn FnMut(usize)) {
    let is_group = args.first().is_some_and(|name| name.len() > "XREAD".len());
    let mut at = if is_group { 4 } else { 1 };
    while let Some(arg) = args.get(at) {
        at += 1;
        if arg.eq_ignore_ascii_case(b"STREAMS") {
            let keys = args.len().saturating_sub(at) / 2;
            (at..at + keys).for_each(visit);
            return;
        }
        if arg.eq_ignore_ascii_case(b"COUNT") || arg.eq_ignore_ascii_case(b"BLOCK") {
            at += 1;
        }
    }
}

/// Options common to XREAD and XREADGROUP.
#[derive(Debug, Default)]
pub(super) struct ReadArgs<'a> {
    pub(super) count: Option<usize>,
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    pub(super) no_ack: bool,
    pub(super) streams: Vec<(&'a [u8], &'a [u8])>,
    blocks: bool,
}

impl<'a> ReadArgs<'a> {
    /// Fails if a script asks to wait.
    pub(super) fn check_script(&self, ctx: &Ctx<'_>, name: &str) -> Result<(), Error> {
        if ctx.script.is_none() || !self.blocks {
            return Ok(());
        }
        Err(Error::new(format!(
            "ERR {name} command is not allowed with BLOCK option from scripts"
        )))
    }

    pub(super) fn parse(args: Args<'a>, is_group: bool) -> Result<Self, Error> {
        let mut parsed = Self::default();
        let mut walk = Walk::new(args, 1);
        loop {
            let more = walk.len().saturating_sub(1);
            if more >= 1 && walk.word("COUNT") {
                let count = walk.need_int()?;
                parsed.count = usize::try_from(count).ok().filter(|&count| count > 0);
            } else if more >= 1 && walk.word("BLOCK") {
                // Nothing ever blocks here: as within MULTI, the answer is what there is.
                parsed.blocks = true;
                let timeout = crate::parse::int_or(
                    walk.need()?,
                    Error::fixed("ERR timeout is not an integer or out of range"),
                )?;
                if timeout < 0 {
                    return Err(Error::fixed("ERR timeout is negative"));
                }
            } else if more >= 2 && walk.word("GROUP") {
                if !is_group {
                    return Err(Error::fixed(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                parsed.group = Some((walk.need()?, walk.need()?));
            } else if walk.word("NOACK") {
                if !is_group {
                    return Err(Error::fixed(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                parsed.no_ack = true;
            } else if more >= 1 && walk.word("STREAMS") {
                break;
            } else {
                return Err(SYNTAX);
            }
        }
        let rest = walk.rest();
        if rest.len() % 2 == 1 {
            return Err(Error::fixed(if is_group {
                "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
            } else {
                "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
            }));
        }
        if is_group && parsed.group.is_none() {
            return Err(Error::fixed("ERR Missing GROUP option for XREADGROUP"));
        }
        let (keys, ids) = rest.split_at(rest.len() / 2);
        parsed.streams = keys.iter().copied().zip(ids.iter().copied()).collect();
        Ok(parsed)
    }
}

fn xread(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let parsed = ReadArgs::parse(args, false)?;
    parsed.check_script(ctx, "xread")?;
    let mut replies = Vec::new();
    for (key, after) in parsed.streams {
        let stream = ctx.db.read::<Stream>(key)?;
        let after = match after {
            b"$" => stream.map_or(StreamId::MIN, Stream::last_id),
            b"+" => {
                // The last entry, wherever it is.
                let last = stream
                    .and_then(Stream::last)
                    .map_or(StreamId::MIN, |entry| entry.id);
                last.previous().unwrap_or(StreamId::MIN)
            }
            b">" => {
                return Err(Error::fixed(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                ));
            }
            text => sa::id(text)?,
        };
        let (Some(stream), Some(first)) = (stream, after.next()) else {
            continue;
        };
        let count = parsed.count.unwrap_or(usize::MAX);
        let entries: Vec<Reply> = stream
            .range(first, StreamId::MAX)
            .take(count)
            .map(sa::entry_reply)
            .collect();
        if !entries.is_empty() {
            ctx.side
                .budget
                .hold(entries.iter().map(Reply::size).sum())?;
            replies.push(Reply::Array(vec![Reply::bulk(key), Reply::Array(entries)]));
        }
    }
    Ok(if replies.is_empty() {
        Reply::NilArray
    } else {
        Reply::Array(replies)
    })
}

fn xtrim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut walk = Walk::new(args, 2);
    let mut trim = TrimArgs::default();
    while !walk.is_empty() {
        if !trim.option(&mut walk)? {
            return Err(SYNTAX);
        }
    }
    let trim = trim.finish()?.ok_or(Error::fixed(
        "ERR syntax error, XTRIM must be called with MAXLEN or MINID",
    ))?;
    if ctx.db.read::<Stream>(key)?.is_none() {
        return Ok(Reply::Int(0));
    }
    let trimmed = ctx
        .db
        .write::<Stream>(key)?
        .map_or(0, |stream| stream.trim(&trim));
    if trimmed > 0 {
        ctx.db.notify(Event::STREAM, "xtrim", key);
    }
    Ok(Reply::Int(trimmed as i64))
}

fn xdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    // A missing key answers before the ids are looked at.
    if ctx.db.read::<Stream>(key)?.is_none() {
        return Ok(Reply::Int(0));
    }
    let ids = sa::ids(&args[2..])?;
    let Some(stream) = ctx.db.write::<Stream>(key)? else {
        return Ok(Reply::Int(0));
    };
    let deleted = ids.into_iter().filter(|&id| stream.delete(id)).count();
    if deleted > 0 {
        ctx.db.notify(Event::STREAM, "xdel", key);
    }
    Ok(Reply::len(deleted))
}

/// What XDELEX and XACKDEL answer for one id.
pub(super) fn deletion_reply(deletion: Deletion) -> Reply {
    Reply::Int(match deletion {
        Deletion::NotFound => -1,
        Deletion::Deleted => 1,
        Deletion::StillReferenced => 2,
    })
}

fn xdelex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let mut walk = Walk::new(args, 2);
    let references = sa::references(&mut walk).unwrap_or(References::Keep);
    let ids = sa::counted_ids(&mut walk)?;
    let Some(stream) = ctx.db.write::<Stream>(key)? else {
        return Ok(Reply::array(ids.iter().map(|_| Reply::Int(-1))));
    };
    let outcomes: Vec<Deletion> = ids
        .into_iter()
        .map(|id| stream.delete_with(id, references))
        .collect();
    if outcomes.contains(&Deletion::Deleted) {
        ctx.db.notify(Event::STREAM, "xdel", key);
    }
    Ok(Reply::array(outcomes.into_iter().map(deletion_reply)))
}

fn xsetid(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = args[1];
    let last_id = sa::id(args[2])?;
    let (mut added, mut max_deleted) = (None, None);
    let mut walk = Walk::new(args, 3);
    while !walk.is_empty() {
        if walk.word("ENTRIESADDED") {
            let n = walk.need_int()?;
            added = Some(
                u64::try_from(n).map_err(|_| Error::fixed("ERR entries_added must be positive"))?,
            );
        } else if walk.word("MAXDELETEDID") {
            let id = sa::id(walk.need()?)?;
            if last_id < id {
                return Err(Error::fixed(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            max_deleted = Some(id);
        } else {
            return Err(SYNTAX);
        }
    }
    let stream = ctx.db.write::<Stream>(key)?.ok_or(NO_SUCH_KEY)?;
    if stream.last().is_some_and(|entry| last_id < entry.id) {
        return Err(Error::fixed(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if last_id < stream.max_deleted_id() {
        return Err(Error::fixed(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if added.is_some_and(|added| added < stream.len() as u64) {
        return Err(Error::fixed(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    stream.set_id(last_id, added, max_deleted);
    ctx.db.notify(Event::STREAM, "xsetid", key);
    Ok(Reply::ok())
}

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read("XLEN", 2, Keys::ONE, Category::Stream, xlen).fast(),
    Spec::read("XRANGE", -4, Keys::ONE, Category::Stream, xrange),
    Spec::read("XREVRANGE", -4, Keys::ONE, Category::Stream, xrevrange),
    Spec::read(
        "XREAD",
        -4,
        Keys::Found(keys_after_streams),
        Category::Stream,
        xread,
    ),
    Spec::write("XTRIM", -4, Keys::ONE, Category::Stream, xtrim),
    Spec::write("XDEL", -3, Keys::ONE, Category::Stream, xdel).fast(),
    Spec::write("XDELEX", -5, Keys::ONE, Category::Stream, xdelex).fast(),
    Spec::write("XSETID", -3, Keys::ONE, Category::Stream, xsetid)
        .fast()
        .denyoom(),
];
