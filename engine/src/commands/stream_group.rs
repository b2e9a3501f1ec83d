//! Consumer groups: creating, reading and acknowledging.

use super::stream::{ReadArgs, deletion_reply, keys_after_streams};
use super::stream_args::{self as sa, bad_subcommand};
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::db::Event;
use crate::error::{Error, SYNTAX};
use crate::parse::Walk;
use crate::reply::Reply;
use crate::stream::{Deletion, Group, References, Stream, StreamId};

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn no_such_group(key: &[u8], group: &[u8]) -> Error {
    Error::new(format!(
        "NOGROUP No such key '{}' or consumer group '{}'",
        text(key),
        text(group)
    ))
}

/// The stream, if it has the group.
pub(super) fn stream_of_group<'c>(
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

/// Told when a consumer comes into being, whichever command names it first.
pub(super) const CONSUMER_MADE: &str = "xgroup-createconsumer";

const XGROUP_HELP: [&str; 6] = [
    "CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <n>] - a new group",
    "SETID <key> <group> <id|$> [ENTRIESREAD <n>] - where a group reads on",
    "DESTROY <key> <group> - removes a group",
    "CREATECONSUMER <key> <group> <consumer> - a new consumer",
    "DELCONSUMER <key> <group> <consumer> - removes a consumer",
    "HELP - this message",
];

fn xgroup(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sub = args[1].to_ascii_uppercase();
    let (min, max) = match &*sub {
        b"CREATE" => (5, 8),
        b"SETID" => (5, 7),
        b"DESTROY" => (4, 4),
        b"CREATECONSUMER" | b"DELCONSUMER" => (5, 5),
        b"HELP" if args.len() == 2 => {
            return Ok(Reply::array(XGROUP_HELP.map(Reply::bulk)));
        }
        b"HELP" => return Err(Error::wrong_arity("xgroup|help")),
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
        match args[4] {
            b"-" => StreamId::MIN,
            b"+" => StreamId::MAX,
            id => group_start(id, Some(stream))?,
        }
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
            (Reply::bool(created), created.then_some(CONSUMER_MADE))
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
    parsed.check_script(ctx, "xreadgroup")?;
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
        let more = new_entries(ctx, key, group, count)?;
        let new_pending = if after.is_none() && !parsed.no_ack {
            more
        } else {
            0
        };
        let new_consumer = cost_of_consumer(ctx, key, group, consumer)?;
        ctx.make_room(new_consumer + new_pending * Group::PER_PENDING)?;
        let stream = stream_of_group(ctx, key, group)?;
        let mut made = false;
        if let Some(state) = stream.group_mut(group)
            // Upstash: with NOACK nothing is kept about a consumer, so it does not come into being.
            && (!parsed.no_ack || state.consumer(consumer).is_some())
        {
            state.see(consumer, now);
            made = new_consumer > 0;
        }
        let entries = match after {
            None => deliver(stream, group, consumer, count, parsed.no_ack, now),
            Some(after) => history(stream, group, consumer, after, count, now),
        };
        if made {
            ctx.db.notify(Event::STREAM, CONSUMER_MADE, key);
        }
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

/// What is added to a group by a consumer, if it is new.
pub(super) fn cost_of_consumer(
    ctx: &Ctx<'_>,
    key: &[u8],
    group: &[u8],
    consumer: &[u8],
) -> Result<usize, Error> {
    let stream = ctx.db.read::<Stream>(key)?;
    let group = stream.and_then(|stream| stream.group(group));
    Ok(group.map_or(0, |group| group.cost_of_consumer(consumer)))
}

/// How many new entries a group would be given.
fn new_entries(ctx: &Ctx<'_>, key: &[u8], group: &[u8], count: usize) -> Result<usize, Error> {
    let stream = ctx.db.read::<Stream>(key)?;
    let first = |stream: &Stream| stream.group(group)?.last_id.next();
    Ok(stream.map_or(0, |stream| {
        first(stream).map_or(0, |first| {
            stream.range(first, StreamId::MAX).take(count).count()
        })
    }))
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
];
