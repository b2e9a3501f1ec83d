//! Consumer groups: reading, acknowledging and claiming.

use super::stream::{ReadArgs, deletion_reply, keys_after_streams};
use super::stream_args::{self as sa, bad_subcommand};
use crate::command::{Args, Category, Keys, Outcome, Spec};
use crate::ctx::Ctx;
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::parse::{self, Walk};
use crate::reply::Reply;
use crate::stream::{Claim, Deletion, Group, References, Stream, StreamId};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn no_such_group(key: &[u8], group: &[u8]) -> Error {
    Error::new(format!(
        "NOGROUP No such key '{}' or consumer group '{}'",
        text(key),
        text(group)
    ))
}

/// The stream, if it has the group.
fn stream_of_group<'c>(
    ctx: &'c mut Ctx<'_>,
    key: &[u8],
    group: &[u8],
) -> Result<&'c mut Stream, Error> {
    ctx.db
        .write::<Stream>(key)?
        .filter(|stream| stream.group(group).is_some())
        .ok_or_else(|| no_such_group(key, group))
}

/// The id a group starts from: an id or `$`.
fn group_start(text: &[u8], stream: Option<&Stream>) -> Result<StreamId, Error> {
    match text {
        b"$" => Ok(stream.map_or(StreamId::MIN, Stream::last_id)),
        text => sa::id(text),
    }
}

fn entries_read(walk: &mut Walk<'_>) -> Result<Option<u64>, Error> {
    match walk.need_int()? {
        -1 => Ok(None),
        n => u64::try_from(n)
            .map(Some)
            .map_err(|_| Error::fixed("ERR value for ENTRIESREAD must be positive or -1")),
    }
}

fn xgroup(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sub = args[1].to_ascii_uppercase();
    let (min, max) = match &*sub {
        b"CREATE" => (5, 8),
        b"SETID" => (5, 7),
        b"DESTROY" => (4, 4),
        b"CREATECONSUMER" | b"DELCONSUMER" => (5, 5),
        _ => {
            return Err(Error::new(format!(
                "ERR unknown subcommand '{}'. Try XGROUP HELP.",
                text(args[1])
            )));
        }
    };
    if args.len() < min || args.len() > max {
        return Err(Error::wrong_arity(&format!("xgroup|{}", text(&sub))));
    }
    let (key, group) = (args[2], args[3]);
    let (mut make, mut read) = (false, None);
    let mut walk = Walk::new(args, min);
    while !walk.is_empty() {
        if &*sub == b"CREATE" && walk.word("MKSTREAM") {
            make = true;
        } else if walk.len() > 1 && walk.word("ENTRIESREAD") {
            read = entries_read(&mut walk)?;
        } else {
            return Err(bad_subcommand("XGROUP", args[1]));
        }
    }
    let exists = ctx.db.read::<Stream>(key)?.is_some();
    if !exists && !make {
        return Err(Error::fixed(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
             MKSTREAM option to create an empty stream automatically.",
        ));
    }
    if &*sub == b"CREATE" {
        let start = group_start(args[4], ctx.db.read::<Stream>(key)?)?;
        if !ctx
            .db
            .create::<Stream>(key)?
            .create_group(group, Group::new(start, read))
        {
            return Err(Error::fixed("BUSYGROUP Consumer Group name already exists"));
        }
        ctx.db.notify(Event::STREAM, "xgroup-create", key);
        return Ok(Reply::ok());
    }
    let now = ctx.now();
    let stream = ctx.db.create::<Stream>(key)?;
    if &*sub == b"DESTROY" {
        let destroyed = stream.destroy_group(group);
        if destroyed {
            ctx.db.notify(Event::STREAM, "xgroup-destroy", key);
        }
        return Ok(Reply::bool(destroyed));
    }
    // A missing group is told before a malformed id.
    let start = if &*sub == b"SETID" && stream.group(group).is_some() {
        group_start(args[4], Some(stream))?
    } else {
        StreamId::MIN
    };
    let Some(state) = stream.group_mut(group) else {
        return Err(Error::new(format!(
            "NOGROUP No such consumer group '{}' for key name '{}'",
            text(group),
            text(key)
        )));
    };
    let (reply, event) = match &*sub {
        b"SETID" => {
            state.last_id = start;
            state.entries_read = read;
            (Reply::ok(), Some("xgroup-setid"))
        }
        b"CREATECONSUMER" => {
            let created = state.create_consumer(args[4], now);
            (
                Reply::bool(created),
                created.then_some("xgroup-createconsumer"),
            )
        }
        _ => {
            let existed = state.consumer(args[4]).is_some();
            (
                Reply::len(state.delete_consumer(args[4])),
                existed.then_some("xgroup-delconsumer"),
            )
        }
    };
    if let Some(event) = event {
        ctx.db.notify(Event::STREAM, event, key);
    }
    Ok(reply)
}

fn xreadgroup(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let parsed = ReadArgs::parse(args, true)?;
    let Some((group, consumer)) = parsed.group else {
        return Err(SYNTAX);
    };
    // Everything is checked before anything is delivered.
    let mut wanted = Vec::with_capacity(parsed.streams.len());
    for &(key, after) in &parsed.streams {
        if ctx
            .db
            .read::<Stream>(key)?
            .is_none_or(|stream| stream.group(group).is_none())
        {
            return Err(Error::new(format!(
                "NOGROUP No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option",
                text(key),
                text(group)
            )));
        }
        let after = match after {
            b">" => None,
            b"$" => {
                return Err(Error::fixed(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                     consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just \
                     return an empty result set.",
                ));
            }
            b"+" => {
                return Err(Error::fixed(
                    "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                     consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just \
                     return an empty result set.",
                ));
            }
            id => Some(sa::id(id)?),
        };
        wanted.push((key, after));
    }
    let now = ctx.now();
    let count = parsed.count.unwrap_or(usize::MAX);
    let mut replies = Vec::new();
    for (key, after) in wanted {
        let stream = stream_of_group(ctx, key, group)?;
        if let Some(state) = stream.group_mut(group)
            // Upstash: with NOACK nothing is kept about a consumer, so it does not come into being.
            && (!parsed.no_ack || state.consumer(consumer).is_some())
        {
            state.see(consumer, now);
        }
        let entries = match after {
            None => deliver(stream, group, consumer, count, parsed.no_ack, now),
            Some(after) => history(stream, group, consumer, after, count, now),
        };
        if after.is_some() || !entries.is_empty() {
            replies.push(Reply::Array(vec![Reply::bulk(key), Reply::Array(entries)]));
        }
    }
    Ok(if replies.is_empty() {
        Reply::NilArray
    } else {
        Reply::Array(replies)
    })
}

/// New entries, which become pending.
fn deliver(
    stream: &mut Stream,
    group: &[u8],
    consumer: &[u8],
    count: usize,
    no_ack: bool,
    now: u64,
) -> Vec<Reply> {
    let Some(first) = stream.group(group).and_then(|state| state.last_id.next()) else {
        return Vec::new();
    };
    let (ids, replies): (Vec<StreamId>, Vec<Reply>) = stream
        .range(first, StreamId::MAX)
        .take(count)
        .map(|entry| (entry.id, sa::entry_reply(entry)))
        .unzip();
    for &id in &ids {
        stream.advance(group, id);
    }
    if let Some(state) = stream.group_mut(group).filter(|_| !ids.is_empty()) {
        state.touch(consumer, now);
        if !no_ack {
            for &id in &ids {
                state.deliver(id, consumer, now);
            }
        }
    }
    replies
}

/// What the consumer has not acknowledged yet, entries that are gone without fields.
fn history(
    stream: &mut Stream,
    group: &[u8],
    consumer: &[u8],
    after: StreamId,
    count: usize,
    now: u64,
) -> Vec<Reply> {
    let Some(first) = after.next() else {
        return Vec::new();
    };
    let pending = stream
        .group(group)
        .and_then(|state| state.consumer(consumer))
        .map(|state| &state.pending);
    let ids: Vec<StreamId> = pending
        .into_iter()
        .flat_map(|ids| ids.range(first..))
        .take(count)
        .copied()
        .collect();
    let mut replies = Vec::with_capacity(ids.len());
    for id in ids {
        match stream.get(id).map(sa::entry_reply) {
            Some(reply) => {
                if let Some(state) = stream.group_mut(group) {
                    state.redeliver(id, now);
                }
                replies.push(reply);
            }
            None => replies.push(Reply::Array(vec![sa::id_reply(id), Reply::NilArray])),
        }
    }
    replies
}

fn xack(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    // A missing group answers before the ids are looked at.
    let stream = ctx.db.read::<Stream>(args[1])?;
    if stream.and_then(|stream| stream.group(args[2])).is_none() {
        return Ok(Reply::Int(0));
    }
    let ids = sa::ids(&args[3..])?;
    let stream = ctx.db.write::<Stream>(args[1])?;
    let Some(group) = stream.and_then(|stream| stream.group_mut(args[2])) else {
        return Ok(Reply::Int(0));
    };
    Ok(Reply::len(
        ids.into_iter().filter(|&id| group.acknowledge(id)).count(),
    ))
}

fn xackdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, group) = (args[1], args[2]);
    let mut walk = Walk::new(args, 3);
    let references = sa::references(&mut walk).unwrap_or(References::Keep);
    let ids = sa::counted_ids(&mut walk)?;
    let stream = ctx
        .db
        .write::<Stream>(key)?
        .filter(|stream| stream.group(group).is_some());
    let Some(stream) = stream else {
        return Ok(Reply::array(ids.iter().map(|_| Reply::Int(-1))));
    };
    let outcomes: Vec<Deletion> = ids
        .into_iter()
        .map(|id| stream.acknowledge_and_delete(group, id, references))
        .collect();
    if outcomes.contains(&Deletion::Deleted) {
        ctx.db.notify(Event::STREAM, "xdel", key);
    }
    Ok(Reply::array(outcomes.into_iter().map(deletion_reply)))
}

fn xpending(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, name) = (args[1], args[2]);
    let mut walk = Walk::new(args, 3);
    if args.len() != 3 && !(6..=9).contains(&args.len()) {
        return Err(SYNTAX);
    }
    if walk.is_empty() {
        let stream = ctx.db.read::<Stream>(key)?;
        let group = stream.and_then(|stream| stream.group(name));
        return group.map(summary).ok_or_else(|| no_such_group(key, name));
    }
    let mut min_idle = 0;
    if walk.word("IDLE") {
        min_idle = u64::try_from(walk.need_int()?).unwrap_or(0);
        if walk.len() < 3 {
            return Err(SYNTAX);
        }
    }
    let (first, last) = (sa::range_start(walk.need()?)?, sa::range_end(walk.need()?)?);
    let count = usize::try_from(walk.need_int()?).unwrap_or(0);
    // Redis ignores what follows.
    let consumer = walk.take();
    let now = ctx.now();
    let stream = ctx.db.read::<Stream>(key)?;
    let group = stream
        .and_then(|stream| stream.group(name))
        .ok_or_else(|| no_such_group(key, name))?;
    if first > last {
        return Ok(Reply::empty());
    }
    let rows = group
        .pending()
        .range(first..=last)
        .filter(|(_, pending)| consumer.is_none_or(|consumer| pending.consumer == consumer))
        .map(|(id, pending)| (id, pending, now.saturating_sub(pending.delivered_at)))
        .filter(|(_, _, idle)| *idle >= min_idle)
        .take(count)
        .map(|(id, pending, idle)| {
            Reply::Array(vec![
                sa::id_reply(*id),
                Reply::Bulk(pending.consumer.clone()),
                Reply::Int(idle as i64),
                Reply::Int(pending.deliveries as i64),
            ])
        });
    Ok(Reply::array(rows))
}

fn summary(group: &Group) -> Reply {
    let (Some((first, _)), Some((last, _))) = (
        group.pending().first_key_value(),
        group.pending().last_key_value(),
    ) else {
        return Reply::Array(vec![Reply::Int(0), Reply::Nil, Reply::Nil, Reply::NilArray]);
    };
    let consumers = group
        .consumers()
        .iter()
        .filter(|(_, state)| !state.pending.is_empty())
        .map(|(name, state)| {
            Reply::Array(vec![
                Reply::Bulk(name.clone()),
                Reply::bulk(state.pending.len().to_string()),
            ])
        });
    Reply::Array(vec![
        Reply::len(group.pending().len()),
        sa::id_reply(*first),
        sa::id_reply(*last),
        Reply::array(consumers),
    ])
}

fn xclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, group, consumer) = (args[1], args[2], args[3]);
    let now = ctx.now();
    stream_of_group(ctx, key, group)?;
    let min_idle = parse::int_or(
        args[4],
        Error::fixed("ERR Invalid min-idle-time argument for XCLAIM"),
    )?;
    let mut walk = Walk::new(args, 5);
    let mut ids = Vec::new();
    while let Some(id) = walk.peek().and_then(|text| StreamId::parse(text, 0)) {
        ids.push(id);
        walk.take();
    }
    let mut claim = Claim {
        min_idle: u64::try_from(min_idle).unwrap_or(0),
        delivered_at: now,
        now,
        deliveries: None,
        force: false,
        just_id: false,
    };
    let mut last_id = None;
    while !walk.is_empty() {
        let has_value = walk.len() > 1;
        if walk.word("FORCE") {
            claim.force = true;
        } else if walk.word("JUSTID") {
            claim.just_id = true;
        } else if has_value && walk.word("IDLE") {
            let idle = parse::int_or(
                walk.need()?,
                Error::fixed("ERR Invalid IDLE option argument for XCLAIM"),
            )?;
            claim.delivered_at =
                u64::try_from(i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(idle))
                    .unwrap_or(now);
        } else if has_value && walk.word("TIME") {
            let time = parse::int_or(
                walk.need()?,
                Error::fixed("ERR Invalid TIME option argument for XCLAIM"),
            )?;
            claim.delivered_at = u64::try_from(time).unwrap_or(now);
        } else if has_value && walk.word("RETRYCOUNT") {
            let count = parse::int_or(
                walk.need()?,
                Error::fixed("ERR Invalid RETRYCOUNT option argument for XCLAIM"),
            )?;
            claim.deliveries = u64::try_from(count).ok();
        } else if has_value && walk.word("LASTID") {
            last_id = Some(sa::id(walk.need()?)?);
        } else {
            let option = text(walk.need()?);
            return Err(Error::new(format!(
                "ERR Unrecognized XCLAIM option '{option}'"
            )));
        }
    }
    claim.delivered_at = claim.delivered_at.min(now);
    let stream = stream_of_group(ctx, key, group)?;
    if let Some(state) = stream.group_mut(group) {
        if let Some(last_id) = last_id.filter(|&id| id > state.last_id) {
            state.last_id = last_id;
        }
        state.see(consumer, now);
    }
    let mut replies = Vec::new();
    for id in ids {
        if let Taken::Claimed(reply) = take(stream, group, consumer, id, claim) {
            replies.push(reply);
        }
    }
    Ok(Reply::Array(replies))
}

enum Taken {
    Claimed(Reply),
    Refused,
    /// The entry is gone; it is not pending any more.
    Gone,
}

fn take(stream: &mut Stream, name: &[u8], consumer: &[u8], id: StreamId, claim: Claim) -> Taken {
    let reply = match stream.get(id) {
        Some(_) if claim.just_id => Some(sa::id_reply(id)),
        entry => entry.map(sa::entry_reply),
    };
    let Some(group) = stream.group_mut(name) else {
        return Taken::Refused;
    };
    match reply {
        None if group.acknowledge(id) => Taken::Gone,
        Some(reply) if group.claim(id, consumer, claim) => {
            group.touch(consumer, claim.now);
            Taken::Claimed(reply)
        }
        _ => Taken::Refused,
    }
}

fn xautoclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, group, consumer) = (args[1], args[2], args[3]);
    let min_idle = parse::int_or(
        args[4],
        Error::fixed("ERR Invalid min-idle-time argument for XAUTOCLAIM"),
    )?;
    let start = sa::range_start(args[5])?;
    let (mut count, mut just_id) = (100, false);
    let mut walk = Walk::new(args, 6);
    while !walk.is_empty() {
        if walk.len() > 1 && walk.word("COUNT") {
            const BAD: Error = Error::fixed("ERR COUNT must be > 0");
            count = usize::try_from(parse::int_or(walk.need()?, BAD)?)
                .ok()
                .filter(|&n| n > 0)
                .ok_or(BAD)?;
        } else if walk.word("JUSTID") {
            just_id = true;
        } else {
            return Err(SYNTAX);
        }
    }
    let now = ctx.now();
    let stream = stream_of_group(ctx, key, group)?;
    let Some(state) = stream.group_mut(group) else {
        return Err(no_such_group(key, group));
    };
    state.see(consumer, now);
    // One more than is looked at: where the next call starts.
    let looked_at = count.saturating_mul(10);
    let ids: Vec<StreamId> = state
        .pending()
        .range(start..)
        .take(looked_at.saturating_add(1))
        .map(|(&id, _)| id)
        .collect();
    let claim = Claim {
        min_idle: u64::try_from(min_idle).unwrap_or(0),
        delivered_at: now,
        now,
        deliveries: None,
        force: false,
        just_id,
    };
    let (mut claimed, mut gone, mut next) = (Vec::new(), Vec::new(), StreamId::MIN);
    for (at, id) in ids.into_iter().enumerate() {
        if at == looked_at || claimed.len() + gone.len() == count {
            next = id;
            break;
        }
        match take(stream, group, consumer, id, claim) {
            Taken::Claimed(reply) => claimed.push(reply),
            Taken::Gone => gone.push(sa::id_reply(id)),
            Taken::Refused => {}
        }
    }
    Ok(Reply::Array(vec![
        sa::id_reply(next),
        Reply::Array(claimed),
        Reply::Array(gone),
    ]))
}

const SECOND: Keys = Keys::Range {
    first: 2,
    last: 2,
    step: 1,
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec::write("XGROUP", -2, SECOND, Category::Stream, xgroup).denyoom(),
    Spec::write(
        "XREADGROUP",
        -7,
        Keys::Found(keys_after_streams),
        Category::Stream,
        xreadgroup,
    ),
    Spec::write("XACK", -4, Keys::ONE, Category::Stream, xack).fast(),
    Spec::write("XACKDEL", -6, Keys::ONE, Category::Stream, xackdel).fast(),
    Spec::read("XPENDING", -3, Keys::ONE, Category::Stream, xpending),
    Spec::write("XCLAIM", -6, Keys::ONE, Category::Stream, xclaim).fast(),
    Spec::write("XAUTOCLAIM", -6, Keys::ONE, Category::Stream, xautoclaim).fast(),
];
